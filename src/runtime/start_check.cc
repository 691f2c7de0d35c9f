#include "src/runtime/start_check.h"

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "src/base/status.h"
#include "src/base/time.h"
#include "src/codec/packed_rows.h"
#include "src/codec/packed_schema.h"
#include "src/runtime/first_changes.h"
#include "src/runtime/step_identity.h"
#include "src/views/records.h"

namespace tidemark {
namespace {

// A commit is an announcement, a record or a few, and a marker: this much of a log's end mostly holds a whole one.
constexpr Offset kFirstLook = 8;
constexpr int kMostEmptyPolls = 300;  // of a tenth of a second

using Ranges = std::map<TopicPartition, std::pair<Offset, Offset>>;
using Seen = std::function<bool(const TopicPartition&, const RecordView&)>;  // false: enough of this partition

// Committed records of these partitions, each from its first offset to its last, in order.
absl::Status ReadRanges(KafkaClient& kafka, const Ranges& ranges, const Seen& seen) {
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

class StartCheck {
 public:
  StartCheck(const Plan& plan, KafkaClient& kafka) : plan_(plan), kafka_(kafka) {}

  absl::Status Run() {
    TM_ASSIGN_OR_RETURN(topics_, kafka_.admin().List(plan_.application.TopicPrefix()));
    TM_RETURN_IF_ERROR(ReadNewest());
    TM_RETURN_IF_ERROR(ReadStanding());
    for (const auto& [partition, record] : newest_) TM_RETURN_IF_ERROR(CheckSteps(partition, record));
    TM_RETURN_IF_ERROR(CheckFirstChanges(plan_, [this](int stage) { return RecordsOf(stage); }));
    for (const Edge& edge : plan_.edges) TM_RETURN_IF_ERROR(CheckEdge(edge));
    for (const SinkPlan& sink : plan_.sinks) {
      if (sink.view) TM_RETURN_IF_ERROR(CheckView(sink));
    }
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<std::pair<Offset, Offset>> RangeOf(const TopicPartition& partition) const {
    TM_ASSIGN_OR_RETURN(const Offset start, kafka_.admin().LogStart(partition));
    TM_ASSIGN_OR_RETURN(const Offset end, kafka_.admin().LogEnd(partition, Isolation::kReadCommitted));
    return std::make_pair(start, end);
  }

  // The newest commit record of each changelog partition. A Parquet sink's manifests lie in a topic of the same form of
  // name, and hold none.
  absl::Status ReadNewest() {
    Ranges whole;
    for (const auto& [topic, info] : topics_) {
      if (!plan_.application.StageOfChangelog(topic)) continue;
      for (int32_t p = 0; p < info.partitions; ++p) {
        TM_ASSIGN_OR_RETURN((whole[{topic, p}]), RangeOf({topic, p}));
      }
    }
    for (Offset look = kFirstLook;; look *= 16) {
      Ranges ends;
      for (const auto& [partition, range] : whole) {
        if (newest_.contains(partition)) continue;
        ends[partition] = {std::max(range.first, range.second - look), range.second};
      }
      TM_RETURN_IF_ERROR(ReadRanges(kafka_, ends, [&](const TopicPartition& partition, const RecordView& record) {
        packed::ChangelogPart part;
        const std::string_view value = record.value.value_or("");
        if (part.ParseFromArray(value.data(), static_cast<int>(value.size())) && part.has_record()) {
          newest_[partition] = std::move(*part.mutable_record());
        }
        return true;
      }));
      const bool all = std::all_of(ends.begin(), ends.end(), [&](const auto& end) {
        return newest_.contains(end.first) || end.second.first <= whole.at(end.first).first;
      });
      if (all) return absl::OkStatus();
    }
  }

  // What those leave out, because it is as an earlier one said.
  absl::Status ReadStanding() {
    Ranges where;
    for (const auto& [partition, record] : newest_) {
      if (record.standing_hash() == 0 || record.has_standing()) continue;
      TM_ASSIGN_OR_RETURN(const auto range, RangeOf(partition));
      where[partition] = {std::max(range.first, record.standing_at()), range.second};
    }
    return ReadRanges(kafka_, where, [&](const TopicPartition& partition, const RecordView& record) {
      packed::ChangelogPart part;
      const std::string_view value = record.value.value_or("");
      if (!part.ParseFromArray(value.data(), static_cast<int>(value.size())) || !part.has_record()) return true;
      *newest_[partition].mutable_standing() = std::move(*part.mutable_record()->mutable_standing());
      return false;
    });
  }

  std::vector<const packed::CommitRecord*> RecordsOf(int stage) const {
    std::vector<const packed::CommitRecord*> records;
    for (const auto& [partition, record] : newest_) {
      const std::string name = *plan_.application.StageOfChangelog(partition.topic);
      if (name == plan_.stages[static_cast<size_t>(stage)].name) records.push_back(&record);
    }
    return records;
  }

  absl::Status CheckSteps(const TopicPartition& partition, const packed::CommitRecord& record) const {
    const std::string name = *plan_.application.StageOfChangelog(partition.topic);
    for (size_t s = 0; s < plan_.stages.size(); ++s) {
      if (plan_.stages[s].name == name) {
        return Annotate(CheckStepIdentities(plan_, static_cast<int>(s), record), "stage " + name);
      }
    }
    const bool former = !record.has_standing();
    const auto& steps = former ? record.steps() : record.standing().steps();
    if (steps.empty() || (!former && record.standing().application() != plan_.application.Key()))
      return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat(
        "the topology has no stage ", name, " any more, which has kept the state of ",
        absl::StrJoin(steps, ", ",
                      [](std::string* out, const auto& step) { absl::StrAppend(out, "step ", step.step()); }),
        " (in ", partition.topic,
        "): was a step or source renamed or removed, or is a step's input partitioned otherwise "
        "now? Put it back as it was, or give the topology a new name, which starts with empty state. If that state "
        "isn't "
        "wanted any more, delete the topic ",
        partition.topic));
  }

  // Rows that were written to an edge under a schema that can't become the present one must be read before.
  absl::Status CheckEdge(const Edge& edge) const {
    const auto topic = topics_.find(edge.topic);
    if (topic == topics_.end()) return absl::OkStatus();
    const std::shared_ptr<arrow::Schema> now = BatchSchema(edge.schema, edge.hidden);
    std::map<uint64_t, std::string> known = {{SchemaHash(*now), ""}};  // why not to be read, by the schema's hash
    const auto learn = [&](const packed::PackedSchema& schema) {
      const auto before = UnpackSchema(schema);
      const absl::Status fits = before.ok() ? SchemaChange::Make(**before, now).status() : before.status();
      // Columns that may be null no more leave the hash as it was.
      std::string& why = known[before.ok() ? SchemaHash(**before) : 0];
      if (why.empty()) why = std::string(fits.message());
    };
    // Earlier versions didn't name the schemas of what they wrote.
    bool unnamed = false;
    for (const auto& [partition, record] : newest_) {
      unnamed |= !record.has_standing();
      for (const packed::Standing::Edge& saved : record.standing().outputs()) {
        if (saved.topic() == edge.topic && !saved.schemas().empty()) learn(saved.schemas(0));
      }
    }
    const auto reads = [](const auto& schema) { return schema.second.empty(); };
    if (!unnamed && std::all_of(known.begin(), known.end(), reads)) return absl::OkStatus();
    const std::string group = edge.to_sink < 0 ? plan_.application.Group() : plan_.application.SinkGroup(edge.step);
    TM_ASSIGN_OR_RETURN(const Ranges unread, UnreadOf(edge.topic, topic->second.partitions, group));
    std::string found;
    TM_RETURN_IF_ERROR(ReadRanges(kafka_, unread, [&](const TopicPartition& partition, const RecordView& record) {
      const absl::StatusOr<PackedRecord> packed = OpenRecord(record.value.value_or(""));
      if (packed.ok() && packed->header.has_schema()) learn(packed->header.schema());
      if (!packed.ok() || packed->header.rows() == 0) return true;
      const auto schema = known.find(packed->header.schema_hash());
      if (schema == known.end() ? !unnamed : reads(*schema)) return true;
      if (found.empty()) {
        found = absl::StrCat(ToString(partition), " from offset ", record.offset, " on: ",
                             schema != known.end() ? schema->second
                                                   : "their columns are others than now, and an earlier version of "
                                                     "Tidemark, which wrote them, didn't say which");
      }
      return false;
    }));
    if (found.empty()) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat(edge.to_sink < 0 ? "step " : "sink ", edge.step,
                     ": rows that the former version of the topology has written lie "
                     "unread in ",
                     found, ". Run that version until they are read, or give the topology a new name"));
  }

  // Rows of a view stay where they are; so those that were written before must be rows of the view as it is now.
  absl::Status CheckView(const SinkPlan& view) const {
    const std::string& view_topic = std::get<KafkaSinkSpec>(view.spec).topic;
    if (!topics_.contains(view_topic)) return absl::OkStatus();
    for (const auto& [partition, record] : newest_) {
      for (const packed::Standing::Edge& saved : record.standing().outputs()) {
        if (saved.topic() != view_topic) continue;
        const std::string why = WhyNotTheView(saved, view);
        if (why.empty()) continue;
        return absl::FailedPreconditionError(
            absl::StrCat("view ", view.name, ": ", why, ". Give the view another name, or delete the topic ",
                         view_topic, "; either way it begins empty, and holds what its step puts out from then on"));
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Ranges> UnreadOf(const std::string& topic, int32_t partitions, const std::string& group) const {
    std::vector<TopicPartition> all;
    for (int32_t p = 0; p < partitions; ++p) all.push_back({topic, p});
    TM_ASSIGN_OR_RETURN(const auto committed, kafka_.admin().GroupOffsets(group, all));
    Ranges unread;
    for (const TopicPartition& partition : all) {
      TM_ASSIGN_OR_RETURN(const auto range, RangeOf(partition));
      const auto at = committed.find(partition);
      const Offset position = at == committed.end() ? -1 : at->second.offset;
      unread[partition] = {std::max(range.first, position), range.second};
    }
    return unread;
  }

  const Plan& plan_;
  KafkaClient& kafka_;
  std::map<std::string, TopicInfo> topics_;
  std::map<TopicPartition, packed::CommitRecord> newest_;
};

}  // namespace

absl::Status CheckStart(const Plan& plan, KafkaClient& kafka) { return StartCheck(plan, kafka).Run(); }

}  // namespace tidemark
