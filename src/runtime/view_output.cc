#include "src/runtime/view_output.h"

#include <utility>

#include <absl/strings/str_cat.h>
#include <arrow/record_batch.h>

#include "proto/views.pb.h"
#include "src/base/status.h"
#include "src/views/records.h"

namespace tidemark {

ViewOutput::ViewOutput(const SinkPlan& view, int32_t writer, int32_t writers, std::unique_ptr<RowEncoder> encoder,
                       int64_t commit_interval_us, Transaction* transaction, Refusals refusals)
    : view_(view),
      topic_(std::get<KafkaSinkSpec>(view.spec).topic),
      writer_(writer),
      writers_(writers),
      // As between stages: with many tasks less often, so that marks never outweigh rows.
      mark_interval_us_(std::max<int64_t>(commit_interval_us, int64_t{5} * kMillisecond * writers)),
      transaction_(transaction),
      records_(topic_, /*partitions=*/1, /*task_partition=*/0, std::move(encoder),
               {{kViewWriterHeader, absl::StrCat(writer)}}, transaction, std::move(refusals)) {}

// The visible columns, the event time as one of them, and what a row does.
absl::Status ViewOutput::Write(const Batch& rows) {
  const int time = rows->schema()->GetFieldIndex(std::string(HiddenName(Hidden::kTime)));
  const int op = rows->schema()->GetFieldIndex(std::string(HiddenName(Hidden::kOp)));
  if (time < 0) return absl::InternalError(absl::StrCat("view ", view_.name, ": rows without an event time"));
  std::vector<int> columns;
  for (size_t c = 0; c < view_.schema.size(); ++c) columns.push_back(static_cast<int>(c));
  columns.push_back(time);
  if (op >= 0) columns.push_back(op);
  TM_ASSIGN_OR_RETURN(const Batch written, FromArrow(rows->SelectColumns(columns), "rows of a view"));
  return records_.Write(written);
}

absl::Status ViewOutput::PrepareCommit(uint64_t /*commit*/, Mark mark, int64_t monotonic_us) {
  const bool rows = records_.rows_written() != marked_rows_;
  if (!rows && (!Untold(mark) || !IntervalPassed(monotonic_us))) return absl::OkStatus();
  packed::ViewMark told;
  told.set_writers(static_cast<uint32_t>(writers_));
  told.set_watermark_us(mark.watermark.us);
  told.set_idle(mark.idle);
  const std::string key = ViewMarkKey(writer_), value = told.SerializeAsString();
  TM_RETURN_IF_ERROR(transaction_->Produce(topic_, {{0, key, value, nullptr}}));
  marked_rows_ = records_.rows_written();
  told_any_ = true;
  told_ = mark;
  told_us_ = monotonic_us;
  return absl::OkStatus();
}

bool ViewOutput::OwesMark(Mark mark, int64_t monotonic_us) const {
  return IntervalPassed(monotonic_us) && Untold(mark);
}

bool ViewOutput::Untold(Mark mark) const {
  return !told_any_ || told_.watermark != mark.watermark || told_.idle != mark.idle;
}

void ViewOutput::SaveSchema(packed::Standing* standing) const { *standing->add_outputs() = ViewStanding(view_); }

}  // namespace tidemark
