// What the fields of a protobuf message become, of nasty ones too. The bytes that are read are made by Google's
// library, from text, or by hand.
#include <map>
#include <optional>
#include <random>

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <gmock/gmock.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "src/codec/protobuf/columns.h"
#include "src/codec/protobuf/format.h"
#include "src/codec/protobuf/schema.h"
#include "src/codec/protobuf/value_reader.h"
#include "tests/unit/codec/codec_fixture.h"
#include "tests/unit/codec/protobuf_texts.h"

namespace tidemark {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string Bytes(const ProtobufSchema& schema, const std::string& message, const std::string& text) {
  google::protobuf::DynamicMessageFactory factory;
  const std::unique_ptr<google::protobuf::Message> made(factory.GetPrototype(schema.Named(message))->New());
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, made.get())) << text;
  return made->SerializePartialAsString();
}

SourceColumn At(std::string_view declaration, const std::string& path) {
  SourceColumn column = codec_test::Col(declaration);
  column.path.clear();
  for (size_t begin = 0; begin <= path.size();) {
    const size_t dot = std::min(path.find('.', begin), path.size());
    column.path.push_back(path.substr(begin, dot - begin));
    begin = dot + 1;
  }
  return column;
}

// Reads messages one by one into rows of these columns.
class OneByOne {
 public:
  OneByOne(const std::string& schema_text, const std::string& message, const std::vector<SourceColumn>& columns)
      : columns_(columns), schema_(Parsed(schema_text)), set_(columns) {
    std::vector<ReadTarget> targets;
    for (size_t c = 0; c < columns.size(); ++c) targets.push_back({columns[c].path, c, columns[c].column.type});
    auto plan = CompileProtobuf(*schema_->Named(message), targets, schema_);
    if (plan.ok()) plan_.emplace(*std::move(plan));
    EXPECT_TRUE(plan_.has_value());
  }

  const ProtobufSchema& schema() const { return *schema_; }

  // The row as JSON, or the reason.
  std::string Read(const std::string& value) {
    set_.Start(1);
    set_.BeginRow(0);
    // In an allocation of just its size, so that a byte read behind the end is seen.
    const std::vector<char> tight(value.begin(), value.end());
    std::optional<std::string> reason = ScanProtobuf(&*plan_, {tight.data(), tight.size()}, 0, &set_);
    if (!reason) reason = set_.EndRow();
    if (reason) return *reason;
    std::vector<std::shared_ptr<arrow::Array>> arrays;
    set_.Finish(1, &arrays);
    const Schema row = codec_test::SchemaFor(columns_);
    const auto batch =
        arrow::RecordBatch::Make(BatchSchema(row, HiddenSet().Without(Hidden::kTime)), 1, std::move(arrays));
    EXPECT_TRUE(batch->ValidateFull().ok());
    return RowToJson(row, *batch, 0);
  }

 private:
  const std::vector<SourceColumn> columns_;
  const std::shared_ptr<const ProtobufSchema> schema_;
  ColumnSet set_;
  std::optional<ProtobufScanPlan> plan_;
};

std::string Read(const std::string& schema_text, const std::string& message, const std::vector<SourceColumn>& columns,
                 const std::string& value) {
  return OneByOne(schema_text, message, columns).Read(value);
}

std::string ReadOrder(const std::vector<SourceColumn>& columns, const std::string& text) {
  return Read(kOrders, "Order", columns, Bytes(*Parsed(kOrders), "Order", text));
}

// One column, of a message as text.
std::string One(std::string_view declaration, const std::string& path, const std::string& text) {
  return ReadOrder({At(declaration, path)}, text);
}
std::string OneOf(std::string_view declaration, const std::string& path, const std::string& bytes) {
  return Read(kOrders, "Order", {At(declaration, path)}, bytes);
}

class ProtobufCorpus : public ::testing::Test {
 protected:
  ProtobufCorpus() { ProtobufFormat(); }
};

