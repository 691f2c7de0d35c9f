#include "src/runtime/generations/bounded_client.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <thread>
#include <utility>
#include <vector>

#include "src/base/status.h"
#include "src/kafka/admin_wrapper.h"
#include "src/runtime/generations/withheld.h"

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
  BoundedConsumer(std::unique_ptr<Consumer> inner, bool bounded, SourceBounds* bounds,
                  std::function<absl::Status()> assigned)
      : inner_(std::move(inner)), bounded_(bounded), bounds_(*bounds), assigned_(std::move(assigned)) {}
  ~BoundedConsumer() override { ForgetAll(); }

  absl::Status Subscribe(const std::vector<std::string>& topics) override { return inner_->Subscribe(topics); }

  // Nothing is handed out before the last call that may fail: what a Poll that fails has taken would be gone.
  absl::StatusOr<PollResult> Poll(int64_t max_wait_us, size_t max_records) override {
    TM_RETURN_IF_ERROR(std::exchange(failed_, absl::OkStatus()));
    if (assignment_) return TellAssignment(max_wait_us);
    for (const auto& [partition, part] : parts_) {
      if (part.over && !part.finished && !part.held) max_wait_us = 0;
      if (part.stopped) max_wait_us = std::min(max_wait_us, Due(partition, part) ? 0 : kLookUs);
    }
    TM_ASSIGN_OR_RETURN(PollResult polled, inner_->Poll(max_wait_us, max_records));
    if (polled.rebalance) {
      // What was kept is fetched again by whoever is given the partition.
      ForgetAll();
      assignment_ = std::make_unique<PollResult>(std::move(polled));
      return TellAssignment(0);
    }
    PollResult result;
    for (std::unique_ptr<Fetch>& fetch : polled.fetches) {
      const auto found = parts_.find(fetch->source());
      if (found == parts_.end()) {
        result.fetches.push_back(std::move(fetch));
      } else if (!fetch->records().empty()) {
        found->second.kept.push_back({std::shared_ptr<Fetch>(std::move(fetch)), 0});
        found->second.end = -1;  // it isn't the end any more
      }
    }
    for (const auto& [partition, end] : polled.ends) {
      const auto found = parts_.find(partition);
      if (found == parts_.end()) {
        result.ends.emplace_back(partition, end);
      } else {
        const std::deque<Kept>& kept = found->second.kept;
        const bool passed = !kept.empty() && kept.back().fetch->records().back().offset >= end;
        if (!passed) found->second.end = std::max(found->second.end, end);
      }
    }
    for (auto& [partition, part] : parts_) Give(partition, &part, &result);
    return result;
  }

  void Wake() override { inner_->Wake(); }

  // A partition that stands at its last bound isn't asked for any more: what lies there may be gone by now.
  absl::Status Assign(const std::vector<std::pair<TopicPartition, Offset>>& positions) override {
    ForgetAll();
    std::vector<std::pair<TopicPartition, Offset>> read;
    for (const auto& [partition, offset] : positions) {
      Begin(partition, offset);
      const auto found = parts_.find(partition);
      if (found != parts_.end() && bounds_.last() && offset >= bounds_.Of(partition)) {
        found->second.over = true;
      } else {
        read.emplace_back(partition, offset);
      }
    }
    return inner_->Assign(read);
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
    std::deque<Kept> kept;   // in the order of their offsets
    Offset end = -1;         // that was told behind them; -1: none
    bool held = false;       // by whoever uses this consumer
    bool stopped = false;    // something of it is kept, and that was told
    bool finished = false;   // of bounds that are the last: that it stands at its own was told
    bool over = false;       // it stood there from the beginning, and the client doesn't read it
    bool asked = false;      // inner_ holds it
    int64_t stands_for = 0;  // that was told
  };

  // An assignment that may not be taken up stays unanswered, and is asked about again by the next Poll.
  absl::StatusOr<PollResult> TellAssignment(int64_t max_wait_us) {
    if (assignment_->rebalance->kind == Rebalance::Kind::kAssigned && !assignment_->rebalance->partitions.empty()) {
      if (max_wait_us > 0) std::this_thread::sleep_for(std::chrono::microseconds(std::min(max_wait_us, kLookUs)));
      TM_RETURN_IF_ERROR(assigned_());
    }
    const std::unique_ptr<PollResult> told = std::move(assignment_);
    return std::move(*told);
  }

  bool Due(const TopicPartition& partition, const PartState& part) const {
    if (part.held) return false;
    const Offset bound = bounds_.Of(partition);
    if (part.kept.empty()) return part.end >= 0 && part.end <= bound;
    const Kept& first = part.kept.front();
    return first.fetch->records()[first.next].offset < bound;
  }

  // What is due of what is kept.
  void Give(const TopicPartition& partition, PartState* part, PollResult* result) {
    const int64_t stands_for = bounds_.stands_for();  // before anything is delivered, so that it holds for that as well
    bool end_told = false;
    const auto tell = [&](Offset end) {
      const std::optional<Offset> due = bounds_.DeliverEnd(partition, end);
      if (due) result->ends.emplace_back(partition, *due);
      end_told = end_told || due;
      return due;
    };
    while (!part->held && !part->kept.empty()) {
      Kept& first = part->kept.front();
      const auto rest = first.fetch->records().subspan(first.next);
      const size_t due = bounds_.Deliver(partition, rest);
      if (due > 0) result->fetches.push_back(std::make_unique<Part>(first.fetch, first.next, due));
      first.next += due;
      if (due < rest.size()) {
        // All that is there before the bound has been handed out. Where only control records lie between, the position
        // comes to stand on it by being told an end there.
        tell(rest[due].offset + 1);
        break;
      }
      part->kept.pop_front();
    }
    // Where the client was held, what it has brought meanwhile comes first.
    if (!part->asked && part->kept.empty() && part->end >= 0) {
      if (const auto end = tell(part->end); end && *end >= part->end) part->end = -1;
    }
    const bool stopped = !part->kept.empty() || part->end >= 0;
    const bool still = stopped && (end_told || !part->stopped);
    if (still && !bounds_.last()) result->ends.emplace_back(partition, kWithheld);
    part->stopped = stopped;
    if (std::exchange(part->stands_for, stands_for) != stands_for) {
      result->ends.emplace_back(partition, StandsFor(stands_for));
    }
    // A partition that begins at its end has nothing to deliver before it, and is told of it all the same.
    if (bounds_.last() && !part->finished && (stopped || part->over) && !part->held && !Due(partition, *part)) {
      result->ends.emplace_back(partition, bounds_.Of(partition));
      part->finished = true;
    }
    if (const absl::Status asked = Ask(partition, part); !asked.ok()) failed_ = asked;
  }

  // The client is held while anything is kept: what is on its way comes, and no more.
  absl::Status Ask(const TopicPartition& partition, PartState* part) {
    if (part->over) return absl::OkStatus();
    const bool hold = part->held || !part->kept.empty();
    if (part->asked == hold) return absl::OkStatus();
    TM_RETURN_IF_ERROR(hold ? inner_->Hold({partition}) : inner_->Release({partition}));
    part->asked = hold;
    return absl::OkStatus();
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
    if (!bounded_ || !bounds_.Concerns(partition.topic)) return;
    parts_[partition] = PartState();
    bounds_.Begin(partition, position);
  }

  void ForgetAll() {
    for (const auto& [partition, part] : parts_) bounds_.Forget(partition);
    parts_.clear();
    failed_ = absl::OkStatus();
  }

  const std::unique_ptr<Consumer> inner_;
  const bool bounded_;  // else it is only asked for that it may take its assignments up
  SourceBounds& bounds_;
  const std::function<absl::Status()> assigned_;
  std::unique_ptr<PollResult> assignment_;     // a rebalance that isn't handed out yet
  absl::Status failed_;                        // for the next Poll, as this one had something to hand out
  std::map<TopicPartition, PartState> parts_;  // of topics that may have bounds, those that are read
};

