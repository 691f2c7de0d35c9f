// Many files are one topology; templates, anchors and merge keys say what the same YAML written out would say.
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>
#include <absl/strings/str_split.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/plan/plan_text.h"

namespace tidemark {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::string YamlOf(const TestFiles& files) {
  TopologyText read;
  const auto plan = PlanOfFiles(files, &read);
  EXPECT_TRUE(plan.ok()) << plan.status();
  return read.yaml;
}
std::string YamlOf(const std::string& text) { return YamlOf(TestFiles{{"t.yaml", text}}); }

// A topology of one source, `columns` from its fourth line on.
std::string Columns(const std::string& columns) {
  return "name: t\nsources:\n  s:\n    topic: s\n    columns:\n" + columns + "sinks: { o: { from: s, topic: o } }\n";
}

std::vector<std::string> ColumnsOf(const std::string& text) {
  const auto plan = PlanOf(text);
  EXPECT_TRUE(plan.ok()) << plan.status();
  return plan.ok() ? plan->sources.at(0).schema().Names() : std::vector<std::string>();
}

constexpr char kKit[] = R"yaml(templates:
  service:
    parameters:
      columns: mapping
      topic: { type: string, default: "$(name)-in" }
      within: { type: duration, default: 1h }
      event_time: { type: mapping, default: }
    sources:
      $(name): { topic: $(topic), columns: $(columns), event_time: $(event_time) }
    steps:
      $(name)_unique: { from: $(name), dedup: { by: [id], within: $(within) } }
    sinks:
      $(name)_out: { from: $(name)_unique, topic: $(name)-out }
)yaml";

TestFiles Services(const TestFiles& more) {
  TestFiles files = {{"t.yaml", "name: town\ninclude: [kit.yaml, s/*.yaml]\n"}, {"kit.yaml", kKit}};
  files.insert(more.begin(), more.end());
  return files;
}

// ---- include

TEST(ComposeTest, FilesThatArePutApartAreTheSameTopology) {
  const std::string source = "sources: { s: { topic: s, columns: { id: int64 } } }\n";
  const std::string sink = "sinks: { o: { from: s, topic: o } }\n";
  const std::string settings = "memory: 1GiB\nkafka: { brokers: b }\n";
  EXPECT_EQ(YamlOf({{"t.yaml", "name: t\ninclude: [a.yaml, more/b.yaml]\n"},
                    {"a.yaml", source},
                    {"more/b.yaml", "include: ../c.yaml\n" + settings},
                    {"c.yaml", sink}}),
            YamlOf("name: t\n" + settings + source + sink));
}

TEST(ComposeTest, APatternIsReadInTheOrderOfNamesAndAFileOnce) {
  const auto plan = PlanOfFiles({{"t.yaml", "name: t\ninclude: [\"s/*.yaml\", s/a.yaml, \"s/[b].yaml\"]\n"},
                                 {"s/c.yaml", "include: ../x.yaml\nsinks: { o: { from: s, topic: o } }\n"},
                                 {"s/a.yaml", "include: ../x.yaml\nsources: { s: { topic: s, columns: *c } }\n"},
                                 {"s/b.yaml", "memory: 1GiB\n"},
                                 {"s/.hidden.yaml", "nonsense"},
                                 {"s/deeper/d.yaml", "nonsense"},
                                 {"x.yaml", "commit_interval: 1s\n"}});
  EXPECT_THAT(std::string(plan.status().message()), HasSubstr("s/a.yaml:2:36: not YAML: the referenced anchor"));
  TopologyText read;
  const auto good =
      PlanOfFiles({{"t.yaml", "name: t\ninclude: [\"s/?.yaml\", s/a.yaml, \"s/[b].yaml\"]\n"},
                   {"s/c.yaml", "include: ../x.yaml\nsinks: { o: { from: s, topic: o } }\n"},
                   {"s/a.yaml", "include: ../x.yaml\nsources: { s: { topic: s, columns: { i: bool } } }\n"},
                   {"s/b.yaml", "memory: 1GiB\n"},
                   {"x.yaml", "commit_interval: 1s\n"}},
                  &read);
  ASSERT_TRUE(good.ok()) << good.status();
  EXPECT_THAT(read.files, ElementsAre("t.yaml", "s/a.yaml", "x.yaml", "s/b.yaml", "s/c.yaml"));
}

