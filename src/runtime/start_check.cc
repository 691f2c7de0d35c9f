#include "src/runtime/start_check.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>
#include <glog/logging.h>

#include "src/base/status.h"
#include "src/codec/packed_rows.h"
#include "src/codec/packed_schema.h"
#include "src/plan/topic_patterns.h"
#include "src/runtime/columns_had.h"
#include "src/runtime/first_changes.h"
#include "src/runtime/offset_metadata.h"
#include "src/runtime/renamed.h"
#include "src/runtime/step_identity.h"
#include "src/views/records.h"

namespace tidemark {
namespace {

// One verdict a step: that of the task which has the worst.
class Verdicts {
 public:
  void Add(Verdict verdict) {
    const auto same =
        std::find_if(all_.begin(), all_.end(), [&](const Verdict& other) { return other.subject == verdict.subject; });
    if (same == all_.end()) {
      all_.push_back(std::move(verdict));
      return;
    }
    if (same->former_name.empty()) same->former_name = verdict.former_name;
    same->open += verdict.open;
    same->tasks += verdict.tasks;
    // Tasks may lack more or fewer of the last aggregates: the longer list has what the shorter one has.
    const bool more = verdict.kind == same->kind && verdict.from_now.size() > same->from_now.size();
    if (more || verdict.kind > same->kind) same->from_now = std::move(verdict.from_now);
    if (verdict.kind < same->kind || (verdict.kind == same->kind && verdict.allowed >= same->allowed)) return;
    same->kind = verdict.kind;
    same->message = std::move(verdict.message);
    same->allowed = verdict.allowed;
  }

  std::vector<Verdict> Take() { return std::move(all_); }

 private:
  std::vector<Verdict> all_;
};

// Of a stage that the plan doesn't have any more, what a task of it has kept.
std::vector<packed::StepIdentity> LeftInStage(const Plan& plan, const packed::CommitRecord& record) {
  const bool former = !record.has_standing();
  const auto& steps = former ? record.steps() : record.standing().steps();
  if (!former && record.standing().application() != plan.application.Key()) return {};
  std::vector<packed::StepIdentity> left(steps.begin(), steps.end());
  std::erase_if(left, IsGivenUp);
  return left;
}

// Where the source that a stage was named by is still there, in a stage that has the name of one which stands before
// it.
std::string NamedByAnother(const Plan& plan, const std::string& stage) {
  for (const Stage& now : plan.stages) {
    for (const Node& node : now.nodes) {
      if (node.kind != Node::Kind::kSource || node.kept_as() != stage || now.name >= stage) continue;
      return absl::StrCat(", and that is ", now.name, " now, as ", now.name, " is read together with ", stage,
                          " and comes first: where it is new, a name behind ", stage, ", such as ", stage, "_",
                          now.name, ", leaves the stage its name");
    }
  }
  return "";
}

std::vector<Verdict> GoneStage(const Plan& plan, const std::string& stage, const std::string& changelog,
                               const packed::CommitRecord& record, const AllowedDrops& drops) {
  const std::vector<packed::StepIdentity> steps = LeftInStage(plan, record);
  if (steps.empty()) return {};
  std::vector<std::string> names, refused;
  for (const packed::StepIdentity& step : steps) {
    names.push_back(step.step());
    if (!IsNamed(plan, drops, record.standing(), step.step())) refused.push_back(step.step());
  }
  const std::string message = absl::StrCat(
      "the topology has no stage ", stage, " any more, which has kept the state of step ",
      absl::StrJoin(names, ", step "), " (in ", changelog,
      "): was a step or source renamed or removed, or is a step's input partitioned otherwise now? Put it back as it "
      "was, or begin anew, by `tidemark reset` or under a new name, which starts with empty state. Where something has "
      "another name now, say `renamed_from` there (stage ",
      stage, " is called by its first source or step", NamedByAnother(plan, stage),
      "). If that state isn't wanted any more, give it up by --allow_drop ", absl::StrJoin(names, ","));
  std::vector<Verdict> verdicts;
  for (const packed::StepIdentity& step : steps) {
    Verdict& verdict = verdicts.emplace_back();
    verdict.subject = absl::StrCat("step ", ShownName(plan, record.standing(), step.step()));
    verdict.kind = Verdict::Kind::kDropped;
    verdict.message = message;
    verdict.tasks = 1;
    verdict.allowed = refused.empty();
    for (const packed::StepLedger& ledger : record.ledger()) {
      if (ledger.step() == step.step()) verdict.open = ledger.open();
    }
  }
  return verdicts;
}

bool HasStage(const Plan& plan, const std::string& name) {
  return std::any_of(plan.stages.begin(), plan.stages.end(), [&](const Stage& each) { return each.name == name; });
}

// Rows that were written to an edge under a schema that can't become the present one must be read before.
class EdgeCheck {
 public:
  EdgeCheck(const Plan& plan, const Former& former, const Edge& edge)
      : plan_(plan),
        edge_(edge),
        now_(BatchSchema(edge.schema, edge.hidden)),
        had_(edge.to_sink < 0 ? ColumnsHad(plan, static_cast<int>(&edge - plan.edges.data()))
                              : std::vector<std::string>()) {
    known_[SchemaHash(*now_)];
    for (const auto& [partition, record] : former.newest) {
      unnamed_ |= !record.has_standing();
      for (const packed::Standing::Edge& saved : record.standing().outputs()) {
        if (saved.topic() != edge.topic || saved.schemas().empty()) continue;
        Learn(saved.schemas(0));
        if (!IsGone(saved)) Lacking(saved.schemas(0));
      }
      // Such rows may lie there behind all that its writers have written since.
      for (const packed::Standing::Edge& saved : record.standing().inputs()) {
        if (saved.topic() != edge.topic || had_.empty()) continue;
        for (const packed::PackedSchema& schema : saved.schemas()) Learn(schema);
      }
    }
  }

