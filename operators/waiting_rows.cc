#include "operators/waiting_rows.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <tuple>

#include "src/base/big_endian.h"
#include "src/base/status.h"

namespace tidemark {
namespace {

constexpr int64_t kBucketUs = 100 * kMillisecond;

absl::Status Damaged() { return absl::DataLossError("a waiting row in the state can't be read"); }

}  // namespace

int64_t WaitingRows::BucketOf(int64_t reached) { return FloorTo(EventTime{reached}, kBucketUs).us; }

std::string WaitingRows::Key(int64_t as_of, uint64_t number) {
  std::string key;
  AppendOrdered(as_of, &key);
  AppendBigEndian(number, 8, &key);
  return key;
}

absl::Status WaitingRows::Load(uint64_t next_number, int64_t count, EventTime let_through) {
  next_number_ = first_new_ = next_number;
  count_ = former_ = count;
  former_hold_ = let_through;
  return rows_.Load();
}

void WaitingRows::Add(EventTime as_of, const Row& row, std::string_view bytes) {
  std::string stored(reinterpret_cast<const char*>(&row), sizeof(row));
  stored.append(bytes);
  rows_.Put(Key(as_of.us, next_number_++), stored);
  ++count_;
  ++reached_[BucketOf(row.reached)];
  if (!order_.empty() && as_of.us <= order_.back().first) order_.clear();
}

EventTime WaitingRows::first() const {
  const uint64_t head = rows_.FirstHead();
  return head == KeyedRows::kNoHead ? kMaxTime : EventTime{KeyedRows::OrderedOf(head)};
}

absl::Status WaitingRows::Take(EventTime end, size_t most, std::vector<Taken>* taken) {
  taken->clear();
  TM_ASSIGN_OR_RETURN(const uint64_t recalled, rows_.Recall(KeyedRows::HeadOf(end.us), most));
  absl::Status status;
  rows_.VisitBelow(recalled, most, [&](std::string_view key, std::string_view stored) {
    if (!Read(key, stored, &taken->emplace_back())) status = Damaged();
  });
  std::sort(taken->begin(), taken->end(),
            [](const Taken& a, const Taken& b) { return std::tie(a.as_of, a.number) < std::tie(b.as_of, b.number); });
  return status;
}

bool WaitingRows::Read(std::string_view key, std::string_view stored, Taken* taken) {
  if (key.size() != 16 || stored.size() < sizeof(Row)) return false;
  taken->as_of = ReadOrdered(key.substr(0, 8));
  taken->number = ReadBigEndian(key.substr(8));
  std::memcpy(&taken->row, stored.data(), sizeof(Row));
  taken->bytes = stored.substr(sizeof(Row));
  return true;
}

absl::Status WaitingRows::TakeSome(EventTime end, size_t most, std::vector<Taken>* taken) {
  if (!order_.empty() && order_[order_at_].first == first().us) return TakeOrdered(end, most, taken);
  order_.clear();
  TM_RETURN_IF_ERROR(Take(end, most, taken));
  if (taken->size() <= 2 * most) return absl::OkStatus();
  order_.reserve(taken->size());
  order_at_ = 0;
  for (const Taken& each : *taken) order_.emplace_back(each.as_of, each.number);
  taken->resize(most);
  return absl::OkStatus();
}

absl::Status WaitingRows::TakeOrdered(EventTime end, size_t most, std::vector<Taken>* taken) {
  taken->clear();
  std::vector<std::string> keys;
  for (size_t i = order_at_; i < order_.size() && keys.size() < most && order_[i].first < end.us; ++i) {
    keys.push_back(Key(order_[i].first, order_[i].second));
  }
  TM_RETURN_IF_ERROR(rows_.Fetch(std::vector<std::string_view>(keys.begin(), keys.end())));
  for (const std::string& key : keys) {
    const std::optional<std::string_view> stored = rows_.Get(key);
    if (!stored || !Read(key, *stored, &taken->emplace_back())) return Damaged();
  }
  return absl::OkStatus();
}

void WaitingRows::Drop(absl::Span<const Taken> taken) {
  for (const Taken& each : taken) {
    rows_.Delete(Key(each.as_of, each.number));
    --count_;
    if (!order_.empty() && order_[order_at_] == std::pair(each.as_of, each.number) && ++order_at_ == order_.size()) {
      order_ = {};
    }
    if (each.number < first_new_) {
      --former_;
      continue;
    }
    const auto bucket = reached_.find(BucketOf(each.row.reached));
    if (bucket != reached_.end() && --bucket->second == 0) reached_.erase(bucket);
  }
}

// A watermark that lies just before a row's own lets the row come in time, whatever made it.
EventTime WaitingRows::hold() const {
  const EventTime own = reached_.empty() ? kMaxTime : EventTime{reached_.begin()->first} - 1;
  return former_ == 0 ? own : std::min(own, former_hold_);
}

}  // namespace tidemark
