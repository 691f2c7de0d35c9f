#include "src/codec/row_encoder.h"

#include <limits>

#include <arrow/array.h>
#include <arrow/builder.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/codec/column_text.h"
#include "src/codec/json/value_writer.h"
#include "src/codec/murmur2.h"
#include "src/codec/source_decoder.h"
#include "tests/unit/codec/codec_fixture.h"

namespace tidemark {
namespace {

using codec_test::Col;
using codec_test::FakeFetch;
using codec_test::PlanOf;
using codec_test::Rec;
using ::testing::ElementsAre;

// Decoding is tested by hand-made values elsewhere, so it may supply rows here.
Batch Decode(const SourcePlan& plan, std::vector<Rec> records) {
  SourceTime time;
  const FakeFetch fetch(std::move(records));
  const DecodedRows decoded = SourceDecoder::Make(plan).value()->Decode(fetch, 0, 1, &time).value();
  EXPECT_TRUE(decoded.errors.empty()) << decoded.errors[0].reason;
  return decoded.rows;
}

Batch WithOps(const Batch& batch, const std::vector<int8_t>& ops) {
  arrow::Int8Builder builder;
  EXPECT_TRUE(builder.AppendValues(ops).ok());
  return batch->AddColumn(batch->num_columns(), HiddenField(Hidden::kOp), builder.Finish().ValueOrDie()).ValueOrDie();
}

// "key -> value @ partition" with null written as NULL.
std::vector<std::string> Encode(const RowEncoderOptions& options, const Batch& batch, int32_t partitions = 4) {
  EncodedRecords out;
  EXPECT_TRUE(RowEncoder::Make(options).value()->Encode(*batch, partitions, 3, &out).ok());
  std::vector<std::string> records;
  for (const OutRecord& r : out.records) {
    records.push_back(std::string(r.key.value_or("NULL")) + " -> " + std::string(r.value.value_or("NULL")) + " @ " +
                      std::to_string(r.partition));
  }
  return records;
}

TEST(Murmur2, IsTheJavaClients) {
  const auto hash = [](std::string_view key) { return static_cast<int32_t>(Murmur2(key)); };
  EXPECT_EQ(hash("21"), -973932308);
  EXPECT_EQ(hash("foobar"), -790332482);
  EXPECT_EQ(hash("a-little-bit-long-string"), -985981536);
  EXPECT_EQ(hash("a-little-bit-longer-string"), -1486304829);
  EXPECT_EQ(hash("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8"), -58897971);
  EXPECT_EQ(hash("abc"), 479470107);
  EXPECT_EQ(JavaPartition("21", 7), static_cast<int32_t>((-973932308 & 0x7fffffff) % 7));
}

TEST(RowEncoder, EscapesWhatJsonDemandsAndNothingElse) {
  const auto json = [](std::string_view s) {
    std::string text;
    TextBuffer buffer(&text);
    WriteJsonString(s, &buffer);
    return text.substr(0, buffer.size());
  };
  EXPECT_EQ(json(""), R"("")");
  EXPECT_EQ(json("12345678"), R"("12345678")");
  EXPECT_EQ(json("1234567\"9"), R"("1234567\"9")");
  EXPECT_EQ(json("a\\b\n\r\t\b\f/"), R"("a\\b\n\r\t\b\f/")");
  EXPECT_EQ(json(std::string_view("\0\x1f\x7f", 3)), "\"\\u0000\\u001f\x7f\"");
  EXPECT_EQ(json("caf\u00e9 \U0001F600 ok"), "\"caf\u00e9 \U0001F600 ok\"");
  EXPECT_EQ(json(std::string(100, '"')).size(), 202u);
}

TEST(RowEncoder, TimestampsShowNoneThreeOrSixDigits) {
  const auto text = [](int64_t us) { return TimestampText(us, TimestampForm::kRfc3339); };
  EXPECT_EQ(text(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(text(-1), "1969-12-31T23:59:59.999999Z");
  EXPECT_EQ(text(1'500'000), "1970-01-01T00:00:01.500Z");
  EXPECT_EQ(text(1'000'010), "1970-01-01T00:00:01.000010Z");
  EXPECT_EQ(text(951'782'400'000'000), "2000-02-29T00:00:00Z");
  EXPECT_EQ(text(-62'135'596'800'000'000), "0001-01-01T00:00:00Z");
  EXPECT_EQ(text(253'402'300'799'999'999), "9999-12-31T23:59:59.999999Z");
  EXPECT_EQ(text(253'402'300'800'000'000), "+010000-01-01T00:00:00Z");
  EXPECT_EQ(TimestampText(-1, TimestampForm::kSeconds), "-1");
  EXPECT_EQ(TimestampText(1'234'567, TimestampForm::kMillis), "1234");
  EXPECT_EQ(TimestampText(1'234'567, TimestampForm::kMicros), "1234567");
}

TEST(RowEncoder, EveryKindOfNumberIsExact) {
  const SourcePlan plan = PlanOf({"f double", "m decimal(38,10)", "n decimal(5,5)", "z decimal(3,0)", "d date"});
  const Batch batch = Decode(
      plan,
      {{R"({"f":0.30000000000000004,"m":-1234567890123456789012345678.0123456789,"n":-0.00001,"z":0,"d":"0001-01-01"})"},
       {R"({"f":1e300,"m":0,"n":0.5,"z":-999,"d":"9999-12-31"})"}});
  EXPECT_THAT(
      codec_test::Rows(plan.columns, batch),
      ElementsAre(
          R"({"f":0.30000000000000004,"m":-1234567890123456789012345678.0123456789,"n":-0.00001,"z":0,"d":"0001-01-01"})",
          R"({"f":1e+300,"m":0.0000000000,"n":0.50000,"z":-999,"d":"9999-12-31"})"));
}

TEST(RowEncoder, NumbersThatJsonLacksAreStrings) {
  arrow::DoubleBuilder builder;
  const double inf = std::numeric_limits<double>::infinity();
  ASSERT_TRUE(builder.AppendValues({std::numeric_limits<double>::quiet_NaN(), inf, -inf, -0.0}).ok());
  const Schema schema({{"f", {Kind::kDouble}, false}});
  const auto batch = arrow::RecordBatch::Make(BatchSchema(schema, HiddenSet().Without(Hidden::kTime)), 4,
                                              {builder.Finish().ValueOrDie()});
  EXPECT_EQ(RowToJson(schema, *batch, 0), R"({"f":"NaN"})");
  EXPECT_EQ(RowToJson(schema, *batch, 1), R"({"f":"Infinity"})");
  EXPECT_EQ(RowToJson(schema, *batch, 2), R"({"f":"-Infinity"})");
  EXPECT_EQ(RowToJson(schema, *batch, 3), R"({"f":-0})");
}

TEST(RowEncoder, ASliceShowsItsOwnRows) {
  const SourcePlan plan = PlanOf({"b bool null", "s string null", "i int32", "m decimal(4,1)"});
  const Batch batch = Decode(plan, {{R"({"b":true,"s":"x","i":1,"m":1})"},
                                    {R"({"b":null,"s":null,"i":2,"m":2})"},
                                    {R"({"b":false,"s":"z","i":3,"m":3})"}});
  EXPECT_THAT(codec_test::Rows(plan.columns, batch->Slice(1)),
              ElementsAre(R"({"b":null,"s":null,"i":2,"m":2.0})", R"({"b":false,"s":"z","i":3,"m":3.0})"));
}

TEST(RowEncoder, TextKeysAndTheirPartitions) {
  const SourcePlan plan = PlanOf({"k string null", "v int64"});
  const RowEncoderOptions options{codec_test::SchemaFor(plan.columns), {0}, kTextFormat, false};
  // murmur2("abc") = 479470107 = 4 * 119867526 + 3; of "foobar" without its sign 1357151166 = 4 * 339287791 + 2.
  EXPECT_THAT(
      Encode(options, Decode(plan, {{R"({"k":"abc","v":1})"}, {R"({"k":"foobar","v":2})"}, {R"({"k":null,"v":3})"}})),
      ElementsAre(R"(abc -> {"k":"abc","v":1} @ 3)", R"(foobar -> {"k":"foobar","v":2} @ 2)",
                  R"(NULL -> {"k":null,"v":3} @ 3)"));
}

TEST(RowEncoder, JsonKeysKeepTheStatedOrder) {
  const SourcePlan plan = PlanOf({"a int64 null", "b string", "t timestamp_ms"});
  const Schema schema = codec_test::SchemaFor(plan.columns);
  const Batch batch = Decode(plan, {{R"({"a":null,"b":"x","t":5})"}});
  EXPECT_THAT(Encode({schema, {2, 0}, kJsonFormat, false}, batch, 1),
              ElementsAre(R"({"t":5,"a":null} -> {"a":null,"b":"x","t":5} @ 0)"));
  EXPECT_THAT(Encode({schema, {}, kTextFormat, false}, batch), ElementsAre(R"(NULL -> {"a":null,"b":"x","t":5} @ 3)"));
}

TEST(RowEncoder, AnUpsertSkipsBeforeRowsAndBuriesDeletedOnes) {
  const SourcePlan plan = PlanOf({"k int64", "v int64"});
  const Batch batch =
      WithOps(Decode(plan, {{R"({"k":1,"v":1})"}, {R"({"k":1,"v":1})"}, {R"({"k":1,"v":2})"}, {R"({"k":1,"v":2})"}}),
              {0, 1, 2, 3});
  EXPECT_THAT(Encode({codec_test::SchemaFor(plan.columns), {0}, kTextFormat, true}, batch, 1),
              ElementsAre(R"(1 -> {"k":1,"v":1} @ 0)", R"(1 -> {"k":1,"v":2} @ 0)", "1 -> NULL @ 0"));
}

TEST(RowEncoder, AnUpdateThatMovesARowToAnotherKeyBuriesTheOldOne) {
  const SourcePlan plan = PlanOf({"k int64", "v int64", "w int64"});
  const RowEncoderOptions options{codec_test::SchemaFor(plan.columns), {0, 1}, kJsonFormat, true};
  const Batch moved = WithOps(Decode(plan, {{R"({"k":1,"v":1,"w":1})"},
                                            {R"({"k":1,"v":2,"w":1})"},
                                            {R"({"k":2,"v":1,"w":1})"},
                                            {R"({"k":2,"v":1,"w":2})"}}),
                              {1, 2, 1, 2});
  EXPECT_THAT(Encode(options, moved, 1),
              ElementsAre(R"({"k":1,"v":1} -> NULL @ 0)", R"({"k":1,"v":2} -> {"k":1,"v":2,"w":1} @ 0)",
                          R"({"k":2,"v":1} -> {"k":2,"v":1,"w":2} @ 0)"));
  // Cut between two batches.
  EXPECT_THAT(Encode(options, moved->Slice(0, 1), 1), ElementsAre(R"({"k":1,"v":1} -> NULL @ 0)"));
  EXPECT_THAT(Encode(options, moved->Slice(1, 1), 1), ElementsAre(R"({"k":1,"v":2} -> {"k":1,"v":2,"w":1} @ 0)"));
}

TEST(RowEncoder, TheArenaMayBeUsedAgain) {
  const SourcePlan plan = PlanOf({"s string"});
  const auto encoder = RowEncoder::Make({.schema = codec_test::SchemaFor(plan.columns), .key = {0}}).value();
  EncodedRecords out;
  for (const size_t size : {3u, 100'000u, 1u}) {
    const std::string s(size, 'y');
    const Batch batch = Decode(plan, {{"{\"s\":\"" + s + "\"}"}, {"{\"s\":\"" + s + "\"}"}});
    ASSERT_TRUE(encoder->Encode(*batch, 1, 0, &out).ok());
    ASSERT_EQ(out.records.size(), 2u);
    for (const OutRecord& record : out.records) {
      EXPECT_EQ(*record.key, s);
      EXPECT_EQ(*record.value, "{\"s\":\"" + s + "\"}");
    }
  }
}

}  // namespace
}  // namespace tidemark
