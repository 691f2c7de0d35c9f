// Debezium records as they are written by its PostgreSQL and MySQL connectors, with and without the schema part.
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <arrow/array.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/codec/debezium/change.h"
#include "src/codec/debezium/encoding.h"
#include "src/codec/json/value_writer.h"
#include "src/codec/source_decoder.h"
#include "tests/unit/codec/codec_fixture.h"

namespace tidemark::codec_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

SourceColumn Beside(std::string_view declaration, std::vector<std::string> path) {
  SourceColumn column = Col(declaration);
  column.from = SourceColumn::From::kBeside;
  column.path = std::move(path);
  return column;
}

SourcePlan Orders(std::vector<SourceColumn> columns, std::map<std::string, std::string> options = {}) {
  SourcePlan plan = PlanOf(std::move(columns));
  plan.format = "debezium";
  for (auto& [option, value] : options) plan.format.options[option] = value;
  plan.key = plan.partitioned_by = {0};
  plan.columns.push_back(Beside("__change bytes", {kChangeColumn}));
  return plan;
}

struct Read {
  std::vector<std::string> rows;  // as JSON, without kChangeColumn
  std::vector<Change> changes;    // views into `texts`
  std::vector<std::string> texts;
  std::vector<std::string> errors;  // "position: reason"
  std::vector<std::string> unnamed;
  std::vector<int64_t> times;
  EventTime max_time;
  int64_t empty = 0;
  absl::Status status;
};

Read Decode(const SourcePlan& plan, std::vector<Rec> records) {
  Read out;
  auto decoder = SourceDecoder::Make(plan);
  if (!decoder.ok()) {
    out.status = decoder.status();
    return out;
  }
  FakeFetch fetch(std::move(records));
  SourceTime time;
  auto decoded = (*decoder)->Decode(fetch, 0, 0, &time);
  out.max_time = time.max_time;
  out.status = decoded.status();
  if (!decoded.ok()) return out;
  for (int64_t i = 0; i < decoded->rows->num_rows(); ++i) {
    out.rows.push_back(RowToJson(plan.rows(), *decoded->rows, i));
    const int c = static_cast<int>(plan.columns.size()) - 1;
    out.texts.push_back(std::static_pointer_cast<arrow::BinaryArray>(decoded->rows->column(c))->GetString(i));
    out.times.push_back(HiddenInt64(*decoded->rows, Hidden::kTime)[i]);
  }
  for (const std::string& text : out.texts) {
    std::string_view bytes = text;
    EXPECT_TRUE(TakeChange(&bytes, &out.changes.emplace_back()));
  }
  for (const DecodeError& error : decoded->errors) out.errors.push_back(absl::StrCat(error.record, ": ", error.reason));
  out.unnamed = decoded->unnamed;
  out.empty = decoded->empty_records;
  return out;
}

std::string Field(const std::string& name, const std::string& type, const std::string& meaning = "",
                  const std::string& more = "") {
  return absl::StrCat("{\"type\":\"", type, "\",\"optional\":true",
                      meaning.empty() ? "" : absl::StrCat(",\"name\":\"", meaning, "\",\"version\":1"), more,
                      ",\"field\":\"", name, "\"}");
}

// A record with its schema part. `fields`: of a row, besides id int64.
std::string Full(const std::vector<std::string>& fields, const std::string& payload) {
  const std::string row = absl::StrCat("{\"type\":\"int64\",\"optional\":false,\"field\":\"id\"}",
                                       fields.empty() ? "" : ",", absl::StrJoin(fields, ","));
  return absl::StrCat(
      R"({"schema":{"type":"struct","fields":[{"type":"struct","fields":[)", row,
      R"(],"optional":true,"name":"s.public.orders.Value","field":"before"},{"type":"struct","fields":[)", row,
      R"(],"optional":true,"name":"s.public.orders.Value","field":"after"}],"optional":false,)",
      R"("name":"s.public.orders.Envelope","version":2},"payload":)", payload, "}");
}

