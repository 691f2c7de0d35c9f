// What a join of streams costs in memory, CPU and disk where it keeps many rows: feeds rows straight into an inner join
// by a bigint over an interval so long that none of them is ever over, as several tasks of one process would, and
// prints a JSON line every tenth of the way.
//
//     bench_join_memory --rows 50000000 --tasks 4 --memory_mib 512 --folder DIR
//
// Half of the rows are of the left, each of a key of its own; the other half are of the right, each of the key of a
// left row that came `--lag` rows earlier (of the right as of the left; 10% of all rows unless said otherwise), so that
// it meets exactly that one. --memory_mib 0: no budget, all rows stay in memory. `cpu_ns_row` is of the rows since the
// line before, RocksDB's threads included and the making of the rows left out.
//
// The results are checked: every pair is hashed, and the sum must be that of the pairs there should be: `right`.
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <vector>

#include <arrow/api.h>
#include <arrow/compute/initialize.h>

#include "bench/operator_task.h"
#include "operators/join/streams_spec.h"

extern "C" {
const char* malloc_conf = "thp:always,dirty_decay_ms:1000,muzzy_decay_ms:0";  // as in src/main.cc
}

namespace tidemark {
namespace {

constexpr int64_t kBatchRows = 8192;

uint64_t HashPair(int64_t key, int64_t left, int64_t right) {
  const std::array<int64_t, 3> row = {key, left, right};
  return XXH3_64bits(row.data(), sizeof(row));
}

class HashingEmitter final : public Emitter {
 public:
  absl::Status Emit(Batch batch) override {
    const auto column = [&](int c) { return batch->column_data(c)->GetValues<int64_t>(1); };
    const int64_t *keys = column(0), *left = column(1), *right = column(2);
    for (int64_t i = 0; i < batch->num_rows(); ++i) sum += HashPair(keys[i], left[i], right[i]);
    pairs += batch->num_rows();
    return absl::OkStatus();
  }
  absl::Status EmitSide(std::string_view, Batch) override { return absl::OkStatus(); }
  absl::Status DeadLetter(RowFailure) override { return absl::OkStatus(); }
  bool Full() const override { return false; }

