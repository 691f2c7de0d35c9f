#include "src/runtime/generations/fence.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>

#include <absl/strings/str_cat.h>

#include "src/base/status.h"
#include "src/runtime/former.h"
#include "src/runtime/generations/fence_mark.h"
#include "src/runtime/offset_metadata.h"
#include "src/runtime/topics.h"

namespace tidemark {
namespace {

// "tidemark:moved:2:" and what stood there.
bool TakeMark(std::string* metadata) {
  if (metadata->rfind(kMoved, 0) != 0) return false;
  const size_t end = metadata->find(':', sizeof kMoved - 1);
  *metadata = end == std::string::npos ? "" : metadata->substr(end + 1);
  return true;
}

std::vector<TopicPartition> InputPartitions(const Plan& plan, const PartitionCounts& counts) {
  std::vector<TopicPartition> partitions;
  for (const Stage& stage : plan.stages) {
    for (const std::string& topic : InputTopics(plan, stage)) {
      for (int32_t p = 0; p < counts.at(topic); ++p) partitions.push_back({topic, p});
    }
  }
  return partitions;
}

absl::StatusOr<bool> Marked(const Plan& plan, KafkaClient& kafka) {
  TM_ASSIGN_OR_RETURN(const auto counts, ResolveTopics(plan, kafka.admin(), /*create=*/false));
  TM_ASSIGN_OR_RETURN(const auto found,
                      kafka.admin().GroupOffsets(plan.application.Group(), InputPartitions(plan, counts)));
  return std::any_of(found.begin(), found.end(),
                     [](const auto& at) { return at.second.metadata.rfind(kMoved, 0) == 0; });
}

class Reader {
 public:
  Reader(const Plan& plan, KafkaClient& kafka) : plan_(plan), kafka_(kafka) {}

  absl::StatusOr<Stand> Read() {
    TM_ASSIGN_OR_RETURN(counts_, ResolveTopics(plan_, kafka_.admin(), /*create=*/false));
    TM_RETURN_IF_ERROR(Positions());
    TM_RETURN_IF_ERROR(NothingOpen());
    TM_RETURN_IF_ERROR(AsInChangelogs());
    TM_RETURN_IF_ERROR(Drained());
    return std::move(stand_);
  }

 private:
  std::vector<TopicPartition> PartitionsOf(const std::string& topic) const {
    std::vector<TopicPartition> partitions;
    for (int32_t p = 0; p < counts_.at(topic); ++p) partitions.push_back({topic, p});
    return partitions;
  }

  std::vector<TopicPartition> InternalPartitions() const {
    std::vector<TopicPartition> partitions;
    const auto add = [&](const std::string& topic) {
      for (TopicPartition& each : PartitionsOf(topic)) partitions.push_back(std::move(each));
    };
    for (const Stage& stage : plan_.stages) add(plan_.application.ChangelogTopic(stage.name));
    for (const Edge& edge : plan_.edges) add(edge.topic);
    return partitions;
  }

  // Waits for what is pending, which is decided then: the answer is of no member that was expelled before it was asked.
  absl::Status Positions() {
    const std::vector<TopicPartition> partitions = InputPartitions(plan_, counts_);
    TM_ASSIGN_OR_RETURN(auto found, kafka_.admin().GroupOffsets(plan_.application.Group(), partitions));
    size_t marked = 0;
    for (const TopicPartition& partition : partitions) {
      CommittedOffset& at = found[partition];
      marked += TakeMark(&at.metadata) ? 1 : 0;
    }
    stand_.positions = std::move(found);
    stand_.marked = marked > 0;
    stand_.wholly_marked = marked > 0 && marked == stand_.positions.size();
    for (const SourcePlan& source : plan_.sources) {
      for (const TopicPartition& each : PartitionsOf(source.topic)) {
        stand_.sources[each] = stand_.positions.at(each).offset;
      }
    }
    return absl::OkStatus();
  }

  // An open transaction hides what was committed behind it, in the log as in what a reader of it may know.
  absl::Status NothingOpen() {
    const std::vector<TopicPartition> partitions = InternalPartitions();
    TM_ASSIGN_OR_RETURN(ends_, kafka_.admin().LogEnds(partitions, Isolation::kReadUncommitted));
    TM_ASSIGN_OR_RETURN(const auto stable, kafka_.admin().LogEnds(partitions, Isolation::kReadCommitted));
    for (const TopicPartition& partition : partitions) {
      const auto end = ends_.find(partition);
      const auto known = stable.find(partition);
      if (end == ends_.end() || known == stable.end() || known->second < end->second) {
        return absl::UnavailableError(absl::StrCat("a transaction in ", ToString(partition), " is still open"));
      }
    }
    return absl::OkStatus();
  }

