// The session of a PostgreSQL sink with a real database: see session.h for the contract.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "operators/sinks/postgres/session.h"
#include "src/base/schema.h"
#include "src/plan/plan.h"

namespace tidemark {

// Not connected yet. `interrupted` may be null; see PgConnection.
absl::StatusOr<std::unique_ptr<PostgresSession>> MakeLibpqSession(const PostgresSinkSpec& spec,
                                                                  std::string_view application, std::string_view sink,
                                                                  const Schema& schema, const StepMode& mode,
                                                                  const std::atomic<bool>* interrupted);

// What a sink would find, without changing anything: that its table is there and fits, or the statement that would
// create it. InvalidArgument as from Connect, and for rights that are missing.
absl::StatusOr<std::string> InspectPostgres(const PostgresSinkSpec& spec, std::string_view sink, const Schema& schema,
                                            const StepMode& mode);

// Forgets how far the sinks of an application have come in their feeds, which begin anew: whoever still writes is
// fenced, and the next owner of each partition begins where the feed does. Of all that write beside this one, also of
// those that the topology no longer has. What stands in their tables stays. May be done again.
absl::Status RewindPostgres(const PostgresSinkSpec& spec, std::string_view application, std::string_view sink);

}  // namespace tidemark
