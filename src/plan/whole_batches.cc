// Sinks that are `atomic`: each batch of theirs, or transaction of a table's database, is visible whole, or not at all.
// That is so where all their rows come out of batch steps, or of sources with `atomic: transactions`, through steps
// that leave a commit's rows in their task and commit, and where the outside can show a commit's rows at once.
#include <set>

#include <absl/strings/str_cat.h>

#include "src/plan/intakes.h"
#include "src/plan/logical.h"

namespace tidemark {
namespace {

constexpr char kMayStandBetween[] =
    "between a batch step and an atomic sink may stand filter, project, expect, unnest, a join with a table, and "
    "unions";

// "" where all rows of this step are of whole batches.
std::string WhyNotWhole(const Plan& plan, const Logical& logical, int s, std::set<int>* seen) {
  const LogicalStep& step = logical.steps[static_cast<size_t>(s)];
  if (!seen->insert(s).second) return "";
  if (step.source >= 0) {
    const SourcePlan& source = plan.sources[static_cast<size_t>(step.source)];
    if (KeepsTransactions(source)) return "";
    if (source.postgres) {
      return absl::StrCat("transactions of source ", step.name,
                          " aren't kept together: state `atomic: transactions` in it");
    }
    if (!source.key.empty()) {
      return absl::StrCat("transactions of source ", step.name,
                          " can't be kept together, as its records don't say where one ends: read the table with "
                          "`postgres` and `atomic: transactions`");
    }
    return absl::StrCat("rows of source ", step.name, " come to it without a batch step: put one in between, ",
                        step.name, " -> batch: { by: [...], expected: ..., deadline: ... }");
  }
  switch (step.spec.kind().whole_batches()) {
    case WholeBatches::kMakes:
      return "";
    case WholeBatches::kBreaks:
      return absl::StrCat(
          "step ", step.name, " (", step.repartition ? "repartition" : std::string(step.spec.kind().name()),
          ") doesn't keep batches together: ", kMayStandBetween, "; other steps go in front of the batch step");
    case WholeBatches::kKeeps:
      break;
  }
  for (const LogicalPort& port : step.ports) {
    for (const int input : port.steps) {
      std::string why = WhyNotWhole(plan, logical, input, seen);
      if (!why.empty()) return why;
    }
  }
  return "";
}

}  // namespace

void CheckAtomic(const topology::Sink& yaml, const Plan& plan, const Logical& logical, const SinkPlan& sink,
                 Diagnostics* diagnostics) {
  if (!yaml.atomic()) return;
  const std::string path = "sinks/" + yaml.name();
  const auto refuse = [&](const std::string& field, std::string_view why) {
    diagnostics->Error(path + (diagnostics->Present(path + field) ? field : "/atomic"), why);
  };
  // Changes of a table come out of one task, and to one partition of a feed; other rows by a key don't.
  const int from = logical.by_name.find(yaml.from())->second;
  const bool changes = logical.steps[static_cast<size_t>(from)].mode.update;
  if (const auto* postgres = std::get_if<PostgresSinkSpec>(&sink.spec)) {
    if (postgres->upsert && !changes) {
      return refuse("/postgres/mode",
                    "an atomic sink inserts (mode: insert, without key): rows that replace each other by a key lie in "
                    "several partitions of its feed, and each of those has a transaction of its own");
    }
  } else if (const auto* parquet = std::get_if<ParquetSinkSpec>(&sink.spec)) {
    if (!parquet->partition_by.empty()) {
      return refuse("/parquet/partition_by",
                    "the files of several folders appear one after the other, so an atomic lake has no folders: leave "
                    "partition_by out");
    }
  } else if (std::holds_alternative<WebhookSpec>(sink.spec)) {
    return refuse("/atomic", "a webhook posts row by row, so it can't show a batch whole: post to it without `atomic`");
  } else if (std::get<KafkaSinkSpec>(sink.spec).upsert && !changes) {
    return refuse("/mode",
                  "an atomic sink appends: records that replace each other by a key are moved to the key's "
                  "task, and a batch then lies in several");
  }
  std::set<int> seen;
  const std::string why = WhyNotWhole(plan, logical, from, &seen);
  if (!why.empty()) refuse("/from", absl::StrCat("sink ", yaml.name(), " is atomic, but ", why));
}

}  // namespace tidemark
