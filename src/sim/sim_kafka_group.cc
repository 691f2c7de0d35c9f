#include "src/sim/sim_kafka_group.h"

#include <algorithm>

#include <absl/strings/str_cat.h>

namespace tidemark::sim {
namespace {

// max.poll.interval.ms of the real client: how long the others wait for a member that beats but doesn't rejoin.
constexpr int64_t kRebalanceTimeoutUs = 600 * int64_t{1'000'000};

}  // namespace

const SimGroups::Member* SimGroups::Find(const MemberIdentity& who) const {
  const auto group = groups_.find(who.group);
  if (group == groups_.end()) return nullptr;
  const auto member = group->second.members.find(Key(who));
  return member == group->second.members.end() ? nullptr : &member->second;
}

std::string SimGroups::Join(const MemberIdentity& who, const std::vector<std::string>& topics, int64_t now_us) {
  Group& group = groups_[who.group];
  MemberIdentity self = who;
  const auto known = group.members.find(Key(who));
  const bool is_new = known == group.members.end();
  const bool takes_over = !is_new && known->second.member_id != who.member_id;
  if (is_new || takes_over) self.member_id = absl::StrCat(who.instance_id, "#", next_member_++);
  Member& member = group.members[Key(self)];
  // A static member that comes back to a stable group gets what it had, even if it asks for other topics now: the
  // brokers look at whether the assignor is still the same one, at nothing else.
  const bool rebalance = is_new || (!takes_over && member.topics != topics);
  member.member_id = self.member_id;
  member.topics = topics;
  member.last_heartbeat_us = now_us;
  if (rebalance && !group.preparing) Prepare(&group, now_us);
  member.joined = true;
  return self.member_id;
}

void SimGroups::Leave(const MemberIdentity& who, int64_t now_us) {
  const Member* member = Find(who);
  if (member == nullptr || member->member_id != who.member_id) return;
  Group& group = groups_[who.group];
  group.members.erase(Key(who));
  if (!group.preparing) Prepare(&group, now_us);
}

SimGroups::Standing SimGroups::StandingOf(const MemberIdentity& who) const {
  const Member* member = Find(who);
  if (member == nullptr) return Standing::kUnknown;
  if (member->member_id != who.member_id) return Standing::kFenced;
  return groups_.at(who.group).preparing || groups_.at(who.group).generation != who.generation ? Standing::kRebalancing
                                                                                               : Standing::kStable;
}

bool SimGroups::Awaits(const MemberIdentity& who) const {
  const Member* member = Find(who);
  return member != nullptr && member->member_id == who.member_id && groups_.at(who.group).preparing && !member->joined;
}

void SimGroups::Heartbeat(const MemberIdentity& who, int64_t now_us) {
  const Member* member = Find(who);
  if (member == nullptr || member->member_id != who.member_id) return;
  groups_[who.group].members[Key(who)].last_heartbeat_us = now_us;
}

bool SimGroups::Assignment(MemberIdentity* who, std::vector<TopicPartition>* partitions) const {
  const Member* member = Find(*who);
  if (member == nullptr || member->member_id != who->member_id) return false;
  const Group& group = groups_.at(who->group);
  if (group.preparing) return false;
  who->generation = group.generation;
  *partitions = member->assignment;
  return true;
}

GroupMembers SimGroups::Describe(const std::string& group) const {
  GroupMembers members;
  const auto found = groups_.find(group);
  if (found == groups_.end() || found->second.preparing) return members;
  for (const auto& [name, member] : found->second.members) {
    members.members.push_back({name, member.topics, member.assignment});
    std::sort(members.members.back().topics.begin(), members.members.back().topics.end());
  }
  members.stable = !members.members.empty();
  return members;
}

absl::Status SimGroups::CheckCommit(const MemberIdentity& who) const {
  // Taken for a user who keeps offsets in Kafka without being a member: so says KIP-447, and so do the brokers.
  if (who.generation < 0) {
    const auto group = groups_.find(who.group);
    if (group == groups_.end() || group->second.members.empty()) return absl::OkStatus();
  }
  switch (StandingOf(who)) {
    case Standing::kFenced:
      return absl::PermissionDeniedError(absl::StrCat("member '", who.instance_id, "' of group '", who.group,
                                                      "' is fenced: another one uses this instance id"));
    case Standing::kUnknown:
      return absl::AbortedError(absl::StrCat("unknown member '", who.member_id, "' of group '", who.group, "'"));
    default:
      break;
  }
  const int32_t generation = groups_.at(who.group).generation;
  if (generation == who.generation) return absl::OkStatus();
  return absl::AbortedError(
      absl::StrCat("generation ", who.generation, " of group '", who.group, "' is over, it is ", generation));
}

void SimGroups::Prepare(Group* group, int64_t now_us) {
  group->preparing = true;
  group->preparing_since_us = now_us;
  for (auto& [key, member] : group->members) member.joined = false;
}

void SimGroups::Expire(Group* group, int64_t now_us) {
  const size_t removed = std::erase_if(group->members, [&](const auto& entry) {
    const bool stuck =
        group->preparing && !entry.second.joined && now_us - group->preparing_since_us >= kRebalanceTimeoutUs;
    return stuck || now_us - entry.second.last_heartbeat_us >= session_timeout_us_;
  });
  if (removed > 0 && !group->preparing) Prepare(group, now_us);
}

bool SimGroups::AllJoined(const Group& group) {
  return std::all_of(group.members.begin(), group.members.end(), [](const auto& entry) { return entry.second.joined; });
}

// Range: each topic's partitions in order, in contiguous shares, the first members getting one more.
void SimGroups::Complete(Group* group, const std::map<std::string, int32_t>& sizes) {
  ++rebalances_;
  ++group->generation;
  group->preparing = false;
  for (auto& [key, member] : group->members) member.assignment.clear();
  for (const auto& [topic, partitions] : sizes) {
    std::vector<Member*> takers;
    for (auto& [key, member] : group->members) {
      if (std::find(member.topics.begin(), member.topics.end(), topic) != member.topics.end())
        takers.push_back(&member);
    }
    const int32_t count = static_cast<int32_t>(takers.size());
    int32_t next = 0;
    for (int32_t i = 0; i < count; ++i) {
      const int32_t share = partitions / count + (i < partitions % count ? 1 : 0);
      for (int32_t p = 0; p < share; ++p) takers[static_cast<size_t>(i)]->assignment.push_back({topic, next++});
    }
  }
}

}  // namespace tidemark::sim