TEST(ComposeTest, FilesLieOnADisk) {
  const std::string folder = ::testing::TempDir() + "tidemark[compose]";
  ASSERT_EQ(std::system(("rm -rf '" + folder + "' && mkdir -p '" + folder + "/s/folder.yaml'").c_str()), 0);
  const auto write = [&](const std::string& name, const std::string& text) {
    std::FILE* file = std::fopen((folder + "/" + name).c_str(), "w");
    ASSERT_NE(file, nullptr);
    std::fputs(text.c_str(), file);
    std::fclose(file);
  };
  write("t.yaml", "name: t\ninclude: s/*.yaml\n");
  write("s/b.yaml", "sinks: { o: { from: s, topic: o } }\n");
  write("s/a.yaml", "sources: { s: { topic: s, columns: { id: int64 } } }\n");
  TopologyText read;
  const auto plan = LoadPlan(folder + "/t.yaml", Operators(), OwnFormats().list(), &read);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(read.files, ElementsAre(folder + "/t.yaml", folder + "/s/a.yaml", folder + "/s/b.yaml"));
}

// ---- templates

TEST(ComposeTest, AUseIsWhatItsTemplateWouldSayWrittenOut) {
  EXPECT_EQ(YamlOf(Services({{"s/a.yaml", R"yaml(use:
  orders:
    template: service
    with: { columns: { id: int64, total: "decimal(12,2)", at: timestamp_ms }, within: 30m, event_time: { column: at } }
)yaml"}})),
            R"yaml(name: town

sources:
  orders:
    topic: orders-in
    columns:
      id: int64
      total: "decimal(12,2)"
      at: timestamp_ms
    event_time:
      column: at

steps:
  orders_unique:
    from: orders
    dedup:
      by: [id]
      within: 30m

sinks:
  orders_out:
    from: orders_unique
    topic: orders-out
)yaml");
}

TEST(ComposeTest, AFurtherServiceIsOneSmallFileAndLeavesTheOthersAsTheyWere) {
  TestFiles files = Services({{"s/a.yaml", "use: { a: { template: service, with: { columns: { id: int64 } } } }\n"},
                              {"s/b.yaml", "use: { b: { template: service, with: { columns: { id: int64 } } } }\n"}});
  const std::vector<std::string> before = absl::StrSplit(YamlOf(files), '\n');
  files["s/c.yaml"] = "use: { c: { template: service, with: { columns: { id: string } } } }\n";
  const std::vector<std::string> after = absl::StrSplit(YamlOf(files), '\n');
  size_t at = 0;
  for (const std::string& line : after) {
    if (at < before.size() && line == before[at]) ++at;
  }
  EXPECT_EQ(at, before.size()) << "every line of before, in order";
  EXPECT_GT(after.size(), before.size());
}

TEST(ComposeTest, AParameterThatIsNothingLeavesOutWhatItWholly) {
  EXPECT_THAT(YamlOf(Services({{"s/a.yaml", "use: { a: { template: service, with: { columns: { id: int64 } } } }\n"}})),
              AllOf(Not(HasSubstr("event_time")), HasSubstr("within: 1h")));
  EXPECT_THAT(YamlOf(Services({{"s/a.yaml",
                                "use: { a: { template: service, with: { columns: { id: int64 }, "
                                "event_time: } } }\n"}})),
              Not(HasSubstr("event_time")));
}

TEST(ComposeTest, ParametersStandInTextsAndNamesAndBeforeVariables) {
  const std::string text = R"yaml(name: t
templates:
  t:
    parameters: [a, b]
    sources: { "$(name)_$(a)": { topic: "$(a).$(b)", columns: { id: int64 } } }
    sinks: { $(name)_out: { from: $(name)_$(a), topic: "${PREFIX:-$(b)}", headers: { h: "$(a)$(b)$$(c)${PREFIX:-}" } } }
use: { n: { template: t, with: { a: "1", b: "${X:-two}" } } }
)yaml";
  EXPECT_THAT(ErrorsOf(text, {{"X", "$(a)${NO}"}, {"PREFIX", "p"}}), HasSubstr("'1.$(a)${NO}' can't be a topic"))
      << "what is put in isn't looked at again";
  const auto plan = PlanOf(text, {{"PREFIX", "p"}});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->sources[0].name, "n_1");
  EXPECT_EQ(plan->sources[0].topic, "1.two");
  const auto& sink = std::get<KafkaSinkSpec>(plan->sinks[0].spec);
  EXPECT_EQ(sink.topic, "p");
  EXPECT_THAT(sink.headers, ElementsAre(std::pair<std::string, std::string>("h", "1two$(c)p")));
}

TEST(ComposeTest, TemplatesUseTemplates) {
  EXPECT_EQ(YamlOf(R"yaml(name: t
templates:
  source: { parameters: { topic: string }, sources: { $(name): { topic: $(topic), columns: { id: int64 } } } }
  both:
    parameters: { which: list }
    use: { $(name)_a: { template: source, with: { topic: "$(name).a" } }, $(name)_b: { template: source, with: { topic: b } } }
    steps: { $(name)_all: { from: $(which), filter: "id > 1" } }
    sinks: { $(name)_out: { from: $(name)_all, topic: out } }
use: { n: { template: both, with: { which: [n_a, n_b] } } }
)yaml"),
            YamlOf(R"yaml(name: t
sources: { n_a: { topic: n.a, columns: { id: int64 } }, n_b: { topic: b, columns: { id: int64 } } }
steps: { n_all: { from: [n_a, n_b], filter: "id > 1" } }
sinks: { n_out: { from: n_all, topic: out } }
)yaml"));
}

TEST(ComposeTest, OutsideOfTemplatesADollarAndABracketMeanNothing) {
  const auto plan = PlanOf(
      "name: t\nsources: { s: { topic: s, columns: { id: int64 } } }\n"
      "sinks: { o: { from: s, topic: o, headers: { h: \"$(x) $$(y)\" } } }\n");
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(std::get<KafkaSinkSpec>(plan->sinks[0].spec).headers[0].second, "$(x) $$(y)");
}

// ---- anchors, merge keys, extension fields

TEST(ComposeTest, AMergeKeyBringsEntriesAtItsPlaceAndTheMappingsOwnGoBefore) {
  const std::string base = "x-base: &b { a: int64, b: string, c: bool }\n";
  EXPECT_THAT(ColumnsOf(base + Columns("      <<: *b\n      d: date\n")), ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(ColumnsOf(base + Columns("      d: date\n      <<: *b\n")), ElementsAre("d", "a", "b", "c"));
  const std::string own = base + Columns("      <<: *b\n      d: date\n      b: bytes\n");
  EXPECT_THAT(ColumnsOf(own), ElementsAre("a", "c", "d", "b"));
  EXPECT_EQ(PlanOf(own)->sources[0].schema()[3].type.kind, Kind::kBytes);
}

TEST(ComposeTest, OfSeveralMergedMappingsTheFirstGoesBefore) {
  const std::string bases =
      "x-1: &a { a: int64, b: string }\nx-2: &b { b: bool, c: bool }\nx-3: &c { <<: *b, d: date }\n";
  const std::string text = bases + Columns("      <<: [*a, *c]\n");
  EXPECT_THAT(ColumnsOf(text), ElementsAre("a", "b", "c", "d"));
  EXPECT_EQ(PlanOf(text)->sources[0].schema()[1].type.kind, Kind::kString);
}

TEST(ComposeTest, AQuotedMergeKeyIsAName) {
  EXPECT_THAT(ColumnsOf(Columns("      \"<<\": int64\n")), ElementsAre("<<"));
}

TEST(ComposeTest, AnAliasIsTheValueAgain) {
  EXPECT_THAT(ColumnsOf("name: t\nsources: { s: { topic: s, columns: &c { id: &t int64, n: *t } } }\n"
                        "tables: { u: { file: u.csv, key: [id], columns: *c } }\n"
                        "steps: { j: { from: s, join: { table: u, on: [id], columns: [n], prefix: u_ } } }\n"
                        "sinks: { o: { from: j, topic: o } }\n"),
              ElementsAre("id", "n"));
}

TEST(ComposeTest, AliasesDontBlowUpATopology) {
  std::string text = "x-0: &a0 [x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    absl::StrAppend(&text, "x-", i, ": &a", i, " [");
    for (int j = 0; j < 9; ++j) absl::StrAppend(&text, j == 0 ? "" : ", ", "*a", i - 1);
    absl::StrAppend(&text, "]\n");
  }
  EXPECT_EQ(ErrorsOf(text),
            "t.yaml:6:6: with its aliases this stands for 597871 values; a topology has at most 300000");
}

TEST(ComposeTest, TemplatesDontBlowUpATopology) {
  std::string text =
      "name: t\ntemplates:\n  t0: { sources: { $(name): { topic: $(name), columns: { a: bool, b: bool } } } }\n";
  for (int i = 1; i < 7; ++i) {
    absl::StrAppend(&text, "  t", i, ": { use: { ");
    for (int j = 0; j < 9; ++j) absl::StrAppend(&text, "$(name)", j, ": t", i - 1, ", ");
    absl::StrAppend(&text, "} }\n");
  }
  EXPECT_THAT(ErrorsOf(text + "use: { a: t6 }\n"), HasSubstr("with this use the topology has more than 300000 values"));
}

TEST(ComposeTest, TextsOfTemplatesDontBlowUpATopology) {
  std::string text = "name: t\ntemplates:\n  long:\n    parameters:\n      p0: { default: 0123456789abcdef }\n";
  for (int i = 1; i < 60; ++i) {
    const std::string before = absl::StrCat("$(p", i - 1, ")");
    absl::StrAppend(&text, "      p", i, ": { default: \"", before, before, "\" }\n");
  }
  absl::StrAppend(&text, "    sources: { $(name): { topic: $(p59), columns: { a: bool } } }\nuse: { a: long }\n");
  EXPECT_THAT(ErrorsOf(text), HasSubstr("with this use the topology has more than 300000 values"));
}

TEST(ComposeTest, ExtensionFieldsAreIgnoredWhereFieldsStand) {
  const std::string plain =
      "name: t\nsources: { s: { topic: s, columns: { id: int64 } } }\nsinks: { o: { from: s, topic: o } }\n";
  EXPECT_EQ(
      YamlOf("x-team: [a, { b: c }]\nx-nothing:\nname: t\n"
             "sources: { s: { x-note: { from: the past }, topic: s, columns: { id: { type: int64, x-was: int } } } }\n"
             "sinks: { o: { from: s, topic: o, x-: 1 } }\n"),
      YamlOf(plain));
  EXPECT_THAT(ColumnsOf(Columns("      x-ray: int64\n")), ElementsAre("x-ray")) << "a name";
}

// ---- what came out

TEST(ComposeTest, WhatCameOutIsTheSameTopologyAndComesOutTheSame) {
  TopologyText read, read_again;
  const auto plan = PlanOf(R"yaml(name: t
kafka: { properties: { socket.keepalive.enable: "true", client.rack: "no" } }
commit_interval: "${INTERVAL:-200ms}"
sources:
  z:
    topic: z
    columns:
      a b: { type: int64 }
      "it's: \"x\"\\": string
      n: { type: string, nullable: true, on_error: null, default: "null" }
  a: { columns: { k: int64, v: double }, topic: a }
steps:
  g: { from: [a], group_by: [k], aggregates: { n: "count(*)", "sum of v": "sum(v)" } }
  f: { filter: "\"a b\" > 1\n AND n <> 'ä\t#: '", from: z }
sinks:
  o:
    from: f
    topic: o
    headers: { empty: "", tilde: "~", dash: "-", number: "0123", colon: "a: b", yes: "yes", tab: "\t\\" }
    create: {}
  p: { from: f, parquet: { path: p, partition_by: ["coalesce(n, 'x')", { m: "1 + 1" }] } }
  g_out: { from: g, topic: g, key: [k] }
)yaml",
                           {}, &read);
  ASSERT_TRUE(plan.ok()) << plan.status();
  const auto again = PlanOf(read.yaml, {}, &read_again);
  ASSERT_TRUE(again.ok()) << again.status() << "\n" << read.yaml;
  EXPECT_EQ(read_again.yaml, read.yaml);
  EXPECT_THAT(read.yaml,
              AllOf(HasSubstr("commit_interval: \"${INTERVAL:-200ms}\"\n"), HasSubstr("  a:\n    topic: a\n"),
                    HasSubstr("on_error: null\n"), HasSubstr("default: \"null\"\n")));
  EXPECT_LT(read.yaml.find("\n  a:\n"), read.yaml.find("\n  z:\n")) << "by name";
  const auto headers = [](const Plan& of) { return std::get<KafkaSinkSpec>(of.sinks[1].spec).headers; };
  EXPECT_EQ(headers(*again), headers(*plan));
  EXPECT_EQ(again->sources[1].schema(), plan->sources[1].schema());
  EXPECT_EQ(SpecOf<FilterSpec>(*again, "f").expression, SpecOf<FilterSpec>(*plan, "f").expression);
}

// ---- docs/many-services.md

TEST(ComposeTest, TheFilesOfTheDocumentationAreATopologyAndItsErrorsWhatIsTold) {
  TestFiles files;
  const std::string text = ReadWholeFile("docs/many-services.md").value();
  for (size_t at = 0; (at = text.find("```yaml\n# ", at)) != std::string::npos;) {
    at += 8;
    const std::string file = text.substr(at, text.find("```", at) - at);
    const std::string name = file.substr(2, file.find('\n') - 2);
    files[name == "topology.yaml" ? "t.yaml" : name] = file;
  }
  ASSERT_EQ(files.size(), 3u);
  EXPECT_THAT(YamlOf(files),
              AllOf(HasSubstr("owner: shop"), HasSubstr("topic: orders-unique"), HasSubstr("id: int64\n")));
  const auto changed = [&](const char* name, const char* from, const char* to) {
    TestFiles with = files;
    with[name] = absl::StrReplaceAll(with[name], {{from, to}});
    return absl::StrCat("\n    ", ErrorsOfFiles(with), "\n");
  };
  EXPECT_THAT(text, HasSubstr(changed("templates.yaml", "[id]", "[idd]")));
  EXPECT_THAT(text, HasSubstr(changed("services/orders.yaml", "customer: string", "customer: int")));
}

TEST(ComposeTest, TheMasksOfTheDocumentationAreExpressions) {
  const std::string text = ReadWholeFile("docs/many-services.md").value();
  size_t masks = 0;
  for (const absl::string_view piece : absl::StrSplit(text.substr(text.find("| Mask |")), '\n')) {
    const std::string line(piece);
    const std::vector<std::string> ticked = absl::StrSplit(line, '`');
    for (size_t i = 1; absl::StartsWith(line, "| ") && i < ticked.size(); i += 2) {
      const std::string mask = absl::StrReplaceAll(ticked[i], {{"\\|", "|"}, {"\\", "\\\\"}});
      EXPECT_EQ(ErrorsOf("name: t\nsources: { s: { topic: s, columns: { email: string, card: string } } }\n"
                         "steps: { m: { from: s, project: { m: \"" +
                             mask + "\" } } }\nsinks: { o: { from: m, topic: o } }\n",
                         {{"SALT", "salt"}}),
                "")
          << mask;
      ++masks;
    }
  }
  EXPECT_EQ(masks, 5u);
}

}  // namespace
}  // namespace tidemark
