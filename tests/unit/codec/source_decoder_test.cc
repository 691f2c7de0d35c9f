#include "src/codec/source_decoder.h"

#include <arrow/array.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/codec/debezium/change.h"
#include "tests/unit/codec/codec_fixture.h"

namespace tidemark {
namespace {

using codec_test::Col;
using codec_test::FakeFetch;
using codec_test::PlanOf;
using codec_test::Rec;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Decoded {
  std::vector<std::string> rows;
  std::vector<std::string> reasons;
  std::vector<size_t> bad;
  Batch batch;
  SourceTime time;
};

Decoded DecodeAll(const SourcePlan& plan, std::vector<Rec> records, int32_t partition = 0) {
  const auto decoder = SourceDecoder::Make(plan).value();
  Decoded decoded;
  const FakeFetch fetch(std::move(records), partition);
  const absl::StatusOr<DecodedRows> read = decoder->Decode(fetch, 0, 4, &decoded.time);
  EXPECT_TRUE(read.ok()) << read.status();
  if (!read.ok()) return decoded;
  EXPECT_TRUE(read->rows->ValidateFull().ok()) << read->rows->ValidateFull();
  EXPECT_EQ(read->next, fetch.records().size());
  decoded.batch = read->rows;
  decoded.rows = codec_test::Rows(plan.columns, read->rows);
  for (const DecodeError& error : read->errors) {
    decoded.reasons.push_back(error.reason);
    decoded.bad.push_back(error.record);
  }
  return decoded;
}

// The reason why `value` isn't a row.
std::string Refusal(const SourcePlan& plan, std::string value) {
  Decoded decoded = DecodeAll(plan, {{std::move(value)}});
  return decoded.reasons.empty() ? "accepted: " + decoded.rows[0] : decoded.reasons[0];
}

std::string Accepted(const SourcePlan& plan, std::string value) {
  Decoded decoded = DecodeAll(plan, {{std::move(value)}});
  return decoded.rows.empty() ? "refused: " + decoded.reasons[0] : decoded.rows[0];
}

TEST(SourceDecoder, ReadsEveryType) {
  const SourcePlan plan =
      PlanOf({"b bool", "i int32", "l int64", "f double", "s string", "y bytes", "d date", "m decimal(10,2)",
              "t timestamp", "ts timestamp_s", "tm timestamp_ms", "tu timestamp_us"});
  const std::string text =
      R"({"b":true,"i":-2147483648,"l":9007199254740993,"f":0.1,"s":"a\u00e9\n\"x","y":"AAEC","d":"2026-07-01",)"
      R"("m":12.30,"t":"2026-07-01T12:00:00.25+02:00","ts":1767225600,"tm":1767225600123,"tu":-1})";
  const Decoded decoded = DecodeAll(plan, {{text}});
  ASSERT_THAT(decoded.reasons, IsEmpty());
  EXPECT_THAT(decoded.rows,
              ElementsAre("{\"b\":true,\"i\":-2147483648,\"l\":9007199254740993,\"f\":0.1,\"s\":\"a\u00e9\\n\\\"x\","
                          "\"y\":\"AAEC\",\"d\":\"2026-07-01\",\"m\":12.30,\"t\":\"2026-07-01T10:00:00.250Z\","
                          "\"ts\":1767225600,\"tm\":1767225600123,\"tu\":-1}"));
  const auto& bytes = static_cast<const arrow::BinaryArray&>(*decoded.batch->column(5));
  EXPECT_EQ(bytes.GetView(0), std::string_view("\0\1\2", 3));
  const auto& time = static_cast<const arrow::TimestampArray&>(*decoded.batch->column(10));
  EXPECT_EQ(time.Value(0), 1'767'225'600'123'000);
}

TEST(SourceDecoder, AJsonColumnTakesAnyValueAsItIsWritten) {
  const SourcePlan plan = PlanOf({"j json null"});
  for (const char* value : {R"({"a": [1, 2.50, {"b" : null}], "a":1})", "[ ]", "-0.10e+3", "true",
                            "12345678901234567890123", R"("plain")", R"({"u":"\u20ac\n"})"}) {
    EXPECT_EQ(Accepted(plan, absl::StrCat(R"({"j":)", value, "}")), absl::StrCat(R"({"j":)", value, "}"));
  }
  // A text alone is written anew, with the escapes that it needs.
  EXPECT_EQ(Accepted(plan, R"({"j":"\u20ac\u000a\/"})"), "{\"j\":\"\u20ac\\n/\"}");
  EXPECT_EQ(Accepted(plan, R"({"j":null})"), R"({"j":null})");
  EXPECT_EQ(DecodeAll(plan, {{R"({"j":null})"}}).batch->column(0)->null_count(), 1);
  EXPECT_EQ(Refusal(plan, R"({"j":{"a":}})"), "malformed JSON at byte 10: not a JSON value");
}

TEST(SourceDecoder, AJsonColumnAndColumnsOfItsFieldsReadTheSame) {
  SourceColumn inner = Col("x int64 null");
  inner.path = {"j", "x"};
  EXPECT_EQ(Accepted(PlanOf({Col("j json"), inner}), R"({"j":{"x":7,"y":[]}})"), R"({"j":{"x":7,"y":[]},"x":7})");
}

TEST(SourceDecoder, HeadersAndDefaultsOfTypeJsonAreJson) {
  SourceColumn header = Col("h json");
  header.from = SourceColumn::From::kHeader;
  header.header = "meta";
  header.default_value = R"({"none":true})";
  EXPECT_THAT(DecodeAll(PlanOf({header}), {{"{}", std::nullopt, 0, {{"meta", R"([1,"a"])"}}}, {"{}"}}).rows,
              ElementsAre(R"({"h":[1,"a"]})", R"({"h":{"none":true}})"));
  EXPECT_THAT(DecodeAll(PlanOf({header}), {{"{}", std::nullopt, 0, {{"meta", "nope"}}}}).reasons,
              ElementsAre("header meta: column h: \"nope\" is not a json"));
}

TEST(SourceDecoder, IntegersOfEveryLengthAreReadExactly) {
  const SourcePlan plan = PlanOf({"x int64"});
  for (const char* x : {"0", "7", "-7", "12345678", "123456789", "999999999999999999", "-999999999999999999",
                        "1000000000000000000", "9223372036854775807", "-9223372036854775808"}) {
    const std::string text = absl::StrCat(R"({"x":)", x, "}");
    EXPECT_EQ(Accepted(plan, text), text);
  }
  EXPECT_EQ(Accepted(plan, R"({"x":-0})"), R"({"x":0})");
  EXPECT_EQ(Accepted(plan, R"({ "x" : 12345678 , "y" : 5 })"), R"({"x":12345678})");
  EXPECT_EQ(Accepted(PlanOf({"m decimal(20,2)", "f double"}), R"({"m":123456789012345678,"f":123456789012345678})"),
            R"({"m":123456789012345678.00,"f":123456789012345680})");
}

TEST(SourceDecoder, SaysWhatItExpectedAndFound) {
  const SourcePlan plan = PlanOf({"x int64"});
  EXPECT_EQ(Refusal(plan, R"({"x":"5"})"), "column x: expected int64, found string");
  EXPECT_EQ(Refusal(plan, R"({"x":1.0})"), "column x: expected int64, found 1.0");
  EXPECT_EQ(Refusal(plan, R"({"x":true})"), "column x: expected int64, found bool");
  EXPECT_EQ(Refusal(plan, R"({"x":[1]})"), "column x: expected int64, found array");
  EXPECT_EQ(Refusal(plan, R"({"x":{"y":1}})"), "column x: expected int64, found object");
  EXPECT_EQ(Refusal(plan, R"({"x":9223372036854775808})"), "column x: 9223372036854775808 is out of range for int64");
  EXPECT_EQ(Refusal(plan, R"({"x":null})"), "missing required column x");
  EXPECT_EQ(Refusal(plan, R"({"y":1})"), "missing required column x");
  EXPECT_EQ(Refusal(plan, R"({})"), "missing required column x");
  EXPECT_EQ(Refusal(PlanOf({"i int32"}), R"({"i":2147483648})"), "column i: 2147483648 is out of range for int32");
  EXPECT_EQ(Refusal(PlanOf({"b bool"}), R"({"b":1})"), "column b: expected bool, found 1");
  EXPECT_EQ(Refusal(PlanOf({"s string"}), R"({"s":1})"), "column s: expected string, found 1");
  EXPECT_EQ(Refusal(PlanOf({"f double"}), R"({"f":1e999})"), "column f: 1e999 is out of range for double");
  EXPECT_EQ(Refusal(PlanOf({"y bytes"}), R"({"y":"@"})"), "column y: \"@\" is not a bytes (base64)");
  EXPECT_EQ(Refusal(PlanOf({"d date"}), R"({"d":"2026-02-29"})"),
            "column d: \"2026-02-29\" is not a date (YYYY-MM-DD)");
  EXPECT_EQ(Refusal(PlanOf({"t timestamp"}), R"({"t":5})"), "column t: expected timestamp, found 5");
  EXPECT_EQ(Refusal(PlanOf({"t timestamp_ms"}), R"({"t":"5"})"), "column t: expected timestamp_ms, found string");
  EXPECT_EQ(Refusal(PlanOf({"t timestamp_s"}), R"({"t":9223372036855})"),
            "column t: 9223372036855 is out of range for timestamp_s");
  EXPECT_EQ(Refusal(PlanOf({"m decimal(4,2)"}), R"({"m":123.4})"), "column m: 123.4 is out of range for decimal(4,2)");
  EXPECT_THAT(Refusal(PlanOf({"m decimal(4,2)"}), R"({"m":"1.234"})"), HasSubstr("more than 2 fractional digits"));
}

TEST(SourceDecoder, SaysWhereTheJsonIsMalformed) {
  const SourcePlan plan = PlanOf({"x int64"});
  EXPECT_EQ(Refusal(plan, ""), "value is empty");
  EXPECT_EQ(Refusal(plan, " \n\t"), "value is empty");
  EXPECT_EQ(Refusal(plan, "[1]"), "expected a JSON object, found array");
  EXPECT_EQ(Refusal(plan, "5"), "expected a JSON object, found number");
  EXPECT_EQ(Refusal(plan, "null"), "expected a JSON object, found null");
  EXPECT_EQ(Refusal(plan, "hello"), "malformed JSON at byte 0: expected an object");
  EXPECT_EQ(Refusal(plan, R"({"x":1)"), "malformed JSON at byte 6: the object isn't closed");
  EXPECT_EQ(Refusal(plan, R"({"x":1} x)"), "malformed JSON at byte 8: content after the object");
  EXPECT_EQ(Refusal(plan, R"({"x":1}{"x":2})"), "malformed JSON at byte 7: content after the object");
  EXPECT_EQ(Refusal(plan, R"({"x":1}})"), "malformed JSON at byte 7: content after the object");
  EXPECT_EQ(Refusal(plan, R"({"x":12abc})"), "malformed JSON at byte 7: expected a comma or the end of the object");
  EXPECT_EQ(Refusal(plan, R"({"x":nul})"), "malformed JSON at byte 5: not a JSON value");
  EXPECT_EQ(Refusal(plan, R"({"x":1,"other":nope})"), "malformed JSON at byte 15: not a JSON value");
  EXPECT_THAT(Refusal(plan, R"({"x":})"), HasSubstr("malformed JSON at byte 5"));
  EXPECT_THAT(Refusal(plan, R"({"x" 1})"), HasSubstr("malformed JSON"));
  EXPECT_THAT(Refusal(plan, R"({"x":1,})"), HasSubstr("malformed JSON"));
  EXPECT_THAT(Refusal(plan, R"({"x":1 "y":2})"), HasSubstr("malformed JSON"));
  EXPECT_THAT(Refusal(plan, R"({x:1})"), HasSubstr("malformed JSON"));
  EXPECT_THAT(Refusal(plan, R"({"x":1,"y":"abc)"), HasSubstr("a string isn't closed"));
  EXPECT_THAT(Refusal(plan, "{\"x\":1,\"y\":\"a\nb\"}"), HasSubstr("control character"));
  EXPECT_EQ(Refusal(plan, "{\"x\":1,\"y\":\"\xff\"}"), "invalid UTF-8");
  EXPECT_EQ(Refusal(plan, "{\"x\":1,\"y\":\"\xed\xa0\x80\"}"), "invalid UTF-8");  // an encoded surrogate
  EXPECT_THAT(Refusal(PlanOf({"s string"}), R"({"s":"\ud800"})"),
              HasSubstr("malformed JSON at byte 6: an invalid escape"));
  EXPECT_EQ(Accepted(PlanOf({"s string"}), R"({"s":"\ud83d\ude00"})"), "{\"s\":\"\U0001F600\"}");
  EXPECT_EQ(Accepted(plan, " \n{ \"x\" : 1 , \"y\" : [ { } ] } \r\n"), R"({"x":1})");
}

TEST(SourceDecoder, ANullValueIsATombstoneUnlessNoColumnNeedsIt) {
  EXPECT_THAT(DecodeAll(PlanOf({"x int64"}), {{std::nullopt}}).reasons, ElementsAre("value is null (tombstone)"));
  SourceColumn offset = Col("o int64");
  offset.from = SourceColumn::From::kOffset;
  EXPECT_THAT(DecodeAll(PlanOf({offset}), {{std::nullopt}}).rows, ElementsAre(R"({"o":100})"));
}

// Rows that replace each other by the record key: id, v, and what the record does.
SourcePlan KeyedPlan() {
  SourcePlan plan = PlanOf({Col("id int64"), Col("v string"), Col("at timestamp_ms")});
  plan.columns[0].from = SourceColumn::From::kKey;
  plan.columns.push_back(
      {.column = {kChangeColumn, {.kind = Kind::kBytes}, false}, .from = SourceColumn::From::kBeside});
  plan.key_format = kTextFormat;
  plan.key = {0};
  plan.event_time.column = 2;
  plan.hidden = plan.hidden.With(Hidden::kWatermark);
  return plan;
}

TEST(SourceDecoder, ANullValueDeletesTheRowOfItsKeyAsLateAsTimeHasCome) {
  const SourcePlan plan = KeyedPlan();
  const int64_t ms = 1'767'225'600'000;
  const auto row = [&](int64_t at) { return absl::StrCat(R"({"v":"x","at":)", at, "}"); };
  Decoded decoded =
      DecodeAll(plan, {{std::nullopt, "6"}, {row(ms - 5000), "7"}, {row(ms - 9000), "7"}, {std::nullopt, "7"}});
  ASSERT_THAT(decoded.reasons, IsEmpty());
  const int64_t* times = HiddenInt64(*decoded.batch, Hidden::kTime);
  EXPECT_EQ(times[0], ms * 1000) << "of no time before it: that of the record";
  EXPECT_EQ(times[3], (ms - 5000) * 1000);
  EXPECT_EQ(decoded.time.max_time, EventTime{(ms - 5000) * 1000}) << "it moves none";
  std::vector<bool> deletes;
  for (int64_t i = 0; i < 4; ++i) {
    std::string_view bytes = static_cast<const arrow::BinaryArray&>(*decoded.batch->column(3)).GetView(i);
    Change change;
    ASSERT_TRUE(TakeChange(&bytes, &change));
    deletes.push_back(change.deletes);
  }
  EXPECT_THAT(deletes, ElementsAre(true, false, false, true));
}

TEST(SourceDecoder, WithoutAKeyNothingReplacesOrDeletes) {
  const Decoded decoded = DecodeAll(KeyedPlan(), {{R"({"v":"x","at":1})"}, {std::nullopt}, {std::nullopt, "x"}});
  ASSERT_EQ(decoded.reasons.size(), 3u);
  EXPECT_THAT(decoded.reasons[0], HasSubstr("record key is null"));
  EXPECT_THAT(decoded.reasons[1], HasSubstr("record key is null"));
  EXPECT_THAT(decoded.reasons[2], HasSubstr("record key: "));
}

TEST(SourceDecoder, OfSeveralFieldsWithOneNameTheLastStands) {
  const SourcePlan plan = PlanOf({"x int64 null", "s string null"});
  EXPECT_EQ(Accepted(plan, R"({"s":"long one","x":1,"s":"b","x":2})"), R"({"x":2,"s":"b"})");
  EXPECT_EQ(Accepted(plan, R"({"x":1,"x":null})"), R"({"x":null,"s":null})");
}

TEST(SourceDecoder, FieldsMayComeInAnyOrderAndWithEscapedNames) {
  const SourcePlan plan = PlanOf({"a int64", "b string null", "c int64"});
  const Decoded decoded = DecodeAll(plan, {{R"({"a":1,"b":"x","c":3})"},
                                           {R"({"c":6,"b":"y","a":4})"},
                                           {R"({"a":7,"c":9})"},
                                           {R"({"zz":0,"\u0061":10,"q":[1,{"a":5}],"c":12,"b":null})"},
                                           {R"({"a":13,"b":"z","c":15})"}});
  EXPECT_THAT(decoded.rows,
              ElementsAre(R"({"a":1,"b":"x","c":3})", R"({"a":4,"b":"y","c":6})", R"({"a":7,"b":null,"c":9})",
                          R"({"a":10,"b":null,"c":12})", R"({"a":13,"b":"z","c":15})"));
}

TEST(SourceDecoder, ANameThatBeginsLikeAnotherIsAnother) {
  const SourcePlan plan = PlanOf({"ab int64", "a int64", "abc int64"});
  EXPECT_EQ(Accepted(plan, R"({"abc":3,"ab":2,"a":1})"), R"({"ab":2,"a":1,"abc":3})");
}

TEST(SourceDecoder, ThousandsOfUnknownNamesDoNoHarm) {
  const SourcePlan plan = PlanOf({"x int64"});
  std::string text = "{";
  for (int i = 0; i < 5000; ++i) text += "\"field_" + std::to_string(i) + "\":" + std::to_string(i) + ",";
  EXPECT_EQ(Accepted(plan, text + "\"" + std::string(5000, 'n') + "\":1,\"x\":7}"), R"({"x":7})");
}

TEST(SourceDecoder, PathsLeadIntoObjects) {
  SourceColumn item = Col("item string");
  item.path = {"payload", "item"};
  SourceColumn deep = Col("deep int64 null");
  deep.path = {"payload", "a", "b"};
  SourceColumn whole = Col("top int64");
  const SourcePlan plan = PlanOf({item, deep, whole});
  EXPECT_EQ(Accepted(plan, R"({"payload":{"a":{"x":0,"b":5},"item":"i"},"top":1})"),
            R"({"item":"i","deep":5,"top":1})");
  EXPECT_EQ(Accepted(plan, R"({"top":1,"payload":{"item":"i","a":null}})"), R"({"item":"i","deep":null,"top":1})");
  EXPECT_EQ(Refusal(plan, R"({"top":1,"item":"i"})"), "missing required column item");
  EXPECT_EQ(Refusal(plan, R"({"top":1,"payload":null})"), "missing required column item");
  EXPECT_EQ(Refusal(plan, R"({"top":1,"payload":[]})"), "column item: expected an object on its path, found array");
}

TEST(SourceDecoder, TwoColumnsMayReadOneField) {
  SourceColumn number = Col("exact decimal(20,3)");
  number.path = {"x"};
  SourceColumn text = Col("t string");
  text.path = {"s"};
  SourceColumn same = Col("u string");
  same.path = {"s"};
  EXPECT_EQ(Accepted(PlanOf({Col("x double"), number, text, same}), R"({"x":1.25,"s":"a\tb"})"),
            R"({"x":1.25,"exact":1.250,"t":"a\tb","u":"a\tb"})");
}

TEST(SourceDecoder, DefaultsStandForMissingAndNull) {
  SourceColumn s = Col("s string");
  s.default_value = "none";
  SourceColumn t = Col("t timestamp_ms null");
  t.default_value = "5";
  const SourcePlan plan = PlanOf({s, t});
  EXPECT_EQ(Accepted(plan, R"({})"), R"({"s":"none","t":5})");
  EXPECT_EQ(Accepted(plan, R"({"s":null,"t":null})"), R"({"s":"none","t":5})");
  EXPECT_EQ(Accepted(plan, R"({"s":"","t":6})"), R"({"s":"","t":6})");
  EXPECT_EQ(Refusal(plan, R"({"s":1})"), "column s: expected string, found 1");
}

TEST(SourceDecoder, OnErrorNullForgivesTheValueButNotTheDocument) {
  SourceColumn x = Col("x int64 null");
  x.on_error = SourceColumn::OnError::kNull;
  const SourcePlan plan = PlanOf({x});
  EXPECT_EQ(Accepted(plan, R"({"x":"abc"})"), R"({"x":null})");
  EXPECT_EQ(Accepted(plan, R"({"x":{"a":1}})"), R"({"x":null})");
  EXPECT_THAT(Refusal(plan, R"({"x":"abc")"), HasSubstr("malformed"));
}

TEST(SourceDecoder, BadRecordsLeaveNoTraceInTheBatch) {
  const SourcePlan plan = PlanOf({"s string null", "x int64"});
  const Decoded decoded = DecodeAll(plan, {{R"({"s":"first","x":1})"},
                                           {R"({"s":"a very long text that is thrown away","x":"no"})"},
                                           {R"({"x":3})"},
                                           {"garbage"},
                                           {R"({"s":"last","x":5})"}});
  EXPECT_THAT(decoded.rows, ElementsAre(R"({"s":"first","x":1})", R"({"s":null,"x":3})", R"({"s":"last","x":5})"));
  EXPECT_THAT(decoded.bad, ElementsAre(1, 3));
}

TEST(SourceDecoder, KeysHeadersAndPositionsBecomeColumns) {
  SourceColumn key = Col("k int64");
  key.from = SourceColumn::From::kKey;
  SourceColumn header = Col("h string null");
  header.from = SourceColumn::From::kHeader;
  header.header = "trace";
  SourceColumn partition = Col("p int32");
  partition.from = SourceColumn::From::kPartition;
  SourceColumn offset = Col("o int64");
  offset.from = SourceColumn::From::kOffset;
  SourceColumn time = Col("t timestamp");
  time.from = SourceColumn::From::kTimestamp;
  SourcePlan plan = PlanOf({key, header, partition, offset, time});
  plan.key_format = kTextFormat;
  const Decoded decoded = DecodeAll(plan,
                                    {{std::nullopt, "17", 1500, {{"trace", "old"}, {"x", "y"}, {"trace", "new"}}},
                                     {"ignored", "18", 1500, {}},
                                     {std::nullopt, std::nullopt},
                                     {std::nullopt, "1x"},
                                     {std::nullopt, "\xff"},
                                     {std::nullopt, "19", -1}},
                                    3);
  EXPECT_THAT(decoded.rows, ElementsAre(R"({"k":17,"h":"new","p":3,"o":100,"t":"1970-01-01T00:00:01.500Z"})",
                                        R"({"k":18,"h":null,"p":3,"o":101,"t":"1970-01-01T00:00:01.500Z"})"));
  EXPECT_THAT(decoded.reasons,
              ElementsAre("missing required column k", "record key: column k: expected int64, found string",
                          "record key: column k: invalid UTF-8", "missing required column t"));
}

TEST(SourceDecoder, KeysInJsonAndBytesForm) {
  SourceColumn a = Col("a int64"), b = Col("b string");
  a.from = b.from = SourceColumn::From::kKey;
  SourcePlan json = PlanOf({a, b});
  json.key_format = kJsonFormat;
  EXPECT_THAT(DecodeAll(json, {{std::nullopt, R"({"b":"x","a":1})"}, {std::nullopt, "{"}}).rows,
              ElementsAre(R"({"a":1,"b":"x"})"));
  SourceColumn raw = Col("k bytes");
  raw.from = SourceColumn::From::kKey;
  SourcePlan bytes = PlanOf({raw});
  bytes.key_format = kBytesFormat;
  EXPECT_THAT(DecodeAll(bytes, {{std::nullopt, std::string("\xff\x00", 2)}}).rows, ElementsAre(R"({"k":"/wA="})"));
}

SourcePlan TimedPlan() {
  SourcePlan plan = PlanOf({"id int64", "at timestamp_s"});
  plan.event_time.column = 1;
  plan.event_time.max_out_of_orderness_us = 5 * kSecond;
  plan.event_time.max_ahead_us = 60 * kSecond;
  plan.order = 7;
  plan.hidden =
      HiddenSet().With(Hidden::kWatermark).With(Hidden::kSource).With(Hidden::kPartition).With(Hidden::kOffset);
  return plan;
}

// Offsets 100.. , records written at 1000 s.
std::vector<Rec> TimedRecords() {
  std::vector<Rec> records;
  for (const char* at : {"990", "1000", "980", "1061", "1060", "\"x\"", "1001"}) {
    records.push_back({"{\"id\":" + std::to_string(records.size()) + ",\"at\":" + at + "}", std::nullopt, 1'000'000});
  }
  return records;
}

TEST(SourceDecoder, TheWatermarkRunsRowByRow) {
  const Decoded decoded = DecodeAll(TimedPlan(), TimedRecords(), 2);
  ASSERT_EQ(decoded.rows.size(), 5u);
  EXPECT_THAT(decoded.bad, ElementsAre(3, 5));
  EXPECT_EQ(decoded.reasons[0],
            "column at: event time 1970-01-01T00:17:41Z is 61 s ahead of the record's timestamp "
            "1970-01-01T00:16:40Z, more than max_ahead (60 s)");
  const int64_t* times = HiddenInt64(*decoded.batch, Hidden::kTime);
  const int64_t* watermarks = HiddenInt64(*decoded.batch, Hidden::kWatermark);
  const int64_t* offsets = HiddenInt64(*decoded.batch, Hidden::kOffset);
  EXPECT_THAT(std::vector<int64_t>(times, times + 5),
              ElementsAre(990 * kSecond, 1000 * kSecond, 980 * kSecond, 1060 * kSecond, 1001 * kSecond));
  EXPECT_THAT(std::vector<int64_t>(watermarks, watermarks + 5),
              ElementsAre(985 * kSecond, 995 * kSecond, 995 * kSecond, 1055 * kSecond, 1055 * kSecond));
  EXPECT_THAT(std::vector<int64_t>(offsets, offsets + 5), ElementsAre(100, 101, 102, 104, 106));
  EXPECT_EQ(HiddenInt32(*decoded.batch, Hidden::kSource)[4], 7);
  EXPECT_EQ(HiddenInt32(*decoded.batch, Hidden::kPartition)[4], 2);
  EXPECT_EQ(decoded.time.max_time, (EventTime{1060 * kSecond}));
  EXPECT_TRUE(
      decoded.batch->schema()->Equals(*BatchSchema(codec_test::SchemaFor(TimedPlan().columns), TimedPlan().hidden)));
}

TEST(SourceDecoder, TheFloorHoldsTheWatermarkUp) {
  const auto decoder = SourceDecoder::Make(TimedPlan()).value();
  SourceTime time;
  time.floor = EventTime{2000 * kSecond};
  const FakeFetch fetch(TimedRecords());
  const Batch batch = decoder->Decode(fetch, 0, 4, &time).value().rows;
  EXPECT_EQ(HiddenInt64(*batch, Hidden::kWatermark)[0], 2000 * kSecond);
}

TEST(SourceDecoder, OneFetchOrManyMakeEqualRowsAndTime) {
  const Decoded whole = DecodeAll(TimedPlan(), TimedRecords());
  const auto decoder = SourceDecoder::Make(TimedPlan()).value();
  SourceTime time;
  std::vector<Batch> pieces;
  Offset offset = 100;
  for (const Rec& record : TimedRecords()) {
    const FakeFetch fetch({record}, 0, offset++);
    const DecodedRows piece = decoder->Decode(fetch, 0, 4, &time).value();
    EXPECT_EQ(piece.rows->num_rows() + static_cast<int64_t>(piece.errors.size()), 1);
    pieces.push_back(piece.rows);
  }
  EXPECT_EQ(time.max_time, whole.time.max_time);
  int64_t row = 0;
  for (const Batch& piece : pieces) {
    EXPECT_TRUE(piece->Equals(*whole.batch->Slice(row, piece->num_rows())));
    row += piece->num_rows();
  }
  EXPECT_EQ(row, whole.batch->num_rows());
}

TEST(SourceDecoder, EventTimeIsTheRecordsWhereNoColumnSaysIt) {
  const Decoded decoded =
      DecodeAll(PlanOf({"x int64"}), {{R"({"x":1})", std::nullopt, 12}, {R"({"x":2})", std::nullopt, -1}});
  EXPECT_THAT(decoded.rows, ElementsAre(R"({"x":1})"));
  EXPECT_EQ(HiddenInt64(*decoded.batch, Hidden::kTime)[0], 12'000);
  EXPECT_THAT(decoded.reasons, ElementsAre(HasSubstr("no timestamp")));
}

TEST(SourceDecoder, AnEventTimeThatIsNullOrInfiniteIsAnError) {
  SourcePlan plan = PlanOf({"t timestamp_us null"});
  plan.event_time.column = 0;
  EXPECT_THAT(Refusal(plan, R"({"t":null})"), HasSubstr("event time is null"));
  EXPECT_THAT(Refusal(plan, R"({"t":-9223372036854775808})"), HasSubstr("out of range"));
  EXPECT_THAT(Refusal(plan, R"({"t":9223372036854775807})"), HasSubstr("out of range"));
  EXPECT_EQ(Accepted(plan, R"({"t":-9223372036854775807})"), R"({"t":-9223372036854775807})");
}

TEST(SourceDecoder, AKeyInTheWrongPartitionStopsTheRun) {
  SourceColumn id = Col("id string");
  id.from = SourceColumn::From::kKey;
  SourcePlan plan = PlanOf({id});
  plan.key_format = kTextFormat;
  plan.partitioned_by = {0};
  plan.verify_partitioning = true;
  // murmur2("21") = -973932308; without its sign 1173551340, which is divisible by 4.
  EXPECT_THAT(DecodeAll(plan, {{std::nullopt, "21"}}, 0).rows, ElementsAre(R"({"id":"21"})"));
  SourceTime time;
  const FakeFetch wrong({{std::nullopt, "21"}}, 3);
  const absl::StatusOr<DecodedRows> batch = SourceDecoder::Make(plan).value()->Decode(wrong, 0, 4, &time);
  ASSERT_EQ(batch.status().code(), absl::StatusCode::kFailedPrecondition);
  const std::string message(batch.status().message());
  for (const char* part : {"detections-3 offset 100", "key \"21\"", "stands in partition 3", "into partition 0 of 4",
                           "[id]", "remove partitioned_by", "default partitioner"}) {
    EXPECT_THAT(message, HasSubstr(part));
  }
  EXPECT_THAT(DecodeAll(plan, {{std::nullopt, std::nullopt}}, 0).reasons.size(), 1u);
}

TEST(SourceDecoder, AnEmptyFetchIsAnEmptyBatch) {
  EXPECT_EQ(DecodeAll(TimedPlan(), {}).batch->num_rows(), 0);
  EXPECT_EQ(DecodeAll(PlanOf({"s string null", "b bool null"}), {{"x"}}).batch->num_rows(), 0);
}

TEST(SourceDecoder, LargeAndDeepValuesAreHarmless) {
  const SourcePlan plan = PlanOf({"s string"});
  const std::string big(10 << 20, 'x');
  const Decoded decoded = DecodeAll(plan, {{"{\"s\":\"" + big + "\"}"}, {R"({"s":"small"})"}});
  ASSERT_EQ(decoded.rows.size(), 2u);
  EXPECT_EQ(static_cast<const arrow::StringArray&>(*decoded.batch->column(0)).GetView(0), big);
  const int depth = 100'000;
  const std::string deep = std::string(depth, '[') + std::string(depth, ']');
  EXPECT_EQ(Refusal(plan, "{\"deep\":" + deep + ",\"s\":\"a\"}"), "malformed JSON at byte 519: nesting too deep");
  EXPECT_THAT(Refusal(plan, "{\"s\":" + deep + "}"), HasSubstr("nesting too deep"));
  EXPECT_THAT(Refusal(plan, std::string(depth, '[')), HasSubstr("found array"));
  std::string objects = "{\"s\":\"a\"";
  for (int i = 0; i < depth; ++i) objects += ",\"s\":{\"s\":1";
  EXPECT_THAT(Refusal(plan, objects), HasSubstr("nesting too deep"));
  const std::string level511 = std::string(511, '[') + std::string(511, ']');
  EXPECT_EQ(Accepted(plan, "{\"deep\":" + level511 + ",\"s\":\"a\"}"), R"({"s":"a"})");
}

TEST(SourceDecoder, WhatNoColumnReadsIsCheckedToo) {
  const SourcePlan plan = PlanOf({"x int64"});
  for (const char* bad :
       {"[1,,2]", "{\"a\" 1}", "[1}", "{\"a\":1]", "[\"\\q\"]", "[01]", "{1:2}", "[tru]", "[\"\\ud800\"]", "[1,]"}) {
    EXPECT_THAT(Refusal(plan, "{\"x\":1,\"other\":" + std::string(bad) + "}"), HasSubstr("malformed JSON at byte"))
        << bad;
  }
}

}  // namespace
}  // namespace tidemark
