#include "operators/dedup/seen_runs.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <utility>

#include <xxhash.h>

#include "src/base/big_endian.h"
#include "src/base/status.h"

namespace tidemark {
namespace {

constexpr int64_t kBlockBytes = 4000;
constexpr size_t kFanIn = 4;             // runs of a size that become one
constexpr size_t kMostRuns = 12;         // of a segment, before time spans are ignored
constexpr int64_t kExpireBlocks = 4096;  // deleted by one Expire, about
constexpr uint8_t kVersion = 1;
constexpr size_t kBlockHeaderBytes = 5;

// In front of a filter's bytes. Little-endian, like all we run on.
struct RunHeader {
  uint8_t version = kVersion;
  uint8_t key_bytes = 0;
  uint8_t time_bytes = 0;
  uint8_t unused = 0;
  uint16_t parts = 0;         // of a block, at most
  uint16_t filter_parts = 0;  // values of the filter
  uint32_t blocks = 0;
  uint32_t unused2 = 0;
  int64_t entries = 0;
  int64_t min_time_us = 0, max_time_us = 0;
};
static_assert(sizeof(RunHeader) == 40);

std::string RunKey(char kind, int segment, uint32_t run) {
  std::string key(1, kind);
  key.push_back(static_cast<char>(segment));
  AppendBigEndian(run, 4, &key);
  return key;
}

std::string BlockKey(int segment, uint32_t run, uint32_t block, uint16_t part) {
  std::string key = RunKey('r', segment, run);
  AppendBigEndian(block, 4, &key);
  AppendBigEndian(part, 2, &key);
  return key;
}

std::string FilterKey(int segment, uint32_t run, uint16_t part) {
  std::string key = RunKey('f', segment, run);
  AppendBigEndian(part, 2, &key);
  return key;
}

absl::Status Damaged() { return absl::DataLossError("a run in the state of a dedup step can't be read"); }

uint32_t Checksum(std::string_view entries) {
  return static_cast<uint32_t>(XXH3_64bits(entries.data(), entries.size()));
}

// Runs of one tier are within a factor of four.
int Tier(int64_t entries) { return static_cast<int>((std::bit_width(static_cast<uint64_t>(entries)) - 1) / 2); }

// In a block the segment's byte of a key is left out: that byte is the top one of the first word.
constexpr uint64_t kTail = ~uint64_t{0} >> 8;

IntKey LoadKey(const char* at, int segment, IntKey) {
  uint64_t bits = 0;
  std::memcpy(&bits, at, 7);
  return {bits | static_cast<uint64_t>(segment) << 56};
}
HashedKey LoadKey(const char* at, int segment, HashedKey) {
  HashedKey key;
  std::memcpy(&key.high, at, 7);
  std::memcpy(&key.low, at + 7, 8);
  key.high |= static_cast<uint64_t>(segment) << 56;
  return key;
}
void StoreKey(IntKey key, char* at) { std::memcpy(at, &key.bits, 7); }
void StoreKey(HashedKey key, char* at) {
  std::memcpy(at, &key.high, 7);
  std::memcpy(at + 7, &key.low, 8);
}

int64_t LoadTime(const char* at, size_t time_bytes, int64_t min_time_us) {
  uint64_t offset = 0;
  std::memcpy(&offset, at, time_bytes);
  return static_cast<int64_t>(static_cast<uint64_t>(min_time_us) + offset);
}

// The entry of the key in a block of `width` bytes an entry; null where there is none.
template <typename Key>
const char* Search(std::string_view entries, size_t width, int segment, Key key) {
  size_t low = 0, high = entries.size() / width;
  while (low < high) {
    const size_t middle = (low + high) / 2;
    const Key there = LoadKey(entries.data() + middle * width, segment, key);
    if (there == key) return entries.data() + middle * width;
    if (there < key) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return nullptr;
}

}  // namespace

template <typename Key>
int64_t SeenRuns<Key>::Bytes(const Run& run) {
  return static_cast<int64_t>(run.filter.bytes().size() + sizeof(Run));
}

template <typename Key>
void SeenRuns<Key>::Put(const std::string& key, std::string_view value) {
  store_->Put(key, value);
  written_bytes_ += static_cast<int64_t>(key.size() + value.size());
}

template <typename Key>
int64_t SeenRuns<Key>::TakeWrittenBytes() {
  return std::exchange(written_bytes_, 0);
}

template <typename Key>
absl::Status SeenRuns<Key>::Load() {
  std::string filter;
  const std::unique_ptr<StateIterator> it = store_->Scan("f", "g");
  while (it->Valid()) {
    const std::string first(it->key());
    RunHeader header;
    if (first.size() != 8 || it->value().size() < sizeof(header)) return Damaged();
    std::memcpy(&header, it->value().data(), sizeof(header));
    if (header.version != kVersion || header.key_bytes != sizeof(Key) || header.time_bytes < 1 ||
        header.time_bytes > 8 || header.blocks == 0 || header.filter_parts == 0) {
      return Damaged();
    }
    filter.assign(it->value().substr(sizeof(header)));
    it->Next();
    for (uint16_t part = 1; part < header.filter_parts; ++part, it->Next()) {
      if (!it->Valid() || it->key().substr(0, 6) != first.substr(0, 6)) return Damaged();
      filter.append(it->value());
    }
    if (filter.empty()) return Damaged();
    Run run{static_cast<uint32_t>(ReadBigEndian(std::string_view(first).substr(2, 4))),
            header.blocks,
            header.parts,
            header.time_bytes,
            header.entries,
            header.min_time_us,
            header.max_time_us,
            KeyFilter::FromBytes(filter)};
    ++count_;
    size_ += run.entries;
    bytes_ += Bytes(run);
    first_death_us_ = std::min(first_death_us_, run.max_time_us);
    runs_[static_cast<uint8_t>(first[1])].push_back(std::move(run));
  }
  return it->status();
}

template <typename Key>
absl::StatusOr<std::optional<int64_t>> SeenRuns<Key>::Find(Key key) {
  const int segment = SegmentOf(key);
  const std::vector<Run>& runs = runs_[static_cast<size_t>(segment)];
  for (auto run = runs.rbegin(); run != runs.rend(); ++run) {
    if (!run->filter.MayHold(PlaceOf(key), key.filter_bits())) continue;
    const size_t width = sizeof(Key) - 1 + run->time_bytes;
    std::optional<int64_t> time;
    bool more = true;
    for (uint16_t part = 0; more && !time; ++part) {
      ++reads_;
      const auto search = [&](std::string_view entries) {
        const char* const at = Search(entries, width, segment, key);
        if (at != nullptr) time = LoadTime(at + sizeof(Key) - 1, run->time_bytes, run->min_time_us);
      };
      TM_ASSIGN_OR_RETURN(more, ReadBlock(segment, *run, BlockOf(*run, key), part, search));
    }
    if (time) return time;
    ++vain_reads_;
  }
  return std::optional<int64_t>();
}

template <typename Key>
template <typename F>
absl::StatusOr<bool> SeenRuns<Key>::ReadBlock(int segment, const Run& run, uint32_t block, uint16_t part, F&& visit) {
  const size_t width = sizeof(Key) - 1 + run.time_bytes;
  bool whole = false, more = false;
  const auto check = [&](std::string_view value) {
    if (value.size() < kBlockHeaderBytes || (value.size() - kBlockHeaderBytes) % width != 0) return;
    const std::string_view entries = value.substr(kBlockHeaderBytes);
    uint32_t checksum = 0;
    std::memcpy(&checksum, value.data() + 1, sizeof(checksum));
    if (checksum != Checksum(entries)) return;
    whole = true;
    more = value[0] != 0;
    visit(entries);
  };
  TM_RETURN_IF_ERROR(store_->Read(BlockKey(segment, run.number, block, part), check).status());
  if (!whole) return Damaged();  // or missing
  return more;
}

template <typename Key>
absl::Status SeenRuns<Key>::Add(int segment, const Entries& entries, int64_t dead_until_us) {
  std::vector<Run>& runs = runs_[static_cast<size_t>(segment)];
  if (entries.empty()) return absl::OkStatus();
  Write(segment, runs.empty() ? 0 : runs.back().number + 1, entries);
  for (size_t from = MergeFrom(runs); from < runs.size(); from = MergeFrom(runs)) {
    TM_RETURN_IF_ERROR(Merge(segment, from, dead_until_us));
  }
  return absl::OkStatus();
}

template <typename Key>
size_t SeenRuns<Key>::MergeFrom(const std::vector<Run>& runs) const {
  const size_t from = MergeFrom(runs, static_cast<uint64_t>(span_us_));
  if (from < runs.size() || runs.size() <= kMostRuns) return from;
  return MergeFrom(runs, std::numeric_limits<uint64_t>::max());
}

// Of the newest runs up to a size, with nothing larger between them, four.
template <typename Key>
size_t SeenRuns<Key>::MergeFrom(const std::vector<Run>& runs, uint64_t most_span_us) const {
  for (int tier = 0; tier < 32; ++tier) {
    size_t from = runs.size();
    int64_t min_time = std::numeric_limits<int64_t>::max(), max_time = std::numeric_limits<int64_t>::min();
    for (; from > 0 && Tier(runs[from - 1].entries) <= tier; --from) {
      min_time = std::min(min_time, runs[from - 1].min_time_us);
      max_time = std::max(max_time, runs[from - 1].max_time_us);
      if (static_cast<uint64_t>(max_time) - static_cast<uint64_t>(min_time) > most_span_us) break;
    }
    if (runs.size() - from >= kFanIn) return from;
  }
  return runs.size();
}

template <typename Key>
absl::Status SeenRuns<Key>::Merge(int segment, size_t from, int64_t dead_until_us) {
  std::vector<Run>& runs = runs_[static_cast<size_t>(segment)];
  const auto by_key = [](const Seen<Key>& a, const Seen<Key>& b) { return a.key < b.key; };
  Entries merged;
  // From the newest to the oldest, which tend to be larger; of equal keys the newer stays in front.
  for (size_t i = runs.size(); i-- > from;) {
    const auto middle = static_cast<int64_t>(merged.size());
    TM_RETURN_IF_ERROR(Read(segment, runs[i], &merged));
    std::inplace_merge(merged.begin(), merged.begin() + middle, merged.end(), by_key);
  }
  const auto same = [](const Seen<Key>& a, const Seen<Key>& b) { return a.key == b.key; };
  merged.erase(std::unique(merged.begin(), merged.end(), same), merged.end());
  std::erase_if(merged, [&](const Seen<Key>& entry) { return entry.time_us <= dead_until_us; });
  const uint32_t number = runs.back().number + 1;
  while (runs.size() > from) Drop(segment, runs.size() - 1);
  if (!merged.empty()) Write(segment, number, merged);
  return absl::OkStatus();
}

template <typename Key>
void SeenRuns<Key>::Write(int segment, uint32_t number, const Entries& entries) {
  Run run;
  run.number = number;
  run.entries = static_cast<int64_t>(entries.size());
  const auto by_time = [](const auto& a, const auto& b) { return a.time_us < b.time_us; };
  const auto [least, most] = std::minmax_element(entries.begin(), entries.end(), by_time);
  run.min_time_us = least->time_us;
  run.max_time_us = most->time_us;
  const uint64_t span = static_cast<uint64_t>(run.max_time_us) - static_cast<uint64_t>(run.min_time_us);
  run.time_bytes = static_cast<uint8_t>(std::max<size_t>(1, (std::bit_width(span) + 7) / 8));
  const auto width = static_cast<int64_t>(sizeof(Key)) - 1 + run.time_bytes;
  run.blocks = static_cast<uint32_t>(std::max<int64_t>(1, run.entries * width / kBlockBytes));
  run.filter = KeyFilter(run.entries);
  for (const Seen<Key>& entry : entries) run.filter.Add(PlaceOf(entry.key), entry.key.filter_bits());

  const Seen<Key>* at = entries.data();
  const Seen<Key>* const end = at + entries.size();
  for (uint32_t block = 0; block < run.blocks; ++block) {
    const Seen<Key>* const begin = at;
    while (at < end && BlockOf(run, at->key) == block) ++at;
    run.parts = std::max(run.parts, WriteBlock(segment, run, block, begin, at));
  }
  WriteHeader(segment, run);
  ++count_;
  size_ += run.entries;
  bytes_ += Bytes(run);
  first_death_us_ = std::min(first_death_us_, run.max_time_us);
  runs_[static_cast<size_t>(segment)].push_back(std::move(run));
}

// Returns the number of its parts.
template <typename Key>
uint16_t SeenRuns<Key>::WriteBlock(int segment, const Run& run, uint32_t block, const Seen<Key>* begin,
                                   const Seen<Key>* end) {
  const size_t width = sizeof(Key) - 1 + run.time_bytes;
  const auto most = static_cast<int64_t>((kMaxValueBytes - kBlockHeaderBytes) / width);
  std::string value;
  for (uint16_t part = 0;; ++part) {
    const Seen<Key>* const until = begin + std::min(end - begin, most);
    value.assign(1, until < end ? 1 : 0);
    // Times are written as 8 bytes.
    value.resize(kBlockHeaderBytes + static_cast<size_t>(until - begin) * width + sizeof(uint64_t));
    char* at = value.data() + kBlockHeaderBytes;
    for (; begin < until; ++begin, at += width) {
      const uint64_t offset = static_cast<uint64_t>(begin->time_us) - static_cast<uint64_t>(run.min_time_us);
      StoreKey(begin->key, at);
      std::memcpy(at + sizeof(Key) - 1, &offset, sizeof(offset));
    }
    value.resize(value.size() - sizeof(uint64_t));
    const uint32_t checksum = Checksum(std::string_view(value).substr(kBlockHeaderBytes));
    std::memcpy(value.data() + 1, &checksum, sizeof(checksum));
    Put(BlockKey(segment, run.number, block, part), value);
    if (begin == end) return static_cast<uint16_t>(part + 1);
  }
}

template <typename Key>
void SeenRuns<Key>::WriteHeader(int segment, const Run& run) {
  RunHeader header;
  header.key_bytes = sizeof(Key);
  header.time_bytes = run.time_bytes;
  header.parts = run.parts;
  header.blocks = run.blocks;
  header.entries = run.entries;
  header.min_time_us = run.min_time_us;
  header.max_time_us = run.max_time_us;
  const std::string_view filter = run.filter.bytes();
  const size_t all = sizeof(header) + filter.size();
  header.filter_parts = static_cast<uint16_t>((all + kMaxValueBytes - 1) / kMaxValueBytes);
  std::string value(reinterpret_cast<const char*>(&header), sizeof(header));
  value.append(filter);
  for (uint16_t part = 0; part < header.filter_parts; ++part) {
    Put(FilterKey(segment, run.number, part), std::string_view(value).substr(part * kMaxValueBytes, kMaxValueBytes));
  }
}

// Appends all entries of the run.
template <typename Key>
absl::Status SeenRuns<Key>::Read(int segment, const Run& run, Entries* out) {
  out->reserve(out->size() + static_cast<size_t>(run.entries));
  const size_t width = sizeof(Key) - 1 + run.time_bytes;
  for (uint32_t block = 0; block < run.blocks; ++block) {
    bool more = true;
    for (uint16_t part = 0; more; ++part) {
      const auto append = [&](std::string_view entries) {
        for (size_t at = 0; at < entries.size(); at += width) {
          const char* const entry = entries.data() + at;
          out->push_back(
              {LoadKey(entry, segment, Key()), LoadTime(entry + sizeof(Key) - 1, run.time_bytes, run.min_time_us)});
        }
      };
      TM_ASSIGN_OR_RETURN(more, ReadBlock(segment, run, block, part, append));
    }
  }
  return absl::OkStatus();
}

template <typename Key>
void SeenRuns<Key>::Drop(int segment, size_t index) {
  std::vector<Run>& runs = runs_[static_cast<size_t>(segment)];
  const Run& run = runs[index];
  for (uint32_t block = 0; block < run.blocks; ++block) {
    for (uint16_t part = 0; part < run.parts; ++part) store_->Delete(BlockKey(segment, run.number, block, part));
  }
  const size_t filter_bytes = sizeof(RunHeader) + run.filter.bytes().size();
  for (uint16_t part = 0; part * kMaxValueBytes < filter_bytes; ++part) {
    store_->Delete(FilterKey(segment, run.number, part));
  }
  --count_;
  size_ -= run.entries;
  bytes_ -= Bytes(run);
  runs.erase(runs.begin() + static_cast<int64_t>(index));
}

template <typename Key>
void SeenRuns<Key>::Expire(int64_t dead_until_us) {
  if (first_death_us_ > dead_until_us) return;
  int64_t blocks = 0, first_death_us = std::numeric_limits<int64_t>::max();
  for (int segment = 0; segment < kSegments; ++segment) {
    std::vector<Run>& runs = runs_[static_cast<size_t>(segment)];
    for (size_t i = 0; i < runs.size();) {
      if (runs[i].max_time_us <= dead_until_us && blocks < kExpireBlocks) {
        blocks += runs[i].blocks;
        Drop(segment, i);
      } else {
        first_death_us = std::min(first_death_us, runs[i++].max_time_us);
      }
    }
  }
  first_death_us_ = first_death_us;
}

template class SeenRuns<IntKey>;
template class SeenRuns<HashedKey>;

}  // namespace tidemark
