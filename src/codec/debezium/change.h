// What a record of a table's changes says besides the values of its row: made by the reader of the records, in
// kChangeColumn behind the columns of the source, and read by the step behind it that keeps the rows
// (operators/changes). Any thread.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "src/base/big_endian.h"
#include "src/base/varint.h"
#include "src/plan/plan.h"

namespace tidemark {

struct Change {
  static constexpr int64_t kNoTime = std::numeric_limits<int64_t>::min();

  bool deletes = false;   // only the key's columns mean something
  bool snapshot = false;  // the row was read from the table, not from the log
  // A snapshot that stands in front of the change was taken behind it: where no row is kept, there is none any more.
  bool overtaken = false;
  // Where the change stands in the log of its database; of a snapshot, where the log stood then. The first byte says
  // which kind of log that is; where they are equal, places compare as bytes do. Empty: not known.
  std::string_view position;
  int64_t committed_us = kNoTime;  // when the database committed it
  // Columns that haven't changed and whose values the record leaves out: bit c % 8 of byte c / 8. Empty: none.
  std::string_view unchanged;
  // No row: what a new snapshot of the table, this one, had to say is said. Rows that it, and what came behind it,
  // didn't speak of aren't there any more.
  bool ends_resnapshot = false;
  // No row: the transaction of the database that the rows before it are of has no others (`atomic: transactions`).
  bool ends_transaction = false;
  // Of how many new snapshots of the table this is the last, or the first one's (0); what comes behind a snapshot has
  // its number too. In a partition it never falls.
  uint64_t resnapshot = 0;

  bool IsUnchanged(size_t column) const {
    return column / 8 < unchanged.size() && (static_cast<uint8_t>(unchanged[column / 8]) >> (column % 8) & 1) != 0;
  }
  // The row has had it: it comes again, after `kept`, which was made later. Changes of one row stand in the log in the
  // order in which they were committed, as a row is locked until then; so of two that were read from there the smaller
  // place is the older one. What a snapshot has seen is told by places of commits, which records don't give: a change
  // may stand in front of a snapshot's place and be committed behind it. So a snapshot is older than a change behind
  // its place, and nothing read from the log is older than a snapshot.
  //
  // A smaller place with a later time is another log's (a database that was restored, a new server): nothing comes
  // again.
  //
  // What came by a new snapshot says nothing of places in front of it: that may be another log.
  bool IsBefore(const Change& kept) const {
    if (resnapshot != kept.resnapshot) return resnapshot < kept.resnapshot;
    if (kept.snapshot && !snapshot) return false;
    return !position.empty() && !kept.position.empty() && position.front() == kept.position.front() &&
           position < kept.position && committed_us <= kept.committed_us;
  }
};

// In front of a number, where the earlier version of this form has the size of the position: no record is so long, so
// that version refuses the change, and the row that is kept with it, instead of reading the number as part of the row.
inline constexpr uint64_t kNumbered = (uint64_t{1} << 28) - 1;

inline void AppendChange(const Change& change, std::string* out) {
  out->push_back(static_cast<char>((change.deletes ? 1 : 0) | (change.snapshot ? 2 : 0) | (change.overtaken ? 4 : 0) |
                                   (change.ends_resnapshot ? 8 : 0) | (change.resnapshot > 0 ? 16 : 0) |
                                   (change.ends_transaction ? 32 : 0)));
  AppendOrdered(change.committed_us, out);
  if (change.resnapshot > 0) {
    AppendVarint(kNumbered, out);
    AppendVarint(change.resnapshot, out);
  }
  AppendVarint(change.position.size(), out);
  out->append(change.position);
  AppendVarint(change.unchanged.size(), out);
  out->append(change.unchanged);
}

// Takes a change off the front. False: there is none.
inline bool TakeChange(std::string_view* from, Change* change) {
  if (from->size() < 9) return false;
  const bool numbered = (from->front() & 16) != 0;
  change->deletes = (from->front() & 1) != 0;
  change->snapshot = (from->front() & 2) != 0;
  change->overtaken = (from->front() & 4) != 0;
  change->ends_resnapshot = (from->front() & 8) != 0;
  change->ends_transaction = (from->front() & 32) != 0;
  change->resnapshot = 0;
  change->committed_us = ReadOrdered(from->substr(1, 8));
  from->remove_prefix(9);
  uint64_t mark = 0;
  if (numbered && (!TakeVarint(from, &mark) || mark != kNumbered || !TakeVarint(from, &change->resnapshot)))
    return false;
  return TakeBytes(from, &change->position) && TakeBytes(from, &change->unchanged);
}

}  // namespace tidemark
