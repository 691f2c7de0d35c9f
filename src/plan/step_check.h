// How a step of a topology is written and checked. Each operator that a step can have is an OperatorSyntax of its room
// (operators/<room>/); operators/operators.h lists them, and the planner is given that list.
//
// A step is checked twice: by itself, and then with the columns of its inputs, into spec, output columns, append or
// update, and what it asks of its inputs. Runs in the planner, one step at a time.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/strings/str_cat.h>

#include "src/expr/expression.h"
#include "src/plan/logical.h"

namespace tidemark {

// What the check of one step is given, and how it reports. Fields are named by their path below the step: "dedup/by".
class StepCheck {
 public:
  StepCheck(const topology::Step& yaml, const Plan& plan, Diagnostics* diagnostics, LogicalStep* step)
      : yaml_(yaml), plan_(plan), diagnostics_(*diagnostics), step_(*step) {}

  const topology::Step& yaml() const { return yaml_; }
  const Plan& plan() const { return plan_; }  // settings, sources and tables
  LogicalStep& step() { return step_; }
  LogicalPort& in(size_t port = 0) { return step_.in(port); }

  // Always false, so that a check can end with it. No field: an error of the step.
  bool Error(std::string_view field, std::string_view message) {
    diagnostics_.Error(PathOf(field), message);
    return false;
  }
  bool Present(std::string_view field) const { return diagnostics_.Present(PathOf(field)); }
  // Something was reported of the step, or of this field.
  bool Broken(std::string_view field = "") const { return diagnostics_.Broken(PathOf(field)); }
  bool Lost(std::string_view field) const { return diagnostics_.Lost(PathOf(field)); }
  bool TableBroken(const std::string& table) const { return diagnostics_.Broken("tables/" + table); }

  // Positions of the columns that a list of names at `field` names, to compare rows by; reports what isn't there, and
  // what can't be compared. Then the same of columns that are only taken.
  std::optional<ColumnList> Find(const google::protobuf::RepeatedPtrField<std::string>& names, std::string_view field,
                                 size_t port = 0);
  std::optional<ColumnList> Find(const google::protobuf::RepeatedPtrField<std::string>& names, std::string_view field,
                                 const Schema& schema, std::string_view of) {
    return FindColumns(names, schema, PathOf(field), of, &diagnostics_);
  }
  // The compiled expression of a field; its error with its place in the text.
  template <typename T>
  std::optional<T> Compile(const std::string& sql, std::string_view field, size_t port = 0) {
    absl::StatusOr<T> compiled = T::Compile(sql, in(port).schema);
    if (compiled.ok()) return *std::move(compiled);
    if (const auto byte = ErrorPosition(compiled.status())) {
      diagnostics_.ErrorInside(PathOf(field), sql, *byte, std::string(compiled.status().message()));
    } else {
      diagnostics_.Error(PathOf(field), std::string(compiled.status().message()));
    }
    return std::nullopt;
  }

  // Output columns and mode as the only input has them.
  void SameColumns();
  // `origin`: the input column whose value it always holds.
  bool AddOutput(const Column& column, std::optional<PortColumn> origin, std::string_view field);
  // Rows of the input that go to a topic of the user's, which stands at `field`.
  bool AddSide(SideTopic side, std::string_view field);
  // Reports what can't follow an updating step.
  bool NeedsAppend(std::string_view what);

 private:
  std::string PathOf(std::string_view field) const {
    return field.empty() ? step_.path : absl::StrCat(step_.path, "/", std::string(field));
  }

  const topology::Step& yaml_;
  const Plan& plan_;
  Diagnostics& diagnostics_;
  LogicalStep& step_;
};

// The names of what one port of a step reads, for Logical.
struct PortNames {
  std::string name;   // of the port; empty where there is one
  std::string field;  // where it stands; a list of names has them at field/0, field/1, ...
  bool list = true;
  std::vector<std::string> from;
};

class OperatorSyntax {
 public:
  virtual ~OperatorSyntax() = default;

  // The field of a step that says so, and the name in messages; empty: no step can say so.
  virtual std::string_view field() const = 0;
  // Other fields of the step that go with it.
  virtual std::vector<std::string_view> beside() const { return {}; }
  // The step at `path` has this operator.
  virtual bool Has(const Diagnostics& diagnostics, const std::string& path) const {
    return diagnostics.Present(absl::StrCat(path, "/", std::string(field())));
  }
  // What the step reads, port by port.
  virtual std::vector<PortNames> Ports(const topology::Step& yaml) const;

  // The tables that it names.
  virtual std::vector<std::string> Tables(const topology::Step& /*yaml*/) const { return {}; }

  // It stands behind such a source, as a part of it, and makes of what is decoded the rows that steps read
  // (SourcePlan::rows); nothing: it doesn't.
  virtual std::optional<OperatorSpec> Behind(const SourcePlan& /*source*/) const { return std::nullopt; }

  // What the step says by itself, without its input. False: something was reported. What couldn't be read isn't
  // accused of what it may not say.
  virtual bool CheckAlone(StepCheck& check) const { return !check.Broken(field()); }
  // The rest, with the columns of the input. Only after CheckAlone was true.
  virtual bool Check(StepCheck& check) const = 0;
};

// The operator of the step at `path`; null where it hasn't exactly one, which isn't reported here.
const OperatorSyntax* OperatorOf(const OperatorList& operators, const Diagnostics& diagnostics,
                                 const std::string& path);

// Fills in spec, output and the rest of a step whose ports are known (`input`); of others it checks what they say by
// themselves, so that a mistake above doesn't hide one here. False where the step isn't usable.
bool CheckOperator(const topology::Step& yaml, const OperatorList& operators, const Plan& plan, bool input,
                   Diagnostics* diagnostics, LogicalStep* step);

}  // namespace tidemark
