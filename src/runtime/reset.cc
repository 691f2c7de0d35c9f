#include "src/runtime/reset.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <thread>
#include <utility>
#include <variant>

#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

#include "operators/sinks/postgres/libpq.h"
#include "src/base/failpoint.h"
#include "src/base/intake_names.h"
#include "src/base/status.h"
#include "src/base/status_topic.h"
#include "src/base/time.h"
#include "src/plan/intakes.h"
#include "src/runtime/former.h"
#include "src/runtime/offset_metadata.h"
#include "src/runtime/reset_sinks.h"
#include "src/runtime/topics.h"

namespace tidemark {
namespace {

// How long members of workers that have just stopped may stay: longer than their session.
constexpr auto kMembersPatience = std::chrono::seconds(20);
constexpr auto kBetweenLooks = std::chrono::milliseconds(300);
// A record that was read last is looked for so far back: markers of transactions lie between.
constexpr Offset kLastRead = 200;

// "town.x.changelog" and the like; what a user has called so stays.
bool IsInternal(const Plan& plan, const std::string& topic) {
  std::set<std::string> others = SideTopics(plan);
  others.insert(plan.dead_letter_topic);
  for (const SourcePlan& source : plan.sources) {
    if (!source.intake()) others.insert(source.topic);
  }
  for (const TablePlan& table : plan.tables) others.insert(table.topic);
  for (const SinkPlan& sink : plan.sinks) {
    const auto* kafka = std::get_if<KafkaSinkSpec>(&sink.spec);
    if (kafka != nullptr && !sink.view) others.insert(kafka->topic);
  }
  if (topic == StatusTopic(plan.application) || topic == plan.application.AlarmsTopic()) return true;
  const std::string prefix = plan.application.TopicPrefix();
  if (!absl::StartsWith(topic, prefix) || others.contains(topic)) return false;
  const std::vector<std::string> words = absl::StrSplit(topic.substr(prefix.size()), '.');
  const std::string& kind = words.back();
  const bool shuffle = kind == "repartition" && words.size() == 3;  // in front of a step with several inputs
  if (words.size() != 2 && !shuffle) return false;
  if (!std::all_of(words.begin(), words.end(), [](const std::string& word) { return IsName(word); })) return false;
  for (const char* each : {"changelog", "repartition", "feed", "intake", "positions", "notes", "requests", "view"}) {
    if (kind == each) return true;
  }
  return false;
}

std::vector<std::string> Groups(const Plan& plan) {
  std::vector<std::string> groups = {plan.application.Group()};
  for (const SinkPlan& sink : plan.sinks) {
    if (!std::holds_alternative<KafkaSinkSpec>(sink.spec)) groups.push_back(plan.application.SinkGroup(sink.kept_as()));
  }
  for (const IntakePlan& intake : IntakesOf(plan)) {
    groups.push_back(IntakeNames{plan.application, intake.name}.Group());
  }
  groups.push_back(plan.application.AlarmsGroup());  // also where `notify` was taken out
  return groups;
}

// Members of workers that have stopped are waited for.
absl::Status AwaitNobody(const Plan& plan, ResetClient& client) {
  const auto until = std::chrono::steady_clock::now() + kMembersPatience;
  for (const std::string& group : Groups(plan)) {
    while (true) {
      TM_ASSIGN_OR_RETURN(const bool empty, client.IsEmpty(group));
      if (empty) break;
      if (std::chrono::steady_clock::now() > until) {
        return absl::FailedPreconditionError(absl::StrCat("group ", group, " has members. Stop all workers of ",
                                                          plan.application.name, ", and run this again"));
      }
      std::this_thread::sleep_for(kBetweenLooks);
    }
  }
  return absl::OkStatus();
}

TopicPartition MarkOf(const Plan& plan) { return {plan.dead_letter_topic, 0}; }

class Planner {
 public:
  Planner(const Plan& plan, const ResetTo& to, KafkaClient& kafka) : plan_(plan), to_(to), kafka_(kafka) {}

