// Every mistake gets its place, what was expected and the nearest valid name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/plan/plan_text.h"

namespace tidemark {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// A step line of the topology Clicks() stands in line 20, and its sink reads it.
std::string StepError(const std::string& body) {
  return ErrorsOf(Clicks("  a: { from: clicks, " + body + " }\n", "a"));
}

TEST(ErrorsTest, TheTopologyThatTheOthersVaryIsValid) { EXPECT_EQ(ErrorsOf(Clicks("")), ""); }

TEST(ErrorsTest, AnUnknownFieldGetsItsPlaceAndTheNearestName) {
  EXPECT_EQ(StepError("dedup: { by: [guid], withn: 1h }"),
            "t.yaml:20:43: unknown field 'withn' (did you mean 'within'?)");
}

TEST(ErrorsTest, AFieldStandsOnce) {
  EXPECT_EQ(ErrorsOf("name: again\n" + Clicks("")), "t.yaml:2:1: 'name' stands here twice (first at line 1)");
  EXPECT_THAT(ErrorsOf(Clicks("  towns: { from: clicks, filter: \"price > 1\" }\n")),
              StartsWith("t.yaml:20:3: 'towns' stands here twice (first at line 19)"));
}

TEST(ErrorsTest, AWrongTypeSaysWhatWasExpected) {
  EXPECT_EQ(StepError("dedup: { by: [guid], within: soon }"),
            "t.yaml:20:51: expected a duration such as 100ms, 5s, 10m, 1h or 1d, found 'soon'");
  EXPECT_EQ(StepError("dedup: { by: guid, within: 1h }"), "t.yaml:20:35: expected a list, found 'guid'; write [guid]");
  EXPECT_THAT(StepError("dedup: yes"),
              HasSubstr("t.yaml:20:29: expected a mapping, found 'yes'; its fields: by, within"));
  EXPECT_THAT(StepError("project: [guid]"), HasSubstr("expected a mapping, found a list"));
  EXPECT_THAT(StepError("project: { x: [guid] }"), HasSubstr("expected a string, found a list"));
  EXPECT_THAT(ErrorsOf("memory: lots\n" + Clicks("")), StartsWith("t.yaml:1:9: expected a size such as"));
  EXPECT_THAT(StepError("top: { k: many, order: [guid] }"), HasSubstr("expected a whole number, found 'many'"));
  EXPECT_THAT(StepError("filter:"), HasSubstr("expected a string, found nothing"));
}

TEST(ErrorsTest, UnnestTakesAJsonArray) {
  const auto after = [](const std::string& step) {
    return ErrorsOf(
        Clicks("  j: { from: clicks, project: { guid: guid, docs: \"jsonb_build_array(guid)\" } }\n  a: { from: j, " +
                   step + " }\n",
               "a"));
  };
  EXPECT_EQ(after("unnest: { column: docs }"), "");
  EXPECT_EQ(after("unnest: { column: docs, as: doc, ordinality: place, outer: true }"), "");
  EXPECT_THAT(after("unnest: { column: guid }"), HasSubstr("column guid is int64; unnest makes rows of a json array"));
  EXPECT_THAT(after("unnest: { column: doc }"), HasSubstr("unknown column 'doc' of the input (did you mean 'docs'?)"));
  EXPECT_THAT(after("unnest: { column: docs, as: guid }"), HasSubstr("column 'guid' is there twice"));
}

TEST(ErrorsTest, JsonIsNoKey) {
  const auto after = [](const std::string& step, const std::string& sink = "") {
    return ErrorsOf(Clicks(
        "  j: { from: clicks, project: { guid: guid, doc: \"to_json(guid)\" } }\n  a: { from: j, " + step + " }\n", "a",
        sink));
  };
  for (const char* step : {"group_by: [doc], aggregates: { n: \"count(*)\" }", "dedup: { by: [doc], within: 1h }",
                           "repartition: { by: [doc] }"}) {
    EXPECT_THAT(after(step), HasSubstr("column doc is json, which has no equality")) << step;
  }
  EXPECT_THAT(after("filter: \"doc = doc\""), HasSubstr("json has no equality and no order"));
  EXPECT_THAT(after("group_by: [guid], aggregates: { n: \"max(doc)\" }"), HasSubstr("max doesn't take json"));
  EXPECT_THAT(after("group_by: [guid], aggregates: { n: \"last(doc)\" }"), Not(HasSubstr("json")));
}

TEST(ErrorsTest, WhatIsMissingIsNamed) {
  EXPECT_EQ(StepError("dedup: { by: [guid] }"), "t.yaml:20:22: missing field 'within'");
  EXPECT_EQ(ErrorsOf("name: x\n"),
            "t.yaml:1:1: missing field 'sources'\nt.yaml:1:1: missing field 'sinks', or 'views'");
  EXPECT_THAT(ErrorsOf(""), HasSubstr("the file is empty"));
  EXPECT_THAT(ErrorsOf("a: [1, 2\nb: }"), AllOf(StartsWith("t.yaml:2:"), HasSubstr("not YAML")));
  EXPECT_THAT(ErrorsOf("just text"), HasSubstr("expected a mapping"));
  EXPECT_THAT(ErrorsOf("a: 1\n---\nb: 1\n"), HasSubstr("a second YAML document"));
}

TEST(ErrorsTest, AllErrorsOfAFileAreReportedAtOnceInItsOrder) {
  EXPECT_EQ(ErrorsOf(R"(name: web
commit_intervall: 1s
sources:
  clicks:
    topic: "bad topic"
    columns: { guid: int63, ms: timestamp_ms }
    event_time: { column: mss }
steps:
  a: { from: click, filter: "guid > 1" }
sinks:
  out: { from: b, topic: out, key_format: txt }
)"),
            "t.yaml:2:1: unknown field 'commit_intervall' (did you mean 'commit_interval'?)\n"
            "t.yaml:4:3: no step, sink or view reads source 'clicks'\n"
            "t.yaml:5:12: 'bad topic' can't be a topic: letters, digits, '.', '_' and '-', 1 to 249 of them\n"
            "t.yaml:6:22: unknown type 'int63' (did you mean 'int64'?)\n"
            "t.yaml:7:27: unknown column 'mss' (did you mean 'ms'?)\n"
            "t.yaml:9:3: no step, sink or view reads step 'a'\n"
            "t.yaml:9:14: unknown source or step 'click' (did you mean 'clicks'?)\n"
            "t.yaml:11:16: unknown source or step 'b' (did you mean 'a'?)\n"
            "t.yaml:11:43: unknown key_format 'txt' (did you mean 'text'?)");
}

TEST(ErrorsTest, AStepBehindABrokenOneIsNotAccusedToo) {
  EXPECT_EQ(ErrorsOf(Clicks("  a: { from: clicks, dedup: { by: [gid], within: 1h } }\n"
                            "  b: { from: a, dedup: { by: [whatever], within: 1h } }\n",
                            "b")),
            "t.yaml:20:36: unknown column 'gid' of the input (did you mean 'guid'?)");
}

TEST(ErrorsTest, AMistakeAboveDoesNotHideWhatAStepOrSinkSaysByItself) {
  EXPECT_EQ(ErrorsOf(Clicks("  a: { from: clicks, dedup: { by: [gid], within: 1h } }\n"
                            "  b: { from: a, join: { table: user, on: [guid] } }\n"
                            "  c: { from: b, window: { hopping: 1m, every: 7s }, group_by: [guid], "
                            "aggregates: { n: \"count(*)\" } }\n"
                            "  d: { from: nowhere, dedup: { by: [guid], within: 0s } }\n"
                            "  e: { from: d, top: { k: 0, order: [guid] } }\n",
                            "c",
                            "  lake: { from: e, parquet: { path: \"gs://b\" } }\n"
                            "  out: { from: b, topic: \"a b\" }\n")),
            "t.yaml:20:36: unknown column 'gid' of the input (did you mean 'guid'?)\n"
            "t.yaml:21:32: unknown table 'user' (did you mean 'users'?)\n"
            "t.yaml:22:47: `every` must divide the length of the window, 1m\n"
            "t.yaml:23:14: unknown source or step 'nowhere' (one of: clicks, towns, a, b, c, d, e)\n"
            "t.yaml:23:52: within must be longer than nothing\n"
            "t.yaml:24:27: expected 1 to 1000000\n"
            "t.yaml:28:37: gs:// isn't implemented; a folder or s3://bucket/prefix\n"
            "t.yaml:29:26: 'a b' can't be a topic: letters, digits, '.', '_' and '-', 1 to 249 of them");
}

TEST(ErrorsTest, ACycleIsNamedWithItsSteps) {
  const std::string errors =
      ErrorsOf(Clicks("  a: { from: c, filter: \"guid > 1\" }\n"
                      "  b: { from: a, filter: \"guid > 1\" }\n"
                      "  c: { from: b, filter: \"guid > 1\" }\n",
                      "c"));
  EXPECT_EQ(errors, "t.yaml:20:14: a cycle: a -> b -> c -> a");
}

TEST(ErrorsTest, AStepThatNothingReadsIsRefused) {
  EXPECT_EQ(ErrorsOf(Clicks("  a: { from: clicks, filter: \"guid > 1\" }\n")),
            "t.yaml:20:3: no step, sink or view reads step 'a'");
}

TEST(ErrorsTest, AStepHasExactlyOneOperator) {
  EXPECT_THAT(StepError("filter: \"guid > 1\", dedup: { by: [guid], within: 1h }"),
              HasSubstr("t.yaml:20:3: a step has one operator, this one has filter and dedup"));
  EXPECT_THAT(ErrorsOf(Clicks("  a: { from: clicks }\n", "a")), HasSubstr("a step has an operator: filter"));
  EXPECT_THAT(StepError("filter: \"guid > 1\", emit: on_close"), HasSubstr("'emit' goes with window, group_by or top"));
  EXPECT_THAT(StepError("flatten: { x: 1 }"), HasSubstr("unknown field 'flatten'"));
}

TEST(ErrorsTest, NamesThatTopicsOrHiddenColumnsNeedAreRefused) {
  EXPECT_THAT(ErrorsOf(Clicks("  __a: { from: clicks, filter: \"guid > 1\" }\n", "__a")),
              HasSubstr("not starting with __"));
  EXPECT_THAT(ErrorsOf(Clicks("  \"a b\": { from: clicks, filter: \"guid > 1\" }\n", "a b")),
              HasSubstr("step name 'a b'"));
  EXPECT_THAT(ErrorsOf(Clicks("  clicks: { from: clicks, filter: \"guid > 1\" }\n")),
              HasSubstr("is the name of a source"));
  EXPECT_THAT(StepError("project: { __time: guid }"), HasSubstr("t.yaml:20:41: column '__time'"));
}

TEST(ErrorsTest, AnExpressionsErrorPointsIntoIt) {
  // The 'n' of nope: two characters behind the quote of column 31.
  EXPECT_THAT(StepError("filter: \"1 < nope\""), StartsWith("t.yaml:20:35: "));
  EXPECT_THAT(StepError("filter: \"price\""), HasSubstr("expected a condition (bool), this is double"));
}

TEST(ErrorsTest, WindowsThatMakeNoSenseAreRefused) {
  const auto window = [](const std::string& w) {
    return StepError("window: { " + w + " }, group_by: [guid], aggregates: { n: \"count(*)\" }");
  };
  EXPECT_EQ(window("hopping: 1m, every: 10s"), "");
  EXPECT_THAT(window("hopping: 1m, every: 7s"), HasSubstr("`every` must divide the length of the window, 1m"));
  EXPECT_THAT(window("hopping: 1m"), HasSubstr("a hopping window needs `every`"));
  EXPECT_THAT(window("tumbling: 1m, every: 10s"), HasSubstr("`every` goes with hopping"));
  EXPECT_THAT(window("tumbling: 1m, hopping: 1m"), HasSubstr("one of tumbling:, hopping: with every:"));
  EXPECT_THAT(window("tumbling: 0s"), HasSubstr("longer than nothing"));
  EXPECT_THAT(window("hopping: 30d, every: 1s"), HasSubstr("windows; at most"));
  EXPECT_EQ(window("tumbling: 1d, offset: 23h"), "");
  EXPECT_THAT(window("tumbling: 1d, offset: 1d"), HasSubstr("windows start every 1d: `offset` must be less than that"));
  EXPECT_THAT(window("hopping: 1h, every: 10m, offset: 10m"), HasSubstr("windows start every 10m"));
  EXPECT_EQ(window("session: 30m, grace: 1m, late: { topic: too-late }"), "");
  EXPECT_THAT(window("session: 0s"), HasSubstr("the gap between sessions must be longer than nothing"));
  EXPECT_THAT(window("session: 30m, tumbling: 1m"), HasSubstr("one of tumbling:"));
  EXPECT_THAT(window("session: 30m, every: 1m"), HasSubstr("sessions start with their rows"));
  EXPECT_THAT(window("session: 30m, offset: 1m"), HasSubstr("there is no `offset`"));
  EXPECT_THAT(StepError("window: { session: 1m }, group_by: [guid], aggregates: { n: \"count(*)\" }, "
                        "emit: every_record"),
              HasSubstr("every_record isn't implemented for sessions"));
  EXPECT_THAT(window("tumbling: 1m, late: { topic: clicks }"), HasSubstr("would read its own output"));
}

TEST(ErrorsTest, AggregatesNeedGroupsNamesAndAKnownEnd) {
  EXPECT_THAT(StepError("group_by: [guid], aggregates: { n: \"count(*)\" }, emit: on_close"),
              HasSubstr("without a window nothing ever closes"));
  EXPECT_EQ(StepError("group_by: [guid], aggregates: { n: \"count(*)\" }, emit: every_record"),
            "t.yaml:23:3: mode: upsert needs a key that contains guid");
  EXPECT_THAT(StepError("top: { k: 3, by: [guid], order: [guid], rank: place }, emit: every_record"),
              HasSubstr("every_record is for aggregates"));
  EXPECT_THAT(StepError("aggregates: { n: \"count(*)\" }"), HasSubstr("'group_by' is missing"));
  EXPECT_THAT(StepError("window: { tumbling: 1m }, group_by: [guid]"), HasSubstr("at least one aggregate"));
  EXPECT_THAT(StepError("window: { tumbling: 1m }, group_by: [guid], aggregates: { guid: \"count(*)\" }"),
              HasSubstr("column 'guid' is there twice"));
  EXPECT_THAT(StepError("window: { tumbling: 1m }, group_by: [gid], aggregates: { n: \"count(*)\" }"),
              HasSubstr("unknown column 'gid' of the input (did you mean 'guid'?)"));
}

TEST(ErrorsTest, JoinsNeedTheTablesWholeKeyAndFreshNames) {
  EXPECT_THAT(StepError("join: { table: user, on: [guid] }"),
              HasSubstr("unknown table 'user' (did you mean 'users'?)"));
  EXPECT_THAT(StepError("join: { table: users, on: [url] }"), HasSubstr("'url' isn't a key column of table users"));
  EXPECT_THAT(StepError("join: { table: users, on: { price: guid } }"),
              HasSubstr("'price' is double, but 'guid' of table users is int64"));
  EXPECT_THAT(StepError("join: { table: users, on: { guit: guid } }"), HasSubstr("unknown column 'guit' of the input"));
  EXPECT_THAT(StepError("join: { table: users, on: [guid], columns: [guid] }"),
              HasSubstr("has a column 'guid' already; use prefix"));
  EXPECT_EQ(StepError("join: { table: users, on: [guid], columns: [guid], prefix: u_ }"), "");
  EXPECT_THAT(StepError("join: { table: users, on: [guid], type: outer }"), HasSubstr("unknown type 'outer'"));
}

TEST(ErrorsTest, UnionsNeedEqualColumns) {
  EXPECT_THAT(ErrorsOf(Clicks("  a: { from: [clicks, towns], filter: \"guid > 1\" }\n", "a")),
              HasSubstr("a union needs equal columns: clicks has (guid int64, url string null"));
}

TEST(ErrorsTest, WhatIsNotBuiltIsRefusedByName) {
  EXPECT_THAT(ErrorsOf("name: x\nsources: { a: { topic: a, format: morse, columns: { x: int64 } } }\n"
                       "sinks: { s: { from: a, topic: b } }\n"),
              HasSubstr("unknown format 'morse'; there are: json, text, bytes, csv, debezium, avro, protobuf, int16"));
  EXPECT_THAT(ErrorsOf("name: x\nsources: { a: { topic: a, columns: { x: int64 } } }\n"
                       "tables: { t: { file: t.csv, key: [x], columns: { x: int64 }, global: false } }\n"
                       "steps: { j: { from: a, join: { table: t, on: [x] } } }\nsinks: { s: { from: j, topic: b } }\n"),
              HasSubstr("`global: false` goes with a topic"));
  EXPECT_THAT(ErrorsOf(Clicks("", "", "  lake: { from: clicks, parquet: { path: \"gs://b/x\" } }\n")),
              HasSubstr("gs:// isn't implemented"));
}

TEST(ErrorsTest, UpdatingStepsAreRefusedWhereRowsMustStand) {
  const std::string updating =
      "  u: { from: clicks, group_by: [guid], aggregates: { n: \"count(*)\" }, emit: on_update }\n";
  EXPECT_EQ(ErrorsOf(Clicks(updating, "", "  s: { from: u, topic: s, key: [guid] }\n")), "");
  EXPECT_THAT(ErrorsOf(Clicks(updating, "", "  s: { from: u, topic: s, key: [guid], mode: append }\n")),
              AllOf(HasSubstr("step u updates its rows (key guid)"), HasSubstr("use mode: upsert")));
  EXPECT_THAT(ErrorsOf(Clicks(updating, "", "  s: { from: u, topic: s }\n")),
              HasSubstr("mode: upsert needs a key that contains guid"));
  EXPECT_THAT(ErrorsOf(Clicks(updating, "", "  s: { from: u, topic: s, key: [n] }\n")),
              HasSubstr("the key must contain guid"));
  EXPECT_THAT(ErrorsOf(Clicks(updating, "", "  s: { from: u, parquet: { path: lake } }\n")),
              AllOf(HasSubstr("a row in a Parquet file can't be changed"), HasSubstr("mode: changes")));
  EXPECT_EQ(
      ErrorsOf(Clicks(updating, "",
                      "  s: { from: u, parquet: { path: lake, mode: changes, partition_by: [\"date(_time)\"] } }\n")),
      "");
  // What tells of a change stays in the file: a folder of its name would take it out.
  const auto folders = [&](const std::string& by) {
    return ErrorsOf(
        Clicks(updating, "",
               absl::StrCat("  s: { from: u, parquet: { path: lake, mode: changes, partition_by: [", by, "] } }\n")));
  };
  for (const char* column : {"_op", "_partition", "_offset", "_row"}) {
    EXPECT_THAT(folders(column),
                AllOf(HasSubstr(absl::StrCat("folder name '", column, "' is also a column of each change")),
                      HasSubstr("give it another")));
    EXPECT_EQ(folders(absl::StrCat("{ of: ", column, " }")), "");
  }
  EXPECT_THAT(folders("_time"), HasSubstr("a folder can't be named by timestamp"));
  EXPECT_THAT(folders("{ _time: \"date(_time)\" }"), HasSubstr("is also a column of each change"));
  EXPECT_THAT(ErrorsOf(Clicks("", "", "  t: { from: clicks, parquet: { path: lake, mode: changes } }\n")),
              HasSubstr("step clicks only adds rows: mode: append"));
  EXPECT_THAT(ErrorsOf(Clicks(updating, "", "  s: { from: u, postgres: { url: x, table: t } }\n")),
              HasSubstr("mode: insert can't show"));
  const std::string windowed =
      "  w: { from: clicks, window: { tumbling: 1m }, group_by: [guid], aggregates: { n: \"count(*)\" }, "
      "emit: on_update }\n  u: { from: w, filter: \"n > 1\" }\n";
  const std::string dedup = "  v: { from: u, dedup: { by: [guid], within: 1h } }\n";
  EXPECT_THAT(ErrorsOf(Clicks(updating + dedup, "v")),
              AllOf(HasSubstr("dedup over an updating step isn't implemented"), HasSubstr("top with k: 1"),
                    ::testing::Not(HasSubstr("on_close"))))
      << "without a window nothing ever closes";
  EXPECT_THAT(ErrorsOf(Clicks(windowed + dedup, "v")), HasSubstr("or emit: on_close in step w"));
  const std::string window =
      "  v: { from: u, window: { tumbling: 1h }, group_by: [n], aggregates: { m: \"count(*)\" } }\n";
  EXPECT_EQ(ErrorsOf(Clicks(windowed + window, "v")), "");
  const std::string sessions =
      "  v: { from: u, window: { session: 1h }, group_by: [n], aggregates: { m: \"count(*)\" } }\n";
  EXPECT_THAT(ErrorsOf(Clicks(windowed + sessions, "v")),
              AllOf(HasSubstr("sessions over this step aren't implemented"), HasSubstr("emit: on_close in step w")));
  EXPECT_THAT(ErrorsOf(Clicks("  v: { from: clicks, window: { session: 1h }, group_by: [guid], aggregates: "
                              "{ m: \"count(*)\" }, emit: on_update }\n",
                              "", "  s: { from: v, topic: s, key: [guid] }\n")),
              HasSubstr("guid, window_start"));
  EXPECT_THAT(ErrorsOf(Clicks(updating + window, "v")),
              AllOf(HasSubstr("a window over this step isn't implemented"), HasSubstr("key guid")));
  const std::string list =
      "  t: { from: clicks, top: { k: 1, by: [guid], order: [guid], rank: r }, emit: on_update }\n"
      "  u: { from: t, project: { n: r, r: r, guid: guid } }\n";
  EXPECT_THAT(ErrorsOf(Clicks(list + window, "v")), HasSubstr("a window over this step isn't implemented"));
  EXPECT_THAT(ErrorsOf(Clicks(windowed + "  v: { from: u, window: { tumbling: 1h, late: { topic: l } }, group_by: [n], "
                                         "aggregates: { m: \"count(*)\" } }\n",
                              "v")),
              HasSubstr("no topic can hold them"));
  EXPECT_THAT(ErrorsOf(Clicks(windowed + "  v: { from: u, group_by: [n], aggregates: { m: \"first(guid)\" } }\n", "",
                              "  s: { from: v, topic: s, key: [n] }\n")),
              HasSubstr("first, last and string_agg follow the order of source rows"));
  EXPECT_EQ(ErrorsOf(Clicks(updating + "  v: { from: u, group_by: [n], aggregates: { m: \"count(*)\" } }\n", "",
                            "  s: { from: v, topic: s, key: [n] }\n")),
            "");
  EXPECT_THAT(ErrorsOf(Clicks(updating + "  v: { from: u, repartition: { by: [n] } }\n", "",
                              "  s: { from: v, topic: s, key: [guid] }\n")),
              AllOf(HasSubstr("rows of v replace each other by (guid, n)"), HasSubstr("the key must contain n")));
  EXPECT_EQ(ErrorsOf(Clicks(updating + "  v: { from: u, repartition: { by: [n] } }\n", "",
                            "  s: { from: v, topic: s, key: [n, guid], key_format: json }\n")),
            "");
  EXPECT_THAT(ErrorsOf(Clicks(updating + "  v: { from: u, project: { n: n } }\n", "",
                              "  s: { from: v, topic: s, key: [n] }\n")),
              HasSubstr("keep column guid"));
  EXPECT_THAT(ErrorsOf(Clicks(updating + "  v: { from: u, top: { k: 1, by: [n], order: [guid] } }\n", "",
                              "  s: { from: v, topic: s, key: [guid] }\n")),
              HasSubstr("can't be moved by another key"));
  EXPECT_EQ(ErrorsOf(Clicks(updating + "  v: { from: u, top: { k: 1, by: [n], order: [guid], rank: r } }\n", "",
                            "  s: { from: v, topic: s, key: [n, r], key_format: json }\n")),
            "");
}

TEST(ErrorsTest, RowsThatAreTakenBackCantBeJoinedWithATableThatChanges) {
  const auto errors = [](const std::string& emit, const std::string& table) {
    std::string yaml =
        Clicks("  u: { from: clicks, window: { tumbling: 1m }, group_by: [guid], aggregates: { n: \"count(*)\" }" +
                   emit + " }\n  j: { from: u, join: { table: users, on: [guid] } }\n",
               "", "  s: { from: j, topic: s, key: [guid, window_start, window_end], key_format: json }\n");
    const std::string file = "file: users.csv";
    return ErrorsOf(yaml.replace(yaml.find(file), file.size(), table));
  };
  EXPECT_THAT(errors(", emit: on_update", "topic: users"),
              AllOf(HasSubstr("can't be joined with table users, which changes while they stand"),
                    HasSubstr("join before the updating step"), HasSubstr("read the table from a file")));
  EXPECT_EQ(errors(", emit: on_update", "file: users.csv"), "");
  EXPECT_EQ(errors("", "topic: users"), "");
}

TEST(ErrorsTest, TopNeedsToKnowWhenAGroupIsComplete) {
  EXPECT_THAT(StepError("top: { k: 3, by: [guid], order: [\"price desc\"] }"),
              HasSubstr("its input must be a windowed step"));
  EXPECT_THAT(StepError("top: { k: 3, by: [guid], order: [\"price desc\"], rank: place }, emit: on_close"),
              HasSubstr("or the list is put out as it changes, with emit: on_update"));
}

TEST(ErrorsTest, AListThatChangesHasPlacesAndIsNeverComplete) {
  EXPECT_THAT(StepError("top: { k: 3, by: [guid], order: [\"price desc\"] }, emit: on_update"),
              HasSubstr("it needs a name, as in rank: place"));
  EXPECT_THAT(
      ErrorsOf(Clicks("  u: { from: clicks, group_by: [guid], aggregates: { n: \"count(*)\" } }\n"
                      "  t: { from: u, top: { k: 3, order: [n], rank: place }, emit: on_close }\n",
                      "t")),
      HasSubstr("rows of the input replace each other (key guid), so a list is never complete: use emit: on_update"));
}

TEST(ErrorsTest, OrderIsAColumnAndADirection) {
  const auto order = [](const std::string& o) {
    return ErrorsOf(
        Clicks("  w: { from: clicks, window: { tumbling: 1m }, group_by: [guid], aggregates: { n: \"count(*)\" } }\n"
               "  t: { from: w, top: { k: 3, order: [" +
                   o + "] } }\n",
               "t"));
  };
  EXPECT_EQ(order("\"n desc\", \"guid ASC\""), "");
  EXPECT_THAT(order("\"m desc\""), HasSubstr("t.yaml:21:38: unknown column 'm'"));
  EXPECT_THAT(order("\"n down\""), HasSubstr("expected 'column', 'column asc' or 'column desc'"));
  EXPECT_THAT(order("n, \"n desc\""), HasSubstr("column 'n' stands here twice"));
}

TEST(ErrorsTest, SinksSayWhatTheirKeyMustBe) {
  const auto sink = [](const std::string& s) { return ErrorsOf(Clicks("", "", "  s: { from: clicks, " + s + " }\n")); };
  EXPECT_EQ(sink("topic: s, key: [guid]"), "");
  EXPECT_THAT(sink("topic: s, key: [guid, url]"),
              HasSubstr("a text key holds one column, not 2 (guid, url); use key_format: json"));
  EXPECT_THAT(sink("topic: s, key: [gid]"), HasSubstr("unknown column 'gid' of step clicks (did you mean 'guid'?)"));
  EXPECT_THAT(sink("topic: s, key: [price]"),
              HasSubstr("a text key holds int32, int64, string, decimal, date or a timestamp, not double"));
  EXPECT_THAT(sink("topic: s, mode: upsert, key: [url]"), HasSubstr("column url can be null"));
  EXPECT_THAT(sink("topic: s, key_format: json"), HasSubstr("key_format goes with key"));
  EXPECT_THAT(sink("topic: clicks"), HasSubstr("would read its own output"));
  EXPECT_THAT(sink("topic: web-dead-letter"), HasSubstr("holds the dead letters"));
  EXPECT_THAT(sink("topic: s, postgres: { url: x, table: t }"),
              HasSubstr("a sink writes to one of: topic, postgres, parquet, webhook"));
  EXPECT_THAT(sink("postgres: { url: x, table: t }, key: [guid]"),
              HasSubstr("is for Kafka sinks; move it into postgres"));
  EXPECT_THAT(sink("postgres: { url: x, table: t, key: [url] }"), HasSubstr("which a primary key can't hold"));
  EXPECT_THAT(sink("postgres: { url: x, table: t, key: [guid], mode: insert }"),
              HasSubstr("a key goes with mode: upsert"));
  const std::string name(64, 'n');
  EXPECT_THAT(ErrorsOf(Clicks("  p: { from: clicks, project: { guid: guid, " + name + ": url } }\n", "",
                              "  s: { from: p, postgres: { url: x, table: t } }\n")),
              HasSubstr("has a name of 64 bytes, and PostgreSQL's have at most 63"));
  EXPECT_THAT(sink("parquet: { path: x, partition_by: [price] }"), HasSubstr("a folder can't be named by double"));
  EXPECT_THAT(sink("parquet: { path: x, partition_by: [\"date(ms)\", { date: \"date(ms)\" }] }"),
              HasSubstr("stands here twice"));
}

TEST(ErrorsTest, ADefaultIsReadAsTheDecoderWillReadIt) {
  const auto given = [](const std::string& type, const std::string& text) {
    std::string yaml = Clicks("");
    const std::string price = "      price: double\n";
    yaml.replace(yaml.find(price), price.size(),
                 absl::StrCat("      price: { type: \"", type, "\", default: \"", text, "\" }\n"));
    return ErrorsOf(yaml);
  };
  EXPECT_EQ(given("int32", "7"), "");
  EXPECT_EQ(given("int32", "+7"), "t.yaml:8:40: '+7' isn't an int32");
  EXPECT_THAT(given("int32", "3000000000"), HasSubstr("out of range for int32"));
  EXPECT_THAT(given("int64", " 7"), HasSubstr("isn't an int64"));
  EXPECT_THAT(given("double", "inf"), HasSubstr("isn't a double"));
  EXPECT_THAT(given("double", "1e999"), HasSubstr("out of range"));
  EXPECT_EQ(given("decimal(4,2)", "1.25"), "");
  EXPECT_THAT(given("decimal(4,2)", "1.255"), HasSubstr("more than 2 fractional digits"));
  EXPECT_THAT(given("decimal(4,2)", "100"), HasSubstr("out of range"));
  EXPECT_EQ(given("timestamp_ms", "1700000000000"), "");
  EXPECT_THAT(given("timestamp_s", "9300000000000000"), HasSubstr("out of range"));
  EXPECT_EQ(given("timestamp", "2026-01-01T00:00:00Z"), "");
  EXPECT_THAT(given("timestamp", "2026-01-01"), HasSubstr("RFC 3339"));
  EXPECT_THAT(given("date", "2026-2-1"), HasSubstr("YYYY-MM-DD"));
  EXPECT_THAT(given("bytes", "%"), HasSubstr("base64"));
  EXPECT_THAT(given("bool", "yes"), HasSubstr("isn't a bool"));
}

TEST(ErrorsTest, SourcesSayWhatTheirKeysAndTimesMustBe) {
  const auto source = [](const std::string& s) {
    return ErrorsOf("name: x\nsources: { a: { topic: a, " + s + " } }\nsinks: { s: { from: a, topic: b } }\n");
  };
  EXPECT_EQ(source("columns: { x: int64 }, start: \"2026-01-01T00:00:00Z\""), "");
  EXPECT_THAT(source("columns: { x: int64 }, start: yesterday"), HasSubstr("expected earliest, latest or a time"));
  EXPECT_THAT(source("columns: { x: int64 }, event_time: { column: x }"), HasSubstr("'x' is int64"));
  EXPECT_THAT(source("columns: { x: { type: timestamp, nullable: true } }, event_time: { column: x }"),
              HasSubstr("must not be nullable"));
  EXPECT_THAT(source("columns: { x: int64, y: int64 }, key_format: text, partitioned_by: [x, y]"),
              HasSubstr("a text key holds one column, not 2 (x, y)"));
  EXPECT_THAT(source("columns: { x: { type: string, from: offset } }"),
              HasSubstr("a column from: offset is int64, not string"));
  EXPECT_THAT(source("columns: { x: { type: string, from: ofset } }"),
              HasSubstr("unknown origin 'ofset' (did you mean 'offset'?)"));
  EXPECT_THAT(source("columns: { x: { type: string, on_error: null } }"), HasSubstr("needs `nullable: true`"));
  EXPECT_THAT(source("columns: { x: { type: int64, default: many } }"), HasSubstr("'many' isn't an int64"));
  EXPECT_THAT(source("columns: { x: int64 }, key_format: text"), HasSubstr("key_format has no use here"));
  EXPECT_THAT(source("columns: { }"), HasSubstr("at least one column"));
}

TEST(ErrorsTest, PropertiesThatExactlyOnceRestsOnAreRefused) {
  EXPECT_THAT(ErrorsOf("kafka: { properties: { isolation.level: read_uncommitted } }\n" + Clicks("")),
              AllOf(StartsWith("t.yaml:1:41: "), HasSubstr("'isolation.level' is set by Tidemark")));
  EXPECT_EQ(ErrorsOf("kafka: { properties: { security.protocol: SASL_SSL } }\n" + Clicks("")), "");
  EXPECT_THAT(ErrorsOf("commit_interval: 1m\n" + Clicks("")), HasSubstr("expected 1ms to 5s"));
}

TEST(ErrorsTest, InternalTopicsTakeWhatTheirRecordsNeed) {
  const auto limit = [](const std::string& value) {
    return ErrorsOf("internal_topics: { config: { max.message.bytes: \"" + value + "\" } }\n" + Clicks(""));
  };
  EXPECT_EQ(limit("8388608"), "");
  EXPECT_THAT(limit("1000000"), HasSubstr("1048576 or more"));
  EXPECT_THAT(limit("8M"), HasSubstr("expected a number of bytes"));
}

TEST(ErrorsTest, SinksOfOneTopicWriteTheSame) {
  const std::string steps =
      "  a: { from: clicks, project: { guid: guid, url: url } }\n  b: { from: clicks, project: { url: url, guid: guid "
      "} }\n"
      "  c: { from: clicks, project: { guid: guid, url: price } }\n";
  const auto two = [&](const std::string& second) {
    return ErrorsOf(Clicks(steps, "c", "  x: { from: a, topic: both, key: [guid] }\n  y: { " + second + " }\n"));
  };
  EXPECT_EQ(two("from: b, topic: both, key: [guid]"), "") << "the order of columns doesn't matter";
  EXPECT_THAT(
      two("from: c, topic: both, key: [guid]"),
      HasSubstr("sink y writes topic both with columns (guid int64, url double), sink x with columns (guid int64, "
                "url string): give each a topic of its own"));
  EXPECT_THAT(two("from: b, topic: both"), HasSubstr("with no key, sink x with key (guid) in key_format: text"));
  EXPECT_THAT(two("from: b, topic: both, key: [guid], key_format: json"), HasSubstr("key_format: json, sink x"));
  EXPECT_THAT(two("from: b, topic: both, key: [guid], mode: upsert"),
              HasSubstr("mode: upsert, sink x with mode: append"));
  EXPECT_THAT(
      ErrorsOf(Clicks(steps + "  w: { from: clicks, window: { tumbling: 1m, late: { topic: both } }, group_by: [guid], "
                              "aggregates: { n: \"count(*)\" } }\n",
                      "w", "  x: { from: a, topic: both }\n  y: { from: b, topic: p }\n  z: { from: c, topic: q }\n")),
      HasSubstr("late of step w writes topic both with columns"));
}

TEST(ErrorsTest, WhatDependsOnTheMomentIsRefusedByName) {
  for (const char* call : {"now()", "random()", "gen_random_uuid()", "clock_timestamp()", "current_timestamp",
                           "current_date", "current_user", "localtime"}) {
    EXPECT_THAT(StepError(std::string("project: { x: \"") + call + "\" }"),
                AllOf(HasSubstr("results depend on the input alone"), ::testing::Not(HasSubstr("did you mean"))))
        << call;
  }
}

}  // namespace
}  // namespace tidemark
