#include "src/runtime/view_log.h"

#include <algorithm>
#include <string_view>

#include <absl/strings/str_cat.h>

#include "src/base/kept_format.h"
#include "src/base/status.h"
#include "src/views/records.h"

namespace tidemark {

absl::Status WalkViewLog(const Fetch& fetch, absl::FunctionRef<absl::Status(const Fetch& rows)> rows,
                         absl::FunctionRef<absl::Status(int32_t writer, const RecordView& mark)> mark) {
  const std::span<const RecordView> records = fetch.records();
  for (size_t i = 0; i < records.size();) {
    size_t end = i;
    std::optional<int32_t> writer;
    for (; end < records.size() && !(writer = ViewMarkWriter(records[end].key.value_or(""))); ++end) {
    }
    if (end > i) TM_RETURN_IF_ERROR(rows(FetchPart(fetch, i, end)));
    if (end < records.size()) TM_RETURN_IF_ERROR(mark(*writer, records[end]));
    i = end + 1;
  }
  return absl::OkStatus();
}

absl::StatusOr<packed::ViewMark> ReadViewMark(const TopicPartition& log, const RecordView& record) {
  packed::ViewMark told;
  const std::string_view value = record.value.value_or("");
  if (!told.ParseFromArray(value.data(), static_cast<int>(value.size())) || told.writers() == 0) {
    return absl::DataLossError(absl::StrCat(ToString(log), "@", record.offset, ": a mark can't be read"));
  }
  TM_RETURN_IF_ERROR(CheckKeptFormat(told.needs_format(), ToString(log)));
  return told;
}

void ViewTime::Tell(int32_t writer, const packed::ViewMark& mark, Offset offset) {
  if (static_cast<int32_t>(mark.writers()) != writers_) {
    // Another count of tasks: the step was moved, and what the former ones said holds no more.
    writers_ = static_cast<int32_t>(mark.writers());
    marks_.clear();
  }
  marks_[writer] = {{EventTime{mark.watermark_us()}, mark.idle()}, offset};
}

std::optional<EventTime> ViewTime::AsOf() {
  if (writers_ == 0 || marks_.size() < static_cast<size_t>(writers_)) return as_of_;
  MarkMinimum least;
  for (const auto& [writer, told] : marks_) least.Add(told.mark);
  const EventTime time = least.Get().watermark;
  if (time != kMinTime && (!as_of_ || time > *as_of_)) as_of_ = time;
  return as_of_;
}

std::optional<Offset> ViewTime::OldestMark() const {
  std::optional<Offset> oldest;
  for (const auto& [writer, told] : marks_) oldest = std::min(oldest.value_or(told.offset), told.offset);
  return oldest;
}

}  // namespace tidemark
