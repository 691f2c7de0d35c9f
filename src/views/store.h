// The rows of a view in the memory of one worker, by key and by each declared index. One thread writes, in the order of
// the view's log and a whole commit at a time; any thread reads. Whoever asks gets all rows of one moment: he takes
// references under the lock, and looks at what they hold behind it, so that a long answer holds nobody up.
//
// A row is the cells of its columns as bytes (src/codec/row_codec.h), which sort as PostgreSQL sorts; what a row is
// found by is a run of such cells, so every index is an ordered set of byte strings, the key's too.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/container/btree_set.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include "src/base/batch.h"
#include "src/base/record.h"
#include "src/base/time.h"
#include "src/codec/row_codec.h"
#include "src/plan/plan.h"

namespace tidemark {

// A row and what it is found by. Immutable once it is in a store.
class ViewRow {
 public:
  std::string_view cells() const { return Part(0); }
  // `index`: 0 is the key, 1 the first declared index, whose columns' cells stand before the key's.
  std::string_view sorted(size_t index) const { return Part(index + 1); }
  EventTime time() const { return time_; }
  Offset offset() const { return offset_; }
  int64_t bytes() const { return static_cast<int64_t>(sizeof(ViewRow) + text_.capacity() + ends_.capacity() * 4); }

 private:
  friend class ViewShape;
  std::string_view Part(size_t i) const {
    const size_t begin = i == 0 ? 0 : ends_[i - 1];
    return std::string_view(text_).substr(begin, ends_[i] - begin);
  }

  std::string text_;
  std::vector<uint32_t> ends_;
  EventTime time_;
  Offset offset_ = 0;
};
using ViewRowPtr = std::shared_ptr<const ViewRow>;

// What rows of a view look like. Immutable; any thread.
class ViewShape {
 public:
  explicit ViewShape(const SinkPlan& view);

  const Schema& schema() const { return schema_; }
  const std::vector<size_t>& key() const { return indexes_[0]; }
  // Columns by index: first the key, then the declared ones, without the key that stands behind each.
  const std::vector<std::vector<size_t>>& indexes() const { return indexes_; }
  // All that an index is sorted by: its columns, then those of the key.
  std::vector<size_t> SortedBy(size_t index) const;
  int64_t keep_us() const { return keep_us_; }

  // The cells of each row of a batch whose first columns are the view's.
  absl::Status Encode(const arrow::RecordBatch& rows, EncodedKeys* out) const { return codec_.Encode(rows, out); }
  // DataLoss: no row of this shape.
  absl::StatusOr<ViewRowPtr> MakeRow(std::string_view cells, EventTime time, Offset offset) const;
  absl::StatusOr<std::string> KeyOf(std::string_view cells) const;
  bool Split(const ViewRow& row, std::vector<std::string_view>* cells) const {
    return codec_.Split(row.cells(), cells);
  }
  // The rows as a batch of the view's columns.
  absl::StatusOr<Batch> Decode(const std::vector<ViewRowPtr>& rows) const;

 private:
  const Schema schema_;
  std::vector<std::vector<size_t>> indexes_;
  const int64_t keep_us_;
  const RowCodec codec_;
  const std::shared_ptr<arrow::Schema> batch_schema_;
};

// What happens to the row of a key.
struct ViewChange {
  std::string key;
  ViewRowPtr row;   // null: it goes
  ViewRowPtr gone;  // then: the columns of its key, for those who are told
};

// Which rows are asked for: those of one index between bounds, in its order or against it.
struct ViewScan {
  size_t index = 0;
  std::vector<std::pair<std::string, std::string>> ranges;  // [from, to) of sorted bytes, ascending, none overlapping
  bool backwards = false;
};

// The moment that an answer is of.
struct ViewMoment {
  Offset position = 0;  // the log's records before it are in
  std::optional<EventTime> as_of;
};

class ViewStore {
 public:
  explicit ViewStore(const ViewShape& shape);

  // One step of the view: all of it becomes visible at once. Rows whose time is over at `as_of` go.
  void Apply(std::vector<ViewChange> changes, const ViewMoment& moment);

  // References to at most so many of the rows asked for; all are of the moment that is returned.
  ViewMoment Collect(const ViewScan& scan, size_t at_most, std::vector<ViewRowPtr>* out) const;

  ViewMoment moment() const;
  int64_t rows() const;
  int64_t bytes() const;
  // The oldest record of the log that a row is from; nothing: there is no row. Looks at all rows.
  std::optional<Offset> OldestOffset() const;

 private:
  struct Before {
    using is_transparent = void;
    size_t index;
    static std::string_view Of(const ViewRowPtr& row, size_t index) { return row->sorted(index); }
    static std::string_view Of(std::string_view bytes, size_t) { return bytes; }
    template <typename A, typename B>
    bool operator()(const A& a, const B& b) const {
      return Of(a, index) < Of(b, index);
    }
  };
  struct Earlier {
    bool operator()(const ViewRowPtr& a, const ViewRowPtr& b) const {
      return a->time() != b->time() ? a->time() < b->time() : a->sorted(0) < b->sorted(0);
    }
  };
  using Index = absl::btree_set<ViewRowPtr, Before>;

  void Put(const ViewRowPtr& row) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // By value: the sets' own reference goes with it.
  void Drop(ViewRowPtr row) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Over(const ViewRow& row, const ViewMoment& moment) const;
  int64_t BytesOf(const ViewRow& row) const;

  const ViewShape& shape_;
  mutable absl::Mutex mutex_;
  std::vector<Index> indexes_ ABSL_GUARDED_BY(mutex_);                    // the first is by key
  absl::btree_set<ViewRowPtr, Earlier> by_time_ ABSL_GUARDED_BY(mutex_);  // where rows are kept for a time only
  ViewMoment moment_ ABSL_GUARDED_BY(mutex_);
  int64_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace tidemark
