// batch, as the planner and others see it.
#include <numeric>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "operators/batch/batch.h"
#include "operators/batch/spec.h"
#include "src/plan/step_check.h"
#include "src/plan/units.h"

namespace tidemark {
namespace {

constexpr int64_t kForgetUs = 7 * 86'400 * kSecond;
constexpr int64_t kMostRows = 10'000'000, kMiB = int64_t{1} << 20, kMostBytes = 1024 * kMiB;

class BatchKind final : public OperatorKind {
 public:
  std::string_view name() const override { return "batch"; }
  WholeBatches whole_batches() const override { return WholeBatches::kMakes; }

  std::string Describe(const Node& node) const override {
    const auto& spec = node.spec.As<BatchSpec>();
    std::string out = absl::StrCat("batches by (", ColumnNames(node.in().schema, spec.by), ") of ", spec.expected,
                                   " rows, whole within ", FormatDuration(spec.deadline_us), " or rejected");
    for (const BatchSpec::Rule& rule : spec.rules) absl::StrAppend(&out, ", expect ", rule.name, " (", rule.that, ")");
    return out;
  }
  absl::StatusOr<std::unique_ptr<Operator>> Make(const Node& node) const override {
    return MakeBatchStep(node, node.spec.As<BatchSpec>());
  }
  int64_t HoldsUs(const Node& node) const override { return node.spec.As<BatchSpec>().deadline_us + 1; }
  int64_t CommitBytes(const Node& node) const override { return node.spec.As<BatchSpec>().max_bytes; }

  // Rules, deadline, bounds and how a row says how many there are may change: they are asked of the rows that come.
  std::string Fingerprint(const Node& node) const override {
    return absl::StrCat("batches by ", ColumnTypes(node.in().schema, node.spec.As<BatchSpec>().by), " of ",
                        node.output.ToString());
  }
  ColumnList Keeps(const Node& node, size_t /*port*/) const override {
    ColumnList all(node.output.size());
    std::iota(all.begin(), all.end(), size_t{0});
    return all;
  }
};

class BatchSyntaxImpl final : public OperatorSyntax {
 public:
  std::string_view field() const override { return "batch"; }
  std::vector<std::string_view> beside() const override { return {"expect"}; }
  bool CheckAlone(StepCheck& check) const override;
  bool Check(StepCheck& check) const override;
};

bool BatchSyntaxImpl::CheckAlone(StepCheck& check) const {
  if (check.Broken(field())) return false;
  const topology::Batch& yaml = check.yaml().batch();
  if (yaml.by().empty()) check.Error("batch/by", "the columns that name a batch are needed");
  if (yaml.expected().empty()) {
    check.Error("batch/expected", "how many rows a batch has is needed: a column, an expression or a number");
  }
  if (yaml.deadline() <= 0) check.Error("batch/deadline", "must be longer than nothing");
  if (yaml.has_max_rows() && (yaml.max_rows() < 1 || yaml.max_rows() > kMostRows)) {
    check.Error("batch/max_rows", absl::StrCat("expected 1 to ", kMostRows));
  }
  if (yaml.has_max_bytes() && (yaml.max_bytes() < kMiB || yaml.max_bytes() > kMostBytes)) {
    check.Error("batch/max_bytes", "expected 1MiB to 1GiB");
  }
  for (const topology::Expectation& rule : check.yaml().expect()) {
    const std::string at = absl::StrCat("expect/", rule.name());
    if (!rule.at_most().empty()) {
      check.Error(at + "/at_most", "one row that breaks it rejects the batch: leave at_most out");
    }
    if (rule.else_() == "reject_batch") continue;
    check.Error(check.Present(at + "/else") ? at + "/else" : at,
                "a rule beside `batch` is about the batch: else: reject_batch. One about single rows goes into an "
                "expect step before or behind this one");
  }
  return !check.Broken();
}

bool BatchSyntaxImpl::Check(StepCheck& check) const {
  check.SameColumns();
  if (!check.NeedsAppend("batch")) return false;
  const topology::Batch& yaml = check.yaml().batch();
  BatchSpec spec;
  const auto by = check.Find(yaml.by(), "batch/by");
  if (by) spec.by = *by;
  spec.expected = yaml.expected();
  spec.deadline_us = yaml.deadline();
  spec.forget_us = yaml.has_forget() ? yaml.forget() : kForgetUs;
  spec.max_rows = yaml.has_max_rows() ? yaml.max_rows() : kMaxBatchRows;
  spec.max_bytes = yaml.has_max_bytes() ? yaml.max_bytes() : kMaxBatchBytes;
  const auto expected = check.Compile<Expression>(spec.expected, "batch/expected");
  if (expected && expected->type().kind != Kind::kInt64 && expected->type().kind != Kind::kInt32) {
    check.Error("batch/expected",
                absl::StrCat("expected a number of rows (int32 or int64), this is ", TypeName(expected->type())));
  }
  for (const topology::Expectation& rule : check.yaml().expect()) {
    const std::string at = absl::StrCat("expect/", rule.name());
    if (!IsName(rule.name())) check.Error(at, "a rule's name has letters, digits, '_' and '-', up to 100 of them");
    if (rule.name().starts_with(kRejectedPrefix)) {
      check.Error(at, "rules that begin with batch- are Tidemark's: they count batches that are rejected");
    }
    const auto condition = check.Compile<Expression>(rule.that(), at + "/that");
    if (condition && condition->type().kind != Kind::kBool) {
      check.Error(at + "/that", absl::StrCat("expected a condition (bool), this is ", TypeName(condition->type())));
    }
    spec.rules.push_back({rule.name(), rule.that()});
  }
  if (yaml.has_rejected()) {
    check.AddSide({std::string(kRejectedSide), yaml.rejected().topic()}, "batch/rejected/topic");
  }
  if (!by || check.Broken()) return false;
  LogicalPort& input = check.in();
  input.together = spec.by;
  input.needs = input.needs.With(Hidden::kWatermark);
  check.step().may_fail = true;
  check.step().spec = std::move(spec);
  return true;
}

}  // namespace

const OperatorKind& BatchSpec::Kind() {
  static const BatchKind kind;
  return kind;
}
const OperatorSyntax& BatchSyntax() {
  static const BatchSyntaxImpl syntax;
  return syntax;
}

}  // namespace tidemark
