// The protocol of the PostgreSQL sink over a database in memory that loses connections at chosen calls.
#include <map>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/sinks/postgres/memory.h"
#include "operators/sinks/postgres/sink.h"
#include "src/base/mutation.h"
#include "tests/unit/operators_sinks/rows.h"

namespace tidemark {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class PostgresProtocolTest : public ::testing::Test {
 protected:
  std::unique_ptr<PostgresSink> Open(MemoryPostgres& database, bool upsert) {
    PostgresSinkSpec spec;
    spec.upsert = upsert;
    if (upsert) spec.key = {0};
    return *PostgresSink::Over(database.NewSession(), spec, "s", schema_, {});
  }
  absl::Status Write(PostgresSink& sink, int64_t expected, int64_t next, std::string_view json) {
    return sink.Write(0, expected, next, heard_, {Rows(schema_, json)},
                      [&](const std::vector<SinkRowFailure>& failures) {
                        refused_ = failures;
                        return absl::OkStatus();
                      });
  }

  const Schema schema_{{Col("id", "int64"), Col("name", "string?")}};
  std::vector<SinkRowFailure> refused_;
  std::string heard_;
};

TEST_F(PostgresProtocolTest, AConnectionLostAtAnyCallLosesAndDoublesNothing) {
  int faults = 0;
  for (const bool commit_happens : {false, true}) {
    for (int64_t lost_at = 0;; ++lost_at) {
      MemoryPostgres database(schema_, {}, false);
      database.Refuse([](const std::string& row) { return row.find("bad") != std::string::npos; });
      auto sink = Open(database, false);
      ASSERT_TRUE(sink->Acquire(0).ok());
      database.LoseConnection(lost_at, commit_happens);
      int attempts = 0;
      const auto until_done = [&](int64_t expected, int64_t next, std::string_view rows) {
        absl::Status status;
        do {
          status = Write(*sink, expected, next, rows);
          ++attempts;
        } while (absl::IsUnavailable(status) && attempts < 10);
        EXPECT_TRUE(status.ok()) << status << ", lost at call " << lost_at;
      };
      until_done(-1, 4, R"([[1, "a"], [2, "bad"], [3, "c"]])");
      EXPECT_THAT(refused_, SizeIs(1));
      until_done(4, 6, R"([[4, "d"]])");
      EXPECT_THAT(database.Rows(), SizeIs(3)) << "lost at call " << lost_at;
      EXPECT_EQ(database.Fence(0).next_offset, 6);
      if (attempts == 2) break;
      ++faults;
    }
  }
  EXPECT_GT(faults, 20);
}

// Its rows are letters before the transaction that says so: some twice where that fails, none not at all.
TEST_F(PostgresProtocolTest, ARefusedBatchIsHandedOverInPiecesAndWrittenInNoPart) {
  std::string json = R"([[0, "bad"])";
  const std::string text(1000, 'x');
  constexpr int kRows = 10'000;
  for (int i = 1; i < kRows; ++i) absl::StrAppend(&json, ", [", i, ", \"", text, "\"]");
  const Batch rows = Rows(schema_, json + "]");
  for (int64_t lost_at = 0;; ++lost_at) {
    MemoryPostgres database(schema_, {}, false);
    database.Refuse([](const std::string& row) { return row.find("bad") != std::string::npos; });
    auto sink = Open(database, false);
    sink->RefuseWhole();
    ASSERT_TRUE(sink->Acquire(0).ok());
    database.LoseConnection(lost_at);
    std::map<std::string, int> letters;
    int attempts = 0, pieces = 0;
    absl::Status status;
    do {
      ++attempts;
      status = sink->Write(0, -1, 7, "", {rows}, [&](const std::vector<SinkRowFailure>& failures) {
        ++pieces;
        EXPECT_LT(failures.size(), 5000u);
        for (const SinkRowFailure& failure : failures) ++letters[failure.row_json];
        return absl::OkStatus();
      });
    } while (absl::IsUnavailable(status) && attempts < 5);
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_GT(pieces, 2);
    EXPECT_THAT(letters, SizeIs(kRows));
    EXPECT_THAT(database.Rows(), IsEmpty());
    EXPECT_EQ(database.Fence(0).next_offset, 7);
    if (attempts == 1) break;
  }
}

TEST_F(PostgresProtocolTest, WhatWasHeardComesBackWithTheOffsetItBelongsTo) {
  MemoryPostgres database(schema_, {}, false);
  auto sink = Open(database, false);
  EXPECT_EQ(sink->Acquire(0)->heard, "");
  heard_ = "1:7 2:9";
  ASSERT_TRUE(Write(*sink, -1, 4, R"([[1, "a"]])").ok());
  const PostgresFence fence = *Open(database, false)->Acquire(0);
  EXPECT_EQ(fence.next_offset, 4);
  EXPECT_EQ(fence.heard, "1:7 2:9");

  // A version that doesn't know the column has moved the offset alone.
  const auto session = database.NewSession();
  ASSERT_TRUE(session->Begin().ok());
  ASSERT_TRUE(*session->MoveFence(0, fence, 6, database.Fence(0).heard));
  ASSERT_TRUE(session->Commit().ok());
  EXPECT_EQ(Open(database, false)->Acquire(0)->heard, "");
}

#ifdef TIDEMARK_WITH_MUTATIONS
TEST_F(PostgresProtocolTest, WithoutTheFenceAZombiesRowsStandTwice) {
  for (const bool mutated : {false, true}) {
    MemoryPostgres database(schema_, {}, false);
    auto zombie = Open(database, false), successor = Open(database, false);
    ASSERT_TRUE(zombie->Acquire(0).ok());
    ASSERT_TRUE(successor->Acquire(0).ok());
    ASSERT_TRUE(Write(*successor, -1, 1, R"([[1, "a"]])").ok());
    SetMutation(Mutation::kPostgresWithoutFence, mutated);
    EXPECT_EQ(Write(*zombie, -1, 1, R"([[1, "a"]])").ok(), mutated);
    SetMutation(Mutation::kPostgresWithoutFence, false);
    EXPECT_THAT(database.Rows(), SizeIs(mutated ? 2 : 1));
  }
}
#endif

}  // namespace
}  // namespace tidemark
