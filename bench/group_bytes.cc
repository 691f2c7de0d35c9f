// What one group takes in memory and in state, by what is kept of it: feeds some rows of each of many groups straight
// into an aggregation and prints a JSON line.
//
//     bench_group_bytes --case sessions --groups 500000 --sessions 1
//
// Cases: count, sum, avg_double and variance, over all time and over rows that stand; the same with `_updates` behind,
// over rows that are taken back; sessions (count, sum, max), --sessions N of each group, with --cold 1 after they have
// left memory; windows (the same in one window). --rows N: of each group and session.
//
// `operators` is what the operator itself counts, `rss` what the process has grown by, `state` what is stored before
// LZ4. What two cases differ by is what the one keeps more.
#include <filesystem>
#include <random>
#include <vector>

#include <arrow/api.h>
#include <arrow/compute/initialize.h>

#include "bench/operator_task.h"
#include "operators/step.h"
#include "operators/window/spec.h"

extern "C" {
const char* malloc_conf = "thp:never,dirty_decay_ms:0,muzzy_decay_ms:0";  // so that rss is what is held
}

namespace tidemark {
namespace {

constexpr int64_t kBatchRows = 8192;
constexpr int64_t kGapUs = 60 * kSecond;

struct Case {
  const char* name;
  std::vector<AggregateItem> aggregates;
};

const std::vector<Case>& Cases() {
  static const std::vector<Case> cases = {
      {"count", {{"n", "count(*)"}}},
      {"sum", {{"n", "count(*)"}, {"s", "sum(v)"}}},
      {"avg_double", {{"n", "count(*)"}, {"s", "avg(x)"}}},
      {"variance", {{"n", "count(*)"}, {"s", "variance(x)"}}},
      {"windows", {{"n", "count(*)"}, {"s", "sum(v)"}, {"m", "max(v)"}}},
      {"sessions", {{"n", "count(*)"}, {"s", "sum(v)"}, {"m", "max(v)"}}},
  };
  return cases;
}

Node MakeNode(const Case& of, bool updates) {
  const std::string name = of.name;
  WindowSpec spec;
  spec.on_update = true;
  spec.input_updates = updates;
  spec.group_by = {0};
  spec.aggregates = of.aggregates;
  spec.rows = Schema({{"key", {.kind = Kind::kInt64}, false},
                      {"v", {.kind = Kind::kInt64}, false},
                      {"x", {.kind = Kind::kDouble}, false}});
  Schema output({{"key", {.kind = Kind::kInt64}, false}});
  if (name == "sessions" || name == "windows") {
    spec.on_update = false;
    spec.grace_us = int64_t{1} << 50;  // none is over
    if (name == "sessions") spec.gap_us = kGapUs;
    if (name == "windows") spec.size_us = spec.every_us = int64_t{1} << 50;
    for (const char* column : {"window_start", "window_end"}) output.Add({column, {.kind = Kind::kTimestamp}, false});
  }
  for (const AggregateItem& item : of.aggregates) {
    const bool is_double = item.expression.find("(x)") != std::string::npos;
    output.Add({item.name, {.kind = is_double ? Kind::kDouble : Kind::kInt64}, item.name != "n"});
  }
  Node node;
  node.step = "groups";
  HiddenSet hidden = HiddenSet().With(Hidden::kWatermark);
  node.inputs = {{.schema = spec.rows, .hidden = updates ? hidden.With(Hidden::kOp) : hidden}};
  node.inputs[0].mode.update = updates;
  node.output = output;
  node.hidden = spec.on_update ? HiddenSet().With(Hidden::kOp) : hidden;
  node.mode.update = spec.on_update;
  node.spec = std::move(spec);
  return node;
}

template <typename T, typename Make>
std::shared_ptr<arrow::Array> Column(Make make) {
  using Array = typename arrow::CTypeTraits<T>::ArrayType;
  std::vector<T> values(kBatchRows);
  for (int64_t i = 0; i < kBatchRows; ++i) values[static_cast<size_t>(i)] = make(i);
  return std::make_shared<Array>(kBatchRows, arrow::Buffer::FromVector(std::move(values)));
}

// Rows of the groups from `first` on, scattered over all bigints; amounts of money as values.
Batch RowsOf(const Node& node, int64_t first, int64_t time, std::mt19937_64* random) {
  std::vector<std::shared_ptr<arrow::Array>> columns;
  columns.push_back(Column<int64_t>(
      [&](int64_t i) { return static_cast<int64_t>(static_cast<uint64_t>(first + i) * 0x9E3779B97F4A7C15); }));
  columns.push_back(Column<int64_t>([&](int64_t) { return static_cast<int64_t>((*random)() % 100'000); }));
  columns.push_back(Column<double>([&](int64_t) { return static_cast<double>((*random)() % 100'000) / 100; }));
  const std::shared_ptr<arrow::Schema> schema = BatchSchema(node.in().schema, node.in().hidden);
  for (int c = 3; c < schema->num_fields(); ++c) {
    const std::string& name = schema->field(c)->name();
    if (name == HiddenName(Hidden::kOp)) {
      columns.push_back(Column<int8_t>([](int64_t) { return static_cast<int8_t>(Op::kInsert); }));
    } else {
      columns.push_back(
          Column<int64_t>([&](int64_t) { return name == HiddenName(Hidden::kTime) ? time : kMinTime.us; }));
    }
  }
  return arrow::RecordBatch::Make(schema, kBatchRows, std::move(columns));
}

int Run(const Arguments& arguments) {
  Check(FromArrow(arrow::compute::Initialize(), "arrow"));
  std::string name = arguments.given.contains("case") ? arguments.given.at("case") : "count";
  const bool updates = name.ends_with("_updates");
  if (updates) name.resize(name.size() - std::string_view("_updates").size());
  const Case* of = nullptr;
  for (const Case& each : Cases()) of = each.name == name ? &each : of;
  if (of == nullptr) Fail(absl::InvalidArgumentError("no such case: " + name));
  const int64_t sessions = arguments.Int("sessions", 1), rows = arguments.Int("rows", 1);
  const int64_t batches = arguments.Int("groups", 500'000) / kBatchRows;
  const int64_t groups = batches * kBatchRows;

  std::string folder = (std::filesystem::temp_directory_path() / "group-bytes-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return 1;
  StateOptions options;
  options.application = "bench";
  options.memory_bytes = int64_t{64} << 20;
  auto dir = Check(StateDir::Open(folder, options));
  MemoryBudget none(0, 0);
  const bool cold = arguments.Int("cold", 0) != 0;
  const Node node = MakeNode(*of, updates);
  auto task = std::make_unique<OperatorTask>(dir.get(), node, cold ? &none : nullptr, 0);
  const int64_t empty_kib = Proc("/proc/self/status", "VmRSS");
  std::mt19937_64 random(1);
  for (int64_t session = 0; session < sessions; ++session) {
    for (int64_t batch = 0; batch < batches; ++batch) {  // each group's rows in one commit, so that it is written once
      for (int64_t row = 0; row < rows; ++row) {
        const int64_t time = session * 3 * kGapUs + row * kSecond;
        task->Process(RowsOf(node, batch * kBatchRows, time, &random), EventTime{0});
      }
      if (batch % 2 == 1) task->Commit();
    }
  }
  int64_t before = 0;
  do {  // what leaves memory does so over some commits
    before = task->memory_bytes();
    for (int i = 0; i < 4; ++i) task->Commit();
  } while (task->memory_bytes() < before);
  const auto each = [&](int64_t bytes) { return static_cast<double>(bytes) / static_cast<double>(groups); };
  std::printf(
      "{\"case\": \"%s%s\", \"groups\": %lld, \"sessions\": %lld, \"rows\": %lld, \"cold\": %s, "
      "\"operators\": %.1f, \"rss\": %.1f, \"state\": %.1f}\n",
      of->name, updates ? "_updates" : "", static_cast<long long>(groups), static_cast<long long>(sessions),
      static_cast<long long>(rows), cold ? "true" : "false", each(task->memory_bytes()),
      each((Proc("/proc/self/status", "VmRSS") - empty_kib) << 10), each(task->live_bytes()));
  task.reset();
  dir.reset();
  std::filesystem::remove_all(folder);
  return 0;
}

}  // namespace
}  // namespace tidemark

int main(int argc, char** argv) { return tidemark::Run(tidemark::Arguments(argc, argv)); }
