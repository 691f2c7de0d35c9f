// Fakes of the runtime's seams: a producer that writes down what was asked of it, fetched records, and small batches.
// One thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <arrow/api.h>

#include "src/base/batch.h"
#include "src/base/clock.h"
#include "src/base/time.h"
#include "src/kafka/client.h"

namespace tidemark {

class FakeClock final : public Clock {
 public:
  int64_t WallUs() override { return wall_us; }
  int64_t MonotonicUs() override { return monotonic_us; }

  int64_t wall_us = 1'700'000'000 * kSecond;
  int64_t monotonic_us = 100 * kSecond;
};

struct ProducedRecord {
  std::string topic;
  int32_t partition = 0;
  std::optional<std::string> key, value;
  HeaderList headers;

  std::string Header(std::string_view name) const {
    for (const auto& [header, text] : headers) {
      if (header == name) return text.value_or("(null)");
    }
    return "(none)";
  }
};

// Every call becomes a line in `calls`, which several fakes may share; `fail` names a call that returns its status.
class FakeProducer final : public Producer {
 public:
  // `name` stands in front of each of its lines.
  explicit FakeProducer(std::vector<std::string>* calls = nullptr, std::string name = "")
      : calls_(calls), name_(std::move(name)) {}

  absl::Status InitTransactions() override { return Call("init"); }
  absl::Status Begin() override {
    written_.clear();
    return Call("begin");
  }
  absl::Status Produce(const std::string& topic, const std::vector<OutRecord>& out) override {
    for (const OutRecord& record : out) {
      const TopicPartition target{topic, record.partition};
      const Offset offset = ends_[target]++;
      written_.try_emplace(target, offset, offset).first->second.second = offset + 1;
      ProducedRecord& kept = records.emplace_back();
      kept.topic = topic;
      kept.partition = record.partition;
      if (record.key) kept.key = std::string(*record.key);
      if (record.value) kept.value = std::string(*record.value);
      if (record.headers != nullptr) kept.headers = *record.headers;
    }
    return Call("produce " + topic);
  }
  absl::Status Flush() override { return Call("flush"); }
  std::optional<std::pair<Offset, Offset>> Written(const TopicPartition& partition) const override {
    const auto it = written_.find(partition);
    return it == written_.end() ? std::nullopt : std::make_optional(it->second);
  }
  absl::Status SendOffsets(const std::vector<OffsetToCommit>& offsets, const GroupMetadata& group) override {
    sent = offsets;
    return Call("send_offsets " + group.ToString());
  }
  CommitOutcome Commit(std::string* error) override {
    *error = "told to";
    (void)Call("commit");
    return outcome;
  }
  absl::Status Abort() override { return Call("abort"); }

  std::vector<ProducedRecord> records;
  std::vector<OffsetToCommit> sent;
  CommitOutcome outcome = CommitOutcome::kCommitted;
  std::map<std::string, absl::Status> fail;

 private:
  absl::Status Call(const std::string& call) {
    if (calls_ != nullptr) calls_->push_back(name_ + call);
    const auto it = fail.find(call);
    return it == fail.end() ? absl::OkStatus() : it->second;
  }

  std::vector<std::string>* const calls_;
  const std::string name_;
  std::map<TopicPartition, Offset> ends_;
  std::map<TopicPartition, std::pair<Offset, Offset>> written_;
};

// Somebody else's producer, for an owner that wants one of its own.
class ForwardingProducer final : public Producer {
 public:
  explicit ForwardingProducer(Producer* to) : to_(to) {}

  absl::Status InitTransactions() override { return to_->InitTransactions(); }
  absl::Status Begin() override { return to_->Begin(); }
  absl::Status Produce(const std::string& topic, const std::vector<OutRecord>& records) override {
    return to_->Produce(topic, records);
  }
  absl::Status Flush() override { return to_->Flush(); }
  std::optional<std::pair<Offset, Offset>> Written(const TopicPartition& partition) const override {
    return to_->Written(partition);
  }
  absl::Status SendOffsets(const std::vector<OffsetToCommit>& offsets, const GroupMetadata& group) override {
    return to_->SendOffsets(offsets, group);
  }
  CommitOutcome Commit(std::string* error) override { return to_->Commit(error); }
  absl::Status Abort() override { return to_->Abort(); }

