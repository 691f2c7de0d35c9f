// Sources that tell changes of a table: an update step by its key, with a step behind the decoder that keeps the rows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/changes/spec.h"
#include "tests/unit/plan/plan_text.h"

namespace tidemark {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Changes(const std::string& source, const std::string& steps = "",
                    const std::string& sinks = "s: { from: a, topic: b, key: [id], create: {} }") {
  return "name: x\nsources:\n  a: { topic: a, " + source + " }\n" +
         (steps.empty() ? "" : "steps: { " + steps + " }\n") + "sinks: { " + sinks + " }\n";
}

constexpr char kGood[] =
    "format: debezium, key: [id], columns: { id: int64, v: string, lsn: { type: int64, from: source.lsn } }";

TEST(ChangesOfTables, ASourceOfThemIsAnUpdateStepByItsKeyThatNeedsNoShuffle) {
  const auto plan = PlanOf(Changes(kGood));
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->stages.size(), 1u) << "the records lie by their key already";
  EXPECT_TRUE(plan->stages[0].stateful);
  const Node& node = NodeOf(*plan, "a changes");
  EXPECT_TRUE(node.mode.update);
  EXPECT_THAT(node.mode.key, ElementsAre(0u));
  EXPECT_EQ(node.output.ToString(), "id int64, v string, lsn int64");
  EXPECT_THAT(node.spec.As<ChangesSpec>().values, ElementsAre(0u, 1u));
  EXPECT_TRUE(plan->sources[0].verify_partitioning);
  EXPECT_EQ(plan->sources[0].columns.back().column.name, kChangeColumn);
  EXPECT_TRUE(plan->sinks[0].mode.update);
}

TEST(ChangesOfTables, WhatCantFollowAnUpdateStepIsRefused) {
  EXPECT_THAT(ErrorsOf(Changes(kGood, "d: { from: a, dedup: { by: [v], within: 1h } }", "s: { from: d, topic: b }")),
              HasSubstr("dedup"));
  EXPECT_THAT(ErrorsOf(Changes(kGood, "", "s: { from: a, topic: b, key: [v], create: {} }")), HasSubstr("key"));
  EXPECT_EQ(
      ErrorsOf(Changes(kGood, "f: { from: a, filter: \"v <> ''\" }, t: { from: f, top: { k: 3, order: [v], rank: r } }",
                       "s: { from: t, topic: b, key: [r], create: {} }")),
      "");
}

TEST(ChangesOfTables, MistakesAreToldWithTheirPlace) {
  const auto errors = [](const std::string& source) { return ErrorsOf(Changes(source)); };
  EXPECT_THAT(errors("format: debezium, columns: { id: int64 }"), HasSubstr("`key` is needed"));
  EXPECT_THAT(errors("format: debezium, key: [ip], columns: { id: int64 }"), HasSubstr("did you mean 'id'?"));
  EXPECT_THAT(errors("format: debezium, key: [id], columns: { id: { type: int64, nullable: true } }"),
              HasSubstr("a key column can't be nullable"));
  EXPECT_THAT(errors("format: debezium, key: [id], columns: { id: { type: int64, from: source.lsn }, v: string }"),
              HasSubstr("a key column stands in the row"));
  EXPECT_THAT(errors("format: debezium, key: [id], columns: { id: { type: int64, from: key } }"),
              HasSubstr("the key's columns stand in the row"));
  EXPECT_THAT(errors("format: debezium, key: [id], partitioned_by: [id], columns: { id: int64 }"),
              HasSubstr("rows lie by the record key"));
  EXPECT_THAT(errors("format: debezium, key: [id], columns: { id: int64, n: { type: int64, from: sauce.lsn } }"),
              HasSubstr("format debezium has also op, ts_ms"));
  EXPECT_THAT(errors("format: debezium, key: [id], columns: { id: int64, n: { type: int64, path: a.b } }"),
              HasSubstr("rows are flat"));
  EXPECT_THAT(errors("key: [id], columns: { id: int64 }"), HasSubstr("`key` is for formats that tell changes"));
  EXPECT_THAT(errors("columns: { id: { type: int64, as: Date } }"), HasSubstr("`as`"));
  EXPECT_THAT(errors("format: { type: debezium, encoding: avro }, key: [id], columns: { id: int64 }"),
              HasSubstr("avro"));
}

TEST(ChangesOfTables, WithoutASchemaPartColumnsSayHowTheyAreWritten) {
  const auto errors = [](const std::string& columns) {
    return ErrorsOf(
        Changes("format: { type: debezium, schema_part: none }, key: [id], columns: { id: int64, " + columns + " }"));
  };
  EXPECT_EQ(errors("v: string, d: { type: double, nullable: true }, b: { type: bytes, as: base64 }"), "");
  EXPECT_THAT(errors("b: bytes"), HasSubstr("`as`: base64"));
  EXPECT_THAT(errors("t: timestamp_ms"), HasSubstr("says how Debezium writes it, `as`: Timestamp, MicroTimestamp"));
  EXPECT_THAT(errors("n: \"decimal(12,2)\""), HasSubstr("Decimal(SCALE), text, double"));
  EXPECT_THAT(errors("d: { type: date, as: MicroTimestamp }"), HasSubstr("'MicroTimestamp' isn't how date is written"));
  EXPECT_EQ(errors("d: { type: date, as: Date }, t: { type: timestamp, as: io.debezium.time.MicroTimestamp }, "
                   "n: { type: \"decimal(12,2)\", as: Decimal(2) }, h: { type: string, as: MicroTime }"),
            "");
  EXPECT_THAT(ErrorsOf(Changes("format: debezium, key: [id], columns: { id: int64, d: { type: date, as: Date } }")),
              HasSubstr("`as` goes with `schema_part: none`"));
}

}  // namespace
}  // namespace tidemark
