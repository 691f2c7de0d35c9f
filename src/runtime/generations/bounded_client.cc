#include "src/runtime/generations/bounded_client.h"

#include <algorithm>
#include <deque>
#include <utility>
#include <vector>

#include "src/base/status.h"

namespace tidemark {
namespace {

// How late a bound that was moved is noticed while nothing comes.
constexpr int64_t kLookUs = 20'000;

// A part of a fetch, which it keeps whole.
class Part final : public Fetch {
 public:
  Part(std::shared_ptr<Fetch> whole, size_t first, size_t count)
      : whole_(std::move(whole)), first_(first), records_(whole_->records().subspan(first, count)) {}

  const TopicPartition& source() const override { return whole_->source(); }
  std::span<const RecordView> records() const override { return records_; }
  HeaderList Headers(size_t i) const override { return whole_->Headers(first_ + i); }

 private:
  const std::shared_ptr<Fetch> whole_;
  const size_t first_;
  const std::span<const RecordView> records_;
};

class BoundedConsumer final : public Consumer {
 public:
  BoundedConsumer(std::unique_ptr<Consumer> inner, SourceBounds* bounds, std::function<void()> assigned)
      : inner_(std::move(inner)), bounds_(*bounds), assigned_(std::move(assigned)) {}
  ~BoundedConsumer() override { ForgetAll(); }

  absl::Status Subscribe(const std::vector<std::string>& topics) override { return inner_->Subscribe(topics); }

  absl::StatusOr<PollResult> Poll(int64_t max_wait_us, size_t max_records) override {
    PollResult result;
    for (auto& [partition, part] : parts_) TM_RETURN_IF_ERROR(Give(partition, &part, &result));
    if (!result.fetches.empty() || !result.ends.empty()) max_wait_us = 0;
    const bool stopped =
        std::any_of(parts_.begin(), parts_.end(), [](const auto& each) { return each.second.stopped; });
    if (stopped) max_wait_us = std::min(max_wait_us, kLookUs);
    TM_ASSIGN_OR_RETURN(PollResult polled, inner_->Poll(max_wait_us, max_records));
    if (polled.rebalance) {
      // What was kept is fetched again by whoever is given the partition; what `result` has counts as never delivered.
      ForgetAll();
      if (polled.rebalance->kind == Rebalance::Kind::kAssigned) assigned_();
      return polled;
    }
    for (std::unique_ptr<Fetch>& fetch : polled.fetches) {
      const auto found = parts_.find(fetch->source());
      if (found == parts_.end()) {
        result.fetches.push_back(std::move(fetch));
        continue;
      }
      found->second.kept.push_back({std::shared_ptr<Fetch>(std::move(fetch)), 0});
      found->second.end = -1;  // it was the end before these
      TM_RETURN_IF_ERROR(Give(found->first, &found->second, &result));
    }
    for (const auto& [partition, end] : polled.ends) {
      const auto found = parts_.find(partition);
      if (found == parts_.end()) {
        result.ends.emplace_back(partition, end);
        continue;
      }
      found->second.end = std::max(found->second.end, end);
      TM_RETURN_IF_ERROR(Give(found->first, &found->second, &result));
    }
    // What was the end while something was kept isn't any more where records behind it have come with it.
    std::erase_if(result.ends, [&](const auto& end) {
      return std::any_of(result.fetches.begin(), result.fetches.end(), [&](const auto& fetch) {
        return fetch->source() == end.first && fetch->records().back().offset >= end.second;
      });
    });
    return result;
  }

  void Wake() override { inner_->Wake(); }

  absl::Status Assign(const std::vector<std::pair<TopicPartition, Offset>>& positions) override {
    ForgetAll();
    for (const auto& [partition, offset] : positions) Begin(partition, offset);
    return inner_->Assign(positions);
  }
  absl::Status AssignPaused(const std::vector<TopicPartition>& partitions) override {
    ForgetAll();
    return inner_->AssignPaused(partitions);
  }
  absl::Status Unassign() override {
    ForgetAll();
    return inner_->Unassign();
  }
  absl::Status Seek(const std::vector<std::pair<TopicPartition, Offset>>& positions) override {
    for (const auto& [partition, offset] : positions) Begin(partition, offset);
    return inner_->Seek(positions);
  }

