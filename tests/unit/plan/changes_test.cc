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
  EXPECT_THAT(errors("columns: { id: { type: int64, as: Date } }"), HasSubstr("`as`"));
  EXPECT_THAT(errors("format: { type: debezium, encoding: avro }, key: [id], columns: { id: int64 }"),
              HasSubstr("finds schemas in a registry"));
}

TEST(ChangesOfTables, RowsOfAnyFormatReplaceEachOtherByTheRecordKey) {
  const auto plan = PlanOf(Changes("key: [id], columns: { id: { type: int64, from: key }, v: string }"));
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->stages.size(), 1u);
  const Node& node = NodeOf(*plan, "a changes");
  EXPECT_TRUE(node.mode.update);
  EXPECT_THAT(node.mode.key, ElementsAre(0u));
  EXPECT_THAT(node.spec.As<ChangesSpec>().values, ElementsAre(1u));
  EXPECT_TRUE(plan->sources[0].verify_partitioning);
  const auto any = PlanOf(Changes(
      "format: { type: json, partitioner: any }, key: [id], columns: { id: { type: int64, from: key }, v: string }"));
  ASSERT_TRUE(any.ok()) << any.status();
  EXPECT_FALSE(any->sources[0].verify_partitioning);
  EXPECT_EQ(ErrorsOf(Changes("format: int64, key: [id], columns: { id: { type: string, from: key }, v: int64 }")), "");
}

TEST(ChangesOfTables, MistakesWithRowsOfAnyFormatAreToldWithTheirPlace) {
  const auto errors = [](const std::string& source) { return ErrorsOf(Changes(source)); };
  EXPECT_THAT(errors("key: [id], columns: { id: int64, v: string }"), HasSubstr("comes `from: key`"));
  EXPECT_THAT(errors("key: [id], columns: { id: { type: int64, from: key, nullable: true }, v: string }"),
              HasSubstr("can't be nullable"));
  EXPECT_THAT(
      errors("key: [id], columns: { id: { type: int64, from: key }, w: { type: int64, from: key }, v: string }"),
      HasSubstr("name all of its columns (id, w)"));
  EXPECT_THAT(errors("key: [id], key_format: json, columns: { id: { type: double, from: key }, v: string }"),
              HasSubstr("they can't replace each other"));
  EXPECT_THAT(errors("key: [id], partitioned_by: [id], columns: { id: { type: int64, from: key }, v: string }"),
              HasSubstr("rows lie by the record key"));
  EXPECT_THAT(errors("key: [id], event_time: { expression: \"timestamp '2026-01-01'\" }, columns: { id: { type: int64, "
                     "from: key }, v: string }"),
              HasSubstr("a deletion has only its key"));
  EXPECT_THAT(errors("key: [id], format: { type: json, array: true }, columns: { id: { type: int64, from: key }, v: "
                     "string }"),
              HasSubstr("several rows"));
  EXPECT_THAT(errors("format: { type: json, partitioner: any }, columns: { id: int64 }"), HasSubstr("goes with `key`"));
  EXPECT_THAT(errors("key: [], columns: { id: { type: int64, from: key }, v: string }"), HasSubstr("at least one"));
  EXPECT_THAT(errors("key: [ip], columns: { id: { type: int64, from: key }, v: string }"),
              HasSubstr("did you mean 'id'?"));
}

