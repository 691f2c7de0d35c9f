// What dedup of many ids costs in memory, CPU and disk reads: feeds ids straight into DedupFirst over the state layer
// of a worker, as several tasks of one process would, and prints a JSON line every tenth of the way.
//
//     bench_dedup_memory --ids 100000000 --tasks 4 --memory_mib 512 --folder DIR
//
// --last 1: keep the last row instead, so that every row waits until its key's time is over.
//
// Five rows in a hundred repeat an id drawn from all before (--recent N: from the last N). `cpu_ns_row` is of the rows
// since the line before, RocksDB's threads included and the making of the rows left out; `wrong` is the number of rows
// that passed beyond one an id, and must be 0.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <arrow/api.h>
#include <arrow/compute/initialize.h>

#include "bench/operator_task.h"
#include "operators/dedup/spec.h"
#include "src/base/batch.h"
#include "src/base/memory_budget.h"
#include "src/base/status.h"
#include "state/task_state.h"

extern "C" {
const char* malloc_conf = "thp:always,dirty_decay_ms:1000,muzzy_decay_ms:0";  // as in src/main.cc
}

namespace tidemark {
namespace {

constexpr int64_t kBatchRows = 8192;
constexpr int64_t kRowUs = 10;  // of event time

Node MakeNode(int64_t within_us, bool keep_last) {
  Node node;
  node.step = "unique";
  node.spec = DedupSpec{.by = {0}, .within_us = within_us, .grace_us = 10 * kSecond, .keep_last = keep_last};
  node.output = Schema({{"id", {.kind = Kind::kInt64}, false}});
  node.hidden = HiddenSet().With(Hidden::kWatermark);
  node.inputs = {{.schema = node.output, .hidden = node.hidden}};
  return node;
}

// Rows in the order of time; ids are numbers in the order of their first row.
class Rows {
 public:
  Rows(int64_t recent, std::shared_ptr<arrow::Schema> schema) : recent_(recent), schema_(std::move(schema)) {}
  Batch Next() {
    std::vector<int64_t> ids(kBatchRows), times(kBatchRows), watermarks(kBatchRows);
    for (int64_t i = 0; i < kBatchRows; ++i) {
      const int64_t range = recent_ > 0 && recent_ < next_id_ ? recent_ : next_id_;
      const bool repeats = range > 0 && random_() % 20 == 0;
      ids[i] = repeats ? next_id_ - 1 - static_cast<int64_t>(random_() % static_cast<uint64_t>(range)) : next_id_++;
      times[i] = time_ += kRowUs;
      watermarks[i] = time_ - kSecond;
    }
    std::vector<std::shared_ptr<arrow::Array>> columns;
    for (auto* values : {&ids, &times, &watermarks}) {
      columns.push_back(std::make_shared<arrow::Int64Array>(kBatchRows, arrow::Buffer::FromVector(std::move(*values))));
    }
    return arrow::RecordBatch::Make(schema_, kBatchRows, std::move(columns));
  }
  int64_t next_id() const { return next_id_; }
  EventTime watermark() const { return EventTime{time_ - kSecond}; }

