// Avro on its way in and out: schemas by number, plans for each, what isn't here yet, and that what is written is read.
#include <map>

#include <absl/strings/str_cat.h>
#include <arrow/api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/codec/avro/columns.h"
#include "src/codec/avro/format.h"
#include "src/codec/murmur2.h"
#include "src/codec/row_encoder.h"
#include "src/codec/schema_id.h"
#include "src/codec/source_decoder.h"
#include "tests/unit/codec/codec_fixture.h"

namespace tidemark {
namespace {

using codec_test::FakeFetch;
using codec_test::Rec;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kFirst[] =
    R"({"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"s","type":"string"}]})";
// The other way round, one more, and one that was renamed.
constexpr char kSecond[] = R"({"type":"record","name":"R","fields":[
  {"name":"more","type":{"type":"map","values":"long"}},{"name":"text","type":["string","null"],"aliases":["s"]},{"name":"a","type":"long"}]})";

// A registry that has what it is told.
class FakeLookup final : public SchemaLookup {
 public:
  Answer Find(int32_t id) override {
    ++asked;
    if (const auto found = schemas.find(id); found != schemas.end()) {
      return {std::make_shared<const WrittenSchema>(found->second), false, ""};
    }
    return {nullptr, away, away ? "the schema" : "unknown"};
  }
  Answer Registered(const std::string& subject, const WrittenSchema&, int32_t* id) override {
    *id = 258;
    return {nullptr, false, subject == "out-value" ? "" : "not registered"};
  }

  std::map<int32_t, WrittenSchema> schemas = {{1, {"AVRO", kFirst, {}}}, {2, {"AVRO", kSecond, {}}}};
  bool away = false;
  int asked = 0;
};

class AvroTest : public ::testing::Test {
 protected:
  AvroTest() : avro_(MakeAvroFormat(&lookup_)) {
    formats_.Set(avro_.get());
    plan_ = codec_test::PlanOf({"a int64", "s string null"});
    plan_.format = FormatSpec("avro");
  }

  DecodedRows Decode(SourceDecoder* decoder, const std::vector<Rec>& records, size_t first = 0) {
    auto decoded = decoder->Decode(FakeFetch(records), first, 1, &time_);
    EXPECT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_TRUE(decoded->rows->ValidateFull().ok());
    return *std::move(decoded);
  }
  std::unique_ptr<SourceDecoder> Decoder() { return SourceDecoder::Make(plan_, formats_).value(); }

  static std::string Framed(int32_t id, const std::string& body) { return SchemaIdPrefix(id) + body; }
  static std::string First(int a, const std::string& s) {
    return std::string(1, static_cast<char>(a * 2)) + static_cast<char>(s.size() * 2) + s;
  }

  FakeLookup lookup_;
  std::unique_ptr<const Format> avro_;
  Formats formats_;
  SourcePlan plan_;
  SourceTime time_;
};

const std::string kNull("\0", 1);

TEST_F(AvroTest, EachRecordIsReadWithTheSchemaThatItNames) {
  const auto decoder = Decoder();
  // An empty map; the branches of the second schema's union stand the other way round.
  const DecodedRows rows = Decode(decoder.get(), {{Framed(1, First(1, "x"))},
                                                  {Framed(2, kNull + kNull + "\x02y" + "\x04")},
                                                  {Framed(1, First(3, "z"))},
                                                  {Framed(2, kNull + "\x02" + "\x08")}});
  EXPECT_THAT(rows.errors, IsEmpty());
  EXPECT_THAT(codec_test::Rows(plan_.columns, rows.rows),
              ElementsAre(R"({"a":1,"s":"x"})", R"({"a":2,"s":"y"})", R"({"a":3,"s":"z"})", R"({"a":4,"s":null})"));
  EXPECT_EQ(lookup_.asked, 2);
}

