// The rows that a fetch's records become, under construction: what a ValueReader writes into. Adds to each row what
// doesn't come from the value (columns from keys, headers and places, hidden columns), and keeps the rule that a record
// counts as a whole: where one of its rows is bad, it has none. Used by one thread.
//
// A reader's calls for each record it is given, in order (src/codec/value_reader.h):
//
//     BeginRecord --+--> BeginRow, set columns, EndRow: any number of times
//                   +--> Tombstone: its value is null
//                   +--> Reject or Later, at any time: the record has no rows. After Later, nothing more.
//
// A key may have to wait too: then the reader's further calls come to nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

#include "src/base/batch.h"
#include "src/base/record.h"
#include "src/codec/column_set.h"
#include "src/codec/hidden_columns.h"
#include "src/codec/key_reader.h"
#include "src/codec/value_reader.h"
#include "src/plan/plan.h"

namespace tidemark {

// The columns that come from keys; and the key columns of a table, as a deletion's key has them.
std::vector<ReadTarget> KeyTargets(const std::vector<SourceColumn>& columns);
std::vector<ReadTarget> TombstoneTargets(const TablePlan& plan);

class RecordRows {
 public:
  // `key` reads the columns that come from keys (KeyTargets); null where there are none.
  // Of a source: with hidden columns. A key is missed where the source's rows are promised to lie by it.
  RecordRows(const SourcePlan& plan, std::unique_ptr<KeyReader> key);
  // Of a table: a null value is a deletion, whose row is found by the record key, read by `tombstone_key`.
  RecordRows(const TablePlan& plan, std::unique_ptr<KeyReader> key, std::unique_ptr<KeyReader> tombstone_key);

  // ---- For the reader.
  void BeginRecord(size_t record) {
    if (!waits_for_.empty()) [[unlikely]]
      return;
    if (record_has_no_rows()) ++empty_records_;
    record_ = record;
    ++begun_;
    first_row_ = row_;
    rejected_ = false;
    if (hidden_) time_before_ = hidden_->max_time();
  }
  // A row whose columns are to be set now.
  ColumnSet& BeginRow() {
    if (row_ == capacity_) [[unlikely]]
      Grow();
    columns_.BeginRow(row_);
    return columns_;
  }
  // False: the row is bad, and with it the record, which is rejected; no more rows of it are looked at.
  bool EndRow(Op op = Op::kInsert);
  // A row of a changing source is deleted: its key must have values, its other columns don't matter.
  bool EndDeletion();
  // A column of the records that nobody has asked for, told once by a reader.
  void Unnamed(std::string column) { unnamed_.push_back(std::move(column)); }
  // What a null value means is not a matter of format.
  void Tombstone();
  void Reject(std::string reason);
  // `what` is missing, for people: "schema 7 of http://registry:8081".
  void Later(std::string what);

  // ---- For whoever has the fetch.
  // Records from `first` on are going to be read. `time` (sources) runs forward row by row.
  void Start(const Fetch& fetch, size_t first, SourceTime* time, std::vector<DecodeError>* errors);
  // Appends the columns of all rows, the hidden ones behind the others; how many rows. Internal: the reader has passed
  // over records without a word.
  absl::StatusOr<int64_t> Finish(std::vector<std::shared_ptr<arrow::Array>>* out);
  // The record that is to be read next time: one that has to wait, or the one behind the last.
  size_t next() const { return next_; }
  // What that waits for; "": nothing.
  const std::string& waits_for() const { return waits_for_; }
  // Records before `next` that are good and gave no row.
  int64_t empty_records() const { return empty_records_; }
  // Those that were told since this was asked.
  std::vector<std::string> TakeUnnamed() { return std::exchange(unnamed_, {}); }
  // The operations of all rows. Tables only.
  const std::vector<Op>& ops() const { return ops_; }

  // Columns come from values; without any, values aren't looked at.
  bool reads_values() const { return !value_targets_.empty(); }
  const std::vector<ReadTarget>& value_targets() const { return value_targets_; }

 private:
  RecordRows(const std::vector<SourceColumn>& columns, std::unique_ptr<KeyReader> key);

  // The reason, where the present record was refused or has to wait for its key.
  std::optional<std::string> ReadKey(KeyReader* key, ColumnSet* columns);
  bool record_has_no_rows() const { return record_ != kNone && row_ == first_row_ && !rejected_; }
  void Grow();
  void TakeBack();
  absl::Status FindTimes(std::vector<std::shared_ptr<arrow::Array>>* columns);
  std::optional<std::string> FinishRow(Op op, bool deletion);
  std::optional<std::string> FinishColumns(bool deletion);
  std::optional<std::string> ReadHeaders();
  std::optional<std::string> ReadPlace();

  static constexpr size_t kNone = ~size_t{0};

  ColumnSet columns_;
  std::vector<ReadTarget> value_targets_;
  std::unique_ptr<KeyReader> key_;
  std::vector<size_t> header_columns_, place_columns_;
  bool needs_key_ = false;
  std::optional<HiddenColumns> hidden_;       // sources
  std::shared_ptr<arrow::Schema> schema_;     // sources: of the columns
  std::unique_ptr<KeyReader> tombstone_key_;  // tables
  std::vector<size_t> key_columns_;           // tables, and sources of a changing one
  std::vector<std::string> unnamed_;

  // Of the present fetch.
  const Fetch* fetch_ = nullptr;
  std::span<const RecordView> records_;
  std::vector<DecodeError>* errors_ = nullptr;
  int64_t row_ = 0, capacity_ = 0;  // rows that stand, and for which there is room
  size_t first_ = 0, begun_ = 0;    // the first record that is to be read; how many were
  size_t record_ = kNone;           // the present one
  int64_t first_row_ = 0;           // its
  bool rejected_ = false;           // it is
  EventTime time_before_ = kMinTime;
  size_t next_ = 0;
  std::string waits_for_;
  int64_t empty_records_ = 0;
  std::vector<Op> ops_;
  std::vector<size_t> record_of_;  // by row; only where event time is found row by row at the end
};

}  // namespace tidemark
