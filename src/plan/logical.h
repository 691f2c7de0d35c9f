// The topology with every name resolved and every type known, before it is cut into stages: one entry a source or step,
// in topological order. For src/plan and the checks of operators (step_check.h).
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "proto/topology.pb.h"
#include "src/plan/diagnostics.h"
#include "src/plan/format_syntax.h"
#include "src/plan/known_values.h"
#include "src/plan/operator_kind.h"
#include "src/plan/plan.h"

namespace tidemark {

class OperatorSyntax;  // src/plan/step_check.h
using OperatorList = std::vector<const OperatorSyntax*>;

// One of a step's inputs.
struct LogicalPort {
  std::string name;        // empty where the step has one
  std::vector<int> steps;  // indices in Logical::steps, all smaller; several = union
  Schema schema;
  StepMode mode;
  std::string closes;  // rows update because of that step, and with emit: on_close it would give each of them once
  TimestampForm time_form = TimestampForm::kMillis;  // of the event-time column(s) of the sources above
  // Rows are results of a time window; positions of window_start and window_end, if they are still there.
  std::optional<std::pair<size_t, size_t>> window_columns;
  bool ordered = true;  // rows are source rows, so they have an order
  // No row, and nothing that takes one back, comes behind the watermark that the steps let through. Not so where rows
  // stay for longer than their time: in lists and in groups of no window.
  bool timely = true;
  std::vector<KnownValues> values;    // by column
  std::optional<size_t> time_column;  // that holds the rows' event time, where one does
  // Of a union of update steps: the column, part of the key, in which no two of them have a value in common.
  std::optional<size_t> apart;

  // What the operator asks of it.
  // Rows equal in all of these columns must meet in one task. Nothing: rows may lie anywhere. Of several ports rows
  // meet by the columns at equal positions, whose types are equal then.
  std::optional<std::vector<size_t>> together;
  HiddenSet needs;  // hidden columns that it reads
};

struct LogicalStep {
  std::string name;
  std::string path;                // in the file: "sources/x" or "steps/x"
  int source = -1;                 // index in Plan::sources; -1: a step
  std::vector<LogicalPort> ports;  // of a source: none
  bool usable = false;             // no error in it or above it

  OperatorSpec spec;
  // Of a source with a step behind it that belongs to it, `spec`: what that is called behind the source's name.
  std::string behind;
  HiddenSet behind_needs;
  // An explicit repartition: its key, and the partitions asked for.
  std::optional<std::vector<size_t>> repartition;
  int32_t partitions = 0;

  Schema output;
  StepMode mode;
  std::string closes;
  // For each output column, the input column whose value it always holds.
  std::vector<std::optional<PortColumn>> origin;
  TimestampForm time_form = TimestampForm::kMillis;
  std::optional<std::pair<size_t, size_t>> window_columns;
  bool ordered = true;
  bool timely = true;
  std::vector<KnownValues> values;    // by output column
  std::optional<size_t> time_column;  // that holds event time, where one does
  bool may_fail = false;              // an expression of it can fail on a row
  std::string renamed_from = {};

  const std::string& kept_as() const { return renamed_from.empty() ? name : renamed_from; }

  struct Side {
    SideTopic topic;
    std::string path;  // of its name in the file
  };
  std::vector<Side> sides;

  const LogicalPort& in(size_t port = 0) const { return ports[port]; }
  LogicalPort& in(size_t port = 0) { return ports[port]; }
};

struct Logical {
  std::vector<LogicalStep> steps;
  std::map<std::string, int, std::less<>> by_name;
  std::set<std::string> read, joined;  // the sources and steps, and the tables, that any step names
};

// "kafka", "dead_letter" and the like, the sources and the tables, into `plan`.
void CheckSettings(const topology::Topology& topology, Diagnostics* diagnostics, Plan* plan);
// `names`: of all topics that there are, for sources of patterns; null: nobody has looked.
void CheckSources(const topology::Topology& topology, const FormatList& formats, const std::vector<std::string>* names,
                  Diagnostics* diagnostics, Plan* plan);
// Of CheckSources: what a source from outside Kafka says of it, into `source`, whose columns are known.
void CheckOutside(const topology::Source& yaml, const std::string& path, Diagnostics* diagnostics, SourcePlan* source);
// Of CheckSources: what `databases` says, and a source that is a table with what its database says of it.
void CheckDatabases(const topology::Topology& topology, Diagnostics* diagnostics);
topology::Source WithDatabase(topology::Source yaml, const topology::Topology& topology, const std::string& path,
                              Diagnostics* diagnostics);
// The same of a table of PostgreSQL: the source with the format that its records have, then the rest of it. `source`
// has its key.
topology::Source PostgresAsDebezium(topology::Source yaml, const std::string& path, Diagnostics* diagnostics);
PostgresTableSpec CheckPostgresTable(const topology::PostgresTable& yaml, const std::string& path,
                                     Diagnostics* diagnostics);
void CheckPostgresKey(const SourcePlan& source, const std::string& path, Diagnostics* diagnostics);
void CheckTables(const topology::Topology& topology, const FormatList& formats, Diagnostics* diagnostics, Plan* plan);

// Resolves sources and steps; refuses cycles, unknown names and whatever doesn't type-check.
Logical CheckSteps(const topology::Topology& topology, const OperatorList& operators, const Plan& plan,
                   Diagnostics* diagnostics);

// Refuses names that nothing can be kept under, and two parts that would be kept under one (renames.cc).
void CheckRenames(const topology::Topology& topology, Diagnostics* diagnostics);

// Resolves the sinks into `plan`; then refuses steps, sources and tables that nothing reads.
void CheckSinks(const topology::Topology& topology, const FormatList& formats, const Logical& logical,
                Diagnostics* diagnostics, Plan* plan);

// Of CheckSinks: refuses a sink that says it is atomic where it can't be.
void CheckAtomic(const topology::Sink& yaml, const Plan& plan, const Logical& logical, const SinkPlan& sink,
                 Diagnostics* diagnostics);
// Of sinks, views and alarms (alarms.cc).
WebhookSpec ReadWebhook(const topology::Webhook& yaml, const std::string& path, Diagnostics* diagnostics);
std::optional<FreshnessSpec> ReadFreshness(const topology::Freshness& yaml, const std::string& path,
                                           Diagnostics* diagnostics);
// Behind CheckSinks: who is told of alarms.
void CheckNotify(const topology::Topology& topology, Diagnostics* diagnostics, Plan* plan);

// Of CheckSinks: the views, into `plan->sinks`.
void CheckViews(const topology::Topology& topology, const Logical& logical, Diagnostics* diagnostics, Plan* plan);

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

// The same of columns whose values are compared: keys, groups, what is deduplicated by. json has no equality.
std::optional<std::vector<size_t>> FindKeyColumns(const google::protobuf::RepeatedPtrField<std::string>& names,
                                                  const Schema& schema, const std::string& path, std::string_view of,
                                                  Diagnostics* diagnostics);
inline constexpr char kJsonIsNoKey[] =
    " is json, which has no equality: its text is kept as it was written; take a field of it in a project step, "
    "(column ->> 'field')";

// ", or emit: on_close in step x": what else would help against rows that update because of that step; "" without one.
std::string OrOnClose(const std::string& closes);

// A column as an expression: its name, quoted.
std::string QuoteIdentifier(std::string_view name);

}  // namespace tidemark
