#include "state/keyed_runs.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>
#include <memory>
#include <utility>

#include <xxhash.h>

#include "src/base/big_endian.h"
#include "src/base/mutation.h"
#include "src/base/status.h"
#include "src/base/varint.h"

namespace tidemark {
namespace {

constexpr size_t kBlockBytes = 4000;
constexpr int64_t kRangeBytes = int64_t{4} << 20;  // a range beyond it is cut ...
constexpr int64_t kPieceBytes = int64_t{2} << 20;  // ... into pieces of about this size
constexpr size_t kFanIn = 4;                       // runs of a size that become one
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

// Runs of one tier are within a factor of four.
int Tier(int64_t bytes) { return static_cast<int>((std::bit_width(static_cast<uint64_t>(bytes)) - 1) / 2); }

// Keys of which this differs are in its order.
uint64_t Head(std::string_view key) {
  char head[8] = {};
  std::memcpy(head, key.data(), std::min<size_t>(key.size(), 8));
  return ReadBigEndian({head, 8});
}

size_t CommonPrefix(std::string_view a, std::string_view b) {
  const size_t most = std::min(a.size(), b.size());
  return static_cast<size_t>(std::mismatch(a.begin(), a.begin() + static_cast<int64_t>(most), b.begin()).first -
                             a.begin());
}

// The filter's line, and what tells in it.
uint32_t PlaceOf(uint64_t hash) { return static_cast<uint32_t>(hash >> 32); }
uint64_t BitsOf(uint64_t hash) { return hash * 0x9E3779B97F4A7C15; }

int64_t Size(const KeyedRuns::Entry& entry) { return static_cast<int64_t>(entry.key.size() + entry.value.size()) + 4; }

// The entries of a block, one after the other.
class BlockReader {
 public:
  explicit BlockReader(std::string_view entries) : rest_(entries) {}
  // False: the end.
  bool Next() {
    if (rest_.empty()) return false;
    uint64_t shared = 0, size = 0;
    std::string_view own;
    if (!TakeVarint(&rest_, &shared) || shared > key_.size() || !TakeBytes(&rest_, &own) ||
        !TakeVarint(&rest_, &size) || size > rest_.size() + 1) {
      rest_ = {};
      return false;
    }
    key_.resize(shared);
    key_.append(own);
    erased_ = size == 0;
    value_ = rest_.substr(0, erased_ ? 0 : size - 1);
    rest_.remove_prefix(value_.size());
    return true;
  }
  std::string_view key() const { return key_; }
  std::string_view value() const { return value_; }
  bool erased() const { return erased_; }

 private:
  std::string_view rest_, value_;
  std::string key_;
  bool erased_ = false;
};

}  // namespace

uint64_t KeyedRuns::Hash(std::string_view key) { return XXH3_64bits(key.data(), key.size()); }

uint32_t KeyedRuns::Run::BlockOf(std::string_view key) const {
  uint32_t low = 0, high = blocks();  // the block is at least `low` and below `high`
  while (high - low > 1) {
    const uint32_t middle = low + (high - low) / 2;
    (first(middle) <= key ? low : high) = middle;
  }
  return low;
}

int64_t KeyedRuns::Run::MemoryBytes() const {
  return static_cast<int64_t>(sizeof(Run) + low.capacity() + firsts.capacity() +
                              first_end.capacity() * sizeof(uint32_t) + filter.bytes().size());
}

int64_t KeyedRuns::Range::bytes() const {
  int64_t sum = 0;
  for (const Run& run : runs) sum += run.bytes;
  return sum;
}

std::string KeyedRuns::HeaderKey(uint64_t run, uint16_t part) const {
  std::string key = prefix_ + 'f';
  AppendBigEndian(run, 8, &key);
  AppendBigEndian(part, 2, &key);
  return key;
}

std::string KeyedRuns::BlockKey(uint64_t run, uint32_t block, uint16_t part) const {
  std::string key = prefix_ + 'r';
  AppendBigEndian(run, 8, &key);
  AppendBigEndian(block, 4, &key);
  AppendBigEndian(part, 2, &key);
  return key;
}

void KeyedRuns::Put(const std::string& key, std::string_view value) {
  store_->Put(key, value);
  written_bytes_ += static_cast<int64_t>(key.size() + value.size());
}

int64_t KeyedRuns::TakeWrittenBytes() { return std::exchange(written_bytes_, 0); }

absl::Status KeyedRuns::Load() {
  std::vector<Run> runs;  // older before newer, as the scan goes
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
    TM_ASSIGN_OR_RETURN(Run run, ParseHeader(number, bytes));
    runs.push_back(std::move(run));
  }
  TM_RETURN_IF_ERROR(it->status());
  std::stable_sort(runs.begin(), runs.end(), [](const Run& a, const Run& b) { return a.low < b.low; });
  for (Run& run : runs) {
    if (ranges_.empty() || ranges_.back().low != run.low) ranges_.push_back({run.low, {}});
    next_number_ = std::max(next_number_, run.number + 1);
    bytes_ += run.MemoryBytes();
    ranges_.back().runs.push_back(std::move(run));
  }
  RangesChanged();
  return absl::OkStatus();
}

