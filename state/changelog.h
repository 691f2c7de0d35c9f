// The changelog of a task, as bytes and as bookkeeping; no I/O.
//
// A commit is one or several records, each a packed.ChangelogPart, in one transaction; the last part carries the commit
// record. The first may have been written ahead of the others, with nothing in it: the commit's announcement. Entries
// are absolute, so replaying a record twice does no harm.
//
// The rewrite keeps a restore bounded. Where the log has grown too long for the state in it, each following commit also
// carries a range of live state, in key order, until the last key is passed; from then on nothing before the first of
// these commits is needed. Why a restore from there is exact: take any key x, and the commit c that carried the range x
// lies in. If x was live at c, c says its value; if it wasn't, then it was either never written since the start of the
// rewrite, or its deletion is in the log behind the write. What happened to x after c is in the deltas. In c itself
// delta and range can't contradict each other: a key with a delta is left out of the range.
//
//   none --(log too long: rewrite_start = own first part)--> under way, rewrite_key moves up a range a commit
//   under way --(last key passed)--> none, needed_from = rewrite_start
//
// All of it is part of the commit record, so an abort takes it back. A commit can't know its own offsets: it writes
// kOwnFirst, and whoever applies or replays it puts the offset in.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "proto/packed.pb.h"
#include "src/base/record.h"

namespace tidemark {

// In rewrite_start and needed_from of a commit record in the log: the first part of this very commit.
inline constexpr Offset kOwnFirst = -2;
inline constexpr Offset kNoRewrite = -1;

// A changelog record's value stays below 512 KiB: room for the framing, and for one entry of the largest size.
inline constexpr size_t kMaxPartBytes = size_t{500} << 10;
inline constexpr size_t kMaxKeyBytes = size_t{64} << 10;

// The first part of a commit, written before it is known what the commit holds.
std::string AnnouncementOf(uint64_t commit);

// Packs the entries of a commit into parts, serialized as they come: a message's fields may stand in any order, so that
// the entries don't have to wait for what is said of them all.
class CommitEncoder {
 public:
  // `announced`: AnnouncementOf(commit) is written already.
  explicit CommitEncoder(uint64_t commit, bool announced = false) {
    part_.set_commit(commit);
    if (announced) part_.set_part(1);
  }

  // The full key is prefix + key. No value: the key is deleted.
  void Add(std::string_view prefix, std::string_view key, std::optional<std::string_view> value);
  // Bytes of keys and values so far.
  int64_t entry_bytes() const { return entry_bytes_; }
  // The records' values, in order. The encoder is spent.
  std::vector<std::string> Finish(const packed::CommitRecord& record);

 private:
  void EndPart();

  packed::ChangelogPart part_;  // but for its entries
  std::string entries_;         // the part's, serialized
  int64_t entry_bytes_ = 0;
  std::vector<std::string> values_;
};

// Keys in [begin, end); without end, to the last.
struct KeyRange {
  std::string begin;
  std::optional<std::string> end;

  bool Contains(std::string_view key) const { return key >= begin && (!end.has_value() || key < *end); }
};

// Where a task stands in its changelog, after the commit it has applied.
struct LogPosition {
  packed::CommitRecord record;  // the newest commit's; commit = 0 where there is none
  Offset next = 0;              // behind the last record applied
  int64_t log_bytes = 0;        // of the records from needed_from on
  int64_t rewrite_bytes = 0;    // of the records from rewrite_start on
  int64_t live_bytes = 0;       // of keys and values, as the last rewrite that ended found them
  int64_t rewritten_bytes = 0;  // the same, so far, of the rewrite under way

  bool RewriteUnderWay() const { return record.commit() != 0 && record.rewrite_start() >= 0; }
  bool RewriteDue(double ratio, int64_t min_bytes) const {
    return static_cast<double>(log_bytes) > ratio * static_cast<double>(live_bytes) && log_bytes > min_bytes;
  }
  // The range of live state that a commit carries which follows this position and has that record; none where it
  // carries deltas alone.
  std::optional<KeyRange> RangeOf(const packed::CommitRecord& following) const;
  // Moves to the commit of `following`, whose first part is at `first`, and keeps what stands where that leaves it out.
  // `bytes`: of its records; `live_in_range`: of the keys and values it puts inside RangeOf(following).
  void Advance(const packed::CommitRecord& following, Offset first, Offset behind, int64_t bytes,
               int64_t live_in_range);

  std::string Serialize() const;
  static absl::StatusOr<LogPosition> Parse(std::string_view bytes);
};

}  // namespace tidemark