TEST_F(AvroTest, ARecordWaitsForItsSchemaAndThoseBehindItForTheRecord) {
  const auto decoder = Decoder();
  const std::vector<Rec> records = {{Framed(1, First(1, "x"))}, {Framed(7, First(2, "y"))}, {Framed(1, First(3, "z"))}};
  lookup_.away = true;
  const DecodedRows before = Decode(decoder.get(), records);
  EXPECT_EQ(before.next, 1u);
  EXPECT_EQ(before.waits_for, "the schema");
  EXPECT_THAT(codec_test::Rows(plan_.columns, before.rows), ElementsAre(R"({"a":1,"s":"x"})"));
  lookup_.schemas[7] = {"AVRO", kFirst, {}};
  const DecodedRows after = Decode(decoder.get(), records, before.next);
  EXPECT_THAT(codec_test::Rows(plan_.columns, after.rows), ElementsAre(R"({"a":2,"s":"y"})", R"({"a":3,"s":"z"})"));
}

TEST_F(AvroTest, WhatNamesNoSchemaThatCanBeReadIsABadRecord) {
  const auto decoder = Decoder();
  lookup_.schemas[8] = {"PROTOBUF", "message M {}", {}};
  lookup_.schemas[9] = {"AVRO", R"({"type":"record","name":"R","fields":[{"name":"r","type":["null","R"]}]})", {}};
  const DecodedRows rows = Decode(
      decoder.get(), {{"{}"}, {std::string("\0\0\0", 3)}, {Framed(5, "")}, {Framed(8, "")}, {Framed(9, kNull)}, {""}});
  ASSERT_EQ(rows.errors.size(), 6u);
  EXPECT_THAT(rows.errors[0].reason, HasSubstr("doesn't begin with the number of a schema"));
  EXPECT_THAT(rows.errors[1].reason, HasSubstr("doesn't begin with the number of a schema"));
  EXPECT_EQ(rows.errors[2].reason, "unknown");
  EXPECT_THAT(rows.errors[3].reason, HasSubstr("schema 8 is one of PROTOBUF"));
  EXPECT_THAT(rows.errors[4].reason, HasSubstr("schema 9: record R contains itself"));
}

TEST_F(AvroTest, OfApicuriosOwnFramingIsSaidHowToHaveAnother) {
  const auto decoder = Decoder();
  Rec elsewhere = {First(1, "x")};
  elsewhere.headers = {{"apicurio.value.globalId", std::string("\0\0\0\0\0\0\0\7", 8)}};
  const DecodedRows rows =
      Decode(decoder.get(), {{SchemaIdPrefix(0) + std::string("\0\0\0\7", 4) + First(1, "x")}, elsewhere, {"{}"}});
  ASSERT_EQ(rows.errors.size(), 3u);
  EXPECT_THAT(rows.errors[0].reason, HasSubstr("writes eight bytes for a number: set apicurio.registry.as-confluent"));
  EXPECT_THAT(rows.errors[1].reason, HasSubstr("its header apicurio.value.globalId says"));
  EXPECT_THAT(rows.errors[2].reason, Not(HasSubstr("picurio")));
}

// A bare value of a flat record may begin as one does that schema 2 stands in front of.
TEST_F(AvroTest, AValueIsNoneOfANumberWhereApicuriosHeaderNamesItsSchema) {
  lookup_.schemas[2] = lookup_.schemas[1];
  const auto decoder = Decoder();
  const Rec framed = {Framed(2, First(1, "x"))};
  Rec bare = framed, of_key = framed;
  bare.headers = {{"trace", "t"}, {"apicurio.value.globalId", std::string("\0\0\0\0\0\0\0\7", 8)}};
  of_key.headers = {{"apicurio.key.globalId", std::string("\0\0\0\0\0\0\0\7", 8)}};
  const DecodedRows rows = Decode(decoder.get(), {framed, bare, of_key});
  EXPECT_THAT(codec_test::Rows(plan_.columns, rows.rows), ElementsAre(R"({"a":1,"s":"x"})", R"({"a":1,"s":"x"})"));
  ASSERT_EQ(rows.errors.size(), 1u);
  EXPECT_EQ(rows.errors[0].record, 1u);
  EXPECT_THAT(rows.errors[0].reason, HasSubstr("its header apicurio.value.globalId says"));
}