absl::StatusOr<KeyedRuns::Run> KeyedRuns::ParseHeader(uint64_t number, std::string_view bytes) {
  RunHeader header;
  if (bytes.size() < sizeof(header)) return Damaged();
  std::memcpy(&header, bytes.data(), sizeof(header));
  bytes.remove_prefix(sizeof(header));
  if (header.version != kVersion || header.blocks == 0) return Damaged();
  Run run;
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

void KeyedRuns::RangesChanged() {
  heads_.clear();
  for (const Range& range : ranges_) heads_.push_back(Head(range.low));
}

size_t KeyedRuns::RangeOf(std::string_view key) const {
  const auto [equal, above] = std::equal_range(heads_.begin(), heads_.end(), Head(key));
  const auto behind =
      std::upper_bound(ranges_.begin() + (equal - heads_.begin()), ranges_.begin() + (above - heads_.begin()), key,
                       [](std::string_view k, const Range& range) { return k < range.low; });
  return static_cast<size_t>(behind - ranges_.begin()) - 1;  // kNone before the first
}

bool KeyedRuns::MayHold(std::string_view key, uint64_t hash) const {
  const size_t range = RangeOf(key);
  if (range == kNone) return false;
  const auto may = [&](const Run& run) { return run.filter.MayHold(PlaceOf(hash), BitsOf(hash)); };
  return std::any_of(ranges_[range].runs.begin(), ranges_[range].runs.end(), may);
}

absl::Status KeyedRuns::Find(absl::Span<Question> questions) {
  for (size_t at = 0; at < questions.size();) {
    const size_t range = RangeOf(questions[at].key);
    size_t end = at + 1;
    const bool last = range + 1 == ranges_.size();  // kNone + 1 is the first
    while (end < questions.size() && (last || questions[end].key < ranges_[range + 1].low)) ++end;
    if (range != kNone) TM_RETURN_IF_ERROR(FindIn(ranges_[range], questions.subspan(at, end - at)));
    at = end;
  }
  return absl::OkStatus();
}

absl::Status KeyedRuns::FindIn(const Range& range, absl::Span<Question> questions) {
  std::vector<Question*> open, asked;
  for (Question& question : questions) open.push_back(&question);
  const bool oldest_first = MutationActive(Mutation::kOldRecordBeatsNew);
  for (size_t i = range.runs.size(); i-- > 0 && !open.empty();) {
    const Run& run = range.runs[oldest_first ? range.runs.size() - 1 - i : i];
    asked.clear();
    for (Question* const question : open) {
      if (run.filter.MayHold(PlaceOf(question->hash), BitsOf(question->hash))) asked.push_back(question);
    }
    if (asked.empty()) continue;
    TM_RETURN_IF_ERROR(Answer(run, asked));
    std::erase_if(open, [](const Question* question) { return question->found || question->erased; });
  }
  return absl::OkStatus();
}

// `asked` in the order of their keys.
absl::Status KeyedRuns::Answer(const Run& run, absl::Span<Question* const> asked) {
  for (size_t at = 0; at < asked.size();) {
    const uint32_t block = run.BlockOf(asked[at]->key);
    const bool last = block + 1 == run.blocks();
    size_t end = at + 1;
    while (end < asked.size() && (last || asked[end]->key < run.first(block + 1))) ++end;
    ++reads_;
    TM_RETURN_IF_ERROR(ReadBlock(run, block, [&](std::string_view entries) {
      BlockReader reader(entries);
      bool more = reader.Next();
      for (size_t q = at; q < end; ++q) {
        while (more && reader.key() < asked[q]->key) more = reader.Next();
        if (!more) break;
        if (reader.key() != asked[q]->key) continue;
        asked[q]->erased = reader.erased();
        asked[q]->found = !reader.erased();
        asked[q]->value = reader.value();
      }
    }));
    at = end;
  }
  return absl::OkStatus();
}

absl::Status KeyedRuns::FindAll(absl::Span<const Question> questions, FoundVisitor visit) {
  if (ranges_.empty()) return absl::OkStatus();
  for (size_t at = 0; at < questions.size();) {
    // The entries of a question may go on in the ranges behind the one that it falls into.
    size_t range = RangeOf(questions[at].key);
    if (range == kNone) range = 0;
    size_t end = at + 1;
    const auto before = [&](size_t q) {
      return range + 1 == ranges_.size() || questions[q].key < ranges_[range + 1].low;
    };
    while (end < questions.size() && before(end)) ++end;
    TM_RETURN_IF_ERROR(FindAllIn(ranges_[range], questions.subspan(at, end - at), at, visit));
    const std::string_view last = questions[end - 1].key;
    for (++range; range < ranges_.size() && ranges_[range].low.compare(0, last.size(), last) <= 0; ++range) {
      TM_RETURN_IF_ERROR(FindAllIn(ranges_[range], questions.subspan(end - 1, 1), end - 1, visit));
    }
    at = end;
  }
  return absl::OkStatus();
}

// `first`: the number of the first of these questions.
absl::Status KeyedRuns::FindAllIn(const Range& range, absl::Span<const Question> questions, size_t first,
                                  FoundVisitor visit) {
  std::vector<size_t> asked;
  for (const Run& run : range.runs) {
    asked.clear();
    for (size_t q = 0; q < questions.size(); ++q) {
      if (run.filter.MayHold(PlaceOf(questions[q].hash), BitsOf(questions[q].hash))) asked.push_back(q);
    }
    if (!asked.empty()) TM_RETURN_IF_ERROR(AnswerAll(run, questions, asked, first, visit));
  }
  return absl::OkStatus();
}

absl::Status KeyedRuns::AnswerAll(const Run& run, absl::Span<const Question> questions, absl::Span<const size_t> asked,
                                  size_t first, FoundVisitor visit) {
  const auto key = [&](size_t at) { return questions[asked[at]].key; };
  uint32_t block = 0;
  for (size_t at = 0; at < asked.size(); ++block) {
    block = std::max(block, run.BlockOf(key(at)));
    ++reads_;
    TM_RETURN_IF_ERROR(ReadBlock(run, block, [&](std::string_view entries) {
      size_t q = at;
      for (BlockReader reader(entries); reader.Next() && q < asked.size();) {
        const std::string_view told = reader.key().substr(0, told_bytes_);
        while (q < asked.size() && key(q) < told) ++q;
        if (q < asked.size() && key(q) == told) visit(first + asked[q], reader.key(), reader.value());
      }
    }));
    // Those that the next block has nothing more of.
    const bool last = block + 1 == run.blocks();
    while (at < asked.size() && (last || key(at) < run.first(block + 1).substr(0, told_bytes_))) ++at;
  }
  return absl::OkStatus();
}

int64_t KeyedRuns::entries() const {
  int64_t sum = 0;
  for (const Range& range : ranges_) {
    for (const Run& run : range.runs) sum += run.entries;
  }
  return sum;
}

absl::Status KeyedRuns::ReadBlock(const Run& run, uint32_t block, Visitor visit) {
  bool whole = false, more = false;
  const auto check = [&](std::string_view bytes) {
    uint32_t checksum = 0;
    if (bytes.size() < sizeof(checksum)) return;
    std::memcpy(&checksum, bytes.data(), sizeof(checksum));
    bytes.remove_prefix(sizeof(checksum));
    if (checksum != static_cast<uint32_t>(Hash(bytes))) return;
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

absl::Status KeyedRuns::ReadRun(const Run& run, Entries* out) {
  out->list.reserve(out->list.size() + static_cast<size_t>(run.entries));
  const size_t before = out->list.size();
  TM_RETURN_IF_ERROR(ReadBlocks(run, 0, run.blocks(), out));
  return out->list.size() - before == static_cast<size_t>(run.entries) ? absl::OkStatus() : Damaged();
}

absl::Status KeyedRuns::ReadBlocks(const Run& run, uint32_t begin, uint32_t end, Entries* out) {
  for (uint32_t block = begin; block < end; ++block) {
    TM_RETURN_IF_ERROR(ReadBlock(run, block, [&](std::string_view entries) {
      for (BlockReader reader(entries); reader.Next();) {
        const std::string_view key = reader.key(), value = reader.value();
        out->list.push_back(
            {{out->bytes.Add(key), key.size()}, {out->bytes.Add(value), value.size()}, reader.erased()});
      }
    }));
  }
  return absl::OkStatus();
}

absl::Status KeyedRuns::ReadRuns(const Range& range, size_t from, Entries* out) {
  const auto begin = static_cast<int64_t>(out->list.size());
  // From the newest to the oldest, which tend to be larger; of equal keys the newer stays in front.
  for (size_t i = range.runs.size(); i-- > from;) {
    const auto middle = static_cast<int64_t>(out->list.size());
    TM_RETURN_IF_ERROR(ReadRun(range.runs[i], out));
    std::inplace_merge(out->list.begin() + begin, out->list.begin() + middle, out->list.end(),
                       [](const Entry& a, const Entry& b) { return a.key < b.key; });
  }
  const auto same = [](const Entry& a, const Entry& b) { return a.key == b.key; };
  out->list.erase(std::unique(out->list.begin() + begin, out->list.end(), same), out->list.end());
  return absl::OkStatus();
}

absl::Status KeyedRuns::Read(std::string_view from, Entries* out, std::optional<std::string>* next) {
  next->reset();
  if (ranges_.empty()) return absl::OkStatus();
  const size_t at = RangeOf(from) == kNone ? 0 : RangeOf(from);
  const size_t before = out->list.size();
  TM_RETURN_IF_ERROR(ReadRuns(ranges_[at], 0, out));
  const auto passed = [&](const Entry& entry) { return entry.erased || entry.key < from; };
  out->list.erase(std::remove_if(out->list.begin() + static_cast<int64_t>(before), out->list.end(), passed),
                  out->list.end());
  if (at + 1 < ranges_.size()) *next = ranges_[at + 1].low;
  return absl::OkStatus();
}

absl::Status KeyedRuns::ReadSome(std::string_view from, uint32_t blocks, Entries* out,
                                 std::optional<std::string>* next) {
  next->reset();
  if (ranges_.empty()) return absl::OkStatus();
  const size_t at = RangeOf(from) == kNone ? 0 : RangeOf(from);
  const Range& range = ranges_[at];
  if (at + 1 < ranges_.size()) *next = ranges_[at + 1].low;
  const auto before = static_cast<int64_t>(out->list.size());
  for (size_t i = range.runs.size(); i-- > 0;) {  // newest first, as ReadRuns has it
    const Run& run = range.runs[i];
    const auto middle = static_cast<int64_t>(out->list.size());
    const uint32_t begin = run.BlockOf(from), end = std::min(run.blocks(), begin + std::max(blocks, uint32_t{1}));
    TM_RETURN_IF_ERROR(ReadBlocks(run, begin, end, out));
    // What lies from here on isn't known of this run.
    if (end < run.blocks() && (!*next || run.first(end) < **next)) *next = std::string(run.first(end));
    std::inplace_merge(out->list.begin() + before, out->list.begin() + middle, out->list.end(),
                       [](const Entry& a, const Entry& b) { return a.key < b.key; });
  }
  const auto same = [](const Entry& a, const Entry& b) { return a.key == b.key; };
  out->list.erase(std::unique(out->list.begin() + before, out->list.end(), same), out->list.end());
  const auto outside = [&](const Entry& entry) {
    return entry.erased || entry.key < from || (*next && entry.key >= **next);
  };
  out->list.erase(std::remove_if(out->list.begin() + before, out->list.end(), outside), out->list.end());
  return absl::OkStatus();
}

void KeyedRuns::Add(absl::Span<const Entry> entries) {
  while (!entries.empty()) {
    size_t at = RangeOf(entries.front().key);
    if (at == kNone) {
      ranges_.insert(ranges_.begin(), Range());
      RangesChanged();
      at = 0;
    }
    auto end = entries.end();
    if (at + 1 < ranges_.size()) {
      end = std::lower_bound(entries.begin(), end, ranges_[at + 1].low,
                             [](const Entry& entry, const std::string& low) { return entry.key < low; });
    }
    const auto count = static_cast<size_t>(end - entries.begin());
    Write(&ranges_[at], entries.first(count));
    entries.remove_prefix(count);
  }
}

absl::Status KeyedRuns::MergeSome(int64_t bytes) {
  const int64_t until = written_bytes_ + bytes;
  for (size_t looked = 0; looked < ranges_.size() && written_bytes_ < until; ++looked, ++next_merged_) {
    if (next_merged_ >= ranges_.size()) next_merged_ = 0;
    const size_t from = MergeFrom(ranges_[next_merged_]);
    if (from != kNone) TM_RETURN_IF_ERROR(Merge(next_merged_, from));
  }
  return absl::OkStatus();
}

size_t KeyedRuns::MergeFrom(const Range& range) {
  const std::vector<Run>& runs = range.runs;
  // Not all ranges at the same size, since they grow at the same pace.
  const int64_t most = kRangeBytes - static_cast<int64_t>(Hash(range.low) % (kRangeBytes / 4));
  if (runs.size() > 1 && range.bytes() > most) return 0;
  // What is newer has as many entries as the oldest run: where they say that its records are erased, in their order, no
  // new key comes here any more, and nothing else would ever merge them away.
  int64_t newer = 0;
  for (size_t i = 1; i < runs.size(); ++i) newer += runs[i].entries;
  if (newer > 0 && runs[0].bytes >= kRangeBytes / 8 && newer >= runs[0].entries) return 0;
  // Four runs of a size, with nothing larger behind the oldest of them: they and what is smaller become one.
  for (int tier = 31; tier >= 0; --tier) {
    size_t from = runs.size(), of_tier = 0;
    for (; from > 0 && Tier(runs[from - 1].bytes) <= tier; --from) of_tier += Tier(runs[from - 1].bytes) == tier;
    if (of_tier >= kFanIn) return from;
  }
  return kNone;
}

// Makes one run of those from number `from` on; cuts the range where all of them are too large together.
absl::Status KeyedRuns::Merge(size_t range, size_t from) {
  Entries merged;
  TM_RETURN_IF_ERROR(ReadRuns(ranges_[range], from, &merged));
  if (from == 0) std::erase_if(merged.list, [](const Entry& entry) { return entry.erased; });
  int64_t entries_before = 0, bytes_before = 0;
  std::vector<Run>& runs = ranges_[range].runs;
  for (; runs.size() > from; runs.pop_back()) {
    entries_before += runs.back().entries;
    bytes_before += runs.back().bytes;
    DropRun(runs.back());
  }
  absl::Span<const Entry> rest = merged.list;
  if (rest.empty()) {
    if (from == 0) DropRange(range);
    return absl::OkStatus();
  }
  const int64_t bytes = bytes_before * static_cast<int64_t>(rest.size()) / entries_before;  // about
  const int64_t pieces = from > 0 || bytes <= kRangeBytes / 2 ? 1 : (bytes + kPieceBytes - 1) / kPieceBytes;
  int64_t size = 0;
  for (const Entry& entry : rest) size += Size(entry);
  for (int64_t piece = 0; !rest.empty(); ++piece) {
    size_t count = 0;
    for (int64_t taken = 0; count < rest.size() && (piece + 1 == pieces || taken < size / pieces); ++count) {
      taken += Size(rest[count]);
    }
    if (piece > 0) {
      ranges_.insert(ranges_.begin() + static_cast<int64_t>(++range), Range{std::string(rest.front().key), {}});
      RangesChanged();
    }
    Write(&ranges_[range], rest.first(count));
    rest.remove_prefix(count);
  }
  return absl::OkStatus();
}

// Adds a run to the range.
void KeyedRuns::Write(Range* range, absl::Span<const Entry> entries) {
  Run run;
  run.number = next_number_++;
  run.low = range->low;
  run.entries = static_cast<int64_t>(entries.size());
  run.filter = KeyFilter(run.entries);
  std::string block;
  std::string_view last, last_of_block;  // keys
  std::string first;
  for (const Entry& entry : entries) {
    const uint64_t hash = Hash(entry.key.substr(0, told_bytes_ == 0 ? entry.key.size() : told_bytes_));
    run.filter.Add(PlaceOf(hash), BitsOf(hash));
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
  bytes_ += run.MemoryBytes();
  range->runs.push_back(std::move(run));
}

void KeyedRuns::WriteBlock(Run* run, std::string_view first, std::string_view entries) {
  const uint32_t number = run->blocks();
  const auto checksum = static_cast<uint32_t>(Hash(entries));
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

void KeyedRuns::WriteHeader(const Run& run) {
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

// Deletes what the store has of the run.
void KeyedRuns::DropRun(const Run& run) {
  for (uint32_t block = 0; block < run.blocks(); ++block) {
    for (uint16_t part = 0; part < run.parts; ++part) store_->Delete(BlockKey(run.number, block, part));
  }
  size_t header = sizeof(RunHeader) + run.filter.bytes().size() + run.firsts.size() + run.low.size();
  header += 5 * (run.first_end.size() + 1);  // at most, of lengths
  for (uint16_t part = 0; part * kMaxValueBytes < header; ++part) store_->Delete(HeaderKey(run.number, part));
  bytes_ -= run.MemoryBytes();
}

void KeyedRuns::DropRange(size_t range) {
  for (const Run& run : ranges_[range].runs) DropRun(run);
  ranges_.erase(ranges_.begin() + static_cast<int64_t>(range));
  RangesChanged();
}

void KeyedRuns::DropBefore(std::string_view key) {
  while (ranges_.size() > 1 && ranges_[1].low <= key) DropRange(0);
}

bool KeyedRuns::DropSome(int64_t blocks) {
  while (!ranges_.empty() && blocks > 0) {
    for (const Run& run : ranges_.back().runs) blocks -= run.blocks();
    DropRange(ranges_.size() - 1);
  }
  return ranges_.empty();
}

void KeyedRuns::Drop() {
  while (!ranges_.empty()) DropRange(ranges_.size() - 1);
}

}  // namespace tidemark
