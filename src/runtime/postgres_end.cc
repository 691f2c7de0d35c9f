#include "src/runtime/postgres_end.h"

#include <algorithm>

#include "proto/intake.pb.h"
#include "proto/postgres.pb.h"
#include "src/base/intake_names.h"
#include "src/base/status.h"
#include "src/postgres/replication.h"

namespace tidemark {
namespace {

constexpr Offset kBeginning = -2;

}  // namespace

absl::Status PostgresEnd::Take() {
  PgConnection connection(intake_.sources.front()->postgres->url, "tidemark " + runtime_.plan->application.Group(),
                          "source " + intake_.name, &runtime_.control->stop, PgUse::kRead);
  TM_RETURN_IF_ERROR(connection.Connect());
  TM_ASSIGN_OR_RETURN(end_, MarkPgLog(connection));
  return absl::OkStatus();
}

absl::StatusOr<size_t> PostgresEnd::Missing() {
  if (positions_ == nullptr) {
    TM_ASSIGN_OR_RETURN(positions_, runtime_.kafka->NewConsumer({.client_id = intake_.name + "-end"}));
    const IntakeNames names{runtime_.plan->application, intake_.name};
    TM_RETURN_IF_ERROR(positions_->Assign({{{names.PositionsTopic(), 0}, kBeginning}}));
  }
  TM_ASSIGN_OR_RETURN(const PollResult polled, positions_->Poll(0, 10'000));
  for (const std::unique_ptr<Fetch>& fetch : polled.fetches) {
    for (const RecordView& record : fetch->records()) {
      const std::string_view value = record.value.value_or("");
      packed::IntakePosition position;
      packed::PostgresPosition at;
      if (!position.ParseFromArray(value.data(), static_cast<int>(value.size()))) continue;
      if (at.ParseFromString(position.position()) && at.snapshot_done()) read_ = std::max<Lsn>(read_, at.lsn());
    }
  }
  return static_cast<size_t>(std::max(end_, read_) - read_);
}

}  // namespace tidemark
