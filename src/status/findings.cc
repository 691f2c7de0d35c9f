#include "src/status/findings.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "operators/alert/spec.h"
#include "operators/batch/spec.h"
#include "operators/dedup/spec.h"
#include "operators/join/streams_spec.h"
#include "operators/join/versioned_spec.h"
#include "operators/over/spec.h"
#include "src/status/words.h"

namespace tidemark {
namespace {

constexpr double kOldCommitS = 5;
constexpr double kSilentS = 30;

// How rows that a step keeps show in its ledger, by its operator (docs/operators.md).
enum class Keeps {
  kPassed,     // `passed` counts a row when it comes, `out` when it goes
  kUndecided,  // no counter has a row before it is decided
  kReadings,   // `absorbed` counts rows of which results are made, perhaps never
};
struct Kept {
  Keeps how;
  const char* why;
};

std::optional<Kept> KeptBy(const OperatorSpec& spec) {
  if (spec.Is<OverSpec>()) return Kept{Keeps::kPassed, "wait for the time of the step to pass theirs, and grace"};
  if (spec.Is<DedupSpec>()) return Kept{Keeps::kPassed, "may be followed by a later one of their key, and wait"};
  if (spec.Is<BatchSpec>()) return Kept{Keeps::kUndecided, "a batch waits until it is whole, or late"};
  if (spec.Is<VersionedJoinSpec>()) {
    return Kept{Keeps::kUndecided, "a row waits until all versions as of its time have come"};
  }
  if (spec.Is<StreamJoinSpec>()) return Kept{Keeps::kReadings, "has found a partner"};
  if (spec.Is<AlertSpec>()) return Kept{Keeps::kReadings, "has raised an alert"};
  return std::nullopt;
}

class Finder {
 public:
  Finder(const Plan& plan, const std::vector<HeardReport>& reports, const live::Application& application)
      : plan_(plan), reports_(reports), application_(application) {}

  std::vector<live::Finding> Find() {
    if (application_.workers().empty()) {
      Add("", "no worker runs: nothing is read, and nothing comes out");
      return std::move(findings_);
    }
    for (const live::UnreadInput& input : application_.unread()) {
      Add("", absl::StrCat("nobody reads ", input.topic(), "-", input.partition(), ": ", input.why()));
    }
    FindThreads();
    for (const live::Node& node : application_.nodes()) {
      if (node.kind() == "source") FindSource(node);
      FindRows(node);
      if (node.kind() == "step") FindWindow(node);
      if (node.kind() == "step") FindKept(node);
      if (node.kind() == "sink" || node.kind() == "view") FindSink(node);
    }
    return std::move(findings_);
  }

 private:
  void Add(const std::string& node, std::string text) {
    live::Finding finding;
    finding.set_node(node);
    finding.set_text(std::move(text));
    findings_.push_back(std::move(finding));
  }

  static double Counter(const live::Node& node, const std::string& name) {
    const auto counter = node.counters().find(name);
    return counter == node.counters().end() ? 0 : counter->second;
  }

  void FindThreads() {
    for (const HeardReport& heard : reports_) {
      const std::string worker = "worker " + heard.report.worker();
      if (!heard.report.starting().empty()) Add("", absl::StrCat(worker, " starts: ", heard.report.starting()));
      for (int i = 0; i < heard.report.threads_size(); ++i) {
        const live::ThreadReport& thread = heard.report.threads(i);
        const std::string name = absl::StrCat(worker, ", stream thread ", i);
        if (thread.state() == "opening") {
          Add("",
              absl::StrCat(name, " opens its tasks; ", Many(thread.restoring(), "changelog record"), " to restore"));
        }
        if (thread.state() == "unassigned") Add("", absl::StrCat(name, " waits for its assignment"));
        if (!thread.trouble().empty()) Add("", absl::StrCat(name, ": ", thread.trouble()));
        if (thread.silent_s() > kSilentS) {
          Add("", absl::StrCat(name, " has been busy with one batch or commit for ", Seconds(thread.silent_s())));
        }
        // Rows are read and time goes by, and nothing of it is committed.
        if (thread.state() == "running" && thread.commit_age_s() > kOldCommitS && Reads(heard.report, i)) {
          Add("", absl::StrCat(name, " has read rows and not committed for ", Seconds(thread.commit_age_s()),
                               ": readers see nothing of them before (", Many(thread.aborts(), "transaction"),
                               " aborted)"));
        }
      }
    }
  }

