// expect: which rows break a rule, and what becomes of them.
#include <string>
#include <vector>

#include <glog/logging.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/operators/harness.h"

namespace tidemark {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;

using Else = ExpectSpec::Else;

const Schema kSchema = Columns("a int64 null, b int64");

Harness Expecting(std::vector<ExpectSpec::Rule> rules) {
  return Harness(MakeNode(ExpectSpec{std::move(rules)}, kSchema, AllHidden(), kSchema));
}

TEST(Expect, RowsThatKeepToTheRulesPassAndNullKeepsToThem) {
  Harness h = Expecting({{"positive", "a > 0"}});
  h.Process({{{int64_t{1}, int64_t{0}}}, {{Cell(), int64_t{1}}}});
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("1|0", "NULL|1"));
  EXPECT_THAT(h.ledger().violated, ElementsAre(Pair("positive", 0)));
  h.CheckLedger();
}

TEST(Expect, EachConsequenceIsItsOwn) {
  Harness h = Expecting(
      {{"letter", "a <> 1", Else::kDeadLetter}, {"drop", "a <> 2", Else::kDrop}, {"warn", "a <> 3", Else::kWarn}});
  h.Process(
      {{{int64_t{1}, int64_t{0}}}, {{int64_t{2}, int64_t{0}}}, {{int64_t{3}, int64_t{0}}}, {{int64_t{4}, int64_t{0}}}});
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("3|0", "4|0"));
  EXPECT_THAT(h.out().failures, ElementsAre("a <> 1: rule letter is broken: it is not true that a <> 1: 1|0"));
  EXPECT_EQ(h.ledger().dead_lettered, 1);
  EXPECT_EQ(h.ledger().filtered, 1);
  EXPECT_EQ(h.ledger().passed, 2);
  EXPECT_THAT(h.ledger().violated, ElementsAre(Pair("drop", 1), Pair("letter", 1), Pair("warn", 1)));
  h.CheckLedger();
}

TEST(Expect, OfSeveralBrokenRulesTheGravestCountsAndAllAreCounted) {
  Harness h =
      Expecting({{"w", "a > 10", Else::kWarn}, {"l", "b > 10", Else::kDeadLetter}, {"d", "a > 5", Else::kDrop}});
  h.Process({{{int64_t{1}, int64_t{1}}}, {{int64_t{1}, int64_t{11}}}, {{int64_t{7}, int64_t{11}}}});
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("7|11"));
  ASSERT_EQ(h.out().failures.size(), 1u);
  EXPECT_THAT(h.out().failures[0], HasSubstr("rule w is broken"));
  EXPECT_THAT(h.out().failures[0], HasSubstr("rule l is broken"));
  EXPECT_THAT(h.ledger().violated, ElementsAre(Pair("d", 2), Pair("l", 1), Pair("w", 3)));
  h.CheckLedger();
}

class Warnings final : public google::LogSink {
 public:
  Warnings() { google::AddLogSink(this); }
  ~Warnings() override { google::RemoveLogSink(this); }
  void send(google::LogSeverity, const char*, const char*, int, const google::LogMessageTime&, const char* message,
            size_t size) override {
    texts.emplace_back(message, size);
  }
  std::vector<std::string> texts;
};

TEST(Expect, ARuleThatWarnsIsNamedOnceAProcessAlsoWhereTheRowBreaksAnother) {
  const Warnings warnings;
  const std::vector<ExpectSpec::Rule> rules = {
      {"quiet", "a > 1", Else::kWarn}, {"grave", "b > 1", Else::kDeadLetter}, {"late", "a > 0", Else::kWarn}};
  for (int task = 0; task < 2; ++task) {
    Harness h = Expecting(rules);
    h.Process({{{int64_t{1}, int64_t{1}}}, {{int64_t{1}, int64_t{1}}}});
    h.Process({{{int64_t{0}, int64_t{2}}}});
    EXPECT_THAT(CellsText(h.out().rows), ElementsAre("0|2"));
  }
  EXPECT_THAT(warnings.texts,
              ElementsAre(HasSubstr("rule quiet is broken: it is not true that a > 1; further rows are"),
                          HasSubstr("rule late is broken: it is not true that a > 0; further rows")));
}

TEST(Expect, ARuleThatCantBeComputedIsBroken) {
  Harness h = Expecting({{"ratio", "10 / b > 1"}});
  h.Process({{{int64_t{1}, int64_t{0}}}, {{int64_t{2}, int64_t{2}}}});
  EXPECT_THAT(CellsText(h.out().rows), ElementsAre("2|2"));
  EXPECT_THAT(h.out().failures, ElementsAre("10 / b > 1: rule ratio is broken: division by zero: 1|0"));
  h.CheckLedger();
}

TEST(Expect, StopEndsTheRunForGood) {
  Harness h = Expecting({{"sane", "a > 0", Else::kStop}});
  const absl::Status stopped = h.op().ProcessBatch(
      0, ToBatch(kSchema, AllHidden(), {{{int64_t{1}, int64_t{0}}}, {{int64_t{-1}, int64_t{0}}}}), h.out());
  EXPECT_EQ(stopped.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(stopped.message()), HasSubstr("rule sane is broken"));
}

TEST(Expect, WhatRulesCountIsPartOfTheState) {
  Harness h = Expecting({{"positive", "a > 0", Else::kDrop}});
  h.Process({{{int64_t{-1}, int64_t{0}}}});
  h.Commit();
  h.Process({{{int64_t{-2}, int64_t{0}}}});
  h.Crash();
  EXPECT_THAT(h.ledger().violated, ElementsAre(Pair("positive", 1)));
  EXPECT_THAT(h.out().rows, IsEmpty());
}

