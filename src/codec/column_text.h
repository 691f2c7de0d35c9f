// Values of columns as text: the forms that JSON records, text keys, dead letters and logs show. Used by one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/type_fwd.h>

#include "src/base/schema.h"

namespace tidemark {

// Bytes that grow at their end. `text` is larger than what was written; size() says how much that is.
class TextBuffer {
 public:
  explicit TextBuffer(std::string* text) : text_(text) {}

  // Where to write; at least `bytes` fit.
  char* Reserve(size_t bytes) {
    if (text_->size() - size_ < bytes) [[unlikely]]
      Grow(bytes);
    return text_->data() + size_;
  }
  void SetEnd(const char* end) { size_ = static_cast<size_t>(end - text_->data()); }
  void Append(std::string_view s);
  size_t size() const { return size_; }
  std::string_view View(size_t begin, size_t end) const { return std::string_view(*text_).substr(begin, end - begin); }

 private:
  void Grow(size_t bytes);

  std::string* text_;
  size_t size_ = 0;
};

// A column of a batch, ready to be read by row. Refers to the array, which must outlive it.
struct ColumnView {
  Type type;
  const uint8_t* validity = nullptr;  // null: no nulls
  int64_t offset = 0;                 // of the array in its validity and, for bool, in its values
  const uint8_t* values = nullptr;    // fixed-width values of row 0 on; bool: the bitmap
  const int32_t* text_offsets = nullptr;
  const char* text = nullptr;

  bool IsNull(int64_t row) const {
    const int64_t bit = offset + row;
    return validity != nullptr && (validity[bit >> 3] >> (bit & 7) & 1) == 0;
  }
  std::string_view Text(int64_t row) const {
    return {text + text_offsets[row], static_cast<size_t>(text_offsets[row + 1] - text_offsets[row])};
  }
};

ColumnView ViewColumn(const Type& type, const arrow::ArrayData& data);
// The visible columns of a batch.
std::vector<ColumnView> ViewColumns(const Schema& schema, const arrow::RecordBatch& rows);

// The value as JSON. NaN and the infinities, which JSON lacks, become strings as in PostgreSQL's to_json; a double is
// written with as many digits as bring it back; a timestamp in its declared form, in RFC 3339 with 0, 3 or 6 digits.
void WriteJsonValue(const ColumnView& column, int64_t row, TextBuffer* out);
// The value as plain text, not null: JSON's without the quotes and escapes.
void WritePlainText(const ColumnView& column, int64_t row, TextBuffer* out);

// `s` as a JSON string.
void WriteJsonString(std::string_view s, TextBuffer* out);

// `digits` with so many of them behind the point.
std::string DecimalText(__int128 digits, int scale);

std::string TimestampText(int64_t us, TimestampForm form);

}  // namespace tidemark
