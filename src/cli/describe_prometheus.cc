// Alert rules for Prometheus that fit a topology: what would stop it, what is lost or refused, and how old what stands
// in its sinks and views is. A file for `rule_files`; `promtool check rules` takes it.
#include <map>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include "src/base/time.h"
#include "src/cli/describe.h"

namespace tidemark {
namespace {

struct Rule {
  std::string name, expression, wait, severity, summary;
  // "sink", "x": of which part it is, where parts have rules of one name. What is alerted of has no other way to tell
  // two of them apart, as the expression has added the series up.
  std::string part, part_name;
};

// A text in YAML's single quotes. Names hold no template of Prometheus; summaries of ours do.
std::string Quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out.append(c == '\'' ? 2 : 1, c);
  return out + "'";
}

std::string SecondsText(int64_t us) { return absl::StrFormat("%g", static_cast<double>(us) / kSecond); }

class Rules {
 public:
  explicit Rules(const std::string& application) : application_(application) {}

  // "metric{application='town',sink='x'}".
  std::string Of(const std::string& metric, const std::string& more = "") const {
    return absl::StrCat(metric, "{application=\"", application_, "\"", more.empty() ? "" : ",", more, "}");
  }
  // The rules that are added next are those of this part; "": of the application.
  void SetPart(std::string part, std::string name) {
    part_ = std::move(part);
    part_name_ = std::move(name);
  }
  void Add(std::string name, std::string expression, std::string wait, std::string severity, std::string summary) {
    rules_.push_back({std::move(name), std::move(expression), std::move(wait), std::move(severity), std::move(summary),
                      part_, part_name_});
  }
  std::string Text() const {
    std::string out = absl::StrCat("groups:\n  - name: ", Quoted("tidemark-" + application_), "\n    rules:\n");
    for (const Rule& rule : rules_) {
      absl::StrAppend(&out, "      - alert: ", rule.name, "\n        expr: ", Quoted(rule.expression),
                      "\n        for: ", rule.wait, "\n        labels: { severity: ", rule.severity,
                      ", application: ", Quoted(application_),
                      rule.part.empty() ? "" : absl::StrCat(", ", rule.part, ": ", Quoted(rule.part_name)),
                      " }\n        annotations: { summary: ", Quoted(rule.summary), " }\n");
    }
    return out;
  }

