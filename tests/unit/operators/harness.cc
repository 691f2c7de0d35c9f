#include "tests/unit/operators/harness.h"

#include <algorithm>
#include <random>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>
#include <absl/strings/strip.h>
#include <arrow/api.h>
#include <arrow/compute/initialize.h>
#include <gtest/gtest.h>

#include "operators/join/table_snapshot.h"
#include "src/codec/cells.h"

namespace tidemark {
namespace {

class ArrowCompute final : public testing::Environment {
 public:
  void SetUp() override { ASSERT_TRUE(arrow::compute::Initialize().ok()); }
};
[[maybe_unused]] const testing::Environment* const kArrowCompute = testing::AddGlobalTestEnvironment(new ArrowCompute);

template <typename T>
T Value(const Cell& cell) {
  if constexpr (std::is_same_v<T, std::string_view>) {
    return std::get<std::string>(cell);
  } else if constexpr (std::is_same_v<T, double>) {
    return std::get<double>(cell);
  } else {
    return static_cast<T>(std::get<int64_t>(cell));
  }
}

template <typename T>
Cell ToCell(T value) {
  if constexpr (std::is_same_v<T, std::string_view>) {
    return std::string(value);
  } else if constexpr (std::is_same_v<T, double>) {
    return value;
  } else {
    return static_cast<int64_t>(value);
  }
}

template <typename T, typename F>
std::shared_ptr<arrow::Array> HiddenColumn(const std::vector<TestRow>& rows,
                                           const std::shared_ptr<arrow::DataType>& type, F&& get) {
  CellWriter<T> writer(static_cast<int64_t>(rows.size()));
  for (const TestRow& row : rows) writer.Append(static_cast<T>(get(row)));
  return writer.Finish(type).value();
}

std::string CellText(const Cell& cell) {
  if (const auto* i = std::get_if<int64_t>(&cell)) return absl::StrCat(*i);
  if (const auto* d = std::get_if<double>(&cell)) return absl::StrCat(*d);
  if (const auto* s = std::get_if<std::string>(&cell)) return *s;
  return "NULL";
}

}  // namespace

std::string CellsText(const TestRow& row) {
  std::vector<std::string> texts;
  for (const Cell& cell : row.cells) texts.push_back(CellText(cell));
  return absl::StrJoin(texts, "|");
}

std::vector<std::string> CellsText(const std::vector<TestRow>& rows) {
  std::vector<std::string> texts;
  for (const TestRow& row : rows) texts.push_back(CellsText(row));
  return texts;
}

std::string ToString(const TestRow& row) {
  static constexpr const char* kOps[] = {"+", "-before ", "+after ", "-"};
  return absl::StrCat(kOps[static_cast<int>(row.op)], CellsText(row), " @", row.time);
}

Batch ToBatch(const Schema& schema, HiddenSet hidden, const std::vector<TestRow>& rows) {
  std::vector<std::shared_ptr<arrow::Array>> columns;
  for (size_t c = 0; c < schema.size(); ++c) {
    VisitKind(schema[c].type.kind, [&](auto tag) {
      using T = decltype(tag);
      CellWriter<T> writer(static_cast<int64_t>(rows.size()));
      for (const TestRow& row : rows) {
        row.cells[c].index() == 0 ? writer.AppendNull() : writer.Append(Value<T>(row.cells[c]));
      }
      columns.push_back(writer.Finish(ArrowType(schema[c].type)).value());
    });
  }
  const auto int64s = [&](auto get) { columns.push_back(HiddenColumn<int64_t>(rows, arrow::int64(), get)); };
  const auto int32s = [&](auto get) { columns.push_back(HiddenColumn<int32_t>(rows, arrow::int32(), get)); };
  if (hidden.Has(Hidden::kTime)) int64s([](const TestRow& r) { return r.time; });
  if (hidden.Has(Hidden::kWatermark)) int64s([](const TestRow& r) { return r.watermark; });
  if (hidden.Has(Hidden::kSource)) int32s([](const TestRow& r) { return r.source; });
  if (hidden.Has(Hidden::kPartition)) int32s([](const TestRow& r) { return r.partition; });
  if (hidden.Has(Hidden::kOffset)) int64s([](const TestRow& r) { return r.offset; });
  if (hidden.Has(Hidden::kOp)) {
    arrow::Int8Builder ops;
    for (const TestRow& row : rows) EXPECT_TRUE(ops.Append(static_cast<int8_t>(row.op)).ok());
    columns.push_back(ops.Finish().ValueOrDie());
  }
  return arrow::RecordBatch::Make(BatchSchema(schema, hidden), static_cast<int64_t>(rows.size()), std::move(columns));
}

std::vector<TestRow> ToRows(const Schema& schema, HiddenSet hidden, const arrow::RecordBatch& batch) {
  EXPECT_TRUE(batch.schema()->Equals(*BatchSchema(schema, hidden))) << batch.schema()->ToString() << "\nexpected\n"
                                                                    << BatchSchema(schema, hidden)->ToString();
  EXPECT_TRUE(batch.ValidateFull().ok()) << batch.ValidateFull().ToString();
  std::vector<TestRow> rows(batch.num_rows());
  for (size_t c = 0; c < schema.size(); ++c) {
    VisitKind(schema[c].type.kind, [&](auto tag) {
      const Cells<decltype(tag)> cells(*batch.column_data(static_cast<int>(c)));
      for (size_t i = 0; i < rows.size(); ++i) {
        const auto row = static_cast<int64_t>(i);
        rows[i].cells.push_back(cells.IsNull(row) ? Cell() : ToCell(cells[row]));
      }
    });
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    if (const auto* v = HiddenInt64(batch, Hidden::kTime)) rows[i].time = v[i];
    if (const auto* v = HiddenInt64(batch, Hidden::kWatermark)) rows[i].watermark = v[i];
    if (const auto* v = HiddenInt32(batch, Hidden::kSource)) rows[i].source = v[i];
    if (const auto* v = HiddenInt32(batch, Hidden::kPartition)) rows[i].partition = v[i];
    if (const auto* v = HiddenInt64(batch, Hidden::kOffset)) rows[i].offset = v[i];
    if (const auto* v = HiddenOps(batch)) rows[i].op = static_cast<Op>(v[i]);
  }
  return rows;
}

Schema Columns(std::string_view text) {
  Schema schema;
  const std::vector<std::string> parts = absl::StrSplit(absl::string_view(text.data(), text.size()), ", ");
  for (const std::string& part : parts) {
    const std::vector<std::string> words = absl::StrSplit(part, ' ');
    schema.Add({words[0], ParseType(words[1]).value(), words.size() > 2});
  }
  return schema;
}

Node MakeNode(OperatorSpec spec, Schema input, HiddenSet input_hidden, Schema output) {
  Node node;
  node.step = "step";
  node.spec = std::move(spec);
  node.inputs = {{.schema = std::move(input), .hidden = input_hidden}};
  node.output = std::move(output);
  node.hidden = input_hidden;
  return node;
}

HiddenSet AllHidden() {
  return HiddenSet().With(Hidden::kWatermark).With(Hidden::kSource).With(Hidden::kPartition).With(Hidden::kOffset);
}
HiddenSet UpdateHidden() { return HiddenSet().With(Hidden::kOp); }

absl::Status CollectingEmitter::Emit(Batch batch) {
  ++batches;
  std::vector<TestRow> more = ToRows(node_.output, node_.hidden, *batch);
  emitted_since_commit += batch->num_rows();
  rows.insert(rows.end(), more.begin(), more.end());
  return absl::OkStatus();
}

absl::Status CollectingEmitter::EmitSide(std::string_view side, Batch batch) {
  std::vector<TestRow>& to = side.starts_with("late") ? late : unmatched;
  size_t port = 0;
  for (const SideTopic& topic : node_.side_topics) {
    if (topic.name == side) port = topic.port;
  }
  std::vector<TestRow> more = ToRows(node_.in(port).schema, node_.in(port).hidden, *batch);
  to.insert(to.end(), more.begin(), more.end());
  return absl::OkStatus();
}

absl::Status CollectingEmitter::DeadLetter(RowFailure failure) {
  const Batch one = failure.batch->Slice(failure.row, 1);
  HiddenSet hidden = node_.hidden;
  for (const Port& port : node_.inputs) {
    if (failure.batch->schema()->field_names() == BatchSchema(port.schema, port.hidden)->field_names())
      hidden = port.hidden;
  }
  const TestRow row = ToRows(*failure.schema, hidden, *one).at(0);
  failures.push_back(absl::StrCat(failure.expression, ": ", failure.reason, ": ", CellsText(row)));
  return absl::OkStatus();
}

Harness::Harness(Node node, std::map<std::string, std::shared_ptr<const TableSnapshot>> tables, MemoryBudget* memory)
    : node_(std::move(node)), tables_(std::move(tables)), memory_(memory), emitter_(node_) {
  Open();
}

void Harness::Open() {
  auto made = node_.spec.kind().Make(node_);
  ASSERT_TRUE(made.ok()) << made.status();
  operator_ = std::move(made).value();
  OperatorContext context;
  context.state = &store_;
  context.ledger = &ledger_;
  context.table = [](void* owner, std::string_view name) {
    return static_cast<Harness*>(owner)->tables_.at(std::string(name));
  };
  context.table_owner = this;
  context.memory = memory_;
  context.grown_groups = grown_;
  const absl::Status opened = operator_->Open(context);
  ASSERT_TRUE(opened.ok()) << opened;
  told_ = output_watermark_ = kMinTime;
  advance_again_ = true;
}

void Harness::Process(const std::vector<TestRow>& rows, size_t port) {
  const Port& in = node_.in(port);
  const absl::Status status =
      operator_->ProcessBatch(static_cast<int>(port), ToBatch(in.schema, in.hidden, rows), emitter_);
  ASSERT_TRUE(status.ok()) << status;
  if (!emitter_.Full()) return;
  advance_again_ = true;
  Advance(watermark_.us);
}

EventTime Harness::Advance(int64_t watermark) {
  watermark_ = std::max(watermark_, EventTime{watermark});
  do {
    if (emitter_.Full()) Commit();
    if (watermark_ > told_ || advance_again_) {
      told_ = watermark_;
      const absl::StatusOr<EventTime> reached = operator_->AdvanceWatermark(watermark_, emitter_);
      EXPECT_TRUE(reached.ok()) << reached.status();
      EXPECT_LE(*reached, watermark_) << "the output's watermark is ahead of the input's";
      output_watermark_ = *reached;
    }
    advance_again_ = emitter_.Full();
  } while (advance_again_);
  return output_watermark_;
}

void Harness::Feed(const std::vector<TestRow>& rows, size_t batch_size) {
  for (size_t at = 0; at < rows.size(); at += batch_size) {
    const std::vector<TestRow> batch(rows.begin() + static_cast<int64_t>(at),
                                     rows.begin() + static_cast<int64_t>(std::min(at + batch_size, rows.size())));
    Process(batch);
    int64_t watermark = kMinTime.us;
    for (const TestRow& row : batch) watermark = std::max(watermark, row.watermark);
    Advance(watermark);
  }
}

void Harness::FeedWithCrashes(const std::vector<TestRow>& rows, size_t batch_size, uint64_t seed,
                              uint64_t rows_a_commit, uint64_t rows_a_crash) {
  std::mt19937_64 random(seed);
  size_t committed = 0, at = 0;
  while (at < rows.size()) {
    const size_t end = std::min(at + batch_size, rows.size());
    const uint64_t commit = commit_;
    Feed({rows.begin() + static_cast<int64_t>(at), rows.begin() + static_cast<int64_t>(end)}, batch_size);
    at = end;
    if (commit_ != commit) committed = at;  // it was full
    if (random() % rows_a_commit < batch_size) {
      Commit();
      committed = at;
    }
    if (random() % rows_a_crash < batch_size) {
      Crash();
      at = committed;
    }
  }
}

void Harness::Commit() {
  const absl::Status status = operator_->PrepareCommit(++commit_, emitter_);
  ASSERT_TRUE(status.ok()) << status;
  emitter_.emitted_since_commit = emitter_.pending_since_commit = 0;
  store_.Commit();
  committed_ = {emitter_.rows.size(), emitter_.late.size(), emitter_.unmatched.size(), emitter_.failures.size()};
  committed_ledger_ = ledger_;
  committed_watermark_ = watermark_;
}

void Harness::Crash(bool advance) {
  store_.Rollback();
  emitter_.rows.resize(committed_.rows);
  emitter_.late.resize(committed_.late);
  emitter_.unmatched.resize(committed_.unmatched);
  emitter_.failures.resize(committed_.failures);
  emitter_.emitted_since_commit = emitter_.pending_since_commit = 0;
  ledger_ = committed_ledger_;
  watermark_ = committed_watermark_;
  Open();
  if (advance) Advance(watermark_.us);
}

void Harness::GoOnWith(Node node) {
  node_ = std::move(node);
  emitter_.set_node(node_);
  grown_ = true;
  Crash();
}

void Harness::CheckLedger() const {
  const StepLedger& l = ledger_;
  EXPECT_EQ(l.in, l.passed + l.duplicate + l.late + l.filtered + l.unmatched + l.dead_lettered + l.absorbed);
  EXPECT_EQ(l.pairs, l.late_pairs + l.late_after_idle + l.closed + l.open);
  EXPECT_EQ(l.out, static_cast<int64_t>(emitter_.rows.size()));
}

std::map<std::string, std::string> Fold(const std::vector<TestRow>& changes, const std::vector<size_t>& key) {
  std::map<std::string, std::string> stands;
  const auto key_of = [&](const TestRow& row) {
    TestRow keys;
    for (const size_t c : key) keys.cells.push_back(row.cells[c]);
    return CellsText(keys);
  };
  for (size_t i = 0; i < changes.size(); ++i) {
    const TestRow& row = changes[i];
    const std::string name = key_of(row);
    switch (row.op) {
      case Op::kInsert:
        EXPECT_FALSE(stands.contains(name)) << ToString(row);
        break;
      case Op::kUpdateBefore:
        EXPECT_TRUE(i + 1 < changes.size() && changes[i + 1].op == Op::kUpdateAfter && key_of(changes[i + 1]) == name)
            << ToString(row);
        [[fallthrough]];
      case Op::kDelete:
        EXPECT_EQ(stands[name], CellsText(row));
        break;
      case Op::kUpdateAfter:
        EXPECT_TRUE(i > 0 && changes[i - 1].op == Op::kUpdateBefore) << ToString(row);
        break;
    }
    if (row.op == Op::kDelete || row.op == Op::kUpdateBefore) {
      stands.erase(name);
    } else {
      stands[name] = CellsText(row);
    }
  }
  return stands;
}

}  // namespace tidemark
