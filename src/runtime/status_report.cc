#include "src/runtime/status_report.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

#include <absl/strings/str_cat.h>
#include <arrow/util/utf8.h>

#include "src/plan/operator_kind.h"
#include "src/runtime/step_identity.h"
#include "src/runtime/version.h"

namespace tidemark {
namespace {

constexpr size_t kSamples = 3;

double S(int64_t us) { return static_cast<double>(us) / static_cast<double>(kSecond); }

double Millis(EventTime time) {
  const bool known = time > kMinTime && time < kMaxTime;
  return known ? static_cast<double>(time.us / kMillisecond) : 0;
}

const char* RoleOf(const Node& node) {
  switch (node.kind) {
    case Node::Kind::kSource:
      return "source";
    case Node::Kind::kInternal:
      return "internal";
    case Node::Kind::kRepartition:
      return "repartition";
    case Node::Kind::kFeed:
      return "feed";
    case Node::Kind::kKafkaSink:
      return "sink";
    case Node::Kind::kOperator:
      break;
  }
  return node.spec.kind().phase(node) == OperatorPhase::kPartial ? "partial" : "operator";
}

const char* StateOf(ThreadStatus::State state) {
  switch (state) {
    case ThreadStatus::State::kUnassigned:
      return "unassigned";
    case ThreadStatus::State::kOpening:
      return "opening";
    case ThreadStatus::State::kRunning:
      return "running";
    case ThreadStatus::State::kFailed:
      break;
  }
  return "failed";
}

// The report of one moment, compared with an earlier one.
class Report {
 public:
  Report(const Plan& plan, const WorkerStatus& now, const WorkerStatus& before)
      : now_(now), before_(before), seconds_(S(now.monotonic_us - before.monotonic_us)) {
    for (const Stage& stage : plan.stages) {
      for (const Node& node : stage.nodes) nodes_[LedgerName(node)] = &node;
    }
    for (const ThreadStatus& thread : before.threads) {
      for (const TaskStatus& task : thread.tasks) tasks_before_[{task.name, task.partition}] = &task;
      for (const TaskStatus& task : thread.tasks) Remember(task.positions);
    }
    for (const SinkStatus& sink : before.sinks) Remember(sink.positions);
  }

  void Fill(live::WorkerReport* to) {
    to->set_starting(AsUtf8(now_.starting));
    for (size_t i = 0; i < now_.threads.size(); ++i) {
      AddThread(i, to->add_threads());
      const int first = to->tasks_size();
      for (const TaskStatus& task : now_.threads[i].tasks) AddTask(task, static_cast<int32_t>(i), to->add_tasks());
      FitIntoThread(to->threads(static_cast<int>(i)), first, to);
    }
    for (const SinkStatus& sink : now_.sinks) AddSink(sink, to->add_sinks());
    for (const IntakeMemberStatus& intake : now_.intakes) {
      for (const IntakeStatus& split : intake.splits) AddIntake(split, to);
    }
    for (const ViewStatus& view : now_.views) AddView(view, to->add_views());
    for (const FreshnessStatus& freshness : now_.freshness) AddFreshness(freshness, to->add_freshness());
    to->set_ownership_known(now_.ownership.known);
    for (const auto& [group, unread] : now_.ownership.unread) {
      for (const UnreadInput& input : unread) AddUnread(input, to->add_unread());
    }
  }

 private:
  template <typename Positions>
  void Remember(const Positions& positions) {
    for (const auto& [partition, position] : positions) positions_before_[partition] = position;
  }

  // A second's part of what came between the two moments; what began anew meanwhile counts from its beginning.
  double PerSecond(double now, double before) const {
    return seconds_ <= 0 ? 0 : std::max(0.0, now >= before ? now - before : now) / seconds_;
  }

  void AddShares(const std::vector<TimeSpent::Share>& now, const std::vector<TimeSpent::Share>* before,
                 google::protobuf::RepeatedPtrField<live::Share>* to) const {
    for (size_t i = 0; i < now.size(); ++i) {
      live::Share* share = to->Add();
      share->set_activity(now[i].activity);
      const double was = before != nullptr && i < before->size() ? S((*before)[i].us) : S(now[i].us);
      share->set_share(std::min(1.0, PerSecond(S(now[i].us), was)));
    }
  }