  static bool Reads(const live::WorkerReport& report, int thread) {
    for (const live::TaskReport& task : report.tasks()) {
      for (const live::Input& input : task.inputs()) {
        if (task.thread() == thread && input.reading() > 0) return true;
      }
    }
    return false;
  }

  void FindSource(const live::Node& node) {
    if (Counter(node, "in") == 0) {
      Add(node.name(), node.lag() > 0 ? absl::StrCat("none of its ", Many(node.lag(), "record"), " is read yet")
                                      : "no record has come; its topic is empty from where it was begun");
    } else if (node.watermark_ms() == 0) {
      Add(node.name(), "its time hasn't begun: no record with an event time was read");
    } else if (node.idle()) {
      Add(node.name(), absl::StrCat("all partitions are idle; its time stands at ", UtcTime(node.watermark_ms()),
                                    " until records come, so windows behind it that end later stay open"));
    }
    if (node.waiting_s() > 1) {
      Add(node.name(), absl::StrCat("has waited for ", node.waits_for(), " for ", Seconds(node.waiting_s())));
    }
  }

  // What a step lets through is told where it is little of what came.
  void FindRows(const live::Node& node) {
    const double in = Counter(node, "in");
    const std::pair<const char*, const char*> kinds[] = {
        {"late", "came too late, behind the watermark"},
        {"filtered", "don't fulfil the condition"},
        {"unmatched", "found no match"},
        {"duplicate", "repeat an earlier one"},
    };
    for (const auto& [counter, what] : kinds) {
      const double rows = Counter(node, counter);
      if (rows > 0 && rows >= in / 2) {
        Add(node.name(), absl::StrCat(Count(rows), " of ", Many(in, "row"), " (", Percent(rows / in), ") ", what));
      }
    }
    if (const double dead = Counter(node, "dead_lettered"); dead > 0) {
      Add(node.name(),
          absl::StrCat(Many(dead, "row"), " became dead letters: `tidemark dead-letters list` has the reasons"));
    }
  }

  // Nothing that it has waits: what changes is told with each commit.
  bool EmitsOnUpdate(const std::string& step) const {
    for (const Stage& stage : plan_.stages) {
      for (const Node& node : stage.nodes) {
        if (node.kind == Node::Kind::kOperator && node.step == step && node.mode.update) return true;
      }
    }
    return false;
  }

  // Windows that are open wait for the time of the slowest partition above them.
  void FindWindow(const live::Node& node) {
    const double open = Counter(node, "open");
    if (open <= 0 || EmitsOnUpdate(node.name())) return;
    std::string text = absl::StrCat(Many(open, "row"), " in open windows; ");
    if (node.watermark_ms() == 0) {
      Add(node.name(), text + "its time hasn't begun");
      return;
    }
    absl::StrAppend(&text, "its time is ", UtcTime(node.watermark_ms()));
    const std::set<std::string> sources = SourcesAbove(node.stage());
    const live::Input* slowest = nullptr;
    double furthest = 0;
    for (const HeardReport& heard : reports_) {
      for (const live::TaskReport& task : heard.report.tasks()) {
        for (const live::Input& input : task.inputs()) {
          if (!sources.contains(input.topic())) continue;
          furthest = std::max(furthest, input.watermark_ms());
          if (input.idle()) continue;
          if (slowest == nullptr || input.watermark_ms() < slowest->watermark_ms()) slowest = &input;
        }
      }
    }
    if (slowest == nullptr) {
      absl::StrAppend(&text, ", and everything above it is idle: windows that end later close when records come");
    } else if (slowest->watermark_ms() == 0) {
      absl::StrAppend(&text, "; it waits for ", slowest->topic(), "-", slowest->partition(),
                      ", of which no time is known yet");
    } else {
      absl::StrAppend(&text, "; windows close with the slowest partition, ", slowest->topic(), "-",
                      slowest->partition(), " at ", UtcTime(slowest->watermark_ms()));
      if (furthest - slowest->watermark_ms() >= 1000) {
        absl::StrAppend(&text, " (others have come to ", UtcTime(furthest), ")");
      }
    }
    Add(node.name(), std::move(text));
  }

