// Formats that are one column as a whole, in values and keys: what is read is what was written, and what can't be read
// is a dead letter.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/codec/row_encoder.h"
#include "src/codec/source_decoder.h"
#include "tests/unit/codec/codec_fixture.h"

namespace tidemark {
namespace {

using codec_test::FakeFetch;
using codec_test::Rec;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class OneColumnTest : public ::testing::Test {
 protected:
  DecodedRows Decode(const SourcePlan& plan, const std::vector<Rec>& records) {
    const FakeFetch fetch(records);
    SourceTime time;
    auto decoded = SourceDecoder::Make(plan).value()->Decode(fetch, 0, 1, &time);
    EXPECT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_TRUE(decoded->rows->ValidateFull().ok()) << decoded->rows->ValidateFull();
    return *std::move(decoded);
  }
  SourcePlan Whole(std::string_view column, const char* format) {
    SourcePlan plan = codec_test::PlanOf({column});
    plan.columns[0].path.clear();
    plan.format = format;
    return plan;
  }
};

TEST_F(OneColumnTest, TextIsTheValueInItsPlainForm) {
  const SourcePlan lines = Whole("line string", "text");
  const DecodedRows decoded = Decode(lines, {{"a \"line\""}, {""}, {"\xff\xfe"}, {std::nullopt}, {"{}"}});
  EXPECT_THAT(codec_test::Rows(lines.columns, decoded.rows),
              ElementsAre(R"({"line":"a \"line\""})", R"({"line":""})", R"({"line":"{}"})"));
  ASSERT_EQ(decoded.errors.size(), 2u);
  EXPECT_THAT(decoded.errors[0].reason, HasSubstr("column line: "));
  EXPECT_THAT(decoded.errors[0].reason, HasSubstr("UTF-8"));
  EXPECT_EQ(decoded.errors[1].reason, "value is null (tombstone)");
  const SourcePlan numbers = Whole("n double", "text");
  const DecodedRows read = Decode(numbers, {{"-1.5e3"}, {"many"}, {""}});
  EXPECT_THAT(codec_test::Rows(numbers.columns, read.rows), ElementsAre(R"({"n":-1500})"));
  EXPECT_EQ(read.errors.size(), 2u);
}

TEST_F(OneColumnTest, BytesAreTheValueAsItIs) {
  const SourcePlan plan = Whole("raw bytes", "bytes");
  const DecodedRows decoded = Decode(plan, {{std::string("\x00\xff", 2)}, {""}});
  EXPECT_THAT(codec_test::Rows(plan.columns, decoded.rows), ElementsAre(R"({"raw":"AP8="})", R"({"raw":""})"));
  EXPECT_THAT(decoded.errors, IsEmpty());
}

TEST_F(OneColumnTest, ASinkWritesTheOneColumnBesideItsKey) {
  SourcePlan plan = codec_test::PlanOf({"k int64", "line string"});
  const DecodedRows rows = Decode(plan, {{R"({"k":7,"line":"x, y"})"}, {R"({"k":8,"line":""})"}});
  RowEncoderOptions options;
  options.schema = plan.schema();
  options.key = {0};
  options.format = "text";
  options.value = {1};
  EncodedRecords encoded;
  ASSERT_TRUE(RowEncoder::Make(options).value()->Encode(*rows.rows, 1, 0, &encoded).ok());
  ASSERT_EQ(encoded.records.size(), 2u);
  EXPECT_EQ(*encoded.records[0].key, "7");
  EXPECT_EQ(*encoded.records[0].value, "x, y");
  EXPECT_EQ(*encoded.records[1].value, "");
}

TEST_F(OneColumnTest, AnArrayOfObjectsIsManyRowsOrNone) {
  SourcePlan plan = codec_test::PlanOf({"n int64", "s string null"});
  plan.format.options["array"] = "true";
  const DecodedRows decoded = Decode(plan, {{R"( [ {"n":1,"s":"a"} , {"n":2} ] )"},
                                            {"[]"},
                                            {R"([{"n":3},{"s":"b"},{"n":5}])"},
                                            {R"({"n":6})"},
                                            {R"([{"n":7}] x)"},
                                            {R"([{"n":8}, 9])"},
                                            {R"([{"n":8},])"},
                                            {R"([{"n":8})"},
                                            {R"([{"n":"8"}])"},
                                            {""},
                                            {R"([{"n":10}])"}});
  EXPECT_THAT(codec_test::Rows(plan.columns, decoded.rows),
              ElementsAre(R"({"n":1,"s":"a"})", R"({"n":2,"s":null})", R"({"n":10,"s":null})"));
  EXPECT_EQ(decoded.empty_records, 1);
  std::vector<std::string> reasons;
  for (const DecodeError& error : decoded.errors) reasons.push_back(error.reason);
  EXPECT_THAT(
      reasons,
      ElementsAre("missing required column n", "expected a JSON array of objects, found object",
                  HasSubstr("content after the array"), "object 2 of the array: expected an object, found number",
                  HasSubstr("object 2 of the array: malformed JSON"), HasSubstr("the array isn't closed"),
                  "object 1 of the array: column n: expected int64, found string", "value is empty"));
}

}  // namespace
}  // namespace tidemark
