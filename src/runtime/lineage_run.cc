#include "src/runtime/lineage_run.h"

#include <algorithm>
#include <random>
#include <tuple>
#include <utility>

#include <absl/strings/str_format.h>

namespace tidemark {

std::vector<LineageEvent> LineageRun::Step(int64_t monotonic_us, int64_t wall_us, const std::vector<Other>& others) {
  others_ = others;
  const Other* first = nullptr;
  for (const Other& other : others_) {
    if (other.run.empty()) continue;
    if (first == nullptr || std::tie(other.began_ms, other.run) < std::tie(first->began_ms, first->run)) first = &other;
  }
  std::vector<LineageEvent> events;
  if (listens_us_ < 0) listens_us_ = monotonic_us;
  const bool another = first != nullptr && first->run != run_ &&
                       (run_.empty() || std::tie(first->began_ms, first->run) < std::tie(began_ms_, run_));
  if (another) {
    if (own_) events.push_back({.type = "ABORT", .wall_us = wall_us, .run = run_, .error = ""});
    run_ = first->run;
    began_ms_ = first->began_ms;
    own_ = false;
    told_us_ = monotonic_us;
  } else if (run_.empty() && monotonic_us - listens_us_ >= kListenUs) {
    run_ = new_run_();
    began_ms_ = static_cast<double>(wall_us / kMillisecond);
    own_ = true;
    told_us_ = monotonic_us;
    events.push_back({.type = "START", .wall_us = wall_us, .run = run_, .error = ""});
  }
  if (run_.empty() || monotonic_us - told_us_ < every_us_) return events;
  const bool speaks = std::none_of(others_.begin(), others_.end(),
                                   [&](const Other& other) { return other.run == run_ && other.worker < worker_; });
  told_us_ = monotonic_us;
  if (speaks) events.push_back({.type = "RUNNING", .wall_us = wall_us, .run = run_, .error = ""});
  return events;
}

std::vector<LineageEvent> LineageRun::Finish(int64_t wall_us, const absl::Status& ended) {
  if (listens_us_ < 0) return {};  // it never ran
  const bool goes_on =
      std::any_of(others_.begin(), others_.end(), [&](const Other& other) { return !other.run.empty(); });
  if (goes_on) return {};
  std::vector<LineageEvent> events;
  if (run_.empty()) {  // a run that is over sooner than others could have been heard
    run_ = new_run_();
    events.push_back({.type = "START", .wall_us = wall_us, .run = run_, .error = ""});
  }
  events.push_back({.type = ended.ok() ? "COMPLETE" : "FAIL",
                    .wall_us = wall_us,
                    .run = std::exchange(run_, ""),
                    .error = std::string(ended.message())});
  return events;
}

std::string NewRunId(int64_t wall_us) {
  std::random_device device;
  const auto ms = static_cast<uint64_t>(wall_us / kMillisecond);
  return absl::StrFormat("%08x-%04x-7%03x-%04x-%08x%04x", ms >> 16 & 0xffffffff, ms & 0xffff, device() & 0xfff,
                         0x8000 | (device() & 0x3fff), device(), device() & 0xffff);
}

}  // namespace tidemark
