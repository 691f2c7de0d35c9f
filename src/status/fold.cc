#include "src/status/fold.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include <absl/strings/str_cat.h>

#include "operators/ledger_counters.h"
#include "src/status/findings.h"
#include "src/status/verdict.h"
#include "src/status/words.h"

namespace tidemark {
namespace {

// A thread of a worker: its place among the reports, and its number.
using ThreadId = std::pair<size_t, int32_t>;

class Folder {
 public:
  Folder(const Plan& plan, const Graph& graph, const BoxTexts& texts, const std::vector<HeardReport>& reports)
      : plan_(plan), reports_(reports) {
    for (const GraphBox& box : graph.boxes) {
      live::Node* node = out_.add_nodes();
      node->set_name(box.name);
      node->set_kind(box.kind);
      node->set_stage(box.stage);
      if (const auto text = texts.find(box.name); text != texts.end()) {
        node->set_summary(text->second.summary);
        node->set_yaml(text->second.yaml);
      }
    }
    for (live::Node& node : *out_.mutable_nodes()) nodes_[node.name()] = &node;
    for (const GraphArrow& arrow : graph.arrows) {
      live::Arrow* to = out_.add_arrows();
      to->set_from(arrow.from);
      to->set_to(arrow.to);
      to->set_shuffled(arrow.shuffled);
    }
    ChooseTasks();
  }

  live::Application Take(double wall_ms) {
    out_.set_application(plan_.application.Key());
    out_.set_wall_ms(wall_ms);
    out_.set_dead_letter_topic(plan_.dead_letter_topic);
    AddWorkers();
    AddTasks();
    AddReaders();
    AddSinks();
    AddViews();
    AddFreshness();
    AddUnread();
    AddDeadLetters();
    for (live::Arrow& arrow : *out_.mutable_arrows()) {
      if (const live::Node* from = Find(arrow.from())) arrow.set_per_s(from->out_per_s());
    }
    *out_.mutable_verdict() = Judge(out_);
    for (live::Finding& finding : FindWhatHoldsRows(plan_, reports_, out_)) *out_.add_findings() = std::move(finding);
    return std::move(out_);
  }

 private:
  struct Claim {
    size_t worker;
    const live::TaskReport* task;
  };

  live::Node* Find(const std::string& name) {
    const auto node = nodes_.find(name);
    return node == nodes_.end() ? nullptr : node->second;
  }

  void ChooseTasks() {
    for (size_t w = 0; w < reports_.size(); ++w) {
      for (const live::TaskReport& task : reports_[w].report.tasks()) {
        auto [claim, first] = tasks_.try_emplace({task.stage(), task.partition()}, Claim{w, &task});
        if (!first && reports_[w].age_s < reports_[claim->second.worker].age_s) claim->second = {w, &task};
      }
    }
  }

  void AddWorkers() {
    for (const HeardReport& heard : reports_) {
      const live::WorkerReport& report = heard.report;
      live::WorkerLine* line = out_.add_workers();
      line->set_worker(report.worker());
      line->set_version(report.version());
      line->set_address(report.address());
      line->set_state(report.starting().empty() ? "running" : "starting: " + report.starting());
      line->set_age_s(heard.age_s);
      line->set_threads(report.threads_size());
      line->set_tasks(report.tasks_size());
      for (const live::ThreadReport& thread : report.threads()) {
        double waits = 0;
        for (const live::Share& share : thread.time()) {
          if (share.activity() == "waiting for records") waits = share.share();
        }
        line->set_busy(line->busy() + (1 - waits) / report.threads_size());
        line->set_commits_per_s(line->commits_per_s() + thread.commits_per_s());
        line->set_commit_ms(std::max(line->commit_ms(), thread.commit_ms()));
      }
    }
  }

