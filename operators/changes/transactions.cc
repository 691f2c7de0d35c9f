#include "operators/changes/transactions.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <arrow/array/array_base.h>
#include <arrow/array/data.h>
#include <arrow/array/util.h>
#include <arrow/buffer.h>
#include <arrow/type.h>
#include <glog/logging.h>

#include "operators/batch/batch.h"
#include "operators/changes/changes.h"
#include "operators/changes/open_transaction.h"
#include "operators/step.h"
#include "src/base/mutation.h"
#include "src/base/status.h"
#include "src/codec/cells.h"
#include "src/codec/debezium/change.h"
#include "src/codec/row_codec.h"

namespace tidemark {
namespace {

constexpr char kSizeRule[] = "transaction-size";
// Makes any commit due at once, and has time advanced behind it.
constexpr int64_t kEndsTheCommit = int64_t{1} << 40;
constexpr Hidden kPlaces[] = {Hidden::kTime, Hidden::kWatermark, Hidden::kSource, Hidden::kPartition, Hidden::kOffset};

bool IsNarrow(Hidden hidden) { return hidden == Hidden::kSource || hidden == Hidden::kPartition; }

// All that a row of the input may have, whichever hidden columns the later steps of this topology ask for.
Schema KeptColumns(const Schema& input) {
  Schema kept = input;
  for (const Hidden hidden : kPlaces) {
    kept.Add({std::string(HiddenName(hidden)), {.kind = IsNarrow(hidden) ? Kind::kInt32 : Kind::kInt64}, false});
  }
  return kept;
}

// Of a row of no place.
std::shared_ptr<arrow::Array> NoPlaces(Hidden hidden, int64_t rows) {
  const auto column = [&](const auto& type, auto value) {
    auto values = arrow::Buffer::FromVector(std::vector<decltype(value)>(static_cast<size_t>(rows), value));
    return arrow::MakeArray(arrow::ArrayData::Make(type, rows, {nullptr, std::move(values)}));
  };
  if (IsNarrow(hidden)) return column(arrow::int32(), int32_t{0});
  return column(arrow::int64(), hidden == Hidden::kOffset ? int64_t{-1} : kMinTime.us);
}

class Transactions final : public Operator {
 public:
  Transactions(const Node& node, const TransactionsSpec& spec)
      : shape_(node),
        change_column_(static_cast<int>(node.output.size())),
        codec_(RowCodec::Rows(KeptColumns(shape_.input))),
        changes_(MakeChanges(node, spec.changes)) {}

  std::string_view name() const override { return shape_.name; }
  absl::Status Open(const OperatorContext& context) override;
  absl::Status ProcessBatch(int input, const Batch& batch, Emitter& emitter) override;
  absl::StatusOr<EventTime> AdvanceWatermark(EventTime time, Emitter& emitter) override;
  absl::Status PrepareCommit(uint64_t commit, Emitter& emitter) override;
  int64_t MemoryBytes() const override {
    return changes_->MemoryBytes() + (open_ != nullptr ? open_->MemoryBytes() : 0);
  }

 private:
  absl::StatusOr<int64_t> ClosedRows(const arrow::RecordBatch& batch) const;
  absl::Status Keep(const Batch& batch, Emitter& emitter);
  absl::Status LetGo(const Batch& like, Emitter& emitter);

