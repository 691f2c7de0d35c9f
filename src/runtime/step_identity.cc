#include "src/runtime/step_identity.h"

#include <algorithm>

#include <absl/strings/str_cat.h>

namespace tidemark {
namespace {

std::string Columns(const Schema& schema, const std::vector<size_t>& positions) {
  std::string text = "[";
  for (const size_t i : positions) {
    absl::StrAppend(&text, text.size() == 1 ? "" : ", ", schema[i].name, " ", TypeName(schema[i].type),
                    schema[i].nullable ? " null" : "");
  }
  return text + "]";
}

struct Fingerprint {
  const Node& node;

  std::string operator()(const DedupSpec& spec) const {
    if (spec.keep_last)
      return absl::StrCat("dedup keep last by ", Columns(node.input, spec.by), " of ", node.input.ToString());
    return absl::StrCat("dedup by ", Columns(node.input, spec.by));
  }
  std::string operator()(const WindowSpec& spec) const {
    if (spec.phase == WindowSpec::Phase::kPartial) return "";
    std::string text = absl::StrCat("window ", spec.size_us, "us every ", spec.every_us, "us by ",
                                    Columns(spec.rows, spec.group_by), ":");
    for (const AggregateItem& item : spec.aggregates) absl::StrAppend(&text, " ", item.expression, ";");
    return text;
  }
  std::string operator()(const TopSpec& spec) const {
    std::string text =
        absl::StrCat("top ", spec.k, " by ", Columns(node.input, spec.by), " of ", node.input.ToString());
    if (!spec.on_update || spec.input_updates) return text;
    // What is kept of a group is what is first in this order.
    absl::StrAppend(&text, " as it stands, by");
    for (const TopSpec::Order& order : spec.order) {
      absl::StrAppend(&text, " ", node.input[order.column].name, order.descending ? " desc" : "", ";");
    }
    return text;
  }
  std::string operator()(const CustomSpec& spec) const {
    std::string text =
        absl::StrCat("custom ", spec.name, " by ", Columns(node.input, spec.by), " of ", node.input.ToString());
    for (const auto& [name, value] : spec.parameters) absl::StrAppend(&text, ", ", name, " ", value);
    return text;
  }
  template <typename Stateless>
  std::string operator()(const Stateless&) const {
    return "";
  }
};

// What a step has given of what its state holds depends on it: a window's groups, at once or when the window is over.
std::string RowKinds(const Stage& stage, const Node& node) {
  const auto kind = [](bool update) { return update ? "update" : "append"; };
  const bool takes_updates = std::any_of(node.inputs.begin(), node.inputs.end(), [&](int input) {
    return stage.nodes[static_cast<size_t>(input)].mode.update;
  });
  return absl::StrCat(kind(takes_updates), " to ", kind(node.mode.update));
}

}  // namespace

std::string LedgerName(const Node& node) {
  switch (node.kind) {
    case Node::Kind::kKafkaSink:
    case Node::Kind::kFeed: return absl::StrCat("sink ", node.step);
    case Node::Kind::kRepartition: return absl::StrCat(node.step, " repartition out");
    case Node::Kind::kInternal: return absl::StrCat(node.step, " repartition in");
    default: break;
  }
  const auto* window = std::get_if<WindowSpec>(&node.spec);
  if (window != nullptr && window->phase == WindowSpec::Phase::kPartial) return absl::StrCat(node.step, " partial");
  return node.step;
}

std::string StepFingerprint(const Node& node) {
  return node.kind == Node::Kind::kOperator ? std::visit(Fingerprint{node}, node.spec) : "";
}

void SaveStepIdentities(const Stage& stage, packed::CommitRecord* record) {
  for (const Node& node : stage.nodes) {
    std::string fingerprint = StepFingerprint(node);
    if (fingerprint.empty()) continue;
    packed::StepIdentity* identity = record->add_steps();
    identity->set_step(node.step);
    identity->set_fingerprint(std::move(fingerprint));
    identity->set_rows(RowKinds(stage, node));
  }
}

absl::Status CheckStepIdentities(const Stage& stage, const packed::CommitRecord& record) {
  for (const packed::StepIdentity& saved : record.steps()) {
    for (const Node& node : stage.nodes) {
      const std::string fingerprint = StepFingerprint(node);
      if (node.step != saved.step() || fingerprint.empty()) continue;
      std::string before = saved.fingerprint(), now = fingerprint;
      if (const std::string rows = RowKinds(stage, node); !saved.rows().empty() && saved.rows() != rows) {
        absl::StrAppend(&before, ", ", saved.rows());
        absl::StrAppend(&now, ", ", rows);
      }
      if (before == now) continue;
      return absl::FailedPreconditionError(absl::StrCat(
          "step ", node.step, ": its state was written by '", before, "', the topology now says '", now,
          "': give the step a new name, or the topology, to start with empty state"));
    }
  }
  return absl::OkStatus();
}

void SaveLedger(const std::string& step, const StepLedger& ledger, packed::CommitRecord* record) {
  packed::StepLedger* out = record->add_ledger();
  out->set_step(step);
  out->set_in(ledger.in);
  out->set_passed(ledger.passed);
  out->set_duplicate(ledger.duplicate);
  out->set_late(ledger.late);
  out->set_filtered(ledger.filtered);
  out->set_unmatched(ledger.unmatched);
  out->set_dead_lettered(ledger.dead_lettered);
  out->set_absorbed(ledger.absorbed);
  out->set_pairs(ledger.pairs);
  out->set_late_pairs(ledger.late_pairs);
  out->set_late_after_idle(ledger.late_after_idle);
  out->set_closed(ledger.closed);
  out->set_open(ledger.open);
  out->set_out(ledger.out);
}

void RestoreLedger(const packed::CommitRecord& record, const std::string& step, StepLedger* ledger) {
  for (const packed::StepLedger& saved : record.ledger()) {
    if (saved.step() != step) continue;
    ledger->in = saved.in();
    ledger->passed = saved.passed();
    ledger->duplicate = saved.duplicate();
    ledger->late = saved.late();
    ledger->filtered = saved.filtered();
    ledger->unmatched = saved.unmatched();
    ledger->dead_lettered = saved.dead_lettered();
    ledger->absorbed = saved.absorbed();
    ledger->pairs = saved.pairs();
    ledger->late_pairs = saved.late_pairs();
    ledger->late_after_idle = saved.late_after_idle();
    ledger->closed = saved.closed();
    ledger->open = saved.open();
    ledger->out = saved.out();
  }
}

}  // namespace tidemark
