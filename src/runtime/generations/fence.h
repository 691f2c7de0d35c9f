// Where a generation stands, and the fence that keeps it there: a mark in front of the metadata of every position of
// its group (fence_mark.h), committed as whoever isn't a member, which coordinators take only while nobody is. So "no
// worker runs" and "no worker begins" are one step of Kafka's. Whoever opens a task behind it, of whichever version of
// Tidemark, finds metadata that isn't of its last commit and ends; whoever was in the group before and sleeps has a
// group generation that is over, so its transaction can't commit its offsets. Brokers keep positions of a group without
// members for a week (offsets.retention.minutes); from then on the log of generations alone refuses a worker, which
// versions without generations don't read.
//
// Positions stay what they are under the mark, and taking it away leaves what stood there: a generation that is marked
// is kept, not given up.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/kafka/client.h"
#include "src/kafka/reset_client.h"
#include "src/plan/plan.h"

namespace tidemark {

// What a generation has committed, in its group and in its changelogs.
struct Stand {
  // Of all inputs of all tasks, as the group has them; -1: none. Marks are taken off.
  std::map<TopicPartition, CommittedOffset> positions;
  std::map<TopicPartition, Offset> sources;  // of those, the sources' partitions
  bool marked = false, wholly_marked = false;
  std::string undrained;  // what of its own topics is still to be read or written; "": nothing
  // What its commits tell of that the plan doesn't have, and what to do about it; "": nothing.
  std::string unregistered;
};

// Reads it. Unavailable: Kafka doesn't answer, or a transaction is still open: ask again. FailedPrecondition: a task's
// positions and its changelog are of different commits, which nothing that runs brings about.
absl::StatusOr<Stand> ReadStand(const Plan& plan, KafkaClient& kafka);

// All groups of the generation that may have members, its stream threads' first.
std::vector<std::string> GroupsOf(const Plan& plan);
// The name of one that has members; "": none has.
absl::StatusOr<std::string> BusyGroup(const Plan& plan, ResetClient& client);

// The mark beside all positions. FailedPrecondition: the group has members.
absl::Status Fence(const Plan& plan, int32_t to, const Stand& stand, ResetClient& client);
// Takes it away again; without a mark it does nothing. FailedPrecondition: the group has members. `still_mine` is asked
// right before, and what isn't OK is the answer; null: nobody else can be at it.
absl::Status Unfence(const Plan& plan, KafkaClient& kafka, ResetClient& client,
                     const std::function<absl::Status()>& still_mine = nullptr);

}  // namespace tidemark
