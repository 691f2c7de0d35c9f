// What a commit costs in the state layer: Put, EncodeCommit and Apply, on the machine's file system, and what reading
// costs. `--benchmark_format=json` for machines.
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include <benchmark/benchmark.h>

#include "state/task_state.h"

namespace tidemark {
namespace {

// A task with state in a scratch folder of its own.
class Task {
 public:
  Task() {
    std::string pattern = (std::filesystem::temp_directory_path() / "tidemark-state-bench-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
    dir_ = StateDir::Open(path_, StateOptions{.application = "bench"}).value();
    state_ = dir_->Take(TaskId{.application = "bench", .stage = "stage", .partition = 0}).value();
  }
  ~Task() {
    state_.reset();
    dir_.reset();
    std::filesystem::remove_all(path_);
  }

  StateStore* store() { return state_->Store("step"); }
  void Commit() {
    record_.set_commit(record_.commit() + 1);
    const auto values = state_->EncodeCommit(&record_).value();
    const Offset first = next_;
    next_ += static_cast<Offset>(values.size());
    if (!state_->Apply(record_, first, next_).ok()) std::abort();
    ++next_;  // the transaction's marker
  }

 private:
  std::string path_;
  std::unique_ptr<StateDir> dir_;
  std::unique_ptr<TaskState> state_;
  packed::CommitRecord record_;
  Offset next_ = 0;
};

std::string Key(uint64_t number) {
  number *= 0x9E3779B97F4A7C15u;  // spread, so that keys don't arrive in order
  return std::string(reinterpret_cast<const char*>(&number), sizeof(number));
}

// A commit of `range(0)` values of `range(1)` bytes under keys of 8, among 1024 commits' worth of keys.
void Commit(benchmark::State& bench) {
  Task task;
  std::string value(static_cast<size_t>(bench.range(1)), '\0');
  for (size_t i = 0; i < value.size(); ++i) value[i] = static_cast<char>(i * 131 >> 3);
  const auto keys = static_cast<uint64_t>(bench.range(0)) * 1024;
  uint64_t written = 0;
  for (auto unused : bench) {
    for (int64_t i = 0; i < bench.range(0); ++i) task.store()->Put(Key(written++ % keys), value);
    task.Commit();
  }
  bench.SetBytesProcessed(bench.iterations() * bench.range(0) * (bench.range(1) + 8));
  bench.SetItemsProcessed(bench.iterations() * bench.range(0));
}
BENCHMARK(Commit)->Args({1, 64 << 10})->Args({16, 64 << 10})->Args({1000, 8})->Unit(benchmark::kMicrosecond);

// A Get of a value of `range(0)` bytes that lies on disk, in the block cache or a write buffer.
void Get(benchmark::State& bench) {
  Task task;
  constexpr uint64_t kKeys = 512;
  const std::string value(static_cast<size_t>(bench.range(0)), 'v');
  for (uint64_t i = 0; i < kKeys; ++i) task.store()->Put(Key(i), value);
  task.Commit();
  uint64_t read = 0;
  for (auto unused : bench) benchmark::DoNotOptimize(task.store()->Get(Key(read++ % kKeys)));
}
BENCHMARK(Get)->Arg(16)->Arg(64 << 10);

// A Scan of 1000 small keys, half of them in the overlay.
void Scan(benchmark::State& bench) {
  Task task;
  for (uint64_t i = 0; i < 1000; i += 2) task.store()->Put(Key(i), "12345678");
  task.Commit();
  for (uint64_t i = 1; i < 1000; i += 2) task.store()->Put(Key(i), "12345678");
  for (auto unused : bench) {
    size_t bytes = 0;
    const auto it = task.store()->Scan("", "");
    for (; it->Valid(); it->Next()) bytes += it->value().size();
    benchmark::DoNotOptimize(bytes);
  }
  bench.SetItemsProcessed(bench.iterations() * 1000);
}
BENCHMARK(Scan);

}  // namespace
}  // namespace tidemark
