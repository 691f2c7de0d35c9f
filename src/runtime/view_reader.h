// Follows one view's topic in a worker that answers questions about it: reads it whole at the start, committed records
// only, and goes on from there; no consumer group, so every worker has all rows and no rebalance touches them. It is
// nobody's input: whatever becomes of it, tasks and commits go on.
//
//   kReads --the end it had at the beginning is reached--> kServes --the log was trimmed, or not heard of for
//     ^                                                       |      half a day, or is that of another topic--+
//     +------------------- begins anew -----------------------+-----------------------------------------------+
//     +--> kTooLarge: the rows don't fit into the memory; only another start tries again
//
// Rows wait for the mark of their task, so a question sees whole commits. While the view is read the first time, or
// anew, nothing is told: half a view is not an answer. A reader that lags behind while rows are deleted would miss
// that, as brokers forget deletions after a day or more; so one that hasn't been at the end for half of one begins
// anew. Nor do consumers notice when a topic is deleted and made again while they are frozen or cut off, as by
// `tidemark reset`: so the topic's id is taken before its log is read, and whoever asks for the end asks for the id
// behind it.
//
// Positions are told as `base` more than they are in the log: each generation of an application has logs of its own,
// and who asks goes from one to the next (generations.proto, view_base). So everything here has that in it but what is
// asked of brokers, and what they are told to trim.
//
// Step and Confirm are called by one thread each, everything else by any.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include "src/base/memory_budget.h"
#include "src/codec/table_decoder.h"
#include "src/runtime/runtime.h"
#include "src/runtime/view_log.h"
#include "src/views/changes.h"
#include "src/views/store.h"

namespace tidemark {

struct ViewStatus {
  std::string view;
  bool ready = false;      // it answers
  bool too_large = false;  // and won't
  std::string trouble;     // why it doesn't; "": it does, or will in a moment
  int64_t rows = 0, bytes = 0;
  int64_t bad_records = 0;
  Offset position = 0;
  Offset lag = 0;                 // committed records that aren't in yet
  std::optional<int64_t> age_us;  // so long ago everything that had been committed was in; nothing: not yet
  std::optional<EventTime> as_of;
  std::optional<std::pair<TopicPartition, Offset>> trim;  // what is before it nobody needs any more ...
  std::string topic_id;                                   // ... in the topic of this id; "": the brokers tell none
};

class ViewReader {
 public:
  // `memory` is that of all views. Both outlive it.
  ViewReader(const Runtime& runtime, const SinkPlan& view, MemoryBudget* memory, Offset base = 0);

  const SinkPlan& view() const { return view_; }
  const ViewShape& shape() const { return shape_; }
  const TopicPartition& log() const { return log_; }
  // What has changed lately, for those who follow; any thread. It doesn't outlive the reader.
  const std::shared_ptr<ViewChanges>& changes() const { return changes_; }

  // Reads what is there, waiting at most so long for the first of it. InvalidArgument, final: a newer version has
  // written the log. Else OK: what fails is tried again.
  absl::Status Step(int64_t max_wait_us);
  // The log's end (read_committed, without `base`) as somebody has asked for it, at that time (monotonic), and the id
  // that its topic had afterwards.
  void Confirm(Offset end, int64_t asked_us, const std::string& topic_id);

  // The rows, while it answers. Else null, and `why` says what to tell.
  std::shared_ptr<const ViewStore> store(std::string* why) const;
  // Nothing: it was never at the end.
  std::optional<int64_t> age_us() const;
  // Calls `done` once: with true when the position is reached, perhaps at once; with false at the deadline
  // (monotonic), or by EndWaits.
  void Await(Offset position, int64_t deadline_us, std::function<void(bool reached)> done);

  void EndWaits();
  // The log's end as it was asked for last, where that was no earlier than `since_us` (monotonic). Nothing: not yet.
  std::optional<Offset> EndAskedSince(int64_t since_us) const;

  ViewStatus status() const;

 private:
  enum class State { kReads, kServes, kTooLarge };
  struct Pending {
    std::vector<ViewChange> changes;
    Offset first = 0;  // of their records
  };

  absl::Status Begin();
  absl::Status Take(const PollResult& polled);
  absl::Status TakeFetch(const Fetch& fetch);
  absl::Status TakeRows(const Fetch& rows);
  absl::Status TakeMark(int32_t writer, const RecordView& record);
  void Publish();
  void AtEnd(Offset end, int64_t asked_us);
  void Drop(State state, std::string trouble);
  void TellWaiting();
  void NoteTrim(int64_t now_us);

  const Runtime& runtime_;
  const SinkPlan& view_;
  const ViewShape shape_;
  const TablePlan table_;
  const TopicPartition log_;
  const Offset base_;
  const std::shared_ptr<ViewChanges> changes_;

  // Touched by Step only.
  MemoryBudget::Share memory_;
  std::unique_ptr<TableDecoder> decoder_;
  std::unique_ptr<Consumer> consumer_;  // null: it begins anew
  int64_t begin_at_us_ = 0;             // monotonic; not before
  Offset next_ = 0;                     // behind what was read
  std::map<int32_t, Pending> pending_;  // by task: rows whose mark hasn't come
  std::vector<ViewChange> ready_;       // that go into the store with the next Publish
  ViewTime time_;
  absl::Status final_;
  int64_t looked_us_ = 0;  // when what can be trimmed was looked for

  mutable absl::Mutex mutex_;
  State state_ ABSL_GUARDED_BY(mutex_) = State::kReads;
  std::string trouble_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<ViewStore> store_ ABSL_GUARDED_BY(mutex_);  // changed by Step only
  Offset target_ ABSL_GUARDED_BY(mutex_) = 0;                 // kReads: the end to reach ...
  int64_t target_us_ ABSL_GUARDED_BY(mutex_) = 0;             // ... as it was then, monotonic
  Offset position_ ABSL_GUARDED_BY(mutex_) = 0;
  Offset end_ ABSL_GUARDED_BY(mutex_) = 0;            // as last heard of
  Offset told_end_ ABSL_GUARDED_BY(mutex_) = 0;       // by Confirm, of this log ...
  int64_t told_us_ ABSL_GUARDED_BY(mutex_) = 0;       // ... as it was asked for then, monotonic. 0: never
  int64_t confirmed_us_ ABSL_GUARDED_BY(mutex_) = 0;  // monotonic; all that was committed then is in. 0: never
  int64_t bad_records_ ABSL_GUARDED_BY(mutex_) = 0;
  std::optional<Offset> trim_ ABSL_GUARDED_BY(mutex_);
  std::string topic_id_ ABSL_GUARDED_BY(mutex_);     // of the log; "": not known, or nothing is read
  bool is_another_ ABSL_GUARDED_BY(mutex_) = false;  // the topic has another id now
  struct Waiting {
    Offset position;
    int64_t deadline_us;
    std::function<void(bool)> done;
  };
  std::list<Waiting> waiting_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tidemark
