#include "src/runtime/input_time.h"

#include <algorithm>

namespace tidemark {

void MarkMinimum::Add(Mark mark) {
  any_ = true;
  if (mark.idle) {
    idle_ = std::max(idle_, mark.watermark);
  } else {
    any_active_ = true;
    active_ = std::min(active_, mark.watermark);
  }
}

Mark MarkMinimum::Get() const {
  if (!any_) return Mark{kMinTime, false};
  if (any_active_) return Mark{active_, false};
  return Mark{idle_, true};
}

void SourceInputTime::Restore(const packed::InputTime& saved) {
  progress_.max_time = EventTime{saved.max_time_us()};
  progress_.floor = EventTime{saved.floor_us()};
  clock_time_ = EventTime{saved.clock_time_us()};
  idle_ = saved.idle();
}

void SourceInputTime::Save(packed::InputTime* out) const {
  out->set_max_time_us(progress_.max_time.us);
  out->set_floor_us(progress_.floor.us);
  out->set_clock_time_us(clock_time_.us);
  out->set_idle(idle_);
}

void SourceInputTime::Busy(int64_t now_us) {
  last_busy_us_ = now_us;
  idle_ = false;
}

bool SourceInputTime::Tick(bool at_end, int64_t monotonic_us, int64_t wall_us) {
  // After a start nothing is known of the time before: silence counts from the first look on, and what was idle may
  // have a backlog by now, which other partitions must not run ahead of.
  if (!at_end || last_busy_us_ < 0) {
    last_busy_us_ = monotonic_us;
    const bool changed = idle_;
    idle_ = false;
    return changed;
  }
  if (monotonic_us - last_busy_us_ < spec_.idle_after_us) return false;
  bool changed = !idle_;
  idle_ = true;
  if (spec_.when_all_idle == WhenAllIdle::kFollowClock) {
    const EventTime clock{wall_us - spec_.max_out_of_orderness_us - spec_.idle_after_us};
    // In steps, so that a silent topology doesn't commit at every turn of its loop.
    if (clock_time_ == kMinTime || clock.us - clock_time_.us >= kSecond) {
      clock_time_ = std::max(clock_time_, clock);
      changed = true;
    }
  }
  return changed;
}

bool SourceInputTime::RaiseFloor(EventTime floor) {
  if (floor <= progress_.floor) return false;
  progress_.floor = floor;
  return true;
}

Mark SourceInputTime::mark() const {
  return Mark{std::max(progress_.Watermark(spec_.max_out_of_orderness_us), clock_time_), idle_};
}

void InternalInputTime::Restore(const packed::InputTime& saved) {
  upstream_count_ = saved.upstream_count();
  for (const packed::InputTime::Upstream& upstream : saved.upstreams()) {
    upstreams_[upstream.partition()] = Mark{EventTime{upstream.watermark_us()}, upstream.idle()};
  }
}

void InternalInputTime::Save(packed::InputTime* out) const {
  out->set_upstream_count(upstream_count_);
  for (const auto& [partition, mark] : upstreams_) {
    packed::InputTime::Upstream* upstream = out->add_upstreams();
    upstream->set_partition(partition);
    upstream->set_watermark_us(mark.watermark.us);
    upstream->set_idle(mark.idle);
  }
}

void InternalInputTime::Update(const packed::RowsHeader& header) {
  if (!header.last()) return;
  upstream_count_ = std::max(upstream_count_, header.upstream_count());
  Mark& mark = upstreams_.try_emplace(header.upstream_partition()).first->second;
  mark.watermark = std::max(mark.watermark, EventTime{header.watermark_us()});
  mark.idle = header.idle();
}

Mark InternalInputTime::mark() const {
  if (upstream_count_ == 0 || upstreams_.size() < static_cast<size_t>(upstream_count_)) return Mark{kMinTime, false};
  MarkMinimum minimum;
  for (const auto& [partition, mark] : upstreams_) minimum.Add(mark);
  return minimum.Get();
}

}  // namespace tidemark
