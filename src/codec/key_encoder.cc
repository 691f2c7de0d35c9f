// Layout of an encoded key: for each column one byte, 0 for NULL and 1 for a value, then the value:
//   bool             one byte
//   int32, int64     8 bytes, big-endian, sign flipped (equal numbers are equal whatever their width)
//   hidden integers, date, timestamp: the same
//   double           8 bytes in the order of PostgreSQL: -0 is 0, NaN is one value above infinity
//   decimal          16 bytes, big-endian, sign flipped
//   string, bytes    00 as 00 FF, closed by 00 00
// The byte stands there for columns that are never null too, so that both sides of a join agree.
#include "src/codec/key_encoder.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include <absl/strings/str_cat.h>
#include <arrow/array/data.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <xxhash.h>

namespace tidemark {
namespace {

static_assert(std::endian::native == std::endian::little);

// How a column's values are encoded.
enum class Shape { kBool, kInt8, kInt32, kInt64, kDouble, kDecimal, kText, kUnknown };

Shape ShapeOf(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::BOOL:
      return Shape::kBool;
    case arrow::Type::INT8:
      return Shape::kInt8;
    case arrow::Type::INT32:
    case arrow::Type::DATE32:
      return Shape::kInt32;
    case arrow::Type::INT64:
    case arrow::Type::TIMESTAMP:
      return Shape::kInt64;
    case arrow::Type::DOUBLE:
      return Shape::kDouble;
    case arrow::Type::DECIMAL128:
      return Shape::kDecimal;
    case arrow::Type::STRING:
    case arrow::Type::BINARY:
      return Shape::kText;
    default:
      return Shape::kUnknown;
  }
}

struct KeyColumn {
  Shape shape = Shape::kUnknown;
  const arrow::ArrayData* data = nullptr;
  const uint8_t* validity = nullptr;
  const uint8_t* values = nullptr;  // of row 0 on; bool: the bitmap
  const int32_t* text_offsets = nullptr;
  const char* text = nullptr;

