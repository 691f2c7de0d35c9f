#include "operators/join/versioned.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include <absl/strings/str_cat.h>
#include <arrow/array/array_base.h>
#include <arrow/array/array_primitive.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "src/base/big_endian.h"
#include "src/base/mutation.h"
#include "src/base/status.h"
#include "src/codec/cells.h"
#include "src/plan/units.h"

namespace tidemark {
namespace {

constexpr size_t kMeetRows = 4096;
constexpr char kTimes[] = "t";
constexpr int64_t kAheadRows = int64_t{1} << 16;    // that wait, and are worth leaving the stream for
constexpr int64_t kAheadBytes = int64_t{16} << 20;  // of the table
constexpr int64_t kAheadUs = 60 * kSecond;

void FindNulls(const arrow::RecordBatch& rows, const ColumnList& columns, std::vector<uint8_t>* nulls) {
  nulls->assign(static_cast<size_t>(rows.num_rows()), 0);
  for (const size_t c : columns) {
    const arrow::Array& column = *rows.column(static_cast<int>(c));
    if (column.null_count() == 0) continue;
    for (int64_t i = 0; i < rows.num_rows(); ++i) (*nulls)[static_cast<size_t>(i)] |= column.IsNull(i);
  }
}

std::shared_ptr<arrow::Schema> Visible(const Schema& schema) {
  arrow::FieldVector fields;
  for (const Column& column : schema.columns()) fields.push_back(ColumnField(column));
  return arrow::schema(std::move(fields));
}

template <typename T>
std::shared_ptr<arrow::Array> Numbers(absl::Span<const WaitingRows::Taken> rows, T WaitingRows::Row::* member,
                                      const std::shared_ptr<arrow::DataType>& type) {
  std::vector<T> values;
  values.reserve(rows.size());
  for (const WaitingRows::Taken& each : rows) values.push_back(each.row.*member);
  auto buffer = arrow::Buffer::FromVector(std::move(values));
  return arrow::MakeArray(
      arrow::ArrayData::Make(type, static_cast<int64_t>(rows.size()), {nullptr, std::move(buffer)}, 0));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Operator>> VersionedJoin::Make(const Node& node, const VersionedJoinSpec& spec) {
  std::optional<Expression> as_of, deleted;
  if (!spec.as_of.empty()) {
    TM_ASSIGN_OR_RETURN(as_of, Expression::Compile(spec.as_of, node.in(0).schema));
  }
  if (!spec.deleted.empty()) {
    TM_ASSIGN_OR_RETURN(deleted, Expression::Compile(spec.deleted, node.in(1).schema));
  }
  return std::unique_ptr<Operator>(new VersionedJoin(node, spec, std::move(as_of), std::move(deleted)));
}

VersionedJoin::VersionedJoin(const Node& node, const VersionedJoinSpec& spec, std::optional<Expression> as_of,
                             std::optional<Expression> deleted)
    : spec_(spec),
      shape_(node),
      table_(node.in(1).schema),
      columns_(table_.Select(spec.columns)),
      columns_schema_(Visible(columns_)),
      as_of_(std::move(as_of)),
      deleted_(std::move(deleted)),
      stream_keys_(RowCodec::Key(shape_.input, spec.on[0])),
      table_keys_(RowCodec::Key(table_, spec.on[1])),
      stream_codec_(RowCodec::Rows(shape_.input)),
      columns_codec_(RowCodec::Rows(columns_)),
      horizon_(spec.grace_us) {}

absl::Status VersionedJoin::Open(const OperatorContext& context) {
  context_ = context;
  versions_ = std::make_unique<TableVersions>(context.state, context.memory, spec_.forget_us());
  waiting_ = std::make_unique<WaitingRows>(context.state, context.memory);
  TM_RETURN_IF_ERROR(versions_->Load());
  TM_ASSIGN_OR_RETURN(const std::optional<std::string> times, context.state->Get(kTimes));
  if (!times) return waiting_->Load(0, 0, kMaxTime);
  if (times->size() != 48) return absl::DataLossError("the times of a join with versions in the state can't be read");
  stored_ = *times;
  const auto number = [&](size_t i) { return ReadOrdered(std::string_view(stored_).substr(8 * i, 8)); };
  horizon_.Restore(EventTime{number(0)}, number(1));
  forgotten_ = EventTime{number(2)};
  let_through_ = EventTime{number(3)};
  return waiting_->Load(static_cast<uint64_t>(number(4)), number(5), EventTime{number(3)});
}

absl::Status VersionedJoin::ProcessBatch(int input, const Batch& batch, Emitter& emitter) {
  if (batch->num_rows() == 0) return absl::OkStatus();
  EventTime& reached = reached_[static_cast<size_t>(input)];
  const int64_t* times = HiddenInt64(*batch, Hidden::kTime);
  const int64_t* watermarks = HiddenInt64(*batch, Hidden::kWatermark);
  for (int64_t i = 0; i < batch->num_rows(); ++i) {
    reached = std::max(reached, EventTime{Reached(watermarks, times, i)});
  }
  return input == 0 ? ProcessStream(batch, emitter) : ProcessTable(batch, emitter);
}

// ---- The table

std::vector<int64_t> VersionedJoin::TimesOf(const arrow::RecordBatch& table) const {
  const int64_t* times = HiddenInt64(table, Hidden::kTime);
  std::vector<int64_t> out(times, times + table.num_rows());
  if (!spec_.changes) return out;
  const int64_t* watermarks = HiddenInt64(table, Hidden::kWatermark);
  for (size_t i = 0; i < out.size(); ++i) out[i] = std::max({out[i], watermarks[i], horizon_.over().us});
  return out;
}

absl::Status VersionedJoin::ProcessTable(const Batch& batch, Emitter& emitter) {
  const int64_t n = batch->num_rows();
  StepLedger& ledger = *context_.ledger;
  ledger.in += n;
  const std::vector<int64_t> times = TimesOf(*batch);
  const int64_t* watermarks = HiddenInt64(*batch, Hidden::kWatermark);
  FindNulls(*batch, spec_.on[1], &nulls_);
  std::vector<uint8_t> keep(static_cast<size_t>(n), 1);
  std::vector<int32_t> late;
  for (int64_t i = 0; i < n; ++i) {
    const auto at = static_cast<size_t>(i);
    const EventTime time{times[at]};
    if (time + spec_.grace_us < EventTime{Reached(watermarks, times.data(), i)} || time < horizon_.over()) {
      late.push_back(static_cast<int32_t>(i));
      ++ledger.late;
      keep[at] = 0;
    } else if (nulls_[at]) {
      ++ledger.unmatched;
      keep[at] = 0;
    }
  }
  if (!late.empty() && spec_.late_topic) TM_RETURN_IF_ERROR(emitter.EmitSide(kLateVersions, TakeRows(batch, late)));

  std::shared_ptr<arrow::Array> deleted;
  if (deleted_) {
    std::vector<RowError> errors;
    TM_ASSIGN_OR_RETURN(deleted, deleted_->Evaluate(*batch, &errors));
    TM_RETURN_IF_ERROR(RefuseRows(batch, table_, spec_.deleted, errors, &keep, &ledger, emitter));
  }
  return AddVersions(batch, keep, times, deleted.get());
}

absl::Status VersionedJoin::AddVersions(const Batch& batch, absl::Span<const uint8_t> keep,
                                        absl::Span<const int64_t> times, const arrow::Array* deleted) {
  const int64_t n = batch->num_rows();
  TM_RETURN_IF_ERROR(table_keys_.Encode(*batch, &keys_));
  arrow::ArrayVector columns;
  for (const size_t c : spec_.columns) columns.push_back(batch->column(static_cast<int>(c)));
  if (!columns.empty()) {
    const Batch kept = arrow::RecordBatch::Make(columns_schema_, n, std::move(columns));
    TM_RETURN_IF_ERROR(columns_codec_.Encode(*kept, &encoded_));
  }
  const int32_t* sources = HiddenInt32(*batch, Hidden::kSource);
  const int32_t* partitions = HiddenInt32(*batch, Hidden::kPartition);
  const int64_t* offsets = HiddenInt64(*batch, Hidden::kOffset);
  const int8_t* ops = spec_.changes ? HiddenOps(*batch) : nullptr;
  // The row after, which has its key, ends it as well: a version less.
  const auto replaced = [&](int64_t i) {
    return ops[i] == static_cast<int8_t>(Op::kUpdateBefore) && i + 1 < n && keep[static_cast<size_t>(i + 1)] &&
           ops[i + 1] == static_cast<int8_t>(Op::kUpdateAfter) &&
           keys_[static_cast<size_t>(i)] == keys_[static_cast<size_t>(i + 1)];
  };
  std::optional<Cells<bool>> none;
  if (deleted != nullptr) none.emplace(*deleted->data());
  std::vector<TableVersions::Change> changes;
  for (int64_t i = 0; i < n; ++i) {
    const auto at = static_cast<size_t>(i);
    if (!keep[at]) continue;
    ++context_.ledger->absorbed;
    if (ops != nullptr && replaced(i)) continue;
    Version version{.time = times[at], .source = sources[i], .partition = partitions[i], .offset = offsets[i]};
    version.none = none && !none->IsNull(i) && (*none)[i];
    if (ops != nullptr) {
      const bool ends = IsRetraction(ops, i);
      version.none = version.none || ends;
      version.offset = 2 * version.offset + (ends ? 0 : 1);
    }
    if (!version.none && !spec_.columns.empty()) version.row = encoded_[at];
    changes.push_back({keys_[at], version, spec_.changes});
  }
  return versions_->Add(changes);
}

// ---- The stream

absl::StatusOr<std::shared_ptr<arrow::Array>> VersionedJoin::AsOf(const Batch& batch, std::vector<uint8_t>* keep,
                                                                  Emitter& emitter) {
  if (!as_of_) return batch->column(HiddenIndex(shape_.input, shape_.input_hidden, Hidden::kTime));
  std::vector<RowError> errors;
  TM_ASSIGN_OR_RETURN(auto times, as_of_->Evaluate(*batch, &errors));
  context_.ledger->in += static_cast<int64_t>(errors.size());
  TM_RETURN_IF_ERROR(RefuseRows(batch, shape_.input, spec_.as_of, errors, keep, context_.ledger, emitter));
  return times;
}

absl::Status VersionedJoin::Refuse(const Batch& batch, int32_t row, std::string_view reason, Emitter& emitter) {
  ++context_.ledger->in;
  ++context_.ledger->dead_lettered;
  return emitter.DeadLetter(
      {batch, row, &shape_.input, spec_.as_of.empty() ? "event time" : spec_.as_of, std::string(reason), ""});
}

absl::Status VersionedJoin::ProcessStream(const Batch& batch, Emitter& emitter) {
  const int64_t n = batch->num_rows();
  const int64_t* times = HiddenInt64(*batch, Hidden::kTime);
  const int64_t* watermarks = HiddenInt64(*batch, Hidden::kWatermark);
  std::vector<uint8_t> keep(static_cast<size_t>(n), 1), none(static_cast<size_t>(n), 0);
  TM_ASSIGN_OR_RETURN(const std::shared_ptr<arrow::Array> as_of, AsOf(batch, &keep, emitter));
  const Cells<int64_t> cells(*as_of->data());
  FindNulls(*batch, spec_.on[0], &nulls_);
  std::vector<int64_t> asked(static_cast<size_t>(n));
  std::vector<int32_t> now, wait;
  for (int64_t i = 0; i < n; ++i) {
    const auto at = static_cast<size_t>(i);
    const auto row = static_cast<int32_t>(i);
    if (!keep[at]) continue;
    if (nulls_[at] || cells.IsNull(i)) {
      none[at] = 1;
      now.push_back(row);
      continue;
    }
    const EventTime time{asked[at] = cells[i]};
    const EventTime reached{Reached(watermarks, times, i)};
    if (as_of_ && time > EventTime{times[i]} + spec_.ahead_us) {
      TM_RETURN_IF_ERROR(Refuse(batch, row,
                                absl::StrCat("as_of is more than ", FormatDuration(spec_.ahead_us),
                                             " (`versioned.ahead`) after the row's event time"),
                                emitter));
    } else if (time + spec_.keep_us + spec_.grace_us < reached || time + spec_.keep_us < horizon_.over() ||
               time < forgotten_) {
      if (!spec_.expired_unmatched) {
        TM_RETURN_IF_ERROR(Refuse(batch, row,
                                  absl::StrCat("as_of is more than ", FormatDuration(spec_.keep_us),
                                               " (`versioned.keep`) behind the watermark: the version may be gone"),
                                  emitter));
        continue;
      }
      none[at] = 1;
      now.push_back(row);
    } else if (time < horizon_.over() || MutationActive(Mutation::kVersionTakenBeforeWatermark)) {
      now.push_back(row);
    } else {
      wait.push_back(row);
    }
  }
  TM_RETURN_IF_ERROR(Wait(batch, wait, asked.data()));
  return Meet(batch, now, asked.data(), none, emitter);
}

absl::Status VersionedJoin::Wait(const Batch& batch, absl::Span<const int32_t> rows, const int64_t* as_of) {
  if (rows.empty()) return absl::OkStatus();
  const Batch waiting = static_cast<int64_t>(rows.size()) == batch->num_rows() ? batch : TakeRows(batch, rows);
  TM_RETURN_IF_ERROR(stream_codec_.Encode(*waiting, &encoded_));
  const int64_t* times = HiddenInt64(*waiting, Hidden::kTime);
  const int64_t* watermarks = HiddenInt64(*waiting, Hidden::kWatermark);
  const int32_t* sources = HiddenInt32(*waiting, Hidden::kSource);
  const int32_t* partitions = HiddenInt32(*waiting, Hidden::kPartition);
  const int64_t* offsets = HiddenInt64(*waiting, Hidden::kOffset);
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto row = static_cast<int64_t>(i);
    // One of a partition that comes back from idle is late by the operator's time, and holds nothing back further.
    const int64_t reached = std::max(Reached(watermarks, times, row), horizon_.time().us);
    waiting_->Add(EventTime{as_of[rows[i]]},
                  {.reached = reached,
                   .time = times[i],
                   .watermark = watermarks[i],
                   .offset = offsets[i],
                   .source = sources[i],
                   .partition = partitions[i]},
                  encoded_[i]);
  }
  return absl::OkStatus();
}

absl::Status VersionedJoin::Meet(const Batch& batch, absl::Span<const int32_t> rows, const int64_t* as_of,
                                 const std::vector<uint8_t>& none, Emitter& emitter) {
  if (rows.empty()) return absl::OkStatus();
  StepLedger& ledger = *context_.ledger;
  ledger.in += static_cast<int64_t>(rows.size());
  TM_RETURN_IF_ERROR(stream_keys_.Encode(*batch, &keys_));
  std::vector<TableVersions::Question> questions;
  for (const int32_t row : rows) {
    const auto at = static_cast<size_t>(row);
    if (!none[at]) questions.push_back({.key = keys_[at], .time = as_of[at]});
  }
  TM_RETURN_IF_ERROR(versions_->Find(absl::MakeSpan(questions)));

  std::vector<int32_t> passed, unmatched, found;  // `found`: by row that passes, of the versions' rows; -1: none
  std::vector<std::string_view> versions;
  size_t question = 0;
  for (const int32_t row : rows) {
    const TableVersions::Question* const asked = none[static_cast<size_t>(row)] ? nullptr : &questions[question++];
    if (asked != nullptr && asked->found) {
      passed.push_back(row);
      found.push_back(static_cast<int32_t>(versions.size()));
      versions.push_back(asked->row);
    } else if (spec_.left) {
      passed.push_back(row);
      found.push_back(-1);
    } else {
      unmatched.push_back(row);
    }
  }
  ledger.unmatched += static_cast<int64_t>(unmatched.size());
  if (!unmatched.empty() && spec_.unmatched_topic) {
    TM_RETURN_IF_ERROR(emitter.EmitSide(kUnmatched, TakeRows(batch, unmatched)));
  }
  if (passed.empty()) return absl::OkStatus();
  ledger.passed += static_cast<int64_t>(passed.size());
  ledger.out += static_cast<int64_t>(passed.size());
  const Batch stream = static_cast<int64_t>(passed.size()) == batch->num_rows() ? batch : TakeRows(batch, passed);
  arrow::ArrayVector visible, columns;
  for (size_t c = 0; c < shape_.input.size(); ++c) visible.push_back(stream->column(static_cast<int>(c)));
  if (!spec_.columns.empty()) TM_RETURN_IF_ERROR(columns_codec_.Decode(versions, &columns));
  for (const std::shared_ptr<arrow::Array>& column : columns) {
    if (versions.size() == passed.size()) {
      visible.push_back(column);
      continue;
    }
    TM_ASSIGN_OR_RETURN(auto cells, TakeCells(*column->data(), found));
    visible.push_back(std::move(cells));
  }
  return emitter.Emit(shape_.Assemble(std::move(visible), *stream));
}

// ---- Time

absl::StatusOr<Batch> VersionedJoin::BatchOf(absl::Span<const WaitingRows::Taken> taken) const {
  arrow::ArrayVector columns;
  std::vector<std::string_view> bytes;
  bytes.reserve(taken.size());
  for (const WaitingRows::Taken& each : taken) bytes.push_back(each.bytes);
  TM_RETURN_IF_ERROR(stream_codec_.Decode(bytes, &columns));
  using Row = WaitingRows::Row;
  for (int h = 0; h < kHiddenCount; ++h) {
    const auto hidden = static_cast<Hidden>(h);
    if (!shape_.input_hidden.Has(hidden)) continue;
    switch (hidden) {
      case Hidden::kTime:
        columns.push_back(Numbers(taken, &Row::time, arrow::int64()));
        break;
      case Hidden::kWatermark:
        columns.push_back(Numbers(taken, &Row::watermark, arrow::int64()));
        break;
      case Hidden::kSource:
        columns.push_back(Numbers(taken, &Row::source, arrow::int32()));
        break;
      case Hidden::kPartition:
        columns.push_back(Numbers(taken, &Row::partition, arrow::int32()));
        break;
      case Hidden::kOffset:
        columns.push_back(Numbers(taken, &Row::offset, arrow::int64()));
        break;
      case Hidden::kOp:
        return absl::InternalError("changes in a join with versions");
    }
  }
  return arrow::RecordBatch::Make(BatchSchema(shape_.input, shape_.input_hidden), static_cast<int64_t>(taken.size()),
                                  std::move(columns));
}

absl::Status VersionedJoin::MeetWaiting(EventTime end, Emitter& emitter) {
  std::vector<WaitingRows::Taken> taken;
  std::vector<int64_t> as_of;
  std::vector<int32_t> rows;
  std::vector<uint8_t> none;
  while (!emitter.Full() && waiting_->first() < end) {
    TM_RETURN_IF_ERROR(waiting_->TakeSome(end, kMeetRows, &taken));
    TM_ASSIGN_OR_RETURN(const Batch batch, BatchOf(taken));
    as_of.clear();
    for (const WaitingRows::Taken& each : taken) as_of.push_back(each.as_of);
    rows.resize(taken.size());
    std::iota(rows.begin(), rows.end(), 0);
    none.assign(rows.size(), 0);
    TM_RETURN_IF_ERROR(Meet(batch, rows, as_of.data(), none, emitter));
    waiting_->Drop(taken);
  }
  return absl::OkStatus();
}

absl::StatusOr<EventTime> VersionedJoin::AdvanceWatermark(EventTime time, Emitter& emitter) {
  horizon_.Advance(time);
  TM_RETURN_IF_ERROR(MeetWaiting(horizon_.over(), emitter));
  forgotten_ = std::max(forgotten_, std::min(horizon_.over() - spec_.keep_us, waiting_->first()));
  if (!emitter.Full()) TM_RETURN_IF_ERROR(versions_->Forget(forgotten_));
  output_watermark_ = std::max(output_watermark_, std::min(time, waiting_->hold()));
  return output_watermark_;
}

absl::Status VersionedJoin::PrepareCommit(uint64_t commit, Emitter& /*emitter*/) {
  std::string times;
  let_through_ = std::max(let_through_, output_watermark_);
  for (const int64_t number : {horizon_.time().us, horizon_.under_grace_us(), forgotten_.us, let_through_.us,
                               static_cast<int64_t>(waiting_->next_number()), waiting_->count()}) {
    AppendOrdered(number, &times);
  }
  if (times != stored_) context_.state->Put(kTimes, stored_ = std::move(times));
  TM_RETURN_IF_ERROR(versions_->Commit(commit));
  return waiting_->Commit(commit);
}

bool VersionedJoin::Ahead(size_t input) const {
  const bool much = input == 0 ? waiting_->count() >= kAheadRows : versions_->MemoryBytes() >= kAheadBytes;
  if (!much) return false;
  return reached_[input] > horizon_.time() + (spec_.grace_us + spec_.most_ahead_us() + kAheadUs);
}

int64_t VersionedJoin::MemoryBytes() const { return versions_->MemoryBytes() + waiting_->MemoryBytes(); }

}  // namespace tidemark