  // Where writers don't yet send columns that all rows must have: what lies there now is not all that would come
  // without them, as workers of the former file may go on to write for a while.
  std::optional<Verdict> Lacks() const {
    if (lacking_.empty()) return std::nullopt;
    const std::string subject = absl::StrCat("step ", edge_.step), columns = absl::StrJoin(lacking_, ", ");
    return Verdict{subject, Verdict::Kind::kRefused,
                   absl::StrCat(subject, ": rows that come over ", edge_.topic, " haven't got ", columns,
                                " so far, so those that wait, and those that workers of the former file still send, "
                                "would have NULL there, which an aggregate that counts from now on would take for a "
                                "value of theirs. Have it sent first: with an aggregate that passes NULL over, as "
                                "count(",
                                *lacking_.begin(), "), and add this one when the rows of before are read")};
  }

  // What was written last can be read, whatever lies there.
  bool Reads() const {
    return !unnamed_ && std::all_of(known_.begin(), known_.end(), [](const auto& each) { return each.second.empty(); });
  }

  Verdict Waits() const {
    std::string why;
    for (const auto& [hash, each] : known_) why = why.empty() ? each : why;
    return Refused(
        absl::StrCat("rows that the former version of the topology has written can't be read where they "
                     "still lie in ",
                     edge_.topic, ": ", why));
  }

  // Looks at what lies there.
  absl::StatusOr<std::optional<Verdict>> Look(KafkaClient& kafka, int32_t partitions) {
    TM_ASSIGN_OR_RETURN(const LogRanges unread, Unread(kafka.admin(), partitions));
    std::string found;
    TM_RETURN_IF_ERROR(ReadRanges(kafka, unread, [&](const TopicPartition& partition, const RecordView& record) {
      const absl::StatusOr<PackedRecord> packed = OpenRecord(record.value.value_or(""));
      if (packed.ok() && packed->header.has_schema()) Learn(packed->header.schema());
      if (!packed.ok() || packed->header.rows() == 0) return true;
      const auto schema = known_.find(packed->header.schema_hash());
      if (schema == known_.end() ? !unnamed_ : schema->second.empty()) return true;
      if (found.empty()) {
        found = absl::StrCat(ToString(partition), " from offset ", record.offset, " on: ",
                             schema != known_.end() ? schema->second
                                                    : "their columns are others than now, and an earlier version of "
                                                      "Tidemark, which wrote them, didn't say which");
      }
      return false;
    }));
    if (found.empty()) return std::nullopt;
    return Refused(absl::StrCat("rows that the former version of the topology has written lie unread in ", found));
  }

 private:
  void Learn(const packed::PackedSchema& schema) {
    const auto before = UnpackSchema(schema);
    const absl::Status fits =
        before.ok() ? SchemaChange::Make(**before, now_, Widening::kYes, had_).status() : before.status();
    // Columns that may be null no more leave the hash as it was.
    std::string& why = known_[before.ok() ? SchemaHash(**before) : 0];
    if (why.empty()) why = std::string(fits.message());
  }