std::string Postgres(int64_t lsn, int64_t ts_ms = 1'767'225'600'000, const std::string& snapshot = "false") {
  return absl::StrCat(R"({"version":"3.6.1.Final","connector":"postgresql","name":"s","ts_ms":)", ts_ms,
                      R"(,"snapshot":")", snapshot, R"(","db":"shop","sequence":"[\"1\",\"2\"]","ts_us":)",
                      ts_ms * 1000 + 7, R"(,"schema":"public","table":"orders","txId":771,"lsn":)", lsn,
                      R"(,"xmin":null})");
}

std::string Payload(const std::string& op, const std::string& before, const std::string& after,
                    const std::string& source) {
  return absl::StrCat("{\"before\":", before, ",\"after\":", after, ",\"source\":", source,
                      ",\"transaction\":null,\"op\":\"", op, "\",\"ts_ms\":1767225600123,\"ts_us\":1767225600123456}");
}

Rec Record(std::string value, std::string key = R"({"schema":{"type":"struct"},"payload":{"id":1}})") {
  return {.value = std::move(value), .key = std::move(key)};
}

TEST(Debezium, ARowIsWhatItIsAfterTheChangeAndADeletionItsKey) {
  const SourcePlan plan =
      Orders({Col("id int64"), Col("name string"), Beside("op string", {"op"}), Beside("lsn int64", {"source", "lsn"}),
              Beside("at timestamp_us", {"source", "ts_us"}), Beside("snapshot string", {"source", "snapshot"}),
              Beside("tx string null", {"transaction", "id"})});
  const std::vector<std::string> fields = {Field("name", "string")};
  const Read read = Decode(
      plan,
      {Record(Full(fields, Payload("r", "null", R"({"id":1,"name":"a"})", Postgres(90, 1'767'225'600'000, "first")))),
       Record(Full(fields, Payload("c", "null", R"({"id":2,"name":"b"})", Postgres(91)))),
       Record(Full(fields, Payload("u", R"({"id":2,"name":"b"})", R"({"name":"c","id":2})", Postgres(92)))),
       Record(Full(fields, Payload("d", R"({"id":2,"name":null})", "null", Postgres(93)))),
       {.value = std::nullopt, .key = "{}"}});
  ASSERT_TRUE(read.status.ok()) << read.status;
  EXPECT_THAT(read.errors, IsEmpty());
  EXPECT_EQ(read.empty, 1) << "the tombstone";
  ASSERT_EQ(read.rows.size(), 4u);
  EXPECT_EQ(read.rows[0],
            R"({"id":1,"name":"a","op":"r","lsn":90,"at":1767225600000007,"snapshot":"first","tx":null})");
  EXPECT_THAT(read.rows[2], HasSubstr(R"({"id":2,"name":"c","op":"u","lsn":92)"));
  EXPECT_THAT(read.rows[3], HasSubstr(R"({"id":2,)"));
  EXPECT_TRUE(read.changes[0].snapshot);
  EXPECT_FALSE(read.changes[0].deletes);
  EXPECT_FALSE(read.changes[2].snapshot);
  EXPECT_TRUE(read.changes[3].deletes);
  EXPECT_EQ(read.changes[3].committed_us, 1'767'225'600'000'007);
  EXPECT_TRUE(read.changes[1].IsBefore(read.changes[2]));
  EXPECT_FALSE(read.changes[2].IsBefore(read.changes[1]));
}

TEST(Debezium, WhatIsBesideTheRowMayBeOfEitherConnector) {
  const SourcePlan plan =
      Orders({Col("id int64"), Beside("file string", {"source", "file"})}, {{"schema_part", "none"}});
  const auto mysql = [](const std::string& file, int64_t pos, int row, int64_t ts_ms) {
    return Record(Payload("u", "null", R"({"id":1})",
                          absl::StrCat(R"({"connector":"mysql","ts_ms":)", ts_ms, R"(,"file":")", file, R"(","pos":)",
                                       pos, R"(,"row":)", row, "}")));
  };
  const Read read = Decode(plan, {mysql("bin.999999", 900, 0, 5), mysql("bin.999999", 900, 1, 5),
                                  mysql("bin.1000000", 4, 0, 5), mysql("bin.000001", 4, 0, 9)});
  ASSERT_EQ(read.rows.size(), 4u) << absl::StrJoin(read.errors, "\n");
  EXPECT_EQ(read.rows[0], R"({"id":1,"file":"bin.999999"})");
  EXPECT_TRUE(read.changes[0].IsBefore(read.changes[1]));
  EXPECT_TRUE(read.changes[1].IsBefore(read.changes[2]));
  EXPECT_FALSE(read.changes[3].IsBefore(read.changes[2])) << "a smaller place, later: another server";
}

TEST(Debezium, TheSchemaPartSaysHowValuesAreWritten) {
  std::vector<SourceColumn> columns = {Col("id int64"),
                                       Col("d date null"),
                                       Col("ms timestamp null"),
                                       Col("us timestamp null"),
                                       Col("ns timestamp null"),
                                       Col("z timestamp_ms null"),
                                       Col("t string null"),
                                       Col("n decimal(12,2) null"),
                                       Col("v decimal(12,4) null"),
                                       Col("s decimal(12,2) null"),
                                       Col("f double null"),
                                       Col("e string null"),
                                       Col("u string null"),
                                       Col("b bytes null"),
                                       Col("y int32 null"),
                                       Col("ok bool null")};
  const std::vector<std::string> fields = {
      Field("d", "int32", "io.debezium.time.Date"),
      Field("ms", "int64", "io.debezium.time.Timestamp"),
      Field("us", "int64", "io.debezium.time.MicroTimestamp"),
      Field("ns", "int64", "io.debezium.time.NanoTimestamp"),
      Field("z", "string", "io.debezium.time.ZonedTimestamp"),
      Field("t", "int64", "io.debezium.time.MicroTime"),
      Field("n", "bytes", "org.apache.kafka.connect.data.Decimal", R"(,"parameters":{"scale":"2"})"),
      Field("v", "struct", "io.debezium.data.VariableScaleDecimal",
            R"(,"fields":[{"type":"int32","field":"scale"},{"type":"bytes","field":"value"}])"),
      Field("s", "string"),
      Field("f", "double"),
      Field("e", "string", "io.debezium.data.Enum", R"(,"parameters":{"allowed":"x,y"})"),
      Field("u", "string", "io.debezium.data.Uuid"),
      Field("b", "bytes"),
      Field("y", "int32", "io.debezium.time.Year"),
      Field("ok", "boolean")};
  const Read read =
      Decode(Orders(columns),
             {Record(Full(fields,
                          Payload("c", "null",
                                  R"({"id":1,"d":-1,"ms":1767225600123,"us":1767225600123456,"ns":1767225600123456789,)"
                                  R"("z":"2026-01-01T02:00:00.5+02:00","t":45296000001,"n":"/YPx",)"
                                  R"("v":{"scale":3,"value":"AeJA"},"s":"12.50","f":1.5,"e":"x","u":"6f-1","b":"AAE=",)"
                                  R"("y":2026,"ok":true})",
                                  Postgres(1)))),
              Record(Full(fields, Payload("c", "null", R"({"id":2,"d":null,"n":null,"v":null})", Postgres(1))))});
  ASSERT_TRUE(read.status.ok()) << read.status;
  ASSERT_EQ(read.rows.size(), 2u) << absl::StrJoin(read.errors, "\n");
  EXPECT_EQ(read.rows[0],
            R"({"id":1,"d":"1969-12-31","ms":"2026-01-01T00:00:00.123Z","us":"2026-01-01T00:00:00.123456Z",)"
            R"("ns":"2026-01-01T00:00:00.123456Z","z":1767225600500,"t":"12:34:56.000001","n":-1628.31,"v":123.4560,)"
            R"("s":12.50,"f":1.5,"e":"x","u":"6f-1","b":"AAE=","y":2026,"ok":true})");
}

TEST(Debezium, ATypeThatIsNotTheColumnsIsRefusedByName) {
  const auto refused = [](std::string_view column, std::string field, const std::string& value) {
    const Read read =
        Decode(Orders({Col("id int64"), Col(column)}),
               {Record(Full({std::move(field)},
                            Payload("c", "null", absl::StrCat(R"({"id":1,"x":)", value, "}"), Postgres(1))))});
    return absl::StrJoin(read.errors, "\n");
  };
  EXPECT_THAT(refused("x int64", Field("x", "int64", "io.debezium.time.MicroTimestamp"), "5"),
              HasSubstr("the table has io.debezium.time.MicroTimestamp, which isn't read as int64"));
  EXPECT_THAT(refused("x timestamp_ms", Field("x", "int64"), "5"), HasSubstr("the table has int64"));
  EXPECT_THAT(refused("x string", Field("x", "bytes", "io.debezium.data.Bits"), "\"AA==\""), HasSubstr("a bit string"));
  EXPECT_THAT(refused("x string", Field("x", "int64", "io.debezium.time.MicroDuration"), "5"),
              HasSubstr("an interval"));
  EXPECT_THAT(refused("x string", Field("x", "array", "", R"(,"items":{"type":"int32"})"), "[1,2]"),
              HasSubstr("an array"));
  EXPECT_THAT(refused("x int32", Field("x", "int64"), "99999999999"), HasSubstr("out of range"));
  EXPECT_THAT(refused("x decimal(4,2)", Field("x", "string"), "\"1.234\""), HasSubstr("(the table changed, or"));
  EXPECT_THAT(refused("x int64", Field("y", "int64"), "null"), HasSubstr("missing required column x"));
}

TEST(Debezium, WithoutASchemaPartNothingIsGuessed) {
  const Rec bare =
      Record(Payload("c", "null", R"({"id":1,"us":1767225600123456,"n":"ATE="})", Postgres(1)), R"({"id":1})");
  EXPECT_THAT(Decode(Orders({Col("id int64")}), {bare}).errors,
              ElementsAre(HasSubstr("the record has no schema part")));
  SourceColumn us = Col("us timestamp"), n = Col("n decimal(6,2)");
  us.as = "MicroTimestamp";
  n.as = "Decimal(2)";
  const Read read = Decode(Orders({Col("id int64"), us, n}, {{"schema_part", "none"}}), {bare});
  EXPECT_THAT(read.rows, ElementsAre(R"({"id":1,"us":"2026-01-01T00:00:00.123456Z","n":3.05})"))
      << absl::StrJoin(read.errors, "\n");
  EXPECT_EQ(debezium::ReadingAs("Decimal", n.column.type), std::nullopt) << "the scale isn't guessed either";
  EXPECT_EQ(debezium::ReadingAs("Date", us.column.type), std::nullopt);
}

TEST(Debezium, ValuesLeftOutAsUnchangedAreMarked) {
  const SourcePlan plan = Orders({Col("id int64"), Col("a string"), Col("b bytes null"), Col("c string null")});
  const std::vector<std::string> fields = {Field("a", "string"), Field("b", "bytes"), Field("c", "string")};
  const Read read =
      Decode(plan, {Record(Full(fields, Payload("u", "null",
                                                R"({"id":1,"a":"__debezium_unavailable_value",)"
                                                R"("b":"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==",)"
                                                R"("c":["__debezium_unavailable_value"]})",
                                                Postgres(1)))),
                    Record(Full(fields, Payload("u", "null", R"({"id":1,"a":"x","b":null,"c":"y"})", Postgres(2))))});
  ASSERT_EQ(read.changes.size(), 2u) << absl::StrJoin(read.errors, "\n");
  for (size_t c = 0; c < 4; ++c) EXPECT_EQ(read.changes[0].IsUnchanged(c), c > 0) << c;
  EXPECT_TRUE(read.changes[1].unchanged.empty());
}

TEST(Debezium, ADeletionFindsItsKeyInBeforeOrInTheRecordKeyAndNeedsNothingElse) {
  SourcePlan plan = Orders({Col("id int64"), Col("name string"), Col("at timestamp_ms")}, {{"schema_part", "none"}});
  plan.columns[2].as = "Timestamp";
  plan.event_time.column = 2;
  const Read read = Decode(
      plan, {Record(Payload("d", "null", "null", Postgres(1)), R"({"id":7})"),
             Record(Payload("c", "null", R"({"id":1,"name":"a","at":1767225600000})", Postgres(1)), R"({"id":1})"),
             Record(Payload("d", R"({"id":8,"name":null,"at":0})", "null", Postgres(2)), R"({"id":8})"),
             Record(Payload("d", R"({"name":"x"})", "null", Postgres(3)), R"({"id":9})")});
  ASSERT_EQ(read.rows.size(), 3u) << absl::StrJoin(read.errors, "\n");
  EXPECT_THAT(read.rows[0], HasSubstr("\"id\":7"));
  EXPECT_THAT(read.rows[2], HasSubstr("\"id\":8"));
  EXPECT_EQ(read.times[2], read.times[1]) << "a deletion without event time doesn't move time";
  const Read first = Decode(plan, {Record(Payload("d", "null", "null", Postgres(1)), R"({"id":7})")});
  ASSERT_EQ(first.rows.size(), 1u) << absl::StrJoin(first.errors, "\n");
  EXPECT_NE(first.times[0], kMinTime.us) << "the record's timestamp";
  EXPECT_EQ(first.max_time, kMinTime) << "nor does the first record of a partition";
  EXPECT_THAT(read.errors, ElementsAre(HasSubstr("3: a deletion without key column id")));
}

TEST(Debezium, TheRecordKeyMustBeTheSourcesKey) {
  const auto error = [](std::optional<std::string> key) {
    const Read read = Decode(Orders({Col("id int64")}, {{"schema_part", "none"}}),
                             {{.value = Payload("c", "null", R"({"id":1})", Postgres(1)), .key = std::move(key)}});
    return absl::StrJoin(read.errors, "\n");
  };
  EXPECT_EQ(error(R"({"id":1})"), "");
  EXPECT_EQ(error(R"({"schema":{},"payload":{"id":1}})"), "");
  EXPECT_THAT(error(R"({"id":1,"shop":2})"), HasSubstr("the record key is (id, shop), the source's `key` (id)"));
  EXPECT_THAT(error(std::nullopt), HasSubstr("the record key is null"));
}

TEST(Debezium, TruncateStopsUnlessItIsToBeADeadLetter) {
  const Rec truncate = Record(Payload("t", "null", "null", Postgres(1)));
  const Read stopped = Decode(Orders({Col("id int64")}, {{"schema_part", "none"}}), {truncate});
  EXPECT_EQ(stopped.status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(stopped.status.message()), HasSubstr("TRUNCATE"));
  EXPECT_THAT(std::string(stopped.status.message()), HasSubstr("offset 100"));
  const Read passed =
      Decode(Orders({Col("id int64")}, {{"schema_part", "none"}, {"on_truncate", "dead_letter"}}), {truncate});
  EXPECT_THAT(passed.errors, ElementsAre(HasSubstr("TRUNCATE")));
}

TEST(Debezium, WhatIsNoChangeIsToldApart) {
  const Read read = Decode(Orders({Col("id int64")}, {{"schema_part", "none"}}),
                           {Record(R"({"id":1,"name":"flat"})", R"({"id":1})"),
                            Record(Payload("m", "null", "null", "{}")), Record(Payload("x", "null", "null", "{}")),
                            Record("[1]"), Record("{\"op\":"), Record(Payload("c", "null", "null", "{}"))});
  EXPECT_EQ(read.empty, 1) << "a message";
  ASSERT_EQ(read.errors.size(), 5u);
  EXPECT_THAT(read.errors[0], HasSubstr("no Debezium record"));
  EXPECT_THAT(read.errors[1], HasSubstr("unknown op"));
  EXPECT_THAT(read.errors[2], HasSubstr("expected an object"));
  EXPECT_THAT(read.errors[4], HasSubstr("without `after`"));
}

TEST(Debezium, ColumnsThatNobodyAskedForAreToldOnce) {
  const std::string row = R"({"id":1,"extra":{"a":[1]},"more":"\"x"})";
  const Read read = Decode(Orders({Col("id int64")}, {{"schema_part", "none"}}),
                           {Record(Payload("c", "null", row, Postgres(1)), R"({"id":1})"),
                            Record(Payload("u", row, row, Postgres(2)), R"({"id":1})")});
  EXPECT_EQ(read.rows.size(), 2u);
  EXPECT_THAT(read.unnamed, ElementsAre("extra", "more"));
}

