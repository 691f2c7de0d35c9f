// How far event time has come at one input of a task, and the watermark that follows from it. Part of the commit
// record, so that time never goes back over a restart. Touched by the task's stream thread only.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "proto/packed.pb.h"
#include "src/base/time.h"
#include "src/codec/source_time.h"
#include "src/plan/plan.h"

namespace tidemark {

// What an input says about time: a watermark, and whether it may be left out of the minimum over several inputs.
struct Mark {
  EventTime watermark = kMinTime;
  bool idle = false;
};

// The minimum over inputs that aren't idle. All idle: the largest of them, for only follow_clock moves an idle input's
// time, and with `hold` each of them stands where it stood; the caller never lets a watermark go back.
class MarkMinimum {
 public:
  void Add(Mark mark);
  Mark Get() const;

 private:
  EventTime active_ = kMaxTime, idle_ = kMinTime;
  bool any_active_ = false, any_ = false;
};

// One partition of a source topic.
class SourceInputTime {
 public:
  explicit SourceInputTime(const EventTimeSpec& spec) : spec_(spec) {}

  void Restore(const packed::InputTime& saved);
  void Save(packed::InputTime* out) const;

  SourceTime* progress() { return &progress_; }  // the decoder moves it forward
  const SourceTime* progress() const { return &progress_; }

  // Records came, or the position is not the partition's end: not idle.
  void Busy(int64_t now_us);
  // The position is the partition's end since some time; decides idleness. True if the mark has changed. Not called
  // while time stands.
  bool Tick(bool at_end, int64_t monotonic_us, int64_t wall_us);
  // Raises the watermark to at least `floor`, for good: rows behind it are late. True if that changed it.
  bool RaiseFloor(EventTime floor);

  Mark mark() const;

 private:
  const EventTimeSpec spec_;
  SourceTime progress_;
  EventTime clock_time_ = kMinTime;  // follow_clock: how far the clock has carried an idle partition
  bool idle_ = false;
  int64_t last_busy_us_ = -1;
};

// One partition of an internal topic: the last word of every upstream partition.
class InternalInputTime {
 public:
  void Restore(const packed::InputTime& saved);
  void Save(packed::InputTime* out) const;

  // A packed record arrived; only a commit's last part carries time. A watermark that goes back is kept where it was.
  void Update(const packed::RowsHeader& header);
  // Minus infinity until all upstream partitions have reported.
  Mark mark() const;

 private:
  int32_t upstream_count_ = 0;
  std::map<int32_t, Mark> upstreams_;
};

}  // namespace tidemark
