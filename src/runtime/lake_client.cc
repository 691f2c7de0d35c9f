#include "src/runtime/lake_client.h"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/strings/str_cat.h>
#include <absl/synchronization/mutex.h>
#include <glog/logging.h>

#include "src/base/mutation.h"
#include "src/base/status.h"
#include "src/base/time.h"
#include "src/codec/column_text.h"
#include "src/kafka/admin_wrapper.h"
#include "src/landing/lake_log.h"

namespace tidemark {
namespace {

// The lakes by topic. Thread-safe.
class Lakes {
 public:
  explicit Lakes(LakeSpecs specs) : specs_(std::move(specs)) {}

  bool Concerns(const std::string& topic) const { return specs_.contains(topic); }
  const LakeSpec& SpecOf(const std::string& topic) const { return specs_.at(topic); }

  // As it was found; `anew`: as it is now.
  absl::StatusOr<std::shared_ptr<const LakeLog>> Of(const std::string& topic, bool anew = false) {
    const absl::MutexLock lock(&mutex_);
    std::shared_ptr<const LakeLog>& log = logs_[topic];
    if (log == nullptr || anew) {
      absl::StatusOr<std::shared_ptr<const LakeLog>> opened = LakeLog::Open(specs_.at(topic));
      TM_RETURN_IF_ERROR(Annotate(opened.status(), absl::StrCat("the raw lake of topic ", topic)));
      log = *std::move(opened);
    }
    return log;
  }

 private:
  const LakeSpecs specs_;
  absl::Mutex mutex_;
  std::map<std::string, std::shared_ptr<const LakeLog>> logs_ ABSL_GUARDED_BY(mutex_);
};

// ---- Where logs begin ----------------------------------------------------------------------------------------------

class LakeAdmin final : public AdminWrapper {
 public:
  LakeAdmin(Admin* admin, Lakes* lakes) : AdminWrapper(admin), lakes_(*lakes) {}

  absl::StatusOr<Offset> LogStart(const TopicPartition& partition) override {
    TM_ASSIGN_OR_RETURN(const Offset start, inner_.LogStart(partition));
    return Earlier(partition, start);
  }
  absl::StatusOr<std::map<TopicPartition, Offset>> LogStarts(const std::vector<TopicPartition>& partitions) override {
    TM_ASSIGN_OR_RETURN(auto starts, inner_.LogStarts(partitions));
    for (auto& [partition, start] : starts) {
      TM_ASSIGN_OR_RETURN(start, Earlier(partition, start));
    }
    return starts;
  }
  // FailedPrecondition: the first that isn't older may be one that neither the lake nor the log has.
  absl::StatusOr<Offset> OffsetForTime(const TopicPartition& partition, int64_t timestamp_ms) override {
    TM_ASSIGN_OR_RETURN(const Offset in_log, inner_.OffsetForTime(partition, timestamp_ms));
    if (!lakes_.Concerns(partition.topic)) return in_log;
    TM_ASSIGN_OR_RETURN(const Offset start, inner_.LogStart(partition));
    if (start == 0) return in_log;  // the log has all of it, and the lake of a new sink isn't there yet
    TM_ASSIGN_OR_RETURN(auto lake, lakes_.Of(partition.topic));
    auto range = lake->RangeOf(partition.partition);
    if (!range || range->second < start) {
      TM_ASSIGN_OR_RETURN(lake, lakes_.Of(partition.topic, /*anew=*/true));
      range = lake->RangeOf(partition.partition);
    }
    if (!range) return in_log;
    TM_ASSIGN_OR_RETURN(const auto found, lake->FirstNotOlder(partition.partition, timestamp_ms));
    const bool in_lake = found && *found < start;
    const Offset first = in_lake ? *found : in_log;
    // What lies in front of an older record is older.
    if (!in_lake && in_log > start) return first;
    TM_ASSIGN_OR_RETURN(const auto end, lake->EndBefore(partition.partition, first));
    const LakeSpec& spec = lakes_.SpecOf(partition.topic);
    // A hole may be passed, what lies between lake and log may not.
    const bool passed = spec.pass_holes && (in_lake || range->second >= start);
    if (!end || *end == first || passed) return first;
    return absl::FailedPreconditionError(absl::StrCat(
        ToString(partition), ": which record was the first at ",
        TimestampText(timestamp_ms * kMillisecond, TimestampForm::kRfc3339), " or later nobody knows: offset ",
        *end - 1, ", in the lake ", spec.path, ", is older, and up to offset ", first,
        " neither the lake nor the topic's log has any. Bring the lake's missing files back, or name another time",
        in_lake || range->second >= start
            ? ". Where they are markers of transactions, dead letters or rows that a rule of the source left out, say "
              "--holes pass (`holes: pass` of the source)"
            : ""));
  }

