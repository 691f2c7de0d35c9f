// The rows that one side of a join of tables has now, by the columns that they are joined by. Touched only by the
// stream thread.
//
// All rows of one join key are a group, and in it a row is found by the rest of its table's key. A group has a record:
// how many rows there are, and while they are few the rows themselves. One that has outgrown a page lies in pages by
// the hash of the row's key, as many as its bytes ask for (linear hashing: Litwin, 1980): a page more is made by
// parting one that there is, so neither does a group's growth ever move more than a page, nor does a change of one of a
// million rows cost more than a page. Records lie in KeyedRows, so they needn't fit in memory.
//
// A batch at a time: Fetch brings in the groups that the batch is about, and then the other functions speak of these
// only. What a Row or the argument of a visitor shows is valid until a row of that group is put or erased.
//
// State key: the prefix (KeyedRows), the group's bytes (RowCodec::Key, of which none begins with another): varint rows,
//            varint their bytes, varint pages; if there are none: entries.
// State key: the prefix, the group's bytes, a page's number (4 bytes, big-endian): entries; none where it has no rows.
//            An entry: the rest of the key and the row, with their sizes, and the row's time (8 bytes, ordered).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/types/span.h>

#include "src/base/memory_budget.h"
#include "state/keyed_rows.h"
#include "state/store.h"

namespace tidemark {

class TableRows {
 public:
  struct Row {
    std::string_view key;  // within its group
    std::string_view row;
    int64_t time = 0;
  };
  using Visitor = absl::FunctionRef<absl::Status(const Row& row)>;

  // `memory` may be null: no limit.
  TableRows(StateStore* store, std::string prefix, MemoryBudget* memory) : rows_(store, std::move(prefix), memory) {}

  absl::Status Load() { return rows_.Load(); }

  // Groups in any order, and more than once.
  absl::Status Fetch(absl::Span<const std::string_view> groups);

  absl::StatusOr<int64_t> Count(std::string_view group);
  // False: there is no such row.
  absl::StatusOr<bool> Find(std::string_view group, std::string_view key, Row* row);
  // In no order. A large group is read a part at a time, but stays in memory until the commit.
  absl::Status Visit(std::string_view group, Visitor visit);

  // In place of the row with its key, if there is one.
  absl::Status Put(std::string_view group, const Row& row);
  absl::Status Erase(std::string_view group, std::string_view key);

  absl::Status Commit(uint64_t commit) { return rows_.Commit(commit); }
  int64_t MemoryBytes() const { return rows_.MemoryBytes(); }

 private:
  struct Group {
    uint64_t rows = 0, bytes = 0, pages = 0;
    std::string_view entries;  // if there are no pages
  };

  absl::Status Read(std::string_view group, Group* out);
  void Write(std::string_view group, const Group& from);
  absl::StatusOr<std::string_view> Page(std::string_view group, uint64_t number);
  void WritePage(std::string_view group, uint64_t number, std::string_view entries);
  // Writes the entries with `row` in place of what has its key; without one that has no place: the key's goes.
  absl::Status Replace(std::string_view group, std::string_view key, const Row* row);
  // More pages, or fewer, as the group's bytes ask for.
  absl::Status Grow(std::string_view group, Group* of);
  absl::Status Shrink(std::string_view group, Group* of);

  KeyedRows rows_;
  std::string page_, kept_, moved_, written_;  // scratch
};

}  // namespace tidemark
