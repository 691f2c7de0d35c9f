#include "src/runtime/heard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

packed::RowsHeader Record(int32_t writer, uint64_t sequence, std::string_view stage = "main") {
  packed::RowsHeader header;
  header.set_upstream_partition(writer);
  header.set_sequence(sequence);
  if (sequence > 0) header.set_writer_stage(WriterStage(stage));
  return header;
}

std::string Message(const absl::Status& status) { return std::string(status.message()); }

// As a task and as a sink keep it.
Heard Reopened(const Heard& heard) {
  packed::Heard saved;
  heard.Save(&saved);
  EXPECT_EQ(Heard(saved).ToText(), heard.ToText());
  return Heard::FromText(heard.ToText()).value();
}

TEST(HeardTest, EveryWriterCountsFromOneByItself) {
  Heard heard;
  for (const auto& [writer, sequence] : std::vector<std::pair<int, int>>{{0, 1}, {7, 1}, {0, 2}, {7, 2}, {7, 3}}) {
    EXPECT_TRUE(heard.Check(Record(writer, static_cast<uint64_t>(sequence))).ok()) << writer << " " << sequence;
  }
}

TEST(HeardTest, AGapIsAnErrorWithBothNumbers) {
  Heard heard;
  ASSERT_TRUE(heard.Check(Record(3, 1)).ok());
  const absl::Status status = heard.Check(Record(3, 4));
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_THAT(Message(status), AllOf(HasSubstr("upstream partition 3"), HasSubstr("2 is expected"),
                                     HasSubstr("number 4"), HasSubstr("2 records are missing")));
}

TEST(HeardTest, ARecordThatComesAgainIsAnErrorToo) {
  Heard heard;
  ASSERT_TRUE(heard.Check(Record(3, 1)).ok());
  ASSERT_TRUE(heard.Check(Record(3, 2)).ok());
  EXPECT_THAT(Message(heard.Check(Record(3, 2))), HasSubstr("it has been read before"));
  EXPECT_TRUE(heard.Check(Record(3, 3)).ok()) << "an error moves nothing";
}

TEST(HeardTest, AReaderAtTheBeginningMissesWhatWasTrimmed) {
  Heard heard;
  EXPECT_THAT(Message(heard.Check(Record(0, 13))), HasSubstr("12 records are missing"));
}

TEST(HeardTest, GoesOnWhereThePositionWasKept) {
  Heard heard;
  ASSERT_TRUE(heard.Check(Record(2, 1)).ok());
  ASSERT_TRUE(heard.Check(Record(0, 1, "other")).ok());
  Heard again = Reopened(heard);
  EXPECT_FALSE(again.Check(Record(2, 3)).ok());
  EXPECT_TRUE(again.Check(Record(2, 2)).ok());
  EXPECT_TRUE(again.Check(Record(0, 2, "other")).ok());
  EXPECT_TRUE(again.Check(Record(1, 1)).ok());
}

TEST(HeardTest, AnEdgeThatComesOutOfAnotherStageHasWritersOfItsOwn) {
  Heard heard;
  ASSERT_TRUE(heard.Check(Record(0, 1, "before")).ok());
  ASSERT_TRUE(heard.Check(Record(0, 2, "before")).ok());
  EXPECT_TRUE(heard.Check(Record(0, 1, "behind")).ok());
  EXPECT_TRUE(heard.Check(Record(0, 3, "before")).ok()) << "and should it come back it goes on counting";
}

TEST(HeardTest, RecordsOfEarlierVersionsAreTakenAndTheNumberBehindThemToo) {
  Heard heard;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(heard.Check(Record(0, 0)).ok());
  heard = Reopened(heard);
  EXPECT_TRUE(heard.Check(Record(0, 1)).ok());
  EXPECT_TRUE(heard.Check(Record(0, 2)).ok());
  EXPECT_TRUE(heard.Check(Record(0, 0)).ok()) << "back to the earlier version for a while";
  EXPECT_TRUE(heard.Check(Record(0, 57)).ok()) << "forth again";
  EXPECT_FALSE(heard.Check(Record(0, 59)).ok());
}

TEST(HeardTest, APositionThatAnEarlierVersionKeptTakesAnyFirstNumber) {
  Heard heard = Heard::FromText("").value();
  EXPECT_TRUE(heard.Check(Record(0, 812)).ok());
  heard = Reopened(heard);
  EXPECT_TRUE(heard.Check(Record(1, 99)).ok());
  EXPECT_FALSE(heard.Check(Record(0, 814)).ok());
}

TEST(HeardTest, AnotherTextIsRefused) {
  for (const std::string_view text : {"2", "1;", "1;5", "1;x:1", "1;5:1,", "1;5:1,-2", "garbage"}) {
    EXPECT_TRUE(absl::IsFailedPrecondition(Heard::FromText(text).status())) << text;
  }
}

TEST(HeardTest, AHeaderWithoutSenseIsDamage) {
  Heard heard;
  EXPECT_TRUE(absl::IsDataLoss(heard.Check(Record(-1, 1))));
  EXPECT_TRUE(absl::IsDataLoss(heard.Check(Record(1 << 30, 1))));
}

}  // namespace
}  // namespace tidemark