TEST_F(ProtobufCorpus, EveryTypeBecomesWhatItIs) {
  EXPECT_EQ(One("c int64", "id", "id: -5"), R"({"c":-5})");
  EXPECT_EQ(One("c decimal(12,2)", "id", "id: -5"), R"({"c":-5.00})");
  EXPECT_EQ(One("c double", "id", "id: 5"), R"({"c":5})");
  EXPECT_EQ(One("c int32", "count", "count: -1"), R"({"c":-1})");
  EXPECT_EQ(One("c int64", "signed", "signed: -9223372036854775808"), R"({"c":-9223372036854775808})");
  EXPECT_EQ(One("c int32", "small", "small: -7"), R"({"c":-7})");
  EXPECT_EQ(One("c decimal(20,0)", "huge", "huge: 18446744073709551615"), R"({"c":18446744073709551615})");
  EXPECT_EQ(One("c decimal(20,0)", "big", "big: 18446744073709551615"), R"({"c":18446744073709551615})");
  EXPECT_EQ(One("c int64", "huge", "huge: 9223372036854775808"),
            "column c: 9223372036854775808 is out of range for int64");
  EXPECT_THAT(One("c int32", "id", "id: 3000000000"), HasSubstr("out of range for int32"));
  EXPECT_EQ(One("c double", "ratio", "ratio: 0.5"), R"({"c":0.5})");
  EXPECT_EQ(One("c double", "exact", "exact: nan"), R"({"c":"NaN"})");
  EXPECT_EQ(One("c bytes", "raw", R"(raw: "\001\002")"), R"({"c":"AQI="})");
  EXPECT_EQ(One("c string", "raw", R"(raw: "\377")"), "column c: invalid UTF-8");
  EXPECT_EQ(One("c bool", "yes", "yes: true"), R"({"c":true})");
  EXPECT_EQ(One("c date", "day", R"(day: "2026-01-31")"), R"({"c":"2026-01-31"})");
  EXPECT_EQ(One("c timestamp", "at", "at { seconds: -1 nanos: 999999999 }"), R"({"c":"1969-12-31T23:59:59.999999Z"})");
  EXPECT_THAT(One("c timestamp", "at", "at { nanos: -1 }"), HasSubstr("nanos of a timestamp"));
  EXPECT_THAT(One("c timestamp", "at", "at { seconds: 9223372036854775807 }"), HasSubstr("out of range"));
  EXPECT_EQ(One("c timestamp_ms", "millis", "millis: 1500"), R"({"c":1500})");
  EXPECT_THAT(One("c timestamp", "millis", "millis: 1500"), HasSubstr("without a unit"));
  EXPECT_EQ(One("c decimal(10,3)", "amount", R"(amount { value: "\377\205" scale: 2 })"), R"({"c":-1.230})");
  EXPECT_EQ(One("c string", "amount", R"(amount { value: "\001\000" scale: 1 })"), R"({"c":"25.6"})");
  EXPECT_EQ(One("c int64", "far", "far: 8"), R"({"c":8})");
}

TEST_F(ProtobufCorpus, AnEnumIsItsNameOrItsNumber) {
  EXPECT_EQ(One("c string", "state", "state: PAID"), R"({"c":"PAID"})");
  EXPECT_EQ(One("c int32", "state", "state: PAID"), R"({"c":2})");
  EXPECT_EQ(One("c string", "state", ""), R"({"c":"UNKNOWN"})");
  EXPECT_EQ(OneOf("c string", "state", "\x20\x09"), R"({"c":"9"})");
  EXPECT_EQ(OneOf("c int64", "state", "\x20\x09"), R"({"c":9})");
}

TEST_F(ProtobufCorpus, ANumberThatAClosedEnumHasntIsNoValue) {
  constexpr char kClosed[] = R"(syntax = "proto2";
message Task {
  enum Level { option allow_alias = true; LOW = 1; LITTLE = 1; HIGH = 7; }
  optional Level level = 4 [default = HIGH];
})";
  const auto level = [&](std::string_view declaration, const std::string& bytes) {
    return Read(kClosed, "Task", {At(declaration, "level")}, bytes);
  };
  EXPECT_EQ(level("c string null", "\x20\x01"), R"({"c":"LOW"})");
  EXPECT_EQ(level("c int32 null", "\x20\x07"), R"({"c":7})");
  EXPECT_EQ(level("c string null", "\x20\x09"), R"({"c":null})");
  EXPECT_EQ(level("c int64 null", "\x20\x09"), R"({"c":null})");
  EXPECT_EQ(level("c string null", "\x20\x07\x20\x09"), R"({"c":"HIGH"})");
  EXPECT_EQ(level("c int32", "\x20\x09"), "missing required column c");
  EXPECT_EQ(ColumnsOfProtobuf(*Parsed(kClosed)->Named("Task")).value().at(0).default_value, "HIGH");
}