  void AddThread(size_t i, live::ThreadReport* to) const {
    const ThreadStatus& thread = now_.threads[i];
    const ThreadStatus* was = i < before_.threads.size() ? &before_.threads[i] : nullptr;
    to->set_state(StateOf(thread.state));
    to->set_trouble(AsUtf8(thread.trouble));
    AddShares(thread.spent, was == nullptr ? nullptr : &was->spent, to->mutable_time());
    to->set_commits(static_cast<double>(thread.commits));
    to->set_aborts(static_cast<double>(thread.aborts));
    if (was != nullptr) {
      to->set_commits_per_s(PerSecond(static_cast<double>(thread.commits), static_cast<double>(was->commits)));
    }
    to->set_commit_ms(S(thread.commit_time_us) * 1000);
    if (thread.last_commit_us > 0) to->set_commit_age_s(S(now_.monotonic_us - thread.last_commit_us));
    to->set_restoring(static_cast<double>(std::max<Offset>(0, thread.restore_target - thread.restore_position)));
    if (thread.last_step_us > 0) to->set_silent_s(S(now_.monotonic_us - thread.last_step_us));
  }

  // Tasks tell their time with their commits, so what is told may be of longer than the time between the two moments.
  // The thread knows how much of that time it has worked.
  static void FitIntoThread(const live::ThreadReport& thread, int first_task, live::WorkerReport* to) {
    double worked = 0, told = 0;
    for (const live::Share& share : thread.time()) {
      if (share.activity() == kThreadActivities[0]) worked = share.share();
    }
    for (int t = first_task; t < to->tasks_size(); ++t) {
      for (const live::NodeReport& node : to->tasks(t).nodes()) told += node.busy();
    }
    if (told <= worked) return;
    for (int t = first_task; t < to->tasks_size(); ++t) {
      for (live::NodeReport& node : *to->mutable_tasks(t)->mutable_nodes()) node.set_busy(node.busy() * worked / told);
    }
  }

  void AddInput(const TopicPartition& partition, Offset position, live::Input* to) const {
    to->set_topic(partition.topic);
    to->set_partition(partition.partition);
    to->set_position(static_cast<double>(position));
    const auto end = now_.ends.find(partition);
    if (end != now_.ends.end() && position >= 0) {
      to->set_end_known(true);
      to->set_lag(static_cast<double>(std::max<Offset>(0, end->second - position)));
      if (const auto was = before_.ends.find(partition); was != before_.ends.end()) {
        to->set_arriving(PerSecond(static_cast<double>(end->second), static_cast<double>(was->second)));
      }
    }
    if (const auto was = positions_before_.find(partition); was != positions_before_.end() && was->second >= 0) {
      to->set_reading(PerSecond(static_cast<double>(position), static_cast<double>(was->second)));
    }
  }

  void AddTask(const TaskStatus& task, int32_t thread, live::TaskReport* to) const {
    const auto found = tasks_before_.find({task.name, task.partition});
    const TaskStatus* was = found == tasks_before_.end() ? nullptr : found->second;
    to->set_stage(task.name);
    to->set_partition(task.partition);
    to->set_thread(thread);
    to->set_watermark_ms(Millis(task.watermark));
    to->set_idle(task.idle);
    to->set_state_bytes(static_cast<double>(task.state_bytes));
    to->set_memory_bytes(static_cast<double>(task.memory_bytes));
    for (size_t i = 0; i < task.positions.size(); ++i) {
      live::Input* input = to->add_inputs();
      AddInput(task.positions[i].first, task.positions[i].second, input);
      if (i < task.marks.size()) {
        input->set_watermark_ms(Millis(task.marks[i].watermark));
        input->set_idle(task.marks[i].idle);
      }
      for (const TaskStatus::Wait& wait : task.waits) {
        if (wait.partition != task.positions[i].first) continue;
        input->set_waits_for(AsUtf8(wait.what));
        input->set_waiting_s(S(now_.monotonic_us - wait.since_us));
      }
    }
    for (size_t n = 0; n < task.ledger.size(); ++n) AddNode(task, was, n, to->add_nodes());
  }

  void AddNode(const TaskStatus& task, const TaskStatus* was, size_t n, live::NodeReport* to) const {
    const auto& [name, ledger] = task.ledger[n];
    to->set_name(name);
    if (const auto node = nodes_.find(name); node != nodes_.end()) {
      to->set_step(node->second->step);
      to->set_role(RoleOf(*node->second));
    }
    ForEachCounter(ledger, [to](std::string_view counter, int64_t value) {
      if (value != 0) (*to->mutable_counters())[std::string(counter)] = static_cast<double>(value);
    });
    if (was == nullptr || n >= was->ledger.size() || was->ledger[n].first != name) return;
    to->set_in_per_s(PerSecond(static_cast<double>(ledger.in), static_cast<double>(was->ledger[n].second.in)));
    to->set_out_per_s(PerSecond(static_cast<double>(ledger.out), static_cast<double>(was->ledger[n].second.out)));
    if (n < task.spent_us.size() && n < was->spent_us.size()) {
      to->set_busy(std::min(1.0, PerSecond(S(task.spent_us[n]), S(was->spent_us[n]))));
    }
  }

