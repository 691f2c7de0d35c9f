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

}  // namespace

bool ShowsBatchesWhole(const Plan& plan, int sink) {
  if (std::holds_alternative<WebhookSpec>(plan.sinks[static_cast<size_t>(sink)].spec)) return false;
  const auto* postgres = std::get_if<PostgresSinkSpec>(&plan.sinks[static_cast<size_t>(sink)].spec);
  if (postgres != nullptr && postgres->upsert) return false;
  for (const Stage& stage : plan.stages) {
    for (const Node& node : stage.nodes) {
      if (node.sink == sink) return ComesOutOfBatches(stage, node);
    }
  }
  return false;
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
