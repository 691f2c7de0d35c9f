// The numbers under which an operator keeps records in state: which are taken, which are free, and what has changed
// since the last commit. What a record is, and the rows by number, are the owner's. Touched only by the stream thread.
//
// A number that is removed may be given again at once: what stood under it is then replaced in state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/types/span.h>

#include "state/state_log.h"
#include "state/store.h"

namespace tidemark {

class NumberedRows {
 public:
  // Some records of the state, by position: numbers ascend from call to call.
  using LoadSome =
      absl::FunctionRef<absl::Status(absl::Span<const uint32_t> numbers, absl::Span<const std::string_view> records)>;
  // Appends the record of a number.
  using Write = absl::FunctionRef<void(uint32_t number, std::string* record)>;

  NumberedRows(StateStore* store, std::string prefix) : log_(store, std::move(prefix)) {}

  // All records of the state, some thousand at a time. `size` is told first: all numbers are below it.
  absl::Status Load(absl::FunctionRef<void(size_t size)> size, LoadSome load);

  // A free number; size() has grown by one where there was none. Nothing is written of it until it changes.
  uint32_t Add();
  // Its record is written with the next commit.
  void Change(uint32_t number);
  // It is free, and its record goes from state with the next commit.
  void Remove(uint32_t number);
  // Whether the state of the last commit holds a record of it.
  bool Stored(uint32_t number) const { return flags_[number] & kStored; }

  size_t size() const { return flags_.size(); }
  // Writes what has changed.
  absl::Status Commit(uint64_t commit, Write write);

  int64_t MemoryBytes() const;

 private:
  enum Flag : uint8_t { kTaken = 1, kStored = 2, kTouched = 4, kChanged = 8 };

  void Touch(uint32_t number);

  StateLog log_;
  std::vector<uint8_t> flags_;  // by number
  std::vector<uint32_t> free_;
  std::vector<uint32_t> touched_;  // changed or removed since the last commit, each once
};

}  // namespace tidemark
