// The join of a stream's rows with the versions of a table's rows. Each row of the table (port 1) is a version of its
// key from its event time on, until the next one. A row of the stream (port 0) meets the version of its key that counts
// as of a time, its own or one that it computes. It passes as it is, once, with that version's columns.
//
// Which version it meets depends on the offsets of the sources alone, though the two inputs come interleaved as they
// like:
//
//   Late. A row of the table is late iff time + grace < its own watermark, that of its source partition at that row.
//   Late rows are counted, and aren't versions. So which versions there are depends on offsets alone.
//
//   The row waits for its version. Let W be the operator's watermark, the smallest over all source partitions above
//   both inputs. When a row arrives, W <= its own watermark: so versions still to come have time >= W - grace. A row
//   that asks as of a time A < W - grace meets the newest version of a time <= A that has come, and that is the newest
//   there will ever be; any other row waits until W is that far. Versions of one key and time: the one that comes later
//   in the order of (source, partition, offset) counts, of those of no place the one whose row is greater.
//
//   What is kept. A row may ask as of A only where A + keep + grace isn't behind its own watermark (rows that operators
//   made: their time); else it has expired. That is at least W, so versions that nobody can see as of W - grace - keep,
//   or as of what a row that waits asks for, are forgotten, and those that a row may ask for are there. A row may ask
//   as of a time after its own only as far as `ahead` says: so what waits has an end.
//
// The exception is that of every operator: a partition that comes back from idle wasn't part of W. Its rows are late,
// or have expired, by W too, as what they would have changed is out, and what they ask for may be gone.
//
// A table of changes (`changes`): its input is an update step behind a source of changes, and `on` has its key, so that
// all changes of a row come one way, in the order of their records. They count in that order, each from its own time
// on, but never from an earlier time than the change before it, nor from behind the watermark of its partition: so none
// is late, a row that was deleted can't come back because its end was told with an earlier time, and what counts at a
// time still follows from the offsets alone. What takes a row back is a version that says there is none; the source
// tells as of when (operators/changes/changes.h). Behind it in the same record may stand the row that replaces it: that
// one counts, whether or not the two come in one batch.
//
// The watermark of the output. Rows pass with the watermark they came under, by which later steps judge them: a row
// that waits holds the output's watermark back to just before that, so nothing is late there that isn't by itself.
//
// One side ahead: rows pile up here, of the stream those that wait, of the table versions of times nobody has come to.
// Then the task is told which input can wait.
//
// More grace, or keep, than before. What was over by the old one is gone: W - grace above is a horizon that stands
// until W has come so far under the new grace (operators/horizon.h), and what was forgotten has expired whatever is
// kept now.
//
// State: TableVersions ('v', 'x'), WaitingRows ('q'). Key 't': the watermark, the grace under which it has its horizon,
// the time before which versions are forgotten, the output's watermark, the number of the next row to wait, how many
// wait; 8 bytes each.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "operators/horizon.h"
#include "operators/join/table_versions.h"
#include "operators/join/versioned_spec.h"
#include "operators/operator.h"
#include "operators/step.h"
#include "operators/waiting_rows.h"
#include "src/codec/row_codec.h"
#include "src/expr/expression.h"

namespace tidemark {

class VersionedJoin final : public Operator {
 public:
  static absl::StatusOr<std::unique_ptr<Operator>> Make(const Node& node, const VersionedJoinSpec& spec);

  std::string_view name() const override { return shape_.name; }
  absl::Status Open(const OperatorContext& context) override;
  absl::Status ProcessBatch(int input, const Batch& batch, Emitter& emitter) override;
  absl::StatusOr<EventTime> AdvanceWatermark(EventTime time, Emitter& emitter) override;
  absl::Status PrepareCommit(uint64_t commit, Emitter& emitter) override;
  bool Ahead(size_t input) const override;
  int64_t MemoryBytes() const override;

 private:
  VersionedJoin(const Node& node, const VersionedJoinSpec& spec, std::optional<Expression> as_of,
                std::optional<Expression> deleted);

  absl::Status ProcessTable(const Batch& batch, Emitter& emitter);
  // From when on each row of the table counts, or is gone where it takes one back.
  std::vector<int64_t> TimesOf(const arrow::RecordBatch& table) const;
  absl::Status AddVersions(const Batch& batch, absl::Span<const uint8_t> keep, absl::Span<const int64_t> times,
                           const arrow::Array* deleted);
  absl::Status ProcessStream(const Batch& batch, Emitter& emitter);
  // The times as of which rows ask; those for which it can't be computed are sent away, their `keep` is 0.
  absl::StatusOr<std::shared_ptr<arrow::Array>> AsOf(const Batch& batch, std::vector<uint8_t>* keep, Emitter& emitter);
  absl::Status Refuse(const Batch& batch, int32_t row, std::string_view reason, Emitter& emitter);
  absl::Status Wait(const Batch& batch, absl::Span<const int32_t> rows, const int64_t* as_of);
  // The rows of a batch that are decided, and as of when; `none`, by row of the batch: whatever the table has, it has
  // nothing for them.
  absl::Status Meet(const Batch& batch, absl::Span<const int32_t> rows, const int64_t* as_of,
                    const std::vector<uint8_t>& none, Emitter& emitter);
  absl::StatusOr<Batch> BatchOf(absl::Span<const WaitingRows::Taken> taken) const;
  // Lets those pass that ask as of a time before `end`, until the commit is full.
  absl::Status MeetWaiting(EventTime end, Emitter& emitter);
  // Its own watermark, or the time at which a row that is never late came.
  static int64_t Reached(const int64_t* watermarks, const int64_t* times, int64_t row) {
    return watermarks[row] == kMinTime.us ? times[row] : watermarks[row];
  }

  const VersionedJoinSpec spec_;
  const StepShape shape_;         // of the stream
  const Schema table_, columns_;  // what comes of the table, and what is kept of it
  const std::shared_ptr<arrow::Schema> columns_schema_;
  const std::optional<Expression> as_of_, deleted_;
  const RowCodec stream_keys_, table_keys_, stream_codec_, columns_codec_;

  OperatorContext context_;
  std::unique_ptr<TableVersions> versions_;
  std::unique_ptr<WaitingRows> waiting_;
  Horizon horizon_;
  EventTime output_watermark_ = kMinTime;
  EventTime let_through_ = kMinTime;                         // the greatest that it has been, before the start too
  EventTime forgotten_ = kMinTime;                           // versions that only count before it may be gone
  std::array<EventTime, 2> reached_ = {kMinTime, kMinTime};  // by the rows of each input, since the start
  std::string stored_;                                       // what the state has of times and numbers

  // Scratch, of a batch.
  EncodedKeys keys_, encoded_;
  std::vector<uint8_t> nulls_;
};

}  // namespace tidemark
