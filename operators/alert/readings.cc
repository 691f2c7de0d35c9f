#include "operators/alert/readings.h"

#include <optional>
#include <utility>

#include "src/base/status.h"
#include "src/base/varint.h"

namespace tidemark {
namespace {

constexpr int64_t kReadingBytes = sizeof(Reading) + 3 * sizeof(void*);  // beside its key and row

// State record: varints of the time, the offset (signs folded in), source, partition and what the conditions said
// (raise + 3 * clear), then key and row, each with its size.
uint64_t Folded(int64_t value) { return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63); }
int64_t Unfolded(uint64_t value) { return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1); }

void Write(const Reading& reading, std::string* record) {
  AppendVarint(Folded(reading.time), record);
  AppendVarint(Folded(reading.offset), record);
  AppendVarint(static_cast<uint32_t>(reading.source), record);
  AppendVarint(static_cast<uint32_t>(reading.partition), record);
  AppendVarint(static_cast<uint64_t>(reading.raise) + 3 * static_cast<uint64_t>(reading.clear), record);
  AppendVarint(reading.key_size, record);
  record->append(reading.key());
  AppendVarint(reading.row().size(), record);
  record->append(reading.row());
}

std::optional<Reading> Read(std::string_view record) {
  uint64_t time = 0, offset = 0, source = 0, partition = 0, truths = 0;
  std::string_view key, row;
  for (uint64_t* value : {&time, &offset, &source, &partition, &truths}) {
    if (!TakeVarint(&record, value)) return std::nullopt;
  }
  if (truths > 8 || !TakeBytes(&record, &key) || !TakeBytes(&record, &row) || !record.empty()) return std::nullopt;
  Reading reading{.time = Unfolded(time),
                  .key_size = key.size(),
                  .source = static_cast<int32_t>(source),
                  .partition = static_cast<int32_t>(partition),
                  .offset = Unfolded(offset),
                  .raise = static_cast<Truth>(truths % 3),
                  .clear = static_cast<Truth>(truths / 3)};
  reading.bytes.reserve(key.size() + row.size());
  reading.bytes.append(key).append(row);
  return reading;
}

}  // namespace

absl::Status Readings::Load() {
  return numbers_.Load([&](size_t size) { readings_.resize(size); },
                       [&](absl::Span<const uint32_t> numbers, absl::Span<const std::string_view> records) {
                         for (size_t i = 0; i < numbers.size(); ++i) {
                           std::optional<Reading> reading = Read(records[i]);
                           if (!reading) return absl::DataLossError("a row of an alert in the state can't be read");
                           Keep(numbers[i], *std::move(reading));
                         }
                         return absl::OkStatus();
                       });
}

void Readings::Keep(uint32_t number, Reading reading) {
  reading.number = number;
  bytes_ += kReadingBytes + static_cast<int64_t>(reading.bytes.size());
  readings_[number] = std::make_unique<Reading>(std::move(reading));
  order_.insert(readings_[number].get());
}

void Readings::Add(Reading reading) {
  const uint32_t number = numbers_.Add();
  if (number == readings_.size()) readings_.emplace_back();
  Keep(number, std::move(reading));
  numbers_.Change(number);
}

bool Readings::Remove(const Reading& reading) {
  const auto it = order_.lower_bound(&reading);  // whose number is 0: it stands before all that are equal
  if (it == order_.end() || (*it)->time != reading.time || (*it)->key() != reading.key() ||
      (*it)->row() != reading.row()) {
    return false;
  }
  Forget(it);
  return true;
}

void Readings::Forget(Order::const_iterator it) {
  const uint32_t number = (*it)->number;
  bytes_ -= kReadingBytes + static_cast<int64_t>((*it)->bytes.size());
  order_.erase(it);
  readings_[number].reset();
  numbers_.Remove(number);
}

absl::Status Readings::Commit(uint64_t commit) {
  return numbers_.Commit(commit, [&](uint32_t number, std::string* record) { Write(*readings_[number], record); });
}

int64_t Readings::MemoryBytes() const {
  return bytes_ + static_cast<int64_t>(readings_.capacity() * sizeof(readings_[0])) + numbers_.MemoryBytes();
}

}  // namespace tidemark
