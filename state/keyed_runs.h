// Keyed records that needn't be in memory: keys and values of any length in packed sorted runs in a StateStore, with a
// filter and a sparse index each in memory, about 1.6 bytes a record. What an operator keeps in memory is newer than
// what it has here: it asks here only for what it doesn't have, many keys at a time, and puts here what it no longer
// needs at hand, many records at a time. Touched only by the stream thread.
//
// Order and ranges: runs are sorted by the bytes of their keys. The keys are cut into ranges of a few MiB; a run
// belongs to one range. A range that outgrows its bound is merged into one run and cut in two, in one commit. So no
// merge is larger than a range, however many records there are, and all records of a range can be read, or dropped,
// together.
//
// What counts: in a range the newest run that has the key, even where it says that the record is erased. A merge takes
// the newest runs of a range, never one from the middle, and its result is newer than all that stay, so the newest
// entry of a key stays the newest. An erased record is left out of a merge only where no older run is left that it
// could have hidden. A merge, a cut and a drop each are part of one commit; nothing is under way between commits, and
// an object made anew from the store is as this one.
//
// Where four runs of a size have gathered in a range they become one, or are waiting for that; and so do all of its
// runs where the newer ones have as many entries as the oldest, so that what is erased goes. Looking a key up costs one
// read of a block for each run whose filter lets it through, mostly one; a filter lets 0.5% of other keys through.
//
// How a run lies in the store: state/sorted_run.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/types/span.h>

#include "state/sorted_run.h"
#include "state/store.h"

namespace tidemark {

class KeyedRuns {
 public:
  using Entry = KeyedEntry;
  using Entries = KeyedEntries;
  using FoundVisitor = absl::FunctionRef<void(size_t question, std::string_view key, std::string_view value)>;
  struct Question {
    std::string_view key;
    uint64_t hash = 0;
    // The answer. Not found: no run has the key, or the newest that has it says that it is erased.
    bool found = false, erased = false;
    std::string value;
  };

  // `told_bytes`: only the first so many bytes of a key are in the filters, for FindAll; 0: all of them.
  KeyedRuns(StateStore* store, std::string prefix, size_t told_bytes = 0)
      : store_(store, std::move(prefix)), told_bytes_(told_bytes) {}
  KeyedRuns(const KeyedRuns&) = delete;
  KeyedRuns& operator=(const KeyedRuns&) = delete;

  static uint64_t Hash(std::string_view key) { return HashOfKey(key); }

  // Reads headers, indexes and filters; no records.
  absl::Status Load();

  bool empty() const { return ranges_.empty(); }
  // Of all runs.
  int64_t entries() const;
  // False: no run has the key.
  bool MayHold(std::string_view key, uint64_t hash) const;
  // Answers questions in the ascending order of their keys; each block is read once.
  absl::Status Find(absl::Span<Question> questions);

  // Of keys that are put once and never erased: calls `visit` with every entry whose key begins with that of a
  // question, which has `told_bytes`. Questions ascend, and none stands there twice.
  absl::Status FindAll(absl::Span<const Question> questions, FoundVisitor visit);

  // Adds entries, newer than those there are, in the ascending order of their keys, each key once.
  void Add(absl::Span<const Entry> entries);
  // Merges what has gathered, until about so many bytes are written, and the rest of the last merge: to be called with
  // every Add, with a few times its bytes, which is what merging costs on average.
  absl::Status MergeSome(int64_t bytes);

  // Appends the records that count, with key >= `from`, up to the end of a range, in order; and says from which key to
  // go on, or that nothing follows. What is appended may be nothing.
  absl::Status Read(std::string_view from, Entries* out, std::optional<std::string>* next);
  // The same, but no more than so many blocks of each run (at least one): for who reads many runs side by side.
  absl::Status ReadSome(std::string_view from, uint32_t blocks, Entries* out, std::optional<std::string>* next);
  // Deletes the ranges that end at this key or before.
  void DropBefore(std::string_view key);
  // Deletes runs of about so many blocks at most; true once none is left.
  bool DropSome(int64_t blocks);
  void Drop();

  const std::string& prefix() const { return store_.prefix(); }
  // All that was given to the store since it was asked last.
  int64_t TakeWrittenBytes() { return store_.TakeWrittenBytes(); }
  int64_t MemoryBytes() const { return bytes_ + static_cast<int64_t>(sizeof(*this)); }
  size_t ranges() const { return ranges_.size(); }
  // Since the object was made: blocks read to answer questions.
  int64_t reads() const { return reads_; }

 private:
  using Run = SortedRun;
  struct Range {
    std::string low;        // its first key; its end is the next one's
    std::vector<Run> runs;  // older before newer
    int64_t bytes() const;
  };

  size_t RangeOf(std::string_view key) const;  // kNone: before the first
  void RangesChanged();
  absl::Status FindIn(const Range& range, absl::Span<Question> questions);
  absl::Status Answer(const Run& run, absl::Span<Question* const> asked);
  absl::Status FindAllIn(const Range& range, absl::Span<const Question> questions, size_t first, FoundVisitor visit);
  absl::Status AnswerAll(const Run& run, absl::Span<const Question> questions, absl::Span<const size_t> asked,
                         size_t first, FoundVisitor visit);
  // The runs from number `from` on, newest first; of equal keys the newest entry.
  absl::Status ReadRuns(const Range& range, size_t from, Entries* out);

  // The first of the newest runs that are to become one; kNone where none are.
  static size_t MergeFrom(const Range& range);
  absl::Status Merge(size_t range, size_t from);
  void Write(Range* range, absl::Span<const Entry> entries);
  void DropRun(const Run& run);
  void DropRange(size_t range);

  static constexpr size_t kNone = ~size_t{0};

  SortedRunStore store_;
  const size_t told_bytes_;
  std::vector<Range> ranges_;    // by their first keys
  std::vector<uint64_t> heads_;  // the first bytes of these
  uint64_t next_number_ = 0;
  size_t next_merged_ = 0;  // the range that is looked at next
  int64_t bytes_ = 0, reads_ = 0;
};

}  // namespace tidemark
