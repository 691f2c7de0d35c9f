#include "operators/batch/batch.h"

#include <algorithm>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include <absl/container/btree_map.h>
#include <absl/strings/str_cat.h>
#include <arrow/array/array_base.h>
#include <arrow/array/data.h>
#include <arrow/array/util.h>
#include <arrow/buffer.h>
#include <arrow/type.h>
#include <glog/logging.h>

#include "operators/batch/kept.h"
#include "operators/step.h"
#include "src/base/status.h"
#include "src/codec/cells.h"
#include "src/codec/json/value_writer.h"
#include "src/codec/row_codec.h"
#include "src/expr/expression.h"

namespace tidemark {
namespace {

using Batches = KeptBatches;
using Phase = KeptBatches::Phase;

// A row and its batch's key must fit values and keys of the state, with what stands beside them.
constexpr size_t kMaxRowBytes = kMaxValueBytes - 1024;
constexpr size_t kMaxKeyBytes = 32 << 10;
// Makes any commit due at once, and has time advanced behind it.
constexpr int64_t kEndsTheCommit = int64_t{1} << 40;

// What a row says about its batch.
struct Said {
  int64_t expected = -1;  // -1: nothing
  std::string refused;    // the row belongs to no batch, because of this
  int rule = -1;          // the first that it breaks
  std::string error;      // why that one can't be computed; "": it isn't true
};

template <typename T>
std::shared_ptr<arrow::Array> Numbers(const std::vector<Batches::Row>& rows, T Batches::Hidden::* member,
                                      const std::shared_ptr<arrow::DataType>& type) {
  std::vector<T> values;
  values.reserve(rows.size());
  for (const Batches::Row& row : rows) values.push_back(row.hidden.*member);
  const auto size = static_cast<int64_t>(values.size());
  return arrow::MakeArray(arrow::ArrayData::Make(type, size, {nullptr, arrow::Buffer::FromVector(std::move(values))}));
}

class BatchStep final : public Operator {
 public:
  BatchStep(const Node& node, const BatchSpec& spec, Expression expected, std::vector<Expression> rules)
      : shape_(node),
        spec_(spec),
        expected_(std::move(expected)),
        rules_(std::move(rules)),
        key_codec_(RowCodec::Key(node.output, spec.by)),
        row_codec_(RowCodec::Rows(node.output)) {
    for (const size_t c : spec.by) key_schema_.Add(node.output[c]);
  }

  std::string_view name() const override { return shape_.name; }
  absl::Status Open(const OperatorContext& context) override;
  absl::Status ProcessBatch(int input, const Batch& batch, Emitter& emitter) override;
  absl::StatusOr<EventTime> AdvanceWatermark(EventTime time, Emitter& emitter) override;
  absl::Status PrepareCommit(uint64_t /*commit*/, Emitter& /*emitter*/) override {
    kept_->Commit();
    released_ = false;
    return absl::OkStatus();
  }
  int64_t MemoryBytes() const override { return kept_ ? kept_->MemoryBytes() : 0; }

 private:
  absl::Status Judge(const Batch& batch, std::vector<Said>* said);
  absl::Status Take(const Batch& batch, int64_t row, const Said& said, Emitter& emitter);
  void Look(Batches::Batch* batch, const Said& said);
  void Reject(Batches::Batch* batch, std::string_view rule, std::string why);
  void Decided(Batches::Batch* batch, Phase phase);
  absl::Status Settle(Emitter& emitter);
  absl::Status Release(Batches::Batch* batch, Emitter& emitter);
  absl::StatusOr<bool> SendAway(Batches::Batch* batch, Emitter& emitter);
  absl::StatusOr<Batch> MakeRows(const std::vector<Batches::Row>& rows) const;
  absl::Status Refuse(const Batch& batch, int64_t row, std::string reason, std::string_view expression,
                      Emitter& emitter, const std::string& rejected = "");
  // When it must be complete.
  int64_t DueUs(const Batches::Batch& batch) const { return batch.n.first_time + spec_.deadline_us; }
  std::string NameOf(const Batches::Batch& batch) const;

