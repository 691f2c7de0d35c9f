// The steps that look at one row at a time, as the plan holds them: filter, project, expect, unnest, and the step that
// changes nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/plan/operator_kind.h"

namespace tidemark {

class OperatorSyntax;  // src/plan/step_check.h

struct FilterSpec {
  static const OperatorKind& Kind();

  std::string expression;
};

struct ProjectSpec {
  static const OperatorKind& Kind();

  struct Item {
    std::string name;
    std::string expression;
  };
  std::vector<Item> items;  // "*" is already spelled out
};

struct UnnestSpec {
  static const OperatorKind& Kind();

  size_t column = 0;        // of the input: the arrays, which the output doesn't have
  bool ordinality = false;  // a column of the elements' places, the last one
  bool outer = false;       // a row without elements comes once
  std::string element;      // an expression that stands for the element in the identity of what is made of it
};

struct ExpectSpec {
  static const OperatorKind& Kind();

  enum class Else { kWarn, kDrop, kDeadLetter, kStop };  // ascending in gravity
  struct Rule {
    std::string name;
    std::string that;  // a condition
    Else otherwise = Else::kDeadLetter;
    // Of the rows of each stretch of event time so many may break it; more end the run (violation_shares.h).
    struct AtMost {
      int64_t millionths = 0;  // of the rows: 10'000 is 1%
      int64_t per_us = 0;      // how long a stretch is

      friend bool operator==(const AtMost&, const AtMost&) = default;
    };
    std::optional<AtMost> at_most = {};
  };
  std::vector<Rule> rules;
};

struct PassSpec {  // a repartition's reading end, and what joins the topics of a pattern
  static const OperatorKind& Kind();
};

// "1% per 5m", "0.01% per 1h". Nothing: the text isn't of that form, or says a share of nothing or of everything.
std::optional<ExpectSpec::Rule::AtMost> ParseAtMost(std::string_view text);
std::string AtMostText(const ExpectSpec::Rule::AtMost& at_most);
bool HasShares(const ExpectSpec& spec);

const OperatorSyntax& FilterSyntax();
const OperatorSyntax& ProjectSyntax();
const OperatorSyntax& UnnestSyntax();
const OperatorSyntax& ExpectSyntax();
const OperatorSyntax& RepartitionSyntax();

// What an expression reads of a port, for OperatorKind::Reads. It has been compiled before, so it compiles again.
void ReadBy(const std::string& expression, const Schema& schema, ColumnFlags* read);

}  // namespace tidemark
