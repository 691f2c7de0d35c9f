#include "src/runtime/end_report.h"

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

namespace tidemark {

std::string ProgressLine(const EndProgress& progress, const WorkerStatus& status, int64_t elapsed_us) {
  const double seconds = static_cast<double>(elapsed_us) / kSecond;
  std::string line = absl::StrFormat("progress %d of %d records, %.0f records/s", progress.done, progress.total,
                                     seconds > 0 ? static_cast<double>(progress.done) / seconds : 0.0);
  for (const ThreadStatus& thread : status.threads) {
    for (const TaskStatus& task : thread.tasks) {
      for (const TaskStatus::Wait& wait : task.waits) {
        absl::StrAppend(&line, "; ", ToString(wait.partition), " waits for ", wait.what);
      }
    }
  }
  if (progress.waits_for.empty()) return line;
  absl::StrAppend(&line, "; waiting for ", progress.waits_for);
  for (const SinkStatus& sink : status.sinks) {
    if (sink.sink == progress.sink && !sink.last_error.empty()) absl::StrAppend(&line, " (", sink.last_error, ")");
  }
  return line;
}

void EndReport::Progress(const EndProgress& progress, const std::function<WorkerStatus()>& status, int64_t now_us) {
  if (!say_ || now_us < next_us_) return;
  next_us_ = now_us + kSecond;
  if (first_us_ == 0) first_us_ = now_us;
  say_(ProgressLine(progress, status(), now_us - first_us_));
}

void EndReport::Final(const WorkerStatus& status, bool done) const {
  if (!say_) return;
  int64_t open = 0;
  for (const IntakeMemberStatus& intake : status.intakes) {
    for (const IntakeStatus& split : intake.splits) {
      for (const IntakeStatus::Target& target : split.targets) say_(IntakeLine(target, split.split));
    }
  }
  for (const auto& [step, ledger] : SumLedger(status)) {
    say_(LedgerLine(step, ledger));
    open += ledger.open;
  }
  if (!done) {
    say_("stopped before the end: the next run goes on from the last commit");
  } else if (open > 0) {
    const std::string advice = close_windows_ ? "" : "; --close_windows closes them";
    say_(absl::StrCat("open windows hold ", open, " (row, window) pairs: they stay in state, and a later run goes on ",
                      "with them", advice));
  } else if (close_windows_) {
    say_("all windows are closed: data for them that comes later will be late");
  }
}

}  // namespace tidemark