  const StepShape shape_;
  const int change_column_;
  const RowCodec codec_;
  const std::unique_ptr<Operator> changes_;
  StepLedger* ledger_ = nullptr;
  std::unique_ptr<OpenTransaction> open_;
  EventTime time_ = kMinTime, let_through_ = kMinTime;  // of the input, and what the changes have been told
  EventTime held_ = kMinTime;  // of the input, when the first of the rows that wait came; after a restart not known
  EncodedKeys encoded_;        // scratch
};

absl::Status Transactions::Open(const OperatorContext& context) {
  ledger_ = context.ledger;
  open_ = std::make_unique<OpenTransaction>(context.state);
  TM_RETURN_IF_ERROR(open_->Load());
  return changes_->Open(context);
}

absl::Status Transactions::ProcessBatch(int /*input*/, const Batch& batch, Emitter& emitter) {
  TM_ASSIGN_OR_RETURN(const int64_t closed, ClosedRows(*batch));
  if (closed > 0) {
    TM_RETURN_IF_ERROR(LetGo(batch, emitter));
    TM_RETURN_IF_ERROR(changes_->ProcessBatch(0, batch->Slice(0, closed), emitter));
  }
  if (closed < batch->num_rows()) return Keep(batch->Slice(closed), emitter);
  // Time has waited, and nothing else need come that would have it looked at.
  if (open_->rows() == 0 && time_ > let_through_) emitter.AddPending(kEndsTheCommit);
  return absl::OkStatus();
}

// How many rows are of transactions whose end is here too.
absl::StatusOr<int64_t> Transactions::ClosedRows(const arrow::RecordBatch& batch) const {
  if (MutationActive(Mutation::kTransactionShownInParts)) return batch.num_rows();
  const Cells<std::string_view> changes(*batch.column_data(change_column_));
  for (int64_t i = batch.num_rows() - 1; i >= 0; --i) {
    std::string_view bytes = changes[i];
    Change change;
    if (!TakeChange(&bytes, &change)) return absl::InternalError("a change that can't be read");
    if (change.ends_transaction || change.ends_resnapshot || change.snapshot) return i + 1;
  }
  return 0;
}

absl::Status Transactions::Keep(const Batch& batch, Emitter& emitter) {
  std::vector<std::shared_ptr<arrow::Array>> columns;
  for (int c = 0; c <= change_column_; ++c) columns.push_back(batch->column(c));
  for (const Hidden hidden : kPlaces) {
    const bool there = shape_.input_hidden.Has(hidden);
    columns.push_back(there ? batch->column(HiddenIndex(shape_.input, shape_.input_hidden, hidden))
                            : NoPlaces(hidden, batch->num_rows()));
  }
  arrow::FieldVector fields;
  for (size_t c = 0; c < columns.size(); ++c) fields.push_back(arrow::field("", columns[c]->type()));
  const auto rows = arrow::RecordBatch::Make(arrow::schema(std::move(fields)), batch->num_rows(), std::move(columns));
  TM_RETURN_IF_ERROR(codec_.Encode(*rows, &encoded_));
  for (int64_t i = 0; i < batch->num_rows(); ++i) {
    if (open_->rows() == 0) held_ = time_;
    open_->Append(encoded_[i]);
    emitter.AddPending(static_cast<int64_t>(encoded_[i].size()));
    if (open_->rows() < kMaxBatchRows && open_->bytes() < kMaxBatchBytes) continue;
    LOG(WARNING) << "source " << shape_.name << ": a transaction of the database is larger than " << kMaxBatchRows
                 << " rows or " << (kMaxBatchBytes >> 20) << " MiB, and is shown in parts of that size";
    ++ledger_->violated[kSizeRule];
    TM_RETURN_IF_ERROR(LetGo(batch, emitter));
  }
  return absl::OkStatus();
}

// What waits goes through as rows of a batch like this one.
absl::Status Transactions::LetGo(const Batch& like, Emitter& emitter) {
  if (open_->rows() == 0) return absl::OkStatus();
  std::string text;
  std::vector<std::string_view> rows;
  TM_RETURN_IF_ERROR(open_->Take(&text, &rows));
  std::vector<std::shared_ptr<arrow::Array>> kept, columns;
  TM_RETURN_IF_ERROR(codec_.Decode(rows, &kept));
  columns.assign(kept.begin(), kept.begin() + change_column_ + 1);
  for (size_t h = 0; h < std::size(kPlaces); ++h) {
    if (shape_.input_hidden.Has(kPlaces[h])) columns.push_back(kept[static_cast<size_t>(change_column_) + 1 + h]);
  }
  const Batch batch = arrow::RecordBatch::Make(like->schema(), static_cast<int64_t>(rows.size()), std::move(columns));
  return changes_->ProcessBatch(0, batch, emitter);
}

absl::StatusOr<EventTime> Transactions::AdvanceWatermark(EventTime time, Emitter& emitter) {
  time_ = std::max(time_, time);
  let_through_ = std::max(let_through_, open_->rows() == 0 ? time_ : held_);
  return changes_->AdvanceWatermark(let_through_, emitter);
}

absl::Status Transactions::PrepareCommit(uint64_t commit, Emitter& emitter) {
  open_->Commit();
  return changes_->PrepareCommit(commit, emitter);
}

}  // namespace

std::unique_ptr<Operator> MakeTransactions(const Node& node, const TransactionsSpec& spec) {
  return std::make_unique<Transactions>(node, spec);
}

}  // namespace tidemark
