// What is wrong with includes, templates, uses and merge keys is told exactly: where, what, and what to do; and what
// comes of a use names the template too.
#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/plan/plan_text.h"

namespace tidemark {
namespace {

constexpr char kRest[] =
    "sources: { s: { topic: s, columns: { id: int64 } } }\n"
    "sinks: { o: { from: s, topic: o } }\n";

// "t.yaml" with this in its second line.
TestFiles Top(const std::string& line, const TestFiles& more = {}) {
  TestFiles files = {{"t.yaml", "name: t\n" + line + "\n" + kRest}};
  files.insert(more.begin(), more.end());
  return files;
}

// A template `p` whose lines begin in line 3 of kit.yaml, and two uses of it.
TestFiles Kit(const std::string& body, const std::string& uses = "use: { a: p, b: p }\n") {
  return {{"t.yaml", "name: t\ninclude: [kit.yaml, use.yaml]\n"},
          {"kit.yaml", "templates:\n  p:\n" + body},
          {"use.yaml", uses}};
}

constexpr char kService[] = R"(    parameters:
      columns: mapping
      within: { type: duration, default: 1h }
      by: { type: list, default: [id] }
    sources:
      $(name): { topic: $(name), columns: $(columns) }
    steps:
      $(name)_unique: { from: $(name), dedup: { by: $(by), within: $(within) } }
    sinks:
      $(name)_out: { from: $(name)_unique, topic: $(name)-out }
)";

// A use of that template, its arguments in line 4 of use.yaml.
TestFiles Use(const std::string& with) {
  return Kit(kService, "use:\n  a:\n    template: p\n    with: { " + with + " }\n");
}

// One line of source `s`, from a place with a merge key; in line 2.
TestFiles Source(const std::string& columns, const std::string& head = "x-b: &b { id: int64 }") {
  return {{"t.yaml", head + "\nsources: { s: { topic: s, columns: " + columns +
                         " } }\nname: t\n"
                         "sinks: { o: { from: s, topic: o } }\n"}};
}

TEST(ComposeMistakesTest, IncludesThatCantBeRead) {
  EXPECT_EQ(ErrorsOfFiles(Top("include: a.yaml")), "t.yaml:2:10: a.yaml can't be read: No such file or directory");
  EXPECT_EQ(ErrorsOfFiles(Top("include: [s/*.yaml]")), "t.yaml:2:11: no file matches 's/*.yaml' in the current folder");
  EXPECT_EQ(ErrorsOfFiles(Top("include: s/a.yaml", {{"s/a.yaml", "include: b/*.yaml\n"}})),
            "s/a.yaml:1:10: no file matches 'b/*.yaml' in s");
  EXPECT_EQ(ErrorsOfFiles(Top("include: s/**/a.yaml")),
            "t.yaml:2:10: '**' isn't implemented: name each folder, such as [\"a/*.yaml\", \"b/*.yaml\"]");
  EXPECT_EQ(ErrorsOfFiles(Top("include: { a: b }")), "t.yaml:2:1: expected a file or a list of files, found a mapping");
  EXPECT_EQ(ErrorsOfFiles(Top("include:")), "t.yaml:2:1: expected a file or a list of files, found nothing");
  EXPECT_EQ(ErrorsOfFiles(Top("include: [[a.yaml]]")), "t.yaml:2:11: expected a file, found a list");
  EXPECT_EQ(ErrorsOfFiles(Top("include: ''")), "t.yaml:2:10: expected a file, found ''");
  EXPECT_EQ(ErrorsOfFiles(Top("include: ${DIR}/a.yaml")),
            "t.yaml:2:10: environment variable DIR is not set; set it, or write ${DIR:-default}");
  EXPECT_EQ(ErrorsOfFiles(Top("includes: a.yaml")), "t.yaml:2:1: unknown field 'includes' (did you mean 'include'?)");
  EXPECT_EQ(ErrorsOfFiles(Top("x: !include a.yaml")),
            "t.yaml:2:1: unknown field 'x'\n"
            "t.yaml:2:4: the tag '!include' has no meaning here; write include: FILE at the top of the file");
}

TEST(ComposeMistakesTest, FilesThatIncludeEachOther) {
  EXPECT_EQ(ErrorsOfFiles(Top("include: '*.yaml'")),
            "t.yaml:2:10: files that include each other without end: t.yaml -> t.yaml");
  EXPECT_EQ(
      ErrorsOfFiles(Top("include: a.yaml", {{"a.yaml", "include: s/b.yaml\n"}, {"s/b.yaml", "include: ../a.yaml\n"}})),
      "s/b.yaml:1:10: files that include each other without end: a.yaml -> s/b.yaml -> a.yaml");
}

TEST(ComposeMistakesTest, IncludedFilesThatSayNothingOrWhatIsNoYaml) {
  EXPECT_EQ(ErrorsOfFiles(Top("include: a.yaml", {{"a.yaml", "# nothing\n"}})), "a.yaml:1:1: the file is empty");
  EXPECT_EQ(ErrorsOfFiles(Top("include: a.yaml", {{"a.yaml", "- a\n"}})),
            "a.yaml:1:1: expected a mapping, found a list; its fields: name, include, sources, tables, steps, sinks, "
            "views, dashboards, templates, use, and settings");
  EXPECT_EQ(ErrorsOfFiles(Top("include: a.yaml", {{"a.yaml", "sources:\n\ta: b\n"}})),
            "a.yaml:2:3: not YAML: illegal map value; line 2 is indented with a tab, and YAML takes blanks alone");
  EXPECT_EQ(ErrorsOfFiles(Top("include: a.yaml", {{"a.yaml", "x-a: 1\n---\nx-b: 1\n"}})),
            "a.yaml:2:1: a second YAML document; a topology file holds one");
}

TEST(ComposeMistakesTest, ANameThatTwoFilesDefineHasBothPlaces) {
  EXPECT_EQ(
      ErrorsOfFiles(Top("include: a.yaml", {{"a.yaml", "sources: { s: { topic: x, columns: { id: int64 } } }\n"}})),
      "t.yaml:3:12: source 's' is defined twice, first at a.yaml:1:12");
  EXPECT_EQ(ErrorsOfFiles(Top("include: a.yaml", {{"a.yaml", "memory: 1GiB\nname: u\n"}})),
            "a.yaml:2:1: 'name' is set twice, first at t.yaml:1:1; a setting stands in one file as a whole");
  EXPECT_EQ(ErrorsOfFiles(Top("include: [a.yaml, b.yaml]", {{"a.yaml", "templates: { p: { use: { x: q } } }\n"},
                                                            {"b.yaml", "templates: { p: { use: { x: q } } }\n"}})),
            "b.yaml:1:14: template 'p' is defined twice, first at a.yaml:1:14");
  EXPECT_EQ(
      ErrorsOfFiles(Kit("    sources: { raw: { topic: raw, columns: { id: int64 } } }\n"
                        "    sinks: { $(name)_out: { from: raw, topic: $(name)-out } }\n")),
      "kit.yaml:3:16: source 'raw' is defined twice, first at kit.yaml:3:16, in template 'p', used at use.yaml:1:8; "
      "put $(name) into its name (in template 'p', used at use.yaml:1:14)");
}

TEST(ComposeMistakesTest, WhatAServiceTakesFromAnotherHasBothPlaces) {
  EXPECT_EQ(ErrorsOfFiles(Top("include: a.yaml", {{"a.yaml",
                                                   "sources: { u: { topic: s, columns: { id: int64 } } }\n"
                                                   "sinks: { u_out: { from: u, topic: u } }\n"}})),
            "a.yaml:1:24: topic s is already read by source s, at t.yaml:3:24; several steps can read one source");
  EXPECT_EQ(ErrorsOfFiles(Top("include: a.yaml", {{"a.yaml", "steps: { s: { from: s, filter: \"id > 1\" } }\n"}})),
            "a.yaml:1:10: 's' is the name of a source already, at t.yaml:3:12");
  EXPECT_EQ(ErrorsOfFiles(Top("include: a.yaml", {{"a.yaml", "sinks: { s: { from: s, topic: x } }\n"}})),
            "a.yaml:1:10: 's' is the name of a source or step already, at t.yaml:3:12");
}

TEST(ComposeMistakesTest, APatternOfTopicsUnderAnotherNameIsToldItsOwn) {
  EXPECT_EQ(ErrorsOfFiles({{"t.yaml",
                            "name: t\nsources: { s: { pattern: \"a.*\", columns: { id: int64 } } }\n"
                            "sinks: { o: { from: s, topic: o } }\n"}}),
            "t.yaml:2:17: 'pattern' isn't a field of a source: `topics: \"svc-.*\"` reads all that match");
}

TEST(ComposeMistakesTest, WhatAnIncludedFileSaysIsCheckedWhereItStands) {
  EXPECT_EQ(ErrorsOfFiles(Top("include: a.yaml", {{"a.yaml",
                                                   "steps:\n  x: { from: s, dedup: { by: [ir], within: 1h } }\n"
                                                   "sinks: { x_out: { from: x, topic: x } }\nsource: {}\n"}})),
            "a.yaml:2:31: unknown column 'ir' of the input (did you mean 'id'?)\n"
            "a.yaml:4:1: unknown field 'source' (did you mean 'sources'?)");
}

TEST(ComposeMistakesTest, TemplatesAreCheckedWhereTheyStand) {
  EXPECT_EQ(ErrorsOfFiles(Kit("    sorces: {}\n")),
            "kit.yaml:3:5: unknown field 'sorces' of a template (did you mean 'sources'?)");
  EXPECT_EQ(ErrorsOfFiles(Kit("    memory: 1GiB\n")),
            "kit.yaml:3:5: 'memory' stands at the top of a file, not in a template");
  EXPECT_EQ(ErrorsOfFiles(Kit("    description: empty\n")),
            "kit.yaml:2:3: template 'p' makes nothing: no sources, tables, steps, sinks, views or use");
  EXPECT_EQ(ErrorsOfFiles(Kit("    [a]\n")),
            "kit.yaml:2:3: expected a mapping, found a list; fields of a template: description, parameters, sources, "
            "tables, steps, sinks, views, use");
  EXPECT_EQ(ErrorsOfFiles(Kit("    sources: { $(name): { topic: $(topc) } }\n    parameters: { topic: string }\n")),
            "kit.yaml:3:34: template 'p' has no parameter 'topc' (did you mean 'topic'?)\n"
            "kit.yaml:4:19: parameter 'topic' isn't used in template 'p'; write $(topic) where it belongs");
  EXPECT_EQ(ErrorsOfFiles(Kit("    sources: { $(name): { topic: $(name } }\n")),
            "kit.yaml:3:34: '$(' without ')'; write $$( for a literal $(");
  EXPECT_EQ(ErrorsOfFiles(Kit("    sources: { $(name): { topic: $(a b) } }\n")),
            "kit.yaml:3:34: 'a b' isn't the name of a parameter; write $$( for a literal $(");
  EXPECT_EQ(ErrorsOfFiles(Kit("    parameters: { c: mapping }\n    sources: { $(name): { topic: t-$(c) } }\n")),
            "kit.yaml:4:34: parameter 'c' is a mapping, and can only be a whole value: KEY: $(c)");
}

TEST(ComposeMistakesTest, ParametersAreCheckedWhereTheyStand) {
  const std::string rest = "    sources: { $(name): { topic: $(t), columns: { id: int64 } } }\n";
  const auto parameter = [&](const std::string& text) {
    return ErrorsOfFiles(Kit("    parameters: " + text + "\n" + rest));
  };
  EXPECT_EQ(
      parameter("{ t: text }"),
      "kit.yaml:3:22: unknown type 'text' of a parameter (one of: string, name, integer, bool, duration, size, list, "
      "mapping)");
  EXPECT_EQ(parameter("{ t: { type: strin } }"),
            "kit.yaml:3:30: unknown type 'strin' of a parameter (did you mean 'string'?)");
  EXPECT_EQ(parameter("{ t: { typ: string } }"),
            "kit.yaml:3:24: unknown field 'typ' of a parameter (did you mean 'type'?)");
  EXPECT_EQ(
      parameter("{ t: [string] }"),
      "kit.yaml:3:19: expected a type (string, name, integer, bool, duration, size, list, mapping) or { type: ..., "
      "default: ... }, found a list");
  EXPECT_EQ(
      parameter("{ t: { type: duration, default: soon } }"),
      "kit.yaml:3:49: parameter 't' of template 'p' is a duration such as 100ms, 5s, 10m, 1h or 1d, found 'soon'");
  EXPECT_EQ(parameter("{ t: { default: $(u) }, u: string }"),
            "kit.yaml:3:33: parameter 'u' stands behind this default, which can name those before it");
  EXPECT_EQ(parameter("{ name: string, t: string }"),
            "kit.yaml:3:19: every template has the parameter 'name' already: that of the use");
  EXPECT_EQ(parameter("[t, t]"), "kit.yaml:3:21: parameter 't' stands here twice");
  EXPECT_EQ(parameter("{ t: string, a b: string }"),
            "kit.yaml:3:30: parameter 'a b': letters, digits, '_' and '-', 1 to 100 of them, not starting with __");
  EXPECT_EQ(
      parameter("t"),
      "kit.yaml:3:17: expected a list or a mapping, found 't'; write { NAME: TYPE }, of types string, name, integer, "
      "bool, duration, size, list, mapping");
}

TEST(ComposeMistakesTest, AUseThatDoesntFitItsTemplateHasBothPlaces) {
  EXPECT_EQ(ErrorsOfFiles(Kit(kService, "use: { a: p }\n")),
            "use.yaml:1:8: template 'p' needs parameter 'columns', a mapping (kit.yaml:4:7)");
  EXPECT_EQ(ErrorsOfFiles(Use("column: { id: int64 }")),
            "use.yaml:4:13: template 'p' (kit.yaml:2:3) has no parameter 'column' (did you mean 'columns'?)");
  EXPECT_EQ(ErrorsOfFiles(Use("columns: { id: int64 }, grace: 1h")),
            "use.yaml:4:37: template 'p' (kit.yaml:2:3) has no parameter 'grace' (one of: within, by)");
  EXPECT_EQ(ErrorsOfFiles(Use("columns: [id]")),
            "use.yaml:4:13: parameter 'columns' of template 'p' is a mapping, found a list (kit.yaml:4:7)");
  EXPECT_EQ(
      ErrorsOfFiles(Use("columns: { id: int64 }, within: soon, by: id")),
      "use.yaml:4:45: parameter 'within' of template 'p' is a duration such as 100ms, 5s, 10m, 1h or 1d, found 'soon' "
      "(kit.yaml:5:7)\n"
      "use.yaml:4:55: parameter 'by' of template 'p' is a list, found 'id' (kit.yaml:6:7)");
  EXPECT_EQ(ErrorsOfFiles(Use("columns:")),
            "use.yaml:4:13: parameter 'columns' of template 'p' is a mapping, found nothing (kit.yaml:4:7)");
  EXPECT_EQ(ErrorsOfFiles(Use("columns: { id: int64 }, name: b")),
            "use.yaml:4:37: 'name' is the name of the use itself, and not given with it");
  EXPECT_EQ(ErrorsOfFiles(Kit(kService, "use:\n  a: { template: p, columns: { id: int64 } }\n")),
            "use.yaml:2:21: unknown field 'columns' (one of: template, with); parameters stand in with: { ... }");
  EXPECT_EQ(ErrorsOfFiles(Kit(kService, "use:\n  a: { template: p, with: [id] }\n")),
            "use.yaml:2:21: expected a mapping of parameters, found a list");
  EXPECT_EQ(ErrorsOfFiles(Kit(kService, "use:\n  a: { template: q }\n")),
            "use.yaml:2:18: unknown template 'q' (did you mean 'p'?)");
  EXPECT_EQ(ErrorsOfFiles(Top("use: { a: q }")),
            "t.yaml:2:11: unknown template 'q'; no file that was read has templates");
  EXPECT_EQ(ErrorsOfFiles(Kit(kService, "use:\n  a: { with: {} }\n")), "use.yaml:2:3: missing field 'template'");
  EXPECT_EQ(ErrorsOfFiles(Kit(kService, "use:\n  a: [p]\n")),
            "use.yaml:2:3: expected a mapping or the name of a template, found a list; its fields: template, with");
  EXPECT_EQ(ErrorsOfFiles(Kit(kService, "use: [p]\n")),
            "use.yaml:1:1: expected a mapping, found a list; write { NAME: { template: ..., with: { ... } } }");
  EXPECT_EQ(ErrorsOfFiles(Kit(kService, "use:\n  a b: p\n")),
            "use.yaml:2:3: name of a use 'a b': letters, digits, '_' and '-', 1 to 100 of them");
}

TEST(ComposeMistakesTest, TemplatesThatUseEachOtherWithoutEnd) {
  EXPECT_EQ(
      ErrorsOfFiles(Kit("    use: { $(name)_q: q }\n  q:\n    use: { $(name)_p: p }\n", "use: { a: p }\n")),
      "kit.yaml:5:12: templates that use each other without end: p -> q -> p (in template 'q', used at kit.yaml:3:12, "
      "in template 'p', used at use.yaml:1:8)");
}

TEST(ComposeMistakesTest, AnErrorOfTheExpandedTopologyTellsTemplateAndUse) {
  EXPECT_EQ(
      ErrorsOfFiles(Use("columns: { id: int }")),
      "use.yaml:4:28: unknown type 'int'; write int32 or int64 (parameter 'columns' of template 'p' at kit.yaml:8:43)");
  EXPECT_EQ(ErrorsOfFiles(Use("columns: { idd: int64 }")),
            "kit.yaml:6:35: unknown column 'id' of the input (did you mean 'idd'?) (parameter 'by' of template 'p' at "
            "kit.yaml:10:53, in template 'p', used at use.yaml:2:3)");
  EXPECT_EQ(ErrorsOfFiles(Use("columns: { id: int64 }, by: [ip]")),
            "use.yaml:4:42: unknown column 'ip' of the input (did you mean 'id'?) (parameter 'by' of template 'p' at "
            "kit.yaml:10:53)");
  EXPECT_EQ(ErrorsOfFiles(Use("columns: { id: int64 }, within: 0s")),
            "use.yaml:4:45: within must be longer than nothing (parameter 'within' of template 'p' at kit.yaml:10:68)");
}

TEST(ComposeMistakesTest, AnErrorOfATemplateIsToldOnceForAllItsUses) {
  EXPECT_EQ(ErrorsOfFiles(
                Kit("    sources: { $(name): { topic: $(name), columns: { id: int } } }\n    sinks: { $(name)_out: { "
                    "from: $(name), topic: $(name)-out } }\n",
                    "use: { a: p, b: p, c: p }\n")),
            "kit.yaml:3:58: unknown type 'int'; write int32 or int64 (in template 'p', used at use.yaml:1:8, and 2 "
            "other uses)");
}

TEST(ComposeMistakesTest, AParameterThatIsNothingCantBePartOfAText) {
  EXPECT_EQ(
      ErrorsOfFiles(Kit("    parameters: { t: { default: } }\n    sources: { $(name): { topic: x-$(t), columns: { id: "
                        "int64 } } }\n    sinks: { $(name)_out: { from: $(name), topic: $(name)-out } }\n",
                        "use: { a: p }\n")),
      "kit.yaml:4:34: parameter 't' of template 'p' is nothing, and stands inside of a text here (in template 'p', "
      "used "
      "at use.yaml:1:8)");
}

TEST(ComposeMistakesTest, AnchorsAndMergeKeys) {
  EXPECT_EQ(
      ErrorsOfFiles(Source("{ <<: *c }")),
      "t.yaml:2:42: not YAML: the referenced anchor is not defined; an anchor stands above its aliases, in the same "
      "file: what several files share is a template");
  EXPECT_EQ(ErrorsOfFiles(Source("&c { id: int64, <<: *c }")),
            "t.yaml:2:56: this alias stands inside of what it names");
  EXPECT_EQ(ErrorsOfFiles(Source("{ <<: *b, <<: *b }")),
            "t.yaml:2:46: '<<' stands here twice (first at line 2); write <<: [*first, *second]");
  EXPECT_EQ(ErrorsOfFiles(Source("{ <<: id, id: int64 }")),
            "t.yaml:2:42: '<<' takes a mapping, or a list of mappings, found 'id'");
  EXPECT_EQ(ErrorsOfFiles(Source("{ <<: [*b, [*b]] }")),
            "t.yaml:2:38: '<<' takes a mapping, or a list of mappings, found a list");
  EXPECT_EQ(ErrorsOfFiles(Source("{ <<: *b, id: int }")), "t.yaml:2:50: unknown type 'int'; write int32 or int64");
  EXPECT_EQ(ErrorsOfFiles(Source("{ <<: *b }", "x-b: &b { id: int }")),
            "t.yaml:1:15: unknown type 'int'; write int32 or int64")
      << "where it is written";
  EXPECT_EQ(ErrorsOfFiles(Source("{ [a]: int64, id: int64 }")), "t.yaml:2:38: expected a name before the colon");
}

}  // namespace
}  // namespace tidemark
