#include "src/runtime/output.h"

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>
#include <arrow/array/data.h>
#include <arrow/array/util.h>
#include <arrow/buffer.h>
#include <arrow/type.h>

#include "operators/step.h"
#include "src/base/status.h"
#include "src/codec/key_encoder.h"
#include "src/codec/packed_schema.h"
#include "src/runtime/heard.h"

namespace tidemark {
namespace {

bool SameMark(Mark a, Mark b) { return a.watermark == b.watermark && a.idle == b.idle; }

}  // namespace

EdgeOutput::EdgeOutput(const Edge& edge, int32_t partitions, Writer writer, int64_t commit_interval_us,
                       Transaction* transaction, Refuse refuse)
    : edge_(edge),
      schema_(BatchSchema(edge.schema, edge.hidden)),
      writer_stage_(WriterStage(writer.stage)),
      task_partition_(writer.partition),
      task_count_(writer.count),
      // A task tells every target: with many of them less often, so that marks never outweigh rows.
      watermark_interval_us_(std::max<int64_t>(commit_interval_us, int64_t{5} * kMillisecond * partitions)),
      transaction_(transaction),
      refuse_(std::move(refuse)),
      partitions_(partitions),
      packers_(static_cast<size_t>(partitions), RowsPacker(schema_)),
      told_(static_cast<size_t>(partitions)),
      sequences_(static_cast<size_t>(partitions)),
      packed_schema_(PackSchema(*schema_)) {}

void EdgeOutput::Restore(const packed::CommitRecord& record) {
  for (const packed::OutputSequences& saved : record.outputs()) {
    if (saved.topic() != edge_.topic) continue;
    const size_t targets = std::min(sequences_.size(), static_cast<size_t>(saved.sequences_size()));
    std::copy_n(saved.sequences().begin(), targets, sequences_.begin());
  }
  for (const packed::Standing::Edge& saved : record.standing().outputs()) {
    if (saved.topic() != edge_.topic || saved.schemas().empty()) continue;
    named_ = saved.schemas(0).SerializeAsString() == packed_schema_.SerializeAsString();
  }
}

void EdgeOutput::SaveSchema(packed::Standing* standing) const {
  packed::Standing::Edge* out = standing->add_outputs();
  out->set_topic(edge_.topic);
  *out->add_schemas() = packed_schema_;
}

void EdgeOutput::Save(packed::CommitRecord* record) const {
  packed::OutputSequences* out = record->add_outputs();
  out->set_topic(edge_.topic);
  out->mutable_sequences()->Add(sequences_.begin(), sequences_.end());
}

// A step's rows may carry hidden columns that nobody behind this edge needs.
absl::StatusOr<Batch> EdgeOutput::Project(const Batch& rows) {
  if (columns_.empty()) {
    for (const auto& field : schema_->fields()) {
      const int at = rows->schema()->GetFieldIndex(field->name());
      if (at < 0) return absl::InternalError(absl::StrCat(edge_.topic, ": rows without column ", field->name()));
      columns_.push_back(at);
    }
  }
  arrow::ArrayVector arrays;
  arrays.reserve(columns_.size());
  for (const int at : columns_) arrays.push_back(rows->column(at));
  return arrow::RecordBatch::Make(schema_, rows->num_rows(), std::move(arrays));
}

absl::Status EdgeOutput::Write(const Batch& all) {
  TM_ASSIGN_OR_RETURN(const Batch rows, Project(all));
  const auto too_large = packers_.front().TooLarge(*rows);
  if (too_large.empty() || refuse_ == nullptr) return Pack(rows);
  const int8_t* ops = edge_.update ? HiddenOps(*rows) : nullptr;
  std::vector<uint8_t> keep(static_cast<size_t>(rows->num_rows()), 1);
  for (const auto& [row, bytes] : too_large) {
    keep[static_cast<size_t>(row)] = 0;
    if (IsRetraction(ops, row)) continue;  // that row was refused when it came
    TM_RETURN_IF_ERROR(refuse_({.batch = rows,
                                .row = row,
                                .schema = &edge_.schema,
                                .expression = "",
                                .reason = absl::StrCat("a row of ", bytes, " bytes is larger than internal topic ",
                                                       edge_.topic, " takes: ", kMaxPackedRow, " with its header")}));
  }
  const Selection rest(keep, ops);
  return rest.size() > 0 ? Pack(rest.Apply(rows)) : absl::OkStatus();
}

// The rows with other operations where the halves of an update differ in the edge's key (hashes_).
absl::StatusOr<Batch> EdgeOutput::PartPairs(const Batch& rows) {
  const int8_t* ops = edge_.update ? HiddenOps(*rows) : nullptr;
  const size_t n = ops != nullptr ? hashes_.size() : 0;
  std::vector<int8_t> parted;
  const auto is = [&](size_t i, Op op) { return static_cast<Op>(ops[i]) == op; };
  for (size_t i = 0; i < n; ++i) {
    const bool alone =
        (is(i, Op::kUpdateBefore) && !(i + 1 < n && is(i + 1, Op::kUpdateAfter) && hashes_[i + 1] == hashes_[i])) ||
        (is(i, Op::kUpdateAfter) && !(i > 0 && is(i - 1, Op::kUpdateBefore) && hashes_[i - 1] == hashes_[i]));
    if (!alone) continue;
    if (parted.empty()) parted.assign(ops, ops + n);
    parted[i] = static_cast<int8_t>(is(i, Op::kUpdateBefore) ? Op::kDelete : Op::kInsert);
  }
  if (parted.empty()) return rows;
  auto column = arrow::MakeArray(arrow::ArrayData::Make(arrow::int8(), static_cast<int64_t>(n),
                                                        {nullptr, arrow::Buffer::FromVector(std::move(parted))}, 0));
  const int at = rows->schema()->GetFieldIndex(std::string(HiddenName(Hidden::kOp)));
  return FromArrow(rows->SetColumn(at, HiddenField(Hidden::kOp), std::move(column)), "the operations of moved rows");
}

absl::Status EdgeOutput::Pack(const Batch& all) {
  Batch rows = all;
  rows_ += rows->num_rows();
  transaction_->AddPending(BatchBytes(*rows));
  if (!edge_.key.empty() && (partitions_ > 1 || edge_.update)) {
    TM_RETURN_IF_ERROR(HashKeys(*rows, edge_.key, &hashes_));
    TM_ASSIGN_OR_RETURN(rows, PartPairs(rows));
  }
  if (edge_.key.empty() || partitions_ == 1) {
    targets_.assign(static_cast<size_t>(rows->num_rows()), task_partition_ % partitions_);
  } else {
    targets_.resize(hashes_.size());
    for (size_t i = 0; i < hashes_.size(); ++i) {
      targets_[i] = static_cast<int32_t>(hashes_[i] % static_cast<uint64_t>(partitions_));
    }
  }
  SplitByTarget(targets_, partitions_, &by_target_);
  for (size_t target = 0; target < packers_.size(); ++target) {
    TM_RETURN_IF_ERROR(packers_[target].Append(*rows, by_target_.of(target)));
  }
  return absl::OkStatus();
}

absl::Status EdgeOutput::PrepareCommit(uint64_t commit, Mark mark, int64_t monotonic_us) {
  const bool tell_all = IntervalPassed(monotonic_us);
  if (tell_all) last_marks_us_ = monotonic_us;
  packed::RowsHeader header;
  header.set_upstream_partition(task_partition_);
  header.set_upstream_count(task_count_);
  header.set_watermark_us(mark.watermark.us);
  header.set_idle(mark.idle);
  header.set_commit(commit);
  header.set_writer_stage(writer_stage_);
  std::vector<std::string> values;
  std::vector<OutRecord> records;
  bool all_named = true;
  for (size_t target = 0; target < packers_.size(); ++target) {
    const bool nothing = packers_[target].empty() && (!tell_all || SameMark(told_[target], mark));
    if (nothing && (named_ || told_before_)) {
      all_named = named_;
      continue;
    }
    values.clear();
    header.set_sequence(sequences_[target] + 1);
    if (!named_) *header.mutable_schema() = packed_schema_;
    packers_[target].Finish(header, &values);
    sequences_[target] += values.size();
    records.clear();
    for (const std::string& value : values) {
      records.push_back({static_cast<int32_t>(target), std::nullopt, value, nullptr});
    }
    TM_RETURN_IF_ERROR(transaction_->Produce(edge_.topic, records));
    told_[target] = mark;
  }
  named_ = all_named;
  return absl::OkStatus();
}

void EdgeOutput::AssumeTold(Mark mark) {
  told_.assign(told_.size(), mark);
  told_before_ = true;
}

bool EdgeOutput::OwesMark(Mark mark, int64_t monotonic_us) const {
  return IntervalPassed(monotonic_us) && Untold(mark);
}

bool EdgeOutput::Untold(Mark mark) const {
  return std::any_of(told_.begin(), told_.end(), [&](Mark told) { return !SameMark(told, mark); });
}

}  // namespace tidemark
