#include "operators/join/waiting_rows.h"

#include <algorithm>
#include <cstring>

#include "src/base/big_endian.h"
#include "src/base/status.h"

namespace tidemark {
namespace {

constexpr int64_t kBucketUs = 100 * kMillisecond;

}  // namespace

int64_t WaitingRows::BucketOf(int64_t reached) { return FloorTo(EventTime{reached}, kBucketUs).us; }

absl::Status WaitingRows::Load(uint64_t next_number, int64_t count, EventTime let_through) {
  next_number_ = first_new_ = next_number;
  count_ = former_ = count;
  former_hold_ = let_through;
  return rows_.Load();
}

void WaitingRows::Add(EventTime as_of, const Row& row, std::string_view bytes) {
  std::string key, stored(reinterpret_cast<const char*>(&row), sizeof(row));
  AppendOrdered(as_of.us, &key);
  AppendBigEndian(next_number_++, 8, &key);
  stored.append(bytes);
  rows_.Put(key, stored);
  ++count_;
  ++reached_[BucketOf(row.reached)];
}

EventTime WaitingRows::first() const {
  const uint64_t head = rows_.FirstHead();
  return head == KeyedRows::kNoHead ? kMaxTime : EventTime{KeyedRows::OrderedOf(head)};
}

absl::Status WaitingRows::Take(EventTime end, size_t most, Taken* taken) {
  *taken = Taken();
  TM_ASSIGN_OR_RETURN(const uint64_t recalled, rows_.Recall(KeyedRows::HeadOf(end.us), most));
  absl::Status status;
  rows_.VisitBelow(recalled, most, [&](std::string_view key, std::string_view stored) {
    if (key.size() != 16 || stored.size() < sizeof(Row)) {
      status = absl::DataLossError("a waiting row in the state can't be read");
      return;
    }
    taken->keys.emplace_back(key);
    taken->as_of.push_back(ReadOrdered(key.substr(0, 8)));
    std::memcpy(&taken->rows.emplace_back(), stored.data(), sizeof(Row));
    taken->bytes.push_back(stored.substr(sizeof(Row)));
  });
  return status;
}

void WaitingRows::Drop(const Taken& taken) {
  for (size_t i = 0; i < taken.keys.size(); ++i) {
    const std::string_view key = taken.keys[i];
    rows_.Delete(key);
    --count_;
    if (ReadBigEndian(key.substr(8)) < first_new_) {
      --former_;
      continue;
    }
    const auto bucket = reached_.find(BucketOf(taken.rows[i].reached));
    if (bucket != reached_.end() && --bucket->second == 0) reached_.erase(bucket);
  }
}

// A watermark that lies just before a row's own lets the row come in time, whatever made it.
EventTime WaitingRows::hold() const {
  const EventTime own = reached_.empty() ? kMaxTime : EventTime{reached_.begin()->first} - 1;
  return former_ == 0 ? own : std::min(own, former_hold_);
}

}  // namespace tidemark
