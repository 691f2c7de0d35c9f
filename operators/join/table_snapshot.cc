#include "operators/join/table_snapshot.h"

#include <algorithm>
#include <optional>

#include <arrow/array/array_base.h>
#include <arrow/array/concatenate.h>
#include <arrow/record_batch.h>

#include "src/base/status.h"
#include "src/codec/cells.h"
#include "src/codec/key_encoder.h"

namespace tidemark {
namespace {

bool IsIntegerKey(const TablePlan& plan) {
  if (plan.key.size() != 1) return false;
  const Kind kind = plan.columns[plan.key[0]].column.type.kind;
  return kind == Kind::kInt32 || kind == Kind::kInt64;
}

// The rows of an integer column as 64 bits: calls f(row, value), or f(row) where it is null.
template <typename Value, typename Null>
void VisitIntegers(const arrow::ArrayData& column, Value&& value, Null&& null) {
  const auto visit = [&](auto tag) {
    const Cells<decltype(tag)> cells(column);
    for (int64_t i = 0; i < column.length; ++i) cells.IsNull(i) ? null(i) : value(i, static_cast<int64_t>(cells[i]));
  };
  column.type->id() == arrow::Type::INT32 ? visit(int32_t{}) : visit(int64_t{});
}

// Rows with a null among these columns.
std::vector<uint8_t> NullRows(const arrow::RecordBatch& rows, const std::vector<size_t>& columns) {
  std::vector<uint8_t> nulls(rows.num_rows());
  for (const size_t c : columns) {
    const auto& array = *rows.column(static_cast<int>(c));
    if (array.null_count() == 0) continue;
    for (int64_t i = 0; i < rows.num_rows(); ++i) nulls[i] |= array.IsNull(i);
  }
  return nulls;
}

absl::string_view Abseil(std::string_view s) { return {s.data(), s.size()}; }

// The last row of every key, in ascending order; none for a key whose last row is a tombstone or for a null key.
template <typename Map, typename KeyOf>
std::vector<int32_t> LastRows(int64_t n, const std::vector<uint8_t>& deleted, KeyOf&& key_of, Map* last) {
  for (int64_t i = n - 1; i >= 0; --i) {
    if (const auto key = key_of(i)) last->try_emplace(*key, static_cast<int32_t>(i));
  }
  std::vector<int32_t> rows;
  for (const auto& [key, row] : *last) {
    if (deleted.empty() || !deleted[row]) rows.push_back(row);
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

// These of the `n` rows, in ascending order, as one batch. Column by column: what is copied twice is one of them.
absl::StatusOr<Batch> Gather(const std::vector<Batch>& pieces, const std::vector<int32_t>& kept, int64_t n) {
  if (pieces.size() == 1) return static_cast<int64_t>(kept.size()) == n ? pieces[0] : TakeRows(pieces[0], kept);
  std::vector<std::vector<int32_t>> rows(pieces.size());  // within each piece
  int64_t first = 0;
  size_t next = 0;
  for (size_t p = 0; p < pieces.size(); ++p) {
    for (; next < kept.size() && kept[next] < first + pieces[p]->num_rows(); ++next) {
      rows[p].push_back(static_cast<int32_t>(kept[next] - first));
    }
    first += pieces[p]->num_rows();
  }
  arrow::ArrayVector columns;
  for (int c = 0; c < pieces[0]->num_columns(); ++c) {
    arrow::ArrayVector parts;
    for (size_t p = 0; p < pieces.size(); ++p) {
      TM_ASSIGN_OR_RETURN(auto cells, TakeCells(*pieces[p]->column_data(c), rows[p]));
      parts.push_back(std::move(cells));
    }
    TM_ASSIGN_OR_RETURN(auto column, FromArrow(arrow::Concatenate(parts), "table rows"));
    columns.push_back(std::move(column));
  }
  return arrow::RecordBatch::Make(pieces[0]->schema(), static_cast<int64_t>(kept.size()), std::move(columns));
}

}  // namespace

absl::StatusOr<std::shared_ptr<const TableSnapshot>> TableSnapshot::Build(const TablePlan& plan,
                                                                          const std::vector<Batch>& pieces,
                                                                          const std::vector<uint8_t>& deleted) {
  auto table = std::make_shared<TableSnapshot>();
  int64_t n = 0;
  for (const Batch& piece : pieces) n += piece->num_rows();
  if (n > INT32_MAX) {
    return absl::ResourceExhaustedError(absl::StrCat("table ", plan.name, ": more than 2^31 rows"));
  }
  table->int_key_ = IsIntegerKey(plan);
  std::vector<int32_t> kept;
  if (table->int_key_) {
    std::vector<std::optional<int64_t>> keys(n);
    int64_t first = 0;
    for (const Batch& piece : pieces) {
      VisitIntegers(
          *piece->column_data(static_cast<int>(plan.key[0])), [&](int64_t i, int64_t key) { keys[first + i] = key; },
          [](int64_t) {});
      first += piece->num_rows();
    }
    absl::flat_hash_map<int64_t, int32_t> last;
    kept = LastRows(n, deleted, [&](int64_t i) { return keys[i]; }, &last);
    table->by_int_.reserve(kept.size());
    for (size_t i = 0; i < kept.size(); ++i) table->by_int_.emplace(*keys[kept[i]], static_cast<int32_t>(i));
  } else {
    std::vector<EncodedKeys> encoded(pieces.size());
    std::vector<std::optional<absl::string_view>> keys;
    keys.reserve(n);
    for (size_t p = 0; p < pieces.size(); ++p) {
      const std::vector<uint8_t> nulls = NullRows(*pieces[p], plan.key);
      TM_RETURN_IF_ERROR(EncodeKeys(*pieces[p], plan.key, &encoded[p]));
      for (size_t i = 0; i < nulls.size(); ++i) {
        keys.push_back(nulls[i] ? std::nullopt : std::optional<absl::string_view>(Abseil(encoded[p][i])));
      }
    }
    absl::flat_hash_map<absl::string_view, int32_t> last;
    kept = LastRows(n, deleted, [&](int64_t i) { return keys[i]; }, &last);
    table->by_encoded_.reserve(kept.size());
    for (size_t i = 0; i < kept.size(); ++i) {
      table->by_encoded_.emplace(std::string(*keys[kept[i]]), static_cast<int32_t>(i));
    }
  }
  TM_ASSIGN_OR_RETURN(table->rows_, Gather(pieces, kept, n));
  return std::shared_ptr<const TableSnapshot>(std::move(table));
}

int64_t TableSnapshot::size() const { return rows_->num_rows(); }

absl::Status TableSnapshot::Lookup(const arrow::RecordBatch& batch, const std::vector<size_t>& columns,
                                   std::vector<int32_t>* out) const {
  out->assign(batch.num_rows(), -1);
  if (int_key_) {
    VisitIntegers(
        *batch.column_data(static_cast<int>(columns[0])),
        [&](int64_t i, int64_t key) {
          if (const auto it = by_int_.find(key); it != by_int_.end()) (*out)[i] = it->second;
        },
        [](int64_t) {});
    return absl::OkStatus();
  }
  const std::vector<uint8_t> nulls = NullRows(batch, columns);
  EncodedKeys keys;
  TM_RETURN_IF_ERROR(EncodeKeys(batch, columns, &keys));
  for (int64_t i = 0; i < batch.num_rows(); ++i) {
    if (nulls[i]) continue;
    if (const auto it = by_encoded_.find(Abseil(keys[i])); it != by_encoded_.end()) (*out)[i] = it->second;
  }
  return absl::OkStatus();
}

}  // namespace tidemark
