#include "src/runtime/whole_commits.h"

#include <variant>

#include "src/base/mutation.h"
#include "src/plan/operator_kind.h"

namespace tidemark {
namespace {

bool ComesOutOfBatches(const Stage& stage, const Node& node) {
  for (const int input : node.upstream()) {
    const Node& from = stage.nodes[static_cast<size_t>(input)];
    if (from.kind != Node::Kind::kOperator) return false;
    switch (from.spec.kind().whole_batches()) {
      case WholeBatches::kBreaks:
        return false;
      case WholeBatches::kMakes:
        continue;
      case WholeBatches::kKeeps:
        if (!ComesOutOfBatches(stage, from)) return false;
    }
  }
  return true;
}

bool RowsComeWhole(const Plan& plan, int sink) {
  for (const Stage& stage : plan.stages) {
    for (const Node& node : stage.nodes) {
      if (node.sink == sink) return ComesOutOfBatches(stage, node);
    }
  }
  return false;
}

}  // namespace

bool ShowsTransactionsWhole(const Plan& plan, int sink) {
  return plan.sinks[static_cast<size_t>(sink)].mode.update && RowsComeWhole(plan, sink);
}

bool ShowsBatchesWhole(const Plan& plan, int sink) {
  const auto& spec = plan.sinks[static_cast<size_t>(sink)].spec;
  if (std::holds_alternative<WebhookSpec>(spec)) return false;
  const auto* postgres = std::get_if<PostgresSinkSpec>(&spec);
  const bool by_key = postgres != nullptr && postgres->upsert;
  return by_key ? ShowsTransactionsWhole(plan, sink) : RowsComeWhole(plan, sink);
}

bool WholeCommits::Add(Offset offset, UnpackedRows record) {
  const std::pair<uint32_t, int32_t> writer{record.header.writer_stage(), record.header.upstream_partition()};
  if (record.header.last() || MutationActive(Mutation::kCommitShownInParts)) {
    open_.erase(writer);
  } else {
    open_.insert(writer);
  }
  rows_.next = offset + 1;
  if (record.rows != nullptr && record.rows->num_rows() > 0) rows_.batches.push_back(std::move(record.rows));
  return open_.empty();
}

FeedRows WholeCommits::Take(std::string heard) {
  FeedRows taken = std::move(rows_);
  taken.heard = std::move(heard);
  Begin(taken.partition, taken.next);
  return taken;
}

}  // namespace tidemark
