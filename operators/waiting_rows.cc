#include "operators/waiting_rows.h"

#include <algorithm>
#include <cstring>
#include <tuple>

#include "src/base/big_endian.h"
#include "src/base/status.h"

namespace tidemark {
namespace {

constexpr int64_t kBucketUs = 100 * kMillisecond;

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
    if (key.size() != 16 || stored.size() < sizeof(Row)) {
      status = absl::DataLossError("a waiting row in the state can't be read");
      return;
    }
    Taken& each = taken->emplace_back();
    each.as_of = ReadOrdered(key.substr(0, 8));
    each.number = ReadBigEndian(key.substr(8));
    std::memcpy(&each.row, stored.data(), sizeof(Row));
    each.bytes = stored.substr(sizeof(Row));
  });
  std::sort(taken->begin(), taken->end(),
            [](const Taken& a, const Taken& b) { return std::tie(a.as_of, a.number) < std::tie(b.as_of, b.number); });
  return status;
}

void WaitingRows::Drop(absl::Span<const Taken> taken) {
  for (const Taken& each : taken) {
    rows_.Delete(Key(each.as_of, each.number));
    --count_;
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