  void AddTasks() {
    std::map<std::string, std::set<ThreadId>> threads;  // of each stage
    for (const auto& [id, claim] : tasks_) threads[id.first].insert({claim.worker, claim.task->thread()});
    for (const auto& [id, claim] : tasks_) {
      const live::TaskReport& task = *claim.task;
      live::Place* place = out_.add_places();
      place->set_stage(task.stage());
      place->set_partition(task.partition());
      place->set_worker(reports_[claim.worker].report.worker());
      place->set_watermark_ms(task.watermark_ms());
      place->set_idle(task.idle());
      place->set_state_bytes(task.state_bytes());
      for (const live::Input& input : task.inputs()) place->set_lag(place->lag() + input.lag());
      for (const live::NodeReport& report : task.nodes()) {
        live::Node* node = Find(report.step());
        if (node == nullptr) continue;
        AddNode(report, static_cast<double>(threads[id.first].size()), node);
        if (report.role() == "operator") AddTime(task.watermark_ms(), task.idle(), node);
      }
    }
    for (live::Node& node : *out_.mutable_nodes()) AddLedger(&node);
  }

  void AddNode(const live::NodeReport& report, double threads, live::Node* node) {
    node->set_busy(node->busy() + report.busy() / threads);
    // What a shuffle moves is counted on both of its sides, and by the step: once is enough. Of a step with two phases
    // the first takes the rows and the second gives the results.
    const std::string& role = report.role();
    const bool counts = role != "repartition" && role != "internal";
    if (counts) node->set_in_per_s(node->in_per_s() + report.in_per_s());
    if (counts && role != "partial") node->set_out_per_s(node->out_per_s() + report.out_per_s());
    std::map<std::string, double>& ledger = ledgers_[node->name()][report.name()];
    for (const auto& [counter, value] : report.counters()) {
      ledger[counter] += value;
      if (counts && (role != "partial" || counter != "out")) (*node->mutable_counters())[counter] += value;
    }
    ledger["in"] += 0;  // a line is there for all
  }

  // Idle ones hold up nobody's time, and none is told while there is none.
  static void AddTime(double watermark_ms, bool idle, live::Node* node) {
    if (watermark_ms == 0) return;
    const bool first = node->watermark_ms() == 0;
    if (first || (node->idle() && !idle) || (node->idle() == idle && watermark_ms < node->watermark_ms())) {
      node->set_watermark_ms(watermark_ms);
      node->set_idle(idle);
    }
  }

  void AddLedger(live::Node* node) {
    for (const auto& [name, counters] : ledgers_[node->name()]) {
      absl::StrAppend(node->mutable_ledger(), node->ledger().empty() ? "" : "\n", name);
      const auto tell = [node](const std::string& counter, double value) {
        if (value == 0 && counter != "in") return;
        absl::StrAppend(node->mutable_ledger(), "  ", counter, " ", Count(value));
      };
      for (const LedgerCounter& counter : kLedgerCounters) {
        const auto value = counters.find(std::string(counter.name));
        if (value != counters.end()) tell(value->first, value->second);
      }
      for (const auto& [counter, value] : counters) {
        if (counter.starts_with(kViolatedCounter)) tell(counter, value);
      }
    }
  }

  // Who reads a topic, as it is called: its source, or the step behind a shuffle.
  std::string ReaderOf(const std::string& topic) const {
    for (const SourcePlan& source : plan_.sources) {
      if (source.topic == topic) return source.name;
    }
    for (const Edge& edge : plan_.edges) {
      if (edge.topic == topic) return edge.step;
    }
    return "";
  }

  static void AddInput(const live::Input& input, live::Reader* reader, live::Node* node) {
    reader->set_lag(reader->lag() + input.lag());
    reader->set_arriving(reader->arriving() + input.arriving());
    reader->set_reading(reader->reading() + input.reading());
    if (node == nullptr) return;
    node->set_reads(true);
    node->set_lag(node->lag() + input.lag());
  }

  static void Finish(live::Reader* reader) {
    if (reader->lag() < 1) return;
    if (reader->arriving() > 0.05) reader->set_behind_s(reader->lag() / reader->arriving());
    const double gains = reader->reading() - reader->arriving();
    if (gains > 0.01 * std::max(1.0, reader->reading())) reader->set_to_go_s(reader->lag() / gains);
  }

