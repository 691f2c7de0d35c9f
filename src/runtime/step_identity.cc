#include "src/runtime/step_identity.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <set>
#include <variant>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>
#include <xxhash.h>

#include "src/base/status.h"
#include "src/plan/operator_kind.h"
#include "src/plan/units.h"
#include "src/runtime/first_changes.h"
#include "src/runtime/renamed.h"
#include "src/runtime/step_origins.h"
#include "src/runtime/widening.h"

namespace tidemark {
namespace {

// What a step has given of what its state holds depends on it: a window's groups, at once or when the window is over.
std::string RowKinds(const Stage& stage, const Node& node) {
  const auto kind = [](bool update) { return update ? "update" : "append"; };
  const std::vector<int> upstream = node.upstream();
  const bool takes_updates = std::any_of(
      upstream.begin(), upstream.end(), [&](int input) { return stage.nodes[static_cast<size_t>(input)].mode.update; });
  return absl::StrCat(kind(takes_updates), " to ", kind(node.mode.update));
}

std::string LedgerOf(const Node& node, const std::string& name) {
  switch (node.kind) {
    case Node::Kind::kKafkaSink:
    case Node::Kind::kFeed:
      return absl::StrCat("sink ", name);
    case Node::Kind::kRepartition:
      return absl::StrCat(name, node.port.empty() ? "" : " ", node.port, " repartition out");
    case Node::Kind::kInternal:
      return absl::StrCat(name, node.port.empty() ? "" : " ", node.port, " repartition in");
    case Node::Kind::kOperator:
      if (node.spec.kind().phase(node) == OperatorPhase::kPartial) return absl::StrCat(name, " partial");
      break;
    case Node::Kind::kSource:
      break;
  }
  return name;
}

}  // namespace

std::string LedgerName(const Node& node) { return LedgerOf(node, node.step); }
std::string KeptLedgerName(const Node& node) { return LedgerOf(node, node.kept_as()); }

std::string StepFingerprint(const Node& node) {
  return node.kind == Node::Kind::kOperator ? node.spec.kind().Fingerprint(node) : "";
}

namespace {

packed::StepIdentity IdentityOf(const Plan& plan, NodePlace place) {
  const Stage& stage = plan.stages[static_cast<size_t>(place.stage)];
  const Node& node = stage.nodes[static_cast<size_t>(place.node)];
  packed::StepIdentity identity;
  identity.set_step(node.kept_as());
  identity.set_fingerprint(StepFingerprint(node));
  identity.set_rows(RowKinds(stage, node));
  identity.set_columns(node.spec.kind().Aggregated(node));
  identity.set_meeting(Meeting(plan, place));
  for (const std::string& origin : StepOrigins(plan, place)) identity.add_origins(origin);
  for (const std::string& origin : ChangeOrigins(plan, place)) identity.add_origins(origin);
  return identity;
}

}  // namespace

std::vector<packed::StepIdentity> StepIdentities(const Plan& plan, int stage) {
  std::vector<packed::StepIdentity> identities;
  const Stage& at = plan.stages[static_cast<size_t>(stage)];
  for (size_t n = 0; n < at.nodes.size(); ++n) {
    if (!StepFingerprint(at.nodes[n]).empty()) identities.push_back(IdentityOf(plan, {stage, static_cast<int>(n)}));
  }
  return identities;
}

namespace {

const std::string& TopicOf(const Plan& plan, const Node& sink) {
  return std::get<KafkaSinkSpec>(plan.sinks[static_cast<size_t>(sink.sink)].spec).topic;
}

// In place of a topic, of which earlier versions look for lines that they know: what stands in one by its keys, or in a
// sink's table.
std::string KeysOf(const Plan& plan, const Node& sink) {
  const SinkPlan& of = plan.sinks[static_cast<size_t>(sink.sink)];
  const auto* const postgres = std::get_if<PostgresSinkSpec>(&of.spec);
  if (postgres == nullptr) return absl::StrCat("keys in ", TopicOf(plan, sink));
  return absl::StrCat("keys in ", postgres->schema, ".", postgres->table, " of ", of.kept_as());
}

std::string Saved(const KeyWay& way) { return absl::StrCat(way.from, "\n", way.constants, "\n", way.through); }

std::set<KeyWay> KeyWaysOf(const packed::Standing::Edge& saved) {
  std::set<KeyWay> ways;
  for (const std::string& origin : saved.origins()) {
    const std::vector<std::string> parts = absl::StrSplit(origin, absl::MaxSplits('\n', 2));
    if (parts.size() == 3) ways.insert({parts[0], parts[1], parts[2]});
  }
  return ways;
}

// On which ways the changes come that a repartition sends on (first_changes.h).
std::set<std::string> SentOrigins(const Plan& plan, NodePlace repartition) {
  std::set<std::string> origins = ParallelWays(plan, repartition);
  for (const std::string& maker : MakersAbove(plan, repartition)) {
    origins.insert(absl::StrCat(std::string(kChangesOf), maker));
  }
  return origins;
}

}  // namespace

void SaveFeedOrigins(const Plan& plan, int stage, packed::Standing* standing) {
  const Stage& at = plan.stages[static_cast<size_t>(stage)];
  for (size_t n = 0; n < at.nodes.size(); ++n) {
    if (const std::set<KeyWay> ways = KeyWays(plan, {stage, static_cast<int>(n)}); !ways.empty()) {
      packed::Standing::Edge* written = standing->add_outputs();
      written->set_topic(KeysOf(plan, at.nodes[n]));
      for (const KeyWay& way : ways) written->add_origins(Saved(way));
    }
    if (const std::set<std::string> keys = KeyOrigins(plan, at.nodes[n]); !keys.empty()) {
      packed::Standing::Edge* written = standing->add_outputs();
      written->set_topic(TopicOf(plan, at.nodes[n]));
      for (const std::string& origin : keys) written->add_origins(origin);
    }
    const bool feed = at.nodes[n].kind == Node::Kind::kFeed;
    if (!feed && at.nodes[n].kind != Node::Kind::kRepartition) continue;
    const NodePlace place{stage, static_cast<int>(n)};
    const std::string& topic = plan.edges[static_cast<size_t>(at.nodes[n].edge)].topic;
    for (packed::Standing::Edge& edge : *standing->mutable_outputs()) {
      if (edge.topic() != topic) continue;
      edge.clear_origins();
      for (const std::string& origin : feed ? FeedOrigins(plan, place) : SentOrigins(plan, place)) {
        edge.add_origins(origin);
      }
    }
  }
}

namespace {

constexpr char kRemedy[] =
    ". State can't be turned into other state: put the step back as it was, or begin anew, by `tidemark reset` or "
    "under a new name, which starts with empty state";
// Of a step whose state is gone.
constexpr char kWasGivenUp[] =
    "what was kept under its name was given up, so it would begin empty. Leave it out, or give it another name; to "
    "have "
    "it begin empty under this one, name it by --allow_drop once more, or by `tidemark reset`";
// Of a step whose store is still being emptied.
constexpr char kNotYet[] =
    "what was kept under its name before is still being given up: give the step another name, or run the topology "
    "without it until `tidemark plan` doesn't say so any more";

// As the topology writes it: a window's lengths stand in commits as "60000000us".
std::string Readable(const std::string& fingerprint) {
  std::vector<std::string> words = absl::StrSplit(fingerprint, ' ');
  for (const size_t i : {1, 3}) {
    int64_t us = 0;
    if (words[0] != "window" || i >= words.size() || !words[i].ends_with("us")) continue;
    if (absl::SimpleAtoi(words[i].substr(0, words[i].size() - 2), &us)) words[i] = FormatDuration(us);
  }
  return absl::StrJoin(words, " ");
}

// What a step is, for people; origins as far as `other` hasn't got them.
std::string Describe(const packed::StepIdentity& identity, const packed::StepIdentity& other) {
  std::string text = Readable(identity.fingerprint());
  if (!identity.columns().empty()) absl::StrAppend(&text, " of ", identity.columns());
  if (!identity.rows().empty() && identity.rows() != other.rows()) absl::StrAppend(&text, ", ", identity.rows());
  if (identity.meeting() != other.meeting()) absl::StrAppend(&text, ", rows ", identity.meeting());
  for (const std::string& origin : identity.origins()) {
    if (!std::count(other.origins().begin(), other.origins().end(), origin)) absl::StrAppend(&text, ", ", origin);
  }
  return text;
}

enum class Likeness { kSame, kWidened, kOther };

// Rows that met before meet now: as before, and beside them those of further sources, which lie by the same keys.
bool MeetAsBefore(const std::string& saved, const std::string& now) {
  const auto ways = [](std::string_view text) {
    std::set<std::string> all;
    size_t begin = 0;
    for (size_t at = 0; (at = text.find(kBetweenWays, at)) != std::string_view::npos; ++at) {
      const std::string_view next = text.substr(at + kBetweenWays.size());
      if (!next.starts_with(kAsTheyLie) && !next.starts_with(kMovedBy)) continue;  // between two columns
      all.emplace(text.substr(begin, at - begin));
      begin = at + kBetweenWays.size();
    }
    all.emplace(text.substr(begin));
    return all;
  };
  const std::set<std::string> before = ways(saved), after = ways(now);
  return std::includes(after.begin(), after.end(), before.begin(), before.end()) &&
         std::all_of(after.begin(), after.end(),
                     [&](const std::string& way) { return before.contains(way) || way.starts_with(kAsTheyLie); });
}

Likeness Compare(const packed::StepIdentity& saved, const packed::StepIdentity& now) {
  const bool rows = saved.rows().empty() || saved.rows() == now.rows();
  if (!rows) return Likeness::kOther;
  if (saved.meeting().empty()) {  // an earlier version's
    if (LiesInANewWay(saved.fingerprint(), now.fingerprint())) return Likeness::kWidened;
    return saved.fingerprint() == now.fingerprint() ? Likeness::kSame : Likeness::kOther;
  }
  const bool elsewhere = !MeetAsBefore(saved.meeting(), now.meeting()) ||
                         !std::all_of(saved.origins().begin(), saved.origins().end(), [&](const std::string& origin) {
                           return std::count(now.origins().begin(), now.origins().end(), origin) > 0;
                         });
  if (elsewhere) return Likeness::kOther;
  if (saved.fingerprint() == now.fingerprint() && saved.columns() == now.columns()) return Likeness::kSame;
  return IsWidened(saved, now) ? Likeness::kWidened : Likeness::kOther;
}

Node& At(Plan* plan, NodePlace place) {
  return plan->stages[static_cast<size_t>(place.stage)].nodes[static_cast<size_t>(place.node)];
}

// What was added to the step of that name since its state was written; nothing: that isn't what makes the difference.
std::optional<GrownFrom> Growth(const Plan& plan, int stage, const packed::StepIdentity& saved) {
  const Stage& at = plan.stages[static_cast<size_t>(stage)];
  for (size_t n = 0; n < at.nodes.size(); ++n) {
    if (at.nodes[n].kept_as() != saved.step() || StepFingerprint(at.nodes[n]).empty()) continue;
    const NodePlace place{stage, static_cast<int>(n)};
    std::vector<GrownFrom> grown = at.nodes[n].spec.kind().Grown(at.nodes[n].spec);
    for (size_t i = 0; i < grown.size(); ++i) {
      Plan before = plan;
      for (const NodePlace taker : Takers(plan, place)) {  // the partial phase, which reads what is aggregated
        Node& partial = At(&before, taker);
        partial.spec = partial.spec.kind().Grown(partial.spec)[i].former;
      }
      At(&before, place).spec = grown[i].former;
      if (Compare(saved, IdentityOf(before, place)) != Likeness::kOther) return std::move(grown[i]);
    }
  }
  return std::nullopt;
}

// How it would go on all the same; not where rows are taken back that it wasn't given.
std::string OrFromNow(const GrownFrom& growth, const packed::StepIdentity& now) {
  if (now.rows().starts_with("update")) return "";
  return absl::StrCat(". Or let what was added count from now on, in the groups that there are from rows that come: ",
                      growth.at_end ? "" : "put it behind the other aggregates, and ", "say `aggregates_from_now: [",
                      absl::StrJoin(growth.added, ", "), "]`");
}

// Where what was kept is of wider columns than those of now, and that is all: NULL may lie in it, as it may where an
// aggregate that counts from now on was taken, whose line has gone.
std::string OrNullable(const packed::StepIdentity& saved, const packed::StepIdentity& now) {
  if (saved.fingerprint() == now.fingerprint() || !IsWidened(now, saved)) return "";
  return ". Types don't get narrower, as what was kept may hold what the narrower one doesn't. Where a column that was "
         "nullable comes from an aggregate of another step, that counts from now on and may not be NULL without "
         "`aggregates_from_now`: leave that line where it is";
}

// A step that is another one than the one that has written its state, unless it has but more to do since, and says so.
void Differs(const Plan& plan, int stage, const packed::StepIdentity& saved, const packed::StepIdentity& now,
             Verdict* verdict) {
  const std::optional<GrownFrom> growth = Growth(plan, stage, saved);
  if (growth && growth->said) {
    verdict->kind = Verdict::Kind::kConverted;
    verdict->from_now = growth->added;
    return;
  }
  verdict->kind = Verdict::Kind::kRefused;
  verdict->message =
      absl::StrCat(verdict->subject, ": its state was written by '", Describe(saved, now), "', the topology now says '",
                   Describe(now, saved), "'", kRemedy, growth ? OrFromNow(*growth, now) : OrNullable(saved, now));
}

// Where a step's state is now; empty: nowhere.
std::string StageOf(const Plan& plan, const std::string& step) {
  for (const Stage& stage : plan.stages) {
    for (const Node& node : stage.nodes) {
      if (node.kept_as() == step && !StepFingerprint(node).empty()) return stage.name;
    }
  }
  return "";
}

// Of what a stage keeps under a name.
std::string NameNow(const Stage& stage, const std::string& kept_as) {
  for (const Node& node : stage.nodes) {
    if (node.kind == Node::Kind::kOperator && node.kept_as() == kept_as) return node.step;
  }
  return kept_as;
}

std::string Without(const std::set<std::string>& lines, const std::set<std::string>& others) {
  std::vector<std::string> only;
  std::set_difference(lines.begin(), lines.end(), others.begin(), others.end(), std::back_inserter(only));
  return absl::StrJoin(only, ", ");
}

// Rows that stand in a topic are replaced and deleted by their keys, byte for byte.
std::vector<Verdict> CompareKeys(const Plan& plan, int stage, const packed::Standing& standing) {
  std::vector<Verdict> verdicts;
  for (const Node& node : plan.stages[static_cast<size_t>(stage)].nodes) {
    const std::set<std::string> now = KeyOrigins(plan, node);
    if (now.empty()) continue;
    const std::string& topic = TopicOf(plan, node);
    for (const packed::Standing::Edge& saved : standing.outputs()) {
      if (saved.topic() != topic) continue;
      const std::set<std::string> was(saved.origins().begin(), saved.origins().end());
      if (std::includes(now.begin(), now.end(), was.begin(), was.end())) continue;  // an earlier version says less
      const std::string subject = absl::StrCat("sink ", plan.sinks[static_cast<size_t>(node.sink)].name);
      verdicts.push_back(
          {subject, Verdict::Kind::kRefused,
           absl::StrCat(subject, ": topic ", topic, " holds '", Without(was, now), "', the topology now says '",
                        Without(now, was),
                        "'. Rows that stand there would never be replaced or deleted, as their keys are "
                        "other bytes: put the key's columns and key_format back, or give the sink another "
                        "topic")});
    }
  }
  return verdicts;
}

std::string Through(const KeyWay& way) { return way.through.empty() ? "" : absl::StrCat(" through ", way.through); }

// Why rows of a way that there was before would stand for ever, or be taken for those of another; empty: they aren't.
// Whose way is gone altogether stand as they are, and nothing comes that has their keys.
std::string OtherKeys(const std::set<KeyWay>& before, const std::set<KeyWay>& after, const KeyWay& was) {
  const auto had = [](const std::set<KeyWay>& ways, const std::string& from, const std::string& constants) {
    return std::any_of(ways.begin(), ways.end(),
                       [&](const KeyWay& way) { return way.from == from && way.constants == constants; });
  };
  if (after.contains(was)) return "";
  for (const KeyWay& is : after) {
    if (before.contains(is)) continue;
    const bool same = is.from == was.from;
    const bool renamed =
        same && is.constants != was.constants &&
        (is.through == was.through || (!had(after, was.from, was.constants) && !had(before, is.from, is.constants)));
    if (renamed || (!same && is.constants == was.constants)) {
      return absl::StrCat("of ", was.from, Through(was), " it holds rows whose key says that ", was.constants,
                          ", and the topology now gives ", is.constants, " to those of ", is.from, Through(is));
    }
  }
  return "";
}

// Constants that the topology gives to rows' keys are those by which rows of before are found.
std::vector<Verdict> CompareKeyWays(const Plan& plan, int stage, const packed::Standing& standing) {
  std::vector<Verdict> verdicts;
  const Stage& at = plan.stages[static_cast<size_t>(stage)];
  for (size_t n = 0; n < at.nodes.size(); ++n) {
    const std::set<KeyWay> now = KeyWays(plan, {stage, static_cast<int>(n)});
    if (now.empty()) continue;
    const SinkPlan& sink = plan.sinks[static_cast<size_t>(at.nodes[n].sink)];
    for (const packed::Standing::Edge& saved : standing.outputs()) {
      if (saved.topic() != KeysOf(plan, at.nodes[n])) continue;
      const std::set<KeyWay> before = KeyWaysOf(saved);
      for (const KeyWay& was : before) {
        const std::string why = OtherKeys(before, now, was);
        if (why.empty()) continue;
        const std::string subject = absl::StrCat(sink.view ? "view " : "sink ", sink.name);
        verdicts.push_back({subject, Verdict::Kind::kRefused,
                            absl::StrCat(subject, ": ", why,
                                         ". Rows that stand there would never be replaced or deleted, or be taken for "
                                         "others: put the constant back, or give the ",
                                         sink.view ? "view another name" : "sink another topic or table")});
        break;
      }
    }
  }
  return verdicts;
}

// A file of a lake goes on being what it was; so where its sink was or is one of changes, those are the same.
std::vector<Verdict> CompareLakes(const Plan& plan, int stage, const packed::Standing& standing) {
  std::vector<Verdict> verdicts;
  const Stage& at = plan.stages[static_cast<size_t>(stage)];
  for (size_t n = 0; n < at.nodes.size(); ++n) {
    const Node& node = at.nodes[n];
    if (node.kind != Node::Kind::kFeed) continue;
    const SinkPlan& sink = plan.sinks[static_cast<size_t>(node.sink)];
    if (!std::holds_alternative<ParquetSinkSpec>(sink.spec)) continue;
    const std::string& topic = plan.edges[static_cast<size_t>(node.edge)].topic;
    for (const packed::Standing::Edge& saved : standing.outputs()) {
      if (saved.topic() != topic || saved.origins().empty() || IsGone(saved)) continue;
      const std::set<std::string> was(saved.origins().begin(), saved.origins().end());
      const std::set<std::string> now = FeedOrigins(plan, {stage, static_cast<int>(n)});
      if (std::includes(now.begin(), now.end(), was.begin(), was.end())) continue;
      verdicts.push_back({absl::StrCat("sink ", sink.name), Verdict::Kind::kRefused,
                          absl::StrCat("sink ", sink.name, ": its files hold '", Without(was, now),
                                       "', the topology now says '", Without(now, was),
                                       "'. Rows would be taken back otherwise than they were given: put it back as it "
                                       "was, or ",
                                       kNewLake)});
    }
  }
  return verdicts;
}

// Of state that no step of the plan's has under its name.
void Gone(const Plan& plan, int stage, const packed::StepIdentity& saved, bool allowed, Verdict* verdict) {
  std::string what = absl::StrCat(verdict->subject, ": its state was written by '", Readable(saved.fingerprint()), "'");
  if (const std::string elsewhere = StageOf(plan, saved.step()); !elsewhere.empty()) {
    verdict->kind = Verdict::Kind::kRefused;
    verdict->message = absl::StrCat(what, " in stage ", plan.stages[static_cast<size_t>(stage)].name,
                                    ", the topology now keeps it in ", "stage ", elsewhere,
                                    ", where its rows are partitioned otherwise", kRemedy);
    return;
  }
  verdict->kind = Verdict::Kind::kDropped;
  verdict->allowed = allowed;
  verdict->message =
      absl::StrCat(what, ", the topology now has no such step (was it renamed or removed?)", kRemedy,
                   ". Where it has another name now, say `renamed_from: ", saved.step(),
                   "` there. If that state isn't wanted any more, give it up by --allow_drop ", saved.step());
}

}  // namespace

std::string ShownName(const Plan& plan, const packed::Standing& standing, const std::string& kept_as) {
  std::string called = CalledName(standing, kept_as);
  for (const Stage& stage : plan.stages) {
    for (const Node& node : stage.nodes) {
      if (node.kind == Node::Kind::kOperator && node.step == called) return kept_as;
    }
  }
  return called;
}

bool IsGivenUp(const packed::StepIdentity& step) {
  return step.fingerprint() == kGivenUp || step.fingerprint() == kWasGiven;
}

bool HasBegun(const packed::CommitRecord& record, const std::string& step) {
  const auto& steps = record.has_standing() ? record.standing().steps() : record.steps();
  return std::any_of(steps.begin(), steps.end(),
                     [&](const auto& each) { return each.step() == step && !IsGivenUp(each); });
}

std::set<std::string> FromNowOn(const Plan& plan, NodePlace sink, const packed::CommitRecord& record) {
  const std::set<KeyWay> now = KeyWays(plan, sink);
  if (now.empty()) return {};
  const std::string keys =
      KeysOf(plan, plan.stages[static_cast<size_t>(sink.stage)].nodes[static_cast<size_t>(sink.node)]);
  std::set<std::string> makers;
  for (const packed::Standing::Edge& saved : record.standing().outputs()) {
    if (saved.topic() != keys) continue;
    const std::set<KeyWay> before = KeyWaysOf(saved);
    for (const KeyWay& way : now) {
      const bool known = std::any_of(before.begin(), before.end(), [&](const KeyWay& was) {
        return was.from == way.from && was.constants == way.constants;
      });
      constexpr std::string_view kStep = "step ";
      if (known || !way.from.starts_with(kStep) || !HasBegun(record, way.from.substr(kStep.size()))) continue;
      makers.insert(absl::StrCat(way.from, " (", way.constants, ")"));
    }
  }
  return makers;
}

std::vector<Verdict> CompareSteps(const Plan& plan, int stage, const packed::CommitRecord& record,
                                  const AllowedDrops& drops) {
  const std::vector<packed::StepIdentity> now = StepIdentities(plan, stage);
  std::vector<Verdict> verdicts;
  for (const packed::StepIdentity& saved : record.has_standing() ? record.standing().steps() : record.steps()) {
    const auto same =
        std::find_if(now.begin(), now.end(), [&](const auto& step) { return step.step() == saved.step(); });
    const bool given_up = saved.fingerprint() == kGivenUp, was_given_up = saved.fingerprint() == kWasGiven;
    if (IsGivenUp(saved) && same == now.end()) continue;
    if (was_given_up && HasBegun(record, saved.step())) continue;
    const std::string now_called =
        same == now.end() ? "" : NameNow(plan.stages[static_cast<size_t>(stage)], saved.step());
    // What goes on is given up by the name that it is kept under alone: its other one may be that of a step which
    // is gone.
    const bool allowed =
        IsNamed(plan, drops, record.standing(), saved.step()) || (IsGivenUp(saved) && drops.contains(now_called));
    Verdict& verdict = verdicts.emplace_back();
    verdict.subject =
        absl::StrCat("step ", same == now.end() ? ShownName(plan, record.standing(), saved.step()) : now_called);
    if (was_given_up) {
      verdict.kind = allowed ? Verdict::Kind::kNew : Verdict::Kind::kRefused;
      if (!verdict.goes_on()) verdict.message = absl::StrCat(verdict.subject, ": ", kWasGivenUp);
      continue;
    }
    verdict.kind = Verdict::Kind::kUnchanged;
    verdict.tasks = 1;
    for (const packed::StepLedger& ledger : record.ledger()) {
      if (ledger.step() == saved.step()) verdict.open = ledger.open();
    }
    if (same == now.end()) {
      Gone(plan, stage, saved, allowed, &verdict);
    } else if (given_up) {
      verdict.kind = Verdict::Kind::kRefused;
      verdict.message = absl::StrCat(verdict.subject, ": ", kNotYet);
    } else if (const Likeness likeness = Compare(saved, *same); likeness == Likeness::kWidened) {
      verdict.kind = Verdict::Kind::kConverted;
    } else if (likeness == Likeness::kOther) {
      Differs(plan, stage, saved, *same, &verdict);
    }
    const std::string called = CalledName(record.standing(), saved.step());
    if (same != now.end() && called != now_called) verdict.former_name = called;
  }
  for (Verdict& lake : CompareLakes(plan, stage, record.standing())) verdicts.push_back(std::move(lake));
  for (Verdict& keys : CompareKeys(plan, stage, record.standing())) verdicts.push_back(std::move(keys));
  for (Verdict& keys : CompareKeyWays(plan, stage, record.standing())) verdicts.push_back(std::move(keys));
  return verdicts;
}

absl::StatusOr<std::vector<Verdict>> JudgeSteps(const Plan& plan, int stage, const packed::CommitRecord& record,
                                                const AllowedDrops& drops) {
  TM_RETURN_IF_ERROR(CheckFirstChanges(plan, [&](int s) {
    return s == stage ? std::vector<const packed::CommitRecord*>{&record} : std::vector<const packed::CommitRecord*>();
  }));
  std::vector<Verdict> verdicts = CompareSteps(plan, stage, record, drops);
  TM_RETURN_IF_ERROR(Refusal(verdicts));
  return verdicts;
}

absl::Status CheckStepIdentities(const Plan& plan, int stage, const packed::CommitRecord& record,
                                 const AllowedDrops& drops) {
  return JudgeSteps(plan, stage, record, drops).status();
}

uint64_t StandingHash(const packed::Standing& standing) {
  const std::string bytes = standing.SerializeAsString();
  return std::max<uint64_t>(1, XXH3_64bits(bytes.data(), bytes.size()));
}

void SaveLedger(const std::string& step, const StepLedger& ledger, packed::CommitRecord* record) {
  packed::StepLedger* out = record->add_ledger();
  out->set_step(step);
  out->set_in(ledger.in);
  out->set_passed(ledger.passed);
  out->set_duplicate(ledger.duplicate);
  out->set_late(ledger.late);
  out->set_filtered(ledger.filtered);
  out->set_unmatched(ledger.unmatched);
  out->set_dead_lettered(ledger.dead_lettered);
  out->set_absorbed(ledger.absorbed);
  out->set_pairs(ledger.pairs);
  out->set_late_pairs(ledger.late_pairs);
  out->set_late_after_idle(ledger.late_after_idle);
  out->set_closed(ledger.closed);
  out->set_open(ledger.open);
  out->set_out(ledger.out);
  for (const auto& [rule, rows] : ledger.violated) (*out->mutable_violated())[rule] = rows;
}

void RestoreLedger(const packed::CommitRecord& record, const std::string& step, StepLedger* ledger) {
  for (const packed::StepLedger& saved : record.ledger()) {
    if (saved.step() != step) continue;
    ledger->in = saved.in();
    ledger->passed = saved.passed();
    ledger->duplicate = saved.duplicate();
    ledger->late = saved.late();
    ledger->filtered = saved.filtered();
    ledger->unmatched = saved.unmatched();
    ledger->dead_lettered = saved.dead_lettered();
    ledger->absorbed = saved.absorbed();
    ledger->pairs = saved.pairs();
    ledger->late_pairs = saved.late_pairs();
    ledger->late_after_idle = saved.late_after_idle();
    ledger->closed = saved.closed();
    ledger->open = saved.open();
    ledger->out = saved.out();
    for (const auto& [rule, rows] : saved.violated()) ledger->violated[rule] = rows;
  }
}

}  // namespace tidemark
