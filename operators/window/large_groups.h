// The groups of a window whose values are large: a count(distinct) of a million, a minimum over all that may be taken
// back. A commit that wrote them whole would write a million values for each one that has come; so it writes what has
// come and gone since (Accumulator::SaveChanges), as a record of its own behind those before it. Once these come to as
// much as the group itself, it is written whole again and they are erased: what is written, and what is read at a
// start, stays below twice what there was to write. Which records a group has is kept here, by the group's number in
// its window. Touched only by the stream thread.
//
// A record: varints of the group's number and of its own among the group's, then what SaveChanges wrote. A log that is
// cleaned (state/state_log.h) gives records in another order than they were written in; by their numbers they are put
// on the group's values in that one, as what isn't noted is whole in each. While a window's are read all of them are in
// memory: which are erased is known at the end of its log.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/container/flat_hash_map.h>
#include <absl/functional/function_ref.h>
#include <absl/status/status.h>

namespace tidemark {

class LargeGroups {
 public:
  // A group whose values are smaller than this, as they stand in state, is always written whole. Builds for unit tests
  // and the simulator, whose groups are small, have most of them large.
#ifdef TIDEMARK_WITH_MUTATIONS
  static constexpr size_t kLargeBytes = 24;
#else
  static constexpr size_t kLargeBytes = 512;
#endif

  using Erase = absl::FunctionRef<void(uint32_t number)>;
  using Apply = absl::FunctionRef<absl::Status(uint32_t group, std::string_view changes)>;

  // Makes the changes a record of the group, in place, and returns the record's number. None: the group hasn't been
  // written whole since Forget, or it costs no more to do that again.
  std::optional<uint32_t> Add(uint32_t group, std::string* changes);
  // The group is written whole, with so many bytes, and what comes from now on may be added.
  void Begin(uint32_t group, size_t bytes);
  // Erases the group's records; it has none from now on.
  void Forget(uint32_t group, Erase erase);
  bool Has(uint32_t group) const { return groups_.contains(group); }

  // What the log holds (null: the record was erased), then all records of all groups in order. Groups have to be
  // written whole before more is added.
  absl::Status LoadRecord(uint32_t number, const std::string_view* record);
  absl::Status FinishLoad(Apply apply);

  int64_t MemoryBytes() const;

 private:
  struct Group {
    size_t whole = 0, added = 0;    // bytes of the values as they were written whole, of the records behind them
    std::vector<uint32_t> records;  // their numbers, oldest first
  };

  absl::flat_hash_map<uint32_t, Group> groups_;  // by number: those that are large
  size_t records_ = 0;                           // of all
  uint32_t next_ = 0;
  std::vector<uint32_t> free_;                          // below next_
  absl::flat_hash_map<uint32_t, std::string> loading_;  // records by number
};

}  // namespace tidemark
