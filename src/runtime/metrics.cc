#include "src/runtime/metrics.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include "src/runtime/dead_letter.h"
#include "src/runtime/version.h"

namespace tidemark {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

constexpr int64_t kSilentUs = 30 * kSecond;
// A sink's calls to the outside have deadlines of their own, and one turn of its loop makes several.
constexpr int64_t kOutsideUs = 600 * kSecond;

constexpr int64_t kSlowCallUs = 5 * kSecond;

double Seconds(int64_t us) { return static_cast<double>(us) / static_cast<double>(kSecond); }

// One metric name. Every sample carries the application.
class Family {
 public:
  Family(const WorkerStatus& status, std::string name, MetricType type, std::string help)
      : application_(status.application.name), family_{std::move(name), std::move(help), type, {}} {}

  void Add(Labels labels, double value) {
    ClientMetric& metric = AddMetric(std::move(labels));
    (family_.type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
  }
  void Add(Labels labels, int64_t value) { Add(std::move(labels), static_cast<double>(value)); }
  void Add(Labels labels, bool value) { Add(std::move(labels), value ? 1.0 : 0.0); }

  ClientMetric& AddMetric(Labels labels) {
    ClientMetric& metric = family_.metric.emplace_back();
    metric.label = {{"application", application_}};
    metric.label.insert(metric.label.end(), labels.begin(), labels.end());
    return metric;
  }

  MetricFamily Take() { return std::move(family_); }

 private:
  const std::string& application_;
  MetricFamily family_;
};

constexpr MetricType kCounter = MetricType::Counter;
constexpr MetricType kGauge = MetricType::Gauge;

std::string ThreadName(size_t thread) { return absl::StrCat(thread); }

// Records between a position and the end of its partition. The ends are a few seconds old, so a position may be past
// one.
void AddLag(const WorkerStatus& status, Labels labels, const TopicPartition& partition, Offset position,
            Family* family) {
  const auto end = status.ends.find(partition);
  if (position < 0 || end == status.ends.end()) return;
  labels.push_back({"topic", partition.topic});
  labels.push_back({"partition", absl::StrCat(partition.partition)});
  family->Add(std::move(labels), std::max<Offset>(0, end->second - position));
}

void RenderThreads(const WorkerStatus& status, std::vector<MetricFamily>* out) {
  Family running(status, "tidemark_thread_running", kGauge,
                 "1 while the thread processes; 0 without assignment or while it restores");
  Family step_age(status, "tidemark_thread_step_age_seconds", kGauge, "Time since the thread's loop last turned");
  Family commits(status, "tidemark_commits_total", kCounter, "Transactions committed");
  Family aborts(status, "tidemark_aborts_total", kCounter, "Transactions aborted; their input is processed again");
  Family commit_age(status, "tidemark_last_commit_age_seconds", kGauge, "Time since the thread's last commit");
  Family commit_time(status, "tidemark_commit_duration_seconds", MetricType::Histogram, "Time a commit took");
  Family restoring(status, "tidemark_restore_tasks", kGauge, "Tasks whose state is being opened or restored");
  Family remaining(status, "tidemark_restore_remaining_records", kGauge, "Changelog offsets still to be read for them");
  for (size_t i = 0; i < status.threads.size(); ++i) {
    const ThreadStatus& thread = status.threads[i];
    const Labels labels = {{"thread", ThreadName(i)}};
    running.Add(labels, thread.state == ThreadStatus::State::kRunning);
    if (thread.last_step_us > 0) step_age.Add(labels, Seconds(status.monotonic_us - thread.last_step_us));
    commits.Add(labels, thread.commits);
    aborts.Add(labels, thread.aborts);
    if (thread.last_commit_us > 0) commit_age.Add(labels, Seconds(status.monotonic_us - thread.last_commit_us));
    ClientMetric::Histogram& histogram = commit_time.AddMetric(labels).histogram;
    histogram.sample_sum = Seconds(thread.commit_time_sum_us);
    for (size_t b = 0; b < thread.commit_histogram.size(); ++b) {
      const bool last = b >= std::size(kCommitBucketsMs);
      const double bound = last ? std::numeric_limits<double>::infinity() : Seconds(kCommitBucketsMs[b] * kMillisecond);
      histogram.sample_count = static_cast<uint64_t>(thread.commit_histogram[b]);
      histogram.bucket.push_back({histogram.sample_count, bound});
    }
    restoring.Add(labels, static_cast<int64_t>(thread.opening.size()));
    remaining.Add(labels, std::max<Offset>(0, thread.restore_target - thread.restore_position));
  }
  for (Family* family : {&running, &step_age, &commits, &aborts, &commit_age, &commit_time, &restoring, &remaining}) {
    out->push_back(family->Take());
  }
}

void RenderTasks(const WorkerStatus& status, std::vector<MetricFamily>* out) {
  Family commit(status, "tidemark_task_commits_total", kCounter,
                "Number of the task's last commit, counted over all workers");
  Family lag(status, "tidemark_task_lag_records", kGauge,
             "Offsets between the task's position and the end of its input");
  Family watermark(status, "tidemark_task_watermark_seconds", kGauge,
                   "Watermark of the task, Unix time; none before the first");
  Family watermark_lag(status, "tidemark_task_watermark_lag_seconds", kGauge,
                       "Wall clock minus watermark; none while idle");
  Family idle(status, "tidemark_task_idle", kGauge, "1 while all inputs of the task are idle");
  Family waiting(
      status, "tidemark_task_waiting_seconds", kGauge,
      "How long a partition's next record has waited for what isn't here, as a schema; none that wait: none");
  Family state(status, "tidemark_task_state_bytes", kGauge, "Size of the task's state");
  Family memory(status, "tidemark_task_memory_bytes", kGauge, "Uncommitted state and what operators hold in memory");
  Family unnamed(status, "tidemark_source_unnamed_columns", kGauge,
                 "Columns of a changing table that the topology doesn't name, as far as the task has met them");
  for (const ThreadStatus& thread : status.threads) {
    for (const TaskStatus& task : thread.tasks) {
      const Labels labels = {{"stage", task.name}, {"task_partition", absl::StrCat(task.partition)}};
      commit.Add(labels, static_cast<double>(task.commit));
      for (const auto& [partition, position] : task.positions)
        AddLag(status, {{"stage", task.name}}, partition, position, &lag);
      const bool known = task.watermark > kMinTime && task.watermark < kMaxTime;
      if (known) watermark.Add(labels, Seconds(task.watermark.us));
      if (known && !task.idle)
        watermark_lag.Add(labels, std::max(0.0, Seconds(status.wall_us) - Seconds(task.watermark.us)));
      idle.Add(labels, task.idle);
      for (const TaskStatus::Wait& wait : task.waits) {
        waiting.Add({{"stage", task.name},
                     {"topic", wait.partition.topic},
                     {"partition", absl::StrCat(wait.partition.partition)}},
                    Seconds(status.monotonic_us - wait.since_us));
      }
      state.Add(labels, task.state_bytes);
      memory.Add(labels, task.memory_bytes);
      for (const auto& [source, columns] : task.unnamed_columns) {
        unnamed.Add({{"source", source}, {"task_partition", absl::StrCat(task.partition)}}, columns);
      }
    }
  }
  for (Family* family : {&commit, &lag, &watermark, &watermark_lag, &idle, &waiting, &state, &memory, &unnamed})
    out->push_back(family->Take());
}

// By task, not added up: when a task moves, its counters appear whole at another worker, which would make sums jump.
void RenderLedger(const WorkerStatus& status, std::vector<MetricFamily>* out) {
  Family in(status, "tidemark_step_in_rows_total", kCounter, "Rows that came into the step");
  Family emitted(status, "tidemark_step_out_rows_total", kCounter, "Rows that the step emitted");
  Family rows(status, "tidemark_step_rows_total", kCounter, "Rows that came into the step, by what became of them");
  Family pairs(status, "tidemark_step_window_pairs_total", kCounter, "(row, window) pairs, by what became of them");
  Family violated(status, "tidemark_rule_violations_total", kCounter,
                  "Rows that broke a rule of an expect step, whatever became of them");
  Family open(status, "tidemark_step_open_window_pairs", kGauge, "(row, window) pairs in windows that are still open");
  for (const ThreadStatus& thread : status.threads) {
    for (const TaskStatus& task : thread.tasks) {
      for (const auto& [step, ledger] : task.ledger) {
        const Labels labels = {{"stage", task.name}, {"task_partition", absl::StrCat(task.partition)}, {"step", step}};
        const auto add = [&](Family* family, const char* outcome, int64_t value) {
          Labels with_outcome = labels;
          with_outcome.push_back({"outcome", outcome});
          family->Add(std::move(with_outcome), value);
        };
        in.Add(labels, ledger.in);
        emitted.Add(labels, ledger.out);
        add(&rows, "passed", ledger.passed);
        add(&rows, "duplicate", ledger.duplicate);
        add(&rows, "late", ledger.late);
        add(&rows, "filtered", ledger.filtered);
        add(&rows, "unmatched", ledger.unmatched);
        add(&rows, "dead_lettered", ledger.dead_lettered);
        add(&rows, "absorbed", ledger.absorbed);
        for (const auto& [rule, count] : ledger.violated) {
          Labels with_rule = labels;
          with_rule.push_back({"rule", rule});
          violated.Add(std::move(with_rule), count);
        }
        const bool windows = ledger.pairs != 0 || ledger.late_after_idle != 0 || ledger.closed != 0 || ledger.open != 0;
        if (!windows) continue;
        add(&pairs, "all", ledger.pairs);
        add(&pairs, "late", ledger.late_pairs);
        add(&pairs, "late_after_idle", ledger.late_after_idle);
        add(&pairs, "closed", ledger.closed);
        open.Add(labels, ledger.open);
      }
    }
  }
  for (Family* family : {&in, &emitted, &rows, &violated, &pairs, &open}) out->push_back(family->Take());
}

void RenderSinks(const WorkerStatus& status, std::vector<MetricFamily>* out) {
  Family assigned(status, "tidemark_sink_assigned", kGauge,
                  "1 while this worker's sink thread has taken over its partitions");
  Family step_age(status, "tidemark_sink_step_age_seconds", kGauge, "Time since the sink thread's loop last turned");
  Family rows(status, "tidemark_sink_rows_total", kCounter, "Rows made durable by this process");
  Family refused(status, "tidemark_sink_refused_rows_total", kCounter, "Rows sent to the dead letters by this process");
  Family lag(status, "tidemark_sink_lag_records", kGauge,
             "Offsets between the sink's position and the end of its feed");
  Family error(status, "tidemark_sink_error", kGauge,
               "1 from a failed attempt until the next success; /readyz has the text");
  Family success_age(status, "tidemark_sink_last_success_age_seconds", kGauge, "Time since rows were last written");
  for (const SinkStatus& sink : status.sinks) {
    const Labels labels = {{"sink", sink.sink}};
    assigned.Add(labels, sink.assigned);
    if (sink.last_step_us > 0) step_age.Add(labels, Seconds(status.monotonic_us - sink.last_step_us));
    rows.Add(labels, sink.rows);
    refused.Add(labels, sink.refused);
    for (const auto& [partition, position] : sink.positions) AddLag(status, labels, partition, position, &lag);
    error.Add(labels, !sink.last_error.empty());
    if (sink.last_success_us > 0) success_age.Add(labels, Seconds(status.monotonic_us - sink.last_success_us));
  }
  for (Family* family : {&assigned, &step_age, &rows, &refused, &lag, &error, &success_age})
    out->push_back(family->Take());
}

void RenderIntakes(const WorkerStatus& status, std::vector<MetricFamily>* out) {
  Family assigned(status, "tidemark_intake_assigned", kGauge,
                  "1 once the group has told this worker which splits of the source from outside Kafka are its own");
  Family running(status, "tidemark_intake_running", kGauge, "1 while this worker brings the split's rows in");
  Family rows(status, "tidemark_intake_rows_total", kCounter, "Rows that came into the source's topic, ever");
  Family refused(status, "tidemark_intake_refused_total", kCounter, "Dead letters of the intake, ever");
  Family counts(status, "tidemark_intake_events_total", kCounter, "What else the source counts, ever");
  Family error(status, "tidemark_intake_error", kGauge,
               "1 from a failed attempt until the next success; /readyz has the text");
  for (const IntakeMemberStatus& intake : status.intakes) {
    for (const std::string& source : intake.sources) assigned.Add({{"source", source}}, intake.assigned);
    for (const IntakeStatus& split : intake.splits) {
      for (const IntakeStatus::Target& target : split.targets) {
        const Labels labels = {{"source", target.source}, {"split", absl::StrCat(split.split)}};
        running.Add(labels, split.state == IntakeStatus::State::kRunning);
        rows.Add(labels, target.rows);
        refused.Add(labels, target.refused);
        error.Add(labels, !split.last_error.empty());
        for (const auto& [name, count] : target.counts) {
          Labels with_name = labels;
          with_name.push_back({"event", name});
          counts.Add(std::move(with_name), count);
        }
      }
    }
  }
  for (Family* family : {&assigned, &running, &rows, &refused, &counts, &error}) out->push_back(family->Take());
}

void RenderGates(const WorkerStatus& status, std::vector<MetricFamily>* out) {
  Family answers(status, "tidemark_http_answers_total", kCounter,
                 "Answers to what was posted to the source here, by status, since the process began");
  Family rows(status, "tidemark_http_accepted_rows_total", kCounter, "Rows that were accepted here, likewise");
  Family waiting(status, "tidemark_http_waiting_bytes", kGauge,
                 "Bytes of bodies that the brokers haven't acknowledged");
  for (const HttpGateStatus& gate : status.gates) {
    for (const auto& [code, count] : gate.answers) {
      answers.Add({{"source", gate.source}, {"status", absl::StrCat(code)}}, count);
    }
    rows.Add({{"source", gate.source}}, gate.rows);
    waiting.Add({{"source", gate.source}}, gate.waiting_bytes);
  }
  for (Family* family : {&answers, &rows, &waiting}) out->push_back(family->Take());
}

void RenderViews(const WorkerStatus& status, std::vector<MetricFamily>* out) {
  Family ready(status, "tidemark_view_ready", kGauge, "1 while this worker answers questions about the view");
  Family rows(status, "tidemark_view_rows", kGauge, "Rows of the view in this worker");
  Family bytes(status, "tidemark_view_bytes", kGauge, "Memory that they and their indexes take");
  Family lag(status, "tidemark_view_lag_records", kGauge, "Committed records of the view's topic that aren't in yet");
  Family age(status, "tidemark_view_age_seconds", kGauge, "Since everything that had been committed was in");
  Family as_of(status, "tidemark_view_as_of_seconds", kGauge, "Event time that the view has reached, since 1970");
  Family bad(status, "tidemark_view_bad_records_total", kCounter, "Records of the view's topic that can't be read");
  Family answers(status, "tidemark_view_answers_total", kCounter,
                 "Answers about the view here, by status, since the process began");
  Family told(status, "tidemark_view_told_rows_total", kCounter, "Rows in these answers");
  Family followers(status, "tidemark_view_followers", kGauge, "Streams of the view's changes that are open here");
  Family unaudited(status, "tidemark_view_unaudited_total", kCounter,
                   "Requests here whose audit record wasn't acknowledged in time");
  for (const ViewStatus& view : status.views) {
    const Labels labels = {{"view", view.view}};
    ready.Add(labels, view.ready);
    rows.Add(labels, view.rows);
    bytes.Add(labels, view.bytes);
    lag.Add(labels, view.lag);
    if (view.age_us) age.Add(labels, Seconds(*view.age_us));
    if (view.as_of) as_of.Add(labels, Seconds(view.as_of->us));
    bad.Add(labels, view.bad_records);
  }
  for (const ViewGateStatus& gate : status.view_gates) {
    for (const auto& [code, count] : gate.answers) {
      answers.Add({{"view", gate.view}, {"status", absl::StrCat(code)}}, count);
    }
    told.Add({{"view", gate.view}}, gate.rows);
    followers.Add({{"view", gate.view}}, gate.followers);
    unaudited.Add({{"view", gate.view}}, gate.unaudited);
  }
  for (Family* family : {&followers, &unaudited, &ready, &rows, &bytes, &lag, &age, &as_of, &bad, &answers, &told}) {
    out->push_back(family->Take());
  }
}

void RenderLineage(const WorkerStatus& status, std::vector<MetricFamily>* out) {
  Family sent(status, "tidemark_lineage_events_total", kCounter,
              "Events of the application's run, by target and outcome (sent, dropped)");
  for (const LineageStatus& target : status.lineage) {
    sent.Add({{"target", target.target}, {"outcome", "sent"}}, target.sent);
    sent.Add({{"target", target.target}, {"outcome", "dropped"}}, target.dropped);
  }
  out->push_back(sent.Take());
}

void RenderFreshness(const WorkerStatus& status, std::vector<MetricFamily>* out) {
  Family age(status, "tidemark_freshness_seconds", kGauge,
             "How old what shows in the sink or view is, at least where tidemark_freshness_confirmed is 0");
  Family confirmed(status, "tidemark_freshness_confirmed", kGauge,
                   "1 once this worker has seen that what was read shows there");
  Family warn(status, "tidemark_freshness_warn_seconds", kGauge, "The `warn` of its `freshness`");
  Family max(status, "tidemark_freshness_max_seconds", kGauge, "The `max` of its `freshness`");
  Family breach(status, "tidemark_freshness_breach_in_seconds", kGauge,
                "Until `max` is reached, as the age has grown lately; absent while it doesn't grow");
  Family raised(status, "tidemark_alarm", kGauge, "1 while this worker sees the alarm of that kind raised");
  for (const FreshnessStatus& found : status.freshness) {
    const Labels labels = {{found.view ? "view" : "sink", found.sink}};
    age.Add(labels, Seconds(found.age_us));
    confirmed.Add(labels, found.confirmed);
    warn.Add(labels, Seconds(found.spec.warn_us));
    max.Add(labels, Seconds(found.spec.max_us));
    if (found.breach_in_us) breach.Add(labels, Seconds(*found.breach_in_us));
    for (const AlarmKind kind : kAlarmKinds) {
      Labels with_kind = labels;
      with_kind.push_back({"kind", std::string(AlarmName(kind))});
      raised.Add(std::move(with_kind), std::any_of(found.raised.begin(), found.raised.end(),
                                                   [&](const RaisedAlarm& alarm) { return alarm.kind == kind; }));
    }
  }
  for (Family* family : {&age, &confirmed, &warn, &max, &breach, &raised}) out->push_back(family->Take());
  Family tells(status, "tidemark_alarms_watching", kGauge, "1 in the worker that tells of the application's alarms");
  Family waiting(status, "tidemark_alarms_waiting", kGauge, "Alarms that the webhook hasn't taken");
  Family posted(status, "tidemark_alarms_posted_total", kCounter, "Alarms that it has, by what it answered");
  if (status.alarms) {
    tells.Add({}, status.alarms->watches);
    waiting.Add({}, status.alarms->webhook.waiting);
    posted.Add({{"outcome", "taken"}}, status.alarms->webhook.posted);
    posted.Add({{"outcome", "refused"}}, status.alarms->webhook.refused);
  }
  for (Family* family : {&tells, &waiting, &posted}) out->push_back(family->Take());
}

void RenderTables(const WorkerStatus& status, std::vector<MetricFamily>* out) {
  Family rows(status, "tidemark_table_rows", kGauge, "Rows of the table's current version");
  Family bad(status, "tidemark_table_bad_records_total", kCounter,
             "Records of the table's topic that could not be read");
  Family waiting(status, "tidemark_table_waiting", kGauge,
                 "1 while the table's next record waits for what isn't here, as a schema");
  for (const GlobalTables::Status& table : status.tables) {
    rows.Add({{"table", table.name}}, table.rows);
    bad.Add({{"table", table.name}}, table.bad_records);
    waiting.Add({{"table", table.name}}, !table.waits_for.empty());
  }
  for (Family* family : {&rows, &bad, &waiting}) out->push_back(family->Take());
}

void RenderOwnership(const WorkerStatus& status, std::vector<MetricFamily>* out) {
  Family unowned(status, "tidemark_unowned_inputs", kGauge,
                 "Partitions that the group should read and no member does, in all of the application");
  for (const auto& [group, unread] : status.ownership.unread) {
    unowned.Add({{"group", group}}, static_cast<int64_t>(unread.size()));
  }
  out->push_back(unowned.Take());
  Family topics(status, "tidemark_unread_topics", kGauge,
                "Topics that the pattern of a source matches and that this worker doesn't read");
  for (const auto& [source, count] : status.unread_topics) topics.Add({{"source", source}}, count);
  out->push_back(topics.Take());
}

void RenderCutLetters(const WorkerStatus& status, std::vector<MetricFamily>* out) {
  Family cut(
      status, "tidemark_dead_letters_cut_total", kCounter,
      "Dead letters of this process whose key or value was too large, so that the topic has the beginning of it");
  cut.Add({}, DeadLettersCut());
  out->push_back(cut.Take());
}

void RenderLosses(const WorkerStatus& status, std::vector<MetricFamily>* out) {
  Family lost(status, "tidemark_source_records_lost_total", kCounter,
              "Offsets that `on_data_loss: skip` went past: gone before they were read");
  Family skips(status, "tidemark_source_skips_total", kCounter,
               "How often a task went on elsewhere because of `on_data_loss: skip`");
  for (const auto& [source, loss] : status.losses) {
    lost.Add({{"source", source}}, loss.records);
    skips.Add({{"source", source}}, loss.skips);
  }
  for (Family* family : {&lost, &skips}) out->push_back(family->Take());
}

void Find(Health* health, bool ok, std::string finding) {
  health->ok = health->ok && ok;
  absl::StrAppend(&health->text, finding, "\n");
}

// A thread that hasn't begun its loop yet is not silent: it waits for Kafka.
void FindSilence(Health* health, const WorkerStatus& status, const std::string& name, int64_t last_step_us) {
  const int64_t silent_us = last_step_us > 0 ? status.monotonic_us - last_step_us : 0;
  if (silent_us <= kSilentUs) return;
  Find(health, false, absl::StrFormat("%s: silent for %.0f seconds", name, Seconds(silent_us)));
}

void FindIntakes(Health* health, const WorkerStatus& status) {
  for (const IntakeMemberStatus& intake : status.intakes) {
    const bool alone = intake.sources == std::vector<std::string>{intake.intake};
    std::string finding = absl::StrCat(alone ? "source " : "slot ", intake.intake,
                                       !intake.assigned        ? ": waits for its splits"
                                       : intake.splits.empty() ? ": another worker reads it"
                                                               : ": runs");
    if (!intake.trouble.empty()) absl::StrAppend(&finding, "; ", intake.trouble);
    for (const IntakeStatus& split : intake.splits) {
      if (split.last_error.empty()) continue;
      absl::StrAppendFormat(&finding, "; failing for %.0f seconds, last error: %s",
                            Seconds(status.monotonic_us - split.failing_since_us), split.last_error);
    }
    Find(health, intake.assigned, std::move(finding));
  }
}

// One that is too large for the memory stays so: that the worker isn't ready would help nobody.
void FindViews(Health* health, const WorkerStatus& status) {
  for (const ViewStatus& view : status.views) {
    if (view.ready) {
      Find(health, true, absl::StrCat("view ", view.view, ": ", view.rows, " rows"));
    } else {
      Find(health, view.too_large, absl::StrCat("view ", view.view, ": ", view.trouble));
    }
  }
}

// They are told here and make nobody unready: another worker would be as late.
void FindAlarms(Health* health, const WorkerStatus& status) {
  for (const FreshnessStatus& found : status.freshness) {
    for (const RaisedAlarm& alarm : found.raised) {
      Find(health, true,
           absl::StrFormat("%s %s: alarm %s for %.0f seconds, what shows is %.0f seconds old",
                           found.view ? "view" : "sink", found.sink, std::string(AlarmName(alarm.kind)),
                           Seconds(status.wall_us - alarm.since_us), Seconds(found.age_us)));
    }
  }
  if (status.alarms && !status.alarms->trouble.empty()) {
    Find(health, true, absl::StrCat("alarms can't be told: ", status.alarms->trouble));
  }
}

}  // namespace

std::string RenderMetrics(const WorkerStatus& status) {
  std::vector<MetricFamily> families;
  Family build(status, "tidemark_build_info", kGauge, "Always 1; the labels tell version and worker");
  build.Add({{"version", kTidemarkVersion}, {"worker", status.instance_id}}, true);
  families.push_back(build.Take());
  RenderThreads(status, &families);
  RenderTasks(status, &families);
  RenderLedger(status, &families);
  RenderSinks(status, &families);
  RenderIntakes(status, &families);
  RenderGates(status, &families);
  RenderViews(status, &families);
  RenderFreshness(status, &families);
  RenderLineage(status, &families);
  RenderTables(status, &families);
  RenderOwnership(status, &families);
  RenderCutLetters(status, &families);
  RenderLosses(status, &families);
  return static_cast<const prometheus::Serializer&>(prometheus::TextSerializer()).Serialize(families);
}

Health CheckHealth(const WorkerStatus& status) {
  Health health;
  for (size_t i = 0; i < status.threads.size(); ++i) {
    FindSilence(&health, status, "stream thread " + ThreadName(i), status.threads[i].last_step_us);
  }
  for (const SinkStatus& sink : status.sinks) {
    const bool waits = sink.outside_since_us > 0 && status.monotonic_us - sink.outside_since_us <= kOutsideUs;
    if (!waits) FindSilence(&health, status, "sink " + sink.sink, sink.last_step_us);
  }
  for (const IntakeMemberStatus& intake : status.intakes) {
    FindSilence(&health, status, "source " + intake.intake, intake.last_step_us);
  }
  if (health.ok) Find(&health, true, "ok");
  return health;
}

Health CheckReadiness(const WorkerStatus& status) {
  Health health;
  if (!status.starting.empty()) Find(&health, false, "the worker starts: " + status.starting);
  for (size_t i = 0; i < status.threads.size(); ++i) {
    const ThreadStatus& thread = status.threads[i];
    const std::string name = "stream thread " + ThreadName(i);
    if (!thread.trouble.empty()) Find(&health, false, name + ": " + thread.trouble);
    for (const TaskStatus& task : thread.tasks) {
      for (const TaskStatus::Wait& wait : task.waits) {
        Find(&health, false,
             absl::StrFormat("%s: %s has waited for %s for %.0f seconds", name, ToString(wait.partition), wait.what,
                             Seconds(status.monotonic_us - wait.since_us)));
      }
    }
    if (thread.state == ThreadStatus::State::kUnassigned) {
      Find(&health, false, name + ": waits for its assignment");
    } else if (thread.state == ThreadStatus::State::kOpening) {
      Find(&health, false,
           absl::StrCat(name, ": opens ", thread.opening.size(), " tasks, ",
                        std::max<Offset>(0, thread.restore_target - thread.restore_position),
                        " changelog records to restore"));
    } else if (thread.state == ThreadStatus::State::kFailed) {
      Find(&health, false, name + ": has failed, the worker ends");
    } else {
      Find(&health, true, absl::StrCat(name, ": runs ", thread.tasks.size(), " tasks"));
    }
  }
  for (const SinkStatus& sink : status.sinks) {
    std::string finding = absl::StrCat("sink ", sink.sink, sink.assigned ? ": runs" : ": waits for its partitions");
    if (!sink.last_error.empty()) {
      absl::StrAppendFormat(&finding, "; failing for %.0f seconds, last error: %s",
                            Seconds(status.monotonic_us - sink.failing_since_us), sink.last_error);
    }
    const int64_t inside_us = sink.outside_since_us > 0 ? status.monotonic_us - sink.outside_since_us : 0;
    if (inside_us > kSlowCallUs) {
      absl::StrAppendFormat(&finding, "; waits for an answer from outside for %.0f seconds", Seconds(inside_us));
    }
    Find(&health, sink.assigned, std::move(finding));
  }
  FindIntakes(&health, status);
  FindViews(&health, status);
  FindAlarms(&health, status);
  for (const GlobalTables::Status& table : status.tables) {
    if (!table.waits_for.empty()) {
      Find(&health, false, absl::StrCat("table ", table.name, ": waits for ", table.waits_for));
    }
  }
  if (!status.ownership.known) Find(&health, false, "inputs: whether all are read isn't known yet");
  for (const auto& [group, unread] : status.ownership.unread) {
    for (const UnreadInput& input : unread) {
      Find(&health, !input.curable, absl::StrCat("nobody reads ", ToString(input.input), ": ", input.why));
    }
  }
  return health;
}

}  // namespace tidemark