  void AddReaders() {
    std::map<std::string, live::Reader> readers;
    std::map<std::string, std::set<ThreadId>> all, late;  // threads that read it, and that are behind
    for (const auto& [id, claim] : tasks_) {
      for (const live::Input& input : claim.task->inputs()) {
        const std::string name = ReaderOf(input.topic());
        if (name.empty()) continue;
        live::Node* node = Find(name);
        AddInput(input, &readers[name], node);
        if (node != nullptr && node->kind() == "source") AddTime(input.watermark_ms(), input.idle(), node);
        if (node != nullptr && input.waiting_s() > node->waiting_s()) {
          node->set_waiting_s(input.waiting_s());
          node->set_waits_for(input.waits_for());
        }
        const ThreadId thread{claim.worker, claim.task->thread()};
        all[name].insert(thread);
        if (input.lag() > 0) late[name].insert(thread);
      }
    }
    for (auto& [name, reader] : readers) {
      reader.set_name(name);
      Finish(&reader);
      AddThreadTime(late[name].empty() ? all[name] : late[name], &reader);
      *out_.add_readers() = std::move(reader);
    }
  }

  // What these threads do, on average: by node of whatever tasks they have, and what they wait for.
  void AddThreadTime(const std::set<ThreadId>& threads, live::Reader* reader) {
    std::map<std::string, double> time;
    for (const auto& [worker, number] : threads) {
      const live::WorkerReport& report = reports_[worker].report;
      if (number >= report.threads_size()) continue;
      const auto& shares = report.threads(number).time();
      for (const live::Share& share : shares) {
        if (share.activity() != "working") time[share.activity()] += share.share();
      }
      for (const live::TaskReport& task : report.tasks()) {
        if (task.thread() != number) continue;
        for (const live::NodeReport& node : task.nodes()) time[node.step()] += node.busy();
      }
    }
    for (const auto& [activity, share] : time) {
      live::Share* to = reader->add_time();
      to->set_activity(activity);
      to->set_share(share / static_cast<double>(threads.size()));
    }
  }

  void AddSinks() {
    for (const SinkPlan& sink : plan_.sinks) {
      live::Reader reader;
      std::vector<const live::SinkReport*> all, late;
      for (const HeardReport& heard : reports_) {
        for (const live::SinkReport& report : heard.report.sinks()) {
          if (report.sink() == sink.name) AddSink(report, &reader, &all, &late);
        }
      }
      if (all.empty()) continue;
      if (late.empty()) late = all;
      reader.set_name(sink.name);
      reader.set_sink(true);
      Finish(&reader);
      AddSinkTime(late, &reader);
      live::Node* node = Find(sink.name);
      if (node != nullptr) {
        *node->mutable_time() = reader.time();
        for (const live::Share& share : reader.time()) {
          if (share.activity() != "waiting for rows") node->set_busy(node->busy() + share.share());
        }
        node->set_busy(std::min(1.0, node->busy()));
      }
      *out_.add_readers() = std::move(reader);
    }
  }

  void AddSink(const live::SinkReport& report, live::Reader* reader, std::vector<const live::SinkReport*>* all,
               std::vector<const live::SinkReport*>* late) {
    live::Node* node = Find(report.sink());
    if (node != nullptr) {
      node->set_out_per_s(node->out_per_s() + report.rows_per_s());
      if (!report.error().empty()) {
        node->set_error(report.error());
        node->set_failing_s(std::max(node->failing_s(), report.failing_s()));
      }
    }
    double lag = 0;
    for (const live::Input& input : report.inputs()) {
      AddInput(input, reader, node);
      lag += input.lag();
    }
    if (!report.inputs().empty()) all->push_back(&report);
    if (lag > 0) late->push_back(&report);
  }

  static void AddSinkTime(const std::vector<const live::SinkReport*>& reports, live::Reader* reader) {
    std::map<std::string, double> time;
    for (const live::SinkReport* report : reports) {
      for (const live::Share& share : report->time()) time[share.activity()] += share.share();
    }
    for (const auto& [activity, share] : time) {
      live::Share* to = reader->add_time();
      to->set_activity(activity);
      to->set_share(share / static_cast<double>(reports.size()));
    }
  }