  void Lacking(const packed::PackedSchema& schema) {
    for (const std::string& name : had_) {
      const bool has = std::any_of(schema.columns().begin(), schema.columns().end(),
                                   [&](const auto& column) { return column.name() == name; });
      if (!has) lacking_.insert(name);
    }
  }

  Verdict Refused(const std::string& what) const {
    const std::string reader = absl::StrCat(edge_.to_sink < 0 ? "step " : "sink ", edge_.step);
    return {
        reader, Verdict::Kind::kRefused,
        absl::StrCat(reader, ": ", what, ". Run that version until they are read, or give the topology a new name")};
  }

  absl::StatusOr<LogRanges> Unread(Admin& admin, int32_t partitions) const {
    const ApplicationId& application = plan_.application;
    std::vector<TopicPartition> all;
    for (int32_t p = 0; p < partitions; ++p) all.push_back({edge_.topic, p});
    TM_ASSIGN_OR_RETURN(
        const auto committed,
        admin.GroupOffsets(edge_.to_sink < 0 ? application.Group() : application.SinkGroup(edge_.kept_as), all));
    LogRanges unread;
    for (const TopicPartition& partition : all) {
      TM_ASSIGN_OR_RETURN(const auto range, CommittedRange(admin, partition));
      const auto at = committed.find(partition);
      const Offset position = at == committed.end() ? -1 : at->second.offset;
      unread[partition] = {std::max(range.first, position), range.second};
    }
    return unread;
  }

