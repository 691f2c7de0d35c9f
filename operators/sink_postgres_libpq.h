// The session of a PostgreSQL sink with a real database: see sink_postgres_session.h for the contract.
#pragma once

#include <memory>
#include <string_view>

#include <absl/status/statusor.h>

#include "operators/sink_postgres_session.h"
#include "src/base/schema.h"
#include "src/plan/plan.h"

namespace tidemark {

// Not connected yet.
absl::StatusOr<std::unique_ptr<PostgresSession>> MakeLibpqSession(const PostgresSinkSpec& spec,
                                                                  std::string_view application, std::string_view sink,
                                                                  const Schema& schema);

}  // namespace tidemark
