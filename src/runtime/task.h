// A task: one stage on one partition. Owns the stage's operators, its inputs' positions and times, its ledger and its
// state, and takes part in the commit of its stream thread. Touched by that thread only.
//
//            Open ------> Process / Advance, any number of times ------> PrepareCommit
//              ^                                                              |
//              |                  Process / Advance, for the next commit, any number of times
//              |                                                              |
//              |                     committed: Applied <--------------------/ \--> aborted: the task is destroyed
//              \--- a new Task                 |                                    and opened again
//                                              \--> Process ...
//
// Rules of the commit kept here (see commit.h for their order): results and deltas come out upstream first; the commit
// record holds absolute values; uncommitted state lives in the overlay only and dies with this object's state handle.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "operators/operator.h"
#include "src/base/time_spent.h"
#include "src/runtime/dead_letter.h"
#include "src/runtime/input_time.h"
#include "src/runtime/output.h"
#include "src/runtime/runtime.h"
#include "src/runtime/transaction.h"
#include "state/task_state.h"

namespace tidemark {

// What the task's thread and the metrics want to know of it.
struct TaskStatus {
  std::string name;
  int32_t partition = 0;
  uint64_t commit = 0;
  EventTime watermark = kMinTime;
  bool idle = false;
  int64_t state_bytes = 0;
  int64_t memory_bytes = 0;
  std::vector<std::pair<TopicPartition, Offset>> positions;
  std::vector<Mark> marks;  // of each of them
  std::vector<std::pair<std::string, StepLedger>> ledger;
  std::vector<int64_t> spent_us;  // that the thread was busy with each of them, since the task was opened
  // A partition whose next record can't be read yet.
  struct Wait {
    TopicPartition partition;
    std::string what;      // it waits for
    int64_t since_us = 0;  // monotonic
  };
  std::vector<Wait> waits;
  // Of sources that tell: columns that records have had and the topology doesn't name.
  std::vector<std::pair<std::string, int64_t>> unnamed_columns;
};

struct TaskInput;    // src/runtime/task_input.h
struct SourceInput;  // likewise

class Task {
 public:
  // `transaction` and `runtime` outlive the task. The state must be open and at its newest commit (task_opener.h).
  Task(const Runtime& runtime, int stage, int32_t partition, std::unique_ptr<TaskState> state,
       Transaction* transaction);
  ~Task();

  // Takes positions, times and ledger from the state's commit record and opens the operators. Inputs without a record
  // need SetStart before the first Process. FailedPrecondition: the state belongs to another topology.
  absl::Status Open();

  const TaskId& id() const { return id_; }
  int stage() const { return stage_; }
  int32_t partition() const { return partition_; }
  // The topics this task reads, all with its own partition number.
  std::vector<TopicPartition> inputs() const;
  // Position of the next record; -1 where there is neither record nor start yet.
  Offset position(const std::string& topic) const;
  // The id that the topic had at the last commit; empty: not known.
  std::string topic_id(const std::string& topic) const;
  // The position is in the topic of this id; both are committed with the next commit.
  void SetStart(const std::string& topic, Offset offset, const std::string& topic_id);
  // The id that the topic has, where the position is as it was.
  void SetTopicId(const std::string& topic, const std::string& topic_id);
  // The last commit said that output was waiting: the next one is owed, if only to say that none is.
  void OweCommit() { dirty_ = true; }
  // Time stands, and the last commit said that no output was waiting: what former owners have told of time isn't told
  // again. Before the first Advance.
  void ResumeAtRest() { resumes_at_rest_ = true; }
  // No commit has the start of every input: there is none yet, or the stage has got another input since the last one.
  bool StartIsNew() const { return start_is_new_; }

  // ---- The data path.
  // Where a record has to wait for something (task_input.h), its fetch is kept, as is all that comes behind it.
  absl::Status Process(std::unique_ptr<Fetch> fetch);
  // The commit's byte bound was reached within that fetch, and the position stands there: commit, then go on with the
  // rest of it before anything else.
  bool HasRest() const { return rest_.fetch != nullptr; }
  absl::Status ProcessRest();
  // Tries to go on with what was kept, at most one fetch. True: there is more that can be tried now.
  absl::StatusOr<bool> Retry();
  // Adds the inputs of which nothing more should come for now: those whose records are kept, and those that are far
  // ahead of what they are to meet (task_ahead.cc).
  void AppendWaiting(std::set<TopicPartition>* inputs);
  // The position of an input is the end of its partition, past control records.
  void ReachedEnd(const std::string& topic, Offset end);
  // Lets time do its work: idleness, --close_windows, watermarks through all operators. Cheap when nothing has changed.
  absl::Status Advance();
  // A commit is owed: rows or time have moved since the last one (`due`), or only positions over control records.
  bool Dirty() const { return dirty_ || advance_again_; }
  bool PositionMoved() const { return position_moved_; }
  // Some operator may have stopped at the commit's byte bound: commit, then Advance again before any other batch.
  bool AdvancePending() const { return advance_again_; }

