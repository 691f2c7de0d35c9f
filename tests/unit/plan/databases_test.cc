// Tables that share a replication slot by `databases`, and which intakes a plan has.
#include <string>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/plan/intakes.h"
#include "tests/unit/plan/plan_text.h"

namespace tidemark {
namespace {

using ::testing::HasSubstr;

constexpr char kShop[] = "  shop: { url: postgresql://localhost/shop, publication: p, slot: shop_slot }\n";

std::string Source(const std::string& name, const std::string& postgres) {
  return absl::StrCat("  ", name, ": { postgres: { ", postgres, " }, key: [id], columns: { id: int64 } }\n");
}

std::string Topology(const std::string& databases, const std::string& sources, const std::string& from = "orders") {
  return absl::StrCat("name: t\nkafka: { brokers: b }\ndatabases:\n", databases, "sources:\n", sources,
                      "sinks:\n  out: { from: ", from, ", topic: out, key: [id], create: {} }\n");
}

TEST(Databases, TablesOfOneShareAnIntakeThatIsNamedAfterTheSlot) {
  const auto plan = PlanOf(
      absl::StrCat(Topology(kShop, Source("orders", "database: shop, table: orders") +
                                       Source("places", "database: shop, table: a.b") +
                                       Source("alone", "url: postgresql://x/y, publication: q, slot: s, table: t")),
                   "  more: { from: places, topic: more, key: [id], create: {} }\n  alone_out: { from: alone, topic: "
                   "alone, key: [id], "
                   "create: {} }\n"));
  ASSERT_TRUE(plan.ok()) << plan.status();
  const std::vector<IntakePlan> intakes = IntakesOf(*plan);
  ASSERT_EQ(intakes.size(), 2u);
  EXPECT_EQ(intakes[0].name, "alone");
  EXPECT_EQ(intakes[0].sources.size(), 1u);
  EXPECT_EQ(intakes[1].name, "shop_slot");
  ASSERT_EQ(intakes[1].sources.size(), 2u);
  EXPECT_EQ(intakes[1].sources[0]->name, "orders");
  EXPECT_EQ(intakes[1].sources[1]->topic, "t.places.intake");
  EXPECT_EQ(intakes[1].splits, 1);
  const PostgresTableSpec& places = *intakes[1].sources[1]->postgres;
  EXPECT_EQ(places.url, "postgresql://localhost/shop");
  EXPECT_EQ(places.publication, "p");
  EXPECT_EQ(places.slot, "shop_slot");
  EXPECT_EQ(places.schema + "." + places.table, "a.b");
}

std::string Orders(const std::string& more, const std::string& sink, const std::string& steps = "") {
  return absl::StrCat(
      "name: t\nkafka: { brokers: b }\nsources:\n  orders: { postgres: { url: x, publication: p, slot: s, "
      "table: t",
      more, ", key: [id], columns: { id: int64, n: int64 } }\n", steps,
      "sinks:\n  out: { from: ", steps.empty() ? "orders" : "z", ", atomic: true, ", sink, " }\n");
}

TEST(Transactions, OfATableAreShownWholeBySinksByAKeyToo) {
  constexpr char kAtomic[] = " }, atomic: transactions";
  constexpr char kPostgres[] = "postgres: { url: x, table: t, key: [id] }";
  constexpr char kBetween[] =
      "steps:\n  f: { from: orders, filter: \"n > 0\" }\n  z: { from: f, project: { id: id } }\n";
  EXPECT_EQ(ErrorsOf(Orders(kAtomic, kPostgres)), "");
  EXPECT_EQ(ErrorsOf(Orders(kAtomic, kPostgres, kBetween)), "");
  EXPECT_EQ(ErrorsOf(Orders(kAtomic, "topic: o, key: [id]", kBetween)), "");
  EXPECT_EQ(ErrorsOf(Orders(kAtomic, "parquet: { path: /lake, mode: changes }")), "");
  const auto plan = PlanOf(Orders(kAtomic, "topic: o, key: [id]", kBetween));
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->stages.size(), 1u) << "with the sink in the task of its rows";
  EXPECT_TRUE(plan->edges.empty());

