#include "operators/rows/expect.h"

#include <algorithm>
#include <set>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/synchronization/mutex.h>
#include <arrow/array/array_base.h>
#include <glog/logging.h>

#include "src/base/status.h"
#include "src/codec/cells.h"
#include "src/codec/json/value_writer.h"

namespace tidemark {
namespace {

// Whichever of the process's tasks has the row.
bool FirstOfProcess(const std::string& step, const std::string& rule) {
  static auto& mutex = *new absl::Mutex();  // never destroyed
  static auto& warned = *new std::set<std::pair<std::string, std::string>>();
  const absl::MutexLock lock(&mutex);
  return warned.emplace(step, rule).second;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Operator>> ExpectOperator::Make(const Node& node, const ExpectSpec& spec) {
  std::vector<Rule> rules;
  for (const ExpectSpec::Rule& rule : spec.rules) {
    TM_ASSIGN_OR_RETURN(Expression condition, Expression::Compile(rule.that, node.in().schema));
    rules.push_back({rule, std::move(condition)});
  }
  return std::unique_ptr<Operator>(new ExpectOperator(node, spec, std::move(rules)));
}

ExpectOperator::ExpectOperator(const Node& node, const ExpectSpec& spec, std::vector<Rule> rules)
    : shape_(node), rules_(std::move(rules)) {
  if (HasShares(spec)) shares_.emplace(spec.rules);
}

absl::Status ExpectOperator::Open(const OperatorContext& context) {
  ledger_ = context.ledger;
  return shares_ ? shares_->Open(context.state) : absl::OkStatus();
}

absl::Status ExpectOperator::ProcessBatch(int /*input*/, const Batch& batch, Emitter& emitter) {
  const int64_t n = batch->num_rows();
  if (n == 0) return absl::OkStatus();
  ledger_->in += n;
  std::vector<Broken> broken;  // empty while no row breaks any
  for (size_t r = 0; r < rules_.size(); ++r) TM_RETURN_IF_ERROR(Judge(r, batch, &broken));
  if (shares_) CountShares(batch, broken);
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
  const auto breaks = [&](int64_t row, std::string error) {
    ++count;
    if (broken->empty()) broken->resize(static_cast<size_t>(batch->num_rows()));
    Broken& of_row = (*broken)[static_cast<size_t>(row)];
    if (of_row.gravest < 0 || rule.spec.otherwise > rules_[static_cast<size_t>(of_row.gravest)].spec.otherwise) {
      of_row.gravest = static_cast<int>(r);
    }
    of_row.breaches.push_back({r, std::move(error)});
    if (rule.spec.otherwise == ExpectSpec::Else::kWarn && !rule.warned) Warn(of_row.breaches.back());
  };
  size_t error = 0;
  for (int64_t i = 0; i < batch->num_rows(); ++i) {
    if (error < errors.size() && errors[error].row == i) {
      breaks(i, std::move(errors[error++].message));
    } else if (!cells.IsNull(i) && !cells[i]) {
      breaks(i, "");
    }
  }
  return absl::OkStatus();
}

void ExpectOperator::CountShares(const Batch& batch, const std::vector<Broken>& broken) {
  const int64_t* const times = HiddenInt64(*batch, Hidden::kTime);
  const int64_t* const watermarks = HiddenInt64(*batch, Hidden::kWatermark);
  for (size_t r = 0; r < rules_.size(); ++r) {
    if (!rules_[r].spec.at_most) continue;
    for (int64_t i = 0; i < batch->num_rows(); ++i) {
      const bool breaks = !broken.empty() && std::any_of(broken[static_cast<size_t>(i)].breaches.begin(),
                                                         broken[static_cast<size_t>(i)].breaches.end(),
                                                         [&](const Breach& breach) { return breach.rule == r; });
      shares_->Count(r, EventTime{times[i]}, EventTime{watermarks[i]}, breaks);
    }
  }
}

absl::StatusOr<EventTime> ExpectOperator::AdvanceWatermark(EventTime time, Emitter& /*emitter*/) {
  if (shares_) TM_RETURN_IF_ERROR(shares_->Judge(time));
  return time;
}

absl::Status ExpectOperator::PrepareCommit(uint64_t /*commit*/, Emitter& /*emitter*/) {
  if (shares_) shares_->Commit();
  return absl::OkStatus();
}

std::string ExpectOperator::Names(const Broken& broken) const {
  return absl::StrJoin(broken.breaches, ", ",
                       [&](std::string* out, const Breach& b) { out->append(rules_[b.rule].spec.name); });
}

std::string ExpectOperator::Reason(const Broken& broken) const {
  return absl::StrJoin(broken.breaches, "; ", [&](std::string* out, const Breach& b) { out->append(Reason(b)); });
}

std::string ExpectOperator::Reason(const Breach& breach) const {
  const ExpectSpec::Rule& rule = rules_[breach.rule].spec;
  return absl::StrCat("rule ", rule.name, " is broken: ",
                      breach.error.empty() ? absl::StrCat("it is not true that ", rule.that) : breach.error);
}

void ExpectOperator::Warn(const Breach& breach) {
  Rule& rule = rules_[breach.rule];
  rule.warned = true;
  if (!FirstOfProcess(shape_.name, rule.spec.name)) return;
  LOG(WARNING) << "step " << shape_.name << ": " << Reason(breach)
               << "; further rows are only counted (tidemark_rule_violations_total)";
}

absl::Status ExpectOperator::Consequence(const Batch& batch, int64_t row, const Broken& broken, uint8_t* keep,
                                         Emitter& emitter) {
  const Rule& rule = rules_[static_cast<size_t>(broken.gravest)];
  switch (rule.spec.otherwise) {
    case ExpectSpec::Else::kWarn:
      return absl::OkStatus();
    case ExpectSpec::Else::kDrop:
      *keep = 0;
      ++ledger_->filtered;
      return absl::OkStatus();
    case ExpectSpec::Else::kDeadLetter: {
      *keep = 0;
      ++ledger_->dead_lettered;
      RowFailure failure{batch, row, &shape_.input, rule.spec.that, Reason(broken)};
      failure.rule = Names(broken);
      return emitter.DeadLetter(std::move(failure));
    }
    case ExpectSpec::Else::kStop:
      break;
  }
  return absl::FailedPreconditionError(absl::StrCat(
      Reason(broken), ", by ", RowToJson(shape_.input, *batch, row).substr(0, 1024),
      ". Nothing behind it is processed. Mend the rows where they come from, or change the rule or its `else`"));
}

}  // namespace tidemark
