// The bottom of a task: where rows leave it. Two kinds: records of a sink topic, encoded and produced as they come
// (record_output.h); and packed rows of an internal topic, held back until the commit so that few records carry all
// rows for one target. Used by the task's stream thread only; built anew with every opening of the task.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "operators/operator.h"
#include "src/base/batch.h"
#include "src/codec/packed_rows.h"
#include "src/plan/plan.h"
#include "src/runtime/input_time.h"
#include "src/runtime/transaction.h"

namespace tidemark {

class Output {
 public:
  virtual ~Output() = default;

  virtual absl::Status Write(const Batch& rows) = 0;
  // Everything written since the last commit goes into the transaction. `mark` is the task's time at this commit.
  virtual absl::Status PrepareCommit(uint64_t /*commit*/, Mark /*mark*/, int64_t /*monotonic_us*/) {
    return absl::OkStatus();
  }
  // Time has moved on and targets that got no rows must be told, though no row asks for a commit.
  virtual bool OwesMark(Mark /*mark*/, int64_t /*monotonic_us*/) const { return false; }
  // The same, though the interval hasn't passed yet: as long as this is true the task isn't done.
  virtual bool Untold(Mark /*mark*/) const { return false; }
  // Time stands, and those who wrote before have told all targets as much as `mark` says.
  virtual void AssumeTold(Mark /*mark*/) {}
  // What the next opening of the task has to know of what was written: taken from the record of its last commit, put
  // into the next, behind PrepareCommit.
  virtual void Restore(const packed::CommitRecord& /*record*/) {}
  virtual void Save(packed::CommitRecord* /*record*/) const {}
  virtual void SaveSchema(packed::Standing* /*standing*/) const {}
  virtual int64_t rows_written() const = 0;
};

// Rows as packed records of an internal topic, with the task's time. Of an update whose halves differ in the edge's
// key, and so may go to different targets, each becomes what it is there: a delete and an insert. Both become visible
// with the same commit, and each target has its rows in order; between two targets there is none. Every target
// partition gets its share of the rows; targets without rows get a record with the watermark alone, at most every
// watermark interval. The records of each target are numbered (heard.h), and the first under a schema names it
// (rows_reader.h); both are part of the commit record, so an abort takes them back.
class EdgeOutput final : public Output {
 public:
  // The task that writes: `partition` of `count` of this stage.
  struct Writer {
    std::string_view stage;
    int32_t partition = 0, count = 1;
  };
  // Takes rows that are too large for any internal topic; without it Write fails with them.
  using Refuse = std::function<absl::Status(RowFailure)>;

  EdgeOutput(const Edge& edge, int32_t partitions, Writer writer, int64_t commit_interval_us, Transaction* transaction,
             Refuse refuse = nullptr);

  absl::Status Write(const Batch& rows) override;
  absl::Status PrepareCommit(uint64_t commit, Mark mark, int64_t monotonic_us) override;
  bool OwesMark(Mark mark, int64_t monotonic_us) const override;
  bool Untold(Mark mark) const override;
  void AssumeTold(Mark mark) override;
  void Restore(const packed::CommitRecord& record) override;
  void Save(packed::CommitRecord* record) const override;
  void SaveSchema(packed::Standing* standing) const override;
  int64_t rows_written() const override { return rows_; }

 private:
  absl::StatusOr<Batch> Project(const Batch& rows);
  absl::Status Pack(const Batch& rows);
  absl::StatusOr<Batch> PartPairs(const Batch& rows);
  bool IntervalPassed(int64_t monotonic_us) const { return monotonic_us - last_marks_us_ >= watermark_interval_us_; }

  const Edge& edge_;
  const std::shared_ptr<arrow::Schema> schema_;  // of the edge: the visible columns and those hidden ones it carries
  std::vector<int> columns_;                     // where they stand in the rows; found at the first batch
  const uint32_t writer_stage_;
  const int32_t task_partition_, task_count_;
  const int64_t watermark_interval_us_;
  Transaction* const transaction_;
  const Refuse refuse_;
  const int32_t partitions_;
  std::vector<RowsPacker> packers_;  // by target partition
  std::vector<Mark> told_;           // by target partition: the mark it got last
  std::vector<uint64_t> sequences_;  // by target partition: of the record it got last
  const packed::PackedSchema packed_schema_;
  bool named_ = false;         // every target has been told the schema
  bool told_before_ = false;   // targets without rows need to be told nothing but what is new
  int64_t last_marks_us_ = 0;  // when all targets were told last
  int64_t rows_ = 0;
  std::vector<uint64_t> hashes_;  // scratch
  std::vector<int32_t> targets_;  // scratch
  RowsByTarget by_target_;        // scratch
};

}  // namespace tidemark
