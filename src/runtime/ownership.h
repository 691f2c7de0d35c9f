// Who reads what. From plan and partition counts follows which inputs the consumer groups of an application must read;
// their coordinators tell which member was given what. What nobody reads is named: in the log, in /readyz, in the
// metrics. The group protocol alone doesn't see to it:
//
//   - a static member that comes back within its session gets what it had, though it subscribes to more now;
//   - members that subscribe to different topics, as in the middle of a rolling restart, are given different shares of
//     topics that are read together;
//   - a topic that gets more partitions is shared out anew, and what is kept by partition no longer fits;
//   - a topic that is deleted while members join or leave is given to nobody, and who reads nothing of it misses
//   nothing.
//
// In the first two cases a member gives its membership up and joins again once all is told, so that the group assigns
// anew by what its members subscribe to now. Only one of them does: the first, by its name, of those that want the same
// topics; the next where that doesn't help.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include "src/runtime/runtime.h"

namespace tidemark {

// What one group of an application must read.
struct GroupInputs {
  std::string group;
  std::vector<std::string> topics;  // of its members' subscriptions, sorted
  // Inputs that one member must read together: those of a task.
  std::vector<std::vector<TopicPartition>> tasks;
};

// The topics that stream threads subscribe to, sorted: sources, and internal topics between stages.
std::vector<std::string> StreamTopics(const Plan& plan);
// Of the stream threads (the group carries the application's name), of each sink with a feed and of each intake.
std::vector<GroupInputs> RequiredInputs(const Plan& plan, const PartitionCounts& partitions);

struct UnreadInput {
  TopicPartition input;
  std::string why;
  // False: members that don't know all of the task's topics yet hold part of it, and another assignment by the same
  // subscriptions would look the same. They are replaced by the rolling restart that brought the others.
  bool curable = true;
};
std::vector<UnreadInput> FindUnread(const GroupInputs& inputs, const GroupMembers& members);

// An input that has more partitions than at the start. FailedPrecondition: says what to do.
absl::Status CheckPartitions(const Plan& plan, const PartitionCounts& at_start, const std::string& topic,
                             int32_t partitions_now);

// What a worker shows of it.
struct OwnershipStatus {
  bool known = false;                                      // every group has been seen with an assignment
  std::map<std::string, std::vector<UnreadInput>> unread;  // by group
};

class OwnershipWatch {
 public:
  // `rejoin` makes a member of this worker leave the group and join it again; any thread.
  OwnershipWatch(const Runtime& runtime, std::function<void(const std::string& group)> rejoin);

  // Asks the brokers, unless it has just done so: slow, used by one thread. FailedPrecondition: an input has more
  // partitions now, or its topic is gone and nobody has it, who would say so. What brokers that are away don't tell
  // stays as it was.
  absl::Status Check();
  // A short wait, and Check: one turn of a loop.
  absl::Status Step();

  OwnershipStatus status() const;  // any thread

 private:
  struct Watched {
    GroupInputs inputs;
    std::optional<std::vector<UnreadInput>> unread;  // as last seen with a settled assignment
    GroupMembers members;                            // then
    int64_t since_us = 0;                            // the same members have left the same inputs unread
    int64_t told_us = 0;
    int64_t rejoin_not_before_us = 0;
    int64_t rejoin_pause_us = 0;
  };

  absl::Status CheckTopics();
  absl::Status CheckGone(const Watched& group) const;
  void CheckGroup(Watched* group);
  void Tell(Watched* group, int64_t now);
  void Cure(Watched* group, int64_t now);
  void Publish();

  const Runtime& runtime_;
  const std::function<void(const std::string& group)> rejoin_;
  std::vector<Watched> groups_;
  std::map<std::string, int64_t> missing_since_us_;  // topics that the brokers don't tell of
  int64_t next_us_ = 0;
  mutable absl::Mutex mutex_;
  OwnershipStatus status_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tidemark
