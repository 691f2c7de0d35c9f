// The steps that look at one row at a time, as the plan holds them: filter, project, and the step that changes nothing.
#pragma once

#include <string>
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

struct PassSpec {  // a repartition's reading end
  static const OperatorKind& Kind();
};

const OperatorSyntax& FilterSyntax();
const OperatorSyntax& ProjectSyntax();
const OperatorSyntax& RepartitionSyntax();

// What an expression reads of a port, for OperatorKind::Reads. It has been compiled before, so it compiles again.
void ReadBy(const std::string& expression, const Schema& schema, ColumnFlags* read);

}  // namespace tidemark