ExpectSpec::Rule Share(const std::string& at_most, Else otherwise = Else::kWarn) {
  return {"r", "a > 0", otherwise, ParseAtMost(at_most)};
}

// A row of the partition at a time in seconds; `own`: the row's watermark.
TestRow At(int64_t a, int64_t seconds, int64_t own) {
  TestRow row{{a, int64_t{0}}};
  row.time = seconds * kSecond;
  row.watermark = own * kSecond;
  return row;
}

TEST(ExpectAtMost, IsReadExactlyAndOnlyWhereItMeansSomething) {
  EXPECT_EQ(ParseAtMost("1% per 5m"), (ExpectSpec::Rule::AtMost{10'000, 300 * kSecond}));
  EXPECT_EQ(ParseAtMost("0.0001%  per 1s"), (ExpectSpec::Rule::AtMost{1, kSecond}));
  EXPECT_EQ(AtMostText(*ParseAtMost("12.50% per 60s")), "12.5% per 1m");
  for (const char* bad :
       {"", "1%", "1 per 5m", "1% per", "1% per 5", "0% per 5m", "100% per 5m", "-1% per 5m", "1.% per 5m",
        "1e1% per 5m", "0.00001% per 5m", "1% per 999ms", "99999999999999999999% per 5m", "%per 5m"}) {
    EXPECT_EQ(ParseAtMost(bad), std::nullopt) << bad;
  }
}

TEST(ExpectAtMost, AStretchWithMoreThanItsShareEndsTheRunWhenItIsOver) {
  Harness h = Expecting({Share("50% per 10s")});
  h.Process({At(1, 0, 0), At(-1, 9, 9), At(-1, 10, 10), At(1, 11, 11)});
  EXPECT_EQ(h.Advance(20 * kSecond), EventTime{20 * kSecond}) << "half of each is no more than half";
  h.Process({At(-1, 21, 21), At(-1, 22, 22), At(1, 23, 23)});
  h.Advance(29 * kSecond);  // it isn't over yet
  const auto stopped = h.op().AdvanceWatermark(EventTime{30 * kSecond}, h.out());
  EXPECT_EQ(stopped.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(stopped.status().message()),
              HasSubstr("rule r is broken by 2 of 3 rows of the 10s from 1970-01-01T00:00:20Z on (66.6666%), and "
                        "`at_most` allows 50% per 10s"));
}

TEST(ExpectAtMost, WhichRowsAStretchHasIsTheirsAloneHoweverTheyAreCut) {
  // The third is late for the first stretch by its own watermark: it belongs to the second.
  const std::vector<TestRow> rows = {At(1, 1, 1),   At(-1, 12, 12), At(-1, 2, 12),
                                     At(1, 13, 13), At(1, 14, 14),  At(1, 31, 31)};
  for (const size_t batch : {1, 2, 6}) {
    SCOPED_TRACE(batch);
    Harness fits = Expecting({Share("50% per 10s", Else::kDrop)});
    fits.Feed(rows, batch);
    EXPECT_EQ(fits.ledger().violated.at("r"), 2);
    EXPECT_EQ(fits.ledger().filtered, 2);
    fits.CheckLedger();
  }
  Harness exceeds = Expecting({Share("49% per 10s")});
  exceeds.Process(rows);
  EXPECT_THAT(std::string(exceeds.op().AdvanceWatermark(EventTime{31 * kSecond}, exceeds.out()).status().message()),
              HasSubstr("2 of 4 rows"));
}

TEST(ExpectAtMost, CountsOutliveACrashAndAreThoseOfTheirLengthAlone) {
  Harness h = Expecting({Share("50% per 10s")});
  h.Process({At(-1, 1, 1)});
  h.Commit();
  h.Process({At(1, 2, 2)});  // lost
  h.Crash();
  EXPECT_EQ(h.op().AdvanceWatermark(EventTime{10 * kSecond}, h.out()).status().code(),
            absl::StatusCode::kFailedPrecondition)
      << "the one row that is committed breaks it";
  h.GoOnWith(MakeNode(ExpectSpec{{Share("50% per 20s")}}, kSchema, AllHidden(), kSchema));
  EXPECT_TRUE(h.op().AdvanceWatermark(EventTime{20 * kSecond}, h.out()).ok());
  h.Commit();
  EXPECT_THAT(h.store().live(), SizeIs(1)) << "how far it was judged";
}

TEST(ExpectAtMost, WhatIsJudgedStaysSoAfterAStartForRowsThatComeBeforeTimeDoes) {
  Harness h = Expecting({Share("50% per 10s")});
  h.Process({At(1, 1, 1), At(1, 2, 2)});
  h.Advance(12 * kSecond);
  h.Commit();
  h.Advance(25 * kSecond);  // no stretch ends: what is judged moves on all the same
  h.Commit();
  h.Crash(/*advance=*/false);
  h.Process({At(-1, 3, 3)});  // of a partition that was idle
  h.Process({At(1, 26, 26), At(1, 27, 27)});
  EXPECT_EQ(h.Advance(29 * kSecond), EventTime{29 * kSecond}) << "it counts among those from 20 s on";
  EXPECT_EQ(h.Advance(30 * kSecond), EventTime{30 * kSecond});
}

TEST(ExpectAtMost, WhatIsOverLeavesNothingBehindButThat) {
  Harness h = Expecting({Share("50% per 1s")});
  for (int64_t second = 0; second < 50; ++second) {
    h.Process({At(1, second, second)});
    h.Commit();
    h.Advance((second + 1) * kSecond);
  }
  h.Commit();
  EXPECT_THAT(h.store().live(), SizeIs(1)) << "how far it was judged";
}

}  // namespace
}  // namespace tidemark
