// Where a step's rows leave a task for a view: records of the view's topic, produced as they come, and behind those of
// each commit a mark (src/views/records.h). The mark lets readers show a commit as a whole or not at all, and tells
// them how far the task's event time is. Used by the task's stream thread only; built anew with every opening.
#pragma once

#include <cstdint>
#include <memory>

#include "src/runtime/output.h"
#include "src/runtime/record_output.h"

namespace tidemark {

class ViewOutput final : public Output {
 public:
  // The task that writes: `writer` of `writers` of its stage. `encoder` has ViewEncoderOptions.
  ViewOutput(const SinkPlan& view, int32_t writer, int32_t writers, std::unique_ptr<RowEncoder> encoder,
             int64_t commit_interval_us, Transaction* transaction, Refusals refusals);

  absl::Status Write(const Batch& rows) override;
  absl::Status PrepareCommit(uint64_t commit, Mark mark, int64_t monotonic_us) override;
  bool OwesMark(Mark mark, int64_t monotonic_us) const override;
  bool Untold(Mark mark) const override;
  void SaveSchema(packed::Standing* standing) const override;
  int64_t rows_written() const override { return records_.rows_written(); }

 private:
  bool IntervalPassed(int64_t monotonic_us) const { return monotonic_us - told_us_ >= mark_interval_us_; }

  const SinkPlan& view_;
  const std::string topic_;
  const int32_t writer_, writers_;
  const int64_t mark_interval_us_;
  Transaction* const transaction_;
  RecordOutput records_;
  int64_t marked_rows_ = 0;  // of rows_written, those that a mark stands behind
  bool told_any_ = false;
  Mark told_;
  int64_t told_us_ = 0;  // monotonic
};

}  // namespace tidemark