 private:
  Producer* const to_;
};

// A Kafka of which nothing is asked: what a test's own fakes don't override fails, so an unexpected call shows.
inline absl::Status NotAskedFor() { return absl::UnimplementedError("not asked for"); }

class SilentAdmin : public Admin {
 public:
  absl::StatusOr<std::map<std::string, TopicInfo>> Describe(const std::vector<std::string>&) override {
    return NotAskedFor();
  }
  absl::StatusOr<std::map<std::string, TopicInfo>> List(const std::string&) override { return NotAskedFor(); }
  absl::Status CreateTopics(const std::vector<TopicToCreate>&) override { return NotAskedFor(); }
  absl::StatusOr<Offset> LogStart(const TopicPartition&) override { return NotAskedFor(); }
  absl::StatusOr<Offset> LogEnd(const TopicPartition&, Isolation) override { return NotAskedFor(); }
  absl::StatusOr<std::map<TopicPartition, Offset>> LogStarts(const std::vector<TopicPartition>&) override {
    return NotAskedFor();
  }
  absl::StatusOr<std::map<TopicPartition, Offset>> LogEnds(const std::vector<TopicPartition>&, Isolation) override {
    return NotAskedFor();
  }
  absl::StatusOr<Offset> OffsetForTime(const TopicPartition&, int64_t) override { return NotAskedFor(); }
  absl::Status DeleteRecords(const std::vector<std::pair<TopicPartition, Offset>>&) override { return NotAskedFor(); }
  absl::StatusOr<std::map<TopicPartition, CommittedOffset>> GroupOffsets(const std::string&,
                                                                         const std::vector<TopicPartition>&) override {
    return NotAskedFor();
  }
  absl::StatusOr<GroupMembers> GroupAssignments(const std::string&) override { return NotAskedFor(); }
};

class SilentConsumer : public Consumer {
 public:
  absl::Status Subscribe(const std::vector<std::string>&) override { return NotAskedFor(); }
  absl::StatusOr<PollResult> Poll(int64_t, size_t) override { return NotAskedFor(); }
  void Wake() override {}
  absl::Status Assign(const std::vector<std::pair<TopicPartition, Offset>>&) override { return NotAskedFor(); }
  absl::Status AssignPaused(const std::vector<TopicPartition>&) override { return NotAskedFor(); }
  absl::Status Unassign() override { return NotAskedFor(); }
  absl::Status Seek(const std::vector<std::pair<TopicPartition, Offset>>&) override { return NotAskedFor(); }
  absl::Status Pause(const std::vector<TopicPartition>&) override { return NotAskedFor(); }
  absl::Status Resume(const std::vector<TopicPartition>&) override { return NotAskedFor(); }
  std::shared_ptr<const GroupMetadata> Group() override { return nullptr; }
  absl::StatusOr<std::map<TopicPartition, CommittedOffset>> Committed(const std::vector<TopicPartition>&) override {
    return NotAskedFor();
  }
  Offset KnownEnd(const TopicPartition&) const override { return -1; }
  absl::Status CommitOffsets(const std::vector<OffsetToCommit>&) override { return NotAskedFor(); }
  absl::Status Close(bool) override { return absl::OkStatus(); }
};

class SilentKafka : public KafkaClient {
 public:
  absl::StatusOr<std::unique_ptr<Consumer>> NewConsumer(const ConsumerOptions&) override { return NotAskedFor(); }
  absl::StatusOr<std::unique_ptr<Producer>> NewProducer(const ProducerOptions&) override { return NotAskedFor(); }
};

class FakeFetch final : public Fetch {
 public:
  FakeFetch(TopicPartition source, Offset first, const std::vector<std::string>& values)
      : source_(std::move(source)), values_(values) {
    for (const std::string& value : values_) records_.push_back({first++, 1'000'000, std::nullopt, value});
  }
  const TopicPartition& source() const override { return source_; }
  std::span<const RecordView> records() const override { return records_; }
  HeaderList Headers(size_t i) const override { return i < headers.size() ? headers[i] : HeaderList(); }

  std::vector<HeaderList> headers;  // of the first records

 private:
  const TopicPartition source_;
  const std::vector<std::string> values_;
  std::vector<RecordView> records_;
};

class FakeGroup final : public GroupMetadata {
 public:
  explicit FakeGroup(std::string name) : name_(std::move(name)) {}
  bool valid() const override { return true; }
  std::string ToString() const override { return name_; }

 private:
  const std::string name_;
};

// Batches with columns "place" (string) and "n" (int64), and the hidden time.
inline Schema PlaceSchema() { return Schema({{"place", {Kind::kString}, false}, {"n", {Kind::kInt64}, false}}); }

inline Batch PlaceRows(const std::vector<std::pair<std::string, int64_t>>& rows) {
  arrow::StringBuilder places;
  arrow::Int64Builder numbers, times;
  for (const auto& [place, number] : rows) {
    (void)places.Append(place);
    (void)numbers.Append(number);
    (void)times.Append(number * kSecond);
  }
  return arrow::RecordBatch::Make(BatchSchema(PlaceSchema(), HiddenSet()), static_cast<int64_t>(rows.size()),
                                  {*places.Finish(), *numbers.Finish(), *times.Finish()});
}

}  // namespace tidemark
