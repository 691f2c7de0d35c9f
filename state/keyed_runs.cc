#include "state/keyed_runs.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>
#include <utility>

#include "src/base/big_endian.h"
#include "src/base/mutation.h"
#include "src/base/status.h"

namespace tidemark {
namespace {

constexpr int64_t kRangeBytes = int64_t{4} << 20;  // a range beyond it is cut ...
constexpr int64_t kPieceBytes = int64_t{2} << 20;  // ... into pieces of about this size
constexpr size_t kFanIn = 4;                       // runs of a size that become one

// Runs of one tier are within a factor of four.
int Tier(int64_t bytes) { return static_cast<int>((std::bit_width(static_cast<uint64_t>(bytes)) - 1) / 2); }

// Keys of which this differs are in its order.
uint64_t Head(std::string_view key) {
  char head[8] = {};
  std::memcpy(head, key.data(), std::min<size_t>(key.size(), 8));
  return ReadBigEndian({head, 8});
}

int64_t Size(const KeyedRuns::Entry& entry) { return static_cast<int64_t>(entry.key.size() + entry.value.size()) + 4; }

}  // namespace

int64_t KeyedRuns::Range::bytes() const {
  int64_t sum = 0;
  for (const Run& run : runs) sum += run.bytes;
  return sum;
}

absl::Status KeyedRuns::Load() {
  TM_ASSIGN_OR_RETURN(std::vector<SortedRun> runs, store_.Load());
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
  const auto may = [&](const Run& run) { return run.MayHold(hash); };
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
      if (run.MayHold(question->hash)) asked.push_back(question);
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
    TM_RETURN_IF_ERROR(store_.ReadBlock(run, block, [&](std::string_view entries) {
      RunBlockReader reader(entries);
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
      if (run.MayHold(questions[q].hash)) asked.push_back(q);
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
    TM_RETURN_IF_ERROR(store_.ReadBlock(run, block, [&](std::string_view entries) {
      size_t q = at;
      for (RunBlockReader reader(entries); reader.Next() && q < asked.size();) {
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

absl::Status KeyedRuns::ReadRuns(const Range& range, size_t from, Entries* out) {
  const auto begin = static_cast<int64_t>(out->list.size());
  // From the newest to the oldest, which tend to be larger; of equal keys the newer stays in front.
  for (size_t i = range.runs.size(); i-- > from;) {
    const auto middle = static_cast<int64_t>(out->list.size());
    TM_RETURN_IF_ERROR(store_.ReadAll(range.runs[i], out));
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
    TM_RETURN_IF_ERROR(store_.ReadBlocks(run, begin, end, out));
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
  const int64_t until = store_.written_bytes() + bytes;
  for (size_t looked = 0; looked < ranges_.size() && store_.written_bytes() < until; ++looked, ++next_merged_) {
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
  range->runs.push_back(store_.Write(next_number_++, range->low, entries, told_bytes_));
  bytes_ += range->runs.back().MemoryBytes();
}

void KeyedRuns::DropRun(const Run& run) {
  store_.Drop(run);
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