TEST_F(ProtobufCorpus, NumbersAreReadUpToTheirEnds) {
  EXPECT_EQ(One("c int64", "id", "id: 9223372036854775807"), R"({"c":9223372036854775807})");
  EXPECT_EQ(One("c int64", "id", "id: -9223372036854775808"), R"({"c":-9223372036854775808})");
  EXPECT_EQ(One("c int32", "count", "count: -2147483648"), R"({"c":-2147483648})");
  EXPECT_EQ(One("c int64", "signed", "signed: 9223372036854775807"), R"({"c":9223372036854775807})");
  EXPECT_EQ(One("c int32", "small", "small: -2147483648"), R"({"c":-2147483648})");
  EXPECT_EQ(One("c double", "huge", "huge: 18446744073709551615"), R"({"c":18446744073709551616})");
  EXPECT_EQ(One("c double", "exact", "exact: -inf"), R"({"c":"-Infinity"})");
  EXPECT_EQ(One("c double", "ratio", "ratio: nan"), R"({"c":"NaN"})");
  // int32 with bits above, as the library has it.
  EXPECT_EQ(OneOf("c int32", "count", "\x18\x81\x80\x80\x80\x10"), R"({"c":1})");
}

TEST_F(ProtobufCorpus, ADateIsADayOrAnError) {
  constexpr char kDated[] = R"(syntax = "proto3"; import "google/type/date.proto"; import "google/type/money.proto";
message Dated { google.type.Date day = 1; google.type.Money price = 2; })";
  const auto day = [&](const char* text) {
    return Read(kDated, "Dated", {At("c date null", "day")}, Bytes(*Parsed(kDated), "Dated", text));
  };
  EXPECT_EQ(day("day { year: 2026 month: 2 day: 28 }"), R"({"c":"2026-02-28"})");
  EXPECT_EQ(day(""), R"({"c":null})");
  EXPECT_THAT(day("day { year: 2026 month: 2 day: 29 }"), HasSubstr("column c: "));
  EXPECT_THAT(day("day { month: 12 day: 24 }"), HasSubstr("column c: "));
  EXPECT_THAT(day("day {}"), HasSubstr("column c: "));
  EXPECT_THAT(day("day { year: -2147483648 month: -1 day: 2147483647 }"), HasSubstr("column c: "));
  const auto columns = ColumnsOfProtobuf(*Parsed(kDated)->Named("Dated")).value();
  EXPECT_EQ(columns.at(0).column.type.kind, Kind::kDate);
  EXPECT_EQ(columns.at(1).column.name, "price_currency_code");
}

TEST_F(ProtobufCorpus, WhatTheLibraryHasAFormForIsJsonInThatForm) {
  constexpr char kKnown[] = R"(syntax = "proto3"; import "google/protobuf/duration.proto";
import "google/protobuf/any.proto"; import "google/protobuf/struct.proto"; import "google/protobuf/field_mask.proto";
import "google/protobuf/wrappers.proto";
message Known {
  google.protobuf.Duration took = 1;
  google.protobuf.Any any = 2;
  google.protobuf.ListValue list = 3;
  google.protobuf.FieldMask mask = 4;
  repeated google.protobuf.StringValue texts = 5;
  map<int64, google.protobuf.Duration> by = 6;
  google.protobuf.Value value = 7;
})";
  const auto known = [&](const std::string& path, const char* text) {
    return Read(kKnown, "Known", {At("c json null", path)}, Bytes(*Parsed(kKnown), "Known", text));
  };
  EXPECT_EQ(known("took", "took { seconds: 1 nanos: 500000000 }"), R"({"c":"1.500s"})");
  EXPECT_EQ(known("list", "list { values { number_value: 1 } values { bool_value: true } }"), R"({"c":[1,true]})");
  EXPECT_EQ(known("mask", R"(mask { paths: "a.b" paths: "c" })"), R"({"c":"a.b,c"})");
  EXPECT_EQ(known("texts", R"(texts { value: "x" } texts {})"), R"({"c":["x",""]})");
  EXPECT_EQ(known("by", "by { key: -1 value { seconds: 2 } }"), R"({"c":{"-1":"2s"}})");
  EXPECT_EQ(known("value", R"(value { string_value: "s" })"), R"({"c":"s"})");
  EXPECT_THAT(known("any", R"(any { type_url: "type.googleapis.com/Gone" value: "x" })"),
              HasSubstr("column c: it can't be JSON"));
}