// Logs that begin where a part of them does. What was trimmed of that part shows in the logs' starts: a position in
// front of them is one whose records are gone (input_log.h). What was trimmed behind it is nobody's loss.
class PartAdmin final : public AdminWrapper {
 public:
  PartAdmin(Admin* inner, const SourceBounds& bounds) : AdminWrapper(inner), bounds_(bounds) {}

  absl::StatusOr<Offset> LogStart(const TopicPartition& partition) override {
    const auto found = bounds_.starts().find(partition);
    if (found == bounds_.starts().end()) return inner_.LogStart(partition);
    return found->second;
  }
  absl::StatusOr<std::map<TopicPartition, Offset>> LogStarts(const std::vector<TopicPartition>& partitions) override {
    TM_ASSIGN_OR_RETURN(auto starts, inner_.LogStarts(partitions));
    for (auto& [partition, start] : starts) {
      const auto found = bounds_.starts().find(partition);
      if (found == bounds_.starts().end()) continue;
      start = std::min(std::max(start, found->second), bounds_.Of(partition));
    }
    return starts;
  }

 private:
  const SourceBounds& bounds_;
};

class Client final : public KafkaClient {
 public:
  Client(std::unique_ptr<KafkaClient> inner, std::string group, SourceBounds* bounds,
         std::function<absl::Status()> assigned)
      : inner_(std::move(inner)),
        group_(std::move(group)),
        bounds_(bounds),
        assigned_(std::move(assigned)),
        admin_(&inner_->admin(), *bounds) {}