TEST(Debezium, ASnapshotIsOlderOnlyThanAChangeBehindItsPlace) {
  const std::string log1("P\0\0\0\0\0\0\0\x01", 9), log2("P\0\0\0\0\0\0\0\x02", 9);
  const Change early{.position = log1, .committed_us = 5}, late{.position = log2, .committed_us = 6};
  Change snapshot1 = early, snapshot2 = late;
  snapshot1.snapshot = snapshot2.snapshot = true;
  EXPECT_TRUE(snapshot1.IsBefore(late));
  EXPECT_FALSE(early.IsBefore(snapshot2)) << "it may have been committed behind the snapshot";
  EXPECT_TRUE(snapshot1.IsBefore(snapshot2));
  EXPECT_FALSE(Change{}.IsBefore(late));
}

TEST(Debezium, TheEndOfATransactionIsARowOfWhichOnlyThatMeansSomething) {
  SourcePlan plan = Orders({Col("id int64"), Col("name string")}, {{"schema_part", "none"}});
  const Read read = Decode(
      plan, {Record(R"({"op":"c","source":{"lsn":10},"after":{"id":1,"name":"a"}})", R"({"id":1})"),
             Record(R"({"op":"m","source":{"lsn":11,"ts_us":5,"txId":7,"ends_transaction":true}})",
                    R"({"tidemark.transaction":0})"),
             Record(R"({"op":"m","source":{"lsn":12,"ends_transaction":false}})", R"({"tidemark.transaction":0})")});
  ASSERT_TRUE(read.status.ok()) << read.status;
  EXPECT_THAT(read.errors, IsEmpty());
  ASSERT_EQ(read.changes.size(), 2u);
  EXPECT_FALSE(read.changes[0].ends_transaction);
  EXPECT_TRUE(read.changes[1].ends_transaction);
  EXPECT_FALSE(read.changes[1].ends_resnapshot);
  EXPECT_EQ(read.empty, 1);
}

