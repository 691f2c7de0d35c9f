// Scripts about groups: assignment, membership, committed offsets.
#include "tests/sim/conformance_scripts.h"

namespace tidemark::sim {
namespace {

// Two members of a topic with four partitions, settled.
struct Pair {
  Pair(Kit* kit, const std::string& topic)
      : a(kit, kit->Name("g"), "00-a", {topic}, 0), b(kit, kit->Name("g"), "01-b", {topic}, 1) {
    kit->Until("two members with two partitions each", [this] {
      a.Step();
      b.Step();
      return a.assigned().size() == 2 && b.assigned().size() == 2;
    });
  }
  TestMember a, b;
};

std::vector<OffsetToCommit> Both(std::vector<OffsetToCommit> a, const std::vector<OffsetToCommit>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

std::string Committed(Consumer* consumer, const std::vector<TopicPartition>& partitions) {
  const auto committed = consumer->Committed(partitions);
  if (!committed.ok()) return absl::StatusCodeToString(committed.status().code());
  std::string text;
  for (const auto& [tp, c] : *committed) absl::StrAppend(&text, tp.partition, "=", c.offset, "'", c.metadata, "' ");
  return text;
}

}  // namespace

std::string PartitionsAreSharedByRange(const ConformanceWorld& world) {
  Kit kit(world);
  const std::string topic = kit.Topic("t", 5);
  const std::string other = kit.Topic("u", 5);
  TestMember a(&kit, kit.Name("g"), "00-a", {topic, other}, 0);
  kit.Until("all partitions", [&] {
    a.Step();
    return a.assigned().size() == 10;
  });
  kit.Line("alone: ", a.Assigned(), ", ", a.group().valid() ? "valid" : "invalid");
  TestMember b(&kit, kit.Name("g"), "01-b", {topic, other}, 1);
  kit.Until("the second member", [&] {
    a.Step();
    b.Step();
    return a.assigned().size() == 6 && b.assigned().size() == 4;
  });
  kit.Line("two: ", a.Assigned(), " | ", b.Assigned());
  kit.Line("a saw ", a.assignments, " assignments, ", a.revocations, " revocations, ", a.losses, " losses");
  kit.Must(b.consumer()->Close(true), "leaving");
  kit.Until("all partitions again", [&] {
    a.Step();
    return a.assigned().size() == 10;
  });
  kit.Line("b has left: ", a.Assigned());
  kit.Must(a.consumer()->Close(true), "leaving");
  return kit.Trace();
}

std::string AMemberLeavesWithARebalanceUnanswered(const ConformanceWorld& world) {
  Kit kit(world);
  const std::string topic = kit.Topic("t", 4);
  Pair pair(&kit, topic);
  kit.Must(pair.a.consumer()->Close(true), "leaving");
  // The revocation is answered, the assignment that follows isn't.
  const auto await = [&](Rebalance::Kind kind) {
    kit.Until("b to be told of it", [&] {
      const auto polled = pair.b.consumer()->Poll(1'000, 1);
      return polled.ok() && polled->rebalance.has_value() && polled->rebalance->kind == kind;
    });
  };
  await(Rebalance::Kind::kRevoked);
  kit.Must(pair.b.consumer()->Unassign(), "Unassign");
  await(Rebalance::Kind::kAssigned);
  kit.Line("b leaves", pair.b.consumer()->Close(true));
  TestMember c(&kit, kit.Name("g"), "02-c", {topic}, 2);
  kit.Until("all partitions", [&] {
    c.Step();
    return c.assigned().size() == 4;
  });
  kit.Line("c: ", c.Assigned());
  kit.Must(c.consumer()->Close(true), "leaving");
  return kit.Trace();
}

std::string AMemberWithoutPartitionsIsToldSo(const ConformanceWorld& world) {
  Kit kit(world);
  const std::string topic = kit.Topic("t", 1);
  TestMember a(&kit, kit.Name("g"), "00-a", {topic}, 0);
  TestMember b(&kit, kit.Name("g"), "01-b", {topic}, 1);
  kit.Until("both to be assigned", [&] {
    a.Step();
    b.Step();
    return a.assigned().size() == 1 && b.assignments > 0 && b.assigned().empty();
  });
  kit.Line("b: ", b.Assigned(), ", ", b.group().valid() ? "valid" : "invalid");
  const int revocations = b.revocations;
  kit.Must(a.consumer()->Close(true), "leaving");
  kit.Until("b to take over", [&] {
    b.Step();
    return b.assigned().size() == 1;
  });
  kit.Line("b: ", b.Assigned(), " after ", b.revocations - revocations, " revocations");
  return kit.Trace();
}

std::string AStaticMemberComesBackUnnoticed(const ConformanceWorld& world) {
  Kit kit(world);
  Pair pair(&kit, kit.Topic("t", 4));
  const int assignments = pair.b.assignments;
  const std::string before = pair.b.group().ToString();
  kit.Must(pair.a.consumer()->Close(false), "Close");
  pair.a.Die();
  TestMember again(&kit, kit.Name("g"), "00-a", {kit.Name("t")}, 2);
  kit.Until("the member to be back", [&] {
    again.Step();
    pair.b.Step();
    return again.assigned().size() == 2;
  });
  for (int i = 0; i < 100; ++i) pair.b.Step();
  kit.Line("it has ", again.Assigned());
  kit.Line("the other saw ", pair.b.assignments - assignments, " assignments");
  // Its generation is still good.
  auto producer = kit.NewProducer("p");
  kit.Must(producer->Begin(), "Begin");
  kit.Line("offsets of the other", producer->SendOffsets(Position({kit.Name("t"), 2}, 1), pair.b.group()));
  kit.Line("offsets of the member", producer->SendOffsets(Position({kit.Name("t"), 0}, 1), again.group()));
  kit.Line("commit: ", OutcomeName(producer->Commit(nullptr)));
  return kit.Trace();
}

std::string ASecondProcessWithTheSameInstanceIdWins(const ConformanceWorld& world) {
  Kit kit(world);
  const std::string topic = kit.Topic("t", 2);
  TestMember a(&kit, kit.Name("g"), "00-a", {topic}, 0);
  kit.Until("all partitions", [&] {
    a.Step();
    return a.assigned().size() == 2;
  });
  TestMember b(&kit, kit.Name("g"), "00-a", {topic}, 1);
  kit.Until("the fence", [&] {
    a.Step();
    b.Step();
    return !a.error.ok() && b.assigned().size() == 2;
  });
  kit.Line("the older", a.error);
  a.error = absl::OkStatus();
  a.Step();
  kit.Line("and again", a.error);
  auto producer = kit.NewProducer("p");
  kit.Must(producer->Begin(), "Begin");
  kit.Line("offsets of the older", producer->SendOffsets(Position({topic, 0}, 1), a.group()));
  kit.Line("abort", producer->Abort());
  kit.Line("close", a.consumer()->Close(false));
  return kit.Trace();
}

std::string AMemberThatDiesLosesItsPartitions(const ConformanceWorld& world) {
  Kit kit(world);
  Pair pair(&kit, kit.Topic("t", 4));
  const auto dead = pair.a.consumer()->Group();
  pair.a.Die();
  kit.Until("the survivor to have all", [&] {
    pair.b.Step();
    return pair.b.assigned().size() == 4;
  });
  kit.Line("the survivor has ", pair.b.Assigned());
  auto producer = kit.NewProducer("p");
  kit.Must(producer->Begin(), "Begin");
  kit.Line("offsets of the dead", producer->SendOffsets(Position({kit.Name("t"), 0}, 1), *dead));
  kit.Line("commit after it: ", OutcomeName(producer->Commit(nullptr)));
  kit.Line("abort", producer->Abort());
  return kit.Trace();
}

std::string OffsetsAreCheckedByGenerationNotByOwner(const ConformanceWorld& world) {
  Kit kit(world);
  const std::string topic = kit.Topic("t", 4);
  TestMember a(&kit, kit.Name("g"), "00-a", {topic}, 0);
  kit.Until("all partitions", [&] {
    a.Step();
    return a.assigned().size() == 4;
  });
  const auto old = a.consumer()->Group();
  TestMember b(&kit, kit.Name("g"), "01-b", {topic}, 1);
  kit.Until("the second member", [&] {
    a.Step();
    b.Step();
    return a.assigned().size() == 2 && b.assigned().size() == 2;
  });
  auto producer = kit.NewProducer("p");
  kit.Must(producer->Begin(), "Begin");
  kit.Line("the old generation", producer->SendOffsets(Position({topic, 0}, 1), *old));
  kit.Line("produce after it",
           producer->Produce(topic, {{0, "k", "v", nullptr}}).ok() ? producer->Flush() : absl::AbortedError(""));
  kit.Line("abort", producer->Abort());
  kit.Must(producer->Begin(), "Begin");
  kit.Line("a partition of the other's", producer->SendOffsets(Position({topic, 3}, 7, "m"), a.group()));
  kit.Line("commit: ", OutcomeName(producer->Commit(nullptr)));
  kit.Until("the offset", [&] { return Committed(a.consumer(), {{topic, 3}}) == "3=7'm' "; });
  kit.Line(Committed(a.consumer(), {{topic, 0}, {topic, 3}}));
  return kit.Trace();
}

std::string OffsetsCommitWithTheirTransaction(const ConformanceWorld& world) {
  Kit kit(world);
  const std::string topic = kit.Topic("t", 2);
  TestMember a(&kit, kit.Name("g"), "00-a", {topic}, 0);
  kit.Until("all partitions", [&] {
    a.Step();
    return a.assigned().size() == 2;
  });
  const std::vector<TopicPartition> both = {{topic, 0}, {topic, 1}};
  auto producer = kit.NewProducer("p");
  kit.Must(producer->Begin(), "Begin");
  kit.Line("send", producer->SendOffsets(Position({topic, 0}, 5, "five"), a.group()));
  kit.Line("pending: ", Committed(a.consumer(), both));
  kit.Line("the other partition: ", Committed(a.consumer(), {{topic, 1}}));
  kit.Line("commit: ", OutcomeName(producer->Commit(nullptr)));
  kit.Until("the offset", [&] { return Committed(a.consumer(), {{topic, 0}}) == "0=5'five' "; });
  kit.Line(Committed(a.consumer(), both));
  kit.Must(producer->Begin(), "Begin");
  kit.Must(producer->SendOffsets(Both(Position({topic, 0}, 6, "six"), Position({topic, 1}, 1, "one")), a.group()),
           "SendOffsets");
  kit.Line("abort", producer->Abort());
  kit.Until("the abort", [&] { return Committed(a.consumer(), both).find("UNAVAILABLE") == std::string::npos; });
  kit.Line(Committed(a.consumer(), both));
  kit.Line("without a transaction", a.consumer()->CommitOffsets(Position({topic, 1}, 9, "nine")));
  kit.Line(Committed(a.consumer(), both));
  const auto seen = kit.admin().GroupOffsets(kit.Name("g"), both);
  if (kit.Must(seen.status(), "GroupOffsets")) {
    for (const auto& [tp, c] : *seen) kit.Line("admin: ", tp.partition, "=", c.offset, "'", c.metadata, "'");
  }
  const auto none = kit.admin().GroupOffsets(kit.Name("nobody"), {{topic, 0}});
  if (kit.Must(none.status(), "GroupOffsets")) kit.Line("a group that isn't: ", none->begin()->second.offset);
  kit.Line("a negative offset",
           producer->Begin().ok() ? producer->SendOffsets(Position({topic, 0}, -1), a.group()) : absl::OkStatus());
  return kit.Trace();
}

std::string ANewOwnerDropsPendingOffsets(const ConformanceWorld& world) {
  Kit kit(world);
  const std::string topic = kit.Topic("t", 1);
  TestMember a(&kit, kit.Name("g"), "00-a", {topic}, 0);
  kit.Until("the partition", [&] {
    a.Step();
    return a.assigned().size() == 1;
  });
  auto old = kit.NewProducer("p", 0);
  kit.Must(old->Begin(), "Begin");
  kit.Must(old->SendOffsets(Position({topic, 0}, 5), a.group()), "SendOffsets");
  auto fresh = kit.NewProducer("p", 1);
  kit.Line(Committed(a.consumer(), {{topic, 0}}));
  kit.Line("commit of the old: ", OutcomeName(old->Commit(nullptr)));
  kit.Line(Committed(a.consumer(), {{topic, 0}}));
  return kit.Trace();
}

std::string ARestartedMemberGoesOnWhereItCommitted(const ConformanceWorld& world) {
  Kit kit(world);
  const TopicPartition tp{kit.Topic("t", 1), 0};
  auto producer = kit.NewProducer("p");
  kit.Write(producer.get(), tp, {"a", "b"});
  TestMember first(&kit, kit.Name("g"), "00-a", {tp.topic}, 0);
  kit.Until("two records", [&] {
    first.Step();
    return first.read[tp] == "0=a 1=b";
  });
  kit.Must(producer->Begin(), "Begin");
  kit.Must(producer->SendOffsets(Position(tp, 2), first.group()), "SendOffsets");
  kit.Line("commit: ", OutcomeName(producer->Commit(nullptr)));
  first.Die();
  kit.Write(producer.get(), tp, {"c"});
  TestMember second(&kit, kit.Name("g"), "00-a", {tp.topic}, 1);
  kit.Until("the third record", [&] {
    second.Step();
    return !second.read[tp].empty();
  });
  kit.Line(second.read[tp]);
  return kit.Trace();
}

}  // namespace tidemark::sim
