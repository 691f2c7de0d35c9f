// Continuity of internal topics: what a reader of one partition has heard of each of its writers, so that a record that
// is missing or comes again is an error with a name and never a silence.
//
// Every packed record carries a running number, 1, 2, 3, ..., of its writer (a task: stage and partition) and its
// target partition; records with a watermark only count too. The writer keeps the last number of each target in its
// commit record, as an absolute value. The reader keeps the last number of each writer as part of its own durable
// position: a task in its commit record, a sink as text beside the offset it goes on from. So on both sides number and
// position are one: what takes the position back takes the number back.
//
// Why a reader that loses nothing never sees a gap or a repeat:
//   - Abort. Records of an aborted transaction are not read, and the task is opened again from the record of its last
//     commit, with the numbers that stand there: the next attempt gives the same numbers again. Numbers are given in
//     PrepareCommit alone, and n+1 is prepared only once n is applied, so that one commit's numbers hang in the balance
//     at most, and where n isn't committed, nothing of n+1 was numbered.
//   - Takeover. A task has one writer at a time (both its transactional ids are fenced before its changelog is read, or
//     its offsets were awaited), and the new one goes on from the newest commit record, whose records precede its own
//     in every target.
//   - Rebalance, restart of the reader: position and numbers come from the same record.
//   - Trimming goes behind the readers' durable positions, so what is trimmed was heard. A reader without a position
//     begins at the log's start: if that was trimmed, its first record isn't number 1, and it says so.
//   - A change of the topology. The edge of a sink may come out of another stage than before: another writer, with
//     numbers of its own, which is why the stage is part of the writer's name. An edge that is given up leaves its
//     numbers in the commit record, and goes on with them where it comes back. Other counts of partitions are refused
//     before anything is read (topics.h).
//   - A writer whose state was deleted begins with 1 again, and with it everything it has ever written: a repeat, which
//     is refused.
//
// Earlier versions wrote no numbers (0) and kept none. What they wrote is taken unchecked; and as nobody counted
// meanwhile, that writer's next number is taken as it is, whatever it is. The same holds for a position that an earlier
// version has kept, which includes that of a reader gone back to one and forth again: all first numbers are taken.
//
// Used by the reader's thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "proto/packed.pb.h"

namespace tidemark {

// A stage's name as the headers of its records carry it.
uint32_t WriterStage(std::string_view stage);

class Heard {
 public:
  // Of a reader at the beginning of its topic: every writer's first record is number 1.
  Heard() = default;
  explicit Heard(const packed::Heard& saved);
  // Of a reader whose position an earlier version kept.
  static Heard Unknown();

  // A record follows the one heard last of its writer: moves on. FailedPrecondition: records are missing between the
  // two, or it came before; nothing may be done with it then. The caller adds the record's place.
  absl::Status Check(const packed::RowsHeader& header);

  void Save(packed::Heard* out) const;
  // In one line of text, without spaces or bars. Never empty: the empty text is Unknown.
  std::string ToText() const;
  // FailedPrecondition: not such a text.
  static absl::StatusOr<Heard> FromText(std::string_view text);

 private:
  std::map<uint32_t, std::vector<uint64_t>> last_;  // by stage and partition of the writer; 0: none yet
  bool takes_any_first_ = false;
};

}  // namespace tidemark
