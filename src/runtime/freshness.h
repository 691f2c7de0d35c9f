// How old what stands in the sinks and views of an application may be, watched for those that state `freshness`.
//
// A probe is a time and the ends that all topics of the sources had then. When every stage on the way to the sink has
// committed up to them, the internal topics' ends are taken in turn, stage by stage, and at last the sink's own
// position has to reach them: then everything that could be read at the probe's time shows in the sink, and the sink is
// as fresh as that. A probe begins every tick, and many are under way where the sink is far behind. It is the read of
// --until_end (end_watcher.h), again and again.
//
// So nothing is inferred from silence: a source that says nothing is fresh because its end was committed, and a
// database that is away (its sink thread asks it now and then, also where there is nothing to write), a broker that is
// away and a partition that nobody reads all keep probes from passing. Of a Kafka sink the markers of the transactions
// have to be in its topic too, which come after the positions: another application's that is open there is waited for
// as its readers wait for it.
//
// Output that waits for a task's next commit (OffsetMetadata::busy) is waited for. Who has posted waits for a commit
// that leaves none, and is told at its deadline where a task under full load makes no such commit. An alarm has no
// deadline, and a task that is always busy mustn't look like one that stands still: there one commit more is taken for
// enough, so of what takes several to come out the last may be younger than it says. Committed positions are Kafka's,
// so every worker sees the whole application; only a view's last step is this worker's own.
//
// With FreshnessSpec::from_event the age counts from the largest event time that each source partition's task has
// committed, where that is longer ago; a partition that hasn't moved for `max` counts by its confirmed end alone.
//
// This is monitoring: wall clocks are in it, and nothing that it finds flows back into rows. Step is called by one
// thread, status by any.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include "src/runtime/freshness_alarm.h"
#include "src/runtime/runtime.h"

namespace tidemark {

// One alarm that is raised now; what pages and lists show.
struct RaisedAlarm {
  std::string sink;
  AlarmKind kind = AlarmKind::kWarn;
  int64_t since_us = 0;  // wall
};

// Of a sink or view with `freshness`, as this worker sees it.
struct FreshnessStatus {
  std::string sink;
  bool view = false;
  FreshnessSpec spec;
  int64_t age_us = 0;      // of what shows there
  bool confirmed = false;  // else `age_us` is only known to be so much at least: since this worker began
  std::optional<int64_t> breach_in_us;
  std::vector<RaisedAlarm> raised;
};

class FreshnessWatch {
 public:
  // `view_position`: how much of a view's log this worker shows; nothing: it doesn't answer. Any thread.
  using ViewPosition = std::function<std::optional<Offset>(const std::string& view)>;

  // `sink_fails`: this worker's thread of the sink has an error from outside, so nobody knows what shows there. Any
  // thread.
  using SinkFails = std::function<bool(const std::string& sink)>;

  // Which sinks are watched: those that state `freshness`; or, for whoever waits for what was posted to show
  // (visible_waits.h), all that its rows may come to. There are no alarms of these, and Look is called when somebody
  // waits.
  enum class Of { kStated, kPosts };

  FreshnessWatch(const Runtime& runtime, ViewPosition view_position, SinkFails sink_fails, Of of = Of::kStated);

  bool watches() const { return !sinks_.empty(); }
  // Asks the brokers once. What they don't tell leaves everything as old as it is.
  absl::Status Look();
  // A short wait, and Look where it is due: one turn of a loop. Always OK.
  absl::Status Step();

  std::vector<FreshnessStatus> status() const;

  // Whatever could be read in a source's topic at this time, monotonic, shows in all sinks that are watched and that
  // its rows may come to. The thread's that calls Look.
  int64_t ThroughUs(const std::string& topic) const;

 private:
  using Offsets = std::map<TopicPartition, CommittedOffset>;
  using Ends = std::map<TopicPartition, Offset>;

  // What a probe passes: members of `group` have committed these partitions; of a view the reader's position; of a
  // Kafka sink what readers with read_committed are given of its topic.
  enum class By { kGroup, kView, kReaders };
  struct Level {
    std::string group;
    std::vector<TopicPartition> sources, internal;
    By by = By::kGroup;
  };
  // What a look has found.
  struct Found {
    std::map<std::string, Offsets> committed;  // by group
    std::map<TopicPartition, Offset> shown;    // of Kafka sinks' topics, to readers with read_committed
  };
  struct Probe {
    int64_t at_us = 0;  // monotonic
    std::shared_ptr<const Ends> sources;
    size_t level = 0;
    std::shared_ptr<const Ends> internal;      // of the level; taken when it was reached
    std::map<TopicPartition, uint64_t> waits;  // of the level: the commit that has reached the end with output to give
  };
  struct Watched {
    std::string sink;
    bool view = false;
    FreshnessSpec spec;
    FreshnessAlarm alarm;
    std::vector<Level> levels;
    std::deque<Probe> probes;  // the oldest first
    int64_t through_us = 0;    // monotonic: what could be read then shows
    bool confirmed = false;
    int64_t age_us = 0;
  };
  // Event time as a source partition's committed offsets tell it.
  struct Moved {
    Offset offset = -1;
    int64_t time_us = 0, at_us = 0;  // the largest event time; when it was seen to have moved, wall
  };

  void WatchStated();
  void WatchPosts();
  std::vector<Level> LevelsOf(size_t sink) const;
  bool Passed(const Watched& watched, const Found& found, Probe* probe) const;
  void Advance(Watched* watched, const Found& found, const std::shared_ptr<const Ends>& ends);
  void NoteMoves(const Offsets& committed, int64_t wall_us);
  int64_t EventDelay(const Watched& watched, int64_t mono_us, int64_t wall_us) const;
  void Observe();

  const Runtime& runtime_;
  const ViewPosition view_position_;
  const SinkFails sink_fails_;
  const Of of_;
  int64_t tick_us_ = kSecond;
  int64_t next_us_ = 0;
  std::vector<Watched> sinks_;
  std::map<TopicPartition, Moved> moved_;  // of sources' topics
  mutable absl::Mutex mutex_;
  std::vector<FreshnessStatus> status_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tidemark
