// A Kafka whose source topics end (and may begin) where somebody says: the seam by which a generation is stopped at an
// offset, without any task, thread or commit knowing of it. What lies at or behind a partition's bound isn't there yet;
// where records wait behind it, the bound is the partition's end, so that a task's position comes to stand on it
// exactly, past the control records in front of it. It isn't the end that makes a partition idle, though: kWithheld
// (withheld.h) goes with it. Unless the bounds are the last there will be (a run over a part of the past): then they
// are true ends.
//
// Why here: everything that a stream thread reads passes one Consumer, so a bound that holds here holds whatever a task
// does, and what was never delivered can't be in a transaction. The rule of DESIGN.md section 2 that is kept: positions
// are own ones; what was fetched and isn't due is kept in order and handed out later, and the client library is never
// asked where it stands.
//
// Bounds may be moved by any thread at any time; they take effect with the next Poll. Lowering one doesn't call back
// what was delivered. Bounds that stand until a switch is over are told to whoever reads, behind all that was delivered
// before: that is how a task knows that nothing more comes (drained.h).
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include "src/kafka/client.h"

namespace tidemark {

// Thread-safe.
class SourceBounds {
 public:
  static constexpr Offset kNone = std::numeric_limits<Offset>::max();

  // `topics`: that may have bounds. Until something is said they have none.
  explicit SourceBounds(std::set<std::string> topics) : topics_(std::move(topics)) {}
  // Of a part of the logs: they begin at `starts`, and nothing behind a bound will ever be due, so it is the
  // partition's end like any other.
  SourceBounds(std::set<std::string> topics, std::map<TopicPartition, Offset> starts)
      : topics_(std::move(topics)), starts_(std::move(starts)) {}

  bool last() const { return !starts_.empty(); }
  const std::map<TopicPartition, Offset>& starts() const { return starts_; }

  bool Concerns(const std::string& topic) const { return topics_.contains(topic); }

  // Nothing more is delivered of any of them.
  void Hold();
  // Of these partitions nothing at or behind the offset; of the others `other`: all (kNone), or nothing more (0).
  void Set(std::map<TopicPartition, Offset> bounds, Offset other);
  // Likewise, for good, until this switch is over: whoever reads a partition is told so, once (StandsFor in
  // withheld.h). The last to be called, but for Stand again.
  void Stand(std::map<TopicPartition, Offset> bounds, Offset other, int64_t switch_number);
  // 0: they may move.
  int64_t stands_for() const;

  Offset Of(const TopicPartition& partition) const;

  // By consumers: under the lock that Hold takes, so that a bound holds once it was set. Of `offsets`, ascending, how
  // many are delivered now.
  size_t Deliver(const TopicPartition& partition, std::span<const RecordView> records);
  // What is told as the partition's end: it, or the bound where that comes first; none: nothing to tell yet.
  std::optional<Offset> DeliverEnd(const TopicPartition& partition, Offset end);
  void Begin(const TopicPartition& partition, Offset position);
  void Forget(const TopicPartition& partition);

 private:
  Offset BoundOf(const TopicPartition& partition) const ABSL_SHARED_LOCKS_REQUIRED(mutex_);

  const std::set<std::string> topics_;
  const std::map<TopicPartition, Offset> starts_;
  mutable absl::Mutex mutex_;
  std::map<TopicPartition, Offset> bounds_ ABSL_GUARDED_BY(mutex_);
  Offset other_ ABSL_GUARDED_BY(mutex_) = kNone;
  int64_t stands_for_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<TopicPartition, Offset> delivered_ ABSL_GUARDED_BY(mutex_);  // behind the last record that was
};

// The same cluster, but for what consumers of `group` are given. Both outlive everything that is made of it. `assigned`
// is called by the thread that polls, with each assignment of partitions to a consumer of any group (sinks have others)
// before anybody hears of it: where it fails, so does the Poll, and the next one asks again.
std::unique_ptr<KafkaClient> BoundedClient(std::unique_ptr<KafkaClient> kafka, std::string group, SourceBounds* bounds,
                                           std::function<absl::Status()> assigned);

}  // namespace tidemark
