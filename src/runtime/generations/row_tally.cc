#include "src/runtime/generations/row_tally.h"

#include <algorithm>
#include <cstdlib>

namespace tidemark {
namespace {

constexpr int kMostBits = 40;

}  // namespace

bool RowTally::Begin() {
  entries_.clear();
  if (!done_) ++passes_;
  return !done_;
}

int64_t* RowTally::Find(Side side, XXH128_hash_t hash, bool make) {
  const Hash key{hash.high64, hash.low64};
  if (!InPart(key)) return nullptr;
  auto found = entries_.find(key);
  if (found == entries_.end()) {
    if (!make) return nullptr;
    while (entries_.size() >= most_ && bits_ < kMostBits) Halve();
    if (!InPart(key)) return nullptr;
    found = entries_.try_emplace(key).first;
  }
  return side == Side::kBefore ? &found->second.before : &found->second.after;
}

void RowTally::Halve() {
  ++bits_;
  part_ *= 2;
  absl::erase_if(entries_, [&](const auto& entry) { return !InPart(entry.first); });
}

void RowTally::Put(Side side, XXH128_hash_t key, uint64_t value) {
  if (int64_t* const at = Find(side, key, true)) *at = static_cast<int64_t>(value | 1);
}

void RowTally::Remove(Side side, XXH128_hash_t key) {
  int64_t* const at = Find(side, key, false);
  if (at == nullptr) return;
  *at = 0;
  const auto found = entries_.find(Hash{key.high64, key.low64});
  if (found->second.before == 0 && found->second.after == 0) entries_.erase(found);
}

void RowTally::Add(Side side, XXH128_hash_t row, int64_t times) {
  if (int64_t* const at = Find(side, row, true)) *at += times;
}

void RowTally::End() {
  for (const auto& [hash, entry] : entries_) Count(entry);
  entries_.clear();
  ++part_;
  done_ = part_ == uint64_t{1} << bits_;
}

void RowTally::Count(const Entry& entry) {
  if (by_ == By::kRow) {
    // Below 0: more was taken back than ever came, which whoever adds it up sees, too.
    const int64_t before = entry.before, after = entry.after;
    difference_.of += std::max({std::abs(before), std::abs(after), std::abs(before - after)});
    difference_.only_before += std::max<int64_t>(before - after, 0);
    difference_.only_after += std::max<int64_t>(after - before, 0);
    return;
  }
  if (entry.before == 0 && entry.after == 0) return;
  ++difference_.of;
  if (entry.after == 0) {
    ++difference_.only_before;
  } else if (entry.before == 0) {
    ++difference_.only_after;
  } else if (entry.before != entry.after) {
    ++difference_.differing;
  }
}

}  // namespace tidemark