  const Plan& plan_;
  const Edge& edge_;
  const std::shared_ptr<arrow::Schema> now_;
  const std::vector<std::string> had_;     // columns that all rows must have been written with
  std::set<std::string> lacking_;          // those of them that some writer doesn't send
  std::map<uint64_t, std::string> known_;  // by the schema's hash: why its rows can't be read; empty: they can
  bool unnamed_ = false;                   // earlier versions didn't name the schemas of what they wrote
};

// Rows of a view stay where they are; so those that were written before must be rows of the view as it is now.
std::optional<Verdict> CheckView(const Former& former, const SinkPlan& view) {
  const std::string& topic = std::get<KafkaSinkSpec>(view.spec).topic;
  if (!former.topics.contains(topic)) return std::nullopt;
  const std::string subject = absl::StrCat("view ", view.name);
  for (const auto& [partition, record] : former.newest) {
    for (const packed::Standing::Edge& saved : record.standing().outputs()) {
      if (saved.topic() != topic) continue;
      const std::string why = WhyNotTheView(saved, view);
      if (why.empty()) continue;
      return Verdict{subject, Verdict::Kind::kRefused,
                     absl::StrCat(subject, ": ", why, ". Give the view another name, or delete the topic ", topic,
                                  "; either way it begins empty, and holds what its step puts out from then on")};
    }
  }
  return std::nullopt;
}

// Rows in front of a step have been read, and the changelog that knew of them is gone: a task of it is never opened.
// That has to be known before the stages in front of it read anything, as their rows would wait here, where no other
// version of the topology looks for them. What was committed of an edge was committed with a record of the changelog,
// so an empty one is one that was deleted, whoever runs meanwhile.
absl::StatusOr<std::optional<Verdict>> CheckChangelog(const Plan& plan, const Former& former, const Edge& edge,
                                                      KafkaClient& kafka) {
  const std::string& stage = plan.stages[static_cast<size_t>(edge.to_stage)].name;
  const std::string changelog = plan.application.ChangelogTopic(stage);
  std::vector<TopicPartition> unknown;
  for (int32_t p = 0; p < former.topics.at(edge.topic).partitions; ++p) {
    if (!former.newest.contains({changelog, p})) unknown.push_back({edge.topic, p});
  }
  if (unknown.empty()) return std::nullopt;
  TM_ASSIGN_OR_RETURN(const auto committed, kafka.admin().GroupOffsets(plan.application.Group(), unknown));
  TM_ASSIGN_OR_RETURN(const auto topics, kafka.admin().Describe({changelog}));
  for (const auto& [input, at] : committed) {
    if (at.offset <= 0 || at.metadata == kStartHere) continue;
    if (topics.contains(changelog) && input.partition < topics.at(changelog).partitions) {
      TM_ASSIGN_OR_RETURN(const Offset end,
                          kafka.admin().LogEnd({changelog, input.partition}, Isolation::kReadUncommitted));
      if (end > 0) continue;
    }
    return Verdict{absl::StrCat("step ", edge.step), Verdict::Kind::kRefused,
                   ReadWithoutState(plan.application, stage, input, at.offset)};
  }
  return std::nullopt;
}

bool HasStep(const Plan& plan, std::string_view kept_as) {
  return std::any_of(plan.stages.begin(), plan.stages.end(), [&](const Stage& stage) {
    return std::any_of(stage.nodes.begin(), stage.nodes.end(),
                       [&](const Node& node) { return node.kept_as() == kept_as; });
  });
}

// A step that is gone before any task of it has committed has left no changelog that tells of it; but rows may lie in
// front of it. Nobody would read them, and were the step put back, it would count them and miss those of meanwhile.
absl::StatusOr<std::vector<Verdict>> NeverRead(const Plan& plan, const Former& former, KafkaClient& kafka) {
  std::vector<Verdict> verdicts;
  for (const auto& [topic, info] : former.topics) {
    const std::string prefix = plan.application.TopicPrefix();
    if (!topic.starts_with(prefix) || !topic.ends_with(".repartition")) continue;
    const std::string step = topic.substr(prefix.size(), topic.find('.', prefix.size()) - prefix.size());
    if (!IsName(step) || HasStep(plan, step)) continue;
    std::vector<TopicPartition> all;
    for (int32_t p = 0; p < info.partitions; ++p) all.push_back({topic, p});
    TM_ASSIGN_OR_RETURN(const auto committed, kafka.admin().GroupOffsets(plan.application.Group(), all));
    const bool was_read =
        std::any_of(committed.begin(), committed.end(), [](const auto& at) { return at.second.offset >= 0; });
    if (was_read) continue;  // what is to be said of the step says its changelog, or it was given up
    LogRanges whole;
    for (const TopicPartition& partition : all) {
      TM_ASSIGN_OR_RETURN(whole[partition], CommittedRange(kafka.admin(), partition));
    }
    bool found = false;
    TM_RETURN_IF_ERROR(ReadRanges(kafka, whole, [&](const TopicPartition&, const RecordView& record) {
      const absl::StatusOr<PackedRecord> packed = OpenRecord(record.value.value_or(""));
      found = found || !packed.ok() || packed->header.rows() > 0;
      return !found;
    }));
    if (!found) continue;
    const std::string subject = absl::StrCat("step ", step);
    verdicts.push_back({subject, Verdict::Kind::kRefused,
                        absl::StrCat(subject,
                                     ": the topology has no such step any more, and rows that the former "
                                     "version has sent to it lie unread in ",
                                     topic,
                                     ". Run that version until they are read. If they aren't wanted, stop all workers "
                                     "and delete the topic ",
                                     topic)});
  }
  return verdicts;
}

// `kafka` null: nobody can say what lies in the topics.
absl::StatusOr<std::vector<Verdict>> Compare(const Plan& plan, const Former& former, KafkaClient* kafka,
                                             const AllowedDrops& drops) {
  Verdicts verdicts;
  for (const Stage& stage : plan.stages) {
    for (const Node& node : stage.nodes) {
      if (!StepFingerprint(node).empty()) verdicts.Add({absl::StrCat("step ", node.step), Verdict::Kind::kNew});
    }
  }
  for (const auto& [partition, record] : former.newest) {
    const std::string name = *plan.application.StageOfChangelog(partition.topic);
    const auto stage =
        std::find_if(plan.stages.begin(), plan.stages.end(), [&](const Stage& each) { return each.name == name; });
    const bool gone = stage == plan.stages.end();
    for (Verdict& verdict : gone ? GoneStage(plan, name, partition.topic, record, drops)
                                 : CompareSteps(plan, static_cast<int>(stage - plan.stages.begin()), record, drops)) {
      if (!gone && !verdict.goes_on()) verdict.message = absl::StrCat("stage ", name, ": ", verdict.message);
      verdicts.Add(std::move(verdict));
    }
  }
  const auto records = [&](int stage) {
    return former.RecordsOf(plan.application, plan.stages[static_cast<size_t>(stage)].name);
  };
  for (Verdict& missed : MissedChanges(plan, records)) verdicts.Add(std::move(missed));
  for (Verdict& mistaken : MistakenNames(plan, former, drops)) verdicts.Add(std::move(mistaken));
  if (kafka != nullptr) {
    TM_ASSIGN_OR_RETURN(std::vector<Verdict> unread, NeverRead(plan, former, *kafka));
    for (Verdict& each : unread) verdicts.Add(std::move(each));
  }
  for (const SinkPlan& sink : plan.sinks) {
    if (!sink.view) continue;
    if (std::optional<Verdict> found = CheckView(former, sink)) verdicts.Add(*std::move(found));
  }
  for (const Edge& edge : plan.edges) {
    const auto topic = former.topics.find(edge.topic);
    if (topic == former.topics.end()) continue;
    if (kafka != nullptr && edge.to_sink < 0) {
      TM_ASSIGN_OR_RETURN(std::optional<Verdict> found, CheckChangelog(plan, former, edge, *kafka));
      if (found) verdicts.Add(*std::move(found));
    }
    EdgeCheck check(plan, former, edge);
    if (std::optional<Verdict> found = check.Lacks()) {
      verdicts.Add(*std::move(found));
      continue;
    }
    if (check.Reads()) continue;
    if (kafka == nullptr) {
      verdicts.Add(check.Waits());
      continue;
    }
    TM_ASSIGN_OR_RETURN(std::optional<Verdict> found, check.Look(*kafka, topic->second.partitions));
    if (found) verdicts.Add(*std::move(found));
  }
  return verdicts.Take();
}

}  // namespace

absl::StatusOr<std::vector<Verdict>> CompareWithRunning(const Plan& plan, const Former& former, KafkaClient& kafka,
                                                        const AllowedDrops& drops) {
  TM_RETURN_IF_ERROR(CheckDrops(plan, former, drops));
  return Compare(plan, former, &kafka, drops);
}

std::vector<Verdict> CompareStates(const Plan& plan, const Former& former, const AllowedDrops& drops) {
  return *Compare(plan, former, nullptr, drops);
}

namespace {

// A step that was given up, and is begun anew.
bool WasGivenUp(const Former& former, const std::string& step) {
  return std::any_of(former.newest.begin(), former.newest.end(), [&](const auto& each) {
    const auto& steps = each.second.standing().steps();
    return std::any_of(steps.begin(), steps.end(),
                       [&](const auto& saved) { return saved.step() == step && IsGivenUp(saved); });
  });
}

}  // namespace

absl::Status CheckDrops(const Plan& plan, const Former& former, const AllowedDrops& drops) {
  for (const Stage& stage : plan.stages) {
    for (const Node& node : stage.nodes) {
      if (node.kind != Node::Kind::kOperator) continue;
      // Of a step that is kept under another name, its own means what was once kept under that.
      const std::string& named = node.kept_as();
      if (!drops.contains(named) || WasGivenUp(former, named)) continue;
      return absl::InvalidArgumentError(absl::StrCat("--allow_drop ", named,
                                                     ": the topology has that step, which goes on with its state: take "
                                                     "the step out, or leave out the flag"));
    }
  }
  return absl::OkStatus();
}

namespace {

bool IsKept(const Plan& plan, const Former& former, const std::string& name) {
  return std::any_of(former.newest.begin(), former.newest.end(), [&](const auto& each) {
    const packed::CommitRecord& record = each.second;
    const auto& steps = record.has_standing() ? record.standing().steps() : record.steps();
    return std::any_of(steps.begin(), steps.end(),
                       [&](const auto& saved) { return IsNamed(plan, {name}, record.standing(), saved.step()); });
  });
}

}  // namespace

std::vector<std::string> IdleDrops(const Plan& plan, const Former& former, const AllowedDrops& drops) {
  std::vector<std::string> idle;
  for (const std::string& name : drops) {
    if (IsKept(plan, former, name)) continue;
    std::string first;  // under which the step of that name is kept
    for (const Stage& stage : plan.stages) {
      for (const Node& node : stage.nodes) {
        if (node.kind == Node::Kind::kOperator && node.step == name && node.kept_as() != name) first = node.kept_as();
      }
    }
    idle.push_back(absl::StrCat("--allow_drop ", name, " gives nothing up: nothing is kept under that name",
                                first.empty()
                                    ? std::string(", or any more")
                                    : absl::StrCat(", and step ", name, " goes on with what is kept as ", first,
                                                   ". Leave `renamed_from: ", first, "` out and say --allow_drop ",
                                                   first, ", and it begins empty")));
  }
  return idle;
}

namespace {

// By the sources of the plan that read all topics of a pattern: what they have read, as was counted of each.
std::map<std::string, std::set<std::string>> ReadByPatterns(const Plan& plan, const Former& former) {
  std::map<std::string, std::set<std::string>> topics;
  for (const auto& [partition, record] : former.newest) {
    for (const packed::StepLedger& counted : record.ledger()) {
      const std::pair<std::string, std::string> parts = absl::StrSplit(counted.step(), absl::MaxSplits('[', 1));
      if (parts.second.empty() || PatternOf(plan, parts.first) == nullptr) continue;
      topics[parts.first].insert(parts.second.substr(0, parts.second.size() - 1));
    }
  }
  return topics;
}

}  // namespace

std::vector<std::string> GoneTopics(const Plan& plan, const Former& former) {
  std::map<std::string, Offset> read;  // by topic, of all its partitions
  for (const auto& [partition, record] : former.newest) {
    for (const packed::InputOffset& input : record.inputs()) read[input.topic()] += std::max<Offset>(0, input.offset());
  }
  std::set<std::string> reads;
  for (const SourcePlan& source : plan.sources) reads.insert(source.topic);
  std::vector<std::string> wrong;
  for (const auto& [name, topics] : ReadByPatterns(plan, former)) {
    const auto source = std::find_if(plan.sources.begin(), plan.sources.end(),
                                     [&](const SourcePlan& each) { return each.declared() == name; });
    const std::string& pattern = PatternOf(plan, name)->pattern;
    const auto matched = TopicsThatMatch(plan, pattern, {topics.begin(), topics.end()});
    if (source == plan.sources.end() || !matched.ok()) continue;
    if (matched->empty()) {
      wrong.push_back(absl::StrCat("source ", name, " has read ", absl::StrJoin(topics, ", "),
                                   ", none of which its pattern matches now (", pattern,
                                   "): what is kept of it is of other topics. Put the pattern back, or give the source "
                                   "another name"));
      continue;
    }
    for (const std::string& topic : topics) {
      const bool matches = std::find(matched->begin(), matched->end(), topic) != matched->end();
      const bool looked = source->of_pattern();  // which topics there are
      if (reads.contains(topic) || (matches && !looked)) continue;
      const std::string what =
          absl::StrCat("topic ", topic, ", which source ", name, " has read (", pattern, "; ", read[topic],
                       " offsets of it), ", matches ? "is gone" : "isn't matched by its pattern any more");
      if (source->skip_lost) {
        LOG(WARNING) << what << "; goes on without it, as on_data_loss says";
        continue;
      }
      wrong.push_back(absl::StrCat(what, ": records that weren't read are lost with it. State on_data_loss: skip for ",
                                   name, " to go on with the topics that there are, or ",
                                   matches ? "make it again first" : "have the pattern match it"));
    }
  }
  return wrong;
}

absl::Status CheckStart(const Plan& plan, KafkaClient& kafka, const AllowedDrops& drops) {
  TM_ASSIGN_OR_RETURN(const Former former, ReadFormer(plan, kafka));
  if (const auto gone = GoneTopics(plan, former); !gone.empty()) {
    return absl::FailedPreconditionError(absl::StrJoin(gone, "\n"));
  }
  TM_ASSIGN_OR_RETURN(const std::vector<Verdict> verdicts, CompareWithRunning(plan, former, kafka, drops));
  TM_RETURN_IF_ERROR(Refusal(verdicts));
  for (const std::string& idle : IdleDrops(plan, former, drops)) LOG(WARNING) << idle;
  for (const Verdict& verdict : verdicts) {
    LOG_IF(WARNING, verdict.allowed) << verdict.subject << ": its state is given up, as --allow_drop says"
                                     << (verdict.open > 0 ? absl::StrCat(", ", verdict.open, " rows in open windows")
                                                          : "");
  }
  return absl::OkStatus();
}

std::vector<std::string> ChangelogsGivenUp(const Plan& plan, const Former& former, const AllowedDrops& drops) {
  std::map<std::string, bool> given_up;  // by changelog: all that its tasks have kept may go
  for (const auto& [partition, record] : former.newest) {
    if (HasStage(plan, *plan.application.StageOfChangelog(partition.topic))) continue;
    const std::vector<packed::StepIdentity> left = LeftInStage(plan, record);
    if (left.empty()) continue;
    const bool all = std::all_of(left.begin(), left.end(), [&](const auto& step) {
      return IsNamed(plan, drops, record.standing(), step.step());
    });
    bool& whole = given_up.emplace(partition.topic, true).first->second;
    whole = whole && all;
  }
  std::vector<std::string> changelogs;
  for (const auto& [changelog, whole] : given_up) {
    if (whole) changelogs.push_back(changelog);
  }
  return changelogs;
}

}  // namespace tidemark
