// The declared columns of a source or table under construction: where values meet the rules of their column - nullable,
// default, on_error. Used by one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/type_fwd.h>

#include "src/base/value_text.h"
#include "src/codec/column_builder.h"
#include "src/plan/plan.h"

namespace tidemark {

class ColumnSet {
 public:
  explicit ColumnSet(const std::vector<SourceColumn>& columns);

  // Makes room for `rows` rows, dropping what was there.
  void Start(int64_t rows);
  // Makes room for more, keeping what is there.
  void Grow(int64_t rows);
  // A row begins; row numbers ascend, a number given again drops the row that had it.
  void BeginRow(int64_t row) {
    row_ = row;
    ++stamp_;
  }
  // Columns that got no value get their default or NULL. The reason, where a required one has none.
  std::optional<std::string> EndRow();
  // Columns that got no value get any: the row's other columns don't matter.
  void EndTombstone();

  // The current row's value of column `c`: the reason, where it can't have that value. JSON's null means no value, also
  // after another value. Set again, the last one stands.
  std::optional<std::string> Set(size_t c, const ScalarText& value) {
    seen_[c] = stamp_;
    if (value.kind == ScalarText::Kind::kNull) {
      seen_[c] = 0;
      return std::nullopt;
    }
    const Fit fit = builders_[c].Set(row_, value);
    if (fit == Fit::kOk) [[likely]]
      return std::nullopt;
    return Refuse(c, fit, value);
  }
  // The same for values that don't come as JSON.
  std::optional<std::string> SetRaw(size_t c, std::string_view bytes);
  std::optional<std::string> SetInt64(size_t c, int64_t value);
  std::optional<std::string> SetDouble(size_t c, double value);
  // The value doesn't matter, but there is one.
  void SetAny(size_t c) {
    seen_[c] = stamp_;
    builders_[c].SetEmpty(row_);
  }
  std::optional<std::string> SetBool(size_t c, bool value);
  // `digits` with so many of them behind the point.
  std::optional<std::string> SetDecimal(size_t c, __int128 digits, int scale);
  // The value is of no use, for this reason: NULL where the column is `on_error: null`, else the reason, in its words.
  std::optional<std::string> Reject(size_t c, std::string_view reason);

  // The current row has a value of column `c` so far.
  bool HasValue(size_t c) const { return seen_[c] == stamp_; }

  const ColumnBuilder& builder(size_t c) const { return builders_[c]; }
  const SourceColumn& column(size_t c) const { return columns_[c]; }
  size_t size() const { return columns_.size(); }

  // Appends the columns' first `rows` rows to `out`.
  void Finish(int64_t rows, std::vector<std::shared_ptr<arrow::Array>>* out);

 private:
  // The value doesn't fit: it may be coerced, else it is refused.
  std::optional<std::string> Refuse(size_t c, Fit fit, const ScalarText& value);
  Fit SetDefault(size_t c, const ScalarText& value);
  std::optional<std::string> Judge(size_t c, Fit fit, const ScalarText& value);

  std::vector<SourceColumn> columns_;
  std::vector<ColumnBuilder> builders_;
  std::vector<uint64_t> seen_;  // by column: the stamp of the row that has a value
  uint64_t stamp_ = 0;
  int64_t row_ = 0;
  std::string scratch_;  // a coerced text
};

// The columns as a Schema.
Schema ColumnsSchema(const std::vector<SourceColumn>& columns);

}  // namespace tidemark