 private:
  absl::StatusOr<Offset> Earlier(const TopicPartition& partition, Offset start) {
    if (!lakes_.Concerns(partition.topic) || start == 0) return start;
    TM_ASSIGN_OR_RETURN(const auto lake, lakes_.Of(partition.topic));
    const auto range = lake->RangeOf(partition.partition);
    return range ? std::min(start, range->first) : start;
  }

  Lakes& lakes_;
};

// ---- Reading -------------------------------------------------------------------------------------------------------

class LakeFetch final : public Fetch {
 public:
  LakeFetch(TopicPartition source, LakeRecords records) : source_(std::move(source)), records_(std::move(records)) {}

  const TopicPartition& source() const override { return source_; }
  std::span<const RecordView> records() const override { return records_.records; }
  HeaderList Headers(size_t /*i*/) const override { return {}; }  // a lake has none (LakesOf)

 private:
  const TopicPartition source_;
  const LakeRecords records_;
};

// One partition on its way through the lake to the log.
struct Part {
  std::shared_ptr<const LakeLog> lake;
  std::unique_ptr<LakeReader> reader;  // null: behind the lake, and only `both` is left
  Offset next = 0;                     // the position
  Offset log_start = 0;                // where the log takes over
  bool held = false;                   // paused by whoever uses the consumer
  int64_t passed = 0;                  // offsets that the lake lacked
  LakeRecords both;                    // the lake's first record that the log has as well; empty: none
};

class LakeConsumer final : public Consumer {
 public:
  LakeConsumer(std::unique_ptr<Consumer> inner, Admin* admin, Lakes* lakes)
      : inner_(std::move(inner)), admin_(*admin), lakes_(*lakes) {}

  absl::Status Subscribe(const std::vector<std::string>& topics) override { return inner_->Subscribe(topics); }

  absl::StatusOr<PollResult> Poll(int64_t max_wait_us, size_t max_records) override {
    const bool reads = std::any_of(parts_.begin(), parts_.end(), [](const auto& part) { return IsRead(part.second); });
    TM_ASSIGN_OR_RETURN(PollResult result, inner_->Poll(reads ? 0 : max_wait_us, max_records));
    if (result.rebalance) {
      Forget();
      return result;
    }
    // The client stands still there; what it had on its way isn't due.
    std::erase_if(result.fetches, [this](const auto& fetch) { return InLake(fetch->source()); });
    std::erase_if(result.ends, [this](const auto& end) { return InLake(end.first); });
    for (const auto& fetch : result.fetches) TM_RETURN_IF_ERROR(Compare(*fetch));
    for (auto& [partition, part] : parts_) {
      if (IsRead(part)) TM_RETURN_IF_ERROR(ReadLake(partition, max_records, &part, &result));
    }
    return result;
  }

  void Wake() override { inner_->Wake(); }

  absl::Status Assign(const std::vector<std::pair<TopicPartition, Offset>>& positions) override {
    Forget();
    TM_ASSIGN_OR_RETURN(const auto told, Place(positions));
    TM_RETURN_IF_ERROR(inner_->Assign(told));
    std::vector<TopicPartition> still;
    for (const auto& [partition, part] : parts_) still.push_back(partition);
    return still.empty() ? absl::OkStatus() : inner_->Pause(still);
  }
  absl::Status AssignPaused(const std::vector<TopicPartition>& partitions) override {
    Forget();
    paused_.insert(partitions.begin(), partitions.end());
    return inner_->AssignPaused(partitions);
  }
  absl::Status Unassign() override {
    Forget();
    return inner_->Unassign();
  }
  // One that is paused stays so until Resume, wherever it is read from.
  absl::Status Seek(const std::vector<std::pair<TopicPartition, Offset>>& positions) override {
    std::vector<TopicPartition> still, back;
    for (const auto& [partition, offset] : positions) {
      if (InLake(partition)) back.push_back(partition);
    }
    TM_ASSIGN_OR_RETURN(const auto told, Place(positions));
    for (const auto& [partition, offset] : positions) {
      if (InLake(partition)) still.push_back(partition);
    }
    std::erase_if(back, [this](const auto& each) { return InLake(each) || paused_.contains(each); });
    if (!still.empty()) TM_RETURN_IF_ERROR(inner_->Pause(still));
    TM_RETURN_IF_ERROR(inner_->Seek(told));
    return back.empty() ? absl::OkStatus() : inner_->Resume(back);
  }