  // ---- The commit.
  // Writes the first part of the next commit's changelog record into the transaction, once: only where that commit is
  // going to be prepared, as of every task while the transaction is open.
  absl::Status Announce();
  // Puts results, packed rows and the changelog record into the transaction. What is processed from now on belongs to
  // the next commit, which can't be prepared before this one is applied.
  absl::Status PrepareCommit();
  // All input positions, with "<commit>:<identity>:..." as metadata.
  void AppendOffsets(std::vector<OffsetToCommit>* offsets) const;
  // The transaction, which was `producer`'s, is committed: applies it to RocksDB.
  absl::Status Applied(const Producer& producer);
  // Where the last commit applied stands in the inputs.
  std::vector<std::pair<TopicPartition, Offset>> CommittedPositions() const;
  // Where the changelog may be trimmed now; nothing to trim: 0.
  std::pair<TopicPartition, Offset> TrimBefore() const;

  TaskStatus status() const;

  // Ends the task but keeps its state, uncommitted writes and all: only for Mutation::kOverlayKeptAfterAbort.
  std::unique_ptr<TaskState> ReleaseState();

 private:
  struct NodeState;
  class NodeEmitter;

  absl::Status JoinTransaction();
  absl::Status OpenOperators(const packed::CommitRecord* record);
  absl::Status OpenView(const SinkPlan& view, NodeState* state);
  absl::Status Deliver(int from, const Batch& rows);
  void Sample(int from, const Batch& rows);
  void PublishSamples();
  // A fetch that is left in the middle.
  struct Rest {
    std::unique_ptr<Fetch> fetch;  // null: none
    TaskInput* input = nullptr;
    size_t next = 0;  // the record to go on with
  };
  // The record to go on with; the fetch's size: all were read. Stops where the commit is full, or (`waits`, of sources)
  // at a record that has to wait.
  absl::StatusOr<size_t> ProcessSource(TaskInput& input, const Fetch& fetch, size_t first, bool* waits);
  absl::StatusOr<size_t> ProcessPart(TaskInput& input, const Fetch& fetch, size_t first);
  absl::Status CheckNumbers(SourceInput& source, const Fetch& fetch, size_t first, size_t last);
  void SayWait(TaskInput& input, bool over);
  absl::StatusOr<size_t> ProcessInternal(TaskInput& input, const Fetch& fetch, size_t first);
  void SetEnd(TaskInput& input, Offset end);
  absl::Status AdvanceOperator(int node, Mark mark);
  Mark InputMark(const Node& node) const;
  void NoteSlowest(int64_t now_us);
  void FindAhead();
  std::set<TaskInput*> InputsAbove(size_t node, size_t port) const;
  // Where dead letters say their row came from, unless it tells itself.
  TopicPartition Origin() const;
  // Records that `topic` doesn't take become dead letters of the step; `ledger`, or null, counts them so.
  Refusals RefusalsOf(const std::string& topic, const std::string& step, StepLedger* ledger);
  DeadLetters& SideLetters(const std::string& topic);
  absl::StatusOr<Output*> SideOutput(const SideTopic& side, const Node& node);
  packed::CommitRecord MakeRecord() const;
  void BeginStanding(const packed::CommitRecord* record);
  void BeginToGiveUp(const packed::CommitRecord* record);
  absl::Status GiveUp();
  void NoteSchemas();
  std::string Changelog() const;
  absl::Status ProduceOutside(const std::string& topic, const std::vector<OutRecord>& records);
  const Plan& plan() const { return *runtime_.plan; }

  // What a source's record becomes isn't known before: a join of tables may make thousands of rows of each. So a task
  // begins with a few records at a time, with twice as many while they don't fill a commit, and with half of them where
  // they do.
  static constexpr size_t kFirstPart = 16, kLargestPart = 8192;

  const Runtime& runtime_;
  const int stage_;
  const int32_t partition_;
  const TaskId id_;
  Transaction* const transaction_;
  // Before everything that points into it, so that it is destroyed last.
  std::unique_ptr<TaskState> state_;
  std::string identity_;
  uint64_t commit_ = 0;        // the last one applied
  bool grown_groups_ = false;  // aggregates were added to groups since the task began
  packed::Standing standing_;
  uint64_t standing_hash_ = 0;
  std::vector<packed::OutputSequences> gone_outputs_;  // of edges that the plan no longer has
  int32_t task_count_ = 1;

  std::vector<std::unique_ptr<TaskInput>> inputs_;
  std::vector<std::unique_ptr<NodeState>> nodes_;
  std::map<std::string, std::unique_ptr<Output>> side_outputs_;
  std::map<std::string, std::unique_ptr<DeadLetters>> side_letters_;
  DeadLetters dead_letters_;

  TimeSpent spent_;  // by node; the last one is none of them

  // The smallest watermark of all inputs that aren't idle, and when it moved last (monotonic).
  EventTime slowest_ = kMinTime;
  int64_t slowest_moved_us_ = -1;

  Rest rest_;
  size_t records_at_once_ = kFirstPart;  // of a source

  bool dirty_ = false;
  bool start_is_new_ = false;
  bool resumes_at_rest_ = false;
  bool time_waits_ = false;  // records have come since time was last advanced
  bool position_moved_ = false;
  bool advance_again_ = false;
  std::optional<packed::CommitRecord> prepared_;
  bool announced_ = false;             // of the next commit to be prepared
  uint64_t joined_ = 0;                // the transaction that carries what isn't prepared yet; 0: there is nothing
  std::unique_ptr<Producer> outside_;  // only with Mutation::kChangelogOutsideTransaction
  // Steps of whose stores something may be left, which nobody reads any more; of the last, what stands below this key
  // is gone.
  std::vector<std::string> giving_up_;
  std::string given_up_to_;
};

}  // namespace tidemark