  absl::StatusOr<std::unique_ptr<Consumer>> NewConsumer(const ConsumerOptions& options) override {
    TM_ASSIGN_OR_RETURN(std::unique_ptr<Consumer> consumer, inner_->NewConsumer(options));
    const bool bounded = options.group == group_;
    if (!bounded && options.group.empty()) return consumer;  // nobody assigns it anything
    return std::unique_ptr<Consumer>(
        std::make_unique<BoundedConsumer>(std::move(consumer), bounded, bounds_, assigned_));
  }
  absl::StatusOr<std::unique_ptr<Producer>> NewProducer(const ProducerOptions& options) override {
    return inner_->NewProducer(options);
  }
  Admin& admin() override { return admin_; }

 private:
  const std::unique_ptr<KafkaClient> inner_;
  const std::string group_;
  SourceBounds* const bounds_;
  const std::function<absl::Status()> assigned_;
  PartAdmin admin_;
};

}  // namespace

void SourceBounds::Hold() { Set({}, 0); }

void SourceBounds::Set(std::map<TopicPartition, Offset> bounds, Offset other) {
  const absl::MutexLock lock(&mutex_);
  bounds_ = std::move(bounds);
  other_ = other;
}

void SourceBounds::Stand(std::map<TopicPartition, Offset> bounds, Offset other, int64_t switch_number) {
  const absl::MutexLock lock(&mutex_);
  bounds_ = std::move(bounds);
  other_ = other;
  stands_for_ = switch_number;
}

int64_t SourceBounds::stands_for() const {
  const absl::MutexLock lock(&mutex_);
  return stands_for_;
}

Offset SourceBounds::BoundOf(const TopicPartition& partition) const {
  const auto found = bounds_.find(partition);
  return found == bounds_.end() ? other_ : found->second;
}

Offset SourceBounds::Of(const TopicPartition& partition) const {
  const absl::MutexLock lock(&mutex_);
  return BoundOf(partition);
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
                                           std::function<absl::Status()> assigned) {
  return std::make_unique<Client>(std::move(kafka), std::move(group), bounds, std::move(assigned));
}

}  // namespace tidemark
