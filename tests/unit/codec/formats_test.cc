// What the seam between records and formats promises, shown by a format that does all of it.
#include "src/codec/formats.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/codec/row_encoder.h"
#include "src/codec/source_decoder.h"
#include "src/codec/table_decoder.h"
#include "tests/unit/codec/codec_fixture.h"
#include "tests/unit/codec/test_format.h"

namespace tidemark {
namespace {

using codec_test::Col;
using codec_test::FakeFetch;
using codec_test::Rec;
using codec_test::WordReader;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class FormatsTest : public ::testing::Test {
 protected:
  FormatsTest() {
    plan_ = codec_test::PlanOf({"n int64", "s string null"});
    plan_.columns[1].from = SourceColumn::From::kKey;
    plan_.key_format = kTextFormat;
    plan_.hidden = HiddenSet().With(Hidden::kOffset).With(Hidden::kWatermark);
  }

  DecodedRows Decode(const std::vector<Rec>& records, size_t first = 0) {
    const FakeFetch fetch(records);
    auto decoded = SourceDecoder::Make(plan_, words_).value()->Decode(fetch, first, 1, &time_);
    EXPECT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_TRUE(decoded->rows->ValidateFull().ok()) << decoded->rows->ValidateFull();
    return *std::move(decoded);
  }
  std::vector<int64_t> Numbers(const DecodedRows& decoded) const {
    const int64_t* values = decoded.rows->column_data(0)->GetValues<int64_t>(1);
    return {values, values + decoded.rows->num_rows()};
  }

  const Formats words_ = codec_test::Words();
  SourcePlan plan_;
  SourceTime time_;
};

TEST_F(FormatsTest, ARecordGivesNoRowOrManyEachWithItsKeyAndPlace) {
  const DecodedRows decoded = Decode({{"1 2 3", "a"}, {""}, {"4", "b"}, {""}});
  EXPECT_THAT(codec_test::Rows(plan_.columns, decoded.rows),
              ElementsAre(R"({"n":1,"s":"a"})", R"({"n":2,"s":"a"})", R"({"n":3,"s":"a"})", R"({"n":4,"s":"b"})"));
  const int64_t* const offsets = HiddenInt64(*decoded.rows, Hidden::kOffset);
  EXPECT_THAT(std::vector<int64_t>(offsets, offsets + 4), ElementsAre(100, 100, 100, 102));
  EXPECT_EQ(decoded.empty_records, 2);
  EXPECT_EQ(decoded.next, 4u);
  EXPECT_THAT(decoded.errors, IsEmpty());
}

TEST_F(FormatsTest, RoomIsMadeForAnyNumberOfRows) {
  std::string many;
  for (int i = 0; i < 1000; ++i) many += std::to_string(i) + " ";
  const DecodedRows decoded = Decode({{"7", "first"}, {many, "a key of some length"}, {"8", "last"}});
  ASSERT_EQ(decoded.rows->num_rows(), 1002);
  const std::vector<std::string> rows = codec_test::Rows(plan_.columns, decoded.rows);
  EXPECT_EQ(rows.front(), R"({"n":7,"s":"first"})");
  EXPECT_EQ(rows[1], R"({"n":0,"s":"a key of some length"})");
  EXPECT_EQ(rows[1000], R"({"n":999,"s":"a key of some length"})");
  EXPECT_EQ(rows.back(), R"({"n":8,"s":"last"})");
  EXPECT_EQ(HiddenInt64(*decoded.rows, Hidden::kOffset)[1000], 101);
}

TEST_F(FormatsTest, OneBadRowTakesTheOthersOfItsRecordAndTheirTimeBack) {
  Rec late = {"1 bad 3", "x"};
  late.timestamp_ms += 60'000;
  const DecodedRows decoded = Decode({{"1", "a"}, late, {"4", "b"}, {"5 6 7 bad", "c"}, {"8", "d"}});
  EXPECT_THAT(codec_test::Rows(plan_.columns, decoded.rows),
              ElementsAre(R"({"n":1,"s":"a"})", R"({"n":4,"s":"b"})", R"({"n":8,"s":"d"})"));
  ASSERT_EQ(decoded.errors.size(), 2u);
  EXPECT_EQ(decoded.errors[0].record, 1u);
  EXPECT_EQ(decoded.errors[0].reason, "'bad' isn't a word of this format");
  EXPECT_EQ(decoded.errors[1].record, 3u);
  EXPECT_EQ(decoded.empty_records, 0);
  EXPECT_EQ(time_.max_time, (EventTime{Rec().timestamp_ms * 1000}));
}

TEST_F(FormatsTest, WhatCantBeReadYetIsReadLaterAsIfNothingHadBeen) {
  const std::vector<Rec> records = {{"1"}, {"2 ?schema 3"}, {"4"}};
  const DecodedRows before = Decode(records);
  EXPECT_THAT(Numbers(before), ElementsAre(1));
  EXPECT_EQ(before.next, 1u);
  EXPECT_EQ(before.waits_for, "schema");
  EXPECT_EQ(before.empty_records, 0);
  const DecodedRows still = Decode(records, before.next);
  EXPECT_EQ(still.rows->num_rows(), 0);
  EXPECT_EQ(still.next, 1u);
  WordReader::here().insert("schema");
  const DecodedRows after = Decode(records, still.next);
  EXPECT_THAT(Numbers(after), ElementsAre(2, 3, 4));
  EXPECT_EQ(after.next, 3u);
  EXPECT_EQ(after.waits_for, "");
}

TEST_F(FormatsTest, ChangesOfRowsGoOnlyWhereTheSourceIsOneOfChanges) {
  const std::vector<Rec> records = {{"1"}, {"-1 +2"}};
  const DecodedRows refused = Decode(records);
  EXPECT_THAT(Numbers(refused), ElementsAre(1));
  ASSERT_EQ(refused.errors.size(), 1u);
  EXPECT_THAT(refused.errors[0].reason, HasSubstr("only ever added"));
  plan_.hidden = plan_.hidden.With(Hidden::kOp);
  const DecodedRows taken = Decode(records);
  EXPECT_THAT(Numbers(taken), ElementsAre(1, 1, 2));
  const int8_t* const ops = HiddenOps(*taken.rows);
  EXPECT_THAT(std::vector<int>(ops, ops + 3), ElementsAre(0, 1, 2));
  EXPECT_TRUE(taken.rows->schema()->Equals(*BatchSchema(plan_.schema(), plan_.hidden)));
}

TEST_F(FormatsTest, TablesAreReadByTheSameReaders) {
  TablePlan table;
  table.columns = {Col("n int64")};
  table.key = {0};
  const FakeFetch fetch({{"1 2"}, {"-2 +3"}, {"?more 4"}});
  const auto decoder = TableDecoder::Make(table, words_).value();
  const DecodedTableRows before = decoder->Decode(fetch, 0).value();
  EXPECT_THAT(codec_test::Rows(table.columns, before.rows),
              ElementsAre(R"({"n":1})", R"({"n":2})", R"({"n":2})", R"({"n":3})"));
  EXPECT_THAT(before.deleted, ElementsAre(0, 0, 1, 0));
  EXPECT_EQ(before.next, 2u);
  EXPECT_EQ(before.waits_for, "more");
  WordReader::here().insert("more");
  EXPECT_EQ(decoder->Decode(fetch, before.next)->rows->num_rows(), 1);
}

TEST_F(FormatsTest, AFormatThatIsntThereIsRefusedByName) {
  const absl::Status read = words_.MakeReader("morse", {}).status();
  EXPECT_EQ(read.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(read.message()), HasSubstr("there is no format 'morse'; there are: json, text, bytes"));
  RowEncoderOptions keyed{plan_.schema(), {0}, kJsonFormat};
  const absl::Status written = RowEncoder::Make(keyed, words_).status();
  EXPECT_EQ(written.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(written.message(), "format 'json' isn't one that keys are written in");
}

TEST_F(FormatsTest, AReaderThatPassesOverRecordsEndsTheApplication) {
  class Lazy final : public ValueReader {
    absl::Status Read(const Fetch&, size_t first, size_t, RecordRows* rows) override {
      rows->BeginRecord(first);
      rows->Reject("no");
      return absl::OkStatus();
    }
  };
  class LazyFormat final : public Format {
    std::string_view name() const override { return "lazy"; }
    bool holds_names() const override { return true; }
    std::string Types(FormatUse) const override { return "any type"; }
    bool Holds(const Type&, FormatUse) const override { return true; }
    absl::StatusOr<std::unique_ptr<ValueReader>> MakeReader(const FormatSpec&,
                                                            const std::vector<ReadTarget>&) const override {
      return std::make_unique<Lazy>();
    }
  };
  const LazyFormat lazy;
  Formats formats;
  formats.Set(&lazy);
  plan_.format = "lazy";
  const FakeFetch fetch({{"1"}, {"2"}});
  const absl::Status decoded = SourceDecoder::Make(plan_, formats).value()->Decode(fetch, 0, 1, &time_).status();
  EXPECT_EQ(decoded.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(decoded.message()), HasSubstr("was given 2 records and has spoken of 1 of them"));
}

TEST_F(FormatsTest, ABadRecordThatHasToWaitIsJudgedOnce) {
  const std::vector<Rec> records = {{"1"}, {"bad ?schema"}, {"4"}};
  WordReader::goes_on_after_bad() = true;
  const DecodedRows before = Decode(records);
  EXPECT_THAT(before.errors, IsEmpty());
  EXPECT_EQ(before.next, 1u);
  WordReader::here().insert("schema");
  const DecodedRows after = Decode(records, before.next);
  WordReader::goes_on_after_bad() = false;
  EXPECT_EQ(after.errors.size(), 1u);
  EXPECT_THAT(Numbers(after), ElementsAre(4));
}

}  // namespace
}  // namespace tidemark
