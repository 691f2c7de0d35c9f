// What the planner, the tasks, the identity of state and `describe` ask of an operator. Each room under operators/
// answers for its own (kind.cc there); nothing outside of it knows which operators there are. How a step of the kind is
// written and checked is src/plan/step_check.h.
//
// Kinds are stateless objects that live for ever; any thread may ask. All of it is asked once a plan or once a task,
// nothing while rows flow.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

#include "src/base/schema.h"
#include "src/plan/plan.h"

namespace tidemark {

class Operator;  // operators/operator.h

using ColumnList = std::vector<size_t>;
using ColumnFlags = std::vector<bool>;  // by column

// An operator that works in two steps across a repartition: what one commit holds of each group is put together before
// rows are moved, and merged behind it.
enum class OperatorPhase {
  kSingle,   // rows in, results out
  kPartial,  // rows in, partials out, nothing kept between commits
  kFinal,    // partials in, results out
};

// What becomes of the rows of one batch (operators/batch), which are to be visible together.
enum class WholeBatches {
  kBreaks,  // they may go out with several commits, or by several tasks
  kKeeps,   // what comes of rows that came in with one commit goes out with it, by the same task
  kMakes,   // rows of a batch go out with one commit, by one task
};

struct TwoPhases {
  OperatorSpec partial, final;
  Schema between;  // the rows that are moved. The columns of `together` stand first in it, and in the results
  // Where there is no column to keep together: one of `between` to spread rows by all the same, and of the results.
  std::optional<std::pair<size_t, size_t>> spread;
};

// What the spec of an operator with state may have been before the operator was given more to do.
struct GrownFrom {
  OperatorSpec former;
  std::vector<std::string> added;  // names of what was added
  bool at_end = false;             // behind all else, as it has to be for what was kept to be read with it
  bool said = false;               // the topology says that it counts from now on
};

class OperatorKind {
 public:
  virtual ~OperatorKind() = default;

  // For programs that read `describe --format json`.
  virtual std::string_view name() const = 0;
  // One line for people.
  virtual std::string Describe(const Node& node) const = 0;
  // The operator of one task. InvalidArgument where the node's expressions don't compile.
  virtual absl::StatusOr<std::unique_ptr<Operator>> Make(const Node& node) const = 0;

  // ---- Placing
  virtual OperatorPhase phase(const Node& /*node*/) const { return OperatorPhase::kSingle; }
  // How it works across a repartition; nothing: its rows are moved in front of it as they are. Of steps with one port.
  virtual std::optional<TwoPhases> Split(const OperatorSpec& /*spec*/) const { return std::nullopt; }
  // How far past a row's event time it may hold back what becomes of it, in microseconds.
  virtual int64_t HoldsUs(const Node& /*node*/) const { return 0; }
  // Of rows that it lets out within one commit, however much a commit else carries; 0: it keeps to that.
  virtual int64_t CommitBytes(const Node& /*node*/) const { return 0; }

  // ---- Columns
  // Its rows are rows of this port, with all their hidden columns. Else it makes rows of its own.
  virtual bool PassesRows(const Node& /*node*/, size_t port) const { return port == 0; }
  // Its output begins with the columns of this port, behind all those of the ports before it, and any of them can be
  // left out where nobody reads it: Port::passed says which have stayed.
  virtual bool LeavesOut(const Node& /*node*/, size_t /*port*/) const { return false; }
  // The ports, from the first on, whose columns the output begins with.
  size_t PassedPorts(const Node& node) const;
  // Sets in `read` (by port and column, all false before) what it reads of its inputs, where those of `wanted` are read
  // of its output. False: all of them, as steps do that keep rows or send them somewhere as they are.
  virtual bool Reads(const Node& /*node*/, const ColumnFlags& /*wanted*/, std::vector<ColumnFlags>* /*read*/) const {
    return false;
  }
  // Columns have been taken out of a port's schema: the spec says where those that it names stand now. `position`: by
  // the position before, of those that are left.
  virtual void Renumber(size_t /*port*/, const ColumnList& /*position*/, Node* /*node*/) const {}
  // Of the output's columns behind those that LeavesOut speaks of, only these stay (counted from the first of them).
  virtual void KeepMade(const ColumnList& /*made*/, Node* /*node*/) const {}

  // ---- The identity of its state (src/runtime/step_identity.h). Texts stand in commits: they never change.
  // Operator, keys and types of the state; empty: it has none.
  virtual std::string Fingerprint(const Node& /*node*/) const { return ""; }
  // What it keeps its state by and of, as columns of a port.
  virtual ColumnList Keeps(const Node& /*node*/, size_t /*port*/) const { return {}; }
  // The columns that are aggregated, with their types.
  virtual std::string Aggregated(const Node& /*node*/) const { return ""; }
  // What the spec may have been, that its state is gone on with; the one that most was added to last. Of the two phases
  // of an operator the same ones in the same order.
  virtual std::vector<GrownFrom> Grown(const OperatorSpec& /*spec*/) const { return {}; }
  // The column of an input that stands in this column of the output, unchanged: those of PassedPorts, one after the
  // other, unless the kind says otherwise.
  virtual std::optional<PortColumn> Origin(const Node& node, size_t column) const;
  // Event time of its rows is that of the rows they come from; of several ports, made of the times of all.
  virtual bool KeepsTime(const Node& /*node*/) const { return true; }
  // The expression over its input that a column of the output is; null: Origin or Made says where it comes from.
  virtual const std::string* ExpressionOf(const Node& /*node*/, size_t /*column*/) const { return nullptr; }
  // Where a column comes from that comes from no input.
  virtual std::string Made(const Node& node, size_t column) const {
    return "step " + node.kept_as() + " " + node.output[column].name;
  }

  // ---- Batches (operators/batch)
  virtual WholeBatches whole_batches() const { return WholeBatches::kBreaks; }
};

// "a, b": the names of these columns.
std::string ColumnNames(const Schema& schema, const ColumnList& columns);
// "[a int64, b string null]", for fingerprints.
std::string ColumnTypes(const Schema& schema, const ColumnList& columns);

}  // namespace tidemark