  absl::Status Pause(const std::vector<TopicPartition>& partitions) override {
    return inner_->Pause(SetHeld(partitions, true));
  }
  absl::Status Resume(const std::vector<TopicPartition>& partitions) override {
    return inner_->Resume(SetHeld(partitions, false));
  }
  absl::Status Hold(const std::vector<TopicPartition>& partitions) override {
    return inner_->Hold(SetHeld(partitions, true));
  }
  absl::Status Release(const std::vector<TopicPartition>& partitions) override {
    return inner_->Release(SetHeld(partitions, false));
  }

  std::shared_ptr<const GroupMetadata> Group() override { return inner_->Group(); }
  absl::StatusOr<std::map<TopicPartition, CommittedOffset>> Committed(
      const std::vector<TopicPartition>& partitions) override {
    return inner_->Committed(partitions);
  }
  Offset KnownEnd(const TopicPartition& partition) const override { return inner_->KnownEnd(partition); }
  absl::Status CommitOffsets(const std::vector<OffsetToCommit>& offsets) override {
    return inner_->CommitOffsets(offsets);
  }
  std::string Trouble() const override { return inner_->Trouble(); }
  absl::Status Close(bool leave_group) override {
    Forget();
    return inner_->Close(leave_group);
  }

 private:
  void Forget() {
    parts_.clear();
    paused_.clear();
  }
  static bool IsRead(const Part& part) { return part.reader != nullptr && !part.held; }
  bool InLake(const TopicPartition& partition) const {
    const auto found = parts_.find(partition);
    return found != parts_.end() && found->second.reader != nullptr;
  }

  // Notes which of them are read from the lake; the positions for the client, which waits at its log's start for those.
  absl::StatusOr<std::vector<std::pair<TopicPartition, Offset>>> Place(
      std::vector<std::pair<TopicPartition, Offset>> positions) {
    for (auto& [partition, offset] : positions) {
      parts_.erase(partition);
      if (!lakes_.Concerns(partition.topic)) continue;
      TM_ASSIGN_OR_RETURN(const Offset log_start, admin_.LogStart(partition));
      if (log_start == 0 || offset >= log_start) continue;  // the log has all of it
      TM_ASSIGN_OR_RETURN(auto lake, lakes_.Of(partition.topic));
      auto range = lake->RangeOf(partition.partition);
      if (offset < 0 && range) offset = std::min(range->first, log_start);
      if (offset < 0 || offset >= log_start) continue;
      if (!range || range->second < log_start) {
        TM_ASSIGN_OR_RETURN(lake, lakes_.Of(partition.topic, /*anew=*/true));
        range = lake->RangeOf(partition.partition);
      }
      if (!range || range->second < log_start) return Gap(partition, range ? range->second : offset, log_start);
      Part& part = parts_[partition];
      part.reader = lake->Read(partition.partition, offset);
      part.lake = std::move(lake);
      part.next = offset;
      part.log_start = log_start;
      part.held = paused_.contains(partition);
      offset = log_start;
    }
    return positions;
  }

  absl::Status Gap(const TopicPartition& partition, Offset lake_end, Offset log_start) const {
    return absl::FailedPreconditionError(absl::StrCat(ToString(partition), ": the lake ",
                                                      lakes_.SpecOf(partition.topic).path, " ends before offset ",
                                                      lake_end, ", and the topic's log begins at ", log_start,
                                                      ": what lies between is in neither. Begin later, or bring the "
                                                      "lake's missing files back"));
  }

  absl::Status ReadLake(const TopicPartition& partition, size_t most, Part* part, PollResult* result) {
    TM_ASSIGN_OR_RETURN(LakeRecords read, part->reader->Next(most, part->log_start));
    for (const RecordView& record : read.records) {
      TM_RETURN_IF_ERROR(PassHole(partition, record.offset, part));
      part->next = record.offset + 1;
    }
    if (!read.records.empty()) {
      result->fetches.push_back(std::make_unique<LakeFetch>(partition, std::move(read)));
      return absl::OkStatus();
    }
    TM_RETURN_IF_ERROR(PassHole(partition, part->log_start, part));
    return GoOnInLog(partition, part);
  }

