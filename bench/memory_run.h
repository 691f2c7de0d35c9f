// What the benchmarks of memory share: an operator as several tasks of one worker have it, over a folder and under one
// budget; a JSON line of figures every tenth of the way; and what it takes to open again what was kept.
//
//     --memory_mib N     of the process, divided as a worker does; 0: no budget, all stays in memory
//     --tasks N, --commit_batches N, --folder DIR (else one that is removed)
//
// `cpu_ns_row` is of the rows since the line before, RocksDB's threads included and what Leave was told of left out.
#pragma once

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <arrow/compute/initialize.h>

#include "bench/operator_task.h"

namespace tidemark {

class MemoryRun {
 public:
  // `unit`: what is counted, such as "id"; a line is due each tenth of `wanted` of them.
  MemoryRun(const Arguments& arguments, std::string unit, int64_t wanted, Node node, Emitter* emitter = nullptr)
      : unit_(std::move(unit)),
        wanted_(wanted),
        tasks_wanted_(static_cast<int32_t>(arguments.Int("tasks", 4))),
        commit_batches_(arguments.Int("commit_batches", 4)),
        memory_bytes_(arguments.Int("memory_mib", 512) << 20),
        node_(std::move(node)),
        emitter_(emitter),
        budget_(memory_bytes_ / 8 * 3),
        next_line_(wanted / 10) {
    Check(FromArrow(arrow::compute::Initialize(), "arrow"));
    std::string folder = arguments.given.contains("folder") ? arguments.given.at("folder") : "";
    if (folder.empty()) {
      scratch_ = (std::filesystem::temp_directory_path() / (unit_ + "-memory-XXXXXX")).string();
      folder = mkdtemp(scratch_.data());
    }
    const int64_t state_bytes = memory_bytes_ > 0 ? memory_bytes_ : int64_t{512} << 20;
    StateOptions options;
    options.application = "bench";
    options.memory_bytes = state_bytes / 8;  // as in src/runtime/worker.cc
    options.flush_bytes = std::min(options.flush_bytes, state_bytes / 64);
    dir_ = Check(StateDir::Open(folder, options));
    Open();
  }
  ~MemoryRun() {
    tasks_.clear();
    dir_.reset();
    if (!scratch_.empty()) std::filesystem::remove_all(scratch_);
  }

  int32_t tasks() const { return tasks_wanted_; }
  int64_t rows() const { return rows_; }  // that were fed
  std::shared_ptr<arrow::Schema> schema() const { return BatchSchema(node_.in().schema, node_.in().hidden); }

  void Process(int32_t task, const Batch& batch, EventTime watermark, int input = 0) {
    tasks_[static_cast<size_t>(task)]->Process(batch, watermark, input);
    rows_ += batch->num_rows();
  }
  // Behind the batches that each task gets in turn.
  void EndRound() {
    if (++rounds_ % commit_batches_ != 0) return;
    for (auto& task : tasks_) task->Commit();
  }
  // CPU time of this thread that isn't the operator's.
  void Leave(int64_t ns) { left_out_ns_ += ns; }

  template <typename F>
  int64_t Total(F&& of) const {
    int64_t sum = 0;
    for (const auto& task : tasks_) sum += of(*task);
    return sum;
  }

  // `done`: of what is counted. `more`: of the line, such as `, "wrong": 0`.
  bool LineIsDue(int64_t done) const { return done >= next_line_; }
  void Line(int64_t done, const std::string& more = "") {
    next_line_ += wanted_ / 10;
    const int64_t cpu = CpuNs(CLOCK_PROCESS_CPUTIME_ID) - left_out_ns_;
    const int64_t written = Total([](const OperatorTask& task) { return task.changelog_bytes(); });
    std::printf(
        "{\"%ss\": %lld, \"cpu_ns_row\": %.0f, \"vm_rss_mib\": %lld, \"vm_hwm_mib\": %lld, \"operators_mib\": %lld, "
        "\"state_mib\": %lld, \"changelog_bytes_%s\": %.1f, \"read_calls\": %lld, \"disk_read_mib\": %lld, "
        "\"disk_written_mib\": %lld%s}\n",
        unit_.c_str(), static_cast<long long>(done),
        static_cast<double>(cpu - last_cpu_) / static_cast<double>(rows_ - last_rows_),
        static_cast<long long>(Proc("/proc/self/status", "VmRSS") >> 10),
        static_cast<long long>(Proc("/proc/self/status", "VmHWM") >> 10), OperatorsMib(),
        Mib(Total([](const OperatorTask& task) { return task.live_bytes(); })), unit_.c_str(),
        static_cast<double>(written) / static_cast<double>(done),
        static_cast<long long>(Proc("/proc/self/io", "syscr")), Mib(Proc("/proc/self/io", "read_bytes")),
        Mib(Proc("/proc/self/io", "write_bytes")), more.c_str());
    std::fflush(stdout);
    last_cpu_ = cpu;
    last_rows_ = rows_;
  }

  // Commits what there is, and opens it again.
  void Reopen() {
    for (auto& task : tasks_) task->Commit();
    tasks_.clear();
    const int64_t opening = CpuNs(CLOCK_MONOTONIC), opening_cpu = CpuNs(CLOCK_THREAD_CPUTIME_ID);
    Open();
    std::printf("{\"open_s\": %.2f, \"open_cpu_s\": %.2f, \"operators_mib\": %lld, \"vm_hwm_mib\": %lld}\n",
                static_cast<double>(CpuNs(CLOCK_MONOTONIC) - opening) / 1e9,
                static_cast<double>(CpuNs(CLOCK_THREAD_CPUTIME_ID) - opening_cpu) / 1e9, OperatorsMib(),
                static_cast<long long>(Proc("/proc/self/status", "VmHWM") >> 10));
  }

 private:
  static long long Mib(int64_t bytes) { return static_cast<long long>(bytes >> 20); }
  long long OperatorsMib() const {
    return Mib(Total([](const OperatorTask& task) { return task.memory_bytes(); }));
  }
  void Open() {
    MemoryBudget* const memory = memory_bytes_ > 0 ? &budget_ : nullptr;
    for (int32_t t = 0; t < tasks_wanted_; ++t) {
      tasks_.push_back(std::make_unique<OperatorTask>(dir_.get(), node_, memory, t, emitter_));
    }
  }

  const std::string unit_;
  const int64_t wanted_;
  const int32_t tasks_wanted_;
  const int64_t commit_batches_, memory_bytes_;
  const Node node_;
  Emitter* const emitter_;
  MemoryBudget budget_;
  std::string scratch_;
  std::unique_ptr<StateDir> dir_;
  std::vector<std::unique_ptr<OperatorTask>> tasks_;
  int64_t rows_ = 0, rounds_ = 0, left_out_ns_ = 0, next_line_, last_cpu_ = 0, last_rows_ = 0;
};

}  // namespace tidemark
