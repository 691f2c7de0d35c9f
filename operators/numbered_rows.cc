#include "operators/numbered_rows.h"

#include <utility>

#include "src/base/status.h"

namespace tidemark {
namespace {

constexpr size_t kLoadRows = 4096;

}  // namespace

// A record may be replaced by a later one: only the last of each number is loaded.
absl::Status NumberedRows::Load(absl::FunctionRef<void(size_t size)> size, LoadSome load) {
  std::vector<std::string> records;  // by number
  TM_RETURN_IF_ERROR(log_.Load([&](uint32_t number, const std::string_view* record) {
    if (number >= records.size()) {
      records.resize(number + 1);
      flags_.resize(number + 1);
    }
    flags_[number] = record != nullptr ? kTaken | kStored : 0;
    records[number] = record != nullptr ? std::string(*record) : std::string();
    return absl::OkStatus();
  }));
  size(records.size());
  std::vector<uint32_t> numbers;
  for (uint32_t number = 0; number < flags_.size(); ++number) (Stored(number) ? numbers : free_).push_back(number);
  std::vector<std::string_view> bytes;
  for (size_t at = 0; at < numbers.size(); at += kLoadRows) {
    const auto some = absl::Span<const uint32_t>(numbers).subspan(at, kLoadRows);
    bytes.clear();
    for (const uint32_t number : some) bytes.push_back(records[number]);
    TM_RETURN_IF_ERROR(load(some, bytes));
    for (const uint32_t number : some) records[number] = std::string();
  }
  return absl::OkStatus();
}

uint32_t NumberedRows::Add() {
  if (free_.empty()) {
    flags_.push_back(kTaken);
    return static_cast<uint32_t>(flags_.size() - 1);
  }
  const uint32_t number = free_.back();
  free_.pop_back();
  flags_[number] |= kTaken;
  return number;
}

void NumberedRows::Touch(uint32_t number) {
  if (flags_[number] & kTouched) return;
  flags_[number] |= kTouched;
  touched_.push_back(number);
}

void NumberedRows::Change(uint32_t number) {
  flags_[number] |= kChanged;
  Touch(number);
}

void NumberedRows::Remove(uint32_t number) {
  flags_[number] &= kStored | kTouched;
  free_.push_back(number);
  Touch(number);
}

absl::Status NumberedRows::Commit(uint64_t commit, Write write) {
  log_.Begin(commit);
  std::string record;
  for (const uint32_t number : std::exchange(touched_, {})) {
    if (flags_[number] & kChanged) {
      record.clear();
      write(number, &record);
      log_.Put(number, record);
      flags_[number] = kTaken | kStored;
    } else {
      log_.Erase(number);
      flags_[number] &= kTaken;
    }
  }
  return log_.Commit();
}

int64_t NumberedRows::MemoryBytes() const {
  return static_cast<int64_t>(flags_.capacity() + (free_.capacity() + touched_.capacity()) * sizeof(uint32_t)) +
         log_.MemoryBytes();
}

}  // namespace tidemark
