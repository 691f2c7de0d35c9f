#include "operators/rows/expect.h"

#include <utility>

#include <absl/strings/str_cat.h>
#include <arrow/array/array_base.h>
#include <glog/logging.h>

#include "src/base/status.h"
#include "src/codec/cells.h"
#include "src/codec/json/value_writer.h"

namespace tidemark {

absl::StatusOr<std::unique_ptr<Operator>> ExpectOperator::Make(const Node& node, const ExpectSpec& spec) {
  std::vector<Rule> rules;
  for (const ExpectSpec::Rule& rule : spec.rules) {
    TM_ASSIGN_OR_RETURN(Expression condition, Expression::Compile(rule.that, node.in().schema));
    rules.push_back({rule, std::move(condition)});
  }
  return std::unique_ptr<Operator>(new ExpectOperator(node, std::move(rules)));
}

absl::Status ExpectOperator::Open(const OperatorContext& context) {
  ledger_ = context.ledger;
  return absl::OkStatus();
}

absl::Status ExpectOperator::ProcessBatch(int /*input*/, const Batch& batch, Emitter& emitter) {
  const int64_t n = batch->num_rows();
  if (n == 0) return absl::OkStatus();
  ledger_->in += n;
  std::vector<Broken> broken;  // empty while no row breaks any
  for (size_t r = 0; r < rules_.size(); ++r) TM_RETURN_IF_ERROR(Judge(r, batch, &broken));
  if (broken.empty()) {
    ledger_->passed += n;
    ledger_->out += n;
    return emitter.Emit(shape_.PassThrough(batch));
  }
  std::vector<uint8_t> keep(static_cast<size_t>(n), 1);
  for (int64_t i = 0; i < n; ++i) {
    const auto row = static_cast<size_t>(i);
    if (broken[row].gravest >= 0) TM_RETURN_IF_ERROR(Consequence(batch, i, broken[row], &keep[row], emitter));
  }
  const Selection selection(keep, HiddenOps(*batch));
  ledger_->passed += selection.size();
  ledger_->out += selection.size();
  if (selection.size() == 0) return absl::OkStatus();
  return emitter.Emit(selection.Apply(shape_.PassThrough(batch)));
}

absl::Status ExpectOperator::Judge(size_t r, const Batch& batch, std::vector<Broken>* broken) {
  Rule& rule = rules_[r];
  std::vector<RowError> errors;
  TM_ASSIGN_OR_RETURN(const auto kept, rule.condition.Evaluate(*batch, &errors));
  const Cells<bool> cells(*kept->data());
  int64_t& count = ledger_->violated[rule.spec.name];
  const auto breaks = [&](int64_t row, std::string_view why) {
    ++count;
    if (broken->empty()) broken->resize(static_cast<size_t>(batch->num_rows()));
    Broken& of_row = (*broken)[static_cast<size_t>(row)];
    if (of_row.gravest < 0 || rule.spec.otherwise > rules_[static_cast<size_t>(of_row.gravest)].spec.otherwise) {
      of_row.gravest = static_cast<int>(r);
    }
    absl::StrAppend(&of_row.rules, of_row.rules.empty() ? "" : ", ", rule.spec.name);
    absl::StrAppend(&of_row.reason, of_row.reason.empty() ? "" : "; ", "rule ", rule.spec.name,
                    " is broken: ", std::string(why));
  };
  size_t error = 0;
  for (int64_t i = 0; i < batch->num_rows(); ++i) {
    if (error < errors.size() && errors[error].row == i) {
      breaks(i, errors[error++].message);
    } else if (!cells.IsNull(i) && !cells[i]) {
      breaks(i, absl::StrCat("it is not true that ", rule.spec.that));
    }
  }
  return absl::OkStatus();
}

absl::Status ExpectOperator::Consequence(const Batch& batch, int64_t row, const Broken& broken, uint8_t* keep,
                                         Emitter& emitter) {
  Rule& rule = rules_[static_cast<size_t>(broken.gravest)];
  switch (rule.spec.otherwise) {
    case ExpectSpec::Else::kWarn:
      if (!rule.warned) {
        LOG(WARNING) << "step " << shape_.name << ": " << broken.reason
                     << "; the row goes on, and further ones are only counted (tidemark_rule_violations_total)";
      }
      rule.warned = true;
      return absl::OkStatus();
    case ExpectSpec::Else::kDrop:
      *keep = 0;
      ++ledger_->filtered;
      return absl::OkStatus();
    case ExpectSpec::Else::kDeadLetter: {
      *keep = 0;
      ++ledger_->dead_lettered;
      RowFailure failure{batch, row, &shape_.input, rule.spec.that, broken.reason};
      failure.rule = broken.rules;
      return emitter.DeadLetter(std::move(failure));
    }
    case ExpectSpec::Else::kStop:
      break;
  }
  return absl::FailedPreconditionError(absl::StrCat(
      broken.reason, ", by ", RowToJson(shape_.input, *batch, row).substr(0, 1024),
      ". Nothing behind it is processed. Mend the rows where they come from, or change the rule or its `else`"));
}

}  // namespace tidemark
