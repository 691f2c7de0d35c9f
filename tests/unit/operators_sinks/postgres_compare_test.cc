// Two tables compared by a real PostgreSQL.
#include "operators/sinks/postgres/compare.h"

#include <string>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/operators_sinks/postgres_server.h"

namespace tidemark {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class PostgresCompareTest : public ::testing::Test {
 protected:
  void SetUp() override {
    server_ = PostgresServer::StartIfInstalled();
    if (server_ == nullptr) GTEST_SKIP() << "no PostgreSQL server is installed";
    spec_.sink_spec.url = server_->Url();
    spec_.sink = "s";
    spec_.before = "orders";
    spec_.after = "orders__g2";
    spec_.columns.columns = {{"id", {Kind::kInt64}}, {"name", {Kind::kString}}};
    spec_.key = {"id"};
    Do("CREATE TABLE orders (id integer, name text, seen timestamptz DEFAULT now())");
    Do("CREATE TABLE orders__g2 (name varchar(20) COLLATE \"C\", id bigint)");
  }

  void Do(const std::string& sql) const { EXPECT_THAT(server_->Query(sql), IsEmpty()) << sql; }
  std::string Compared() {
    TableComparison comparison(spec_);
    const absl::Status checked = comparison.Check();
    if (!checked.ok()) return std::string(checked.message());
    const auto found = comparison.Run([] { return absl::OkStatus(); });
    if (!found.ok()) return std::string(found.status().message());
    return absl::StrCat(found->only_before, " ", found->only_after, " ", found->differing, " of ", found->of);
  }

  std::unique_ptr<PostgresServer> server_;
  TableComparisonSpec spec_;
};

TEST_F(PostgresCompareTest, RowsAreComparedByTheirKeyAndNULLsAreEqual) {
  EXPECT_EQ(Compared(), "0 0 0 of 0");
  Do("INSERT INTO orders VALUES (1, 'a'), (2, 'b'), (3, NULL), (4, 'd'), (NULL, 'n'), (6, NULL)");
  Do("INSERT INTO orders__g2 VALUES ('a', 1), ('other', 2), (NULL, 3), ('n', NULL), ('e', 5), ('f', 6)");
  EXPECT_EQ(Compared(), "1 1 2 of 7");
  // Without a key, as often as each stands there.
  spec_.key.clear();
  Do("INSERT INTO orders VALUES (1, 'a'), (1, 'a')");
  EXPECT_EQ(Compared(), "5 3 0 of 11");
}

TEST_F(PostgresCompareTest, ValuesAreComparedNotHowTheyAreWritten) {
  Do("DROP TABLE orders; CREATE TABLE orders (id integer, price numeric(12,2), about json, at timestamptz, x float8)");
  Do("DROP TABLE orders__g2; CREATE TABLE orders__g2 (id bigint, price numeric(14,3), about jsonb, at timestamptz, x "
     "float8)");
  spec_.columns.columns = {{"id", {Kind::kInt64}},
                           {"price", *ParseType("decimal(14,3)")},
                           {"about", {Kind::kJson}},
                           {"at", {Kind::kTimestamp, TimestampForm::kMicros}},
                           {"x", {Kind::kDouble}}};
  Do("INSERT INTO orders VALUES (1, 1.50, '{\"a\": 1, \"b\":2}', '2026-01-01 01:00:00+01', 'NaN'), (2, 1, '1', NULL, "
     "0)");
  Do("INSERT INTO orders__g2 VALUES (1, 1.500, '{\"b\": 2, \"a\":1}', '2026-01-01 00:00:00+00', 'NaN'), "
     "(2, 1.001, '1', NULL, '-0')");
  EXPECT_EQ(Compared(), "0 0 1 of 2");
}

TEST_F(PostgresCompareTest, AColumnOfOneTableIsNULLInTheOther) {
  Do("ALTER TABLE orders ADD COLUMN worth integer");
  Do("INSERT INTO orders (id, name, worth) VALUES (1, 'a', NULL), (2, 'b', 7)");
  Do("INSERT INTO orders__g2 VALUES ('a', 1), ('b', 2)");
  EXPECT_EQ(Compared(), "0 0 0 of 2");
  spec_.columns.columns.push_back({"worth", {Kind::kInt32}, true, false});
  EXPECT_EQ(Compared(), "0 0 1 of 2");
}

TEST_F(PostgresCompareTest, WhatIsMissingOrMayNotBeReadIsTold) {
  spec_.after = "nobody";
  EXPECT_THAT(Compared(), HasSubstr("nobody"));
  spec_.after = "orders__g2";
  spec_.columns.columns.push_back({"worth", {Kind::kInt32}});
  EXPECT_THAT(Compared(), HasSubstr("worth"));
}

TEST_F(PostgresCompareTest, WhoStopsItIsAnswered) {
  Do("CREATE VIEW slow AS SELECT 1 AS id, 'x' AS name FROM pg_sleep(30)");
  spec_.before = "slow";
  TableComparison comparison(spec_);
  EXPECT_TRUE(
      absl::IsDeadlineExceeded(comparison.Run([] { return absl::DeadlineExceededError("too long"); }).status()));
}

}  // namespace
}  // namespace tidemark
