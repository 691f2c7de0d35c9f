// The check of one step's operator: its spec, output columns, append or update, and what it asks of its input. One
// object a step, used once. Internal to src/plan; its parts are in operators.cc, join.cc, window.cc and custom.cc.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <absl/strings/str_cat.h>

#include "src/expr/expression.h"
#include "src/plan/logical.h"

namespace tidemark {

class OperatorCheck {
 public:
  OperatorCheck(const topology::Step& yaml, const Plan& plan, Diagnostics* diagnostics, LogicalStep* step)
      : yaml_(yaml), plan_(plan), diagnostics_(*diagnostics), step_(*step) {}

  // What the step says by itself, without its input: that it has one operator, which table it joins, and what its
  // numbers and topics may be. False: it reported something.
  bool Alone();
  // The rest, with the columns of the input. Only after Alone was true.
  bool Run();

 private:
  // The operator that the step has; nothing where there isn't exactly one, which is reported.
  std::optional<std::string> Which();
  const TablePlan* Table() const;
  bool DedupAlone();
  bool JoinAlone();
  bool WindowAlone();
  bool TopAlone();
  bool RepartitionAlone();
  bool CustomAlone();

  bool Filter();
  bool Project();
  bool Dedup();
  bool Join();
  bool Window();
  bool Top();
  bool Repartition();
  bool Custom();

  void ReadWindow(WindowSpec* spec) const;
  bool AddAggregates(WindowSpec* spec);
  bool JoinOn(const TablePlan& table, JoinSpec* spec);
  bool JoinColumns(const TablePlan& table, JoinSpec* spec);
  bool TopOrder(TopSpec* spec);
  bool TopEmit(TopSpec* spec);

  // Output columns and mode as the input has them.
  void SameColumns();
  // Reports what can't follow an updating step.
  bool NeedsAppend(std::string_view what);
  bool Error(std::string_view field, std::string_view message) {
    diagnostics_.Error(field.empty() ? step_.path : absl::StrCat(step_.path, "/", std::string(field)), message);
    return false;
  }
  bool Present(const char* field) const { return diagnostics_.Present(absl::StrCat(step_.path, "/", field)); }
  bool Broken() const { return diagnostics_.Broken(step_.path); }
  // The compiled expression of a field; its error with its place in the text.
  template <typename T>
  std::optional<T> Compile(const std::string& sql, const std::string& field) {
    absl::StatusOr<T> compiled = T::Compile(sql, step_.input);
    if (compiled.ok()) return *std::move(compiled);
    const std::string path = absl::StrCat(step_.path, "/", field);
    if (const auto byte = ErrorPosition(compiled.status())) {
      diagnostics_.ErrorInside(path, sql, *byte, std::string(compiled.status().message()));
    } else {
      diagnostics_.Error(path, std::string(compiled.status().message()));
    }
    return std::nullopt;
  }
  bool AddOutput(const Column& column, std::optional<size_t> origin, const std::string& field);

  const topology::Step& yaml_;
  const Plan& plan_;
  Diagnostics& diagnostics_;
  LogicalStep& step_;
  std::string which_;  // its operator
};

}  // namespace tidemark