TEST_F(ProtobufCorpus, WithoutPresenceAZeroIsImplied) {
  EXPECT_EQ(ReadOrder({At("id int64 null", "id"), At("name string", "name"), At("yes bool", "yes"),
                       At("exact double", "exact"), At("tags json", "tags"), At("stock json", "stock")},
                      ""),
            R"({"id":0,"name":"","yes":false,"exact":0,"tags":[],"stock":{}})");
  EXPECT_EQ(One("c int32 null", "count", ""), R"({"c":null})");
  EXPECT_EQ(One("c int32 null", "count", "count: 0"), R"({"c":0})");
  EXPECT_EQ(One("c int32", "count", ""), "missing required column c");
  EXPECT_EQ(One("c date null", "day", ""), R"({"c":null})");
}

TEST_F(ProtobufCorpus, BelowAMessageThatIsntThereNothingIs) {
  EXPECT_EQ(One("c string null", "price.currency", ""), R"({"c":null})");
  EXPECT_EQ(One("c string null", "price.currency", "price {}"), R"({"c":""})");
  EXPECT_EQ(One("c json null", "price.notes", ""), R"({"c":null})");
  EXPECT_EQ(One("c json null", "price.notes", "price {}"), R"({"c":[]})");
  EXPECT_EQ(One("c int64 null", "maybe", ""), R"({"c":null})");
  EXPECT_EQ(One("c int64 null", "maybe", "maybe {}"), R"({"c":0})");
  EXPECT_EQ(One("c int64 null", "maybe", "maybe { value: 7 }"), R"({"c":7})");
}

TEST_F(ProtobufCorpus, OfAOneofTheLastMemberCounts) {
  const std::vector<SourceColumn> columns = {At("units int64 null", "cash.units"), At("notes json null", "cash.notes"),
                                             At("card string null", "card")};
  const auto schema = Parsed(kOrders);
  const auto part = [&](const char* text) { return Bytes(*schema, "Order", text); };
  const auto read = [&](const std::string& bytes) { return Read(kOrders, "Order", columns, bytes); };
  const std::string cash = part(R"(cash { units: 3 notes: "n" })"), card = part(R"(card: "visa")");
  EXPECT_EQ(read(cash), R"({"units":3,"notes":["n"],"card":null})");
  EXPECT_EQ(read(cash + card), R"({"units":null,"notes":null,"card":"visa"})");
  EXPECT_EQ(read(card + cash), R"({"units":3,"notes":["n"],"card":null})");
  // Nobody wants this one, and it still counts.
  EXPECT_EQ(read(cash + card + part("free: true")), R"({"units":null,"notes":null,"card":null})");
}

TEST_F(ProtobufCorpus, WhatComesAgainReplacesAndMessagesMerge) {
  const auto schema = Parsed(kOrders);
  const auto part = [&](const char* text) { return Bytes(*schema, "Order", text); };
  EXPECT_EQ(OneOf("c int64", "id", part("id: 1") + part("id: 2")), R"({"c":2})");
  const std::string twice = part(R"(price { currency: "EUR" notes: "a" })") + part(R"(price { units: 4 notes: "b" })");
  EXPECT_EQ(Read(kOrders, "Order", {At("c string", "price.currency"), At("n json", "price.notes")}, twice),
            R"({"c":"EUR","n":["a","b"]})");
  EXPECT_EQ(OneOf("c json", "price", twice), R"({"c":{"currency":"EUR","units":"4","notes":["a","b"]}})");
  // Elements of a list may lie anywhere, and be packed or not.
  EXPECT_EQ(OneOf("c json", "packed", part("packed: [1, 2]") + part("id: 9") + std::string("\x90\x01\x03")),
            R"({"c":[1,2,3]})");
}

