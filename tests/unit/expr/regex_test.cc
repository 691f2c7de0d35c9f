#include <gtest/gtest.h>

#include "tests/unit/expr/expression_fixture.h"

namespace tidemark {
namespace {

// What the first row yields.
std::string One(const std::string& sql) { return Eval(sql, TestRows(kRows)->Slice(0, 1)); }

TEST(RegexTest, WhatWouldMeanSomethingElseIsRefusedByName) {
  EXPECT_EQ(Eval("s ~ '(a)\\1'"), "error at 2: a back reference in a regular expression isn't supported");
  EXPECT_EQ(Eval("s ~ 'a(?=b)'"), "error at 2: lookahead or lookbehind in a regular expression isn't supported");
  EXPECT_EQ(Eval("s ~ '(?<!a)b'"), "error at 2: lookahead or lookbehind in a regular expression isn't supported");
  EXPECT_EQ(Eval("s ~ '\\mabc'"),
            "error at 2: \\m (write \\y, a word's beginning or end) in a regular expression isn't supported");
  EXPECT_EQ(Eval("s ~ '[[=a=]]'"),
            "error at 2: a collating element, [= or [., in a regular expression isn't supported");
  EXPECT_EQ(Eval("s ~ '***=abc'"), "error at 2: *** at the start in a regular expression isn't supported");
  EXPECT_EQ(Eval("s ~ 'a(?P<n>b)'"),
            "error at 2: invalid regular expression: quantifier operand invalid: ( is followed by ?; options stand at "
            "the start only");
  EXPECT_EQ(Eval("regexp_replace(s, 'a', 'b', 'x')"),
            "error at 0: unsupported regular expression option: \"x\"; there are c, g, i, m, n, s, t");
}

TEST(RegexTest, WhatIsNoPatternIsRefused) {
  for (const char* pattern :
       {"(", ")", "a**", "*a", "[a", "a{2,1}", "a{256}", "\\q", "[b-a]", "[[:nope:]]", "a{1", "(?:"}) {
    EXPECT_TRUE(Eval(absl::StrCat("s ~ '", pattern, "'")).starts_with("error at 2: invalid regular expression: "))
        << pattern << " -> " << Eval(absl::StrCat("s ~ '", pattern, "'"));
  }
}

TEST(RegexTest, APatternIsAConstant) {
  EXPECT_EQ(Eval("s ~ s"), "error at 2: a regular expression is a constant: it is compiled at the start");
  EXPECT_EQ(Eval("s ~ ('a' || 'b')"), "bool: true, false, null, false");
  EXPECT_EQ(Eval("s ~ null"), "bool: null, null, null, null");
}

TEST(RegexTest, WhereExtentsMatterMixedGreedinessIsRefused) {
  EXPECT_EQ(Eval("s ~ 'a.*?b+'"), "bool: true, false, null, false");
  for (const char* sql :
       {"regexp_substr(s, 'a.*?b+')", "regexp_replace(s, '(ab)??c', '')", "regexp_count(s, 'a|b*?')"}) {
    EXPECT_TRUE(Eval(sql).starts_with("error at 0: a regular expression that mixes *?, +? or ??")) << sql;
  }
}

TEST(RegexTest, TheLongestAlternativeIsTaken) {
  EXPECT_EQ(One("regexp_substr('xabcy', 'a|ab|abc')"), "string: abc");
  EXPECT_EQ(One("regexp_replace('foobar', 'o*', '-', 'g')"), "string: -f--b-a-r-");
  EXPECT_EQ(One("regexp_replace('日本', '', '-', 'g')"), "string: -日-本-");
  EXPECT_EQ(One("(regexp_match('k=v;w', '(.)=(.*?);'))[2]"), "string: v");
}

TEST(RegexTest, LettersAreUnicodes) {
  EXPECT_EQ(Eval("s ~ '^\\w+$'"), "bool: true, false, null, true");
  EXPECT_EQ(Eval("s ~* '^ü'"), "bool: false, false, null, true");
  EXPECT_EQ(Eval("regexp_replace(s, '[[:alpha:]]', '_')"), "string: _bc, , null, _nï");
}

// Some texts a matcher that backtracks would look at for ever.
TEST(RegexTest, TimeIsLinearInTheText) { EXPECT_EQ(One("repeat('a', 100000) ~ '^(a|a)*b$'"), "bool: false"); }

TEST(MadeTextTest, WhatARowMakesIsBounded) {
  EXPECT_EQ(One("length(repeat('x', 262144))"), "int32: 262144");
  EXPECT_EQ(One("repeat('x', 262145)"), "string: !requested length too large");
  EXPECT_EQ(One("repeat('日本', 2147483647)"), "string: !requested length too large");
  EXPECT_EQ(One("lpad('x', 2147483647)"), "string: !requested length too large");
  EXPECT_EQ(One("rpad('x', 200000, '日')"), "string: !requested length too large");
}

TEST(TimeZoneTest, OnlyNamesOfPlacesAreZones) {
  for (const char* zone :
       {"CET", "PST", "+02", "Fixed/UTC+01:00:00", "/etc/localtime", "../UTC", "localtime", "", "europe/berlin"}) {
    EXPECT_TRUE(Eval(absl::StrCat("ts at time zone '", zone, "'")).find("not recognized: zones have the names") !=
                std::string::npos)
        << zone;
  }
  EXPECT_EQ(One("extract(hour from ts at time zone s)"), "decimal(10,0): !time zone \"abc\" not recognized");
}

TEST(TimeZoneTest, LocalTimesAreMadeAndTakenInTurn) {
  EXPECT_EQ(One("(timestamp '2024-07-01 12:00' at time zone 'Europe/Berlin')::string"),
            "string: 2024-07-01 10:00:00+00");
  EXPECT_EQ(One("(timestamptz '2024-07-01 12:00+00' at time zone 'Europe/Berlin')::string"),
            "string: 2024-07-01 14:00:00+00");
  EXPECT_EQ(One("(date_trunc('day', timestamptz '2024-07-01 23:00+00' at time zone 'Europe/Berlin') at time zone "
                "'Europe/Berlin')::string"),
            "string: 2024-07-01 22:00:00+00");
  EXPECT_EQ(Eval("ts at time zone 'UTC'").substr(0, 10), "timestamp:") << "a column is a point in time";
}

TEST(TimeZoneTest, ACastToTimestampLeavesAColumnAColumn) {
  Schema schema({{"t", Type{Kind::kTimestamp}, true}});
  EXPECT_EQ(Expression::Compile("t::timestamp", schema)->AsColumn(), std::optional<size_t>(0));
}

TEST(TimeDifferenceTest, IsADecimalOfSeconds) {
  EXPECT_EQ(One("ts - ts"), "decimal(20,6): 0.000000");
  EXPECT_EQ(One("ts - (ts - interval '90 seconds') > interval '1 minute'"), "bool: true");
  EXPECT_EQ(Eval("ts > interval '1 minute'"),
            "error at 3: an interval can only be compared with a difference of timestamps");
  EXPECT_EQ(Eval("ts - ts > interval '1 month'"),
            "error at 8: a difference of timestamps can't be compared with months or years");
}

TEST(FormatTest, WhatIsNoFieldIsRefusedUnlessQuoted) {
  EXPECT_EQ(Eval("to_char(ts, 'YYYY-MM-DDTHH24')"),
            "error at 0: 'THH24' in a format isn't supported; text that isn't a field stands in double quotes");
  EXPECT_EQ(Eval("to_char(ts, 'RM')").substr(0, 40), "error at 0: 'RM' in a format isn't suppo");
  EXPECT_EQ(Eval("to_date(s, 'IYYY-IW')").substr(0, 54), "error at 0: 'IYYY' in a format isn't supported for rea");
  EXPECT_EQ(Eval("to_date(s, 'YYYY YYYY')"), "error at 0: 'YYYY' stands twice in a format");
  EXPECT_EQ(Eval("to_char(i, '99EEEE')").substr(0, 38), "error at 0: 'E' in a number's format i");
  EXPECT_EQ(Eval("to_char(ts, s)"), "error at 0: a format is a constant: it is checked at the start");
  EXPECT_EQ(One("to_char(ts, 'YYYY-MM-DD\"T\"HH24:MI:SS.MS')"), "string: 2024-02-29T13:45:59.123");
}

}  // namespace
}  // namespace tidemark
