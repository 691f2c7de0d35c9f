// What the planner makes of batches, and which sinks it lets be atomic.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/batch/spec.h"
#include "tests/unit/plan/plan_text.h"

namespace tidemark {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kBatch[] = "batch: { by: [url], expected: guid, deadline: 1m }";

std::string Batch(const std::string& step) { return Clicks("  z: { from: clicks, " + step + " }\n", "z"); }
std::string Atomic(const std::string& steps, const std::string& sink = "postgres: { url: x, table: t }") {
  return Clicks("  b: { from: clicks, " + std::string(kBatch) + " }\n" + steps, "",
                "  a: { from: z, atomic: true, " + sink + " }\n");
}

TEST(BatchPlanTest, ABatchLiesInOneTaskAndItsRowsBringTheirWatermarks) {
  const auto plan = PlanOf(Batch(kBatch));
  ASSERT_TRUE(plan.ok()) << plan.status();
  const Node& node = NodeOf(*plan, "z");
  EXPECT_EQ(node.output.ToString(), "guid int64, url string null, price double, ms timestamp_ms");
  EXPECT_EQ(node.spec.kind().Describe(node), "batches by (url) of guid rows, whole within 1m or rejected");
  EXPECT_EQ(node.spec.As<BatchSpec>().forget_us, 7 * 86'400 * kSecond);
  ASSERT_EQ(plan->edges.size(), 1u);
  EXPECT_EQ(plan->edges[0].key, (std::vector<size_t>{1}));
  EXPECT_TRUE(plan->edges[0].hidden.Has(Hidden::kWatermark));
}

TEST(BatchPlanTest, WhatItAsksIsChecked) {
  EXPECT_THAT(ErrorsOf(Batch("batch: { by: [urk], expected: price, deadline: 1m }")),
              AllOf(HasSubstr("urk"), HasSubstr("expected a number of rows (int32 or int64), this is double")));
  EXPECT_THAT(ErrorsOf(Batch("batch: { by: [url], expected: guid }")), HasSubstr("deadline"));
  EXPECT_THAT(ErrorsOf(Batch("batch: { by: [url], expected: guid, deadline: 0s }")), HasSubstr("longer than nothing"));
}

TEST(BatchPlanTest, HowLargeOneMayBeIsBoundedByMemory) {
  const auto with = [](const std::string& bound) {
    return Batch("batch: { by: [url], expected: guid, deadline: 1m, " + bound + " }");
  };
  const auto plan = PlanOf(with("max_rows: 4000000, max_bytes: 512MiB"));
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(SpecOf<BatchSpec>(*plan, "z").max_rows, 4'000'000);
  EXPECT_THAT(ErrorsOf(with("max_rows: 0")), HasSubstr("expected 1 to 10000000"));
  EXPECT_THAT(ErrorsOf(with("max_bytes: 2GiB")), HasSubstr("expected 1MiB to 1GiB"));
  EXPECT_THAT(ErrorsOf(with("max_bytes: 513MiB")),
              HasSubstr("held in memory 4 times over, and `memory` is 2048 MiB: expected a memory of 2052 MiB"));
}

TEST(BatchPlanTest, RowsOfRejectedBatchesMayHaveATopicOfTheirOwn) {
  const auto plan = PlanOf(Batch("batch: { by: [url], expected: guid, deadline: 1m, rejected: { topic: bad } }"));
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(NodeOf(*plan, "z").side_topics.size(), 1u);
  EXPECT_EQ(NodeOf(*plan, "z").side_topics[0].topic, "bad");
  EXPECT_THAT(ErrorsOf(Batch("batch: { by: [url], expected: guid, deadline: 1m, rejected: { topic: clicks } }")),
              HasSubstr("source clicks reads topic clicks"));
}

TEST(BatchPlanTest, ARuleBesideItIsAboutTheBatchAndNowhereElse) {
  const std::string rule = std::string(kBatch) + ", expect: { cheap: { that: \"price < 5\", else: reject_batch } }";
  const auto plan = PlanOf(Batch(rule));
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(SpecOf<BatchSpec>(*plan, "z").rules[0].that, "price < 5");
  EXPECT_THAT(ErrorsOf(Batch(std::string(kBatch) + ", expect: { cheap: { that: \"price < 5\" } }")),
              HasSubstr("is about the batch: else: reject_batch"));
  EXPECT_THAT(ErrorsOf(Batch(std::string(kBatch) + ", expect: { cheap: { that: \"price < 5\", else: reject_batch, "
                                                   "at_most: 1% per 5m } }")),
              HasSubstr("one row that breaks it rejects the batch"));
  EXPECT_THAT(ErrorsOf(Batch("expect: { cheap: { that: \"price < 5\", else: reject_batch } }")),
              HasSubstr("goes into the `expect` of the batch step"));
  EXPECT_THAT(ErrorsOf(Batch(std::string(kBatch) + ", filter: \"price < 5\"")), HasSubstr("a step has one operator"));
}

TEST(BatchPlanTest, StepsThatKeepACommitsRowsTogetherMayFollow) {
  EXPECT_EQ(ErrorsOf(Atomic("  f: { from: b, filter: \"price < 5\" }\n"
                            "  j: { from: b, join: { table: users, on: [guid], columns: [town] } }\n"
                            "  p: { from: j, project: { guid: guid, url: url, price: price, ms: ms } }\n"
                            "  z: { from: [f, p], filter: \"guid > 0\" }\n")),
            "");
  EXPECT_EQ(ErrorsOf(Atomic("  z: { from: b, filter: \"price < 5\" }\n", "parquet: { path: /lake }")), "");
  EXPECT_EQ(ErrorsOf(Atomic("  z: { from: b, filter: \"price < 5\" }\n", "topic: whole")), "");
}

TEST(BatchPlanTest, WhatWouldShowPartsIsRefusedByName) {
  EXPECT_THAT(ErrorsOf(Atomic("  z: { from: b, dedup: { by: [guid], within: 1h } }\n")),
              AllOf(HasSubstr("sink a is atomic, but step z (dedup) doesn't keep batches together"),
                    HasSubstr("filter, project, expect, unnest, a join with a table, and unions")));
  EXPECT_THAT(ErrorsOf(Atomic("  r: { from: b, repartition: { by: [guid] } }\n"
                              "  z: { from: r, filter: \"price < 5\" }\n")),
              HasSubstr("step r (repartition) doesn't keep"));
  EXPECT_THAT(ErrorsOf(Atomic("  z: { from: [b, clicks], filter: \"price < 5\" }\n")),
              HasSubstr("rows of source clicks come to it without a batch step"));
  const std::string z = "  z: { from: b, filter: \"price < 5\" }\n";
  EXPECT_THAT(ErrorsOf(Atomic(z, "postgres: { url: x, table: t, key: [guid] }")),
              HasSubstr("mode: insert, without key"));
  EXPECT_THAT(ErrorsOf(Atomic(z, "topic: whole, key: [guid], mode: upsert")), HasSubstr("an atomic sink appends"));
  EXPECT_THAT(ErrorsOf(Atomic(z, "parquet: { path: /lake, partition_by: [url] }")), HasSubstr("has no folders"));
  EXPECT_THAT(ErrorsOf(Atomic(z, "webhook: \"http://127.0.0.1/hook\"")), HasSubstr("posts row by row"));
}

}  // namespace
}  // namespace tidemark