TEST_F(ProtobufCorpus, MessagesListsAndMapsAreJson) {
  EXPECT_EQ(One("c json", "tags", R"(tags: "a" tags: "\"")"), R"({"c":["a","\""]})");
  EXPECT_EQ(One("c json", "stock", R"(stock { key: "b" value: 2 } stock { key: "a" value: 1 } stock { key: "b" })"),
            R"({"c":{"a":1,"b":0}})");
  EXPECT_EQ(One("c json", "any", R"(any { fields { key: "k" value { list_value { values { null_value: 0 } } } } })"),
            R"({"c":{"k":[null]}})");
  EXPECT_EQ(One("c json", "at", "at { seconds: 1 }"), R"({"c":"1970-01-01T00:00:01Z"})");
  EXPECT_EQ(One("c json", "tree", R"(tree { name: "r" below { name: "l" } })"),
            R"({"c":{"name":"r","below":[{"name":"l","below":[]}]}})");
  EXPECT_EQ(One("c json null", "tree", ""), R"({"c":null})");
  std::string deep;
  for (int i = 0; i < 150; ++i) {
    std::string length;
    for (size_t n = deep.size();; n >>= 7) {
      length.push_back(static_cast<char>(n < 0x80 ? n : (n & 0x7F) | 0x80));
      if (n < 0x80) break;
    }
    deep = "\x12" + length + deep;
  }
  std::string length(1, static_cast<char>((deep.size() & 0x7F) | 0x80));
  length.push_back(static_cast<char>(deep.size() >> 7));
  EXPECT_THAT(OneOf("c json", "tree", "\xA2\x01" + length + deep), HasSubstr("column c: "));
}

TEST_F(ProtobufCorpus, OfAKeyThatComesAgainTheLastValueCountsAtAnyDepth) {
  constexpr char kNested[] = R"(syntax = "proto3";
message In { map<int32, In> m = 1; int32 n = 2; }
message Out { repeated In in = 1; })";
  const std::string bytes =
      Bytes(*Parsed(kNested), "Out",
            "in { n: 1 m { key: 3 value { n: 4 } } m { key: 0 value { n: 5 } } m { key: 3 value {} } "
            "m { value { m { key: 1 } m { key: 1 value { n: 6 } } } } }");
  EXPECT_EQ(Read(kNested, "Out", {At("c json", "in")}, bytes),
            R"({"c":[{"m":{"0":{"m":{"1":{"m":{},"n":6}},"n":0},"3":{"m":{},"n":0}},"n":1}]})");
}

TEST_F(ProtobufCorpus, WhatIsntKnownIsPassedOver) {
  // A number, eight bytes, text, a group with one inside, four bytes.
  const std::string unknown(
      "\xC0\x3E\x01\xC1\x3E"
      "12345678\xC2\x3E\x02xy\xC3\x3E\xCB\x3E\x08\x01\xCC\x3E\xC4\x3E\xC5\x3E"
      "1234",
      34);
  EXPECT_EQ(OneOf("c int64", "id", unknown + "\x08\x05" + unknown), R"({"c":5})");
}

TEST_F(ProtobufCorpus, DamageIsARejectionWithItsPlace) {
  EXPECT_EQ(OneOf("c int64", "id", "\x08"), "malformed Protobuf at byte 1: it ends too early");
  EXPECT_THAT(OneOf("c string", "name",
                    "\x12\x05"
                    "ab"),
              HasSubstr("it ends too early"));
  EXPECT_THAT(OneOf("c int64", "id", std::string("\x00\x01", 2)), HasSubstr("a field number that can't be"));
  EXPECT_THAT(OneOf("c int64", "id", "\x0A\x01x"), HasSubstr("in id: its wire type is another"));
  EXPECT_THAT(OneOf("c int64", "id", "\x5E"), HasSubstr("a wire type that there isn't"));
  EXPECT_THAT(OneOf("c int64", "id", "\x1C"), HasSubstr("the end of a group that hasn't begun"));
  EXPECT_THAT(OneOf("c int64", "id", "\xC3\x3E\x0C"), HasSubstr("the end of another group"));
  EXPECT_THAT(OneOf("c int64", "id", std::string(500, '\x1B')), HasSubstr("too many groups"));
  EXPECT_THAT(OneOf("c int64", "id", "\x08" + std::string(11, '\xFF')), HasSubstr("more than 64 bits"));
  EXPECT_THAT(OneOf("c string null", "price.currency", "\x2A\x02\x0A\x05"), HasSubstr("it ends too early"));
  EXPECT_THAT(OneOf("c json", "tags", "\x32\x01\xFF"), HasSubstr("column c: malformed Protobuf"));
  EXPECT_THAT(OneOf("c json", "tags", "\x30\x01"), HasSubstr("in tags: its wire type is another"));
  EXPECT_THAT(OneOf("c json", "price", "\x2D\x01\x02\x03\x04"), HasSubstr("in price: its wire type is another"));
  EXPECT_THAT(OneOf("c json", "packed", std::string("\x95\x01\x00\x00\x00\x00", 6)), HasSubstr("its wire type"));
}

