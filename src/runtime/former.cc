#include "src/runtime/former.h"

#include <algorithm>
#include <memory>
#include <set>

#include <absl/strings/str_cat.h>

#include "src/base/status.h"
#include "src/base/time.h"
#include "src/codec/packed_schema.h"
#include "src/runtime/kept_check.h"
#include "src/runtime/offset_metadata.h"
#include "src/runtime/renamed.h"
#include "src/runtime/step_identity.h"
#include "src/runtime/topics.h"

namespace tidemark {
namespace {

// A commit is an announcement, a record or a few, and a marker: this much of a log's end mostly holds a whole one.
constexpr Offset kFirstLook = 8;
constexpr int kMostEmptyPolls = 300;  // of a tenth of a second

}  // namespace

absl::StatusOr<std::pair<Offset, Offset>> CommittedRange(Admin& admin, const TopicPartition& partition) {
  TM_ASSIGN_OR_RETURN(const Offset start, admin.LogStart(partition));
  TM_ASSIGN_OR_RETURN(const Offset end, admin.LogEnd(partition, Isolation::kReadCommitted));
  return std::make_pair(start, end);
}

absl::Status ReadRanges(KafkaClient& kafka, const LogRanges& ranges,
                        const std::function<bool(const TopicPartition&, const RecordView&)>& seen) {
  std::vector<std::pair<TopicPartition, Offset>> positions;
  std::set<TopicPartition> open;
  for (const auto& [partition, range] : ranges) {
    if (range.first >= range.second) continue;
    positions.emplace_back(partition, range.first);
    open.insert(partition);
  }
  if (open.empty()) return absl::OkStatus();
  TM_ASSIGN_OR_RETURN(const std::unique_ptr<Consumer> reader, kafka.NewConsumer({.client_id = "tidemark-start-check"}));
  TM_RETURN_IF_ERROR(reader->Assign(positions));
  for (int empty = 0; !open.empty();) {
    absl::StatusOr<PollResult> answer = reader->Poll(kSecond / 10, 1'000);
    // Another worker may run, and trim what is read here.
    if (absl::IsOutOfRange(answer.status())) return absl::UnavailableError(answer.status().message());
    TM_ASSIGN_OR_RETURN(const PollResult polled, std::move(answer));
    for (const std::unique_ptr<Fetch>& fetch : polled.fetches) {
      for (const RecordView& record : fetch->records()) {
        if (!open.contains(fetch->source())) break;
        const bool more = record.offset < ranges.at(fetch->source()).second && seen(fetch->source(), record);
        if (!more || record.offset + 1 >= ranges.at(fetch->source()).second) open.erase(fetch->source());
      }
    }
    for (const auto& [partition, end] : polled.ends) {
      const auto range = ranges.find(partition);
      if (range != ranges.end() && end >= range->second.second) open.erase(partition);
    }
    empty = polled.fetches.empty() && polled.ends.empty() ? empty + 1 : 0;
    if (empty == kMostEmptyPolls) {
      return absl::UnavailableError(
          absl::StrCat("reading what was written before: nothing more came of ", ToString(*open.begin())));
    }
  }
  return reader->Close(false);
}

namespace {

bool ParseRecord(const RecordView& record, packed::CommitRecord* out) {
  packed::ChangelogPart part;
  const std::string_view value = record.value.value_or("");
  if (!part.ParseFromArray(value.data(), static_cast<int>(value.size())) || !part.has_record()) return false;
  *out = std::move(*part.mutable_record());
  return true;
}

// The newest commit record of each changelog partition. A Parquet sink's manifests lie in a topic of the same form of
// name, and hold none.
absl::Status ReadNewest(const ApplicationId& application, KafkaClient& kafka, Former* former) {
  LogRanges whole;
  for (const auto& [topic, info] : former->topics) {
    if (!application.StageOfChangelog(topic)) continue;
    for (int32_t p = 0; p < info.partitions; ++p) {
      TM_ASSIGN_OR_RETURN((whole[{topic, p}]), CommittedRange(kafka.admin(), {topic, p}));
    }
  }
  for (Offset look = kFirstLook;; look *= 16) {
    LogRanges ends;
    for (const auto& [partition, range] : whole) {
      if (former->newest.contains(partition)) continue;
      ends[partition] = {std::max(range.first, range.second - look), range.second};
    }
    TM_RETURN_IF_ERROR(ReadRanges(kafka, ends, [&](const TopicPartition& partition, const RecordView& record) {
      packed::CommitRecord found;
      if (ParseRecord(record, &found)) former->newest[partition] = std::move(found);
      return true;
    }));
    const bool all = std::all_of(ends.begin(), ends.end(), [&](const auto& end) {
      return former->newest.contains(end.first) || end.second.first <= whole.at(end.first).first;
    });
    if (all) return absl::OkStatus();
  }
}

// What those leave out, because it is as an earlier one said.
absl::Status ReadStanding(KafkaClient& kafka, Former* former) {
  LogRanges where;
  for (const auto& [partition, record] : former->newest) {
    if (record.standing_hash() == 0 || record.has_standing()) continue;
    TM_ASSIGN_OR_RETURN(const auto range, CommittedRange(kafka.admin(), partition));
    where[partition] = {std::max(range.first, record.standing_at()), range.second};
  }
  return ReadRanges(kafka, where, [&](const TopicPartition& partition, const RecordView& record) {
    packed::CommitRecord found;
    if (!ParseRecord(record, &found)) return true;
    *former->newest[partition].mutable_standing() = std::move(*found.mutable_standing());
    return false;
  });
}

}  // namespace

std::vector<const packed::CommitRecord*> Former::RecordsOf(const ApplicationId& application,
                                                           const std::string& stage) const {
  std::vector<const packed::CommitRecord*> records;
  for (const auto& [partition, record] : newest) {
    if (*application.StageOfChangelog(partition.topic) == stage) records.push_back(&record);
  }
  return records;
}

std::string ReadWithoutState(const ApplicationId& application, const std::string& stage, const TopicPartition& input,
                             Offset position) {
  return absl::StrCat("the consumer group ", application.Group(), " has read ", ToString(input), " up to offset ",
                      position, ", but the changelog ",
                      ToString(TopicPartition{application.ChangelogTopic(stage), input.partition}), " of stage ", stage,
                      " has no commit. State lies under the names of sources and steps: if '", stage,
                      "' had another name before, put that back, or say `renamed_from` there. If the changelog was "
                      "deleted, as where the state was "
                      "given up, or the group was used by something else, give the topology a new name, or delete both "
                      "the group and its internal topics");
}

absl::Status CheckNoReset(const Plan& plan, Admin& admin) {
  const TopicPartition mark{plan.dead_letter_topic, 0};
  // Without its topic there is no mark, and a cluster that has no groups yet needn't begin with them.
  TM_ASSIGN_OR_RETURN(const auto letters, admin.Describe({mark.topic}));
  if (letters.empty()) return absl::OkStatus();
  TM_ASSIGN_OR_RETURN(const auto marks, admin.GroupOffsets(plan.application.Group(), {mark}));
  for (const auto& [partition, offset] : marks) {
    if (offset.metadata == kResetBegun) return absl::FailedPreconditionError(kResetUnderWay);
  }
  return absl::OkStatus();
}

namespace {

// Without what the newest records leave out.
absl::StatusOr<Former> ReadKnown(const Plan& plan, KafkaClient& kafka) {
  Former former;
  TM_ASSIGN_OR_RETURN(former.topics, kafka.admin().List(plan.application.TopicPrefix()));
  TM_RETURN_IF_ERROR(ReadNewest(plan.application, kafka, &former));
  TM_RETURN_IF_ERROR(CheckKept(plan, former, kafka));
  return former;
}

}  // namespace

absl::StatusOr<Former> ReadFormer(const Plan& plan, KafkaClient& kafka) {
  TM_RETURN_IF_ERROR(CheckNoReset(plan, kafka.admin()));
  TM_ASSIGN_OR_RETURN(Former former, ReadKnown(plan, kafka));
  TM_RETURN_IF_ERROR(ReadStanding(kafka, &former));
  return former;
}

absl::Status CheckKnown(const Plan& plan, KafkaClient& kafka) { return ReadKnown(plan, kafka).status(); }

Former FormerOf(const Plan& plan) {
  Former former;
  for (size_t s = 0; s < plan.stages.size(); ++s) {
    const Stage& stage = plan.stages[s];
    const std::string changelog = plan.application.ChangelogTopic(stage.name);
    former.topics[changelog].partitions = 1;
    packed::CommitRecord& record = former.newest[{changelog, 0}];
    packed::Standing& standing = *record.mutable_standing();
    standing.set_application(plan.application.Key());
    for (packed::StepIdentity& step : StepIdentities(plan, static_cast<int>(s))) {
      *standing.add_steps() = std::move(step);
    }
    for (const std::string& topic : InputTopics(plan, stage)) record.add_inputs()->set_topic(topic);
    for (const Node& node : stage.nodes) record.add_ledger()->set_step(KeptLedgerName(node));
    for (const Edge& edge : plan.edges) {
      if (edge.from_stage != static_cast<int>(s)) continue;
      packed::Standing::Edge* output = standing.add_outputs();
      output->set_topic(edge.topic);
      *output->add_schemas() = PackSchema(*BatchSchema(edge.schema, edge.hidden));
      former.topics[edge.topic].partitions = 1;
    }
    SaveFeedOrigins(plan, static_cast<int>(s), &standing);
    SaveRenamed(stage, &standing);
  }
  for (const SinkPlan& sink : plan.sinks) {
    if (sink.view) former.topics[plan.application.ViewTopic(sink.kept_as())].partitions = 1;
    if (std::holds_alternative<ParquetSinkSpec>(sink.spec)) {
      former.topics[plan.application.ManifestTopic(sink.kept_as())].partitions = 1;
    }
  }
  return former;
}

}  // namespace tidemark