  bool IsNull(int64_t row) const {
    const int64_t bit = data->offset + row;
    return validity != nullptr && (validity[bit >> 3] >> (bit & 7) & 1) == 0;
  }
  template <typename T>
  T At(int64_t row) const {
    T value;
    std::memcpy(&value, values + row * static_cast<int64_t>(sizeof(T)), sizeof(T));
    return value;
  }
  std::string_view Text(int64_t row) const {
    return {text + text_offsets[row], static_cast<size_t>(text_offsets[row + 1] - text_offsets[row])};
  }
};

absl::Status ViewKeyColumn(const arrow::RecordBatch& rows, size_t index, KeyColumn* out) {
  if (index >= static_cast<size_t>(rows.num_columns())) {
    return absl::InternalError(absl::StrCat("key column ", index, " of a batch with ", rows.num_columns()));
  }
  const arrow::ArrayData& data = *rows.column_data(static_cast<int>(index));
  out->data = &data;
  out->shape = ShapeOf(*data.type);
  if (data.GetNullCount() > 0) out->validity = data.buffers[0]->data();
  switch (out->shape) {
    case Shape::kBool:
      out->values = data.GetValues<uint8_t>(1, 0);
      break;
    case Shape::kInt8:
      out->values = data.GetValues<uint8_t>(1);
      break;
    case Shape::kInt32:
      out->values = reinterpret_cast<const uint8_t*>(data.GetValues<int32_t>(1));
      break;
    case Shape::kInt64:
    case Shape::kDouble:
      out->values = reinterpret_cast<const uint8_t*>(data.GetValues<int64_t>(1));
      break;
    case Shape::kDecimal:
      out->values = data.GetValues<uint8_t>(1, data.offset * 16);
      break;
    case Shape::kText:
      out->text_offsets = data.GetValues<int32_t>(1);
      out->text = data.GetValues<char>(2, 0);
      break;
    case Shape::kUnknown:
      return absl::InternalError(absl::StrCat("a key of type ", data.type->ToString()));
  }
  return absl::OkStatus();
}

absl::Status ViewKeyColumns(const arrow::RecordBatch& rows, const std::vector<size_t>& columns,
                            std::vector<KeyColumn>* out) {
  out->resize(columns.size());
  for (size_t i = 0; i < columns.size(); ++i) {
    absl::Status status = ViewKeyColumn(rows, columns[i], &(*out)[i]);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// The integer of an integer column, sign-extended.
int64_t IntegerAt(const KeyColumn& column, int64_t row) {
  switch (column.shape) {
    case Shape::kInt8:
      return column.At<int8_t>(row);
    case Shape::kInt32:
      return column.At<int32_t>(row);
    default:
      return column.At<int64_t>(row);
  }
}

char* PutBigEndian(char* p, uint64_t value) {
  value = __builtin_bswap64(value);
  std::memcpy(p, &value, 8);
  return p + 8;
}

constexpr uint64_t kSign = uint64_t{1} << 63;

// Unsigned order of the result is the order of the doubles.
uint64_t OrderedDouble(double value) {
  if (value == 0) value = 0;  // -0
  if (std::isnan(value)) value = std::numeric_limits<double>::quiet_NaN();
  const uint64_t bits = std::bit_cast<uint64_t>(value);
  return bits & kSign ? ~bits : bits | kSign;
}

char* PutText(char* p, std::string_view text) {
  while (!text.empty()) {
    const void* const zero = std::memchr(text.data(), 0, text.size());
    const size_t n = zero == nullptr ? text.size() : static_cast<size_t>(static_cast<const char*>(zero) - text.data());
    std::memcpy(p, text.data(), n);
    p += n;
    text.remove_prefix(n);
    if (zero == nullptr) break;
    *p++ = 0;
    *p++ = '\xff';
    text.remove_prefix(1);
  }
  *p++ = 0;
  *p++ = 0;
  return p;
}

// No more bytes than this are written for the value.
size_t MaxBytes(const KeyColumn& column, int64_t row) {
  return column.shape == Shape::kText ? 3 + 2 * column.Text(row).size() : 17;
}

char* PutValue(char* p, const KeyColumn& column, int64_t row) {
  if (column.IsNull(row)) {
    *p++ = 0;
    return p;
  }
  *p++ = 1;
  switch (column.shape) {
    case Shape::kBool: {
      const int64_t bit = column.data->offset + row;
      *p++ = static_cast<char>(column.values[bit >> 3] >> (bit & 7) & 1);
      return p;
    }
    case Shape::kDouble:
      return PutBigEndian(p, OrderedDouble(column.At<double>(row)));
    case Shape::kDecimal: {
      uint64_t words[2];
      std::memcpy(words, column.values + row * 16, 16);
      return PutBigEndian(PutBigEndian(p, words[1] ^ kSign), words[0]);
    }
    case Shape::kText:
      return PutText(p, column.Text(row));
    default:
      return PutBigEndian(p, static_cast<uint64_t>(IntegerAt(column, row)) ^ kSign);
  }
}

bool IsInteger(Shape shape) { return shape == Shape::kInt8 || shape == Shape::kInt32 || shape == Shape::kInt64; }

}  // namespace

absl::Status EncodeKeys(const arrow::RecordBatch& rows, const std::vector<size_t>& columns, EncodedKeys* out) {
  std::vector<KeyColumn> keys;
  if (absl::Status status = ViewKeyColumns(rows, columns, &keys); !status.ok()) return status;
  const int64_t count = rows.num_rows();
  out->starts.clear();
  out->starts.reserve(static_cast<size_t>(count) + 1);
  size_t used = 0;
  for (int64_t row = 0; row < count; ++row) {
    out->starts.push_back(static_cast<uint32_t>(used));
    size_t most = 0;
    for (const KeyColumn& key : keys) most += MaxBytes(key, row);
    if (out->arena.size() - used < most) out->arena.resize(std::max(2 * out->arena.size(), used + most));
    char* p = out->arena.data() + used;
    for (const KeyColumn& key : keys) p = PutValue(p, key, row);
    used = static_cast<size_t>(p - out->arena.data());
    if (used > std::numeric_limits<uint32_t>::max()) {
      return absl::ResourceExhaustedError("the keys of one batch exceed 4 GiB");
    }
  }
  out->starts.push_back(static_cast<uint32_t>(used));
  out->arena.resize(used);
  return absl::OkStatus();
}

absl::Status HashKeys(const arrow::RecordBatch& rows, const std::vector<size_t>& columns, std::vector<uint64_t>* out) {
  const size_t count = static_cast<size_t>(rows.num_rows());
  out->resize(count);
  std::vector<KeyColumn> keys;
  if (absl::Status status = ViewKeyColumns(rows, columns, &keys); !status.ok()) return status;
  if (keys.size() == 1 && IsInteger(keys[0].shape)) {
    const char null = 0;
    for (size_t i = 0; i < count; ++i) {
      const int64_t row = static_cast<int64_t>(i);
      const int64_t value = keys[0].IsNull(row) ? 0 : IntegerAt(keys[0], row);
      (*out)[i] = keys[0].IsNull(row) ? XXH3_64bits(&null, 1) : XXH3_64bits(&value, 8);
    }
    return absl::OkStatus();
  }
  EncodedKeys encoded;
  if (absl::Status status = EncodeKeys(rows, columns, &encoded); !status.ok()) return status;
  for (size_t i = 0; i < count; ++i) (*out)[i] = XXH3_64bits(encoded[i].data(), encoded[i].size());
  return absl::OkStatus();
}

}  // namespace tidemark