 private:
  const std::string& application_;
  std::string part_, part_name_;
  std::vector<Rule> rules_;
};

std::string Label(const std::string& name, const std::string& value) { return absl::StrCat(name, "=\"", value, "\""); }

void AddProcess(Rules* rules) {
  rules->Add("TidemarkNoWorker", absl::StrCat("absent(", rules->Of("tidemark_build_info"), ")"), "2m", "critical",
             "no worker of the application is scraped");
  rules->Add("TidemarkUnownedInputs", absl::StrCat("max by (group) (", rules->Of("tidemark_unowned_inputs"), ") > 0"),
             "2m", "critical", "{{ $value }} partitions that group {{ $labels.group }} should read have no reader");
  // A worker that reads nothing has nothing to commit.
  rules->Add("TidemarkCommitsStand",
             absl::StrCat("sum by (instance) (increase(", rules->Of("tidemark_commits_total"),
                          "[5m])) == 0 and on (instance) sum by (instance) (", rules->Of("tidemark_task_lag_records"),
                          ") > 0"),
             "1m", "critical",
             "worker {{ $labels.instance }} has records to read, and has committed nothing for 5 minutes");
  rules->Add("TidemarkThreadStands",
             absl::StrCat("max by (instance, thread) (", rules->Of("tidemark_thread_step_age_seconds"), ") > 60"), "1m",
             "critical",
             "stream thread {{ $labels.thread }} of {{ $labels.instance }} hasn't come through a batch or a commit");
  rules->Add("TidemarkDeadLetters",
             absl::StrCat("sum by (step) (increase(",
                          rules->Of("tidemark_step_rows_total", Label("outcome", "dead_lettered")), "[10m])) > 0"),
             "0m", "warning", "rows of {{ $labels.step }} became dead letters");
}

void AddSources(const Plan& plan, Rules* rules) {
  for (const SourcePlan& source : plan.sources) {
    const std::string of = Label("source", source.name);
    rules->SetPart("source", source.name);
    if (source.skip_lost) {
      rules->Add("TidemarkRecordsLost",
                 absl::StrCat("sum(increase(", rules->Of("tidemark_source_records_lost_total", of), "[10m])) > 0"),
                 "0m", "critical",
                 absl::StrCat("source ", source.name, " went past records that were gone before they were read"));
    }
    if (!source.intake()) continue;
    rules->Add("TidemarkIntakeStands",
               absl::StrCat("sum(", rules->Of("tidemark_intake_running", of), ") < ", source.intake_splits(),
                            " or absent(", rules->Of("tidemark_intake_running", of), ")"),
               "2m", "critical",
               absl::StrCat("source ", source.name, " isn't read from outside by any worker, or in part"));
    rules->Add("TidemarkIntakeRefuses",
               absl::StrCat("sum(increase(", rules->Of("tidemark_intake_refused_total", of), "[10m])) > 0"), "0m",
               "warning", absl::StrCat("what came into source ", source.name, " became dead letters"));
    rules->Add("TidemarkIntakeFails", absl::StrCat("max(", rules->Of("tidemark_intake_error", of), ") > 0"), "5m",
               "warning", absl::StrCat("source ", source.name, " fails again and again; /readyz has the reason"));
  }
}

void AddFreshness(const SinkPlan& sink, const std::string& what, const std::string& of, Rules* rules) {
  const std::string age = absl::StrCat("min(", rules->Of("tidemark_freshness_seconds", of), ")");
  rules->Add("TidemarkStale", absl::StrCat(age, " >= ", SecondsText(sink.freshness->max_us)), "0m", "critical",
             absl::StrCat(what, " is {{ $value | humanizeDuration }} old, and may be ",
                          SecondsText(sink.freshness->max_us), " s"));
  rules->Add("TidemarkStaleSoon", absl::StrCat(age, " >= ", SecondsText(sink.freshness->warn_us)), "0m", "warning",
             absl::StrCat(what, " is {{ $value | humanizeDuration }} old"));
  rules->Add("TidemarkStalePredicted",
             absl::StrCat("max(", rules->Of("tidemark_alarm", of + ",kind=\"predicted\""), ") > 0"), "0m", "warning",
             absl::StrCat(what, " will be too old soon if it goes on so"));
}

void AddSinks(const Plan& plan, Rules* rules) {
  for (const SinkPlan& sink : plan.sinks) {
    const std::string of = Label(sink.view ? "view" : "sink", sink.name);
    rules->SetPart(sink.view ? "view" : "sink", sink.name);
    const std::string what = absl::StrCat(sink.view ? "view " : "sink ", sink.name);
    if (sink.freshness) AddFreshness(sink, what, of, rules);
    if (sink.view) {
      rules->Add("TidemarkViewAway", absl::StrCat("max(", rules->Of("tidemark_view_ready", of), ") == 0"), "5m",
                 "critical", absl::StrCat("no worker answers questions about ", what));
      if (!sink.view->audit.empty()) {
        rules->Add("TidemarkUnaudited",
                   absl::StrCat("sum(increase(", rules->Of("tidemark_view_unaudited_total", of), "[10m])) > 0"), "0m",
                   "warning", absl::StrCat("requests to ", what, " left no audit record"));
      }
    }
    if (std::holds_alternative<KafkaSinkSpec>(sink.spec)) continue;
    rules->Add("TidemarkSinkFails", absl::StrCat("max(", rules->Of("tidemark_sink_error", of), ") > 0"), "5m",
               "warning", absl::StrCat(what, " fails again and again; /readyz has the reason"));
    rules->Add("TidemarkSinkRefuses",
               absl::StrCat("sum(increase(", rules->Of("tidemark_sink_refused_rows_total", of), "[10m])) > 0"), "0m",
               "warning", absl::StrCat("rows of ", what, " became dead letters"));
  }
}

void AddAlarms(const Plan& plan, Rules* rules) {
  rules->SetPart("", "");
  if (plan.notify.empty()) return;
  rules->Add("TidemarkAlarmsUnwatched", absl::StrCat("max(", rules->Of("tidemark_alarms_watching"), ") == 0"), "5m",
             "warning", "no worker tells of alarms");
  if (plan.notify.webhook.empty()) return;
  rules->Add("TidemarkAlarmsUntold", absl::StrCat("max(", rules->Of("tidemark_alarms_waiting"), ") > 0"), "10m",
             "warning", absl::StrCat(plan.notify.webhook.front().Shown(), " doesn't take the alarms"));
}

}  // namespace

std::string DescribeAsPrometheusRules(const Plan& plan) {
  Rules rules(plan.application.name);
  AddProcess(&rules);
  AddSources(plan, &rules);
  AddSinks(plan, &rules);
  AddAlarms(plan, &rules);
  return rules.Text();
}

}  // namespace tidemark
