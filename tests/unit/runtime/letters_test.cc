#include "src/runtime/letters.h"

#include <gtest/gtest.h>

#include "src/expr/expression.h"

namespace tidemark {
namespace {

const TopicPartition kLog{"town-dead-letter", 2};

Letter Read(HeaderList headers, Bytes key = std::nullopt, Bytes value = "v") {
  return ReadLetter(kLog, RecordView{7, 1'000, key, value}, std::move(headers));
}

Letter OfRecord(Bytes value) {
  return Read({{"tidemark.reason", "column id: expected int64, found string"},
               {"tidemark.step", "surveys"},
               {"tidemark.source.topic", "landed"},
               {"tidemark.source.partition", "3"},
               {"tidemark.source.offset", "99"},
               {"tidemark.source.timestamp", "5"},
               {"origin", "here"},
               {"tidemark.step", "the record's own"},
               {"tidemark.original.value.size", "700000"},
               {"tidemark.original.value.xxh3", "00ff"}},
              "k", value);
}

TEST(LettersTest, TellsTheRecordsHeadersFromOurs) {
  const Letter letter = OfRecord("v");
  EXPECT_TRUE(letter.of_record);
  EXPECT_EQ(letter.step, "surveys");
  EXPECT_EQ(letter.source_topic, "landed");
  EXPECT_EQ(letter.source_partition, 3);
  EXPECT_EQ(letter.source_offset, 99);
  EXPECT_EQ(letter.cut_value, "00ff");
  EXPECT_EQ(letter.cut_key, std::nullopt);
  const HeaderList theirs = {{"origin", "here"}, {"tidemark.step", "the record's own"}};
  EXPECT_EQ(letter.headers, theirs);
}

TEST(LettersTest, ARowOfAStepIsNoRecord) {
  const Letter letter = Read({{"tidemark.reason", "division by zero"},
                              {"tidemark.step", "shares"},
                              {"tidemark.source.topic", "landed"},
                              {"tidemark.source.partition", "3"},
                              {"tidemark.source.offset", "99"},
                              {"tidemark.expression", "100 / divisor"}});
  EXPECT_FALSE(letter.of_record);
  EXPECT_EQ(letter.expression, "100 / divisor");
  EXPECT_TRUE(letter.headers.empty());
}

TEST(LettersTest, AChangeOfATableSaysWhereInTheLogItStands) {
  const Letter letter =
      Read({{"tidemark.reason", "TRUNCATE"}, {"tidemark.step", "orders"}, {"tidemark.lsn", "16/B374D848"}});
  EXPECT_EQ(letter.lsn, "16/B374D848");
  EXPECT_FALSE(letter.of_record);
}

TEST(LettersTest, ForeignRecordsAreLettersWithoutAStep) {
  const Letter letter = Read({});
  EXPECT_EQ(letter.step, "");
  EXPECT_EQ(letter.source_partition, std::nullopt);
  EXPECT_EQ(Read({{"tidemark.source.partition", "many"}, {"tidemark.step", std::nullopt}}).source_partition,
            std::nullopt);
}

TEST(LettersTest, HeadersThatSomebodyElseHasWrittenNeedBeNoText) {
  const std::vector<Letter> letters = {
      Read({{"tidemark.reason", "\xff"}, {"tidemark.step", "\xfe"}, {"tidemark.rule", "\xfd"}})};
  const Batch rows = LetterRows(letters);
  ASSERT_TRUE(rows->ValidateFull().ok());
  EXPECT_TRUE(rows->GetColumnByName("rule")->IsNull(0));
  EXPECT_FALSE(rows->GetColumnByName("reason")->IsNull(0));
}

TEST(LettersTest, ConditionsSeeThemAsRowsAndBytesThatAreNoTextAsNull) {
  const std::vector<Letter> letters = {OfRecord(R"({"price": "1,5"})"), OfRecord("\xff"), OfRecord(std::nullopt)};
  const Batch rows = LetterRows(letters);
  ASSERT_TRUE(rows->ValidateFull().ok());
  const auto evaluate = [&](std::string_view sql) {
    const absl::StatusOr<Expression> compiled = Expression::Compile(sql, LetterSchema());
    EXPECT_TRUE(compiled.ok()) << compiled.status();
    std::vector<RowError> errors;
    return (*compiled->Evaluate(*rows, &errors))->ToString();
  };
  const auto same = [&](std::string_view sql, std::string_view other) { EXPECT_EQ(evaluate(sql), evaluate(other)); };
  same("value is null", "case when value = '{\"price\": \"1,5\"}' then false else true end");
  same("letter_offset = 7 and letter_partition = 2 and source_offset = 99", "true");
  same("time = '1970-01-01T00:00:01Z'::timestamp", "true");
  same("value::json ->> 'price' = '1,5'", "case when value is null then null else true end");
}

}  // namespace
}  // namespace tidemark