  const StepShape shape_;
  const BatchSpec spec_;
  const Expression expected_;
  const std::vector<Expression> rules_;
  const RowCodec key_codec_, row_codec_;
  Schema key_schema_;
  StepLedger* ledger_ = nullptr;
  std::unique_ptr<Batches> kept_;
  absl::btree_map<uint64_t, Batches::Batch*> decided_;  // whose rows are still here, by number
  bool released_ = false;                               // in the commit under way
  EventTime time_ = kMinTime, let_through_ = kMinTime;  // watermarks of the input and the output
  EncodedKeys keys_, rows_;                             // scratch
};

absl::Status BatchStep::Open(const OperatorContext& context) {
  ledger_ = context.ledger;
  kept_ = std::make_unique<Batches>(context.state);
  return kept_->Load([&](Batches::Batch* batch) {
    if (!batch->has_rows()) {
      kept_->SetTimer(batch, DueUs(*batch) + spec_.forget_us);
    } else if (batch->decided()) {
      decided_.emplace(batch->n.number, batch);
    } else {
      kept_->SetTimer(batch, DueUs(*batch));
    }
  });
}

// ---- Rows

absl::Status BatchStep::ProcessBatch(int /*input*/, const Batch& batch, Emitter& emitter) {
  const int64_t n = batch->num_rows();
  if (n == 0) return absl::OkStatus();
  std::vector<Said> said(static_cast<size_t>(n));
  TM_RETURN_IF_ERROR(Judge(batch, &said));
  TM_RETURN_IF_ERROR(key_codec_.Encode(*batch, &keys_));
  TM_RETURN_IF_ERROR(row_codec_.Encode(*batch, &rows_));
  for (int64_t i = 0; i < n; ++i) TM_RETURN_IF_ERROR(Take(batch, i, said[static_cast<size_t>(i)], emitter));
  TM_RETURN_IF_ERROR(Settle(emitter));
  // A batch that has gone held time back, and nothing else need come that would have it looked at.
  if (std::min(time_, kept_->hold()) > let_through_) emitter.AddPending(kEndsTheCommit);
  return absl::OkStatus();
}

absl::Status BatchStep::Judge(const Batch& batch, std::vector<Said>* said) {
  const auto at = [&](int64_t row) -> Said& { return (*said)[static_cast<size_t>(row)]; };
  for (const size_t c : spec_.by) {
    const auto& column = *batch->column(static_cast<int>(c));
    for (int64_t i = 0; column.null_count() > 0 && i < column.length(); ++i) {
      if (column.IsNull(i)) at(i).refused = absl::StrCat("the row is of no batch: ", key_schema_[0].name, " is NULL");
    }
  }
  std::vector<RowError> errors;
  TM_ASSIGN_OR_RETURN(const auto expected, expected_.Evaluate(*batch, &errors));
  const bool wide = expected_.type().kind == Kind::kInt64;
  const Cells<int64_t> wide_cells(*expected->data());
  const Cells<int32_t> cells(*expected->data());
  for (int64_t i = 0; i < batch->num_rows(); ++i) {
    if (!expected->IsNull(i)) at(i).expected = std::max<int64_t>(0, wide ? wide_cells[i] : cells[i]);
  }
  for (RowError& error : errors) at(error.row).refused = std::move(error.message);
  for (size_t r = 0; r < rules_.size(); ++r) {
    errors.clear();
    TM_ASSIGN_OR_RETURN(const auto kept, rules_[r].Evaluate(*batch, &errors));
    const Cells<bool> holds(*kept->data());
    int64_t& count = ledger_->violated[spec_.rules[r].name];
    const auto breaks = [&](int64_t row, std::string error) {
      ++count;
      if (at(row).rule >= 0) return;
      at(row).rule = static_cast<int>(r);
      at(row).error = std::move(error);
    };
    size_t error = 0;
    for (int64_t i = 0; i < batch->num_rows(); ++i) {
      if (error < errors.size() && errors[error].row == i) {
        breaks(i, std::move(errors[error++].message));
      } else if (!holds.IsNull(i) && !holds[i]) {
        breaks(i, "");
      }
    }
  }
  return absl::OkStatus();
}

absl::Status BatchStep::Take(const Batch& batch, int64_t row, const Said& said, Emitter& emitter) {
  const auto i = static_cast<size_t>(row);
  if (!said.refused.empty()) return Refuse(batch, row, said.refused, spec_.expected, emitter);
  if (keys_[i].size() > kMaxKeyBytes || rows_[i].size() > kMaxRowBytes) {
    return Refuse(batch, row,
                  absl::StrCat("a row of ", rows_[i].size(), " bytes is larger than a batch can keep: ", kMaxRowBytes,
                               ", and ", kMaxKeyBytes, " of `by`"),
                  "", emitter);
  }
  Batches::Hidden hidden;
  hidden.time = HiddenInt64(*batch, Hidden::kTime)[row];
  if (const int64_t* watermarks = HiddenInt64(*batch, Hidden::kWatermark)) hidden.watermark = watermarks[row];
  if (const int64_t* offsets = HiddenInt64(*batch, Hidden::kOffset)) hidden.offset = offsets[row];
  if (const int32_t* sources = HiddenInt32(*batch, Hidden::kSource)) hidden.source = sources[row];
  if (const int32_t* partitions = HiddenInt32(*batch, Hidden::kPartition)) hidden.partition = partitions[row];

  Batches::Batch* known = kept_->Find(keys_[i]);
  // By its own watermark, so that it doesn't matter whether time has been advanced yet.
  if (known != nullptr && !known->has_rows() && hidden.watermark >= DueUs(*known) + spec_.forget_us) {
    kept_->Forget(known);
    known = nullptr;
  }
  if (known != nullptr && known->decided()) {
    const bool complete = known->phase() == Phase::kComplete || known->phase() == Phase::kReleased;
    const std::string name = NameOf(*known);
    return Refuse(batch, row,
                  absl::StrCat("the row comes when its batch ", name, " is ",
                               complete ? absl::StrCat("complete, with ", known->n.rows, " rows")
                                        : absl::StrCat("rejected: ", known->why)),
                  "", emitter, complete ? "" : name);
  }
  Batches::Batch* const its = known != nullptr ? known : kept_->Begin(keys_[i]);
  emitter.AddPending(kept_->Append(its, hidden, rows_[i]));
  Look(its, said);
  return absl::OkStatus();
}

// Whether the row that has come decides about its batch.
void BatchStep::Look(Batches::Batch* batch, const Said& said) {
  Batches::Batch::Numbers& n = batch->n;
  if (said.rule >= 0) {
    const BatchSpec::Rule& rule = spec_.rules[static_cast<size_t>(said.rule)];
    return Reject(batch, kRejectedByRule,
                  absl::StrCat("rule ", rule.name, " is broken by row ", n.rows, ": ",
                               said.error.empty() ? absl::StrCat("it is not true that ", rule.that) : said.error));
  }
  if (said.expected >= 0 && n.expected >= 0 && said.expected != n.expected) {
    return Reject(batch, kRejectedByCount,
                  absl::StrCat("its rows say that it has ", n.expected, " rows, and ", said.expected));
  }
  if (said.expected >= 0) n.expected = said.expected;
  if (n.expected >= 0 && n.rows > n.expected) {
    return Reject(batch, kRejectedByCount, absl::StrCat("it expects ", n.expected, " rows, and has ", n.rows));
  }
  if (std::max(n.expected, n.rows) > spec_.max_rows || n.bytes > spec_.max_bytes) {
    return Reject(batch, kRejectedBySize,
                  absl::StrCat("it is larger than ", spec_.max_rows, " rows or ", spec_.max_bytes >> 20,
                               " MiB: ", n.rows, " rows", n.expected < 0 ? "" : absl::StrCat(" of ", n.expected),
                               " have come, of ", n.bytes, " bytes"));
  }
  if (n.rows == n.expected && n.watermark < DueUs(*batch)) return Decided(batch, Phase::kComplete);
  if (n.watermark >= DueUs(*batch)) {
    return Reject(batch, kRejectedByDeadline,
                  absl::StrCat("row ", n.rows, n.expected < 0 ? "" : absl::StrCat(" of ", n.expected),
                               " came after its deadline"));
  }
  kept_->SetTimer(batch, DueUs(*batch));
}

void BatchStep::Reject(Batches::Batch* batch, std::string_view rule, std::string why) {
  batch->why = std::move(why);
  LOG(WARNING) << "step " << shape_.name << ": batch " << NameOf(*batch) << " is rejected, with " << batch->n.rows
               << " rows: " << batch->why;
  ++ledger_->violated[std::string(rule)];
  Decided(batch, Phase::kRejecting);
}

void BatchStep::Decided(Batches::Batch* batch, Phase phase) {
  kept_->SetPhase(batch, phase);
  kept_->SetTimer(batch, kMaxTime.us);
  decided_.emplace(batch->n.number, batch);
}

// `rejected`: the batch that is, of which the row is one; "": none.
absl::Status BatchStep::Refuse(const Batch& batch, int64_t row, std::string reason, std::string_view expression,
                               Emitter& emitter, const std::string& rejected) {
  ++ledger_->in;
  ++ledger_->dead_lettered;
  RowFailure failure{batch, row, &shape_.input, std::string(expression), std::move(reason), ""};
  if (rejected.empty()) return emitter.DeadLetter(std::move(failure));
  return emitter.Reject(std::move(failure), rejected, kRejectedSide);
}

std::string BatchStep::NameOf(const Batches::Batch& batch) const {
  std::vector<std::shared_ptr<arrow::Array>> columns;
  if (!key_codec_.Decode({batch.key}, &columns).ok()) return "?";
  arrow::FieldVector fields;
  for (const Column& column : key_schema_.columns()) fields.push_back(ColumnField(column));
  const auto key = arrow::RecordBatch::Make(arrow::schema(std::move(fields)), 1, std::move(columns));
  return RowToJson(key_schema_, *key, 0).substr(0, 1024);
}

// ---- Time, and what is decided

absl::StatusOr<EventTime> BatchStep::AdvanceWatermark(EventTime time, Emitter& emitter) {
  while (Batches::Batch* const batch = kept_->ExpiredBy(time)) {
    if (batch->decided()) {
      kept_->Forget(batch);
      continue;
    }
    const int64_t expected = batch->n.expected;
    Reject(batch, kRejectedByDeadline,
           absl::StrCat(batch->n.rows, expected < 0 ? "" : absl::StrCat(" of ", expected),
                        " rows had come by its deadline"));
  }
  TM_RETURN_IF_ERROR(Settle(emitter));
  time_ = std::max(time_, time);
  let_through_ = std::max(let_through_, std::min(time, kept_->hold()));
  return let_through_;
}

// Lets out what is decided, as far as the commit under way takes it; whoever finds it full calls again in the next one.
absl::Status BatchStep::Settle(Emitter& emitter) {
  for (auto it = decided_.begin(); it != decided_.end() && !emitter.Full();) {
    Batches::Batch* const batch = it->second;
    if (batch->phase() == Phase::kComplete) {
      if (released_) return absl::OkStatus();
      TM_RETURN_IF_ERROR(Release(batch, emitter));
    } else {
      TM_ASSIGN_OR_RETURN(const bool all, SendAway(batch, emitter));
      if (!all) return absl::OkStatus();
    }
    kept_->SetTimer(batch, DueUs(*batch) + spec_.forget_us);
    it = decided_.erase(it);
  }
  return absl::OkStatus();
}

// All of it, however much that is: this is what makes it whole.
absl::Status BatchStep::Release(Batches::Batch* batch, Emitter& emitter) {
  kept_->CloseChunk(batch);
  std::string bytes;
  std::vector<Batches::Row> rows;
  for (uint32_t chunk = batch->n.first_chunk; chunk < batch->n.chunks; ++chunk) {
    TM_RETURN_IF_ERROR(kept_->ReadChunk(*batch, chunk, &bytes, &rows));
    TM_ASSIGN_OR_RETURN(Batch out, MakeRows(rows));
    ledger_->in += out->num_rows();
    ledger_->passed += out->num_rows();
    ledger_->out += out->num_rows();
    TM_RETURN_IF_ERROR(emitter.Emit(std::move(out)));
  }
  kept_->DropChunksBefore(batch, batch->n.chunks);
  kept_->SetPhase(batch, Phase::kReleased);
  released_ = true;
  emitter.AddPending(kEndsTheCommit);
  return absl::OkStatus();
}

// A chunk at a time; false: the commit takes no more.
absl::StatusOr<bool> BatchStep::SendAway(Batches::Batch* batch, Emitter& emitter) {
  kept_->CloseChunk(batch);
  const std::string name = NameOf(*batch);
  const std::string reason = absl::StrCat("batch ", name, " is rejected: ", batch->why);
  std::string bytes;
  std::vector<Batches::Row> rows;
  while (batch->n.first_chunk < batch->n.chunks) {
    if (emitter.Full()) return false;
    TM_RETURN_IF_ERROR(kept_->ReadChunk(*batch, batch->n.first_chunk, &bytes, &rows));
    TM_ASSIGN_OR_RETURN(const Batch out, MakeRows(rows));
    for (int64_t i = 0; i < out->num_rows(); ++i) TM_RETURN_IF_ERROR(Refuse(out, i, reason, "", emitter, name));
    kept_->DropChunksBefore(batch, batch->n.first_chunk + 1);
  }
  kept_->SetPhase(batch, Phase::kRejected);
  return true;
}

absl::StatusOr<Batch> BatchStep::MakeRows(const std::vector<Batches::Row>& rows) const {
  std::vector<std::shared_ptr<arrow::Array>> columns;
  std::vector<std::string_view> bytes;
  bytes.reserve(rows.size());
  for (const Batches::Row& row : rows) bytes.push_back(row.bytes);
  TM_RETURN_IF_ERROR(row_codec_.Decode(bytes, &columns));
  using Of = Batches::Hidden;
  for (int h = 0; h < kHiddenCount; ++h) {
    const auto hidden = static_cast<Hidden>(h);
    if (!shape_.hidden.Has(hidden)) continue;
    switch (hidden) {
      case Hidden::kTime:
        columns.push_back(Numbers(rows, &Of::time, arrow::int64()));
        break;
      case Hidden::kWatermark:
        columns.push_back(Numbers(rows, &Of::watermark, arrow::int64()));
        break;
      case Hidden::kSource:
        columns.push_back(Numbers(rows, &Of::source, arrow::int32()));
        break;
      case Hidden::kPartition:
        columns.push_back(Numbers(rows, &Of::partition, arrow::int32()));
        break;
      case Hidden::kOffset:
        columns.push_back(Numbers(rows, &Of::offset, arrow::int64()));
        break;
      case Hidden::kOp:
        return absl::InternalError("changes in a batch");
    }
  }
  return arrow::RecordBatch::Make(shape_.batch_schema, static_cast<int64_t>(rows.size()), std::move(columns));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Operator>> MakeBatchStep(const Node& node, const BatchSpec& spec) {
  TM_ASSIGN_OR_RETURN(Expression expected, Expression::Compile(spec.expected, node.in().schema));
  std::vector<Expression> rules;
  for (const BatchSpec::Rule& rule : spec.rules) {
    TM_ASSIGN_OR_RETURN(Expression condition, Expression::Compile(rule.that, node.in().schema));
    rules.push_back(std::move(condition));
  }
  return std::unique_ptr<Operator>(new BatchStep(node, spec, std::move(expected), std::move(rules)));
}

}  // namespace tidemark