  absl::StatusOr<ResetPlan> Make() {
    TM_RETURN_IF_ERROR(CheckSources());
    TM_RETURN_IF_ERROR(Places());
    // One that resumes has asked already, and topics may be gone by half.
    if (!reset_.resumes) TM_RETURN_IF_ERROR(CheckKnown(plan_, kafka_));
    TM_RETURN_IF_ERROR(Replayed());
    TM_ASSIGN_OR_RETURN(const auto topics, kafka_.admin().List(plan_.application.TopicPrefix()));
    for (const auto& [topic, info] : topics) {
      if (IsInternal(plan_, topic)) reset_.topics.push_back(topic);
    }
    reset_.complete =
        to_.at == ResetTo::At::kEarliest && std::all_of(reset_.starts.begin(), reset_.starts.end(),
                                                        [](const auto& each) { return each.second.log_start == 0; });
    std::vector<std::string> refused;
    for (const SinkPlan& sink : plan_.sinks) {
      absl::StatusOr<std::string> line = SinkAfterReset(plan_, sink, reset_.complete);
      if (absl::IsInvalidArgument(line.status())) {
        refused.emplace_back(line.status().message());
        continue;
      }
      TM_RETURN_IF_ERROR(line.status());
      reset_.sinks.push_back(*std::move(line));
    }
    if (!refused.empty()) return absl::InvalidArgumentError(absl::StrJoin(refused, "\n"));
    return std::move(reset_);
  }

 private:
  absl::Status CheckSources() {
    for (const SourcePlan& source : plan_.sources) {
      if (!source.intake()) continue;
      if (source.postgres) {
        return absl::InvalidArgumentError(
            absl::StrCat("source ", source.name,
                         " reads a table, and a new snapshot wouldn't tell of rows that were "
                         "deleted since: give the topology a new name and the source a new slot"));
      }
      if (!source.files) {
        return absl::InvalidArgumentError(
            absl::StrCat("source ", source.name,
                         " isn't read from a topic or from files: what came in was let go of "
                         "once it was processed, and can't be read again. Give the topology a new name instead"));
      }
      if (to_.at != ResetTo::At::kEarliest) {
        return absl::InvalidArgumentError(absl::StrCat(
            "source ", source.name, " reads files, which have no such places: only --to_earliest reads them again"));
      }
      reset_.notes.push_back(absl::StrCat("source ", source.name, " reads all files again that are in ",
                                          source.files->path, "; those that were moved away aren't there"));
    }
    return absl::OkStatus();
  }

  absl::Status Places() {
    std::vector<std::string> topics = {plan_.dead_letter_topic};
    for (const SourcePlan& source : plan_.sources) {
      if (!source.intake()) topics.push_back(source.topic);
    }
    TM_ASSIGN_OR_RETURN(const auto found, kafka_.admin().Describe(topics));
    for (const std::string& topic : topics) {
      if (found.contains(topic)) continue;
      if (topic == plan_.dead_letter_topic) {
        return absl::InvalidArgumentError(absl::StrCat("nothing has run under the name ", plan_.application.name,
                                                       ": it has no topic ", topic,
                                                       ". Where a first run begins, `start` of the sources says"));
      }
      return absl::InvalidArgumentError(absl::StrCat("topic '", topic, "' does not exist"));
    }
    std::vector<TopicPartition> partitions = {MarkOf(plan_)};
    for (size_t t = 1; t < topics.size(); ++t) {
      for (int32_t p = 0; p < found.at(topics[t]).partitions; ++p) partitions.push_back({topics[t], p});
    }
    TM_ASSIGN_OR_RETURN(const auto stands, kafka_.admin().GroupOffsets(plan_.application.Group(), partitions));
    for (const TopicPartition& partition : partitions) {
      const auto at = stands.find(partition);
      const CommittedOffset committed = at == stands.end() ? CommittedOffset{} : at->second;
      if (partition == MarkOf(plan_)) {
        reset_.resumes = committed.metadata == kResetBegun;
        continue;
      }
      ResetPlan::Start& start = reset_.starts[partition];
      start.stands = committed.offset;
      TM_ASSIGN_OR_RETURN(std::tie(start.log_start, start.log_end), CommittedRange(kafka_.admin(), partition));
      TM_ASSIGN_OR_RETURN(start.begins, Begin(partition, start));
    }
    for (const auto& [partition, offset] : to_.offsets) {
      if (!reset_.starts.contains(partition)) {
        return absl::InvalidArgumentError(absl::StrCat(ToString(partition), " is no partition of a source"));
      }
    }
    return absl::OkStatus();
  }