  std::optional<Kept> KeptByStep(const std::string& step) const {
    for (const Stage& stage : plan_.stages) {
      for (const Node& node : stage.nodes) {
        if (node.kind != Node::Kind::kOperator || node.step != step) continue;
        if (const std::optional<Kept> kept = KeptBy(node.spec)) return kept;
      }
    }
    return std::nullopt;
  }

  // What the steps and sources above have given it, since it was counted.
  double Given(const live::Node& node) const {
    double given = 0;
    for (const live::Arrow& arrow : application_.arrows()) {
      if (arrow.to() != node.name()) continue;
      for (const live::Node& from : application_.nodes()) {
        if (from.name() != arrow.from()) continue;
        given += from.kind() == "source" ? Counter(from, "passed") : Counter(from, "out");
      }
    }
    return given;
  }

  // Rows that a step keeps for another reason than an open window.
  void FindKept(const live::Node& node) {
    const std::optional<Kept> kept = KeptByStep(node.name());
    if (!kept) return;
    if (kept->how == Keeps::kPassed) {
      const double waiting = Counter(node, "passed") - Counter(node, "out");
      if (waiting > 0) Add(node.name(), absl::StrCat(Many(waiting, "row"), " ", kept->why));
    } else if (kept->how == Keeps::kUndecided) {
      // Those that were given while they are on their way, or before the step was there, are among them.
      const double waiting = Given(node) - Counter(node, "in");
      if (waiting > 0) {
        Add(node.name(), absl::StrCat("up to ", Many(waiting, "row"), " that came to it aren't decided: ", kept->why));
      }
    } else if (Counter(node, "absorbed") > 0 && Counter(node, "out") == 0) {
      Add(node.name(),
          absl::StrCat("none of the ", Many(Counter(node, "absorbed"), "row"), " that it has taken ", kept->why));
    }
  }

  // The topics whose time reaches a stage.
  std::set<std::string> SourcesAbove(const std::string& stage) const {
    std::set<std::string> topics;
    std::set<int> seen;
    std::vector<int> open;
    for (size_t s = 0; s < plan_.stages.size(); ++s) {
      if (plan_.stages[s].name == stage) open.push_back(static_cast<int>(s));
    }
    while (!open.empty()) {
      const int at = open.back();
      open.pop_back();
      if (!seen.insert(at).second) continue;
      for (const Node& node : plan_.stages[static_cast<size_t>(at)].nodes) {
        if (node.source >= 0) topics.insert(plan_.sources[static_cast<size_t>(node.source)].topic);
      }
      for (const Edge& edge : plan_.edges) {
        if (edge.to_stage == at) open.push_back(edge.from_stage);
      }
    }
    return topics;
  }

  void FindSink(const live::Node& node) {
    if (!node.error().empty()) Add(node.name(), absl::StrCat("doesn't get through: ", node.error()));
    const auto sink = std::find_if(plan_.sinks.begin(), plan_.sinks.end(),
                                   [&](const SinkPlan& each) { return each.name == node.name(); });
    if (sink == plan_.sinks.end()) return;
    if (Counter(node, "in") == 0) Add(node.name(), absl::StrCat("step ", sink->from, " has given it no row yet"));
    const auto* lake = std::get_if<ParquetSinkSpec>(&sink->spec);
    if (lake != nullptr && Counter(node, "in") > 0) {
      Add(node.name(), absl::StrCat("shows rows when a file is full or its oldest row ",
                                    Seconds(static_cast<double>(lake->max_age_us) / 1e6), " old (max_age)"));
    }
    if (lake == nullptr && node.lag() >= 2) {
      Add(node.name(), absl::StrCat(Many(node.lag(), "record"), " of its feed ", node.lag() == 1 ? "isn't" : "aren't",
                                    " written yet"));
    }
    for (const live::ViewReport& view : application_.views()) {
      if (view.view() == node.name() && !view.ready()) {
        Add(node.name(), absl::StrCat("doesn't answer: ", view.trouble()));
      }
    }
  }

  const Plan& plan_;
  const std::vector<HeardReport>& reports_;
  const live::Application& application_;
  std::vector<live::Finding> findings_;
};

}  // namespace

std::vector<live::Finding> FindWhatHoldsRows(const Plan& plan, const std::vector<HeardReport>& reports,
                                             const live::Application& application) {
  return Finder(plan, reports, application).Find();
}

}  // namespace tidemark