  // The changelog is what a commit was; the group's positions are of the same one.
  absl::Status AsInChangelogs() {
    TM_ASSIGN_OR_RETURN(const Former former, ReadFormer(plan_, kafka_));
    TM_RETURN_IF_ERROR(AsRegistered(former));
    for (const Stage& stage : plan_.stages) {
      const std::string changelog = plan_.application.ChangelogTopic(stage.name);
      for (const TopicPartition& log : PartitionsOf(changelog)) {
        const auto record = former.newest.find(log);
        for (const std::string& topic : InputTopics(plan_, stage)) {
          const TopicPartition input{topic, log.partition};
          if (record != former.newest.end()) TM_RETURN_IF_ERROR(SameCommit(input, log, record->second));
        }
      }
    }
    return absl::OkStatus();
  }

  // Its commits know what has run; the plan may be of another version of the file.
  absl::Status AsRegistered(const Former& former) {
    for (const auto& [log, record] : former.newest) {
      const std::optional<std::string> name = plan_.application.StageOfChangelog(log.topic);
      const auto stage = std::find_if(plan_.stages.begin(), plan_.stages.end(),
                                      [&](const Stage& each) { return name && each.name == *name; });
      if (stage == plan_.stages.end()) {
        Unregistered(absl::StrCat("stage ", name.value_or(""),
                                  " has committed and isn't in it. Where it was taken out, ", "delete its topic ",
                                  log.topic));
        continue;
      }
      const std::vector<std::string> inputs = InputTopics(plan_, *stage);
      for (const auto& input : record.inputs()) {
        if (std::find(inputs.begin(), inputs.end(), input.topic()) != inputs.end()) continue;
        Unregistered(absl::StrCat("stage ", *name, " has read topic ", input.topic(),
                                  ", which isn't among its inputs. ",
                                  "Where it was taken out, let the stage commit once more"));
      }
    }
    for (const auto& [topic, info] : former.topics) {
      const std::string sink = SinkOfFeed(topic);
      if (sink.empty()) continue;
      std::vector<TopicPartition> partitions;
      for (int32_t p = 0; p < info.partitions; ++p) partitions.push_back({topic, p});
      TM_ASSIGN_OR_RETURN(const auto ends, kafka_.admin().LogEnds(partitions, Isolation::kReadCommitted));
      TM_ASSIGN_OR_RETURN(auto confirmed, kafka_.admin().GroupOffsets(plan_.application.SinkGroup(sink), partitions));
      for (const auto& [partition, end] : ends) {
        if (end == 0 || confirmed[partition].offset >= end) continue;
        Unregistered(absl::StrCat("sink ", sink, " isn't in it and has rows in ", ToString(partition),
                                  " that weren't written. Where it was taken out, delete that topic"));
      }
    }
    return absl::OkStatus();
  }

  // Of one that the plan doesn't have; "": the topic is none, or another generation's.
  std::string SinkOfFeed(const std::string& topic) const {
    const std::string prefix = plan_.application.TopicPrefix();
    if (topic.rfind(prefix, 0) != 0) return "";
    const std::string sink = topic.substr(prefix.size(), topic.find('.', prefix.size()) - prefix.size());
    if (!IsName(sink) || topic != plan_.application.FeedTopic(sink)) return "";
    const bool known =
        std::any_of(plan_.edges.begin(), plan_.edges.end(), [&](const Edge& edge) { return edge.topic == topic; });
    return known ? "" : sink;
  }

  void Unregistered(std::string what) {
    if (stand_.unregistered.empty()) stand_.unregistered = std::move(what);
  }

  absl::Status SameCommit(const TopicPartition& input, const TopicPartition& log, const packed::CommitRecord& record) {
    const auto in_record = std::find_if(record.inputs().begin(), record.inputs().end(),
                                        [&](const auto& each) { return each.topic() == input.topic; });
    if (in_record == record.inputs().end()) return absl::OkStatus();  // an input that the stage hasn't had yet
    CommittedOffset& at = stand_.positions.at(input);
    std::optional<OffsetMetadata> metadata = OffsetMetadata::Parse(at.metadata);
    if (at.offset < 0) {  // groups forget after a week; the record's own offsets are used then
      at.offset = in_record->offset();
      if (stand_.sources.contains(input)) stand_.sources[input] = at.offset;
      return absl::OkStatus();
    }
    if (metadata && metadata->commit == record.commit() && metadata->identity == record.identity() &&
        at.offset == in_record->offset()) {
      return absl::OkStatus();
    }
    // A commit that was decided behind a mark leaves the mark's position in the group: what it was stands in the log.
    if (metadata && metadata->identity == record.identity() && metadata->commit < record.commit()) {
      metadata->commit = record.commit();
      metadata->busy = true;  // it isn't known
      at = {in_record->offset(), metadata->ToString()};
      if (stand_.sources.contains(input)) stand_.sources[input] = at.offset;
      return absl::OkStatus();
    }
    return absl::FailedPreconditionError(absl::StrCat("group ", plan_.application.Group(), " stands at offset ",
                                                      at.offset, " of ", ToString(input), ", and the newest commit in ",
                                                      ToString(log), " at ", in_record->offset()));
  }

