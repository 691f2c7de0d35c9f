// What a walsender's bytes mean, message by message; and whatever the bytes, an answer or an error. The bytes stand in
// allocations of exactly their size, so that one read behind the end is seen by the address sanitizer.
#include <random>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/big_endian.h"
#include "src/postgres/pgoutput.h"

namespace tidemark::pgoutput {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Number(uint64_t value, int bytes) {
  std::string out;
  AppendBigEndian(value, bytes, &out);
  return out;
}
std::string Text(std::string_view text) { return std::string(text) + '\0'; }
std::string CellOf(std::string_view text) { return "t" + Number(text.size(), 4) + std::string(text); }

std::string RelationBytes() {
  return "R" + Number(17, 4) + Text("shop") + Text("orders") + "d" + Number(2, 2) + Number(1, 1) + Text("id") +
         Number(20, 4) + Number(0xFFFFFFFF, 4) + Number(0, 1) + Text("note") + Number(25, 4) + Number(0xFFFFFFFF, 4);
}
std::string UpdateBytes() {
  return "U" + Number(17, 4) + "K" + Number(2, 2) + CellOf("1") + "n" + "N" + Number(2, 2) + CellOf("2") + "u";
}
std::vector<std::string> Seeds() {
  return {"B" + Number(0x1000, 8) + Number(5, 8) + Number(700, 4),
          "C" + Number(0, 1) + Number(0x1000, 8) + Number(0x1040, 8) + Number(5, 8),
          RelationBytes(),
          "I" + Number(17, 4) + "N" + Number(2, 2) + CellOf("1") + "n",
          UpdateBytes(),
          "D" + Number(17, 4) + "O" + Number(2, 2) + CellOf("1") + CellOf("x"),
          "T" + Number(2, 4) + Number(0, 1) + Number(17, 4) + Number(18, 4)};
}

template <typename T>
T Read(const std::string& bytes) {
  absl::StatusOr<Message> message = ReadMessage(bytes);
  EXPECT_TRUE(message.ok()) << message.status();
  return message.ok() && std::holds_alternative<T>(*message) ? std::get<T>(*message) : T();
}

TEST(Pgoutput, ATransactionsBoundsTellItsPlaceItsTimeAndItsNumber) {
  const auto begin = Read<Begin>(Seeds()[0]);
  EXPECT_EQ(begin.commit_lsn, 0x1000u);
  EXPECT_EQ(begin.committed_us, 946'684'800'000'005) << "PostgreSQL's times begin in 2000";
  EXPECT_EQ(begin.xid, 700u);
  const auto commit = Read<Commit>(Seeds()[1]);
  EXPECT_EQ(commit.commit_lsn, 0x1000u);
  EXPECT_EQ(commit.end_lsn, 0x1040u);
}

TEST(Pgoutput, ATableIsDescribedByItsColumns) {
  const auto relation = Read<Relation>(RelationBytes());
  EXPECT_EQ(relation.id, 17u);
  EXPECT_EQ(relation.schema, "shop");
  EXPECT_EQ(relation.name, "orders");
  EXPECT_EQ(relation.identity, 'd');
  ASSERT_EQ(relation.columns.size(), 2u);
  EXPECT_TRUE(relation.columns[0].identity);
  EXPECT_EQ(relation.columns[0].name, "id");
  EXPECT_EQ(relation.columns[0].type, 20u);
  EXPECT_FALSE(relation.columns[1].identity);
}

TEST(Pgoutput, AnUpdateMayHaveTheOldKeyAndLeaveValuesOut) {
  const std::string bytes = UpdateBytes();
  const auto change = Read<Change>(bytes);
  EXPECT_EQ(change.kind, Change::Kind::kUpdate);
  EXPECT_EQ(change.old_kind, 'K');
  ASSERT_EQ(change.old_row.size(), 2u);
  EXPECT_EQ(change.old_row[0].text, "1");
  EXPECT_EQ(change.old_row[1].kind, Cell::Kind::kNull);
  ASSERT_EQ(change.new_row.size(), 2u);
  EXPECT_EQ(change.new_row[0].text, "2");
  EXPECT_EQ(change.new_row[1].kind, Cell::Kind::kUnchanged);
}

TEST(Pgoutput, ADeletionHasOnlyTheOldRow) {
  const std::string bytes = Seeds()[5];
  const auto change = Read<Change>(bytes);
  EXPECT_EQ(change.kind, Change::Kind::kDelete);
  EXPECT_EQ(change.old_kind, 'O');
  EXPECT_EQ(change.old_row.size(), 2u);
  EXPECT_TRUE(change.new_row.empty());
  EXPECT_FALSE(ReadMessage("D" + Number(17, 4) + "N" + Number(0, 2)).ok());
}

TEST(Pgoutput, ATruncateNamesItsTables) { EXPECT_THAT(Read<Truncate>(Seeds()[6]).relations, ElementsAre(17u, 18u)); }

TEST(Pgoutput, WhatTellsNothingOfTablesIsPassedOver) {
  for (const char* bytes : {"O12345678x", "Yxyz", "M"}) {
    const absl::StatusOr<Message> message = ReadMessage(bytes);
    ASSERT_TRUE(message.ok()) << message.status();
    EXPECT_TRUE(std::holds_alternative<Other>(*message));
  }
}

TEST(Pgoutput, FramesAreDataOrKeepalives) {
  const std::string data = "w" + Number(7, 8) + Number(9, 8) + Number(0, 8) + "rest";
  absl::StatusOr<Frame> frame = ReadFrame(data);
  ASSERT_TRUE(frame.ok());
  EXPECT_EQ(frame->kind, Frame::Kind::kData);
  EXPECT_EQ(frame->lsn, 7u);
  EXPECT_EQ(frame->data, "rest");
  frame = ReadFrame("k" + Number(11, 8) + Number(0, 8) + Number(1, 1));
  ASSERT_TRUE(frame.ok());
  EXPECT_EQ(frame->kind, Frame::Kind::kKeepalive);
  EXPECT_EQ(frame->lsn, 11u);
  EXPECT_TRUE(frame->wants_answer);
  EXPECT_FALSE(ReadFrame("").ok());
  EXPECT_FALSE(ReadFrame("x12345678").ok());
  EXPECT_FALSE(ReadFrame("k" + Number(11, 8)).ok());
}

TEST(Pgoutput, AReportSaysThreeTimesWhatIsSafe) {
  const std::string bytes = StatusUpdate(0x1234, 946'684'800'000'001);
  EXPECT_EQ(bytes, "r" + Number(0x1234, 8) + Number(0x1234, 8) + Number(0x1234, 8) + Number(1, 8) + Number(0, 1));
}

TEST(Pgoutput, EveryShortMessageIsAnError) {
  for (const std::string& seed : Seeds()) {
    for (size_t size = 0; size < seed.size(); ++size) {
      const std::vector<char> exact(seed.begin(), seed.begin() + static_cast<std::ptrdiff_t>(size));
      const absl::StatusOr<Message> message = ReadMessage(std::string_view(exact.data(), exact.size()));
      EXPECT_FALSE(message.ok()) << "type " << seed[0] << " of " << size << " bytes";
    }
    EXPECT_FALSE(ReadMessage(seed + "x").ok()) << "and a long one, type " << seed[0];
  }
}

TEST(Pgoutput, NoBytesCrashIt) {
  std::mt19937_64 random(7);
  const std::vector<std::string> seeds = Seeds();
  int read = 0;
  for (int i = 0; i < 30'000; ++i) {
    std::string bytes = seeds[random() % seeds.size()];
    for (uint64_t n = 1 + random() % 4; n > 0; --n) {
      const size_t at = random() % (bytes.size() + 1);
      switch (random() % 4) {
        case 0:
          if (at < bytes.size()) bytes[at] = static_cast<char>(random());
          break;
        case 1:
          bytes.resize(at);
          break;
        case 2:
          bytes.insert(at, Number(random(), static_cast<int>(1 + random() % 8)));
          break;
        default:
          bytes.erase(at, random() % 5);
      }
    }
    const std::vector<char> exact(bytes.begin(), bytes.end());
    const std::string_view view(exact.data(), exact.size());
    read += ReadMessage(view).ok();
    (void)ReadFrame(view);
    std::string scratch;
    Tuple row;
    (void)ReadCopyRow(view, &scratch, &row);
  }
  EXPECT_GT(read, 100);
}

TEST(Pgoutput, ARowOfASnapshotIsCutAtTabsAndFreedOfItsEscapes) {
  std::string scratch;
  Tuple row;
  ASSERT_TRUE(ReadCopyRow("1\t\\N\t\ta\\tb\\\\N\\n\\r\\b\\f\\v\\.\tend\n", &scratch, &row).ok());
  ASSERT_EQ(row.size(), 5u);
  EXPECT_EQ(row[0].text, "1");
  EXPECT_EQ(row[1].kind, Cell::Kind::kNull);
  EXPECT_EQ(row[2].kind, Cell::Kind::kText);
  EXPECT_EQ(row[2].text, "");
  EXPECT_EQ(row[3].text, "a\tb\\N\n\r\b\f\v.");
  EXPECT_EQ(row[4].text, "end");
  EXPECT_THAT(ReadCopyRow("a\\", &scratch, &row).message(), HasSubstr("escape"));
}

TEST(Pgoutput, PlacesAreWrittenAsPostgresDoes) {
  EXPECT_EQ(LsnText(0x16B374D848), "16/B374D848");
  EXPECT_EQ(ParseLsn("16/B374D848"), 0x16B374D848u);
  EXPECT_EQ(ParseLsn("FFFFFFFF/0"), 0xFFFFFFFF00000000u);
  for (const char* wrong : {"", "1", "/", "1/", "/1", "1/G", "1/2/3", "100000000/0", " 1/2"})
    EXPECT_FALSE(ParseLsn(wrong));
}

}  // namespace
}  // namespace tidemark::pgoutput
