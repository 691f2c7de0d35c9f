// When a run to the end (end_watcher.h) is through with the changes that a replication slot of PostgreSQL tells: all
// that had been committed when it began has come into the topics of its tables, whichever worker brought it. Used by
// one thread.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "src/kafka/client.h"
#include "src/plan/intakes.h"
#include "src/postgres/lsn.h"
#include "src/runtime/outside_end.h"
#include "src/runtime/runtime.h"

namespace tidemark {

class PostgresEnd final : public OutsideEnd {
 public:
  // `intake` has tables. What it points at, and `runtime`, outlive this.
  PostgresEnd(const Runtime& runtime, IntakePlan intake) : runtime_(runtime), intake_(std::move(intake)) {}

  // Writes a mark into the database's log, as a reader of it only tells how far it is where something is written.
  absl::Status Take() override;
  absl::StatusOr<size_t> Missing() override;
  std::string what() const override { return intake_.name + ": bytes of the database's log"; }

 private:
  const Runtime& runtime_;
  const IntakePlan intake_;
  Lsn end_ = 0, read_ = 0;
  std::unique_ptr<Consumer> positions_;
};

}  // namespace tidemark
