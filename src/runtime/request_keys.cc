#include "src/runtime/request_keys.h"

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>
#include <glog/logging.h>

#include "src/base/status.h"

namespace tidemark {

RequestKeys::RequestKeys(std::string folder, size_t in_memory) : folder_(std::move(folder)), most_(in_memory) {}

absl::StatusOr<std::optional<uint64_t>> RequestKeys::Find(absl::uint128 key, int64_t since) const {
  for (const Hour& hour : hours_) {
    if (hour.number < since) continue;
    if (const auto found = hour.fresh.find(key); found != hour.fresh.end()) return found->second;
    for (const auto& run : hour.runs) {
      const absl::StatusOr<std::optional<uint64_t>> body = run->Find(key);
      if (!body.ok()) return absl::AbortedError(absl::StrCat("Idempotency-Keys: ", body.status().message()));
      if (*body) return *body;
    }
  }
  return std::nullopt;
}

// A clock that steps back, as where the log's leader changes: what is late belongs to the newest hour.
void RequestKeys::Add(int64_t hour, absl::uint128 key, uint64_t body) {
  if (hours_.empty() || hours_.back().number < hour) {
    if (!hours_.empty()) Spill(&hours_.back(), /*over=*/true);
    hours_.push_back({hour, {}, {}});
  }
  Hour& newest = hours_.back();
  newest.fresh.try_emplace(key, body);
  if (newest.fresh.size() >= std::max(most_, try_again_at_)) Spill(&newest, /*over=*/false);
}

void RequestKeys::ForgetBefore(int64_t hour) {
  while (!hours_.empty() && hours_.front().number < hour) hours_.pop_front();
}

// `over`: all of the hour becomes one run. Else it takes in those runs that aren't twice as large, as runs that double
// are merged a few times each.
void RequestKeys::Spill(Hour* hour, bool over) {
  std::vector<SeenKey> seen;
  seen.reserve(hour->fresh.size());
  for (const auto& [key, body] : hour->fresh) {
    seen.push_back({absl::Uint128High64(key), absl::Uint128Low64(key), body});
  }
  std::sort(seen.begin(), seen.end(), [](const SeenKey& a, const SeenKey& b) { return a.key() < b.key(); });
  size_t keys = seen.size(), left = hour->runs.size();
  std::vector<const RequestKeyRun*> merged;
  while (left > 0 && (over || hour->runs[left - 1]->keys() < 2 * keys)) {
    merged.push_back(hour->runs[--left].get());
    keys += merged.back()->keys();
  }
  if (keys == 0 || (seen.empty() && merged.size() == 1)) return;
  auto run = RequestKeyRun::Merge(folder_, seen, merged);
  if (!run.ok()) {
    LOG_EVERY_N(WARNING, 10) << "Idempotency-Keys stay in memory: " << run.status().message();
    try_again_at_ = 2 * hour->fresh.size();
    return;
  }
  try_again_at_ = 0;
  hour->runs.resize(left);
  hour->runs.push_back(*std::move(run));
  hour->fresh = {};
}

size_t RequestKeys::in_memory() const {
  size_t keys = 0;
  for (const Hour& hour : hours_) keys += hour.fresh.size();
  return keys;
}

size_t RequestKeys::runs() const {
  size_t runs = 0;
  for (const Hour& hour : hours_) runs += hour.runs.size();
  return runs;
}

}  // namespace tidemark