TEST_F(AvroTest, AKeyIsNoneOfANumberWhereApicuriosHeaderNamesItsSchema) {
  plan_.columns = {codec_test::Col("a int64"), codec_test::Col("id int64")};
  plan_.columns[1].from = SourceColumn::From::kKey;
  plan_.columns[1].path = {"a"};
  plan_.key_format = FormatSpec("avro");
  const Rec waiting = {Framed(1, First(9, "")), Framed(7, First(2, "y"))};
  Rec bare = {Framed(1, First(9, "")), Framed(1, First(1, "x"))};
  bare.headers = {{"apicurio.key.globalId", std::string("\0\0\0\0\0\0\0\7", 8)}};
  lookup_.away = true;
  const auto decoder = Decoder();
  EXPECT_EQ(Decode(decoder.get(), {waiting}).waits_for, "the schema");
  const DecodedRows rows = Decode(decoder.get(), {bare});
  EXPECT_EQ(rows.waits_for, "");
  EXPECT_EQ(rows.rows->num_rows(), 0);
  ASSERT_EQ(rows.errors.size(), 1u);
  EXPECT_THAT(rows.errors[0].reason, HasSubstr("record key: its header apicurio.key.globalId says"));
}

TEST_F(AvroTest, ANumberInAHeaderLeavesTheValueAsItIs) {
  plan_.format.options["schema_id"] = "header";
  const auto decoder = Decoder();
  Rec good = {First(1, "x")};
  good.headers = {{"__value_schema_id", SchemaIdPrefix(1)}};
  Rec guid = good;
  guid.headers = {{"__value_schema_id", "\1" + std::string(16, 'g')}};
  const DecodedRows rows = Decode(decoder.get(), {good, {First(2, "y")}, guid});
  EXPECT_THAT(codec_test::Rows(plan_.columns, rows.rows), ElementsAre(R"({"a":1,"s":"x"})"));
  ASSERT_EQ(rows.errors.size(), 2u);
  EXPECT_THAT(rows.errors[0].reason, HasSubstr("no header __value_schema_id"));
  EXPECT_THAT(rows.errors[1].reason, HasSubstr("GUID"));
}

TEST_F(AvroTest, WhatIsWrittenIsReadAsItWas) {
  const std::vector<SourceColumn> columns = {codec_test::Col("b bool"),
                                             codec_test::Col("i int32 null"),
                                             codec_test::Col("l int64"),
                                             codec_test::Col("d double null"),
                                             codec_test::Col("s string null"),
                                             codec_test::Col("y bytes"),
                                             codec_test::Col("day date"),
                                             codec_test::Col("dec decimal(38,3) null"),
                                             codec_test::Col("t timestamp_ms null")};
  SourcePlan json = codec_test::PlanOf(columns);
  const std::string rows[] = {
      R"({"b":true,"i":-2147483648,"l":9223372036854775807,"d":-0.5,"s":"é","y":"AP8=","day":"1969-12-31","dec":-99999999999999999999999999999999999.999,"t":-1})",
      R"({"b":false,"i":null,"l":-9223372036854775808,"d":null,"s":"","y":"","day":"2026-01-01","dec":0.128,"t":1767225600123})",
      R"({"b":false,"i":7,"l":64,"d":1e+300,"s":null,"y":"","day":"0001-01-01","dec":null,"t":null})"};
  const auto decoded = Decode(SourceDecoder::Make(json, formats_).value().get(), {{rows[0]}, {rows[1]}, {rows[2]}});
  ASSERT_THAT(decoded.errors, IsEmpty());
  FormatSpec spec("avro");
  spec.options = {{"subject", "out-value"}, {"record", "shop.Out"}};
  const Schema schema = codec_test::SchemaFor(columns);
  std::vector<size_t> all(schema.size());
  for (size_t c = 0; c < all.size(); ++c) all[c] = c;
  const auto encoder = RowEncoder::Make({.schema = schema, .format = spec, .value = all}, formats_);
  ASSERT_TRUE(encoder.ok()) << encoder.status();
  EncodedRecords encoded;
  ASSERT_TRUE((*encoder)->Encode(*decoded.rows, 1, 0, &encoded).ok());
  ASSERT_EQ(encoded.records.size(), 3u);
  EXPECT_EQ(encoded.records[0].value->substr(0, 5), std::string_view("\0\0\0\1\2", 5));
  const auto registered = formats_.Registers(spec, schema, all).value();
  ASSERT_TRUE(registered.has_value());
  EXPECT_EQ(registered->subject, "out-value");
  lookup_.schemas[258] = registered->schema;
  SourcePlan avro = codec_test::PlanOf(columns);
  avro.format = FormatSpec("avro");
  std::vector<Rec> records;
  for (const OutRecord& record : encoded.records) records.push_back({std::string(*record.value)});
  const auto again = Decode(SourceDecoder::Make(avro, formats_).value().get(), records);
  EXPECT_THAT(again.errors, IsEmpty());
  EXPECT_THAT(codec_test::Rows(columns, again.rows), ElementsAre(rows[0], rows[1], rows[2]));
}