TEST_F(ProtobufCorpus, WhatACutMessageIsIsSaidOrRead) {
  const std::string whole =
      Bytes(*Parsed(kOrders), "Order",
            R"(id: 7 name: "name" price { currency: "EUR" notes: "n" } tags: "t" far: 300 at { seconds: 5 })");
  const std::vector<SourceColumn> columns = {
      At("id int64", "id"),    At("name string", "name"),     At("c string null", "price.currency"),
      At("tags json", "tags"), At("at timestamp null", "at"), At("far int64", "far")};
  OneByOne reader(kOrders, "Order", columns);
  for (size_t size = 0; size < whole.size(); ++size) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = whole;
      damaged[size] = static_cast<char>(damaged[size] ^ (1 << bit));
      EXPECT_FALSE(reader.Read(damaged).empty());
    }
    EXPECT_FALSE(reader.Read(whole.substr(0, size)).empty());
  }
}

// Everything in it is a column, so that the library has nothing to find that we pass over.
constexpr char kFlat[] = R"(syntax = "proto3";
enum State { NONE = 0; OPEN = 1; }
message Inner { sint64 units = 1; optional bytes note = 2; }
message Flat {
  int64 id = 1;
  optional int32 count = 2;
  State state = 3;
  Inner inner = 4;
  oneof paid { int64 cash = 5; Inner other = 6; bool free = 7; }
  fixed32 half = 8;
  double exact = 9;
  bytes raw = 16;
  uint64 far = 500;
}
)";

// What the library makes of it, as a row of ours would say it.
std::string ByTheLibrary(const google::protobuf::Message& flat) {
  const auto& type = *flat.GetDescriptor();
  const auto& what = *flat.GetReflection();
  const auto field = [](const google::protobuf::Message& of, const char* name) {
    return of.GetDescriptor()->FindFieldByName(name);
  };
  const auto units = [&](const char* name) {
    if (!what.HasField(flat, field(flat, name))) return std::string("null");
    const auto& inner = what.GetMessage(flat, field(flat, name));
    return absl::StrCat(inner.GetReflection()->GetInt64(inner, field(inner, "units")));
  };
  std::string note = "null";
  if (what.HasField(flat, field(flat, "inner"))) {
    const auto& inner = what.GetMessage(flat, field(flat, "inner"));
    if (inner.GetReflection()->HasField(inner, field(inner, "note"))) {
      note =
          absl::StrCat("\"", absl::Base64Escape(inner.GetReflection()->GetString(inner, field(inner, "note"))), "\"");
    }
  }
  const auto if_there = [&](const char* name, const std::string& text) {
    return what.HasField(flat, type.FindFieldByName(name)) ? text : std::string("null");
  };
  return absl::StrCat("{\"id\":", what.GetInt64(flat, field(flat, "id")),
                      ",\"count\":", if_there("count", absl::StrCat(what.GetInt32(flat, field(flat, "count")))),
                      ",\"state\":", what.GetEnumValue(flat, field(flat, "state")), ",\"units\":", units("inner"),
                      ",\"note\":", note,
                      ",\"cash\":", if_there("cash", absl::StrCat(what.GetInt64(flat, field(flat, "cash")))),
                      ",\"other\":", units("other"),
                      ",\"free\":", if_there("free", what.GetBool(flat, field(flat, "free")) ? "true" : "false"),
                      ",\"half\":", what.GetUInt32(flat, field(flat, "half")), ",\"raw\":\"",
                      absl::Base64Escape(what.GetString(flat, field(flat, "raw"))),
                      "\",\"far\":", what.GetUInt64(flat, field(flat, "far")), "}");
}