// With another schema in front of it the same key lies in another partition, where nobody knows its row.
TEST(ChangesOfTables, KeysWithTheNumberOfASchemaAreTakenOnTrustAlone) {
  const auto errors = [](const std::string& format) {
    return ErrorsOf(
        "schema_registry: http://localhost:8081\n" +
        Changes(format + "key: [id], key_format: avro, columns: { id: { type: int64, from: key }, v: string }"));
  };
  EXPECT_THAT(errors(""), HasSubstr("say `partitioner: any` in the format"));
  EXPECT_EQ(errors("format: { type: json, partitioner: any }, "), "");
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

std::string Table(const std::string& postgres, const std::string& rest) {
  return "name: x\nsources:\n  a: { postgres: { url: \"postgresql://h/d\", " + postgres + " }, " + rest +
         " }\nsinks: { s: { from: a, topic: b, key: [id], create: {} } }\n";
}
constexpr char kTable[] = "publication: p, slot: s, table: t";
constexpr char kColumns[] = "key: [id], columns: { id: int64, v: string }";

TEST(TablesOfPostgres, AreReadThroughATopicInAFormatThatIsNotStated) {
  const auto plan =
      PlanOf(Table("publication: p, slot: s_1, table: shop.t, partitions: 3",
                   "key: [id], columns: { id: int64, n: \"decimal(12,2)\", d: date, b: bytes, t: timestamp_ms, "
                   "lsn: { type: int64, from: source.lsn } }"));
  ASSERT_TRUE(plan.ok()) << plan.status();
  const SourcePlan& source = plan->sources[0];
  ASSERT_TRUE(source.postgres);
  EXPECT_EQ(source.postgres->schema, "shop");
  EXPECT_EQ(source.postgres->table, "t");
  EXPECT_TRUE(source.postgres->stop_on_truncate);
  EXPECT_TRUE(source.intake());
  EXPECT_EQ(source.intake_partitions(), 3);
  EXPECT_EQ(source.topic, "x.a.intake");
  EXPECT_EQ(source.format.name, "debezium");
  EXPECT_TRUE(source.verify_partitioning);
  EXPECT_TRUE(NodeOf(*plan, "a changes").mode.update);
}

TEST(TablesOfPostgres, MistakesAreToldWithTheirPlace) {
  EXPECT_EQ(ErrorsOf(Table(kTable, kColumns)), "");
  const auto errors = [](const std::string& postgres, const std::string& rest = kColumns) {
    return ErrorsOf(Table(postgres, rest));
  };
  EXPECT_THAT(errors("publication: p, slot: S-1, table: t"), HasSubstr("a slot's name has small letters"));
  EXPECT_THAT(errors("publication: p, slot: s, table: a.b.c"), HasSubstr("a table is expected"));
  EXPECT_THAT(errors("publication: p, slot: s, table: t, partitions: 0"), HasSubstr("1 to 1000"));
  EXPECT_THAT(errors("publication: p, slot: s, tables: [t]"), HasSubstr("unknown"));
  EXPECT_THAT(errors("publication: p, slot: s, table: t, resnapshot: true"), HasSubstr("unknown"));
  const auto rest = [&](const std::string& more) { return errors(kTable, more); };
  EXPECT_THAT(rest("columns: { id: int64 }"), HasSubstr("the columns of the table's primary key"));
  EXPECT_THAT(rest("format: json, key: [id], columns: { id: int64 }"), HasSubstr("a table has no format"));
  EXPECT_THAT(rest("start: latest, key: [id], columns: { id: int64 }"), HasSubstr("a table is read as a whole"));
  EXPECT_THAT(rest("topic: t, key: [id], columns: { id: int64 }"), HasSubstr("either 'topic' or 'postgres'"));
  EXPECT_THAT(rest("on_data_loss: skip, key: [id], columns: { id: int64 }"), HasSubstr("there is nothing to skip"));
  EXPECT_THAT(rest("partitioned_by: [id], key: [id], columns: { id: int64 }"),
              HasSubstr("rows lie by the source's `key`"));
  EXPECT_THAT(rest("key: [id], columns: { id: \"decimal(4,1)\" }"), HasSubstr("a key column can't be decimal(4,1)"));
  EXPECT_THAT(rest("key: [id], columns: { id: int64, d: { type: date, as: Date } }"),
              HasSubstr("a table says itself how its values are written"));
  EXPECT_THAT(rest("key: [id], columns: { id: int64, d: json }"), HasSubstr("is read as string"));
  EXPECT_THAT(rest("key: [id], columns: { id: int64, d: { type: int64, from: source.pos } }"),
              HasSubstr("a change of a table says no 'source.pos'"));
  EXPECT_THAT(rest("key: [id], columns: { id: int64, d: { type: timestamp, from: ts_us } }"),
              HasSubstr("a change of a table says no 'ts_us'"));
  EXPECT_THAT(rest("key: [id], columns: { id: int64, d: { type: string, from: \"header:x\" } }"),
              HasSubstr("a change of a table says no 'header:x': there are op, source.lsn"));
}

TEST(ChangesOfTables, InAvroTheyHaveTheirSchemasInTheRegistry) {
  const auto errors = [](const std::string& format, const std::string& column = "int64") {
    return ErrorsOf(
        "schema_registry: \"http://h:1\"\n" +
        Changes("format: { type: debezium, " + format + " }, key: [id], columns: { id: int64, v: " + column + " }"));
  };
  EXPECT_EQ(errors("encoding: avro"), "");
  EXPECT_EQ(errors("encoding: avro", "json"), "");
  EXPECT_THAT(errors("encoding: avro, schema_part: none"), HasSubstr("records in Avro have no schema part"));
  EXPECT_THAT(errors("encoding: avro", "{ type: date, as: Date }"), HasSubstr("leave `as` out"));
  const std::string alone =
      ErrorsOf(Changes("format: { type: debezium, encoding: avro }, key: [id], columns: { id: int64 }"));
  EXPECT_THAT(alone, HasSubstr("`schema_registry: http://HOST:PORT` names"));
  EXPECT_THAT(alone, testing::Not(HasSubstr("schema_file")));
}

std::string Expecting(const std::string& rules, const std::string& source = "columns: { id: int64, v: double }") {
  return "name: x\nsources:\n  a: { topic: a, " + source + ", expect: { " + rules +
         " } }\nsinks: { s: { from: a, topic: b, create: {} } }\n";
}

TEST(RulesOfSources, AreAStepBehindTheSourceWithoutStateUnlessAShareIsCounted) {
  const auto plan = PlanOf(Expecting("positive: { that: \"v > 0\" }, small: { that: \"v < 9\", else: warn }"));
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_FALSE(plan->stages[0].stateful);
  const Node& node = NodeOf(*plan, "a expect");
  EXPECT_EQ(node.spec.As<ExpectSpec>().rules.size(), 2u);
  EXPECT_FALSE(node.mode.update);
  EXPECT_TRUE(plan->sources[0].hidden.Has(Hidden::kOffset)) << "a dead letter names the row's place";
  EXPECT_FALSE(plan->sources[0].hidden.Has(Hidden::kWatermark));
  const auto share = PlanOf(Expecting("positive: { that: \"v > 0\", at_most: 1% per 5m }"));
  ASSERT_TRUE(share.ok()) << share.status();
  EXPECT_TRUE(share->stages[0].stateful);
  EXPECT_TRUE(share->sources[0].hidden.Has(Hidden::kWatermark));
}

TEST(RulesOfSources, MistakesAreToldWithTheirPlace) {
  EXPECT_THAT(ErrorsOf(Expecting("r: { that: \"w > 0\" }")), HasSubstr("t.yaml:3:"));
  EXPECT_THAT(ErrorsOf(Expecting("r: { that: \"w > 0\" }")), HasSubstr("w"));
  EXPECT_THAT(ErrorsOf(Expecting("r: { that: v }")), HasSubstr("expected a condition (bool)"));
  EXPECT_THAT(ErrorsOf(Expecting("")), HasSubstr("at least one rule is needed"));
  EXPECT_THAT(ErrorsOf(Expecting("r: { that: \"v > 0\", at_most: 1% }")), HasSubstr("such as 1% per 5m"));
  EXPECT_THAT(ErrorsOf(Expecting("r: { that: \"v > 0\", else: stop, at_most: 1% per 5m }")),
              HasSubstr("leave at_most out"));
  EXPECT_THAT(ErrorsOf(Expecting("r: { that: \"id > 0\" }", "format: debezium, key: [id], columns: { id: int64 }")),
              HasSubstr("rules over such rows aren't implemented"));
}

TEST(TablesThatGrow, ColumnsAreAddedOnlyWhereTablesAreMade) {
  const auto errors = [](const std::string& more) {
    return ErrorsOf(
        "name: x\nsources:\n  a: { topic: a, columns: { id: int64 } }\nsinks: { s: { from: a, postgres: { url: u, "
        "table: t, key: [id], " +
        more + " } } }\n");
  };
  EXPECT_EQ(errors("evolve: add_columns"), "");
  EXPECT_THAT(errors("evolve: add_columns, create: false"), HasSubstr("leave one of the two out"));
  EXPECT_THAT(errors("evolve: add_column"), HasSubstr("evolve is add_columns"));
}

TEST(TablesOfPostgres, ASlotHasOneReader) {
  const std::string source =
      std::string("{ postgres: { url: \"postgresql://h/d\", ") + kTable + " }, " + kColumns + " }";
  EXPECT_THAT(ErrorsOf("name: x\nsources:\n  a: " + source + "\n  c: " + source +
                       "\nsinks: { s: { from: a, topic: b, key: [id], create: {} } }\n"),
              HasSubstr("slot s is source a's"));
}

}  // namespace
}  // namespace tidemark