  absl::Status PassHole(const TopicPartition& partition, Offset found, Part* part) const {
    if (found == part->next) return absl::OkStatus();
    const LakeSpec& spec = lakes_.SpecOf(partition.topic);
    if (!spec.pass_holes && !MutationActive(Mutation::kHolePassed)) {
      return absl::FailedPreconditionError(absl::StrCat(
          ToString(partition), ": the lake ", spec.path, " has no record of offset ", part->next, ", and goes on at ",
          found,
          ". Offsets without rows are markers of transactions, records that became dead letters, rows that a rule of "
          "the source (`expect`) left out, or rows of files that are gone. Where they are known not to be the last, "
          "say --holes pass (`holes: pass` of the source)"));
    }
    part->passed += found - part->next;
    part->next = found;
    return absl::OkStatus();
  }

  absl::Status GoOnInLog(const TopicPartition& partition, Part* part) {
    if (part->passed > 0) {
      LOG(WARNING) << ToString(partition) << ": the lake lacked " << part->passed << " offsets, which were passed over";
    }
    LOG(INFO) << ToString(partition) << ": goes on in the topic, at offset " << part->log_start;
    TM_ASSIGN_OR_RETURN(part->both, part->reader->Next(1, std::numeric_limits<Offset>::max()));
    part->reader.reset();
    TM_RETURN_IF_ERROR(inner_->Seek({{partition, part->log_start}}));
    return part->held ? absl::OkStatus() : inner_->Resume({partition});
  }

  // What the log has and the lake as well is one record.
  absl::Status Compare(const Fetch& fetch) {
    const auto found = parts_.find(fetch.source());
    if (found == parts_.end() || found->second.both.records.empty() || fetch.records().empty()) return absl::OkStatus();
    const RecordView& ours = found->second.both.records.front();
    for (const RecordView& theirs : fetch.records()) {
      if (theirs.offset < ours.offset) continue;
      const LakeSpec& spec = lakes_.SpecOf(fetch.source().topic);
      const bool equal =
          theirs.offset != ours.offset || (theirs.value == ours.value && (spec.key.empty() || theirs.key == ours.key));
      found->second.both = {};
      if (equal) return absl::OkStatus();
      return absl::FailedPreconditionError(absl::StrCat(
          ToString(fetch.source()), "@", theirs.offset, ": the lake ", spec.path, " has another record there: it is ",
          "that of another topic, or of one that was deleted and made again under this name"));
    }
    return absl::OkStatus();
  }

  // Notes it; those that aren't read from the lake.
  std::vector<TopicPartition> SetHeld(const std::vector<TopicPartition>& partitions, bool held) {
    std::vector<TopicPartition> others;
    for (const TopicPartition& each : partitions) {
      if (held) paused_.insert(each);
      if (!held) paused_.erase(each);
      const auto found = parts_.find(each);
      if (found != parts_.end()) found->second.held = held;
      if (!InLake(each)) others.push_back(each);
    }
    return others;
  }

  const std::unique_ptr<Consumer> inner_;
  Admin& admin_;  // the logs as they are
  Lakes& lakes_;
  std::map<TopicPartition, Part> parts_;
  std::set<TopicPartition> paused_;  // by whoever uses it
};

class LakeClient final : public KafkaClient {
 public:
  LakeClient(std::unique_ptr<KafkaClient> inner, const LakeSpecs& lakes)
      : inner_(std::move(inner)), lakes_(lakes), admin_(&inner_->admin(), &lakes_) {}

  absl::StatusOr<std::unique_ptr<Consumer>> NewConsumer(const ConsumerOptions& options) override {
    TM_ASSIGN_OR_RETURN(auto consumer, inner_->NewConsumer(options));
    return std::unique_ptr<Consumer>(std::make_unique<LakeConsumer>(std::move(consumer), &inner_->admin(), &lakes_));
  }
  absl::StatusOr<std::unique_ptr<Producer>> NewProducer(const ProducerOptions& options) override {
    return inner_->NewProducer(options);
  }
  Admin& admin() override { return admin_; }

 private:
  const std::unique_ptr<KafkaClient> inner_;
  Lakes lakes_;
  LakeAdmin admin_;
};

}  // namespace

std::unique_ptr<KafkaClient> WithLakes(std::unique_ptr<KafkaClient> kafka, const LakeSpecs& lakes) {
  if (lakes.empty()) return kafka;
  return std::make_unique<LakeClient>(std::move(kafka), lakes);
}

}  // namespace tidemark
