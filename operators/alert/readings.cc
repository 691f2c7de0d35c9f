#include "operators/alert/readings.h"

#include <limits>
#include <optional>
#include <utility>

#include "src/base/big_endian.h"
#include "src/base/status.h"
#include "src/base/varint.h"

namespace tidemark {
namespace {

constexpr size_t kTimeBytes = 8, kPlaceBytes = 16;

absl::Status Damaged() { return absl::DataLossError("a row of an alert in the state can't be read"); }

char TruthsOf(Truth raise, Truth clear) {
  return static_cast<char>(static_cast<uint8_t>(raise) + 3 * static_cast<uint8_t>(clear));
}

// One more reading of which the conditions said so.
void AppendTruths(char truths, uint64_t count, std::string* value) {
  value->push_back(truths);
  AppendVarint(count, value);
}

// Takes what was said of the next readings off the front.
bool TakeTruths(std::string_view* from, char* truths, uint64_t* count) {
  if (from->empty() || static_cast<uint8_t>(from->front()) > 8) return false;
  *truths = from->front();
  from->remove_prefix(1);
  return TakeVarint(from, count) && *count > 0;
}

// `truths` with the last ones of them, one more or one fewer.
void CopyTruths(std::string_view truths, std::string* value, int change, char changed) {
  char said = 0;
  uint64_t count = 0;
  while (TakeTruths(&truths, &said, &count)) {
    const bool last = truths.empty();
    if (last && change < 0) --count;
    if (last && change > 0 && said == changed) ++count;
    if (count > 0) AppendTruths(said, count, value);
    if (last && change > 0 && said != changed) AppendTruths(changed, 1, value);
  }
}

// What versions before wrote: varints of the time, the offset (signs folded in), source, partition and what the
// conditions said (raise + 3 * clear), then key and row, each with its size.
int64_t Unfolded(uint64_t value) { return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1); }

std::optional<Reading> ReadFormer(std::string_view record) {
  uint64_t time = 0, offset = 0, source = 0, partition = 0, truths = 0;
  Reading reading;
  for (uint64_t* value : {&time, &offset, &source, &partition, &truths}) {
    if (!TakeVarint(&record, value)) return std::nullopt;
  }
  if (truths > 8 || !TakeBytes(&record, &reading.key) || !TakeBytes(&record, &reading.row) || !record.empty()) {
    return std::nullopt;
  }
  reading.time = Unfolded(time);
  reading.source = static_cast<int32_t>(source);
  reading.partition = static_cast<int32_t>(partition);
  reading.offset = Unfolded(offset);
  reading.raise = static_cast<Truth>(truths % 3);
  reading.clear = static_cast<Truth>(truths / 3);
  return reading;
}

void AppendOrdered32(int32_t value, std::string* out) {
  AppendBigEndian(static_cast<uint32_t>(value) ^ (uint32_t{1} << 31), 4, out);
}

}  // namespace

void Readings::OrderOf(const Reading& reading, std::string* order) {
  order->clear();
  order->reserve(kTimeBytes + reading.key.size() + kPlaceBytes + reading.row.size());
  AppendOrdered(reading.time, order);
  order->append(reading.key);
  AppendOrdered32(reading.source, order);
  AppendOrdered32(reading.partition, order);
  AppendOrdered(reading.offset, order);
  order->append(reading.row);
}

absl::Status Readings::Load() {
  TM_RETURN_IF_ERROR(rows_.Load());
  const auto parse = [](std::string_view record, std::string* order, std::string* value) {
    const std::optional<Reading> reading = ReadFormer(record);
    if (!reading) return Damaged();
    OrderOf(*reading, order);
    value->clear();
    AppendVarint(reading->key.size(), value);
    AppendTruths(TruthsOf(reading->raise, reading->clear), 1, value);
    return absl::OkStatus();
  };
  return rows_.LoadFormer("r", parse, [](std::string_view other, std::string* value) {
    std::string_view further = *value;
    uint64_t size = 0, count = 0;
    char truths = 0;
    if (!TakeVarint(&further, &size) || !TakeTruths(&further, &truths, &count)) return Damaged();
    std::string_view said = other;
    if (!TakeVarint(&said, &size)) return Damaged();
    value->assign(other.substr(0, other.size() - said.size()));
    CopyTruths(said, value, +1, truths);
    return absl::OkStatus();
  });
}

absl::Status Readings::Fetch(absl::Span<const Reading> readings) {
  if (rows_.all_in_memory()) return absl::OkStatus();
  orders_.resize(readings.size());
  std::vector<std::string_view> keys;
  for (size_t i = 0; i < readings.size(); ++i) {
    OrderOf(readings[i], &orders_[i]);
    keys.push_back(orders_[i]);
  }
  return rows_.Fetch(keys);
}

void Readings::Add(const Reading& reading) {
  OrderOf(reading, &order_);
  const char truths = TruthsOf(reading.raise, reading.clear);
  value_.clear();
  AppendVarint(reading.key.size(), &value_);
  if (const std::optional<std::string_view> equal = rows_.Get(order_)) {
    CopyTruths(equal->substr(value_.size()), &value_, +1, truths);
  } else {
    AppendTruths(truths, 1, &value_);
  }
  rows_.Put(order_, value_);
}

bool Readings::Remove(const Reading& reading) {
  OrderOf(reading, &order_);
  const std::optional<std::string_view> equal = rows_.Get(order_);
  if (!equal) return false;
  value_.clear();
  AppendVarint(reading.key.size(), &value_);
  const size_t head = value_.size();
  CopyTruths(equal->substr(head), &value_, -1, 0);
  if (value_.size() > head) {
    rows_.Put(order_, value_);
  } else {
    rows_.Delete(order_);
  }
  return true;
}

absl::StatusOr<int64_t> Readings::Take(int64_t end, size_t most, std::vector<Taken>* taken) {
  taken->clear();
  std::string until;
  AppendOrdered(end, &until);
  bool damaged = false;
  TM_ASSIGN_OR_RETURN(until, rows_.RecallSome(until, most, [&](std::string_view order, std::string_view value) {
    uint64_t key_size = 0;
    damaged |= !TakeVarint(&value, &key_size) || order.size() < kTimeBytes + kPlaceBytes ||
               key_size > order.size() - kTimeBytes - kPlaceBytes;
    if (damaged) return;
    taken->push_back({.time = ReadOrdered(order.substr(0, kTimeBytes)),
                      .key = order.substr(kTimeBytes, key_size),
                      .row = order.substr(kTimeBytes + key_size + kPlaceBytes),
                      .record = order,
                      .truths = value});
  }));
  if (damaged || until.size() < kTimeBytes) return Damaged();
  return ReadOrdered(std::string_view(until).substr(0, kTimeBytes));
}

void Readings::VisitTruths(const Taken& taken, Visitor visit) {
  std::string_view truths = taken.truths;
  char said = 0;
  uint64_t count = 0;
  while (TakeTruths(&truths, &said, &count)) visit(static_cast<Truth>(said % 3), static_cast<Truth>(said / 3));
}

int64_t Readings::first_time() const {
  const uint64_t head = rows_.FirstHead();
  return head == KeyedRows::kNoHead ? std::numeric_limits<int64_t>::max() : KeyedRows::OrderedOf(head);
}

}  // namespace tidemark
