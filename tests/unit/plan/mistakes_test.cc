// What beginners write, and what they are told: the place, what was expected, and how it is written; and one mistake is
// one message.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/plan/plan_text.h"

namespace tidemark {
namespace {

using ::testing::HasSubstr;

// The error for a step of this body, in line 20.
std::string Step(const std::string& body) { return ErrorsOf(Clicks("  a: { from: clicks, " + body + " }\n", "a")); }

std::string Filter(const std::string& condition) { return Step("filter: '" + condition + "'"); }

// A whole topology, its source in line 2 and its sink in line 3.
std::string Whole(const std::string& source, const std::string& sink = "{ from: s, topic: o }") {
  return ErrorsOf("name: a\nsources: { s: " + source + " }\nsinks: { o: " + sink + " }\n");
}

constexpr char kSource[] = "{ topic: s, columns: { id: int64 } }";

TEST(MistakesTest, OperatorsOfOtherLanguagesGetSqls) {
  EXPECT_EQ(Filter("price == 1"), "t.yaml:20:37: operator == isn't supported; equal is written =");
  EXPECT_THAT(Filter("price > 1 && guid > 1"), HasSubstr("and is written AND"));
  EXPECT_THAT(Filter("(price > 1) && (guid > 1)"), HasSubstr("and is written AND"));
  EXPECT_THAT(Filter("price > 1 || guid > 1"), HasSubstr("or is written OR"));
  EXPECT_THAT(Filter("(price > 1) || (guid > 1)"), HasSubstr("or is written OR"));
  EXPECT_THAT(Filter("!(price > 1)"), HasSubstr("not is written NOT"));
  EXPECT_THAT(Filter("url =~ ''x''"), HasSubstr("text is matched with ~ or LIKE"));
  EXPECT_THAT(Step("project: { x: guid + url }"), HasSubstr("doesn't apply to int64 and string; || joins texts"));
  EXPECT_EQ(Filter("url = ''&&'' and"), "t.yaml:20:30: syntax error at end of expression") << "that && is a text";
}

TEST(MistakesTest, ExpressionsSayWhatIsMissing) {
  EXPECT_EQ(Filter("url = \"shop\""),
            "t.yaml:20:37: unknown column 'shop' (one of: guid, url, price, ms); text stands in "
            "single quotes");
  EXPECT_EQ(Filter("url = \"urll\""), "t.yaml:20:37: unknown column 'urll' (did you mean 'url'?)");
  EXPECT_THAT(Filter("if(price > 1, 1, 2) = 1"), HasSubstr("write CASE WHEN condition THEN value ELSE other END"));
  EXPECT_THAT(Filter("ifnull(price, 0) = 1"), HasSubstr("write coalesce(value, other)"));
  EXPECT_THAT(Filter("price"), HasSubstr("expected a condition (bool), this is double"));
  EXPECT_THAT(Filter(""), HasSubstr("the expression is empty"));
  EXPECT_THAT(Filter("sum(price) > 1"), HasSubstr("sum is an aggregate: it stands alone in the aggregates of a step"));
  EXPECT_THAT(Filter("url > 1"), HasSubstr("cast one of them"));
}

TEST(MistakesTest, AWindowOrGroupSaysHowItIsWritten) {
  const std::string counted = ", group_by: [guid], aggregates: { n: \"count(*)\" }";
  EXPECT_EQ(Step("window: 1m" + counted),
            "t.yaml:20:30: expected a mapping, found '1m'; its fields: tumbling, hopping, every, grace, late, offset, "
            "session, cumulative, calendar, time_zone, keep");
  EXPECT_THAT(
      Step("window: { size: 1m }" + counted),
      HasSubstr(
          "a window is one of tumbling:, hopping: with every:, cumulative: with every:, calendar:, and session:"));
  EXPECT_THAT(Step("window: { tumbling: 60 }" + counted), HasSubstr("a duration such as 100ms, 5s, 10m, 1h or 1d"));
  EXPECT_EQ(Step("emit: on_change" + counted),
            "t.yaml:20:28: unknown emit 'on_change' (one of: on_close, on_update, every_record)");
  const std::string window = "window: { tumbling: 1m }, group_by: ";
  EXPECT_EQ(Step(window + "guid, aggregates: { n: \"count(*)\" }"),
            "t.yaml:20:58: expected a list, found 'guid'; write "
            "[guid]");
  EXPECT_EQ(Step(window + "[guid], aggregates: [\"count(*)\"]"),
            "t.yaml:20:66: expected a mapping, found a list; write { NAME: ... }, a name for each");
  EXPECT_EQ(Step(window + "[guid], aggregate: { n: \"count(*)\" }"),
            "t.yaml:20:66: unknown field 'aggregate' (did you mean 'aggregates'?)");
  EXPECT_THAT(Step(window + "[guid], aggregates: { n: count }"), HasSubstr("expected an aggregate; write count(*)"));
  EXPECT_THAT(Step(window + "[guid], aggregates: { n: sum }"), HasSubstr("expected an aggregate; write sum(column)"));
  EXPECT_THAT(Step(window + "[guid], aggregates: { n: \"sum(distinct length(url))\" }"),
              HasSubstr("put a dedup step in front"));
  EXPECT_THAT(Step("group_by: [guid], aggregates: { guid: \"count(*)\" }"), HasSubstr("give one of them another name"));
}

TEST(MistakesTest, AStepSaysHowItIsWritten) {
  EXPECT_THAT(Step("filter: \"price > 1\", project: { guid: guid }"), HasSubstr("make them steps of their own"));
  EXPECT_EQ(Step("project: [guid, url]"),
            "t.yaml:20:22: expected a mapping, found a list; write { NAME: ... }, a name for each");
  EXPECT_THAT(Step("dedup: [guid]"), HasSubstr("expected a mapping, found a list; its fields: by, within"));
  EXPECT_THAT(Step("dedup: { by: [guid], within: forever }"), HasSubstr("expected a duration such as"));
  EXPECT_EQ(Step("join: { table: user, on: [guid] }"), "t.yaml:20:37: unknown table 'user' (did you mean 'users'?)");
  EXPECT_THAT(Step("join: { table: users, on: guid }"), HasSubstr("found 'guid'; write [guid]"));
  EXPECT_THAT(Step("join: { table: users, on: [url] }"), HasSubstr("isn't a key column of table users (one of: guid)"));
  EXPECT_THAT(Step("top: { n: 3, by: [guid], order: [price] }"), HasSubstr("unknown field 'n' (did you mean 'k'?)"));
  EXPECT_THAT(Step("top: { k: 3, by: [guid], order: [price DESC] }"), HasSubstr("when a group is complete"));
  EXPECT_THAT(Step("map: { x: guid }"), HasSubstr("a step has an operator: filter, project, unnest, expect, dedup"));
  EXPECT_EQ(Step("project: { x: \"price::integer\" }"), "");
}

TEST(MistakesTest, ASourceSaysHowItIsWritten) {
  EXPECT_THAT(Whole("{ topic: s, columns: { id: int } }"), HasSubstr("unknown type 'int'; write int32 or int64"));
  EXPECT_THAT(Whole("{ topic: s, columns: { t: datetime } }"), HasSubstr("unknown type 'datetime'; write timestamp"));
  EXPECT_THAT(Whole("{ topic: s, columns: { t: varchar(20) } }"),
              HasSubstr("unknown type 'varchar(20)'; write string"));
  EXPECT_THAT(Whole("{ topic: s, columns: { t: decimal } }"), HasSubstr("write decimal(18,2)"));
  EXPECT_THAT(Whole("{ topic: s, columns: { t: jsonb } }"), HasSubstr("unknown type 'jsonb'; write json"));
  EXPECT_THAT(Whole("{ topic: s, columns: { t: object } }"), HasSubstr("unknown type 'object' (one of: bool, int32"));
  EXPECT_EQ(Whole("{ topic: s, columns: [id] }"),
            "t.yaml:2:27: expected a mapping, found a list; write { NAME: ... }, a name for each");
  EXPECT_THAT(Whole("{ topic: s, columns: { id: int64 }, event_time: id }"),
              HasSubstr("expected a mapping, found 'id'; its fields: column, "));
  EXPECT_THAT(Whole("{ topic: s, columns: { id: int64 }, event_time: { column: id } }"),
              HasSubstr("'id' is int64; numbers since 1970 are of type timestamp_s, timestamp_ms or timestamp_us"));
  EXPECT_THAT(Whole("{ topic: s, columns: { id: string }, event_time: { column: id } }"),
              HasSubstr("'id' is string; RFC 3339 text is of type timestamp"));
  EXPECT_THAT(Whole("{ topic: s, columns: { id: int64 }, start: beginning }"),
              HasSubstr("expected earliest, latest or"));
  const std::string sinks = "sinks: { o: { from: s, topic: o } }\n";
  EXPECT_EQ(ErrorsOf("name: a\nsources: [ { name: s, topic: s } ]\n" + sinks),
            "t.yaml:2:1: expected a mapping, found a list; write { NAME: ... }, a name for each");
  EXPECT_EQ(ErrorsOf(std::string("name: a\nsource: { s: ") + kSource + " }\n" + sinks),
            "t.yaml:2:1: unknown field 'source' (did you mean 'sources'?)");
}

TEST(MistakesTest, ASinkSaysHowItIsWritten) {
  EXPECT_THAT(Whole(kSource, "{ from: s, topic: s }"), HasSubstr("the topology would read its own output"));
  EXPECT_EQ(Whole(kSource, "{ topic: o }"), "t.yaml:3:10: missing field 'from'");
  EXPECT_THAT(Whole(kSource, "{ from: s, kafka: { topic: o } }"),
              HasSubstr("a sink writes to one of: topic, postgres, parquet, webhook"));
  EXPECT_EQ(Whole(kSource, "{ from: s, topic: o, key: id }"), "t.yaml:3:39: expected a list, found 'id'; write [id]");
  EXPECT_THAT(Whole(kSource, "{ from: s, topic: o, create: true }"), HasSubstr("its fields: partitions"));
  EXPECT_THAT(Whole(kSource, "{ from: s, postgres: { url: x, table: t, key: [id], mode: append } }"),
              HasSubstr("unknown mode 'append' (one of: upsert, insert)"));
}

TEST(MistakesTest, TheFileSaysHowItIsWritten) {
  EXPECT_THAT(ErrorsOf("name: a\nsources:\n\ts: { topic: s }\n"),
              HasSubstr("not YAML: illegal map value; line 3 is indented with a tab, and YAML takes blanks alone"));
  EXPECT_THAT(ErrorsOf("name: my app\n" + Clicks("").substr(10)), HasSubstr("topology name 'my app': letters, digits"));
  EXPECT_THAT(ErrorsOf("kafka: localhost:9092\n" + Clicks("")),
              HasSubstr("expected a mapping, found 'localhost:9092'; its fields: brokers, properties"));
  EXPECT_THAT(ErrorsOf("kafka: { bootstrap.servers: x }\n" + Clicks("")), HasSubstr("(one of: brokers, properties)"));
  EXPECT_THAT(ErrorsOf(Clicks("  clicks: { from: clicks, filter: \"price > 1\" }\n")),
              HasSubstr("'clicks' is the name of a source already"));
}

TEST(MistakesTest, FilesSayWhatTheyNeedAndWhatIsNotReadYet) {
  const auto files = [](const std::string& more, const std::string& columns = "{ id: int64 }") {
    return Whole("{ files: { path: in/*, whole: renamed, order: unordered" + more + " }, columns: " + columns + " }");
  };
  EXPECT_EQ(files(""), "");
  EXPECT_THAT(Whole("{ columns: { id: int64 } }"),
              HasSubstr("a source has 'topic', 'topics', 'files', 'http' or 'postgres'"));
  EXPECT_THAT(Whole("{ files: { path: in/*, order: unordered }, columns: { id: int64 } }"),
              HasSubstr("files in a folder want `whole`"));
  EXPECT_THAT(files(", format: avro"), HasSubstr("files of format 'avro' aren't read yet"));
  EXPECT_THAT(files(", format: cvs"), HasSubstr("unknown format 'cvs' (one of: csv"));
  EXPECT_THAT(files(", processed: \"s3://lake/done\""), HasSubstr("a copy in S3 is made by 'archive'"));
  EXPECT_THAT(files(", rejected: \"gs://lake/bad\""), HasSubstr("a folder or s3://bucket/prefix is expected"));
  EXPECT_EQ(files(", archive: \"s3://lake/kept\", raw: raw"), "");
  EXPECT_THAT(files(", archive: \"\""), HasSubstr("a folder or s3://bucket/prefix is expected"));
  EXPECT_THAT(files(", raw: raw, decrypt: { zip: { passphrase_file: p } }"), HasSubstr("would still be encrypted"));
  EXPECT_THAT(files(", delimiter: \";;\""), HasSubstr("one character is expected"));
  EXPECT_THAT(files(", format: json, delimiter: \";\""), HasSubstr("only csv has delimiters"));
  EXPECT_THAT(files(", partitions: 0"), HasSubstr("1 to 1000"));
  EXPECT_THAT(files("", "{ id: { type: int64, from: key } }"), HasSubstr("rows of files have no key"));
  EXPECT_THAT(files("", "{ id: { type: int64, path: a.b } }"), HasSubstr("in files of format jsonl and json only"));
  EXPECT_THAT(files("", "{ id: int64, more: json }"),
              HasSubstr("a column of type json works in files of format jsonl"));
  EXPECT_EQ(files(", format: jsonl", "{ id: { type: int64, path: a.b } }"), "");
  EXPECT_THAT(Whole("{ topic: t, files: { path: in/*, whole: renamed, order: unordered }, columns: { id: int64 } }"),
              HasSubstr("either 'topic' or 'files'"));
  EXPECT_THAT(
      Whole("{ files: { path: in/*, whole: renamed, order: unordered }, start: latest, columns: { id: int64 } }"),
      HasSubstr("files are read from the first one on"));
}

TEST(MistakesTest, ObjectsOfS3AreWholeAndMovedWithinS3) {
  const auto files = [](const std::string& more) {
    return Whole("{ files: { order: unordered, " + more + " }, columns: { id: int64 } }");
  };
  EXPECT_EQ(files("path: \"s3://lake/in/**/*.csv\", processed: \"s3://lake/done\", rejected: \"s3://other/bad\""), "");
  EXPECT_EQ(files("path: \"s3://lake/in\", raw: raw"), "");
  EXPECT_THAT(files("path: \"s3://lake/in\", whole: unchanged"), HasSubstr("an object in S3 appears whole"));
  EXPECT_THAT(files("path: \"s3://lake/in\", processed: done"), HasSubstr("moved within S3"));
  for (const char* path : {"s3://", "s3://la*e/in", "S3://lake/in", "s3:///in"}) {
    EXPECT_THAT(files(absl::StrCat("path: \"", path, "\"")), HasSubstr("a folder or s3://bucket/prefix is expected"))
        << path;
  }
}

TEST(MistakesTest, FilesOfXmlSayWhatTheirRowsAre) {
  const auto files = [](const std::string& more, const std::string& columns = "{ id: int64 }") {
    return Whole("{ files: { whole: renamed, order: unordered, " + more + " }, columns: " + columns + " }");
  };
  const std::string xml = "path: in, format: xml, row: /a/b";
  EXPECT_EQ(files(xml,
                  "{ id: { type: int64, path: \"@id\" }, c: { type: string, path: x/y.z/@k }, "
                  "t: { type: string, path: text() } }"),
            "");
  EXPECT_THAT(files("path: in, format: xml"), HasSubstr("files of format xml want `row`"));
  EXPECT_THAT(files("path: in/*.xml"), HasSubstr("files of format xml want `row`"));
  EXPECT_EQ(files("path: in/*, row: /a/b"), "") << "some of the files may be xml";
  EXPECT_THAT(files("path: in, format: csv, row: /a/b"), HasSubstr("only xml has such rows"));
  for (const char* row : {"a/b", "\"/\"", "/a//b", "\"/a/@b\"", "//b", "\"/n:a\""}) {
    EXPECT_THAT(files(absl::StrCat("path: in, format: xml, row: ", row)), HasSubstr("from the root to the rows"))
        << row;
  }
  for (const char* path : {"\"@a/b\"", "/a", "a//b", "\"n:a\"", "\"@\""}) {
    EXPECT_THAT(files(xml, absl::StrCat("{ id: { type: int64, path: ", path, " } }")),
                HasSubstr("names of elements are expected"))
        << path;
  }
  EXPECT_THAT(files(xml, "{ id: json }"), HasSubstr("a column of type json works in files of format jsonl"));
  EXPECT_THAT(files(xml, "{ id: { type: string, from: value } }"), HasSubstr("have no value of their own"));
  EXPECT_THAT(files(xml + ", encoding: windows-1252"), HasSubstr("say themselves how they are written"));
}

TEST(MistakesTest, WhatOpensFilesIsNamedByFiles) {
  const auto files = [](const std::string& more) {
    return Whole("{ files: { path: in, whole: renamed, order: unordered, " + more + " }, columns: { id: int64 } }");
  };
  EXPECT_EQ(files("decrypt: { openpgp: { secret_keys: k, passphrase_file: p, signed_by: s } }"), "");
  EXPECT_EQ(files("decrypt: { zip: { passphrase_file: p } }, members: \"*.csv\""), "");
  EXPECT_THAT(files("decrypt: {}"), HasSubstr("'openpgp' or 'zip' is expected"));
  EXPECT_THAT(files("decrypt: { openpgp: { signed_by: s } }"), HasSubstr("secret_keys"));
  EXPECT_THAT(files("decrypt: { openpgp: { secret_keys: \"\" } }"), HasSubstr("a file is expected"));
  EXPECT_THAT(files("decrypt: { openpgp: { secret_keys: k, passphrase: secret } }"), HasSubstr("passphrase_file"));
  EXPECT_THAT(files("members: \"\""), HasSubstr("names are expected"));
  EXPECT_THAT(files("encoding: windows-1253"), HasSubstr("unknown encoding 'windows-1253'"));
  EXPECT_EQ(files("encoding: Windows-1252"), "");
}

TEST(MistakesTest, ParquetFilesSayThemselvesHowTimesAreWritten) {
  const auto source = [](const std::string& files, const std::string& more) {
    return Whole("{ files: { whole: renamed, order: unordered, " + files + " }, " + more + " }");
  };
  const std::string of_column = "columns: { t: { type: timestamp, timestamp_format: \"%Y%m%d\" } }";
  const std::string of_source = "timestamp_format: \"%Y%m%d\", time_zone: Asia/Damascus, ";
  const std::string of_neither = "columns: { t: timestamp, u: timestamp }";
  for (const char* parquet : {"path: in/*, format: parquet", "path: \"in/*.Parquet\""}) {
    EXPECT_EQ(source(parquet, of_neither), "");
    EXPECT_THAT(source(parquet, of_column), HasSubstr("files of format parquet say themselves how times are written"));
    const std::string once = source(parquet, of_source + of_neither);
    EXPECT_THAT(once, HasSubstr("files of format parquet say themselves how times are written"));
    EXPECT_EQ(once.find("files of format"), once.rfind("files of format")) << once;
  }
  for (const char* other : {"path: in/*", "path: in/*, format: csv", "path: in/*, format: jsonl"}) {
    EXPECT_EQ(source(other, of_column), "") << other;
    EXPECT_EQ(source(other, of_source + of_neither), "") << other;
  }
  // The name of the file is text, whatever the file holds.
  EXPECT_EQ(source("path: in/*, format: parquet",
                   "columns: { id: int64, t: { type: timestamp, from: "
                   "\"header:tidemark.file\", timestamp_format: \"%Y%m%d.parquet\" } }"),
            "");
}

TEST(MistakesTest, WhatIsPostedToSaysWhereAndHasNoMoreThanThat) {
  const auto http = [](const std::string& more, const std::string& columns = "{ id: int64 }",
                       const std::string& beside = "") {
    return Whole("{ http: { path: /v1/in" + more + " }" + beside + ", columns: " + columns + " }");
  };
  EXPECT_EQ(http(""), "");
  EXPECT_EQ(
      http(", tokens: t.txt, max_body: 16MiB, delimiter: \";\", partitions: 4", "{ id: { type: int64, path: a.b } }"),
      "");
  EXPECT_THAT(Whole("{ http: { tokens: t }, columns: { id: int64 } }"), HasSubstr("path"));
  EXPECT_THAT(Whole("{ http: { path: v1/in }, columns: { id: int64 } }"), HasSubstr("a path is expected"));
  EXPECT_THAT(Whole("{ http: { path: \"/v1/in?x\" }, columns: { id: int64 } }"), HasSubstr("a path is expected"));
  EXPECT_THAT(Whole("{ http: { path: /metrics }, columns: { id: int64 } }"),
              HasSubstr("'/metrics' is the worker's own"));
  EXPECT_THAT(Whole("{ http: { path: /v1/views/in }, columns: { id: int64 } }"),
              HasSubstr("paths below /v1/views/ are the views'"));
  EXPECT_THAT(http(", max_body: 17MiB"), HasSubstr("at most 16MiB"));
  EXPECT_THAT(http(", tokens: \"\""), HasSubstr("a file is expected"));
  EXPECT_THAT(http(", delimiter: ab"), HasSubstr("one character is expected"));
  EXPECT_THAT(http(", partitions: 0"), HasSubstr("1 to 1000"));
  EXPECT_THAT(http("", "{ id: { type: int64, from: key } }"), HasSubstr("rows that are posted have no key"));
  EXPECT_THAT(http("", "{ id: int64 }", ", format: csv"), HasSubstr("what a body is its Content-Type says"));
  EXPECT_THAT(http("", "{ id: int64 }", ", topic: t"), HasSubstr("either 'topic' or 'http'"));
  EXPECT_THAT(http("", "{ id: int64 }", ", files: { path: in/*, whole: renamed, order: unordered }"),
              HasSubstr("either 'files' or 'http'"));
}

}  // namespace
}  // namespace tidemark
