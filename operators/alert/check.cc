// The check of alerts.
#include <absl/strings/str_cat.h>

#include "operators/alert/spec.h"
#include "src/base/time.h"
#include "src/plan/step_check.h"
#include "src/plan/units.h"

namespace tidemark {
namespace {

constexpr int64_t kForgetUs = 30 * 86'400 * kSecond;

AlertSpec ReadAlert(const topology::Alert& yaml) {
  AlertSpec spec;
  spec.raise = yaml.raise();
  spec.clear = yaml.clear();
  spec.for_us = yaml.for_();
  spec.absent_us = yaml.absent();
  spec.forget_us = !yaml.has_absent() ? 0 : yaml.has_forget() ? yaml.forget() : kForgetUs;
  spec.remind_us = yaml.remind();
  spec.grace_us = yaml.grace();
  if (yaml.has_severity()) spec.severity = yaml.severity();
  if (yaml.has_late()) spec.late_topic = yaml.late().topic();
  return spec;
}

// A condition on a row.
bool CheckCondition(StepCheck& check, const std::string& sql, std::string_view field) {
  if (sql.empty()) return true;
  const auto condition = check.Compile<Expression>(sql, field);
  if (!condition) return false;
  check.step().may_fail = check.step().may_fail || condition->fallible();
  if (condition->type().kind == Kind::kBool) return true;
  return check.Error(field, absl::StrCat("expected a condition (bool), this is ", TypeName(condition->type())));
}

// Of an input whose rows replace each other: only where they do so in time.
bool CheckUpdates(StepCheck& check) {
  const LogicalPort& input = check.in();
  if (!input.mode.update) return true;
  const std::string key = ColumnNames(input.schema, input.mode.key);
  if (check.Present("alert/late")) {
    check.Error("alert/late", absl::StrCat("rows of the input replace each other (key ", key,
                                           "): no topic can hold those that are late"));
  }
  if (!input.timely) {
    check.Error("from", absl::StrCat("an alert over this step isn't implemented: its rows (key ", key,
                                     ") may be replaced long after their time, at commits, so what is raised would "
                                     "depend on when those are. Put a window before it",
                                     OrOnClose(input.closes)));
  }
  return !check.Broken();
}

// Results of windows end in milliseconds, and what is due some time after a row may as well.
bool InWholeSeconds(const AlertSpec& spec, const LogicalPort& input) {
  for (const int64_t us : {spec.for_us, spec.absent_us, spec.forget_us, spec.remind_us}) {
    if (us % kSecond != 0) return false;
  }
  return input.ordered;
}

class Alert final : public OperatorSyntax {
 public:
  std::string_view field() const override { return "alert"; }
  bool CheckAlone(StepCheck& check) const override;
  bool Check(StepCheck& check) const override;
};

bool Alert::CheckAlone(StepCheck& check) const {
  if (check.Broken(field())) return false;
  const topology::Alert& yaml = check.yaml().alert();
  if (!yaml.has_raise() && !yaml.has_absent()) {
    check.Error("alert", "an alert says what it is about: raise: a condition, absent: a duration, or both");
  }
  const auto says_something = [&](bool has, std::string_view text, std::string_view name) {
    if (has && text.empty()) check.Error(absl::StrCat("alert/", std::string(name)), "a condition is needed");
  };
  says_something(yaml.has_raise(), yaml.raise(), "raise");
  says_something(yaml.has_clear(), yaml.clear(), "clear");
  for (const char* with_raise : {"clear", "for"}) {
    const std::string path = absl::StrCat("alert/", with_raise);
    if (!yaml.has_raise() && check.Present(path)) {
      check.Error(path, absl::StrCat("`", with_raise, "` goes with `raise`"));
    }
  }
  if (yaml.has_absent() && yaml.absent() <= 0) check.Error("alert/absent", "must be longer than nothing");
  if (yaml.has_remind() && yaml.remind() <= 0) check.Error("alert/remind", "must be longer than nothing");
  if (yaml.has_forget() && !yaml.has_absent()) check.Error("alert/forget", "`forget` goes with `absent`");
  const AlertSpec spec = ReadAlert(yaml);
  if (yaml.has_absent() && spec.forget_us <= spec.absent_us) {
    check.Error(yaml.has_forget() ? "alert/forget" : "alert/absent",
                absl::StrCat("a key is forgotten after ", FormatDuration(spec.forget_us),
                             " without a row (`forget`), which must be longer than `absent`, ",
                             FormatDuration(spec.absent_us)));
  }
  if (yaml.has_late()) check.AddSide({"late", yaml.late().topic()}, "alert/late/topic");
  return !check.Broken();
}

bool Alert::Check(StepCheck& check) const {
  const topology::Alert& yaml = check.yaml().alert();
  LogicalStep& step = check.step();
  LogicalPort& input = check.in();
  AlertSpec spec = ReadAlert(yaml);
  const auto by = check.Find(yaml.by(), "alert/by");
  if (!by) return false;
  spec.by = *by;
  spec.input_updates = input.mode.update;
  const bool raise = CheckCondition(check, spec.raise, "alert/raise");
  const bool clear = CheckCondition(check, spec.clear, "alert/clear");
  if (!raise || !clear || !CheckUpdates(check)) return false;

  step.mode = {};
  for (size_t c = 0; c < input.schema.size(); ++c) {
    if (!check.AddOutput(input.schema[c], c, "alert")) return false;
  }
  if (step.time_form == TimestampForm::kSeconds && !InWholeSeconds(spec, input))
    step.time_form = TimestampForm::kMillis;
  const Type time{.kind = Kind::kTimestamp, .form = step.time_form}, text{.kind = Kind::kString};
  std::vector<Column> made = {{"alert_state", text, false},
                              {"alert_kind", text, false},
                              {"alert_start", time, false},
                              {"alert_time", time, false},
                              {"alert_seconds", {.kind = Kind::kDouble}, false}};
  if (spec.severity) made.push_back({"alert_severity", text, false});
  for (const Column& column : made) {
    if (!check.AddOutput(column, std::nullopt, "alert")) return false;
  }
  input.together = spec.by;
  input.needs = input.needs.With(Hidden::kWatermark);
  spec.ordered = input.ordered && !spec.input_updates;
  if (spec.ordered) {
    input.needs = input.needs.With(Hidden::kSource).With(Hidden::kPartition).With(Hidden::kOffset);
  }
  step.window_columns.reset();
  step.ordered = false;
  step.closes.clear();
  step.timely = true;
  step.spec = std::move(spec);
  return true;
}

}  // namespace

const OperatorSyntax& AlertSyntax() {
  static const Alert syntax;
  return syntax;
}

}  // namespace tidemark
