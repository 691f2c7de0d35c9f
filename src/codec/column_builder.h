// One column under construction, written by row number: setting a row again replaces it, and a row that turns out to be
// bad is dropped by giving its number to the next one. So nothing is ever rolled back. Used by one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/type_fwd.h>

#include "src/base/schema.h"
#include "src/base/timestamp_format.h"
#include "src/base/value_text.h"

namespace tidemark {

class ColumnBuilder {
 public:
  ColumnBuilder(const Type& type, bool nullable);
  // Texts are read into a timestamp column in this format, no longer in RFC 3339.
  void SetFormat(std::shared_ptr<const TimestampFormat> format) { format_ = std::move(format); }

  // Makes room for `rows` rows, dropping what was there. Rows are then set in ascending order; going back to a row
  // drops it and those behind it.
  void Start(int64_t rows);
  // Makes room for more, keeping what is there.
  void Grow(int64_t rows);

  // The value in its JSON form: bytes are base64, timestamps in the declared form.
  Fit Set(int64_t row, const ScalarText& value) {
    if (value.integer && type_.kind == Kind::kInt64) [[likely]]
      return Put(row, *value.integer);
    return SetAny(row, value);
  }
  void SetNull(int64_t row) {
    SetEmpty(row);
    if (nullable_) valid_[row] = 0;
  }
  // A zero or an empty text: stands where the value doesn't matter.
  void SetEmpty(int64_t row);

  // The value itself.
  Fit SetRaw(int64_t row, std::string_view bytes);  // strings (valid UTF-8 by the caller's word) and bytes
  Fit SetInt64(int64_t row, int64_t value);         // int32, int64; timestamps in microseconds; dates in days
  Fit SetDouble(int64_t row, double value);
  Fit SetBool(int64_t row, bool value);
  // `digits` at a scale of `scale`, exactly.
  Fit SetDecimal(int64_t row, __int128 digits, int scale);

  bool IsNull(int64_t row) const { return nullable_ && valid_[row] == 0; }
  // int64 and timestamp columns only.
  int64_t Int64At(int64_t row) const { return reinterpret_cast<const int64_t*>(values_)[row]; }

  // The first `rows` rows.
  std::shared_ptr<arrow::Array> Finish(int64_t rows);

  const Type& type() const { return type_; }
  bool nullable() const { return nullable_; }

 private:
  Fit SetAny(int64_t row, const ScalarText& value);
  Fit SetJson(int64_t row, const ScalarText& value);
  Fit SetNumber(int64_t row, const ScalarText& number);
  Fit SetString(int64_t row, std::string_view text);
  template <typename T>
  Fit Put(int64_t row, T value) {
    reinterpret_cast<T*>(values_)[row] = value;
    if (nullable_) valid_[row] = 1;
    return Fit::kOk;
  }

  Type type_;
  bool nullable_ = false;
  std::shared_ptr<const TimestampFormat> format_;
  int width_ = 0;  // bytes a value, 0: strings and bytes
  std::shared_ptr<arrow::DataType> arrow_type_;

  std::shared_ptr<arrow::Buffer> fixed_;  // values, or the offsets of strings
  uint8_t* values_ = nullptr;             // into fixed_
  std::shared_ptr<arrow::ResizableBuffer> text_;
  uint8_t* text_data_ = nullptr;
  int64_t text_capacity_ = 0;
  int64_t last_text_bytes_ = 0;  // of the batch before: a guess for the next
  std::vector<uint8_t> valid_;   // a byte a row; nullable columns only
  std::string scratch_;          // decoded base64, a JSON string
};

}  // namespace tidemark