  absl::Status Drained() {
    LogRanges unread;
    std::map<TopicPartition, std::string> readers;
    for (const Edge& edge : plan_.edges) {
      std::map<TopicPartition, CommittedOffset> confirmed = stand_.positions;
      std::string reader;
      if (edge.to_sink >= 0) {
        reader = plan_.application.SinkGroup(edge.kept_as);
        TM_ASSIGN_OR_RETURN(confirmed, kafka_.admin().GroupOffsets(reader, PartitionsOf(edge.topic)));
        reader = "; " + reader + " writes it";
      }
      for (const TopicPartition& partition : PartitionsOf(edge.topic)) {
        const Offset end = ends_.at(partition), position = confirmed[partition].offset;
        if (end == 0 || position >= end) continue;
        TM_ASSIGN_OR_RETURN(const Offset start, kafka_.admin().LogStart(partition));
        if (position >= 0 && start > position) {
          Undrained(partition, absl::StrCat("; what it had from ", position, " to ", start,
                                            " was deleted before that was read", reader));
          continue;
        }
        unread[partition] = {std::max(start, position), end};
        readers[partition] = reader;
      }
    }
    TM_RETURN_IF_ERROR(FindRows(unread, readers));
    for (const auto& [partition, at] : stand_.positions) {
      const std::optional<OffsetMetadata> metadata = OffsetMetadata::Parse(at.metadata);
      if (metadata && metadata->busy) Undrained(partition, "; its task has more to give");
    }
    return absl::OkStatus();
  }

  // A worker that was fenced as it wrote leaves what is aborted then, behind what was read: that is nobody's.
  absl::Status FindRows(const LogRanges& unread, const std::map<TopicPartition, std::string>& readers) {
    return ReadRanges(kafka_, unread, [&](const TopicPartition& partition, const RecordView&) {
      Undrained(partition, readers.at(partition));
      return false;
    });
  }

  void Undrained(const TopicPartition& partition, const std::string& what) {
    if (stand_.undrained.empty()) stand_.undrained = absl::StrCat(ToString(partition), " isn't read to its end", what);
  }

  const Plan& plan_;
  KafkaClient& kafka_;
  PartitionCounts counts_;
  std::map<TopicPartition, Offset> ends_;  // of internal topics
  Stand stand_;
};

}  // namespace

absl::StatusOr<Stand> ReadStand(const Plan& plan, KafkaClient& kafka) { return Reader(plan, kafka).Read(); }

std::vector<std::string> GroupsOf(const Plan& plan) {
  std::vector<std::string> groups = {plan.application.Group()};
  for (const SinkPlan& sink : plan.sinks) {
    if (!std::holds_alternative<KafkaSinkSpec>(sink.spec)) groups.push_back(plan.application.SinkGroup(sink.kept_as()));
  }
  return groups;
}

absl::StatusOr<std::string> BusyGroup(const Plan& plan, ResetClient& client) {
  for (const std::string& group : GroupsOf(plan)) {
    TM_ASSIGN_OR_RETURN(const bool empty, client.IsEmpty(group));
    if (!empty) return group;
  }
  return std::string();
}

absl::Status Fence(const Plan& plan, int32_t to, const Stand& stand, ResetClient& client) {
  std::vector<OffsetToCommit> marks;
  for (const auto& [partition, at] : stand.positions) {
    if (at.offset < 0) continue;
    marks.push_back({partition, at.offset, absl::StrCat(kMoved, to, ":", at.metadata)});
  }
  return client.CommitForEmptyGroup(plan.application.Group(), marks);
}

absl::Status Unfence(const Plan& plan, KafkaClient& kafka, ResetClient& client,
                     const std::function<absl::Status()>& still_mine) {
  TM_ASSIGN_OR_RETURN(const bool marked, Marked(plan, kafka));
  if (!marked) return absl::OkStatus();
  TM_ASSIGN_OR_RETURN(const Stand stand, ReadStand(plan, kafka));
  std::vector<OffsetToCommit> positions;
  for (const auto& [partition, at] : stand.positions) {
    if (at.offset >= 0) positions.push_back({partition, at.offset, at.metadata});
  }
  if (still_mine) TM_RETURN_IF_ERROR(still_mine());
  return client.CommitForEmptyGroup(plan.application.Group(), positions);
}

}  // namespace tidemark
