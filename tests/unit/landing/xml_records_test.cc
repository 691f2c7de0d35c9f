// Rows of XML.
#include <string>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/landing/read_files.h"

namespace tidemark {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

SourcePlan XmlPlan() {
  SourcePlan plan;
  plan.name = "surveys";
  plan.files.emplace().row = {"surveys", "survey"};
  plan.files->format = FilesSpec::Format::kXml;
  const auto column = [](const std::string& path, Type type) {
    SourceColumn column = Value(path, type);
    return column;
  };
  plan.columns = {column("@id", {Kind::kInt64}), column("name", {Kind::kString}),
                  column("address/city", {Kind::kString}), column("address/@kind", {Kind::kString}),
                  column("score", {Kind::kDouble})};
  return plan;
}

Found Xml(const std::string& text, int64_t at_once = 1 << 20) { return ReadAll(XmlPlan(), "x.xml", text, at_once); }
std::vector<std::string> Rows(const std::string& rows) {
  const Found found = Xml("<surveys>" + rows + "</surveys>");
  EXPECT_EQ(found.error, "");
  return found.values;
}

TEST(XmlFile, ColumnsAreElementsAndAttributesBelowTheRow) {
  const Found found = Xml(R"(<?xml version="1.0"?>
<surveys xmlns:n="urn:n">
  <note><survey id="9"/></note>
  <survey id="1">
    <n:name>Ann &amp; <![CDATA[<B>]]>&#233;</n:name>
    <address kind="home"><city>Aleppo</city><zip>1</zip></address>
    <score> +1.50 </score><!-- one --><more><name>no</name></more>
  </survey>
  <survey id="2"/><survey id='3'><address/></survey>
</surveys>
)");
  EXPECT_EQ(found.error, "");
  EXPECT_THAT(
      found.values,
      ElementsAre("{\"@id\":1,\"name\":\"Ann & <B>\u00e9\",\"address/city\":\"Aleppo\",\"address/@kind\":\"home\","
                  "\"score\":1.50}",
                  R"({"@id":2})", R"({"@id":3})"));
  EXPECT_THAT(found.lines, ElementsAre(4, 9, 9));
}

TEST(XmlFile, WhatIsEmptyIsAValueOfTextsAlone) {
  EXPECT_THAT(Rows("<survey><name/><score/></survey><survey><name></name><score> </score></survey>"),
              ElementsAre(R"({"name":""})", R"({"name":""})"));
  EXPECT_THAT(Rows("<survey xmlns:i='http://www.w3.org/2001/XMLSchema-instance'><name i:nil='true'/></survey>"),
              ElementsAre("{}"));
  EXPECT_THAT(Rows("<survey><name> a\n b </name></survey>"), ElementsAre(R"({"name":" a\n b "})"));
}

TEST(XmlFile, ASecondElementOfAColumnMakesTheRowADeadLetter) {
  EXPECT_THAT(Rows("<survey><name>a</name><name>b</name></survey><survey><name>c</name></survey>"),
              ElementsAre("1: there is more than one \"name\"", R"({"name":"c"})"));
  EXPECT_THAT(Rows("<survey><address><city>a</city></address><address><city>b</city></address></survey>"),
              ElementsAre("1: there is more than one \"address/city\""));
}

TEST(XmlFile, TheTextOfTheRowItselfAndTheRootAsARow) {
  SourcePlan plan = XmlPlan();
  plan.files->row = {"v"};
  plan.columns = {Value("text()", {Kind::kInt64}), Value("a/text()", {Kind::kString})};
  EXPECT_THAT(ReadAll(plan, "x.xml", "<v>12<a>b</a></v>").values, ElementsAre("{\"text()\":12,\"a/text()\":\"b\"}"));
}

TEST(XmlFile, EncodingsAreThoseThatTheFileDeclares) {
  EXPECT_THAT(
      Xml("<?xml version='1.0' encoding='ISO-8859-1'?><surveys><survey><name>\xe9</name></survey></surveys>").values,
      ElementsAre("{\"name\":\"\u00e9\"}"));
  EXPECT_THAT(
      Xml("<?xml version='1.0' encoding='windows-1252'?><surveys><survey><name>\x80</name></survey></surveys>").values,
      ElementsAre("{\"name\":\"\u20ac\"}"));
  EXPECT_THAT(Xml("\xef\xbb\xbf<surveys><survey><name>\u00e9</name></survey></surveys>").values,
              ElementsAre("{\"name\":\"\u00e9\"}"));
  std::string wide = "\xff\xfe";
  for (const char c : std::string("<surveys><survey id='7'/></surveys>")) wide += {c, '\0'};
  EXPECT_THAT(Xml(wide).values, ElementsAre(R"({"@id":7})"));
  EXPECT_THAT(Xml("<surveys><survey><name>\xe9</name></survey></surveys>").error, HasSubstr("line 1"));
}

TEST(XmlFile, WhatIsntWellFormedOrHasNoSuchRootIsRejected) {
  EXPECT_THAT(Xml("").error, HasSubstr("the file is empty"));
  EXPECT_THAT(Xml("id,name\n").error, HasSubstr("line 1"));
  EXPECT_THAT(Xml("<surveys>\n<survey>\n</surveys>").error, HasSubstr("line 3: Opening and ending tag mismatch"));
  EXPECT_THAT(Xml("<surveys>\n<survey/>\n").error, HasSubstr("the file ends before its element does"));
  EXPECT_THAT(Xml("<surveys/><surveys/>").error, HasSubstr("line 1: Extra content"));
  EXPECT_THAT(Xml("<polls/>").error, HasSubstr("the file's element is 'polls', and /surveys/survey is expected"));
  EXPECT_THAT(Xml("<surveys>&what;</surveys>").error, HasSubstr("Entity 'what' not defined"));
  EXPECT_THAT(Rows(""), IsEmpty());
}

TEST(XmlFile, NothingIsFetchedAndNothingGrows) {
  EXPECT_THAT(Xml("<!DOCTYPE surveys [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;'>]><surveys>&b;</surveys>").error,
              HasSubstr("a document type declaration isn't read"));
  EXPECT_THAT(Xml("<!DOCTYPE surveys SYSTEM 'file:///etc/passwd'><surveys/>").error, HasSubstr("isn't read"));
  std::string deep = "<surveys>";
  for (int i = 0; i < 100'000; ++i) deep += "<a>";
  EXPECT_THAT(Xml(deep).error, HasSubstr("256 deep"));
  EXPECT_THAT(Xml("<surveys><survey><name>" + std::string(17 << 20, 'x')).error, HasSubstr("is larger than"));
}

TEST(XmlFile, PiecesOfAnySizeGiveTheSame) {
  std::string text = "<surveys>\n";
  for (int i = 0; i < 30'000; ++i) absl::StrAppend(&text, "<survey id='", i, "'><name>n", i, "</name></survey>\n");
  text += "</surveys>\n";
  const Found whole = Xml(text);
  ASSERT_EQ(whole.values.size(), 30'000u) << whole.error;
  EXPECT_EQ(whole.values[29'999], R"({"@id":29999,"name":"n29999"})");
  EXPECT_EQ(whole.lines[29'999], 30'001);
  EXPECT_EQ(Xml(text, 1).values, whole.values);
}

}  // namespace
}  // namespace tidemark
