// How a topology says formats, and what is refused of them, with its place.
#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <absl/strings/str_cat.h>

#include "src/codec/avro/format.h"
#include "tests/unit/plan/plan_text.h"

namespace tidemark {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string Source(const std::string& fields) {
  return "name: x\nsources: { a: { topic: a, " + fields + " } }\nsinks: { s: { from: a, topic: b } }\n";
}

std::string Sink(const std::string& fields, const std::string& columns = "k: int64, v: string") {
  return "name: x\nsources: { a: { topic: a, columns: { " + columns + " } } }\nsinks: { s: { from: a, topic: b, " +
         fields + " } }\n";
}

TEST(FormatsInTopologies, AFormatIsANameOrAMapping) {
  const auto plain = PlanOf(Source("format: text, columns: { line: string, k: { type: int64, from: key } }"));
  ASSERT_TRUE(plain.ok()) << plain.status();
  EXPECT_EQ(plain->sources[0].format, FormatSpec("text"));
  EXPECT_EQ(plain->sources[0].key_format, FormatSpec("text"));
  EXPECT_THAT(plain->sources[0].columns[0].path, ElementsAre());
  const auto mapping = PlanOf(Source("format: { type: json, array: true }, columns: { n: int64 }"));
  ASSERT_TRUE(mapping.ok()) << mapping.status();
  EXPECT_TRUE(mapping->sources[0].format.Is("array"));
  EXPECT_EQ(mapping->sources[0].format.ToString(), "json (array 'true')");
}

TEST(FormatsInTopologies, WhatAFormatCantDoIsRefusedWithItsPlace) {
  EXPECT_THAT(ErrorsOf(Source("format: jsn, columns: { n: int64 }")),
              HasSubstr("t.yaml:2:35: unknown format 'jsn' (did you mean 'json'?)"));
  EXPECT_THAT(ErrorsOf(Source("format: { type: text, array: true }, columns: { n: int64 }")),
              HasSubstr("format text has no option 'array'; it has none"));
  EXPECT_THAT(ErrorsOf(Source("format: { type: json, aray: true }, columns: { n: int64 }")),
              HasSubstr("unknown field 'aray' (did you mean 'array'?)"));
  EXPECT_THAT(ErrorsOf(Source("format: { array: true }, columns: { n: int64 }")), HasSubstr("missing field 'type'"));
  EXPECT_THAT(ErrorsOf(Source("format: text, columns: { a: string, b: string }")),
              HasSubstr("a text value holds one column, not 2 (a, b)"));
  EXPECT_THAT(ErrorsOf(Source("format: text, columns: { a: { type: string, path: x.y } }")),
              HasSubstr("it has no paths"));
  EXPECT_THAT(ErrorsOf(Source("format: bytes, columns: { a: string }")),
              HasSubstr("a bytes value holds a column of type bytes, not string"));
  EXPECT_THAT(ErrorsOf(Source("format: text, columns: { a: { type: string, from: key } }")),
              HasSubstr("format has no use here"));
  EXPECT_THAT(ErrorsOf(Source("key_format: { type: json, array: true }, columns: { a: { type: string, from: key } }")),
              HasSubstr("array is for values that are read"));
}

TEST(FormatsInTopologies, ASinkOfOneColumnWritesTheOneBesideTheKey) {
  const auto plan = PlanOf(Sink("format: text, key: [k]"));
  ASSERT_TRUE(plan.ok()) << plan.status();
  const auto& spec = std::get<KafkaSinkSpec>(plan->sinks[0].spec);
  EXPECT_THAT(spec.value, ElementsAre(1u));
  EXPECT_EQ(spec.format, FormatSpec("text"));
  EXPECT_THAT(ErrorsOf(Sink("format: text")),
              HasSubstr("a text value holds one column, not 2 (k, v); leave the others out in a project step"));
  EXPECT_THAT(ErrorsOf(Sink("format: text, key: [k, v], key_format: json")),
              HasSubstr("a text value holds one column, and all are in `key`"));
  EXPECT_THAT(ErrorsOf(Sink("format: text, key: [k]", "k: int64, v: { type: string, nullable: true }")),
              HasSubstr("column v can be null, which a text value can't say"));
  EXPECT_THAT(ErrorsOf(Sink("format: { type: json, array: false }")), HasSubstr("array is for values that are read"));
}

TEST(FormatsInTopologies, AvroNeedsARegistryOrAFileThatItsColumnsFit) {
  const std::string file = "format: { type: avro, schema_file: examples/avro/order.avsc }, ";
  EXPECT_EQ(ErrorsOf(Source(file + "columns: { order_id: int64, n: { type: string, path: customer.name } }")), "");
  EXPECT_THAT(ErrorsOf(Source(file + "columns: { order: int64 }")), HasSubstr("column order: the schema has no field"));
  EXPECT_THAT(ErrorsOf(Source(file + "columns: { lines: string }")),
              HasSubstr("column lines: expected string, found array"));
  EXPECT_THAT(ErrorsOf(Source("format: { type: avro, schema_file: none.avsc }, columns: { a: int64 }")),
              HasSubstr("schema file none.avsc can't be read"));
  EXPECT_THAT(ErrorsOf(Source("format: avro, columns: { a: int64 }")),
              HasSubstr("format avro finds schemas in a registry, which `schema_registry: http://HOST:PORT` names"));
  EXPECT_EQ(ErrorsOf("schema_registry: http://localhost:8081\n" + Source("format: avro, columns: { a: int64 }")), "");
  EXPECT_THAT(ErrorsOf("schema_registry: localhost\n" + Source("format: avro, columns: { a: int64 }")),
              HasSubstr("expected http://HOST:PORT or https://HOST:PORT, found 'localhost'"));
  EXPECT_THAT(ErrorsOf(Source("format: { type: avro, schema_id: none }, columns: { a: int64 }")),
              HasSubstr("records that name no schema need a schema_file"));
  EXPECT_THAT(ErrorsOf(Source("key_format: debezium, columns: { a: { type: int64, from: key } }")),
              HasSubstr("key_format 'debezium' isn't one that keys are read in"));
  EXPECT_THAT(ErrorsOf(Source("key_format: avro, columns: { a: { type: int64, from: key } }")),
              HasSubstr("format avro finds schemas in a registry"));
  EXPECT_THAT(ErrorsOf(Source("key_format: { type: protobuf, schema_id: header }, columns: { a: { type: int64, from: "
                              "key } }")),
              HasSubstr("`schema_id: header` is for values"));
}

TEST(FormatsInTopologies, ColumnsAreTakenFromASchema) {
  const std::string file = "format: { type: avro, schema_file: examples/avro/order.avsc";
  const auto plan = PlanOf(Source(file + " }, columns: from_schema"));
  ASSERT_TRUE(plan.ok()) << plan.status();
  const std::string columns =
      "order_id int64, customer_name string, customer_email string null, amount decimal(12,2), ordered timestamp";
  EXPECT_EQ(plan->sources[0].schema().ToString(), columns);
  const auto nested = PlanOf(Source(file + ", nested: json }, columns: from_schema"));
  ASSERT_TRUE(nested.ok()) << nested.status();
  EXPECT_EQ(nested->sources[0].schema().ToString(), columns + ", lines json");
  EXPECT_THAT(ErrorsOf(Source("key_format: { type: avro, nested: json }, columns: { a: { type: int64, from: key } }")),
              HasSubstr("nested is for values that are read"));
  EXPECT_THAT(plan->sources[0].columns[1].path, ElementsAre("customer", "name"));
  EXPECT_THAT(ErrorsOf(Source("columns: from_schema")),
              HasSubstr("from_schema: neither schema_registry nor schema_file says a schema"));
  EXPECT_THAT(ErrorsOf(Source("format: csv, columns: from_schema")),
              HasSubstr("from_schema: csv has no schema that columns could be taken from"));
  EXPECT_THAT(ErrorsOf(Source("format: avro, columns: from_schema")),
              HasSubstr("from_schema: neither schema_registry nor schema_file says a schema"));
  EXPECT_THAT(ErrorsOf(Source("columns: from_shema")), HasSubstr("expected a mapping"));
}

// As one of the registry is made, which answers so.
absl::Status PlannedWith(const absl::Status& answer, const std::string& yaml) {
  const auto avro =
      MakeAvroFormat([&](const RegistrySpec&, const std::string&) -> absl::StatusOr<WrittenSchema> { return answer; });
  FormatList formats = OwnFormats().list();
  std::replace_if(formats.begin(), formats.end(), [](const auto* f) { return f->name() == "avro"; }, avro.get());
  return PlanFromYaml(yaml, "t.yaml", Operators(), formats, [](const std::string&) { return std::nullopt; }).status();
}

TEST(FormatsInTopologies, ARegistryThatIsAwayIsNoMistakeOfTheTopology) {
  const std::string yaml = "schema_registry: http://localhost:1\n" +
                           Source("format: avro, columns: from_schema, event_time: { column: at }");
  const absl::Status away = PlannedWith(absl::UnavailableError("no answer"), yaml);
  EXPECT_EQ(away.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(away.message(), "t.yaml:3:50: from_schema: no answer");
  EXPECT_EQ(PlannedWith(absl::InvalidArgumentError("no such subject"), yaml).code(),
            absl::StatusCode::kInvalidArgument);
  // What is wrong all the same is said as such.
  EXPECT_EQ(PlannedWith(absl::UnavailableError("no answer"), "nam: x\n" + yaml).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(FormatsInTopologies, ProtobufColumnsFitTheMessageOfItsFile) {
  const std::string file = "schema_file: examples/protobuf/order.proto";
  const auto source = [&](const std::string& more, const std::string& columns) {
    return ErrorsOf(Source("format: { type: protobuf, " + file + more + " }, columns: " + columns));
  };
  EXPECT_EQ(source(", message: Order", "{ order_id: int64, n: { type: string, path: customer.name, nullable: true } }"),
            "");
  EXPECT_EQ(source("", "{ name: string }"), "");
  EXPECT_THAT(source("", "{ order_id: int64 }"), HasSubstr("message shop.Customer has no field order_id"));
  EXPECT_THAT(source(", message: shop.Order", "{ tags: string }"), HasSubstr("expected string, found repeated string"));
  EXPECT_THAT(source(", message: Ordre", "{ a: int64 }"), HasSubstr("there are: shop.Customer, shop.Order"));
  EXPECT_THAT(ErrorsOf(Source("format: { type: protobuf, schema_file: none.proto }, columns: { a: int64 }")),
              HasSubstr("schema file none.proto can't be read"));
  EXPECT_THAT(ErrorsOf(Source("format: protobuf, columns: { a: int64 }")), HasSubstr("finds schemas in a registry"));
  const auto plan = PlanOf(Source("format: { type: protobuf, " + file + ", message: Order }, columns: from_schema"));
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->sources[0].schema().ToString(),
            "order_id int64, customer_name string null, customer_email string null, amount double, ordered "
            "timestamp null, tags json");
}

TEST(FormatsInTopologies, AProtobufSinkHasFieldsForItsColumns) {
  const auto plan = PlanOf(Sink("format: { type: protobuf, schema_id: none }"));
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(std::get<KafkaSinkSpec>(plan->sinks[0].spec).format.Option("message"), "b");
  EXPECT_THAT(ErrorsOf(Sink("format: { type: protobuf, schema_id: none }", "a-b: int64")),
              HasSubstr("column 'a-b' can't be a field of Protobuf"));
  EXPECT_THAT(ErrorsOf(Sink("format: { type: protobuf, schema_id: none }", "a_b: int64, aB: int64")),
              HasSubstr("the columns make no schema"));
  const std::string file =
      "format: { type: protobuf, schema_id: none, schema_file: examples/protobuf/order.proto, message: ";
  EXPECT_EQ(ErrorsOf(Sink(file + "Order }", "order_id: int32, amount: double")), "");
  EXPECT_THAT(ErrorsOf(Sink(file + "Order }", "order_id: double")), HasSubstr("a double isn't written as int64"));
  EXPECT_THAT(ErrorsOf(Sink(file + "Order }", "order: int64")), HasSubstr("message shop.Order has no such field"));
}

TEST(FormatsInTopologies, JsonMayNameItsSchemas) {
  const std::string registry = "schema_registry: http://localhost:8081\n";
  EXPECT_EQ(ErrorsOf(registry + Source("format: { type: json, schema_id: header }, columns: { a: int64 }")), "");
  EXPECT_THAT(ErrorsOf(Source("format: { type: json, schema_id: prefix }, columns: { a: int64 }")),
              HasSubstr("format json finds schemas in a registry"));
  EXPECT_THAT(ErrorsOf(Source("format: { type: json, subject: x }, columns: { a: int64 }")),
              HasSubstr("subject is for values that are written"));
  EXPECT_THAT(ErrorsOf(registry + Source("key_format: { type: json, schema_id: prefix }, columns: { a: { type: int64, "
                                         "from: key } }")),
              HasSubstr("schema_id is for values"));
  const auto plan = PlanOf(registry + Sink("format: { type: json, schema_id: prefix }"));
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(std::get<KafkaSinkSpec>(plan->sinks[0].spec).format.Option("subject"), "b-value");
  EXPECT_THAT(ErrorsOf(registry + Sink("format: { type: json, schema_id: header }")),
              HasSubstr("isn't implemented for sinks"));
  for (const char* format : {"json", "avro", "protobuf"}) {
    EXPECT_THAT(ErrorsOf(Sink(std::string("format: { type: ") + format + ", schema_id: none, subject: x }")),
                HasSubstr("without `schema_id: prefix` no schema is registered"));
  }
}

TEST(FormatsInTopologies, AnAvroSinkHasNamesThatAvroTakes) {
  const auto plan = PlanOf(Sink("format: { type: avro, schema_id: none }"));
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(std::get<KafkaSinkSpec>(plan->sinks[0].spec).format.Option("record"), "b");
  EXPECT_THAT(ErrorsOf(Sink("format: { type: avro, schema_id: none }", "a-b: int64")),
              HasSubstr("column 'a-b' can't be a field of Avro"));
  EXPECT_THAT(ErrorsOf(Sink("format: { type: avro, schema_id: none, record: 1x }")), HasSubstr("isn't a name of Avro"));
  EXPECT_THAT(ErrorsOf(Sink("format: avro")), HasSubstr("or say schema_id: none"));
  EXPECT_THAT(ErrorsOf(Sink("format: { type: avro, schema_id: header }")), HasSubstr("isn't implemented for sinks"));
}

TEST(FormatsInTopologies, WritersOfOneTopicAgreeInFormat) {
  const std::string two = Sink("format: text, key: [k] }, t: { from: a, topic: b, key: [k]");
  EXPECT_THAT(ErrorsOf(two), HasSubstr("with format: json, sink s with format: text"));
}

TEST(FormatsInTopologies, CsvAndPrimitivesSayWhatTheyHold) {
  EXPECT_EQ(ErrorsOf(Source(
                "format: { type: csv, delimiter: \";\" }, columns: { a: int64, b: { type: string, path: \"4\" } }")),
            "");
  EXPECT_THAT(ErrorsOf(Source("format: { type: csv, delimiter: \"||\" }, columns: { a: int64 }")),
              HasSubstr("t.yaml:2:59: a delimiter is one character of ASCII"));
  EXPECT_THAT(ErrorsOf(Source("format: csv, columns: { a: { type: int64, path: b } }")),
              HasSubstr("without a header a path is the field's place"));
  EXPECT_THAT(ErrorsOf(Source("format: { type: csv, header: true }, columns: { a: { type: int64, path: b.c } }")),
              HasSubstr("a csv value has no nested paths"));
  EXPECT_THAT(ErrorsOf(Source("key_format: csv, columns: { a: { type: string, from: key } }")),
              HasSubstr("key_format 'csv' isn't one that keys are read in; there are: json, text, bytes"));
  EXPECT_THAT(ErrorsOf(Sink("format: csv", "v: { type: string, nullable: true }")), HasSubstr("null_text: NULL"));
  EXPECT_THAT(ErrorsOf(Sink("format: { type: csv, quote: \"\" }")), HasSubstr("a sink can't do without"));
  EXPECT_THAT(ErrorsOf(Source("format: int64, columns: { a: int32 }")),
              HasSubstr("an int64 value holds int64, not int32"));
  EXPECT_THAT(ErrorsOf(Sink("format: float", "v: double")),
              HasSubstr("format 'float' isn't one that values are written in"));
}

TEST(FormatsInTopologies, ReadingsThatWouldDoNothingAreRefused) {
  EXPECT_THAT(ErrorsOf(Source("columns: { a: { type: date, coerce: true } }")),
              HasSubstr("there is nothing to coerce to date"));
  EXPECT_THAT(ErrorsOf(Source("columns: { a: { type: timestamp, coerce: true } }")),
              HasSubstr("say how it is written with timestamp_format"));
  EXPECT_THAT(ErrorsOf(Source("coerce: true, columns: { a: date }")), HasSubstr("coerce has no use here"));
  EXPECT_THAT(ErrorsOf(Source("columns: { a: { type: timestamp_ms, timestamp_format: \"%Y\" } }")),
              HasSubstr("goes with a column of type timestamp that is read as text, not timestamp_ms"));
  EXPECT_THAT(ErrorsOf(Source("columns: { a: { type: timestamp, timestamp_format: \"%H:%M\" } }")),
              HasSubstr("doesn't tell day, month and year"));
  EXPECT_THAT(ErrorsOf(Source("columns: { a: { type: timestamp, time_zone: Asia/Damascus } }")),
              HasSubstr("time_zone goes with timestamp_format"));
  EXPECT_THAT(ErrorsOf(Source("timestamp_format: \"%d/%m/%Y\", time_zone: Asia/Damaskus, columns: { a: timestamp }")),
              HasSubstr("there is no time zone 'Asia/Damaskus'"));
  EXPECT_THAT(ErrorsOf(Source("timestamp_format: \"%d/%m/%Y\", columns: { a: int64 }")),
              HasSubstr("timestamp_format has no use here"));
  EXPECT_THAT(ErrorsOf(Source("columns: { a: { type: int64, from: value } }")),
              HasSubstr("a column from: value is string or bytes"));
}

TEST(FormatsInTopologies, ReadingsThatAFormatDoesntHonourAreRefusedByItsName) {
  const std::string avro = "format: { type: avro, schema_file: examples/avro/order.avsc }, ";
  EXPECT_THAT(ErrorsOf(Source(avro + "columns: { order_id: { type: int64, coerce: true } }")),
              HasSubstr("format avro has values of their own types: there is nothing to coerce"));
  EXPECT_THAT(ErrorsOf(Source(avro + "coerce: true, columns: { order_id: int64 }")),
              HasSubstr("coerce has no use here"));
  // It has texts beside it.
  EXPECT_EQ(ErrorsOf(Source(avro + "coerce: true, columns: { order_id: int64, k: { type: int64, from: key } }")), "");
  const std::string debezium =
      "format: debezium, key: [id], columns: { id: int64, at: { type: timestamp, as: IsoTimestamp";
  EXPECT_EQ(ErrorsOf(Source(debezium + " } }")).find("timestamp_format"), std::string::npos);
  EXPECT_THAT(ErrorsOf(Source(debezium + ", timestamp_format: \"%Y%m%d\" } }")),
              HasSubstr("format debezium says itself how timestamps are written"));
  EXPECT_THAT(ErrorsOf(Source("timestamp_format: \"%Y%m%d\", " + debezium + " } }")),
              HasSubstr("timestamp_format has no use here"));
  EXPECT_THAT(ErrorsOf(Source("format: debezium, key: [id], columns: { id: { type: int64, coerce: true } }")),
              HasSubstr("format debezium has values of their own types"));
  EXPECT_THAT(ErrorsOf(Source("key_format: int32, columns: { k: { type: int64, from: key, coerce: true }, v: int64 }")),
              HasSubstr("format int32 has values of their own types"));
  EXPECT_EQ(ErrorsOf(Source("format: text, columns: { v: { type: int64, coerce: true } }")), "");
}

TEST(FormatsInTopologies, APromiseIsProvenOnlyByKeysOfOneForm) {
  const auto promised = [](const std::string& column, const std::string& more = "") {
    return ErrorsOf(Source(more + "partitioned_by: [k], columns: { k: { from: key, " + column + " } }"));
  };
  EXPECT_EQ(promised("type: int64"), "");
  EXPECT_EQ(promised("type: string", "key_format: string, "), "");
  EXPECT_EQ(promised("type: timestamp_ms", "key_format: json, "), "");
  EXPECT_THAT(promised("type: int64, coerce: true"),
              HasSubstr("equal values of k may have different keys (it is coerced"));
  EXPECT_THAT(promised("type: int64", "coerce: true, "), HasSubstr("leave partitioned_by out"));
  EXPECT_EQ(promised("type: int64, coerce: false", "timestamp_format: \"%Y%m%d\", ").find("partitioned_by"),
            std::string::npos);
  EXPECT_THAT(promised("type: string", "key_format: uuid, "), HasSubstr("a UUID has digits of either size"));
  for (const char* format : {"double", "float", "json"}) {
    EXPECT_THAT(promised("type: double", absl::StrCat("key_format: ", format, ", ")), HasSubstr("equal doubles"));
  }
  EXPECT_THAT(promised("type: \"decimal(6,2)\"", "key_format: json, "), HasSubstr("equal decimals"));
  EXPECT_THAT(promised("type: timestamp", "key_format: json, "), HasSubstr("written in several ways"));
  // Nobody reads the key, but it is said to be the column.
  EXPECT_THAT(ErrorsOf(Source("key_format: uuid, partitioned_by: [k], columns: { k: string }")),
              HasSubstr("leave partitioned_by out"));
  // A number of a schema stands in front of the value.
  const auto framed = [&](const std::string& format) {
    return ErrorsOf(
        "schema_registry: http://localhost:8081\n" +
        Source("key_format: " + format + ", partitioned_by: [k], columns: { k: { from: key, type: int64 } }"));
  };
  for (const char* format : {"avro", "protobuf"}) {
    EXPECT_THAT(framed(format), HasSubstr("the number of its schema is a part of a key in"));
  }
  EXPECT_EQ(framed("{ type: avro, schema_id: none, schema_file: k.avsc }").find("partitioned_by"), std::string::npos);
  // Taken on trust.
  EXPECT_EQ(ErrorsOf(Source("partitioned_by: [k], columns: { k: double }")), "");
  // A part of a key proves nothing: rows that are equal in it lie wherever the rest has them.
  const std::string two = "columns: { k: { type: int64, from: key }, l: { type: string, from: key }, v: int64 }";
  EXPECT_THAT(ErrorsOf(Source("key_format: json, partitioned_by: [k], " + two)),
              AllOf(HasSubstr("l is in it as well"), HasSubstr("all of its columns (k, l)")));
  EXPECT_EQ(ErrorsOf(Source("key_format: json, partitioned_by: [l, k], " + two)), "");
  EXPECT_EQ(ErrorsOf(Source("key_format: json, partitioned_by: [k, v], " + two)), "") << "taken on trust";
}

TEST(FormatsInTopologies, TheRawValueGoesWithOneRowARecord) {
  const std::string columns = "columns: { a: int64, raw: { type: bytes, from: value } }";
  EXPECT_EQ(ErrorsOf(Source(columns)), "");
  EXPECT_EQ(ErrorsOf(Source("format: { type: json, array: false }, " + columns)), "");
  EXPECT_THAT(ErrorsOf(Source("format: { type: json, array: true }, " + columns)),
              HasSubstr("a record of format json (array 'true') has several rows, and each would hold the whole"));
  EXPECT_THAT(ErrorsOf(Source("format: csv, " + columns)), HasSubstr("a record of format csv has several rows"));
}

TEST(FormatsInTopologies, TheRawValueOfAFileIsAnObjectThatStandsThere) {
  const auto files = [](const std::string& format) {
    return ErrorsOf("name: x\nsources: { a: { files: { path: \"in/*\", whole: renamed, order: unordered" + format +
                    " }, columns: { raw: { type: string, from: value } } } }\nsinks: { s: { from: a, topic: b } }\n");
  };
  EXPECT_EQ(files(", format: jsonl"), "");
  EXPECT_EQ(files(", format: json"), "");
  for (const char* format : {", format: csv", ", format: parquet", ""}) {
    EXPECT_THAT(files(format), HasSubstr("rows of csv, xml and parquet files have no value of their own")) << format;
  }
}

TEST(FormatsInTopologies, EventTimeIsAColumnOrAnExpression) {
  const auto plan = PlanOf(Source("columns: { t: double }, event_time: { expression: \"to_timestamp(t)\" }"));
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->sources[0].event_time.expression, "to_timestamp(t)");
  EXPECT_THAT(ErrorsOf(Source("columns: { t: timestamp }, event_time: { column: t, expression: t }")),
              HasSubstr("either a column or an expression"));
  EXPECT_THAT(ErrorsOf(Source("columns: { t: double }, event_time: { expression: t }")),
              HasSubstr("event time is a timestamp, this is double"));
  EXPECT_THAT(ErrorsOf(Source("columns: { t: double }, event_time: { expression: to_timestamp(u) }")),
              HasSubstr("t.yaml:2:"));
}

TEST(FormatsInTopologies, ExpectHasRulesOverRowsThatStand) {
  const auto expect = [](const std::string& rules) {
    return ErrorsOf(Clicks("  e: { from: clicks, expect: " + rules + " }\n", "e"));
  };
  EXPECT_EQ(expect("{ cheap: { that: \"price < 10\" }, known: { that: url is not null, else: warn } }"), "");
  EXPECT_THAT(expect("{ cheap: { that: \"price\" } }"), HasSubstr("expected a condition (bool), this is double"));
  EXPECT_THAT(expect("{ cheap: { that: \"prise < 10\" } }"), HasSubstr("prise"));
  EXPECT_THAT(expect("{ cheap: { else: drop } }"), HasSubstr("missing field 'that'"));
  EXPECT_THAT(expect("{ cheap: { that: \"price < 10\", else: skip } }"), HasSubstr("unknown else 'skip'"));
  EXPECT_EQ(expect("{ cheap: { that: \"price < 10\", at_most: 1% per 5m } }"), "");
  EXPECT_THAT(expect("{ }"), HasSubstr("at least one rule is needed"));
}

}  // namespace
}  // namespace tidemark