TEST(Debezium, TheEndOfANewSnapshotIsToldWhateverTheColumnsAre) {
  const SourcePlan plan =
      Orders({Col("id int64"), Col("name string"), Beside("lsn int64", {"source", "lsn"})}, {{"schema_part", "none"}});
  const std::string key = R"({"tidemark.resnapshot":3})";
  const Read read = Decode(
      plan, {Record(R"({"op":"m","source":{"lsn":9,"ts_us":5,"snapshot":true,"resnapshot":2}})", key),
             Record(R"({"op":"m","source":{"lsn":9,"resnapshot":0}})", key),
             Record(R"({"op":"m","source":{"lsn":9,"resnapshot":-1}})", key),
             Record(R"({"op":"c","source":{"lsn":10,"resnapshot":2},"after":{"id":1,"name":"a"}})", R"({"id":1})")});
  EXPECT_THAT(read.errors, IsEmpty());
  EXPECT_EQ(read.empty, 2) << "messages of others";
  ASSERT_EQ(read.changes.size(), 2u);
  EXPECT_TRUE(read.changes[0].ends_resnapshot);
  EXPECT_EQ(read.changes[0].resnapshot, 2u);
  EXPECT_FALSE(read.changes[1].ends_resnapshot);
  EXPECT_EQ(read.changes[1].resnapshot, 2u);
}

