// The expect step: rows pass that keep to its rules; what becomes of the others is the rules' business. A rule whose
// condition is NULL is kept, as an SQL CHECK is; one that can't be computed for a row (a division by zero) isn't.
//
// Every rule counts the rows that break it, whatever becomes of them. A row that breaks several has the gravest of
// their consequences: stop, dead_letter, drop, warn. A rule that warns is named in the log the first time that it is
// broken in a process, whatever else becomes of the row. Of a rule that says how large a share of the rows may break
// it, more end the run (violation_shares.h).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "operators/operator.h"
#include "operators/rows/spec.h"
#include "operators/rows/violation_shares.h"
#include "operators/step.h"
#include "src/expr/expression.h"

namespace tidemark {

class ExpectOperator final : public Operator {
 public:
  static absl::StatusOr<std::unique_ptr<Operator>> Make(const Node& node, const ExpectSpec& spec);

  std::string_view name() const override { return shape_.name; }
  absl::Status Open(const OperatorContext& context) override;
  absl::Status ProcessBatch(int input, const Batch& batch, Emitter& emitter) override;
  absl::StatusOr<EventTime> AdvanceWatermark(EventTime time, Emitter& emitter) override;
  absl::Status PrepareCommit(uint64_t commit, Emitter& emitter) override;

 private:
  struct Rule {
    ExpectSpec::Rule spec;
    Expression condition;
    bool warned = false;  // by this process, as far as is known here
  };
  // A rule that a row breaks, and why it can't be computed; "": it isn't true.
  struct Breach {
    size_t rule;
    std::string error;
  };
  struct Broken {
    int gravest = -1;  // position of the rule
    std::vector<Breach> breaches;
  };

  ExpectOperator(const Node& node, const ExpectSpec& spec, std::vector<Rule> rules);

  // The rows that break a rule, by row.
  absl::Status Judge(size_t rule, const Batch& batch, std::vector<Broken>* broken);
  void CountShares(const Batch& batch, const std::vector<Broken>& broken);
  // In words, which not every row needs.
  std::string Names(const Broken& broken) const;
  std::string Reason(const Broken& broken) const;
  std::string Reason(const Breach& breach) const;
  void Warn(const Breach& breach);
  absl::Status Consequence(const Batch& batch, int64_t row, const Broken& broken, uint8_t* keep, Emitter& emitter);

  const StepShape shape_;
  std::vector<Rule> rules_;
  std::optional<ViolationShares> shares_;  // where a rule has one
  StepLedger* ledger_ = nullptr;
};

}  // namespace tidemark
