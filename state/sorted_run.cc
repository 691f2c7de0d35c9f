#include "state/sorted_run.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include <xxhash.h>

#include "src/base/big_endian.h"
#include "src/base/status.h"

namespace tidemark {
namespace {

constexpr size_t kBlockBytes = 4000;
constexpr uint8_t kVersion = 1;
constexpr size_t kFirstPartBytes = 5;  // of a block's value, before the entries: more follows, hash

// In front of a run's index. Little-endian, like all we run on.
struct RunHeader {
  uint8_t version = kVersion;
  uint8_t unused = 0;
  uint16_t parts = 0;  // of a block, at most
  uint32_t blocks = 0;
  uint32_t header_parts = 0;
  uint32_t unused2 = 0;
  int64_t entries = 0;
  int64_t bytes = 0;
};
static_assert(sizeof(RunHeader) == 32);

absl::Status Damaged() { return absl::DataLossError("a run of keyed records in the state can't be read"); }

size_t CommonPrefix(std::string_view a, std::string_view b) {
  const size_t most = std::min(a.size(), b.size());
  return static_cast<size_t>(std::mismatch(a.begin(), a.begin() + static_cast<int64_t>(most), b.begin()).first -
                             a.begin());
}

}  // namespace

uint64_t HashOfKey(std::string_view key) { return XXH3_64bits(key.data(), key.size()); }

uint32_t SortedRun::BlockOf(std::string_view key) const {
  uint32_t low = 0, high = blocks();  // the block is at least `low` and below `high`
  while (high - low > 1) {
    const uint32_t middle = low + (high - low) / 2;
    (first(middle) <= key ? low : high) = middle;
  }
  return low;
}

int64_t SortedRun::MemoryBytes() const {
  return static_cast<int64_t>(sizeof(SortedRun) + low.capacity() + firsts.capacity() +
                              first_end.capacity() * sizeof(uint32_t) + filter.bytes().size());
}

std::string SortedRunStore::HeaderKey(uint64_t run, uint16_t part) const {
  std::string key = prefix_ + 'f';
  AppendBigEndian(run, 8, &key);
  AppendBigEndian(part, 2, &key);
  return key;
}

std::string SortedRunStore::BlockKey(uint64_t run, uint32_t block, uint16_t part) const {
  std::string key = prefix_ + 'r';
  AppendBigEndian(run, 8, &key);
  AppendBigEndian(block, 4, &key);
  AppendBigEndian(part, 2, &key);
  return key;
}

void SortedRunStore::Put(const std::string& key, std::string_view value) {
  store_->Put(key, value);
  written_bytes_ += static_cast<int64_t>(key.size() + value.size());
}

absl::StatusOr<std::vector<SortedRun>> SortedRunStore::Load() const {
  std::vector<SortedRun> runs;  // older before newer, as the scan goes
  std::string bytes;
  const std::unique_ptr<StateIterator> it = store_->Scan(prefix_ + 'f', prefix_ + 'g');
  while (it->Valid()) {
    const std::string_view key = it->key().substr(prefix_.size() + 1);
    RunHeader header;
    if (key.size() != 10 || it->value().size() < sizeof(header)) return Damaged();
    const auto number = ReadBigEndian(key.substr(0, 8));
    std::memcpy(&header, it->value().data(), sizeof(header));
    bytes.clear();
    for (uint32_t part = 0; part < header.header_parts; ++part, it->Next()) {
      if (!it->Valid() || it->key() != HeaderKey(number, static_cast<uint16_t>(part))) return Damaged();
      bytes.append(it->value());
    }
    TM_ASSIGN_OR_RETURN(SortedRun run, ParseHeader(number, bytes));
    runs.push_back(std::move(run));
  }
  TM_RETURN_IF_ERROR(it->status());
  return runs;
}

absl::StatusOr<SortedRun> SortedRunStore::ParseHeader(uint64_t number, std::string_view bytes) {
  RunHeader header;
  if (bytes.size() < sizeof(header)) return Damaged();
  std::memcpy(&header, bytes.data(), sizeof(header));
  bytes.remove_prefix(sizeof(header));
  if (header.version != kVersion || header.blocks == 0) return Damaged();
  SortedRun run;
  run.number = number;
  run.parts = header.parts;
  run.entries = header.entries;
  run.bytes = header.bytes;
  std::string_view key;
  if (!TakeBytes(&bytes, &key)) return Damaged();
  run.low = key;
  for (uint32_t block = 0; block < header.blocks; ++block) {
    if (!TakeBytes(&bytes, &key)) return Damaged();
    run.firsts.append(key);
    run.first_end.push_back(static_cast<uint32_t>(run.firsts.size()));
  }
  run.firsts.shrink_to_fit();
  run.first_end.shrink_to_fit();
  if (bytes.empty() || bytes.size() % 64 != 0) return Damaged();
  run.filter = KeyFilter::FromBytes(bytes);
  return run;
}

SortedRun SortedRunStore::Write(uint64_t number, std::string low, absl::Span<const KeyedEntry> entries,
                                size_t told_bytes) {
  SortedRun run;
  run.number = number;
  run.low = std::move(low);
  run.entries = static_cast<int64_t>(entries.size());
  run.filter = KeyFilter(run.entries);
  std::string block;
  std::string_view last, last_of_block;  // keys
  std::string first;
  for (const KeyedEntry& entry : entries) {
    const uint64_t hash = HashOfKey(entry.key.substr(0, told_bytes == 0 ? entry.key.size() : told_bytes));
    run.filter.Add(SortedRun::PlaceOf(hash), SortedRun::BitsOf(hash));
    if (block.empty()) {
      first = run.first_end.empty() ? "" : entry.key.substr(0, CommonPrefix(last_of_block, entry.key) + 1);
      last = {};
    }
    const size_t shared = CommonPrefix(last, entry.key);
    AppendVarint(shared, &block);
    AppendVarint(entry.key.size() - shared, &block);
    block.append(entry.key.substr(shared));
    AppendVarint(entry.erased ? 0 : entry.value.size() + 1, &block);
    if (!entry.erased) block.append(entry.value);
    last = entry.key;
    if (block.size() < kBlockBytes) continue;
    WriteBlock(&run, first, block);
    block.clear();
    last_of_block = last;
  }
  if (!block.empty()) WriteBlock(&run, first, block);
  run.firsts.shrink_to_fit();
  run.first_end.shrink_to_fit();
  WriteHeader(run);
  return run;
}

void SortedRunStore::WriteBlock(SortedRun* run, std::string_view first, std::string_view entries) {
  const uint32_t number = run->blocks();
  const auto checksum = static_cast<uint32_t>(HashOfKey(entries));
  std::string value(kFirstPartBytes, 0);
  std::memcpy(value.data() + 1, &checksum, sizeof(checksum));
  uint16_t part = 0;
  for (;; ++part) {
    const size_t taken = std::min(entries.size(), kMaxValueBytes - value.size());
    value.append(entries.substr(0, taken));
    entries.remove_prefix(taken);
    value[0] = entries.empty() ? 0 : 1;
    Put(BlockKey(run->number, number, part), value);
    run->bytes += static_cast<int64_t>(value.size());
    if (entries.empty()) break;
    value.assign(1, 0);
  }
  run->parts = std::max(run->parts, static_cast<uint16_t>(part + 1));
  run->firsts.append(first);
  run->first_end.push_back(static_cast<uint32_t>(run->firsts.size()));
}

void SortedRunStore::WriteHeader(const SortedRun& run) {
  std::string value(sizeof(RunHeader), 0);
  AppendVarint(run.low.size(), &value);
  value.append(run.low);
  for (uint32_t block = 0; block < run.blocks(); ++block) {
    AppendVarint(run.first(block).size(), &value);
    value.append(run.first(block));
  }
  value.append(run.filter.bytes());
  RunHeader header;
  header.parts = run.parts;
  header.blocks = run.blocks();
  header.header_parts = static_cast<uint32_t>((value.size() + kMaxValueBytes - 1) / kMaxValueBytes);
  header.entries = run.entries;
  header.bytes = run.bytes;
  std::memcpy(value.data(), &header, sizeof(header));
  for (uint32_t part = 0; part < header.header_parts; ++part) {
    Put(HeaderKey(run.number, static_cast<uint16_t>(part)),
        std::string_view(value).substr(part * kMaxValueBytes, kMaxValueBytes));
  }
}

void SortedRunStore::Drop(const SortedRun& run) {
  for (uint32_t block = 0; block < run.blocks(); ++block) {
    for (uint16_t part = 0; part < run.parts; ++part) store_->Delete(BlockKey(run.number, block, part));
  }
  size_t header = sizeof(RunHeader) + run.filter.bytes().size() + run.firsts.size() + run.low.size();
  header += 5 * (run.first_end.size() + 1);  // at most, of lengths
  for (uint16_t part = 0; part * kMaxValueBytes < header; ++part) store_->Delete(HeaderKey(run.number, part));
}

absl::Status SortedRunStore::ReadBlock(const SortedRun& run, uint32_t block, Visitor visit) {
  bool whole = false, more = false;
  const auto check = [&](std::string_view bytes) {
    uint32_t checksum = 0;
    if (bytes.size() < sizeof(checksum)) return;
    std::memcpy(&checksum, bytes.data(), sizeof(checksum));
    bytes.remove_prefix(sizeof(checksum));
    if (checksum != static_cast<uint32_t>(HashOfKey(bytes))) return;
    whole = true;
    visit(bytes);
  };
  joined_.clear();
  for (uint16_t part = 0; part == 0 || more; ++part) {
    bool there = false;
    const auto read = [&](std::string_view value) {
      if (value.empty()) return;
      there = true;
      more = value[0] != 0;
      value.remove_prefix(1);
      if (part == 0 && !more) return check(value);
      joined_.append(value);
      if (!more) check(joined_);
    };
    TM_RETURN_IF_ERROR(store_->Read(BlockKey(run.number, block, part), read).status());
    if (!there) return Damaged();
  }
  return whole ? absl::OkStatus() : Damaged();
}

absl::Status SortedRunStore::ReadBlocks(const SortedRun& run, uint32_t begin, uint32_t end, KeyedEntries* out) {
  for (uint32_t block = begin; block < end; ++block) {
    TM_RETURN_IF_ERROR(ReadBlock(run, block, [&](std::string_view entries) {
      for (RunBlockReader reader(entries); reader.Next();) {
        const std::string_view key = reader.key(), value = reader.value();
        out->list.push_back(
            {{out->bytes.Add(key), key.size()}, {out->bytes.Add(value), value.size()}, reader.erased()});
      }
    }));
  }
  return absl::OkStatus();
}

absl::Status SortedRunStore::ReadAll(const SortedRun& run, KeyedEntries* out) {
  out->list.reserve(out->list.size() + static_cast<size_t>(run.entries));
  const size_t before = out->list.size();
  TM_RETURN_IF_ERROR(ReadBlocks(run, 0, run.blocks(), out));
  return out->list.size() - before == static_cast<size_t>(run.entries) ? absl::OkStatus() : Damaged();
}

}  // namespace tidemark
