// The group coordinator of the simulated Kafka: the classic protocol with the range assignor, eager rebalances and
// static membership.
//
//   stable --(a member joins, leaves or dies)--> preparing --(every member has rejoined)--> stable, generation + 1
//
// A static member that joins under a new member id takes its predecessor's place: the old id is fenced, and in a stable
// group the assignment and the generation stay.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <absl/status/status.h>

#include "src/base/record.h"
#include "src/kafka/client.h"

namespace tidemark::sim {

// Who a consumer says it is.
struct MemberIdentity {
  std::string group;
  std::string instance_id;  // empty: dynamic
  std::string member_id;    // empty: not a member
  int32_t generation = -1;
};

class SimGroups {
 public:
  explicit SimGroups(int64_t session_timeout_us) : session_timeout_us_(session_timeout_us) {}

  enum class Standing { kStable, kRebalancing, kUnknown, kFenced };

  // (Re)joins; the answer is the member's id. The assignment is there once `Assignment` says so.
  std::string Join(const MemberIdentity& who, const std::vector<std::string>& topics, int64_t now_us);
  void Leave(const MemberIdentity& who, int64_t now_us);
  // What the answer to a heartbeat would be. Doesn't count as one.
  Standing StandingOf(const MemberIdentity& who) const;
  // A rebalance waits for that member to join (again): also one that begins before it has heard of the last one's end.
  bool Awaits(const MemberIdentity& who) const;
  void Heartbeat(const MemberIdentity& who, int64_t now_us);
  // True once the rebalance that `who` has joined is over; `who.generation` is then brought up to date.
  bool Assignment(MemberIdentity* who, std::vector<TopicPartition>* partitions) const;
  // Who has what, sorted by name.
  GroupMembers Describe(const std::string& group) const;
  // What the coordinator checks before it takes offsets: instance, member and generation, not who owns the partitions.
  absl::Status CheckCommit(const MemberIdentity& who) const;
  // Removes members whose session is over and completes rebalances. `partition_count` tells the size of a topic.
  template <typename PartitionCount>
  void Tick(int64_t now_us, PartitionCount&& partition_count) {
    for (auto& [name, group] : groups_) {
      Expire(&group, now_us);
      if (group.preparing && AllJoined(group)) {
        std::map<std::string, int32_t> sizes;
        for (const auto& [key, member] : group.members) {
          for (const std::string& topic : member.topics) sizes[topic] = partition_count(topic);
        }
        Complete(&group, sizes);
      }
    }
  }

  int64_t rebalances() const { return rebalances_; }

 private:
  struct Member {
    std::string member_id;
    std::vector<std::string> topics;
    int64_t last_heartbeat_us = 0;
    bool joined = false;  // the rebalance that is being prepared
    std::vector<TopicPartition> assignment;
  };
  struct Group {
    int32_t generation = 0;
    bool preparing = false;
    int64_t preparing_since_us = 0;
    std::map<std::string, Member> members;  // by instance id, or by member id where there is none: assignment order
  };

  static std::string Key(const MemberIdentity& who) {
    return who.instance_id.empty() ? who.member_id : who.instance_id;
  }
  const Member* Find(const MemberIdentity& who) const;
  void Prepare(Group* group, int64_t now_us);
  void Expire(Group* group, int64_t now_us);
  static bool AllJoined(const Group& group);
  void Complete(Group* group, const std::map<std::string, int32_t>& sizes);

  const int64_t session_timeout_us_;
  std::map<std::string, Group> groups_;
  int64_t next_member_ = 1;
  int64_t rebalances_ = 0;
};

}  // namespace tidemark::sim
