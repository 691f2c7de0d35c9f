// One partition of a feed, commit by commit: rows are kept until the commit of their task has been read to its end,
// which its last record says (RowsHeader::last). A sink behind batch steps is given nothing else, so that what it
// decides is never a part of a commit, nor is its position ever inside of one. As a batch step lets one batch out a
// commit (operators/batch/batch.h), such a sink shows batches whole.
//
// One task writes to each partition, as the feed of such a sink has at least as many partitions as there are tasks
// (topics.cc): so commits don't lie within each other. If they did, what is given would be the shortest stretch that
// cuts none. A commit that is read is in the log to its end, as readers of feeds see committed records only; so a
// stretch that isn't complete waits for records that are there, and not for a worker.
//
// What is kept is in memory: a batch is at most as large as its step allows (operators/batch/spec.h). Used by the
// sink's thread.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <utility>

#include "src/codec/packed_rows.h"
#include "src/plan/plan.h"
#include "src/runtime/feed_sink.h"

namespace tidemark {

// All rows of the sink come out of sources with `atomic: transactions`, through steps that keep them together. Such a
// source has one task, so that the sink's feed has one partition, and rows that replace each other by a key aren't
// parted: its commits are transactions of the source's database, one or several.
bool ShowsTransactionsWhole(const Plan& plan, int sink);

// That, or all its rows come out of batch steps in this way, and it appends: so its commits are batches. `atomic: true`
// in the topology has the planner see to it (src/plan/whole_batches.cc).
bool ShowsBatchesWhole(const Plan& plan, int sink);

class WholeCommits {
 public:
  // Goes on at this place, which is inside of no commit.
  WholeCommits(int32_t partition, Offset next) { Begin(partition, next); }

  // The next record. True: no commit is open behind it, and all rows are to be taken.
  bool Add(Offset offset, UnpackedRows record);
  // `heard`: behind the last record.
  FeedRows Take(std::string heard);

  // Of the next record.
  Offset next() const { return rows_.next; }
  // Records were added that aren't taken.
  bool within() const { return rows_.next > rows_.first; }
  // What isn't a record was read over; not `within`.
  void SkipTo(Offset next) { rows_.first = rows_.next = next; }

 private:
  void Begin(int32_t partition, Offset next) {
    rows_ = FeedRows();
    rows_.partition = partition;
    SkipTo(next);
  }

  FeedRows rows_;
  std::set<std::pair<uint32_t, int32_t>> open_;  // writers in the midst of a commit: stage, partition
};

}  // namespace tidemark