  // Two tables as one: their transactions stay what they are.
  const auto united = [&](const std::string& sink) {
    const std::string marked =
        "steps:\n  a: { from: orders, project: { \"*\": true, of: \"'a'\" } }\n  b: { from: others, project: { \"*\": "
        "true, "
        "of: \"'b'\" } }\n  z: { from: [a, b], filter: \"n > 0\" }\n";
    const std::string one = Orders(kAtomic, sink, marked);
    return absl::StrReplaceAll(
        one, {{"steps:\n",
               "  others: { postgres: { url: y, publication: p, slot: s, table: t }, atomic: transactions, key: [id], "
               "columns: { id: int64, n: int64 } }\nsteps:\n"}});
  };
  EXPECT_EQ(ErrorsOf(united("postgres: { url: x, table: t, key: [id, of] }")), "");
  EXPECT_EQ(ErrorsOf(united("topic: o, key: [id, of], key_format: json")), "");
  EXPECT_EQ(ErrorsOf(united("parquet: { path: /lake, mode: changes }")), "");
  const auto two = PlanOf(united("parquet: { path: /lake, mode: changes }"));
  ASSERT_TRUE(two.ok()) << two.status();
  EXPECT_EQ(two->stages.size(), 1u) << "one task";
  EXPECT_EQ(two->edges.size(), 1u) << "and one feed";

  EXPECT_THAT(ErrorsOf(Orders(" }", kPostgres)),
              HasSubstr("sink out is atomic, but transactions of source orders aren't kept together: state `atomic: "
                        "transactions` in it"));
  EXPECT_THAT(ErrorsOf(Orders(kAtomic, kPostgres,
                              "steps:\n  z: { from: orders, group_by: [id], aggregates: { c: \"count(*)\" }, emit: "
                              "on_update }\n")),
              HasSubstr("doesn't keep"));
  EXPECT_THAT(ErrorsOf(Orders(", partitions: 2 }, atomic: transactions", kPostgres)),
              HasSubstr("with atomic: transactions there is one"));
  EXPECT_THAT(
      ErrorsOf("name: t\nkafka: { brokers: b }\nsources:\n  a: { topic: a, format: debezium, key: [id], columns: "
               "{ id: int64 }, atomic: transactions }\nsinks:\n  out: { from: a, topic: o, key: [id] }\n"),
      HasSubstr("doesn't say where its transaction ends"));
  EXPECT_THAT(ErrorsOf("name: t\nkafka: { brokers: b }\nsources:\n  a: { topic: a, columns: { id: int64 }, atomic: "
                       "transactions }\nsinks:\n  out: { from: a, topic: o }\n"),
              HasSubstr("kept together by a batch step"));
}

TEST(Databases, MistakesAreTold) {
  const std::string orders = Source("orders", "database: shop, table: orders");
  const auto errors = [](const std::string& databases, const std::string& sources) {
    return ErrorsOf(Topology(databases, sources));
  };
  EXPECT_EQ(errors(kShop, orders), "");
  EXPECT_THAT(errors(kShop, Source("orders", "database: ship, table: orders")),
              HasSubstr("there is no 'ship' among `databases` (did you mean 'shop'?)"));
  EXPECT_THAT(errors(kShop, Source("orders", "database: shop, slot: s, table: orders")),
              HasSubstr("that stands in databases/shop, for all its tables: leave it out here"));
  EXPECT_THAT(errors(kShop, orders + Source("again", "database: shop, table: orders")),
              HasSubstr("table public.orders is source orders's: several steps can read one source"));
  EXPECT_THAT(errors(kShop, orders + Source("other",
                                            "url: postgresql://localhost/shop, publication: p, slot: shop_slot, "
                                            "table: t")),
              HasSubstr("sources share one by `databases`"));
  EXPECT_THAT(errors(kShop, Source("orders", "url: postgresql://x/y, publication: q, table: t")),
              HasSubstr("missing field 'slot', or 'database' with one of `databases`"));
  EXPECT_THAT(errors("  shop: { url: u, publication: p, slot: Shop }\n", orders),
              HasSubstr("a slot's name has small letters"));
  EXPECT_THAT(errors("  shop: { url: u, publication: p, slot: orders }\n", orders),
              HasSubstr("there is a source of the same name: give the slot another"));
  EXPECT_THAT(errors("  shop: { url: u, publication: p, slot: out }\n", orders),
              HasSubstr("there is a sink of the same name: give the slot another"));
  EXPECT_THAT(errors(absl::StrCat(kShop, "  ship: { url: u, publication: p, slot: shop_slot }\n"), orders),
              HasSubstr("slot shop_slot is database shop's"));
  EXPECT_THAT(errors(absl::StrCat(kShop, "  idle: { url: u, publication: p, slot: idle_slot }\n"), orders),
              HasSubstr("no source is a table of it: write postgres: { database: idle, table: ... }"));
  EXPECT_THAT(errors("  shop: { url: u, publication: p }\n", orders), HasSubstr("missing field 'slot'"));
}

}  // namespace
}  // namespace tidemark
