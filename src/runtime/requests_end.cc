#include "src/runtime/requests_end.h"

#include <algorithm>

#include "proto/http.pb.h"
#include "proto/intake.pb.h"
#include "src/base/intake_names.h"
#include "src/base/status.h"

namespace tidemark {
namespace {

constexpr Offset kBeginning = -2;

}  // namespace

RequestsEnd::RequestsEnd(const Runtime& runtime, const SourcePlan& source) : runtime_(runtime), source_(source) {}

absl::Status RequestsEnd::Take() {
  const IntakeNames names{runtime_.plan->application, source_.name};
  for (int32_t p = 0; p < source_.intake_splits(); ++p) {
    TM_ASSIGN_OR_RETURN(ends_[p],
                        runtime_.kafka->admin().LogEnd({names.RequestsTopic(), p}, Isolation::kReadUncommitted));
  }
  return absl::OkStatus();
}

absl::StatusOr<size_t> RequestsEnd::Missing() {
  if (positions_ == nullptr) {
    TM_ASSIGN_OR_RETURN(positions_, runtime_.kafka->NewConsumer({.client_id = source_.name + "-end"}));
    const IntakeNames names{runtime_.plan->application, source_.name};
    std::vector<std::pair<TopicPartition, Offset>> from;
    for (const auto& [partition, end] : ends_) from.push_back({{names.PositionsTopic(), partition}, kBeginning});
    TM_RETURN_IF_ERROR(positions_->Assign(from));
  }
  TM_ASSIGN_OR_RETURN(const PollResult polled, positions_->Poll(0, 10'000));
  for (const std::unique_ptr<Fetch>& fetch : polled.fetches) {
    for (const RecordView& record : fetch->records()) {
      const std::string_view value = record.value.value_or("");
      packed::IntakePosition position;
      packed::RequestPosition at;
      if (!position.ParseFromArray(value.data(), static_cast<int>(value.size()))) continue;
      if (!at.ParseFromString(position.position())) continue;
      Offset& read = read_[fetch->source().partition];
      read = std::max<Offset>(read, at.next());
    }
  }
  Offset missing = 0;
  for (const auto& [partition, end] : ends_) missing += std::max<Offset>(end - read_[partition], 0);
  return static_cast<size_t>(missing);
}

}  // namespace tidemark