  // What was replayed stays noted, as dead letters stay, and isn't replayed again: but what is in the sources is.
  absl::Status Replayed() {
    // One log for all generations: sources and dead letters are theirs together.
    const TopicPartition notes{ApplicationId{plan_.application.name}.ReplayedTopic(), 0};
    TM_ASSIGN_OR_RETURN(const auto found, kafka_.admin().Describe({notes.topic}));
    if (found.empty() || to_.at == ResetTo::At::kLatest) return absl::OkStatus();
    TM_ASSIGN_OR_RETURN(const auto range, CommittedRange(kafka_.admin(), notes));
    if (range.first < range.second) {
      reset_.notes.emplace_back(
          "records that were replayed from dead letters stand in their sources beside the originals: where the "
          "originals can be read now, both count");
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Offset> Begin(const TopicPartition& partition, const ResetPlan::Start& start) {
    switch (to_.at) {
      case ResetTo::At::kEarliest:
        return start.log_start;
      case ResetTo::At::kLatest:
        return start.log_end;
      case ResetTo::At::kTime:
        return kafka_.admin().OffsetForTime(partition, to_.timestamp_ms);
      case ResetTo::At::kBack:
        return Back(partition, start);
      case ResetTo::At::kOffsets:
        break;
    }
    const auto stated = to_.offsets.find(partition);
    if (stated == to_.offsets.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("no offset is stated for ", ToString(partition), ": name all partitions of all sources"));
    }
    if (stated->second >= start.log_start && stated->second <= start.log_end) return stated->second;
    return absl::InvalidArgumentError(absl::StrCat("offset ", stated->second, " of ", ToString(partition),
                                                   " isn't there: the log goes from ", start.log_start, " to ",
                                                   start.log_end));
  }

  // By the time of the record that was read last.
  absl::StatusOr<Offset> Back(const TopicPartition& partition, const ResetPlan::Start& start) {
    const Offset stands = std::min(start.stands, start.log_end);
    if (stands <= start.log_start) return start.log_start;
    int64_t last_ms = -1;
    const Offset from = std::max(start.log_start, stands - kLastRead);
    TM_RETURN_IF_ERROR(ReadRanges(kafka_, {{partition, {from, stands}}}, [&](const auto&, const RecordView& record) {
      last_ms = record.timestamp_ms;
      return true;
    }));
    if (last_ms < 0) return start.log_start;
    return kafka_.admin().OffsetForTime(partition, std::max<int64_t>(0, last_ms - to_.back_us / kMillisecond));
  }

  const Plan& plan_;
  const ResetTo& to_;
  KafkaClient& kafka_;
  ResetPlan reset_;
};

// The mark beside all positions, which stay what they are.
absl::Status Mark(const Plan& plan, const ResetPlan& reset, ResetClient& client) {
  std::vector<OffsetToCommit> marks = {{MarkOf(plan), 0, kResetBegun}};
  for (const auto& [partition, start] : reset.starts) {
    marks.push_back({partition, start.stands >= 0 ? start.stands : start.begins, kResetBegun});
  }
  return client.CommitForEmptyGroup(plan.application.Group(), marks);
}

absl::Status CheckMark(const Plan& plan, const ResetPlan& reset, Admin& admin) {
  std::vector<TopicPartition> partitions = {MarkOf(plan)};
  for (const auto& [partition, start] : reset.starts) partitions.push_back(partition);
  TM_ASSIGN_OR_RETURN(const auto stand, admin.GroupOffsets(plan.application.Group(), partitions));
  for (const TopicPartition& partition : partitions) {
    const auto found = stand.find(partition);
    if (found != stand.end() && found->second.metadata == kResetBegun) continue;
    return absl::UnavailableError(absl::StrCat(ToString(partition),
                                               ": the group has another position than was "
                                               "committed a moment ago: is another reset running?"));
  }
  return absl::OkStatus();
}

absl::Status Begin(const Plan& plan, const ResetPlan& reset, ResetClient& client) {
  std::vector<OffsetToCommit> starts = {{MarkOf(plan), 0, kResetDone}};
  for (const auto& [partition, start] : reset.starts) starts.push_back({partition, start.begins, kStartHere});
  return client.CommitForEmptyGroup(plan.application.Group(), starts);
}

// The transactions of an intake name no group that would refuse them: a worker that was frozen could commit one into
// topics that are made again.
absl::Status FenceIntakes(const Plan& plan, KafkaClient& kafka) {
  for (const IntakePlan& intake : IntakesOf(plan)) {
    const IntakeNames names{plan.application, intake.name};
    TM_ASSIGN_OR_RETURN(const auto found, kafka.admin().Describe({names.PositionsTopic()}));
    const int32_t splits = found.empty() ? 1 : found.begin()->second.partitions;
    for (int32_t split = 0; split < splits; ++split) {
      const std::string id = names.TransactionalId(split);
      TM_ASSIGN_OR_RETURN(const auto producer, kafka.NewProducer({.transactional_id = id, .client_id = id}));
      TM_RETURN_IF_ERROR(producer->InitTransactions());
    }
  }
  return absl::OkStatus();
}

// Brokers forget positions in topics that are deleted, a moment later. An earlier run may have deleted some just now:
// so those of the plan, as the next start makes them, are looked at as well as those that were `deleted`.
absl::Status AwaitForgotten(const Plan& plan, const std::map<std::string, TopicInfo>& deleted, Admin& admin) {
  TM_ASSIGN_OR_RETURN(FoundTopics found, FindTopics(plan, admin));
  PartitionCounts counts;
  for (const auto& [topic, count] : found.counts) {
    if (IsInternal(plan, topic)) counts[topic] = count;
  }
  for (const auto& [topic, info] : deleted) counts[topic] = std::max(counts[topic], info.partitions);
  std::vector<TopicPartition> partitions;
  for (const auto& [topic, count] : counts) {
    for (int32_t p = 0; p < count; ++p) partitions.push_back({topic, p});
  }
  const auto until = std::chrono::steady_clock::now() + kMembersPatience;
  for (const std::string& group : Groups(plan)) {
    while (true) {
      TM_ASSIGN_OR_RETURN(const auto stand, admin.GroupOffsets(group, partitions));
      const auto left = std::find_if(stand.begin(), stand.end(), [](const auto& at) { return at.second.offset >= 0; });
      if (left == stand.end()) break;
      if (std::chrono::steady_clock::now() > until) {
        return absl::UnavailableError(
            absl::StrCat("group ", group, " still has a position in ", ToString(left->first),
                         ", which is deleted. Its coordinator forgets it once it hears of that: "
                         "run this again, or, where that broker was down meanwhile, give the "
                         "topology a new name"));
      }
      std::this_thread::sleep_for(kBetweenLooks);
    }
  }
  return absl::OkStatus();
}

// Behind the mark.
absl::Status ClearAndBegin(const Plan& plan, const ResetPlan& reset, KafkaClient& kafka, ResetClient& client) {
  Admin& admin = kafka.admin();
  TM_RETURN_IF_ERROR(CheckMark(plan, reset, admin));
  TM_RETURN_IF_ERROR(AwaitNobody(plan, client));
  TM_RETURN_IF_ERROR(Failpoint("reset.marked"));
  for (const SinkPlan& sink : plan.sinks) {
    if (!std::holds_alternative<ParquetSinkSpec>(sink.spec)) continue;
    TM_RETURN_IF_ERROR(SettleLake(plan, sink, reset.complete, kafka));
  }
  TM_RETURN_IF_ERROR(FenceIntakes(plan, kafka));
  TM_ASSIGN_OR_RETURN(auto topics, admin.List(plan.application.TopicPrefix()));
  std::erase_if(topics, [&](const auto& topic) { return !IsInternal(plan, topic.first); });
  for (const auto& [topic, info] : topics) {
    TM_RETURN_IF_ERROR(client.DeleteTopic(topic));
    TM_RETURN_IF_ERROR(Failpoint("reset.topic_deleted"));
  }
  for (const SinkPlan& sink : plan.sinks) {
    const auto* postgres = std::get_if<PostgresSinkSpec>(&sink.spec);
    if (postgres == nullptr) continue;
    TM_RETURN_IF_ERROR(RewindPostgres(*postgres, plan.application.Key(), sink.kept_as()));
    TM_RETURN_IF_ERROR(Failpoint("reset.sink_rewound"));
  }
  TM_RETURN_IF_ERROR(AwaitForgotten(plan, topics, admin));
  TM_RETURN_IF_ERROR(AwaitNobody(plan, client));
  return Begin(plan, reset, client);
}

}  // namespace

absl::StatusOr<std::map<TopicPartition, Offset>> ParseResetOffsets(std::string_view text) {
  std::map<TopicPartition, Offset> offsets;
  int number = 0;
  for (const absl::string_view line : absl::StrSplit(absl::string_view(text.data(), text.size()), '\n')) {
    ++number;
    const std::vector<std::string> words = absl::StrSplit(line, absl::ByAnyChar(" \t\r,"), absl::SkipEmpty());
    if (words.empty() || words[0][0] == '#') continue;
    TopicPartition partition{words[0], 0};
    Offset offset = 0;
    if (words.size() != 3 || !absl::SimpleAtoi(words[1], &partition.partition) ||
        !absl::SimpleAtoi(words[2], &offset) || partition.partition < 0 || offset < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", number, ": expected `topic partition offset`, found '", line, "'"));
    }
    if (!offsets.emplace(partition, offset).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", number, ": ", ToString(partition), " stands there twice"));
    }
  }
  return offsets;
}

absl::StatusOr<ResetPlan> PlanReset(const Plan& plan, const ResetTo& to, KafkaClient& kafka) {
  return Planner(plan, to, kafka).Make();
}

absl::Status ExecuteReset(const Plan& plan, const ResetPlan& reset, KafkaClient& kafka, ResetClient& client) {
  TM_RETURN_IF_ERROR(AwaitNobody(plan, client));
  const absl::Status marked = Mark(plan, reset, client);
  if (absl::IsFailedPrecondition(marked)) return marked;
  if (!marked.ok()) return Annotate(marked, "it isn't known whether the reset has begun, run it again");
  return Annotate(ClearAndBegin(plan, reset, kafka, client), "the reset has begun and isn't done, run it again");
}

std::string ResetReport(const Plan& plan, const ResetPlan& reset, bool done) {
  std::string out = absl::StrCat("reset of ", plan.application.Key(),
                                 done            ? ": done"
                                 : reset.resumes ? ": an earlier one has begun and isn't done"
                                                 : "",
                                 "\n", done ? "begins at" : "would begin at", "\n");
  for (const auto& [partition, start] : reset.starts) {
    absl::StrAppendFormat(&out, "  %-32s %d, of %d to %d; %s\n", ToString(partition), start.begins, start.log_start,
                          start.log_end,
                          start.stands < 0 ? "nothing was read" : absl::StrCat("stood at ", start.stands));
  }
  absl::StrAppend(&out, done ? "deleted" : "would be deleted", ", with all state and all rows under way\n");
  for (const std::string& topic : reset.topics) absl::StrAppend(&out, "  ", topic, "\n");
  absl::StrAppend(&out, "what stands in sinks stays\n");
  for (const std::string& sink : reset.sinks) absl::StrAppend(&out, "  ", sink, "\n");
  for (const std::string& note : reset.notes) absl::StrAppend(&out, note, "\n");
  if (!reset.complete) {
    absl::StrAppend(&out,
                    "Not all of the input is read again: what is counted over time (windows, group_by, top) is "
                    "counted from the rows behind these places alone, and rows on their way to sinks are dropped.\n");
  }
  absl::StrAppend(&out, done ? "Start the workers within a week; each drops its local state by itself.\n"
                             : "Nothing has changed. With --execute it is done, once all workers are stopped.\n");
  return out;
}

}  // namespace tidemark