TEST_F(ProtobufCorpus, OfAnyBytesItMakesWhatTheLibraryMakes) {
  OneByOne reader(kFlat, "Flat",
                  {At("id int64", "id"), At("count int32 null", "count"), At("state int32", "state"),
                   At("units int64 null", "inner.units"), At("note bytes null", "inner.note"),
                   At("cash int64 null", "cash"), At("other int64 null", "other.units"), At("free bool null", "free"),
                   At("half int64", "half"), At("raw bytes", "raw"), At("far decimal(20,0)", "far")});
  google::protobuf::DynamicMessageFactory factory;
  const std::unique_ptr<google::protobuf::Message> flat(factory.GetPrototype(reader.schema().Named("Flat"))->New());
  std::vector<std::string> corpus;
  for (const char* text :
       {R"(id: -1 count: 0 state: OPEN inner { units: -3 note: "ab" } cash: 5 half: 7 exact: 1.5 raw: "xyz" far: 9)",
        "inner {} other { units: 4 }",
        "id: 9223372036854775807 free: true far: 18446744073709551615 count: -2147483648", ""}) {
    corpus.push_back(Bytes(reader.schema(), "Flat", text));
  }
  std::mt19937_64 random(20);
  const auto below = [&](size_t limit) { return static_cast<size_t>(random() % limit); };
  int rows = 0, same_refusals = 0;
  for (int round = 0; round < 30'000; ++round) {
    std::string value = corpus[below(corpus.size())];
    for (size_t change = below(4); change > 0; --change) {
      const size_t at = below(value.size() + 1);
      switch (below(5)) {
        case 0:
          value.insert(at, corpus[below(corpus.size())]);
          break;
        case 1:
          value.resize(at);
          break;
        case 2:
          value.insert(at, 1, static_cast<char>(random()));
          break;
        case 3:
          value.erase(at, 1 + below(3));
          break;
        default:
          if (at < value.size()) value[at] = static_cast<char>(random());
      }
    }
    const std::string ours = reader.Read(value);
    const bool parsed = flat->ParseFromString(value);
    if (ours.starts_with("{")) {
      ++rows;
      ASSERT_TRUE(parsed) << absl::BytesToHexString(value) << " is " << ours;
      ASSERT_EQ(ours, ByTheLibrary(*flat)) << absl::BytesToHexString(value);
    } else if (parsed) {
      // The library takes a field of another wire type for one that it doesn't know, and cuts a number that is too
      // long.
      ASSERT_THAT(ours, ::testing::AnyOf(HasSubstr("its wire type is another"), HasSubstr("more than 64 bits")))
          << absl::BytesToHexString(value);
    } else {
      ++same_refusals;
    }
  }
  EXPECT_GT(rows, 5'000);
  EXPECT_GT(same_refusals, 5'000);
}

TEST_F(ProtobufCorpus, WhatDoesntFitIsSaidOnceItComes) {
  EXPECT_EQ(One("c int64 null", "tags", "id: 1"), R"({"c":null})");
  EXPECT_EQ(One("c int64 null", "tags", R"(tags: "x")"), "column c: expected int64, found repeated string");
  EXPECT_EQ(One("c int64 null", "name", ""), "column c: expected int64, found string");
  EXPECT_EQ(One("c int64 null", "name.first", R"(name: "x")"),
            "column c: expected a message on its path, found string");
  EXPECT_EQ(One("c int64 null", "nowhere", R"(name: "x")"), R"({"c":null})");
  SourceColumn tolerant = At("c int32 null", "id");
  tolerant.on_error = SourceColumn::OnError::kNull;
  EXPECT_EQ(ReadOrder({tolerant}, "id: 3000000000"), R"({"c":null})");
}

TEST_F(ProtobufCorpus, OneFieldMayBeManyColumns) {
  EXPECT_EQ(ReadOrder({At("a int64", "id"), At("b double", "id"), At("p json", "price"), At("u int64", "price.units")},
                      "id: 4 price { units: 2 }"),
            R"({"a":4,"b":4,"p":{"currency":"","units":"2","notes":[]},"u":2})");
}

TEST_F(ProtobufCorpus, MessagesOfProto2AreReadToo) {
  const std::string bytes = Bytes(*Parsed(kOld), "Old", "must: 1 Part { n: 3 } after: 2");
  EXPECT_EQ(
      Read(kOld, "Old", {At("must int32", "must"), At("word string null", "word"), At("after int32", "after")}, bytes),
      R"({"must":1,"word":null,"after":2})");
  EXPECT_THAT(Read(kOld, "Old", {At("n int32 null", "part.n")}, bytes), HasSubstr("found group"));
}

}  // namespace
}  // namespace tidemark
