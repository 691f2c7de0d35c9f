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

}  // namespace
}  // namespace tidemark