  uint64_t sum = 0;
  int64_t pairs = 0;
};

Node MakeNode() {
  StreamJoinSpec spec;
  spec.on = {ColumnList{0}, ColumnList{0}};
  spec.before_us = spec.after_us = int64_t{3'000'000} * kSecond;
  spec.columns = {1};
  Node node;
  node.step = "join";
  const Schema rows = Schema({{"key", {.kind = Kind::kInt64}, false}, {"v", {.kind = Kind::kInt64}, false}});
  node.inputs = {{.schema = rows, .hidden = HiddenSet().With(Hidden::kWatermark)},
                 {.schema = rows, .hidden = HiddenSet().With(Hidden::kWatermark)}};
  node.output = Schema({{"key", {.kind = Kind::kInt64}, false},
                        {"v", {.kind = Kind::kInt64}, false},
                        {"w", {.kind = Kind::kInt64}, false}});
  node.spec = std::move(spec);
  return node;
}

// Keys are scattered over all bigints.
int64_t Key(int32_t task, int64_t number) {
  return static_cast<int64_t>((static_cast<uint64_t>(number) * 64 + static_cast<uint64_t>(task)) * 0x9E3779B97F4A7C15);
}

// Rows of the numbers from `first` on; negative ones meet nothing.
Batch ToBatch(const std::shared_ptr<arrow::Schema>& schema, int32_t task, int64_t first, int64_t value, int64_t time) {
  std::vector<int64_t> keys(kBatchRows), values(kBatchRows), times(kBatchRows, time);
  for (int64_t i = 0; i < kBatchRows; ++i) {
    keys[i] = Key(task, first + i);
    values[i] = first + i + value;
  }
  std::vector<std::shared_ptr<arrow::Array>> columns;
  for (std::vector<int64_t>* column : {&keys, &values, &times, &times}) {
    columns.push_back(std::make_shared<arrow::Int64Array>(kBatchRows, arrow::Buffer::FromVector(std::vector(*column))));
  }
  return arrow::RecordBatch::Make(schema, kBatchRows, std::move(columns));
}

int Run(const Arguments& arguments) {
  Check(FromArrow(arrow::compute::Initialize(), "arrow"));
  const int64_t rows_wanted = arguments.Int("rows", 50'000'000);
  const int64_t memory_bytes = arguments.Int("memory_mib", 512) << 20;
  const auto tasks_wanted = static_cast<int32_t>(arguments.Int("tasks", 4));
  const int64_t commit_batches = arguments.Int("commit_batches", 4);
  const int64_t lag = arguments.Int("lag", rows_wanted / 10) / (2 * tasks_wanted) / kBatchRows * kBatchRows;
  std::string folder = arguments.given.contains("folder") ? arguments.given.at("folder") : "";
  std::string scratch;
  if (folder.empty()) {
    scratch = (std::filesystem::temp_directory_path() / "join-memory-XXXXXX").string();
    folder = mkdtemp(scratch.data());
  }
  const int64_t state_bytes = memory_bytes > 0 ? memory_bytes : int64_t{512} << 20;
  StateOptions options;
  options.application = "bench";
  options.memory_bytes = state_bytes / 8;  // as in src/runtime/worker.cc
  options.flush_bytes = std::min(options.flush_bytes, state_bytes / 64);
  auto dir = Check(StateDir::Open(folder, options));
  MemoryBudget budget(memory_bytes / 8 * 3);
  MemoryBudget* const memory = memory_bytes > 0 ? &budget : nullptr;
  const Node node = MakeNode();
  const auto schema = BatchSchema(node.in().schema, node.in().hidden);
  HashingEmitter emitter;
  std::vector<std::unique_ptr<OperatorTask>> tasks;
  const auto open = [&] {
    for (int32_t t = 0; t < tasks_wanted; ++t) {
      tasks.push_back(std::make_unique<OperatorTask>(dir.get(), node, memory, t, &emitter));
    }
  };
  open();
  int64_t making_ns = 0, last_cpu = 0, last_rows = 0, fed = 0, batches = 0, next_line = rows_wanted / 10;
  const auto total = [&](auto of) {
    int64_t sum = 0;
    for (const auto& task : tasks) sum += of(*task);
    return sum;
  };
  const auto mib = [](int64_t bytes) { return static_cast<long long>(bytes >> 20); };
  while (fed < rows_wanted) {
    const int64_t first = batches++ * kBatchRows;
    for (int32_t t = 0; t < tasks_wanted; ++t) {
      const int64_t before = CpuNs(CLOCK_THREAD_CPUTIME_ID);
      const Batch left = ToBatch(schema, t, first, 0, batches * kSecond);
      const Batch right = ToBatch(schema, t, first - lag, 7, batches * kSecond);
      making_ns += CpuNs(CLOCK_THREAD_CPUTIME_ID) - before;
      tasks[t]->Process(left, EventTime{batches * kSecond}, 0);
      tasks[t]->Process(right, EventTime{batches * kSecond}, 1);
      if (batches % commit_batches == 0) tasks[t]->Commit();
      fed += 2 * kBatchRows;
    }
    if (fed < next_line) continue;
    next_line += rows_wanted / 10;
    const int64_t cpu = CpuNs(CLOCK_PROCESS_CPUTIME_ID) - making_ns;
    std::printf(
        "{\"rows\": %lld, \"cpu_ns_row\": %.0f, \"vm_rss_mib\": %lld, \"vm_hwm_mib\": %lld, \"operators_mib\": %lld, "
        "\"state_mib\": %lld, \"changelog_bytes_row\": %.1f, \"disk_read_mib\": %lld, \"disk_written_mib\": %lld}\n",
        static_cast<long long>(fed), static_cast<double>(cpu - last_cpu) / static_cast<double>(fed - last_rows),
        static_cast<long long>(Proc("/proc/self/status", "VmRSS") >> 10),
        static_cast<long long>(Proc("/proc/self/status", "VmHWM") >> 10),
        mib(total([](const OperatorTask& task) { return task.memory_bytes(); })),
        mib(total([](const OperatorTask& task) { return task.live_bytes(); })),
        static_cast<double>(total([](const OperatorTask& task) { return task.changelog_bytes(); })) /
            static_cast<double>(fed),
        mib(Proc("/proc/self/io", "read_bytes")), mib(Proc("/proc/self/io", "write_bytes")));
    std::fflush(stdout);
    last_cpu = cpu;
    last_rows = fed;
  }
  for (auto& task : tasks) task->Commit();
  tasks.clear();
  const int64_t opening = CpuNs(CLOCK_MONOTONIC), opening_cpu = CpuNs(CLOCK_THREAD_CPUTIME_ID);
  open();
  std::printf("{\"open_s\": %.2f, \"open_cpu_s\": %.2f, \"operators_mib\": %lld, \"vm_hwm_mib\": %lld}\n",
              static_cast<double>(CpuNs(CLOCK_MONOTONIC) - opening) / 1e9,
              static_cast<double>(CpuNs(CLOCK_THREAD_CPUTIME_ID) - opening_cpu) / 1e9,
              mib(total([](const OperatorTask& task) { return task.memory_bytes(); })),
              static_cast<long long>(Proc("/proc/self/status", "VmHWM") >> 10));
  tasks.clear();
  dir.reset();
  if (!scratch.empty()) std::filesystem::remove_all(scratch);
  uint64_t expected = 0;
  int64_t pairs = 0;
  for (int32_t t = 0; t < tasks_wanted; ++t) {
    for (int64_t number = 0; number < batches * kBatchRows - lag; ++number, ++pairs) {
      expected += HashPair(Key(t, number), number, number + 7);
    }
  }
  const bool right = expected == emitter.sum && pairs == emitter.pairs;
  std::printf("{\"rows\": %lld, \"pairs\": %lld, \"right\": %s}\n", static_cast<long long>(fed),
              static_cast<long long>(emitter.pairs), right ? "true" : "false");
  return right ? 0 : 1;
}

}  // namespace
}  // namespace tidemark

int main(int argc, char** argv) { return tidemark::Run(tidemark::Arguments(argc, argv)); }
