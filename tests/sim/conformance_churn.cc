// A worker in small: members that read, commit their positions in transactions, and come and go meanwhile.
#include "tests/sim/conformance_scripts.h"

namespace tidemark::sim {
namespace {

// Takes records, and keeps those whose positions it has committed in `taken`, by partition.
class Taker {
 public:
  Taker(Kit* kit, const std::string& topic, const std::string& id, int process,
        std::map<int32_t, std::vector<std::string>>* taken)
      : kit_(kit), taken_(taken) {
    ConsumerOptions options;
    options.group = kit->Name("g");
    options.instance_id = id;
    options.client_id = id;
    consumer_ = *kit->client(process).NewConsumer(options);
    kit->Must(consumer_->Subscribe({topic}), "Subscribe");
    producer_ = kit->NewProducer(id, process);
  }

  void Step() {
    auto result = consumer_->Poll(5'000, 50);
    if (!kit_->Must(result.status(), "Poll")) return;
    for (const auto& fetch : result->fetches) {
      for (const RecordView& r : fetch->records()) {
        pending_[fetch->source().partition].emplace_back(*r.value);
        positions_[fetch->source()] = r.offset + 1;
      }
    }
    if (result->rebalance.has_value()) return Answer(*result->rebalance);
    if (++steps_ % 5 == 0) Commit();
  }

  size_t partitions() const { return assigned_; }

  void Stop(bool leave) {
    Commit();
    kit_->Must(consumer_->Close(leave), "Close");
  }

 private:
  void Commit() {
    if (positions_.empty()) return;
    std::vector<OffsetToCommit> offsets;
    for (const auto& [tp, offset] : positions_) offsets.push_back({tp, offset, ""});
    kit_->Must(producer_->Begin(), "Begin");
    const absl::Status sent = producer_->SendOffsets(offsets, *group_);
    if (!sent.ok() || producer_->Commit(nullptr) != CommitOutcome::kCommitted) {
      kit_->Line("a commit failed: ", sent.ToString());
      return;
    }
    for (auto& [partition, values] : pending_) {
      auto& taken = (*taken_)[partition];
      taken.insert(taken.end(), values.begin(), values.end());
    }
    pending_.clear();
    positions_.clear();
  }

  void Answer(const Rebalance& rebalance) {
    if (rebalance.kind != Rebalance::Kind::kAssigned) {
      if (rebalance.kind == Rebalance::Kind::kRevoked) Commit();
      pending_.clear();
      positions_.clear();
      kit_->Must(consumer_->Unassign(), "Unassign");
      assigned_ = 0;
      return;
    }
    assigned_ = rebalance.partitions.size();
    group_ = consumer_->Group();
    kit_->Must(consumer_->AssignPaused(rebalance.partitions), "AssignPaused");
    if (rebalance.partitions.empty()) return;
    absl::StatusOr<std::map<TopicPartition, CommittedOffset>> committed;
    kit_->Until("the committed offsets", [&] {
      committed = consumer_->Committed(rebalance.partitions);
      return committed.ok();
    });
    // Each where it stands, and started one after the other, as tasks are once their state is there.
    for (const auto& [tp, c] : *committed) {
      kit_->Must(consumer_->Seek({{tp, c.offset < 0 ? 0 : c.offset}}), "Seek");
      kit_->Must(consumer_->Resume({tp}), "Resume");
    }
  }

  Kit* const kit_;
  std::map<int32_t, std::vector<std::string>>* const taken_;
  std::unique_ptr<Consumer> consumer_;
  std::unique_ptr<Producer> producer_;
  std::shared_ptr<const GroupMetadata> group_;
  std::map<int32_t, std::vector<std::string>> pending_;
  std::map<TopicPartition, Offset> positions_;
  size_t assigned_ = 0;
  int steps_ = 0;
};

}  // namespace

std::string EveryRecordIsTakenOnceWhileMembersComeAndGo(const ConformanceWorld& world) {
  constexpr int kPartitions = 5, kRounds = 120, kRecords = 20;
  Kit kit(world);
  const std::string topic = kit.Topic("t", kPartitions);
  auto producer = kit.NewProducer("input");
  std::map<int32_t, std::vector<std::string>> taken;
  std::map<std::string, std::unique_ptr<Taker>> takers;
  const auto start = [&](const std::string& id, int process) {
    takers[id] = std::make_unique<Taker>(&kit, topic, id, process, &taken);
  };
  const auto stop = [&](const std::string& id, bool leave) {
    takers[id]->Stop(leave);
    takers.erase(id);
  };
  start("a", 0);
  int written = 0;
  const auto count = [&] {
    size_t sum = 0;
    for (const auto& [partition, values] : taken) sum += values.size();
    return sum;
  };
  for (int round = 0; round < kRounds; ++round) {
    if (round == 20) start("b", 1);
    if (round == 45) start("c", 2);
    if (round == 70) stop("a", false);  // comes back before the others notice
    if (round == 75) start("a", 3);
    if (round == 90) {
      // Closing polls b alone: were the group still sharing anew, b's turn would wait for a and c, which aren't polled.
      kit.Until("three members with partitions", [&] {
        size_t members = 0, partitions = 0;
        for (auto& [id, taker] : takers) {
          taker->Step();
          members += taker->partitions() > 0;
          partitions += taker->partitions();
        }
        return members == 3 && partitions == kPartitions;
      });
      stop("b", true);
    }
    for (int32_t p = 0; p < kPartitions; ++p) {
      std::vector<std::string> values;
      for (int i = 0; i < kRecords; ++i) values.push_back(absl::StrCat(written + i));
      kit.Write(producer.get(), {topic, p}, values);
    }
    written += kRecords;
    for (auto& [id, taker] : takers) taker->Step();
  }
  kit.Until("all records", [&] {
    for (auto& [id, taker] : takers) taker->Step();
    return count() >= static_cast<size_t>(written) * kPartitions;
  });
  for (const auto& [partition, values] : taken) {
    bool in_order = values.size() == static_cast<size_t>(written);
    for (size_t i = 0; in_order && i < values.size(); ++i) in_order = values[i] == absl::StrCat(i);
    kit.Line(partition, in_order ? ": each once, in order" : ": lost or doubled");
  }
  return kit.Trace();
}

}  // namespace tidemark::sim
