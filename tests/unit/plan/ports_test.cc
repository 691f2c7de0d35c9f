// What the planner makes of a step with two inputs: where each is moved, and which columns travel to it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/rows/spec.h"
#include "src/plan/stages.h"
#include "tests/unit/plan/pair.h"
#include "tests/unit/plan/plan_text.h"

namespace tidemark {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

absl::StatusOr<Plan> PairPlanOf(const std::string& yaml) {
  return PlanFromYaml(yaml, "t.yaml", OperatorsWithPair(), OwnFormats().list(),
                      [](std::string_view) { return std::nullopt; });
}

Plan Planned(const std::string& yaml) {
  auto plan = PairPlanOf(yaml);
  EXPECT_TRUE(plan.ok()) << plan.status();
  return plan.ok() ? *std::move(plan) : Plan();
}

// Two sources: left(k, v, w) and right(j, i, u).
std::string Two(const std::string& steps, const std::string& left = "", const std::string& right = "") {
  return absl::StrCat("name: two\nsources:\n  left: { topic: left, columns: { k: int64, v: int64, w: string }", left,
                      " }\n  right: { topic: right, columns: { j: int64, i: int64, u: string }", right, " }\nsteps:\n",
                      steps, "sinks:\n  sunk: { from: out, topic: sunk }\n");
}
const std::string kAll = "  out: { from: z, filter: \"k > 0\" }\n";
std::string Pair(const std::string& left, const std::string& right, const std::string& by = "k",
                 const std::string& right_by = "j") {
  return absl::StrCat("  z: { from: ", left, ", custom: { operator: pair, by: [", by, "], with: { right: ", right,
                      ", right_by: \"", right_by, "\" } } }\n");
}

// "topic(key)" of each edge, in the order in which they were drawn.
std::vector<std::string> Edges(const Plan& plan) {
  std::vector<std::string> out;
  for (const Edge& edge : plan.edges) {
    std::string key;
    for (const size_t c : edge.key) absl::StrAppend(&key, key.empty() ? "" : ",", edge.schema[c].name);
    out.push_back(absl::StrCat(edge.topic, "(", key, ")"));
  }
  return out;
}

// Of the toy's stage: "left <- step, right <- step".
std::string Inputs(const Plan& plan) {
  for (const Stage& stage : plan.stages) {
    for (const Node& node : stage.nodes) {
      if (node.step != "z" || node.kind != Node::Kind::kOperator) continue;
      std::string out;
      for (const Port& port : node.inputs) {
        const Node& from = stage.nodes[static_cast<size_t>(port.nodes.at(0))];
        absl::StrAppend(&out, out.empty() ? "" : ", ", from.step, from.kind == Node::Kind::kInternal ? " moved" : "");
      }
      return out;
    }
  }
  return "none";
}

TEST(PortsTest, EachInputIsMovedByItsOwnKey) {
  const Plan plan = Planned(Two(Pair("left", "right") + kAll));
  EXPECT_THAT(Edges(plan), ElementsAre("two.z.left.repartition(k)", "two.z.right.repartition(j)"));
  EXPECT_EQ(Inputs(plan), "z moved, z moved");
  EXPECT_EQ(plan.edges.at(0).to_stage, plan.edges.at(1).to_stage);
  EXPECT_THAT(plan.edges.at(1).reason,
              HasSubstr("z needs equal (j) together, its input right is not partitioned by any of them"));
}

TEST(PortsTest, AnInputThatWasMovedBeforeStaysAndGivesTheOtherItsKey) {
  const std::string steps =
      "  m: { from: left, repartition: { by: [v], partitions: 3 } }\n" + Pair("m", "right", "k, v", "j,i") + kAll;
  const Plan plan = Planned(Two(steps));
  EXPECT_THAT(Edges(plan), ElementsAre("two.m.repartition(v)", "two.z.right.repartition(i)"));
  EXPECT_EQ(Inputs(plan), "m, z moved");
  EXPECT_EQ(plan.edges.at(1).partitions, 3) << "all inputs of a stage have one count";
}

TEST(PortsTest, InputsThatLieAlikeStay) {
  const std::string steps =
      "  m: { from: left, repartition: { by: [k] } }\n  n: { from: right, repartition: { by: [j] } }\n" +
      Pair("m", "n") + kAll;
  EXPECT_THAT(Edges(Planned(Two(steps))), ElementsAre("two.m.repartition(k)", "two.n.repartition(j)"));
  const std::string promised = ", key_format: text, partitioned_by: ";
  EXPECT_THAT(Edges(Planned(Two(Pair("left", "right") + kAll, promised + "[k]", promised + "[j]"))), IsEmpty());
}

TEST(PortsTest, KeysInAnotherOrderOrByAnotherFunctionDoNotMeet) {
  const std::string crossed =
      "  m: { from: left, repartition: { by: [k] } }\n  n: { from: right, repartition: { by: [i] } }\n" +
      Pair("m", "n", "k, v", "j,i") + kAll;
  EXPECT_THAT(Edges(Planned(Two(crossed))),
              ElementsAre("two.m.repartition(k)", "two.n.repartition(i)", "two.z.right.repartition(j)"));
  const std::string text = ", key_format: text, partitioned_by: ", json = ", key_format: json, partitioned_by: ";
  EXPECT_THAT(Edges(Planned(Two(Pair("left", "right") + kAll, text + "[k]", json + "[j]"))),
              ElementsAre("two.z.left.repartition(k)", "two.z.right.repartition(j)"));
}

// The names are in the keys' bytes, so rows with other names in them lie elsewhere.
TEST(PortsTest, KeysThatAreObjectsMeetWhereTheirNamesAreTheSame) {
  const auto edges = [](const std::string& right_by) {
    const auto source = [](const std::string& name, const std::string& by) {
      return absl::StrCat("  ", name, ": { topic: ", name, ", key_format: json, partitioned_by: [", by,
                          ", v], columns: { ", by, ": { type: int64, from: key }, v: { type: string, from: key }, ",
                          name, "_n: string } }\n");
    };
    return Edges(Planned(absl::StrCat("name: two\nsources:\n", source("left", "k"), source("right", right_by),
                                      "steps:\n", Pair("left", "right", "k, v", right_by + ",v"), kAll,
                                      "sinks:\n  sunk: { from: out, topic: sunk }\n")));
  };
  EXPECT_THAT(edges("k"), IsEmpty());
  EXPECT_THAT(edges("id"), ElementsAre("two.z.left.repartition(k,v)", "two.z.right.repartition(id,v)"));
}

TEST(PortsTest, AStageThatWouldReadItsOwnOutputIsAvoided) {
  // m lies by k, and what it meets has been moved away from m's stage and back.
  const std::string steps =
      "  m: { from: left, repartition: { by: [k] } }\n"
      "  away: { from: m, repartition: { by: [v] } }\n"
      "  back: { from: away, project: { j: k, i: v, u: w } }\n" +
      Pair("m", "back") + "  out: { from: z, filter: \"k > 0\" }\n  r: { from: right, filter: \"j > 0\" }\n";
  const Plan plan = Planned(Two(steps) + "  more: { from: r, topic: more }\n");
  EXPECT_EQ(Inputs(plan), "z moved, z moved");
}

TEST(PortsTest, TheKeyThatServesLaterStepsIsChosenForAllInputs) {
  const std::string steps =
      Pair("left", "right", "k, v", "j,i") + "  out: { from: z, dedup: { by: [r_i, w], within: 1h } }\n";
  const Plan plan = Planned(Two(steps));
  EXPECT_THAT(Edges(plan), ElementsAre("two.z.left.repartition(v)", "two.z.right.repartition(i)"));
}

TEST(PortsTest, HiddenColumnsTravelToTheInputThatReadsThem) {
  const Plan plan = Planned(Two(Pair("left", "right") + kAll));
  const Node& node = NodeOf(plan, "z");
  EXPECT_FALSE(node.in(0).hidden.Has(Hidden::kWatermark));
  EXPECT_TRUE(node.in(1).hidden.Has(Hidden::kWatermark));
  EXPECT_FALSE(plan.edges.at(0).hidden.Has(Hidden::kWatermark));
  EXPECT_TRUE(plan.edges.at(1).hidden.Has(Hidden::kWatermark));
  EXPECT_FALSE(node.hidden.Has(Hidden::kWatermark)) << "its rows are those of the left";
}

TEST(PortsTest, ColumnsThatNobodyReadsAreLeftBehindInFrontOfEachInput) {
  const std::string promised = ", key_format: text, partitioned_by: ";
  const std::string steps = "  l: { from: left, filter: \"v > 0\" }\n  r: { from: right, filter: \"i > 0\" }\n" +
                            Pair("l", "r") + "  out: { from: z, project: { w: w, u: r_u } }\n";
  const Plan plan = Planned(Two(steps, promised + "[k]", promised + "[j]"));
  const Node& node = NodeOf(plan, "z");
  EXPECT_THAT(node.in(0).schema.Names(), ElementsAre("k", "w"));
  EXPECT_THAT(node.in(1).schema.Names(), ElementsAre("j", "u"));
  EXPECT_THAT(*node.in(0).passed, ElementsAre(1));
  EXPECT_THAT(*node.in(1).passed, ElementsAre(1));
  EXPECT_THAT(node.output.Names(), ElementsAre("w", "r_u"));
  EXPECT_THAT(node.spec.As<PairSpec>().by, ElementsAre(ElementsAre(0), ElementsAre(0))) << "renumbered";
}

// The toy, but for that it passes on all of its left side.
class HalfPairKind final : public OperatorKind {
 public:
  std::string_view name() const override { return "half"; }
  std::string Describe(const Node&) const override { return "half"; }
  absl::StatusOr<std::unique_ptr<Operator>> Make(const Node&) const override { return nullptr; }
  bool LeavesOut(const Node&, size_t port) const override { return port == 1; }
  bool Reads(const Node&, const ColumnFlags& wanted, std::vector<ColumnFlags>* read) const override {
    size_t c = 0;
    for (ColumnFlags& port : *read) {
      for (size_t i = 0; i < port.size(); ++i) port[i] = wanted[c++];
    }
    return true;
  }
};
struct HalfPairSpec {
  static const OperatorKind& Kind() {
    static const HalfPairKind kind;
    return kind;
  }
};

// A graph of: two sources, the node that joins them, and one that reads column `read` of it alone.
std::vector<Node> Joined(OperatorSpec spec, size_t read) {
  std::vector<Node> nodes(4);
  for (size_t i : {0, 1}) {
    nodes[i].kind = Node::Kind::kSource;
    for (const char* name : {"k", "v"}) nodes[i].output.Add({name, {.kind = Kind::kInt64}, false});
  }
  Node& z = nodes[2];
  z.spec = std::move(spec);
  for (int p : {0, 1})
    z.inputs.push_back({.nodes = {p}, .schema = nodes[0].output, .hidden = {}, .mode = {}, .passed = {}});
  for (const char* name : {"k", "v", "r_k", "r_v"}) z.output.Add({name, {.kind = Kind::kInt64}, false});
  Node& out = nodes[3];
  ProjectSpec project;
  project.items = {{"it", z.output[read].name}};
  out.spec = project;
  out.inputs.push_back({.nodes = {2}, .schema = z.output, .hidden = {}, .mode = {}, .passed = {}});
  out.output.Add({"it", {.kind = Kind::kInt64}, false});
  return nodes;
}

TEST(PortsTest, AnInputThatIsPassedOnWholeStandsBeforeTheOneOfWhichColumnsAreLeftOut) {
  std::vector<Node> nodes = Joined(HalfPairSpec(), 3);
  DropUnreadColumns(std::vector<bool>(4), &nodes);
  const Node& z = nodes[2];
  EXPECT_THAT(z.output.Names(), ElementsAre("k", "v", "r_v"));
  EXPECT_FALSE(z.in(0).passed);
  EXPECT_THAT(*z.in(1).passed, ElementsAre(1));
  const OperatorKind& kind = z.spec.kind();
  EXPECT_EQ(kind.Origin(z, 1), PortColumn(1, 0));
  EXPECT_EQ(kind.Origin(z, 2), PortColumn(1, 1));
  EXPECT_EQ(kind.Origin(z, 3), std::nullopt);
}

TEST(PortsTest, AnUnknownInputIsReportedWhereItStands) {
  const auto plan = PairPlanOf(Two(Pair("left", "rigth") + kAll));
  ASSERT_FALSE(plan.ok());
  EXPECT_THAT(std::string(plan.status().message()), HasSubstr("t.yaml:6:70: unknown source or step 'rigth'"));
}

// What is wrong with a plan whose toy step is called `step`, beside one called z_left that is moved too.
std::string NamesRefused(const std::string& step, const std::string& other) {
  const auto plan = PairPlanOf(absl::StrCat(
      "name: two\nsources:\n  left: { topic: left, columns: { k: int64 } }\n  right: { topic: right, columns: { j: "
      "int64 "
      "} }\nsteps:\n  ",
      step, ": { from: left, custom: { operator: pair, by: [k], with: { right: right, right_by: j } } }\n  ", other,
      ": { from: left, dedup: { by: [k], within: 1h } }\nsinks:\n  a: { from: ", step,
      ", topic: a }\n  b: { from: ", other, ", topic: b }\n"));
  return plan.ok() ? "" : std::string(plan.status().message());
}

TEST(PortsTest, InternalTopicsThatBrokersWouldTakeForOneAreRefused) {
  EXPECT_THAT(
      NamesRefused("z", "z_left"),
      HasSubstr("'two.z.left.repartition' of 'z' and 'two.z_left.repartition' of 'z_left' differ in '.' and '_' "
                "only"));
  EXPECT_EQ(NamesRefused("z", "z-left"), "");
  EXPECT_EQ(NamesRefused(std::string(100, 'z'), std::string(100, 'y')), "");
}

TEST(PortsTest, ARowOfDiamondsIsPlannedInNoTime) {
  std::string steps = Pair("left", "right");
  std::string from = "z";
  for (int i = 0; i < 60; ++i) {
    absl::StrAppend(&steps, "  a", i, ": { from: ", from, ", filter: \"k > 0\" }\n  b", i, ": { from: ", from,
                    ", filter: \"v > 0\" }\n  c", i, ": { from: [a", i, ", b", i,
                    "], dedup: { by: [k, v], within: 1h } }\n");
    from = absl::StrCat("c", i);
  }
  EXPECT_EQ(Planned(Two(absl::StrCat(steps, "  out: { from: ", from, ", filter: \"v > 1\" }\n"))).edges.size(), 2u);
}

}  // namespace
}  // namespace tidemark
