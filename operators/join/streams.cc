#include "operators/join/streams.h"

#include <algorithm>
#include <utility>

#include <arrow/array/array_base.h>
#include <arrow/array/util.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "src/base/big_endian.h"
#include "src/base/mutation.h"
#include "src/base/status.h"

namespace tidemark {
namespace {

constexpr size_t kEmitRows = 4096;
constexpr char kTimes[] = "w";
constexpr int64_t kEvictBytes = int64_t{1} << 20;       // that leave memory at once, at least
constexpr int64_t kMostEvictBytes = int64_t{32} << 20;  // in a commit
constexpr int64_t kAheadBytes = int64_t{16} << 20;      // of one side, that are worth waiting for the other
constexpr int64_t kAheadUs = 60 * kSecond;              // beyond the interval

ColumnList PositionsIn(const ColumnList& columns, const ColumnList& all) {
  ColumnList out;
  for (const size_t c : columns) out.push_back(static_cast<size_t>(std::find(all.begin(), all.end(), c) - all.begin()));
  return out;
}

std::shared_ptr<arrow::Schema> VisibleSchema(const Schema& schema) {
  const std::shared_ptr<arrow::Schema> with_time = BatchSchema(schema, HiddenSet());
  return with_time->RemoveField(with_time->num_fields() - 1).ValueOrDie();
}

}  // namespace

StreamJoin::Side::Side(const Node& node, const StreamJoinSpec& spec, size_t port)
    : columns(spec.kept(port, node.in(0).schema.size())),
      schema(node.in(port).schema.Select(columns)),
      batch_schema(VisibleSchema(schema)),
      codec(RowCodec::Rows(schema)),
      keys(node.in(port).schema, spec.on[port]),
      on(PositionsIn(spec.on[port], columns)),
      kept_keys(schema, on) {}

StreamJoin::StreamJoin(const Node& node, const StreamJoinSpec& spec)
    : spec_(spec), output_(node), sides_{Side(node, spec, 0), Side(node, spec, 1)}, horizon_(spec.grace_us) {}

absl::Status StreamJoin::Open(const OperatorContext& context) {
  context_ = context;
  memory_ = std::make_unique<MemoryBudget::Share>(context.memory);
  std::array<EventTime, 2> done = {kMinTime, kMinTime}, dropped = done;
  TM_ASSIGN_OR_RETURN(const std::optional<std::string> times, context.state->Get(kTimes));
  if (times) {
    if (times->size() != 48 && times->size() != 40) {
      return absl::DataLossError("the times of a join in the state can't be read");
    }
    stored_ = *times;
    const auto time = [&](size_t i) { return EventTime{ReadOrdered(std::string_view(stored_).substr(8 * i, 8))}; };
    horizon_.Restore(time(0), times->size() == 48 ? time(5).us : spec_.grace_us);
    for (size_t s : {0, 1}) {
      done[s] = time(1 + 2 * s);
      dropped[s] = time(2 + 2 * s);
    }
  }
  for (size_t s : {0, 1}) {
    Side& side = sides_[s];
    side.rows = std::make_unique<KeptRows>(context.state, "lr"[s], spec_.bucket_us(), spec_.outer[s]);
    const auto keys_of = [&](const std::vector<std::string_view>& rows, std::vector<JoinKey>* keys) -> absl::Status {
      Columns columns;
      TM_RETURN_IF_ERROR(side.codec.Decode(rows, &columns));
      const Batch batch =
          arrow::RecordBatch::Make(side.batch_schema, static_cast<int64_t>(rows.size()), std::move(columns));
      return side.kept_keys.Of(*batch, keys, &nulls_);
    };
    TM_RETURN_IF_ERROR(side.rows->Load(done[s], dropped[s], keys_of));
  }
  return absl::OkStatus();
}

absl::Status StreamJoin::ProcessBatch(int input, const Batch& batch, Emitter& emitter) {
  if (batch->num_rows() == 0) return absl::OkStatus();
  const auto side = static_cast<size_t>(input);
  TM_RETURN_IF_ERROR(sides_[side].keys.Of(*batch, &keys_, &nulls_));
  TM_RETURN_IF_ERROR(Judge(side, batch, emitter));
  TM_RETURN_IF_ERROR(FindMatches(side, batch, emitter));
  return Keep(side, batch);
}

absl::Status StreamJoin::Judge(size_t side, const Batch& batch, Emitter& emitter) {
  const int64_t n = batch->num_rows();
  const int64_t* times = HiddenInt64(*batch, Hidden::kTime);
  const int64_t* watermarks = HiddenInt64(*batch, Hidden::kWatermark);
  std::vector<int32_t> late, without_key;
  rows_.clear();
  for (int64_t i = 0; i < n; ++i) {
    // Rows that are never late came when their time was over.
    const int64_t reached = watermarks[i] == kMinTime.us ? times[i] : watermarks[i];
    sides_[side].reached = std::max(sides_[side].reached, EventTime{reached});
    const EventTime time{times[i]};
    // The last is only a net: no row is dropped before its horizon, and what lies behind that is late.
    if (time + spec_.grace_us < EventTime{watermarks[i]} || time < horizon_.over() ||
        time < sides_[side].rows->dropped()) {
      late.push_back(static_cast<int32_t>(i));
    } else {
      (nulls_[i] ? without_key : rows_).push_back(static_cast<int32_t>(i));
    }
  }
  StepLedger& ledger = *context_.ledger;
  ledger.in += n;
  ledger.late += static_cast<int64_t>(late.size());
  ledger.absorbed += static_cast<int64_t>(rows_.size());
  (spec_.outer[side] ? ledger.passed : ledger.unmatched) += static_cast<int64_t>(without_key.size());
  if (!late.empty() && spec_.late_topic[side]) {
    TM_RETURN_IF_ERROR(emitter.EmitSide(kLateSides[side], TakeRows(batch, late)));
  }
  if (without_key.empty() || !spec_.outer[side]) return absl::OkStatus();
  HiddenValues hidden;
  for (const int32_t row : without_key) hidden.times.push_back(times[row]);
  TM_ASSIGN_OR_RETURN(Columns own, ColumnsOf(side, *batch, without_key));
  return side == 0 ? Emit(std::move(own), {}, hidden, emitter) : Emit({}, std::move(own), hidden, emitter);
}

absl::Status StreamJoin::FindMatches(size_t side, const Batch& batch, Emitter& emitter) {
  matched_.assign(static_cast<size_t>(batch->num_rows()), 0);
  const KeptRows::Asked asked{.keys = keys_,
                              .times = HiddenInt64(*batch, Hidden::kTime),
                              .rows = rows_,
                              .from_us = -spec_.reach_us(1 - side),
                              .to_us = spec_.reach_us(side)};
  return sides_[1 - side].rows->Find(
      asked, [&](absl::Span<const KeptRows::Match> matches) { return EmitMatches(side, batch, matches, emitter); });
}

absl::Status StreamJoin::EmitMatches(size_t side, const Batch& batch, absl::Span<const KeptRows::Match> matches,
                                     Emitter& emitter) {
  const int64_t* times = HiddenInt64(*batch, Hidden::kTime);
  std::vector<int32_t> rows;
  std::vector<std::string_view> kept;
  HiddenValues hidden;
  rows.reserve(matches.size());
  kept.reserve(matches.size());
  hidden.times.reserve(matches.size());
  for (const KeptRows::Match& match : matches) {
    matched_[static_cast<size_t>(match.row)] = 1;
    rows.push_back(match.row);
    kept.push_back(match.kept->bytes());
    hidden.times.push_back(std::max(times[match.row], match.kept->time));
  }
  Columns found;
  TM_ASSIGN_OR_RETURN(Columns own, ColumnsOf(side, *batch, rows));
  TM_RETURN_IF_ERROR(sides_[1 - side].codec.Decode(kept, &found));
  if (side == 1) std::swap(own, found);
  return Emit(std::move(own), std::move(found), hidden, emitter);
}

absl::Status StreamJoin::Keep(size_t side, const Batch& batch) {
  if (rows_.empty()) return absl::OkStatus();
  Side& own = sides_[side];
  const int64_t* times = HiddenInt64(*batch, Hidden::kTime);
  TM_ASSIGN_OR_RETURN(Columns columns, ColumnsOf(side, *batch, rows_));
  const Batch kept = arrow::RecordBatch::Make(own.batch_schema, static_cast<int64_t>(rows_.size()), std::move(columns));
  EncodedKeys encoded;
  TM_RETURN_IF_ERROR(own.codec.Encode(*kept, &encoded));
  for (size_t i = 0; i < rows_.size(); ++i) {
    const auto row = static_cast<size_t>(rows_[i]);
    own.rows->Add(keys_[row], times[row], encoded[i], matched_[row] != 0);
  }
  return absl::OkStatus();
}

EventTime StreamJoin::Unmatchable(size_t side) const {
  EventTime over = horizon_.over();
  if (MutationActive(Mutation::kJoinSideCleanedByItsOwnTime)) {
    over = std::max(over, sides_[side].rows->newest() - spec_.grace_us);
  }
  if (MutationActive(Mutation::kUnmatchedRowEmittedEarly) && spec_.outer[side]) {
    over = std::max(sides_[0].rows->newest(), sides_[1].rows->newest()) - spec_.grace_us;
  }
  return over - spec_.reach_us(side);
}

absl::StatusOr<EventTime> StreamJoin::AdvanceWatermark(EventTime time, Emitter& emitter) {
  horizon_.Advance(time);
  EventTime hold = horizon_.over();
  for (size_t s : {0, 1}) {
    if (spec_.outer[s]) {
      TM_RETURN_IF_ERROR(EmitUnmatched(s, emitter));
      hold = std::min({hold, sides_[s].rows->done(), sides_[s].rows->oldest_on_disk()});
    }
    KeptRows& rows = *sides_[s].rows;
    rows.Drop(spec_.outer[s] ? std::min(rows.done(), rows.oldest_on_disk()) : Unmatchable(s));
  }
  output_watermark_ = std::max(output_watermark_, hold);
  return output_watermark_;
}

absl::Status StreamJoin::EmitUnmatched(size_t side, Emitter& emitter) {
  KeptRows& rows = *sides_[side].rows;
  const EventTime horizon = Unmatchable(side);
  std::vector<const KeptRows::Row*> alone;
  while (rows.done() < horizon && !emitter.Full()) {
    alone.clear();
    rows.TakeUnmatched(horizon, kEmitRows, &alone);
    TM_RETURN_IF_ERROR(EmitAlone(side, alone, emitter));
  }
  for (bool more = true; more && !emitter.Full();) {
    alone.clear();
    TM_ASSIGN_OR_RETURN(more, rows.TakeUnmatchedOnDisk(rows.done(), &alone));
    TM_RETURN_IF_ERROR(EmitAlone(side, alone, emitter));
  }
  return absl::OkStatus();
}

absl::Status StreamJoin::EmitAlone(size_t side, const std::vector<const KeptRows::Row*>& rows, Emitter& emitter) {
  std::vector<std::string_view> bytes;
  for (size_t at = 0; at < rows.size(); at += bytes.size()) {
    HiddenValues hidden;
    bytes.clear();
    for (size_t i = at; i < std::min(rows.size(), at + 2 * kEmitRows); ++i) {
      hidden.times.push_back(rows[i]->time);
      bytes.push_back(rows[i]->bytes());
    }
    Columns columns;
    TM_RETURN_IF_ERROR(sides_[side].codec.Decode(bytes, &columns));
    TM_RETURN_IF_ERROR(side == 0 ? Emit(std::move(columns), {}, hidden, emitter)
                                 : Emit({}, std::move(columns), hidden, emitter));
  }
  return absl::OkStatus();
}

absl::StatusOr<StreamJoin::Columns> StreamJoin::ColumnsOf(size_t side, const arrow::RecordBatch& batch,
                                                          absl::Span<const int32_t> rows) const {
  Columns columns;
  for (const size_t c : sides_[side].columns) {
    TM_ASSIGN_OR_RETURN(auto column, TakeCells(*batch.column_data(static_cast<int>(c)), rows));
    columns.push_back(std::move(column));
  }
  return columns;
}

// The key's columns of the left hold the key of whichever row there is.
absl::Status StreamJoin::Emit(Columns left, Columns right, const HiddenValues& hidden, Emitter& emitter) {
  const auto n = static_cast<int64_t>(hidden.times.size());
  const size_t left_columns = sides_[0].schema.size();
  Columns visible;
  for (size_t c = 0; c < output_.output.size(); ++c) {
    const bool of_left = c < left_columns;
    const Columns& from = of_left ? left : right;
    const size_t at = of_left ? c : c - left_columns;
    if (!from.empty()) {
      visible.push_back(from[at]);
      continue;
    }
    const auto key = std::find(sides_[0].on.begin(), sides_[0].on.end(), c);
    if (of_left && key != sides_[0].on.end()) {
      visible.push_back(right[sides_[1].on[static_cast<size_t>(key - sides_[0].on.begin())]]);
      continue;
    }
    TM_ASSIGN_OR_RETURN(auto nulls,
                        FromArrow(arrow::MakeArrayOfNull(ArrowType(output_.output[c].type), n), "a row without match"));
    visible.push_back(std::move(nulls));
  }
  context_.ledger->out += n;
  return emitter.Emit(MakeBatch(output_, std::move(visible), hidden));
}

absl::Status StreamJoin::PrepareCommit(uint64_t commit, Emitter& /*emitter*/) {
  std::string times;
  AppendOrdered(horizon_.time().us, &times);
  for (const Side& side : sides_) {
    side.rows->Commit(commit);
    AppendOrdered(side.rows->done().us, &times);
    AppendOrdered(side.rows->dropped().us, &times);
  }
  AppendOrdered(horizon_.under_grace_us(), &times);
  if (times != stored_) context_.state->Put(kTimes, stored_ = std::move(times));
  return Evict();
}

// As much as the process has too little of, but not more than a commit should write.
absl::Status StreamJoin::Evict() {
  memory_->Update(MemoryBytes());
  int64_t left = std::min(memory_->Excess(0), kMostEvictBytes);
  while (left > 0) {
    KeptRows& larger = *sides_[sides_[0].rows->bytes() < sides_[1].rows->bytes()].rows;
    TM_ASSIGN_OR_RETURN(const int64_t moved, larger.Evict(std::max(left, kEvictBytes)));
    if (moved == 0) break;
    left -= moved;
  }
  memory_->Update(MemoryBytes());
  return absl::OkStatus();
}

bool StreamJoin::Ahead(size_t input) const {
  const Side& side = sides_[input];
  if (side.rows->bytes() < kAheadBytes) return false;
  const EventTime others = std::max(horizon_.time(), sides_[1 - input].rows->newest());
  return side.reached > others + (spec_.before_us + spec_.after_us + spec_.grace_us + kAheadUs);
}

int64_t StreamJoin::MemoryBytes() const { return sides_[0].rows->MemoryBytes() + sides_[1].rows->MemoryBytes(); }

}  // namespace tidemark