  // Of each view the best that a worker has: any of them answers.
  void AddViews() {
    std::map<std::string, live::ViewReport> views;
    for (const HeardReport& heard : reports_) {
      for (const live::ViewReport& view : heard.report.views()) {
        const auto [best, first] = views.try_emplace(view.view(), view);
        if (!first && view.ready() && !best->second.ready()) best->second = view;
      }
    }
    for (auto& [name, view] : views) *out_.add_views() = std::move(view);
  }

  // Every worker looks at the whole application, and shows views of its own: what is oldest anywhere is told. A worker
  // that has confirmed nothing since it began knows less than the others.
  void AddFreshness() {
    std::map<std::string, live::FreshnessReport> oldest;
    for (const HeardReport& heard : reports_) {
      for (const live::FreshnessReport& report : heard.report.freshness()) {
        const auto [best, first] = oldest.try_emplace(report.name(), report);
        const auto rank = [](const live::FreshnessReport& r) { return std::pair(r.confirmed(), r.age_s()); };
        if (!first && rank(report) > rank(best->second)) best->second = report;
      }
    }
    for (auto& [name, report] : oldest) {
      if (!report.alarms().empty()) *out_.add_alarms() = AlarmOf(report);
      *out_.add_freshness() = std::move(report);
    }
  }

  // The gravest that is raised, in words: kinds ascend.
  static live::Alarm AlarmOf(const live::FreshnessReport& report) {
    live::Alarm alarm = report.alarms(report.alarms_size() - 1);
    alarm.set_text(absl::StrCat("what shows there is ", report.confirmed() ? "" : "at least ", Seconds(report.age_s()),
                                " old; ", Seconds(report.max_s()), " is the most it may be"));
    if (alarm.kind() == "breach") return alarm;
    if (report.grows())
      absl::StrAppend(alarm.mutable_text(), ", in ", Seconds(report.breach_in_s()), " if it goes on so");
    return alarm;
  }

  // Every worker looks for itself; what one of them still misses while the others don't is a moment of a rebalance.
  void AddUnread() {
    std::map<std::pair<std::string, int32_t>, std::pair<size_t, std::string>> unread;
    size_t look = 0;
    for (const HeardReport& heard : reports_) {
      if (!heard.report.ownership_known()) continue;
      ++look;
      for (const live::UnreadInput& input : heard.report.unread()) {
        auto& [workers, why] = unread[{input.topic(), input.partition()}];
        ++workers;
        why = input.why();
      }
    }
    for (const auto& [input, found] : unread) {
      if (found.first < look) continue;
      live::UnreadInput* to = out_.add_unread();
      to->set_topic(input.first);
      to->set_partition(input.second);
      to->set_why(found.second);
    }
  }

  void AddDeadLetters() {
    std::map<std::string, double> letters;
    for (const live::Node& node : out_.nodes()) {
      const auto count = node.counters().find("dead_lettered");
      if (count != node.counters().end()) letters[node.name()] += count->second;
    }
    for (const HeardReport& heard : reports_) {
      for (const live::SinkReport& sink : heard.report.sinks()) letters[sink.sink()] += sink.refused();
      for (const live::IntakeReport& intake : heard.report.intakes()) letters[intake.source()] += intake.refused();
    }
    for (const auto& [step, rows] : letters) {
      if (rows == 0) continue;
      live::DeadLetters* to = out_.add_dead_letters();
      to->set_step(step);
      to->set_rows(rows);
    }
  }

  const Plan& plan_;
  const std::vector<HeardReport>& reports_;
  live::Application out_;
  std::map<std::string, live::Node*> nodes_;
  std::map<std::pair<std::string, int32_t>, Claim> tasks_;                               // by stage and partition
  std::map<std::string, std::map<std::string, std::map<std::string, double>>> ledgers_;  // box, ledger's name, counter
};

}  // namespace

live::Application Fold(const Plan& plan, const Graph& graph, const BoxTexts& texts,
                       const std::vector<HeardReport>& reports, double wall_ms) {
  return Folder(plan, graph, texts, reports).Take(wall_ms);
}

}  // namespace tidemark
