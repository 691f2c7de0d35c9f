#include "src/runtime/worker_status.h"

#include <algorithm>

#include <absl/strings/str_cat.h>

#include "operators/ledger_counters.h"

namespace tidemark {

std::vector<std::pair<std::string, StepLedger>> SumLedger(const WorkerStatus& status) {
  std::vector<std::pair<std::string, StepLedger>> sums;
  for (const ThreadStatus& thread : status.threads) {
    for (const TaskStatus& task : thread.tasks) {
      for (const auto& [step, ledger] : task.ledger) {
        auto it = std::find_if(sums.begin(), sums.end(), [&](const auto& sum) { return sum.first == step; });
        if (it == sums.end()) it = sums.insert(it, {step, StepLedger()});
        for (const LedgerCounter& counter : kLedgerCounters) it->second.*counter.value += ledger.*counter.value;
        for (const auto& [rule, rows] : ledger.violated) it->second.violated[rule] += rows;
      }
    }
  }
  return sums;
}

void ForEachCounter(const StepLedger& ledger, absl::FunctionRef<void(std::string_view name, int64_t value)> take) {
  for (const LedgerCounter& counter : kLedgerCounters) take(counter.name, ledger.*counter.value);
  for (const auto& [rule, rows] : ledger.violated) take(std::string(kViolatedCounter) + rule, rows);
}

std::optional<std::vector<TaskId>> StoresInUse(const WorkerStatus& status) {
  std::vector<TaskId> in_use;
  for (const ThreadStatus& thread : status.threads) {
    if (thread.state != ThreadStatus::State::kRunning) return std::nullopt;
    for (const TaskStatus& task : thread.tasks) in_use.push_back({status.application.Key(), task.name, task.partition});
  }
  return in_use;
}

std::string LedgerLine(const std::string& step, const StepLedger& ledger) {
  std::string line = absl::StrCat("ledger ", step);
  ForEachCounter(ledger, [&line](std::string_view name, int64_t value) {
    if (value == 0 && name != "in") return;
    absl::StrAppend(&line, " ", absl::string_view(name.data(), name.size()), "=", value);
  });
  return line;
}

std::string IntakeLine(const IntakeStatus::Target& target, int32_t split) {
  std::string line =
      absl::StrCat("intake ", target.source, split > 0 ? absl::StrCat("-", split) : "", " rows=", target.rows);
  if (target.refused > 0) absl::StrAppend(&line, " dead_lettered=", target.refused);
  for (const auto& [name, count] : target.counts) absl::StrAppend(&line, " ", name, "=", count);
  return line;
}

}  // namespace tidemark
