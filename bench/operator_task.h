// What the benchmarks of operators over the state layer share: an operator as a task of a worker has it, without Kafka,
// and what the kernel counts of the process.
#pragma once

#include <time.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "operators/operator.h"
#include "src/base/batch.h"
#include "src/base/memory_budget.h"
#include "src/base/status.h"
#include "src/plan/operator_kind.h"
#include "state/task_state.h"

namespace tidemark {

// --name value, as often as one likes.
struct Arguments {
  std::map<std::string, std::string> given;
  Arguments(int argc, char** argv) {
    for (int i = 1; i + 1 < argc; i += 2) {
      const std::string name = argv[i];
      if (!name.starts_with("--")) std::exit(2);
      given[name.substr(2)] = argv[i + 1];
    }
  }
  int64_t Int(const std::string& name, int64_t otherwise) const {
    const auto it = given.find(name);
    return it == given.end() ? otherwise : std::atoll(it->second.c_str());
  }
};

[[noreturn]] inline void Fail(const absl::Status& status) {
  std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  std::exit(1);
}
inline void Check(const absl::Status& status) {
  if (!status.ok()) Fail(status);
}
template <typename T>
T Check(absl::StatusOr<T> value) {
  if (!value.ok()) Fail(value.status());
  return std::move(value).value();
}

inline int64_t CpuNs(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return t.tv_sec * 1'000'000'000 + t.tv_nsec;
}

// A number of a file under /proc/self with lines "name: number".
inline int64_t Proc(const char* file, const std::string& name) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(name + ":")) return std::atoll(line.c_str() + name.size() + 1);
  }
  return -1;
}

class NullEmitter final : public Emitter {
 public:
  absl::Status Emit(Batch) override { return absl::OkStatus(); }
  absl::Status EmitSide(std::string_view, Batch) override { return absl::OkStatus(); }
  absl::Status DeadLetter(RowFailure) override { return absl::OkStatus(); }
  bool Full() const override { return false; }
};

// An operator over the state of a worker, on one partition.
class OperatorTask {
 public:
  OperatorTask(StateDir* dir, const Node& node, MemoryBudget* memory, int32_t partition, Emitter* emitter = nullptr)
      : emitter_(emitter != nullptr ? emitter : &nowhere_),
        state_(Check(dir->Take({"bench", "stage", partition}))),
        op_(Check(node.spec.kind().Make(node))) {
    OperatorContext context;
    context.state = state_->Store(node.step);
    context.ledger = &ledger_;
    context.memory = memory;
    if (state_->committed() != nullptr) record_ = *state_->committed();
    next_ = state_->changelog_next();
    Check(op_->Open(context));
  }
  ~OperatorTask() { op_.reset(); }

  void Process(const Batch& batch, EventTime watermark, int input = 0) {
    Check(op_->ProcessBatch(input, batch, *emitter_));
    Check(op_->AdvanceWatermark(watermark, *emitter_).status());
  }
  void Commit() {
    record_.set_commit(record_.commit() + 1);
    Check(op_->PrepareCommit(record_.commit(), *emitter_));
    const auto values = Check(state_->EncodeCommit(&record_));
    for (const std::string& value : values) changelog_bytes_ += static_cast<int64_t>(value.size());
    const Offset first = next_;
    next_ += static_cast<Offset>(values.size());
    Check(state_->Apply(record_, first, next_++));
  }
  const StepLedger& ledger() const { return ledger_; }
  int64_t memory_bytes() const { return op_->MemoryBytes(); }
  int64_t live_bytes() const { return state_->live_bytes(); }
  int64_t changelog_bytes() const { return changelog_bytes_; }

 private:
  NullEmitter nowhere_;
  Emitter* const emitter_;
  std::unique_ptr<TaskState> state_;
  std::unique_ptr<Operator> op_;
  StepLedger ledger_;
  packed::CommitRecord record_;
  Offset next_ = 0;
  int64_t changelog_bytes_ = 0;
};

}  // namespace tidemark
