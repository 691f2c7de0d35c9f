#include "src/views/store.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include <arrow/record_batch.h>

#include "src/base/status.h"

namespace tidemark {
namespace {

// What a reference costs in an ordered set, and a shared row beside itself.
constexpr int64_t kEntryBytes = 24, kSharedBytes = 16;

std::vector<std::vector<size_t>> IndexesOf(const SinkPlan& view) {
  std::vector<std::vector<size_t>> indexes = {std::get<KafkaSinkSpec>(view.spec).key};
  indexes.insert(indexes.end(), view.view->indexes.begin(), view.view->indexes.end());
  return indexes;
}

RowCodec AllColumns(const Schema& schema) {
  std::vector<size_t> columns(schema.size());
  std::iota(columns.begin(), columns.end(), size_t{0});
  return RowCodec::Key(schema, columns);
}

absl::Status NoRow() { return absl::DataLossError("not a row of the view"); }

}  // namespace

ViewShape::ViewShape(const SinkPlan& view)
    : schema_(view.schema),
      indexes_(IndexesOf(view)),
      keep_us_(view.view->keep_us),
      codec_(AllColumns(schema_)),
      batch_schema_(BatchSchema(schema_, HiddenSet().Without(Hidden::kTime))) {}

std::vector<size_t> ViewShape::SortedBy(size_t index) const {
  std::vector<size_t> columns = indexes_[index];
  if (index > 0) columns.insert(columns.end(), key().begin(), key().end());
  return columns;
}

absl::StatusOr<ViewRowPtr> ViewShape::MakeRow(std::string_view cells, EventTime time, Offset offset) const {
  std::vector<std::string_view> split;
  if (!codec_.Split(cells, &split)) return NoRow();
  size_t bytes = cells.size();
  for (size_t i = 0; i < indexes_.size(); ++i) {
    for (const size_t c : SortedBy(i)) bytes += split[c].size();
  }
  if (bytes > std::numeric_limits<uint32_t>::max()) return NoRow();
  auto row = std::make_shared<ViewRow>();
  row->text_.reserve(bytes);
  row->text_.append(cells);
  row->ends_.reserve(indexes_.size() + 1);
  row->ends_.push_back(static_cast<uint32_t>(row->text_.size()));
  for (size_t i = 0; i < indexes_.size(); ++i) {
    for (const size_t c : SortedBy(i)) row->text_.append(split[c]);
    row->ends_.push_back(static_cast<uint32_t>(row->text_.size()));
  }
  row->time_ = time;
  row->offset_ = offset;
  return row;
}

absl::StatusOr<std::string> ViewShape::KeyOf(std::string_view cells) const {
  std::vector<std::string_view> split;
  if (!codec_.Split(cells, &split)) return NoRow();
  std::string out;
  for (const size_t c : key()) out.append(split[c]);
  return out;
}

absl::StatusOr<Batch> ViewShape::Decode(const std::vector<ViewRowPtr>& rows) const {
  std::vector<std::string_view> cells;
  cells.reserve(rows.size());
  for (const ViewRowPtr& row : rows) cells.push_back(row->cells());
  arrow::ArrayVector arrays;
  TM_RETURN_IF_ERROR(codec_.Decode(cells, &arrays));
  return arrow::RecordBatch::Make(batch_schema_, static_cast<int64_t>(rows.size()), std::move(arrays));
}

ViewStore::ViewStore(const ViewShape& shape) : shape_(shape) {
  for (size_t i = 0; i < shape_.indexes().size(); ++i) indexes_.emplace_back(Before{i});
}

bool ViewStore::Over(const ViewRow& row, const ViewMoment& moment) const {
  return shape_.keep_us() > 0 && moment.as_of && *moment.as_of - shape_.keep_us() >= row.time();
}

int64_t ViewStore::BytesOf(const ViewRow& row) const {
  const auto sets = static_cast<int64_t>(shape_.indexes().size()) + (shape_.keep_us() > 0 ? 1 : 0);
  return row.bytes() + kSharedBytes + sets * kEntryBytes;
}

void ViewStore::Put(const ViewRowPtr& row) {
  for (Index& index : indexes_) index.insert(row);
  if (shape_.keep_us() > 0) by_time_.insert(row);
  bytes_ += BytesOf(*row);
}

void ViewStore::Drop(ViewRowPtr row) {
  for (Index& index : indexes_) index.erase(row);
  if (shape_.keep_us() > 0) by_time_.erase(row);
  bytes_ -= BytesOf(*row);
}

void ViewStore::Apply(std::vector<ViewChange> changes, const ViewMoment& moment) {
  const absl::MutexLock lock(&mutex_);
  for (ViewChange& change : changes) {
    const auto found = indexes_[0].find(std::string_view(change.key));
    if (found != indexes_[0].end()) Drop(*found);
    if (change.row != nullptr && !Over(*change.row, moment)) Put(change.row);
  }
  while (!by_time_.empty() && Over(**by_time_.begin(), moment)) Drop(*by_time_.begin());
  moment_ = moment;
}

ViewMoment ViewStore::Collect(const ViewScan& scan, size_t at_most, std::vector<ViewRowPtr>* out) const {
  const absl::ReaderMutexLock lock(&mutex_);
  const Index& index = indexes_[scan.index];
  const auto take = [&](const std::pair<std::string, std::string>& range) {
    auto from = index.lower_bound(std::string_view(range.first));
    auto to = index.lower_bound(std::string_view(range.second));
    if (range.first >= range.second) return;
    if (scan.backwards) {
      while (to != from && out->size() < at_most) out->push_back(*--to);
    } else {
      for (; from != to && out->size() < at_most; ++from) out->push_back(*from);
    }
  };
  if (scan.backwards) {
    for (auto range = scan.ranges.rbegin(); range != scan.ranges.rend(); ++range) take(*range);
  } else {
    for (const auto& range : scan.ranges) take(range);
  }
  return moment_;
}

ViewMoment ViewStore::moment() const {
  const absl::ReaderMutexLock lock(&mutex_);
  return moment_;
}

int64_t ViewStore::rows() const {
  const absl::ReaderMutexLock lock(&mutex_);
  return static_cast<int64_t>(indexes_[0].size());
}

int64_t ViewStore::bytes() const {
  const absl::ReaderMutexLock lock(&mutex_);
  return bytes_;
}

std::optional<Offset> ViewStore::OldestOffset() const {
  const absl::ReaderMutexLock lock(&mutex_);
  std::optional<Offset> oldest;
  for (const ViewRowPtr& row : indexes_[0]) oldest = std::min(oldest.value_or(row->offset()), row->offset());
  return oldest;
}

}  // namespace tidemark
