// StateStore: the state of one step of one task, as an ordered map of byte strings. What an operator sees of the state
// layer; the overlay, RocksDB and the changelog are behind it (state/task_state.h).
//
// Reads see the task's own uncommitted writes. Writes become durable with the task's next commit and vanish with an
// abort. Every value written is also written to the changelog, once a commit and key: so pack. A 16-byte Put costs
// microseconds, a packed value of thousands of rows a commit costs nanoseconds a row.
//
// Touched only by the task's stream thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace tidemark {

// Largest value a StateStore takes: a larger one would not fit a changelog record. Operators split what they pack.
inline constexpr size_t kMaxValueBytes = 256 << 10;

// Visits keys in ascending byte order. Valid until the next write to the store.
class StateIterator {
 public:
  virtual ~StateIterator() = default;
  virtual bool Valid() const = 0;
  virtual std::string_view key() const = 0;
  virtual std::string_view value() const = 0;
  virtual void Next() = 0;
  // An error ends the scan: check once after the loop.
  virtual absl::Status status() const = 0;
};

class StateStore {
 public:
  virtual ~StateStore() = default;

  virtual absl::StatusOr<std::optional<std::string>> Get(std::string_view key) = 0;
  // Shows the value to `visit`, where there is one, and returns whether there is. Get without the copy, and without the
  // check for damage on disk: for values that are read often, and carry a checksum of their own.
  virtual absl::StatusOr<bool> Read(std::string_view key, absl::FunctionRef<void(std::string_view value)> visit) {
    const absl::StatusOr<std::optional<std::string>> value = Get(key);
    if (!value.ok()) return value.status();
    if (value->has_value()) visit(**value);
    return value->has_value();
  }
  // `value` of at most kMaxValueBytes.
  virtual void Put(std::string_view key, std::string_view value) = 0;
  virtual void Delete(std::string_view key) = 0;
  // What is written says that its readers have to know so much (src/base/kept_format.h): each commit from now on, for
  // as long as this object lives. Whoever opens what needs it again says so again.
  virtual void NeedFormat(uint32_t /*format*/) {}
  // Keys in [begin, end); an empty `end` means to the last.
  virtual std::unique_ptr<StateIterator> Scan(std::string_view begin, std::string_view end) = 0;
};

}  // namespace tidemark
