// When a run to the end (end_watcher.h) is through with the changes of a PostgreSQL table: all that had been committed
// when it began has come into the source's topic, whichever worker brought it. Used by one thread.
#pragma once

#include <memory>
#include <string>

#include "src/kafka/client.h"
#include "src/postgres/lsn.h"
#include "src/runtime/outside_end.h"
#include "src/runtime/runtime.h"

namespace tidemark {

class PostgresEnd final : public OutsideEnd {
 public:
  // `source` is a table and outlives this, as does `runtime`.
  PostgresEnd(const Runtime& runtime, const SourcePlan& source) : runtime_(runtime), source_(source) {}

  // Writes a mark into the database's log, as a reader of it only tells how far it is where something is written.
  absl::Status Take() override;
  absl::StatusOr<size_t> Missing() override;
  std::string what() const override { return source_.name + ": bytes of the database's log"; }

 private:
  const Runtime& runtime_;
  const SourcePlan& source_;
  Lsn end_ = 0, read_ = 0;
  std::unique_ptr<Consumer> positions_;
};

}  // namespace tidemark
