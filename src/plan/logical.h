// The topology with every name resolved and every type known, before it is cut into stages: one entry a source or step,
// in topological order. Internal to src/plan.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proto/topology.pb.h"
#include "src/plan/diagnostics.h"
#include "src/plan/plan.h"

namespace tidemark {

struct LogicalStep {
  std::string name;
  std::string path;         // in the file: "sources/x" or "steps/x"
  int source = -1;          // index in Plan::sources; -1: a step
  std::vector<int> inputs;  // indices in Logical::steps, all smaller; several = union
  bool usable = false;      // no error in it or above it

  OperatorSpec spec;
  // An explicit repartition (spec is PassSpec): its key, and the partitions asked for.
  std::optional<std::vector<size_t>> repartition;
  int32_t partitions = 0;

  Schema input;
  Schema output;
  StepMode mode;
  StepMode input_mode;
  // Rows update, or the input's do, because of this step, and with emit: on_close it would give each of them once.
  std::string closes, input_closes;
  // For each output column, the input column whose value it always holds.
  std::vector<std::optional<size_t>> origin;
  // Input columns: rows equal in all of them must meet in one task. Nothing: rows may lie anywhere.
  std::optional<std::vector<size_t>> together;

  TimestampForm time_form = TimestampForm::kMillis;  // of the event-time column(s) of the sources above
  // Rows are results of a time window; positions of window_start and window_end, if they are still there.
  std::optional<std::pair<size_t, size_t>> window_columns;
  bool ordered = true;    // rows are source rows, so they have an order
  HiddenSet needs;        // hidden columns that it reads
  bool may_fail = false;  // an expression of it can fail on a row
};

struct Logical {
  std::vector<LogicalStep> steps;
  std::map<std::string, int, std::less<>> by_name;
};

// "kafka", "dead_letter" and the like, the sources and the tables, into `plan`.
void CheckSettings(const topology::Topology& topology, Diagnostics* diagnostics, Plan* plan);
void CheckSources(const topology::Topology& topology, Diagnostics* diagnostics, Plan* plan);
void CheckTables(const topology::Topology& topology, Diagnostics* diagnostics, Plan* plan);

// Resolves sources and steps; refuses cycles, unknown names and whatever doesn't type-check.
Logical CheckSteps(const topology::Topology& topology, const Plan& plan, Diagnostics* diagnostics);

// Fills in spec, output and the rest of a step whose inputs are known (`input`); of others it checks what they say by
// themselves, so that a mistake above doesn't hide one here. False where the step isn't usable.
bool CheckOperator(const topology::Step& yaml, const Plan& plan, bool input, Diagnostics* diagnostics,
                   LogicalStep* step);

// Resolves the sinks into `plan`; then refuses steps, sources and tables that nothing reads.
void CheckSinks(const topology::Topology& topology, const Logical& logical, Diagnostics* diagnostics, Plan* plan);

// ---- Shared by the checks

// Reports a name that can't be used: empty, starting with "__", or with characters that topic names can't have.
bool CheckName(const std::string& name, const std::string& path, std::string_view what, Diagnostics* diagnostics);
bool CheckTopicName(const std::string& topic, const std::string& path, Diagnostics* diagnostics);
TopicCreation ReadTopicCreation(const topology::TopicCreation& yaml, const std::string& path, Diagnostics* diagnostics);

// Positions of the named columns, for a list of names at `path`; reports unknown and repeated ones, and then is
// nothing.
std::optional<std::vector<size_t>> FindColumns(const google::protobuf::RepeatedPtrField<std::string>& names,
                                               const Schema& schema, const std::string& path, std::string_view of,
                                               Diagnostics* diagnostics);

// ", or emit: on_close in step x": what else would help against rows that update because of that step; "" without one.
std::string OrOnClose(const std::string& closes);

// "a, b": the names of these columns.
std::string ColumnNames(const Schema& schema, const std::vector<size_t>& columns);

// A column as an expression: its name, quoted.
std::string QuoteIdentifier(std::string_view name);

}  // namespace tidemark