  void AddSink(const SinkStatus& sink, live::SinkReport* to) const {
    const auto was = std::find_if(before_.sinks.begin(), before_.sinks.end(),
                                  [&](const SinkStatus& other) { return other.sink == sink.sink; });
    to->set_sink(sink.sink);
    to->set_assigned(sink.assigned);
    to->set_rows(static_cast<double>(sink.rows));
    to->set_refused(static_cast<double>(sink.refused));
    to->set_error(AsUtf8(sink.last_error));
    if (sink.failing_since_us > 0) to->set_failing_s(S(now_.monotonic_us - sink.failing_since_us));
    to->set_wrote(sink.last_success_us > 0);
    if (sink.last_success_us > 0) to->set_success_age_s(S(now_.monotonic_us - sink.last_success_us));
    for (const auto& [partition, position] : sink.positions) AddInput(partition, position, to->add_inputs());
    if (was == before_.sinks.end()) return;
    to->set_rows_per_s(PerSecond(static_cast<double>(sink.rows), static_cast<double>(was->rows)));
    AddShares(sink.spent, &was->spent, to->mutable_time());
  }

  static void AddIntake(const IntakeStatus& split, live::WorkerReport* to) {
    for (const IntakeStatus::Target& target : split.targets) {
      live::IntakeReport* intake = to->add_intakes();
      intake->set_source(target.source);
      intake->set_rows(static_cast<double>(target.rows));
      intake->set_refused(static_cast<double>(target.refused));
      intake->set_error(AsUtf8(split.last_error));
    }
  }

  static void AddView(const ViewStatus& view, live::ViewReport* to) {
    to->set_view(view.view);
    to->set_ready(view.ready);
    to->set_rows(static_cast<double>(view.rows));
    to->set_lag(static_cast<double>(view.lag));
    if (view.as_of) to->set_as_of_ms(Millis(*view.as_of));
    to->set_trouble(AsUtf8(view.trouble));
  }

  static void AddFreshness(const FreshnessStatus& freshness, live::FreshnessReport* to) {
    to->set_name(freshness.sink);
    to->set_view(freshness.view);
    to->set_age_s(S(freshness.age_us));
    to->set_confirmed(freshness.confirmed);
    to->set_warn_s(S(freshness.spec.warn_us));
    to->set_max_s(S(freshness.spec.max_us));
    to->set_grows(freshness.breach_in_us.has_value());
    to->set_breach_in_s(S(freshness.breach_in_us.value_or(0)));
    for (const RaisedAlarm& raised : freshness.raised) {
      live::Alarm* alarm = to->add_alarms();
      alarm->set_name(freshness.sink);
      alarm->set_kind(std::string(AlarmName(raised.kind)));
      alarm->set_since_ms(static_cast<double>(raised.since_us / kMillisecond));
    }
  }

  static void AddUnread(const UnreadInput& input, live::UnreadInput* to) {
    to->set_topic(input.input.topic);
    to->set_partition(input.input.partition);
    to->set_why(AsUtf8(input.why));
  }

  const WorkerStatus& now_;
  const WorkerStatus& before_;
  const double seconds_;
  std::map<std::string, const Node*> nodes_;  // by their names in the ledger
  std::map<std::pair<std::string, int32_t>, const TaskStatus*> tasks_before_;
  std::map<TopicPartition, Offset> positions_before_;
};

}  // namespace

live::WorkerReport StatusReporter::Make(WorkerStatus now) {
  samples_.push_back(std::move(now));
  if (samples_.size() > kSamples + 1) samples_.pop_front();
  const WorkerStatus& last = samples_.back();
  live::WorkerReport report;
  report.set_worker(AsUtf8(last.instance_id));
  report.set_process(process_);
  report.set_wall_ms(static_cast<double>(last.wall_us / kMillisecond));
  report.set_version(kTidemarkVersion);
  report.set_address(address_);
  Report(plan_, last, samples_.front()).Fill(&report);
  return report;
}

std::string AsUtf8(std::string text) {
  arrow::util::InitializeUTF8();
  if (arrow::util::ValidateUTF8(text)) return text;
  std::replace_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0x80) != 0; }, '?');
  return text;
}

}  // namespace tidemark
