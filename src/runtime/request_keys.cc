#include "src/runtime/request_keys.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>
#include <utility>

#include <absl/strings/str_cat.h>
#include <glog/logging.h>

#include "src/base/status.h"

namespace tidemark {
namespace {

struct Seen {
  uint64_t high, low, body;

  absl::uint128 key() const { return absl::MakeUint128(high, low); }
};
static_assert(sizeof(Seen) == 24);

bool Before(const Seen& a, const Seen& b) { return a.key() < b.key(); }

constexpr size_t kPage = 4096 / sizeof(Seen);  // keys between two that are in memory

// A file without a name: it goes with who has it open.
absl::StatusOr<int> NamelessFile(const std::string& folder) {
  const int file = open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file >= 0) return file;
  // A file system that knows no such thing.
  std::string name = folder + "/.keys-XXXXXX";
  const int named = mkostemp(name.data(), O_CLOEXEC);
  if (named < 0) return absl::UnavailableError(absl::StrCat(folder, ": ", std::strerror(errno)));
  unlink(name.c_str());
  return named;
}

absl::Status WriteAll(int file, const char* bytes, size_t size) {
  while (size > 0) {
    const ssize_t done = write(file, bytes, size);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return absl::UnavailableError(std::strerror(done < 0 ? errno : ENOSPC));
    bytes += done;
    size -= static_cast<size_t>(done);
  }
  return absl::OkStatus();
}

}  // namespace

// Sorted; each key once.
class RequestKeys::Run {
 public:
  static absl::StatusOr<std::unique_ptr<Run>> Make(const std::string& folder, std::vector<Seen> seen) {
    auto run = std::make_unique<Run>();
    for (size_t i = 0; i < seen.size(); i += kPage) run->pages_.push_back(seen[i].key());
    if (folder.empty()) {
      run->own_ = std::move(seen);
      run->keys_ = run->own_;
      return run;
    }
    const size_t bytes = seen.size() * sizeof(Seen);
    TM_ASSIGN_OR_RETURN(const int file, NamelessFile(folder));
    absl::Status written = WriteAll(file, reinterpret_cast<const char*>(seen.data()), bytes);
    void* const mapped = written.ok() ? mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file, 0) : MAP_FAILED;
    if (written.ok() && mapped == MAP_FAILED) written = absl::UnavailableError(std::strerror(errno));
    close(file);
    TM_RETURN_IF_ERROR(written);
    madvise(mapped, bytes, MADV_RANDOM);
    run->mapped_ = mapped;
    run->keys_ = {static_cast<const Seen*>(mapped), seen.size()};
    return run;
  }
  ~Run() {
    if (mapped_ != nullptr) munmap(mapped_, keys_.size() * sizeof(Seen));
  }

  std::optional<uint64_t> Find(absl::uint128 key) const {
    const auto page = std::upper_bound(pages_.begin(), pages_.end(), key);
    if (page == pages_.begin()) return std::nullopt;
    const size_t first = static_cast<size_t>(page - pages_.begin() - 1) * kPage;
    const std::span<const Seen> of_page = keys_.subspan(first, std::min(kPage, keys_.size() - first));
    const auto found = std::lower_bound(of_page.begin(), of_page.end(), key,
                                        [](const Seen& seen, absl::uint128 wanted) { return seen.key() < wanted; });
    if (found == of_page.end() || found->key() != key) return std::nullopt;
    return found->body;
  }
  std::span<const Seen> keys() const { return keys_; }

 private:
  std::span<const Seen> keys_;
  std::vector<absl::uint128> pages_;
  std::vector<Seen> own_;
  void* mapped_ = nullptr;
};

RequestKeys::RequestKeys(std::string folder, size_t in_memory) : folder_(std::move(folder)), most_(in_memory) {}
RequestKeys::~RequestKeys() = default;

std::optional<uint64_t> RequestKeys::Find(absl::uint128 key, int64_t since) const {
  for (const Hour& hour : hours_) {
    if (hour.number < since) continue;
    if (const auto found = hour.fresh.find(key); found != hour.fresh.end()) return found->second;
    for (const auto& run : hour.runs) {
      if (const auto body = run->Find(key)) return body;
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
  std::vector<Seen> seen;
  seen.reserve(hour->fresh.size());
  for (const auto& [key, body] : hour->fresh) {
    seen.push_back({absl::Uint128High64(key), absl::Uint128Low64(key), body});
  }
  std::sort(seen.begin(), seen.end(), Before);
  size_t left = hour->runs.size();
  while (left > 0 && (over || hour->runs[left - 1]->keys().size() < 2 * seen.size())) {
    const std::span<const Seen> other = hour->runs[--left]->keys();
    std::vector<Seen> merged(seen.size() + other.size());
    std::merge(seen.begin(), seen.end(), other.begin(), other.end(), merged.begin(), Before);
    seen = std::move(merged);
  }
  if (seen.empty()) return;
  auto run = Run::Make(folder_, std::move(seen));
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