  // Of partitions with bounds a pause is a hold: nothing that is kept is handed out, and nothing is lost.
  absl::Status Pause(const std::vector<TopicPartition>& partitions) override {
    TM_RETURN_IF_ERROR(inner_->Pause(Others(partitions)));
    return SetHeld(partitions, true);
  }
  absl::Status Resume(const std::vector<TopicPartition>& partitions) override {
    TM_RETURN_IF_ERROR(inner_->Resume(Others(partitions)));
    return SetHeld(partitions, false);
  }
  absl::Status Hold(const std::vector<TopicPartition>& partitions) override {
    TM_RETURN_IF_ERROR(inner_->Hold(Others(partitions)));
    return SetHeld(partitions, true);
  }
  absl::Status Release(const std::vector<TopicPartition>& partitions) override {
    TM_RETURN_IF_ERROR(inner_->Release(Others(partitions)));
    return SetHeld(partitions, false);
  }

  std::shared_ptr<const GroupMetadata> Group() override { return inner_->Group(); }
  absl::StatusOr<std::map<TopicPartition, CommittedOffset>> Committed(
      const std::vector<TopicPartition>& partitions) override {
    return inner_->Committed(partitions);
  }
  Offset KnownEnd(const TopicPartition& partition) const override {
    const Offset end = inner_->KnownEnd(partition);
    return parts_.contains(partition) ? std::min(end, bounds_.Of(partition)) : end;
  }
  absl::Status CommitOffsets(const std::vector<OffsetToCommit>& offsets) override {
    return inner_->CommitOffsets(offsets);
  }
  std::string Trouble() const override { return inner_->Trouble(); }
  absl::Status Close(bool leave_group) override {
    ForgetAll();
    return inner_->Close(leave_group);
  }

 private:
  struct Kept {
    std::shared_ptr<Fetch> fetch;
    size_t next = 0;  // the first record that isn't handed out
  };
  struct PartState {
    std::deque<Kept> kept;  // in the order of their offsets
    Offset end = -1;        // that was told behind them; -1: none
    bool held = false;      // by whoever uses this consumer
    bool stopped = false;   // by us: something is kept
    bool asked = false;     // inner_ holds it
  };

  // What is due of what is kept.
  absl::Status Give(const TopicPartition& partition, PartState* part, PollResult* result) {
    while (!part->held && !part->kept.empty()) {
      Kept& first = part->kept.front();
      const auto rest = first.fetch->records().subspan(first.next);
      const size_t due = bounds_.Deliver(partition, rest);
      if (due > 0) result->fetches.push_back(std::make_unique<Part>(first.fetch, first.next, due));
      first.next += due;
      if (due < rest.size()) {
        // All that is there before the bound has been handed out. Where only control records lie between, the position
        // comes to stand on it by being told an end there.
        if (const auto end = bounds_.DeliverEnd(partition, rest[due].offset + 1)) {
          result->ends.emplace_back(partition, *end);
        }
        break;
      }
      part->kept.pop_front();
    }
    if (!part->held && part->kept.empty() && part->end >= 0) {
      if (const auto end = bounds_.DeliverEnd(partition, part->end)) {
        result->ends.emplace_back(partition, *end);
        if (*end >= part->end) part->end = -1;
      }
    }
    part->stopped = !part->kept.empty() || part->end >= 0;
    return Ask(partition, part);
  }

  // The client is held while anything is kept: what is on its way comes, and no more.
  absl::Status Ask(const TopicPartition& partition, PartState* part) {
    const bool hold = part->held || !part->kept.empty();
    if (std::exchange(part->asked, hold) == hold) return absl::OkStatus();
    return hold ? inner_->Hold({partition}) : inner_->Release({partition});
  }

  absl::Status SetHeld(const std::vector<TopicPartition>& partitions, bool held) {
    for (const TopicPartition& partition : partitions) {
      const auto found = parts_.find(partition);
      if (found == parts_.end()) continue;
      found->second.held = held;
      TM_RETURN_IF_ERROR(Ask(partition, &found->second));
    }
    return absl::OkStatus();
  }

