#include "src/runtime/worker_status.h"

#include <algorithm>

#include <absl/strings/str_cat.h>

namespace tidemark {
namespace {

struct Counter {
  std::string_view name;
  int64_t StepLedger::* value;
};

constexpr Counter kCounters[] = {
    {"in", &StepLedger::in},
    {"passed", &StepLedger::passed},
    {"duplicate", &StepLedger::duplicate},
    {"late", &StepLedger::late},
    {"filtered", &StepLedger::filtered},
    {"unmatched", &StepLedger::unmatched},
    {"dead_lettered", &StepLedger::dead_lettered},
    {"absorbed", &StepLedger::absorbed},
    {"pairs", &StepLedger::pairs},
    {"late_pairs", &StepLedger::late_pairs},
    {"late_after_idle", &StepLedger::late_after_idle},
    {"closed", &StepLedger::closed},
    {"open", &StepLedger::open},
    {"out", &StepLedger::out},
};

}  // namespace

std::vector<std::pair<std::string, StepLedger>> SumLedger(const WorkerStatus& status) {
  std::vector<std::pair<std::string, StepLedger>> sums;
  for (const ThreadStatus& thread : status.threads) {
    for (const TaskStatus& task : thread.tasks) {
      for (const auto& [step, ledger] : task.ledger) {
        auto it = std::find_if(sums.begin(), sums.end(), [&](const auto& sum) { return sum.first == step; });
        if (it == sums.end()) it = sums.insert(it, {step, StepLedger()});
        for (const Counter& counter : kCounters) it->second.*counter.value += ledger.*counter.value;
        for (const auto& [rule, rows] : ledger.violated) it->second.violated[rule] += rows;
      }
    }
  }
  return sums;
}

void ForEachCounter(const StepLedger& ledger, absl::FunctionRef<void(std::string_view name, int64_t value)> take) {
  for (const Counter& counter : kCounters) take(counter.name, ledger.*counter.value);
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
  for (const Counter& counter : kCounters) {
    const int64_t value = ledger.*counter.value;
    if (value == 0 && counter.value != &StepLedger::in) continue;
    absl::StrAppend(&line, " ", absl::string_view(counter.name.data(), counter.name.size()), "=", value);
  }
  for (const auto& [rule, rows] : ledger.violated) {
    if (rows != 0) absl::StrAppend(&line, " violated.", rule, "=", rows);
  }
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