constexpr char kTrees[] = R"({"type":"record","name":"R","fields":[
  {"name":"list","type":{"type":"array","items":["null","string"]}},
  {"name":"lengths","type":["null",{"type":"map","values":{"type":"record","name":"L","fields":[
    {"name":"cm","type":"double"},{"name":"day","type":{"type":"int","logicalType":"date"}},
    {"name":"cost","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},{"name":"raw","type":"bytes"}]}}]}]})";

TEST_F(AvroTest, ArraysMapsAndRecordsAreJson) {
  lookup_.schemas[3] = {"AVRO", kTrees, {}};
  plan_ = codec_test::PlanOf({"list json", "lengths json null"});
  plan_.columns.push_back(codec_test::Col("cm double null"));  // besides the map of which it is a part
  plan_.columns.back().path = {"lengths", "a", "cm"};
  plan_.format = FormatSpec("avro");
  const std::string cm("\0\0\0\0\0\0\xf8\x3f", 8);  // 1.5
  const std::string entry =
      "\x02"
      "a" +
      cm + "\x02" + "\x04" + std::string("\x01\x00", 2) + "\x04\xff\xfe";
  const DecodedRows rows =
      Decode(Decoder().get(), {{Framed(3, std::string("\x04\x02\x04\"\n\0\0\x02\x02", 9) + entry + kNull)},
                               {Framed(3, kNull + kNull)},
                               {Framed(3, std::string("\x02\x02\x02\xff\0\0", 6))}});
  EXPECT_THAT(
      codec_test::Rows(plan_.columns, rows.rows),
      ElementsAre(
          R"({"list":["\"\n",null],"lengths":{"a":{"cm":1.5,"day":"1970-01-02","cost":2.56,"raw":"//4="}},"cm":1.5})",
          R"({"list":[],"lengths":null,"cm":null})"));
  ASSERT_EQ(rows.errors.size(), 1u);
  EXPECT_THAT(rows.errors[0].reason, HasSubstr("invalid UTF-8"));
  // Elements without bytes: the record is small, what it says isn't.
  lookup_.schemas[4] = {
      "AVRO", R"({"type":"record","name":"R","fields":[{"name":"list","type":{"type":"array","items":"null"}}]})", {}};
  const DecodedRows many = Decode(Decoder().get(), {{Framed(4, "\xfe\xff\xff\xff\xff\xff\x01" + kNull)}});
  ASSERT_EQ(many.errors.size(), 1u);
  EXPECT_THAT(many.errors[0].reason, HasSubstr("more than 16 MiB as JSON"));
}

TEST_F(AvroTest, KeysNameTheirSchemaTooAndWaitForIt) {
  plan_.columns = {codec_test::Col("a int64"), codec_test::Col("id int64"), codec_test::Col("k string")};
  plan_.columns[1].from = plan_.columns[2].from = SourceColumn::From::kKey;
  plan_.columns[1].path = {"a"};
  plan_.columns[2].path = {"s"};
  plan_.key_format = FormatSpec("avro");
  const std::string value = Framed(1, First(9, ""));
  const std::vector<Rec> records = {{value, Framed(1, First(1, "x"))},
                                    {value, std::string("{}")},
                                    {value, Framed(7, First(2, "y"))},
                                    {value, Framed(1, First(3, "z"))}};
  lookup_.away = true;
  const auto decoder = Decoder();
  const DecodedRows before = Decode(decoder.get(), records);
  EXPECT_EQ(before.next, 2u);
  EXPECT_EQ(before.waits_for, "the schema");
  EXPECT_THAT(codec_test::Rows(plan_.columns, before.rows), ElementsAre(R"({"a":9,"id":1,"k":"x"})"));
  ASSERT_EQ(before.errors.size(), 1u);
  EXPECT_THAT(before.errors[0].reason, HasSubstr("record key: it doesn't begin with the number of a schema"));
  lookup_.schemas[7] = {"AVRO", kFirst, {}};
  const DecodedRows after = Decode(decoder.get(), records, before.next);
  EXPECT_THAT(after.errors, IsEmpty());
  EXPECT_THAT(codec_test::Rows(plan_.columns, after.rows),
              ElementsAre(R"({"a":9,"id":2,"k":"y"})", R"({"a":9,"id":3,"k":"z"})"));
}

TEST_F(AvroTest, AKeyMayBeAValueByItself) {
  lookup_.schemas[5] = {"AVRO", "\"long\"", {}};
  plan_.columns = {codec_test::Col("a int64"), codec_test::Col("id int64")};
  plan_.columns[1].from = SourceColumn::From::kKey;
  plan_.key_format = FormatSpec("avro");
  const DecodedRows rows = Decode(Decoder().get(), {{Framed(1, First(9, "")), Framed(5, "\x06")}});
  EXPECT_THAT(codec_test::Rows(plan_.columns, rows.rows), ElementsAre(R"({"a":9,"id":3})"));
}

TEST_F(AvroTest, KeysThatAreWrittenAreReadAndTombstonesHaveThemToo) {
  FormatSpec spec("avro");
  avro_->Complete("out", FormatUse::kWriteKey, &spec);
  EXPECT_EQ(spec.Option("subject"), "out-key");
  spec.options["subject"] = "out-value";  // that the fake has
  const std::vector<SourceColumn> columns = {codec_test::Col("a int64"), codec_test::Col("s string null")};
  const Schema schema = codec_test::SchemaFor(columns);
  RowEncoderOptions options{.schema = schema, .key = {0, 1}, .key_format = spec, .upsert = true, .value = {0}};
  const auto encoder = RowEncoder::Make(options, formats_);
  ASSERT_TRUE(encoder.ok()) << encoder.status();
  SourcePlan json = codec_test::PlanOf(columns);
  const DecodedRows plain =
      Decode(SourceDecoder::Make(json, formats_).value().get(), {{R"({"a":1,"s":"x"})"}, {R"({"a":2,"s":null})"}});
  std::vector<std::shared_ptr<arrow::Array>> arrays = {plain.rows->column(0), plain.rows->column(1)};
  arrow::Int8Builder ops;
  ASSERT_TRUE(ops.AppendValues({static_cast<int8_t>(Op::kInsert), static_cast<int8_t>(Op::kDelete)}).ok());
  arrays.push_back(ops.Finish().ValueOrDie());
  const auto rows = arrow::RecordBatch::Make(
      arrow::schema({ColumnField(schema[0]), ColumnField(schema[1]), HiddenField(Hidden::kOp)}), 2, arrays);
  EncodedRecords encoded;
  ASSERT_TRUE((*encoder)->Encode(*rows, 4, 0, &encoded).ok());
  ASSERT_EQ(encoded.records.size(), 2u);
  EXPECT_EQ(encoded.records[0].key, Framed(258, "\x02\x02\x02x"));
  EXPECT_EQ(encoded.records[1].key, Framed(258, "\x04" + kNull));
  EXPECT_FALSE(encoded.records[1].value.has_value());
  for (const OutRecord& record : encoded.records) EXPECT_EQ(record.partition, JavaPartition(*record.key, 4));
}

TEST_F(AvroTest, ASinkWhoseSchemaIsntRegisteredIsNotMade) {
  FormatSpec spec("avro");
  spec.options = {{"subject", "other-value"}, {"record", "Out"}};
  const Schema schema = codec_test::SchemaFor({codec_test::Col("a int64")});
  EXPECT_THAT(std::string(formats_.MakeWriter(spec, schema, {0}).status().message()), HasSubstr("not registered"));
}

// "name type nullable = default" of every column.
std::string TakenFrom(const std::string& fields, bool nested = false) {
  const auto schema = AvroSchema::Parse(R"({"type":"record","name":"r","fields":[)" + fields + "]}");
  EXPECT_TRUE(schema.ok()) << schema.status();
  const auto columns = ColumnsOfAvro(**schema, nested);
  if (!columns.ok()) return std::string(columns.status().message());
  std::string out;
  for (const TakenColumn& c : *columns) {
    out += (out.empty() ? "" : ", ") + c.column.name + " " + TypeName(c.column.type);
    if (c.column.nullable) out += " null";
    if (c.default_value) out += " = " + *c.default_value;
  }
  return out;
}

TEST(AvroColumns, RecordsWithinEachOtherDontBlowUp) {
  std::string inner = R"({"type":"record","name":"r0","fields":[{"name":"x","type":"int"}]})";
  for (int i = 1; i < 40; ++i) {
    const std::string n = std::to_string(i), below = absl::StrCat("r", i - 1);
    inner = R"({"type":"record","name":"r)" + n + R"(","fields":[{"name":"a","type":)" + inner +
            R"(},{"name":"b","type":")" + below + R"("}]})";
  }
  EXPECT_EQ(TakenFrom(R"({"name":"top","type":)" + inner + "}"),
            "the schema has more than 2000 fields: write the columns out");
}

TEST(AvroColumns, ArraysAndMapsAreTakenWhereTheyAreAskedFor) {
  const std::string fields = R"({"name":"a","type":{"type":"array","items":"int"}},
      {"name":"m","type":["null",{"type":"map","values":"long"}]},{"name":"x","type":"int"})";
  EXPECT_EQ(TakenFrom(fields), "x int32") << "a topology has the columns that it had";
  EXPECT_EQ(TakenFrom(fields, true), "a json, m json null, x int32");
}

TEST(AvroColumns, ADefaultIsTakenWhereItTakesNoPlaceOfANull) {
  EXPECT_EQ(TakenFrom(R"({"name":"a","type":"int","default":7},{"name":"b","type":"string","default":"x"})"),
            "a int32 = 7, b string = x");
  EXPECT_EQ(
      TakenFrom(R"({"name":"a","type":["int","null"],"default":7},{"name":"b","type":["null","int"],"default":null})"),
      "a int32 null, b int32 null");
}

TEST(AvroColumns, ADefaultOfALogicalTypeIsSaidAsTheColumnHasItOrTheColumnMayBeNull) {
  const auto of = [](const std::string& type, const std::string& value) {
    return TakenFrom(R"({"name":"a","type":)" + type + R"(,"default":)" + value + "}");
  };
  EXPECT_EQ(of(R"({"type":"int","logicalType":"date"})", "0"), "a date = 1970-01-01");
  EXPECT_EQ(of(R"({"type":"long","logicalType":"timestamp-millis"})", "0"), "a timestamp = 1970-01-01T00:00:00Z");
  EXPECT_EQ(of(R"({"type":"long","logicalType":"timestamp-micros"})", "-1"),
            "a timestamp = 1969-12-31T23:59:59.999999Z");
  EXPECT_EQ(of(R"({"type":"long","logicalType":"timestamp-nanos"})", "1500"),
            "a timestamp = 1970-01-01T00:00:00.000001Z");
  EXPECT_EQ(of(R"({"type":"int","logicalType":"time-millis"})", "5"), "a int32 = 5");
  EXPECT_EQ(of(R"({"type":"string","logicalType":"uuid"})", R"("u")"), "a string = u");
  EXPECT_EQ(of(R"({"type":"bytes","logicalType":"decimal","precision":4,"scale":2})", R"("\u0000")"),
            "a decimal(4,2) null");
  EXPECT_EQ(of(R"("bytes")", R"("x")"), "a bytes null");
  EXPECT_EQ(of(R"("int")", "3000000000"), "a int32 null");
}

}  // namespace
}  // namespace tidemark