// Every prefix and every changed byte of a record gives rows or reasons, never anything else.
TEST(Debezium, DamagedRecordsAreRefusedOrRead) {
  const SourcePlan plan = Orders({Col("id int64"), Col("n decimal(12,2) null")});
  const std::string good =
      Full({Field("n", "bytes", "org.apache.kafka.connect.data.Decimal", R"(,"parameters":{"scale":"2"})")},
           Payload("u", R"({"id":1,"n":"/YPx"})", R"({"id":1,"n":"/YPx"})", Postgres(5)));
  std::vector<Rec> records;
  for (size_t at = 0; at < good.size(); at += 3) {
    records.push_back(Record(good.substr(0, at)));
    std::string changed = good;
    changed[at] = static_cast<char>(changed[at] ^ 0x11);
    records.push_back(Record(std::move(changed)));
  }
  records.push_back(Record(good));
  const size_t count = records.size();
  const Read read = Decode(plan, std::move(records));
  ASSERT_TRUE(read.status.ok() || read.status.message().find("TRUNCATE") != std::string::npos) << read.status;
  EXPECT_LE(read.rows.size() + read.errors.size(), count);
  EXPECT_EQ(read.rows.size() + read.errors.size() + static_cast<size_t>(read.empty), count);
}

}  // namespace
}  // namespace tidemark::codec_test
