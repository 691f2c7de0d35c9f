// The join of two streams by key and time. A row `a` of the left and a row `b` of the right match iff their keys are
// equal and b.time lies in [a.time - before, a.time + after]. A pair comes when the second of its rows arrives, with
// the later of their times. A row of an outer side that nothing matches comes with NULLs once nothing can match it any
// more, with its own time.
//
// Results as a set depend on the offsets of the sources alone, though the two inputs come interleaved as they like:
//
//   Late. A row is late iff time + grace < its own watermark, which is that of its source partition at that row. Late
//   rows take no part, they are counted. So which rows take part depends on offsets alone.
//
//   All of these that match meet. Let W be the operator's watermark, the smallest over all source partitions above
//   both inputs. When a row arrives, W <= its own watermark: W is at most what its partition had reached before it. So
//   a row that isn't late has time >= W - grace, whichever input it comes from and however far that is ahead. A row
//   that is kept can therefore still be matched only while time + reach >= W - grace, where `reach` is how far past
//   its time a row of the other side may lie (left: after, right: before); it is kept as long, and dropped after that:
//   each side by the watermark of both, never by its own progress. Of two rows that match, whichever comes second finds
//   the first.
//
//   A row without match. It comes with NULLs once time + reach < W - grace: by the above no row that is still to come
//   can match it, and all that have come were tried. So never too early and never twice, and whether it comes at all is
//   decided by the set of rows that aren't late.
//
// The exception is that of every operator: a partition that comes back from idle wasn't part of W. A row of it is late
// too iff time + grace < W, as what it would match may be gone.
//
// Event time of the output: a pair that is still to come holds a row still to come, so its time is at least W - grace;
// a row that waits for its NULLs holds the output's watermark back to its own time (one on disk, to its bucket's
// start). Rows of the output are made here, of no place, so they are never late downstream.
//
// One side ahead. Its rows are kept until the other's time has passed them, however many they are. So where that is
// more than a little, the task is told which input can wait: rows beyond the interval of anything that has come.
//
// More grace than before. What was over by the old one is gone, and its rows without match are out: so W - grace above
// is a horizon that stands until W has come so far under the new grace (operators/horizon.h).
//
// State key 'w': the watermark, then of each side (KeptRows) the times `done` and `dropped`, then the grace under which
// the watermark has its horizon, 8 bytes each. Without the last, as no release wrote it, that grace is the present one.
//
// A key with a NULL matches nothing: such a row of an outer side comes with NULLs at once, else it is unmatched.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "operators/horizon.h"
#include "operators/join/join_keys.h"
#include "operators/join/kept_rows.h"
#include "operators/join/streams_spec.h"
#include "operators/operator.h"
#include "operators/step.h"
#include "src/base/memory_budget.h"

namespace tidemark {

class StreamJoin final : public Operator {
 public:
  StreamJoin(const Node& node, const StreamJoinSpec& spec);

  std::string_view name() const override { return output_.name; }
  absl::Status Open(const OperatorContext& context) override;
  absl::Status ProcessBatch(int input, const Batch& batch, Emitter& emitter) override;
  absl::StatusOr<EventTime> AdvanceWatermark(EventTime time, Emitter& emitter) override;
  absl::Status PrepareCommit(uint64_t commit, Emitter& emitter) override;
  bool Ahead(size_t input) const override;
  int64_t MemoryBytes() const override;

 private:
  // One of the two inputs.
  struct Side {
    Side(const Node& node, const StreamJoinSpec& spec, size_t port);

    const ColumnList columns;  // of the input, that are kept
    const Schema schema;       // of these
    const std::shared_ptr<arrow::Schema> batch_schema;
    const RowCodec codec;
    JoinKeys keys;  // of rows of the input
    ColumnList on;  // the key, among the columns kept
    JoinKeys kept_keys;
    std::unique_ptr<KeptRows> rows;
    EventTime reached = kMinTime;  // the largest of its rows' own watermarks, since the start
  };
  using Columns = arrow::ArrayVector;

  // No row can match one of a time before it any more.
  EventTime Unmatchable(size_t side) const;
  // Fills rows_ with those that take part and have a key; sees to the others.
  absl::Status Judge(size_t side, const Batch& batch, Emitter& emitter);
  // Finds what matches the rows of rows_, and emits it; fills matched_.
  absl::Status FindMatches(size_t side, const Batch& batch, Emitter& emitter);
  absl::Status EmitMatches(size_t side, const Batch& batch, absl::Span<const KeptRows::Match> matches,
                           Emitter& emitter);
  absl::Status Keep(size_t side, const Batch& batch);
  absl::Status Evict();
  absl::Status EmitUnmatched(size_t side, Emitter& emitter);
  absl::Status EmitAlone(size_t side, const std::vector<const KeptRows::Row*>& rows, Emitter& emitter);
  // Of rows of which these columns are kept of either side; none: NULLs.
  absl::Status Emit(Columns left, Columns right, const HiddenValues& hidden, Emitter& emitter);
  // The columns that are kept, of rows of a batch.
  absl::StatusOr<Columns> ColumnsOf(size_t side, const arrow::RecordBatch& batch, absl::Span<const int32_t> rows) const;

  const StreamJoinSpec spec_;
  const StepShape output_;
  std::array<Side, 2> sides_;
  OperatorContext context_;
  std::unique_ptr<MemoryBudget::Share> memory_;
  Horizon horizon_;
  EventTime output_watermark_ = kMinTime;
  std::string stored_;  // what the state has of times

  // Scratch, of a batch.
  std::vector<JoinKey> keys_;
  std::vector<uint8_t> nulls_, matched_;
  std::vector<int32_t> rows_;
};

}  // namespace tidemark
