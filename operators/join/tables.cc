#include "operators/join/tables.h"

#include <algorithm>
#include <utility>

#include <arrow/array/array_base.h>
#include <arrow/array/util.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <glog/logging.h>

#include "src/base/mutation.h"
#include "src/base/status.h"

namespace tidemark {
namespace {

constexpr size_t kEmitRows = 4096;
// Of one batch, which is in one commit.
constexpr int64_t kManyRows = 1'000'000;

std::shared_ptr<arrow::Schema> VisibleSchema(const Schema& schema) {
  const std::shared_ptr<arrow::Schema> with_time = BatchSchema(schema, HiddenSet());
  return with_time->RemoveField(with_time->num_fields() - 1).ValueOrDie();
}

ColumnList PositionsIn(const ColumnList& columns, const ColumnList& all) {
  ColumnList out;
  for (const size_t c : columns) out.push_back(static_cast<size_t>(std::find(all.begin(), all.end(), c) - all.begin()));
  return out;
}

// The rows with a NULL in one of these columns.
void FindNulls(const arrow::RecordBatch& batch, const ColumnList& columns, std::vector<uint8_t>* nulls) {
  nulls->assign(static_cast<size_t>(batch.num_rows()), 0);
  for (const size_t c : columns) {
    const auto array = batch.column(static_cast<int>(c));
    if (array->null_count() == 0) continue;
    for (size_t i = 0; i < nulls->size(); ++i) (*nulls)[i] |= array->IsNull(static_cast<int64_t>(i));
  }
}

}  // namespace

TableJoin::Side::Side(const Node& node, const TableJoinSpec& spec, size_t port)
    : columns(spec.kept(port, node.in(0).schema.size())),
      schema(node.in(port).schema.Select(columns)),
      batch_schema(VisibleSchema(schema)),
      on(spec.on[port]),
      on_kept(PositionsIn(on, columns)),
      told_apart(!spec.key[port].empty()),
      groups(RowCodec::Key(node.in(port).schema, on)),
      keys(RowCodec::Key(node.in(port).schema, spec.key[port])),
      codec(RowCodec::Rows(schema)) {}

TableJoin::TableJoin(const Node& node, const TableJoinSpec& spec)
    : spec_(spec), output_(node), sides_{Side(node, spec, 0), Side(node, spec, 1)} {}

absl::Status TableJoin::Open(const OperatorContext& context) {
  context_ = context;
  for (const size_t s : {0, 1}) {
    TM_RETURN_IF_ERROR(MakeNone(&sides_[s]));
    sides_[s].rows = std::make_unique<TableRows>(context.state, s == 0 ? "l" : "r", context.memory);
    TM_RETURN_IF_ERROR(sides_[s].rows->Load());
  }
  return absl::OkStatus();
}

absl::Status TableJoin::MakeNone(Side* side) {
  arrow::ArrayVector columns;
  for (const Column& column : side->schema.columns()) {
    TM_ASSIGN_OR_RETURN(auto nulls, FromArrow(arrow::MakeArrayOfNull(ArrowType(column.type), 1), "a row of NULLs"));
    columns.push_back(std::move(nulls));
  }
  EncodedKeys none;
  TM_RETURN_IF_ERROR(side->codec.Encode(*arrow::RecordBatch::Make(side->batch_schema, 1, std::move(columns)), &none));
  side->none = none[0];
  if (side->codec.Split(side->none, &side->none_cells)) return absl::OkStatus();
  return absl::InternalError("a row of NULLs can't be read");
}

absl::Status TableJoin::ProcessBatch(int input, const Batch& batch, Emitter& emitter) {
  const int64_t n = batch->num_rows();
  if (n == 0) return absl::OkStatus();
  const auto side = static_cast<size_t>(input);
  gone_ = ByteArena();
  made_of_batch_ = 0;
  Side& own = sides_[side];
  FindNulls(*batch, own.on, &nulls_);
  TM_RETURN_IF_ERROR(own.groups.Encode(*batch, &groups_));
  TM_RETURN_IF_ERROR(own.keys.Encode(*batch, &keys_));
  arrow::ArrayVector columns;
  for (const size_t c : own.columns) columns.push_back(batch->column(static_cast<int>(c)));
  TM_RETURN_IF_ERROR(own.codec.Encode(*arrow::RecordBatch::Make(own.batch_schema, n, std::move(columns)), &encoded_));
  std::vector<std::string_view> groups;
  for (int64_t i = 0; i < n; ++i) groups.push_back(groups_[static_cast<size_t>(i)]);
  for (const Side& s : sides_) TM_RETURN_IF_ERROR(s.rows->Fetch(groups));

  const int64_t* times = HiddenInt64(*batch, Hidden::kTime);
  const int8_t* ops = HiddenOps(*batch);
  // The two halves of an update that stays where it is.
  const auto update = [&](int64_t i) {
    if (i < 0 || i + 1 >= n) return false;
    const auto at = static_cast<size_t>(i);
    return static_cast<Op>(ops[i]) == Op::kUpdateBefore && static_cast<Op>(ops[i + 1]) == Op::kUpdateAfter &&
           groups_[at] == groups_[at + 1] && keys_[at] == keys_[at + 1];
  };
  const auto row_at = [&](int64_t i) {
    return Row{keys_[static_cast<size_t>(i)], encoded_[static_cast<size_t>(i)], times[i]};
  };
  StepLedger& ledger = *context_.ledger;
  ledger.in += n;
  for (int64_t i = 0; i < n; ++i) {
    const bool alone = nulls_[static_cast<size_t>(i)] != 0, goes = IsRetraction(ops, i);
    (!alone ? ledger.absorbed : spec_.outer[side] ? ledger.passed : ledger.unmatched) += 1;
    if (goes && update(i)) continue;  // with the row after
    const Row row = row_at(i);
    if (!alone) {
      TM_RETURN_IF_ERROR(Change(side, groups_[static_cast<size_t>(i)], !goes, row, emitter));
    } else if (spec_.outer[side]) {
      const bool second = !goes && update(i - 1);
      const Row before = row_at(second ? i - 1 : i);
      const Exchange exchange{.side = side, .old = goes || second ? &before : nullptr, .now = goes ? nullptr : &row};
      TM_RETURN_IF_ERROR(MeetNone(exchange, emitter));
    }
  }
  return Flush(emitter);
}

absl::Status TableJoin::Change(size_t side, std::string_view group, bool comes, const Row& row, Emitter& emitter) {
  TableRows& own = *sides_[side].rows;
  Row before;
  TM_ASSIGN_OR_RETURN(const bool known, own.Find(group, row.key, &before));
  if (comes ? known && before.row == row.row : !known) return absl::OkStatus();
  const char* const bytes = known ? gone_.Add(before.row) : nullptr;
  const Row old{row.key, {bytes, known ? before.row.size() : 0}, before.time};
  TM_ASSIGN_OR_RETURN(const int64_t others_of_key, own.Count(group));
  const bool last = others_of_key == (known ? 1 : 0);  // there is, or was, no row of this side but this one
  Exchange exchange{.side = side,
                    .old = known ? &old : nullptr,
                    .now = comes ? &row : nullptr,
                    .alone_before = !known && last && spec_.outer[1 - side],
                    .alone_after = !comes && last && spec_.outer[1 - side]};
  bool any = false;
  TM_RETURN_IF_ERROR(sides_[1 - side].rows->Visit(group, [&](const Row& other) {
    if (std::exchange(any, true) && MutationActive(Mutation::kMatchesNotTakenBack)) exchange.old = nullptr;
    return Meet(exchange, other, emitter);
  }));
  if (!any && spec_.outer[side]) TM_RETURN_IF_ERROR(MeetNone(exchange, emitter));
  return comes ? own.Put(group, row) : own.Erase(group, row.key);
}

absl::Status TableJoin::Meet(const Exchange& exchange, const Row& other, Emitter& emitter) {
  const auto joined = [&](const Row* row) { return exchange.side == 0 ? Joined{row, &other} : Joined{&other, row}; };
  std::optional<Joined> goes, comes;
  if (exchange.old != nullptr || exchange.alone_before) goes = joined(exchange.old);
  if (exchange.now != nullptr || exchange.alone_after) comes = joined(exchange.now);
  // A row that stood alone, or will, has NULLs for what tells the rows of this side apart.
  const bool same_key = (exchange.old != nullptr && exchange.now != nullptr) || !sides_[exchange.side].told_apart;
  return Replace(goes, comes, same_key, emitter);
}

absl::Status TableJoin::MeetNone(const Exchange& exchange, Emitter& emitter) {
  const auto joined = [&](const Row* row) -> std::optional<Joined> {
    if (row == nullptr) return std::nullopt;
    return exchange.side == 0 ? Joined{row, nullptr} : Joined{nullptr, row};
  };
  return Replace(joined(exchange.old), joined(exchange.now), true, emitter);
}

absl::Status TableJoin::Replace(const std::optional<Joined>& goes, const std::optional<Joined>& comes, bool same_key,
                                Emitter& emitter) {
  if (pending_.ops.size() >= kEmitRows) TM_RETURN_IF_ERROR(Flush(emitter));
  const bool pair = goes && comes && same_key;
  if (goes) TM_RETURN_IF_ERROR(Add(pair ? Op::kUpdateBefore : Op::kDelete, *goes));
  if (comes) TM_RETURN_IF_ERROR(Add(pair ? Op::kUpdateAfter : Op::kInsert, *comes));
  if (pair && LastTwoAreEqual()) pending_.Shrink(pending_.ops.size() - 2);
  return absl::OkStatus();
}

// As where what is kept of the right has NULLs alone, or differs in columns that don't come out.
bool TableJoin::LastTwoAreEqual() {
  const size_t n = pending_.ops.size();
  const auto& [left, right] = pending_.sides;
  if (pending_.times[n - 1] != pending_.times[n - 2] || left[n - 1] != left[n - 2]) return false;
  const RowCodec& codec = sides_[1].codec;
  if (!codec.Split(right[n - 1], &cells_) || !codec.Split(right[n - 2], &other_cells_)) return false;
  const auto columns = static_cast<std::ptrdiff_t>(spec_.columns.size());
  return std::equal(cells_.begin(), cells_.begin() + columns, other_cells_.begin());
}

// Without a left row the columns of `on` hold the right one's.
absl::Status TableJoin::Add(Op op, const Joined& row) {
  const auto [left, right] = row;
  if (left != nullptr) {
    pending_.sides[0].push_back(left->row);
  } else {
    std::vector<std::string_view> cells = sides_[0].none_cells, of_right;
    if (!sides_[1].codec.Split(right->row, &of_right)) {
      return absl::DataLossError("a row of a joined table in the state can't be read");
    }
    for (size_t i = 0; i < sides_[0].on.size(); ++i) cells[sides_[0].on_kept[i]] = of_right[sides_[1].on_kept[i]];
    std::string& made = pending_.made.emplace_back();
    for (const std::string_view cell : cells) made.append(cell);
    pending_.sides[0].push_back(made);
  }
  pending_.sides[1].push_back(right != nullptr ? right->row : sides_[1].none);
  pending_.ops.push_back(static_cast<int8_t>(op));
  pending_.times.push_back(std::max(left != nullptr ? left->time : right->time,  //
                                    right != nullptr ? right->time : left->time));
  return absl::OkStatus();
}

absl::Status TableJoin::Flush(Emitter& emitter) {
  const auto rows = static_cast<int64_t>(pending_.ops.size());
  if (rows > 0) {
    std::array<arrow::ArrayVector, 2> of;
    for (const size_t s : {0, 1}) TM_RETURN_IF_ERROR(sides_[s].codec.Decode(pending_.sides[s], &of[s]));
    arrow::ArrayVector visible = std::move(of[0]);
    visible.insert(visible.end(), of[1].begin(), of[1].begin() + static_cast<std::ptrdiff_t>(spec_.columns.size()));
    HiddenValues hidden;
    hidden.times = std::move(pending_.times);
    hidden.ops = std::move(pending_.ops);
    context_.ledger->out += rows;
    made_of_batch_ += rows;
    if (made_of_batch_ >= kManyRows && emitter.Full()) {
      LOG_EVERY_T(WARNING, 10) << "step " << name() << ": some changed rows match so many others that "
                               << made_of_batch_
                               << " rows go out in one commit, which Kafka ends after ten seconds: if it fails again "
                                  "and again, join by further columns";
    }
    TM_RETURN_IF_ERROR(emitter.Emit(MakeBatch(output_, std::move(visible), hidden)));
  }
  pending_.Shrink(0);
  pending_.made.clear();
  return absl::OkStatus();
}

absl::Status TableJoin::PrepareCommit(uint64_t commit, Emitter& /*emitter*/) {
  for (Side& side : sides_) TM_RETURN_IF_ERROR(side.rows->Commit(commit));
  return absl::OkStatus();
}

int64_t TableJoin::MemoryBytes() const { return sides_[0].rows->MemoryBytes() + sides_[1].rows->MemoryBytes(); }

}  // namespace tidemark
