// Operators that are not ours: a program that links tidemark::tidemark registers them by name, and a topology then says
//
//   silent: { from: sightings, custom: { operator: silence, by: [camera], with: { after: 10m } } }
//
// A registration has two halves. `plan` says, before anything runs, what the operator makes of its input: columns,
// append or update, the hidden columns it reads; the planner does the rest (names, partitioning, stages) and reports
// what it returns as an error at its place in the file. `make` makes the operator of one task (operators/operator.h
// says what it must keep to).
//
// Register from main, before the first plan is made, by one thread; afterwards any thread may look.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/plan/operator_kind.h"

namespace tidemark {

class OperatorSyntax;  // src/plan/step_check.h

// A step `custom`, as the plan holds it.
struct CustomSpec {
  static const OperatorKind& Kind();

  std::string name;        // under which the operator is registered
  std::vector<size_t> by;  // rows equal in these columns meet in one task; empty: they lie anywhere
  std::map<std::string, std::string> parameters;  // as the topology writes them
  bool passes_rows = false;                       // its rows are rows of its input
};

const OperatorSyntax& CustomSyntax();

// A name that `with` takes. Values are checked to be of their kind when the topology is read.
struct CustomParameter {
  enum class Kind { kText, kInteger, kDuration, kSize };

  std::string name;
  Kind kind = Kind::kText;
  bool required = false;
};

// What the planning half is given.
struct CustomInput {
  const Schema& columns;
  const CustomSpec& spec;   // `by` and the parameters, already checked
  TimestampForm time_form;  // of the event-time column: for timestamps that the operator makes itself
};

// What the operator makes of its input.
struct CustomShape {
  // An output column that always holds the value of an input column says so: rows that lie together by it still do.
  void Keep(const Schema& input, size_t column);
  void Add(Column column);

  Schema output;
  std::vector<std::optional<size_t>> origin;  // of each output column, as Keep and Add fill it
  StepMode mode;                              // append, or update by these output columns
  // Its rows are rows of the input, with their hidden columns (StepShape::Assemble), at once and at most once each.
  // Otherwise it makes rows of its own (MakeBatch).
  bool passes_rows = false;
  HiddenSet reads;        // hidden columns of its input that it looks at, besides event time
  bool may_fail = false;  // it can send rows to the dead letters
};

struct CustomOperator {
  enum class By { kNone, kOptional, kRequired };

  std::string name;
  By by = By::kOptional;  // rows equal in the columns of `by` meet in one task
  std::vector<CustomParameter> parameters;
  // InvalidArgument: what is wrong with the step, for the user.
  std::function<absl::StatusOr<CustomShape>(const CustomInput&)> plan;
  std::function<absl::StatusOr<std::unique_ptr<Operator>>(const Node&, const CustomSpec&)> make;
  // How far past a row's event time the operator may hold back what becomes of it, in microseconds: --close_windows
  // moves time on by so much. Without it: not at all.
  std::function<int64_t(const CustomSpec&)> holds_us;
};

// AlreadyExists: there is one of that name. InvalidArgument: no name, or half of it is missing.
absl::Status RegisterOperator(CustomOperator custom);
// Null where there is none. The pointer stays valid.
const CustomOperator* FindCustomOperator(std::string_view name);
std::vector<std::string> CustomOperatorNames();

// ---- The parameters of a step, of the kind that was registered; nothing where the topology says nothing.
std::optional<std::string> TextParameter(const CustomSpec& spec, const std::string& name);
std::optional<int64_t> IntegerParameter(const CustomSpec& spec, const std::string& name);
std::optional<int64_t> DurationParameter(const CustomSpec& spec, const std::string& name);  // microseconds
std::optional<int64_t> SizeParameter(const CustomSpec& spec, const std::string& name);      // bytes

}  // namespace tidemark