 private:
  const int64_t recent_;
  const std::shared_ptr<arrow::Schema> schema_;
  std::mt19937_64 random_{1};
  int64_t next_id_ = 0, time_ = 0;
};

int Run(const Arguments& arguments) {
  Check(FromArrow(arrow::compute::Initialize(), "arrow"));
  const int64_t ids = arguments.Int("ids", 100'000'000), memory_bytes = arguments.Int("memory_mib", 512) << 20;
  const int64_t tasks_wanted = arguments.Int("tasks", 4), commit_batches = arguments.Int("commit_batches", 4);
  const int64_t lifetime_ids = arguments.Int("live", 2 * ids);
  std::string folder = arguments.given.contains("folder") ? arguments.given.at("folder") : "";
  std::string scratch;
  if (folder.empty()) {
    scratch = (std::filesystem::temp_directory_path() / "dedup-memory-XXXXXX").string();
    folder = mkdtemp(scratch.data());
  }
  StateOptions options;
  options.application = "bench";
  options.memory_bytes = memory_bytes / 8;  // as in src/runtime/worker.cc
  options.flush_bytes = std::min(options.flush_bytes, memory_bytes / 64);
  auto dir = Check(StateDir::Open(folder, options));
  MemoryBudget memory(memory_bytes / 2);
  const Node node = MakeNode(lifetime_ids / tasks_wanted * kRowUs, arguments.Int("last", 0) != 0);
  std::vector<std::unique_ptr<OperatorTask>> tasks;
  std::vector<Rows> rows;
  for (int32_t t = 0; t < tasks_wanted; ++t) {
    tasks.push_back(std::make_unique<OperatorTask>(dir.get(), node, &memory, t));
    rows.emplace_back(arguments.Int("recent", 0) / tasks_wanted, BatchSchema(node.in().schema, node.in().hidden));
  }

  int64_t making_ns = 0, last_cpu = 0, last_rows = 0, fed = 0, batches = 0, next_line = ids / 10;
  const auto total = [&](auto of) {
    int64_t sum = 0;
    for (const auto& task : tasks) sum += of(*task);
    return sum;
  };
  for (int64_t made = 0; made < ids;) {
    ++batches;
    made = 0;
    for (size_t t = 0; t < tasks.size(); ++t) {
      const int64_t before = CpuNs(CLOCK_THREAD_CPUTIME_ID);
      const Batch batch = rows[t].Next();
      making_ns += CpuNs(CLOCK_THREAD_CPUTIME_ID) - before;
      tasks[t]->Process(batch, rows[t].watermark());
      if (batches % commit_batches == 0) tasks[t]->Commit();
      fed += kBatchRows;
      made += rows[t].next_id();
    }
    if (made < next_line) continue;
    next_line += ids / 10;
    const int64_t cpu = CpuNs(CLOCK_PROCESS_CPUTIME_ID) - making_ns;
    const int64_t wrong = total([](const OperatorTask& task) { return task.ledger().passed; }) - made;
    std::printf(
        "{\"ids\": %lld, \"cpu_ns_row\": %.0f, \"vm_rss_mib\": %lld, \"vm_hwm_mib\": %lld, \"operators_mib\": %lld, "
        "\"state_mib\": %lld, \"changelog_bytes_id\": %.1f, \"read_calls\": %lld, \"disk_read_mib\": %lld, "
        "\"disk_written_mib\": %lld, \"wrong\": %lld}\n",
        static_cast<long long>(made), static_cast<double>(cpu - last_cpu) / static_cast<double>(fed - last_rows),
        static_cast<long long>(Proc("/proc/self/status", "VmRSS") >> 10),
        static_cast<long long>(Proc("/proc/self/status", "VmHWM") >> 10),
        static_cast<long long>(total([](const OperatorTask& task) { return task.memory_bytes(); }) >> 20),
        static_cast<long long>(total([](const OperatorTask& task) { return task.live_bytes(); }) >> 20),
        static_cast<double>(total([](const OperatorTask& task) { return task.changelog_bytes(); })) /
            static_cast<double>(made),
        static_cast<long long>(Proc("/proc/self/io", "syscr")),
        static_cast<long long>(Proc("/proc/self/io", "read_bytes") >> 20),
        static_cast<long long>(Proc("/proc/self/io", "write_bytes") >> 20), static_cast<long long>(wrong));
    std::fflush(stdout);
    last_cpu = cpu;
    last_rows = fed;
  }
  for (auto& task : tasks) task->Commit();
  tasks.clear();
  const int64_t opening = CpuNs(CLOCK_MONOTONIC), opening_cpu = CpuNs(CLOCK_THREAD_CPUTIME_ID);
  for (int32_t t = 0; t < tasks_wanted; ++t) {
    tasks.push_back(std::make_unique<OperatorTask>(dir.get(), node, &memory, t));
  }
  std::printf("{\"open_s\": %.2f, \"open_cpu_s\": %.2f, \"operators_mib\": %lld, \"vm_hwm_mib\": %lld}\n",
              static_cast<double>(CpuNs(CLOCK_MONOTONIC) - opening) / 1e9,
              static_cast<double>(CpuNs(CLOCK_THREAD_CPUTIME_ID) - opening_cpu) / 1e9,
              static_cast<long long>(total([](const OperatorTask& task) { return task.memory_bytes(); }) >> 20),
              static_cast<long long>(Proc("/proc/self/status", "VmHWM") >> 10));
  tasks.clear();
  dir.reset();
  if (!scratch.empty()) std::filesystem::remove_all(scratch);
  return 0;
}

}  // namespace
}  // namespace tidemark

int main(int argc, char** argv) { return tidemark::Run(tidemark::Arguments(argc, argv)); }
