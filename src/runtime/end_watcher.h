// Decides when `--until_end` is done, for all workers of the topology together, from committed positions alone
// (group_positions.h).
//
//   kOutside   what was there at start of the sources from outside Kafka is in their topics (outside_end.h), whose
//              ends are taken then
//   kSources   every source partition is committed up to the end it had at start
//   kClosing   (--close_windows) every source partition's watermark has been raised to beyond the last window
//   kStages    stage by stage, upstream first: the internal topics it reads are committed up to their ends, and none of
//              its tasks has output waiting ("busy")
//   kSinks     every external sink's group has confirmed its feed up to the end
//   kVisible   what was written to sinks' topics, side topics and dead letters shows to readers with read_committed:
//              the markers of a transaction come after its decision. Waits no longer than a transaction lives, because
//              others may write there too
//   kDone
//
// The end of an internal topic is its high watermark: upstream's offsets may be committed before the marker of that
// same transaction has reached the topic, and up to that moment the last stable offset knows nothing of its rows. A
// marker that came between a look at the end and one at the positions counts as well: it would otherwise be left, by a
// worker that has gone, to be waited for by the others.
//
// Runs on a thread of its own: each look makes requests, which wait where brokers are away.
#pragma once

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include "src/base/time.h"
#include "src/runtime/group_positions.h"
#include "src/runtime/outside_end.h"
#include "src/runtime/runtime.h"

namespace tidemark {

// How far a run to the end is.
struct EndProgress {
  Offset done = 0, total = 0;  // source records committed since the start, and in all
  std::string waits_for;       // "sink lake: 12 records of its feed"; "" while source records are left
  std::string sink;            // the one it waits for
};

class EndWatcher {
 public:
  EndWatcher(const Runtime& runtime, bool close_windows) : runtime_(runtime), close_windows_(close_windows) {}

  // Takes the sources' end offsets: once, before the threads start.
  absl::Status TakeEnds();
  // Instead: sources are done where they are committed up to here, and those that aren't named where they are.
  void SetEnds(std::map<TopicPartition, Offset> ends) { source_ends_ = std::move(ends); }
  // True when everything is done. Moves RunControl::close_to and ::flush_sinks forward.
  absl::StatusOr<bool> Check();
  // Check, then a short wait: a turn of the watcher's thread. Brokers that are away are waited for.
  absl::Status Step();

  // Any thread.
  bool done() const { return done_.load(std::memory_order_acquire); }
  EndProgress progress() const;

 private:
  using Ends = PartitionEnds;
  enum class Phase { kOutside, kSources, kClosing, kStages, kSinks, kVisible, kDone };

  // True: all of it is in.
  absl::StatusOr<bool> OutsideIsIn();
  std::vector<std::string> OutputTopics() const;
  int64_t WindowHorizonUs() const;
  // False, as an answer of Check: what isn't complete yet is told to progress().
  bool WaitFor(std::string what, std::string sink = "");

  const Runtime& runtime_;
  const bool close_windows_;
  Phase phase_ = Phase::kOutside;
  std::vector<std::unique_ptr<OutsideEnd>> outside_;
  Ends source_ends_;
  Ends outside_ends_;  // high watermarks, when what was there of the sources from outside was in
  size_t stage_ = 0;
  EventTime close_to_ = kMinTime;
  Ends written_;               // their ends, taken when all the rest was done
  int64_t visible_by_us_ = 0;  // monotonic
  Offset total_ = -1;          // source records that were missing at the first look; -1: not looked yet
  std::atomic<bool> done_{false};
  mutable absl::Mutex mutex_;
  EndProgress progress_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tidemark
