#include "src/runtime/generations/topic_comparison.h"

#include <map>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>

#include "src/base/status.h"
#include "src/runtime/generations/compared_rows.h"
#include "src/runtime/generations/row_tally.h"
#include "src/runtime/log_range.h"

namespace tidemark {
namespace {

constexpr char kClientId[] = "tidemark-switch";

XXH128_hash_t Both(XXH128_hash_t key, XXH128_hash_t value) {
  const uint64_t all[] = {key.high64, key.low64, value.high64, value.low64};
  return XXH3_128bits(all, sizeof all);
}

class TopicComparison final : public TargetComparison {
 public:
  TopicComparison(TopicComparisonTarget target, KafkaClient* kafka, Clock* clock)
      : target_(std::move(target)), kafka_(kafka), clock_(clock) {}

  absl::Status Prepare() override {
    TM_RETURN_IF_ERROR(MakeReaders());
    TM_ASSIGN_OR_RETURN(const auto groups, Groups());
    if (target_.by_key) return absl::OkStatus();
    for (const Group& group : groups) TM_RETURN_IF_ERROR(CheckWhole(group));
    return absl::OkStatus();
  }

  absl::StatusOr<TargetDifference> Compare(const CompareTime& time) override {
    TM_RETURN_IF_ERROR(MakeReaders());
    TM_ASSIGN_OR_RETURN(const auto groups, Groups());
    TargetDifference difference;
    for (const Group& group : groups) {
      RowTally tally(target_.by_key ? RowTally::By::kKey : RowTally::By::kRow, target_.most_entries);
      while (tally.Begin()) {
        if (!target_.by_key) TM_RETURN_IF_ERROR(CheckWhole(group));
        TM_RETURN_IF_ERROR(Annotate(Pass(group, time, &tally), Describe()));
        tally.End();
      }
      difference.Add(tally.difference());
    }
    return difference;
  }

  std::string Describe() const override {
    return absl::StrCat(target_.sink, ": ", "topic ", target_.before.topic, " with ", target_.after.topic,
                        target_.by_key ? ", by key" : ", row by row");
  }
  bool by_key() const override { return target_.by_key; }

 private:
  using Side = RowTally::Side;
  struct Group {
    std::vector<TopicPartition> before, after;
  };

  absl::Status MakeReaders() {
    if (before_ != nullptr) return absl::OkStatus();
    const auto make = [&](const TopicComparisonTarget::Side& side, bool before) {
      return ValueHashes::Make(side.spec, side.schema, target_.columns.columns, before, *side.formats);
    };
    auto after = make(target_.after, false);
    auto before = make(target_.before, true);
    TM_RETURN_IF_ERROR(Annotate(after.status(), target_.sink));
    TM_RETURN_IF_ERROR(Annotate(before.status(), target_.sink));
    after_ = *std::move(after);
    before_ = *std::move(before);
    return absl::OkStatus();
  }

  // Rows that may be the same lie in one of them.
  absl::StatusOr<std::vector<Group>> Groups() const {
    const std::string &before = target_.before.topic, &after = target_.after.topic;
    TM_ASSIGN_OR_RETURN(const auto topics, kafka_->admin().Describe({before, after}));
    for (const std::string& topic : {before, after}) {
      if (!topics.contains(topic)) {
        return absl::InvalidArgumentError(absl::StrCat(target_.sink, ": topic ", topic, " doesn't exist"));
      }
    }
    const int32_t of_before = topics.at(before).partitions, of_after = topics.at(after).partitions;
    const bool apart = target_.by_key && of_before == of_after;
    std::vector<Group> groups(apart ? static_cast<size_t>(of_before) : 1);
    for (int32_t p = 0; p < of_before; ++p) groups[apart ? p : 0].before.push_back({before, p});
    for (int32_t p = 0; p < of_after; ++p) groups[apart ? p : 0].after.push_back({after, p});
    return groups;
  }

  // What retention has taken of the one the other still has.
  absl::Status CheckWhole(const Group& group) const {
    for (const auto* side : {&group.before, &group.after}) {
      TM_ASSIGN_OR_RETURN(const auto starts, kafka_->admin().LogStarts(*side));
      for (const auto& [partition, start] : starts) {
        if (start <= 0) continue;
        return absl::InvalidArgumentError(
            absl::StrCat(target_.sink, ": ", ToString(partition), " begins at offset ", start,
                         ": what stood before is gone, so all that was ever written can't be compared"));
      }
    }
    return absl::OkStatus();
  }

  absl::Status Pass(const Group& group, const CompareTime& time, RowTally* tally) {
    for (const TopicPartition& log : group.before) TM_RETURN_IF_ERROR(Take(log, Side::kBefore, time, tally));
    for (const TopicPartition& log : group.after) TM_RETURN_IF_ERROR(Take(log, Side::kAfter, time, tally));
    return absl::OkStatus();
  }

  absl::Status Take(const TopicPartition& log, Side side, const CompareTime& time, RowTally* tally) {
    ValueHashes& values = side == Side::kBefore ? *before_ : *after_;
    TM_ASSIGN_OR_RETURN(const Offset start, kafka_->admin().LogStart(log));
    TM_ASSIGN_OR_RETURN(const Offset end, ComparedEnd(*kafka_, log, time.at_cut));
    const auto take = [&](const Fetch& fetch, size_t i) -> absl::Status {
      if (i == 0) {
        TM_RETURN_IF_ERROR(time.go_on());
        TM_RETURN_IF_ERROR(values.Read(fetch, &hashes_));
      }
      return TakeRecord(fetch.records()[i], hashes_[i], side, tally);
    };
    return ReadLogRange(*kafka_, *clock_, kClientId, log, start, end, take);
  }

  absl::Status TakeRecord(const RecordView& record, XXH128_hash_t value, Side side, RowTally* tally) const {
    const std::string_view key = record.key.value_or(std::string_view());
    const XXH128_hash_t of_key = XXH3_128bits(key.data(), key.size());
    if (!target_.by_key) {
      tally->Add(side, target_.with_keys && record.key ? Both(of_key, value) : value);
      return absl::OkStatus();
    }
    if (!record.key) return absl::InvalidArgumentError("a record without a key, in a topic that is by key");
    if (record.value) {
      tally->Put(side, of_key, value.low64);
    } else {
      tally->Remove(side, of_key);
    }
    return absl::OkStatus();
  }

  const TopicComparisonTarget target_;
  KafkaClient* const kafka_;
  Clock* const clock_;
  std::unique_ptr<ValueHashes> before_, after_;
  std::vector<XXH128_hash_t> hashes_;  // of the fetch that is looked at
};

}  // namespace

absl::StatusOr<Offset> ComparedEnd(KafkaClient& kafka, const TopicPartition& log, bool at_cut) {
  TM_ASSIGN_OR_RETURN(const Offset committed, kafka.admin().LogEnd(log, Isolation::kReadCommitted));
  if (!at_cut) return committed;
  TM_ASSIGN_OR_RETURN(const Offset end, kafka.admin().LogEnd(log, Isolation::kReadUncommitted));
  TM_ASSIGN_OR_RETURN(const Offset settled, kafka.admin().LogEnd(log, Isolation::kReadCommitted));
  if (settled >= end) return end;
  return absl::UnavailableError(absl::StrCat("a transaction in ", ToString(log), " hasn't ended yet"));
}

std::unique_ptr<TargetComparison> MakeTopicComparison(TopicComparisonTarget target, KafkaClient* kafka, Clock* clock) {
  return std::make_unique<TopicComparison>(std::move(target), kafka, clock);
}

}  // namespace tidemark