  std::vector<TopicPartition> Others(const std::vector<TopicPartition>& partitions) const {
    std::vector<TopicPartition> others;
    for (const TopicPartition& each : partitions) {
      if (!parts_.contains(each)) others.push_back(each);
    }
    return others;
  }

  void Begin(const TopicPartition& partition, Offset position) {
    if (!bounds_.Concerns(partition.topic)) return;
    parts_[partition] = PartState();
    bounds_.Begin(partition, position);
  }

  void ForgetAll() {
    for (const auto& [partition, part] : parts_) bounds_.Forget(partition);
    parts_.clear();
  }

  const std::unique_ptr<Consumer> inner_;
  SourceBounds& bounds_;
  const std::function<void()> assigned_;
  std::map<TopicPartition, PartState> parts_;  // of topics that may have bounds, those that are read
};

class Client final : public KafkaClient {
 public:
  Client(std::unique_ptr<KafkaClient> inner, std::string group, SourceBounds* bounds, std::function<void()> assigned)
      : inner_(std::move(inner)), group_(std::move(group)), bounds_(bounds), assigned_(std::move(assigned)) {}

  absl::StatusOr<std::unique_ptr<Consumer>> NewConsumer(const ConsumerOptions& options) override {
    TM_ASSIGN_OR_RETURN(std::unique_ptr<Consumer> consumer, inner_->NewConsumer(options));
    if (options.group != group_) return consumer;
    return std::unique_ptr<Consumer>(std::make_unique<BoundedConsumer>(std::move(consumer), bounds_, assigned_));
  }
  absl::StatusOr<std::unique_ptr<Producer>> NewProducer(const ProducerOptions& options) override {
    return inner_->NewProducer(options);
  }
  Admin& admin() override { return inner_->admin(); }

 private:
  const std::unique_ptr<KafkaClient> inner_;
  const std::string group_;
  SourceBounds* const bounds_;
  const std::function<void()> assigned_;
};

}  // namespace

void SourceBounds::Hold() { Set({}, 0); }

void SourceBounds::Set(std::map<TopicPartition, Offset> bounds, Offset other) {
  const absl::MutexLock lock(&mutex_);
  bounds_ = std::move(bounds);
  other_ = other;
}

Offset SourceBounds::BoundOf(const TopicPartition& partition) const {
  const auto found = bounds_.find(partition);
  return found == bounds_.end() ? other_ : found->second;
}

Offset SourceBounds::Of(const TopicPartition& partition) const {
  const absl::MutexLock lock(&mutex_);
  return BoundOf(partition);
}

std::map<TopicPartition, Offset> SourceBounds::delivered() const {
  const absl::MutexLock lock(&mutex_);
  return delivered_;
}

size_t SourceBounds::Deliver(const TopicPartition& partition, std::span<const RecordView> records) {
  const absl::MutexLock lock(&mutex_);
  const Offset bound = BoundOf(partition);
  size_t due = records.size();
  if (!records.empty() && records.back().offset >= bound) {
    due = static_cast<size_t>(std::lower_bound(records.begin(), records.end(), bound,
                                               [](const RecordView& record, Offset at) { return record.offset < at; }) -
                              records.begin());
  }
  if (due > 0) delivered_[partition] = records[due - 1].offset + 1;
  return due;
}

std::optional<Offset> SourceBounds::DeliverEnd(const TopicPartition& partition, Offset end) {
  const absl::MutexLock lock(&mutex_);
  const Offset bound = BoundOf(partition);
  Offset& delivered = delivered_[partition];
  if (bound < end && bound <= delivered) return std::nullopt;
  const Offset at = std::min(end, bound);
  delivered = std::max(delivered, at);
  return at;
}

void SourceBounds::Begin(const TopicPartition& partition, Offset position) {
  const absl::MutexLock lock(&mutex_);
  delivered_[partition] = position;
}

void SourceBounds::Forget(const TopicPartition& partition) {
  const absl::MutexLock lock(&mutex_);
  delivered_.erase(partition);
}

std::unique_ptr<KafkaClient> BoundedClient(std::unique_ptr<KafkaClient> kafka, std::string group, SourceBounds* bounds,
                                           std::function<void()> assigned) {
  return std::make_unique<Client>(std::move(kafka), std::move(group), bounds, std::move(assigned));
}

}  // namespace tidemark
