#include "operators/sinks/postgres/arrays.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <string_view>

#include <absl/strings/str_cat.h>
#include <arrow/array.h>
#include <arrow/util/decimal.h>

namespace tidemark {
namespace {

constexpr int32_t kDaysTo2000 = 10'957;
constexpr int64_t kMicrosTo2000 = int64_t{kDaysTo2000} * 86'400 * 1'000'000;

template <typename T>
void Append(std::string* out, T value) {
  if constexpr (sizeof(T) == 2) value = static_cast<T>(__builtin_bswap16(static_cast<uint16_t>(value)));
  if constexpr (sizeof(T) == 4) value = static_cast<T>(__builtin_bswap32(static_cast<uint32_t>(value)));
  if constexpr (sizeof(T) == 8) value = static_cast<T>(__builtin_bswap64(static_cast<uint64_t>(value)));
  out->append(reinterpret_cast<const char*>(&value), sizeof(T));
}

// The smallest value of PostgreSQL's dates and times stands for -infinity; the one above it is refused on input.
template <typename T>
T Since2000(T since_1970, T offset) {
  T value;
  if (__builtin_sub_overflow(since_1970, offset, &value) || value == std::numeric_limits<T>::min()) {
    return std::numeric_limits<T>::min() + 1;
  }
  return value;
}

// PostgreSQL's numeric: base-10000 digits around the decimal point, the weight of the first, a sign and the display
// scale.
void AppendNumeric(std::string* out, const uint8_t* bytes, int scale) {
  unsigned __int128 magnitude;
  std::memcpy(&magnitude, bytes, sizeof(magnitude));
  const bool negative = static_cast<__int128>(magnitude) < 0;
  if (negative) magnitude = -magnitude;

  // Decimal digits, least significant first, so that the point lies between multiples of four.
  char decimal[48] = {};
  int count = (4 - scale % 4) % 4;
  const int point = count + scale;
  while (magnitude != 0) {
    decimal[count++] = static_cast<char>(magnitude % 10);
    magnitude /= 10;
  }
  int16_t digits[12];
  const int groups = (std::max(count, point) + 3) / 4;
  for (int g = 0; g < groups; ++g) {
    const char* d = decimal + 4 * g;
    digits[g] = static_cast<int16_t>(d[0] + 10 * d[1] + 100 * d[2] + 1000 * d[3]);
  }
  int first = groups - 1, last = 0;
  while (first >= 0 && digits[first] == 0) --first;
  while (last < first && digits[last] == 0) ++last;
  const int length = first < 0 ? 0 : first - last + 1;
  Append<int32_t>(out, 8 + 2 * length);
  Append<int16_t>(out, static_cast<int16_t>(length));
  Append<int16_t>(out, static_cast<int16_t>(length == 0 ? 0 : first - point / 4));
  Append<uint16_t>(out, negative ? 0x4000 : 0);
  Append<int16_t>(out, static_cast<int16_t>(scale));
  for (int g = first; g >= last && length > 0; --g) Append<int16_t>(out, digits[g]);
}

// One element a row: its length and bytes from `append`, or -1 where it is null.
template <typename AppendElement>
void AppendElements(const arrow::Array& column, std::string* out, AppendElement append) {
  const int64_t rows = column.length();
  if (column.null_count() == 0) {
    for (int64_t i = 0; i < rows; ++i) append(i);
    return;
  }
  for (int64_t i = 0; i < rows; ++i) {
    if (column.IsNull(i)) {
      Append<int32_t>(out, -1);
    } else {
      append(i);
    }
  }
}

template <typename ArrowArray, typename Convert>
void AppendFixed(const arrow::Array& column, std::string* out, Convert convert) {
  const auto& values = static_cast<const ArrowArray&>(column);
  AppendElements(column, out, [&](int64_t i) {
    const auto value = convert(values.Value(i));
    Append<int32_t>(out, sizeof(value));
    Append(out, value);
  });
}

template <typename ArrowArray>
void AppendText(const arrow::Array& column, std::string* out) {
  const auto& values = static_cast<const ArrowArray&>(column);
  out->reserve(out->size() + values.total_values_length() + 4 * column.length());
  AppendElements(column, out, [&](int64_t i) {
    const std::string_view value = values.GetView(i);
    Append<int32_t>(out, static_cast<int32_t>(value.size()));
    out->append(value);
  });
}

// jsonb travels as its text behind the number of this form.
void AppendJsonb(const arrow::Array& column, std::string* out) {
  constexpr uint8_t kForm = 1;
  const auto& values = static_cast<const arrow::StringArray&>(column);
  AppendElements(column, out, [&](int64_t i) {
    const std::string_view value = values.GetView(i);
    Append<int32_t>(out, static_cast<int32_t>(value.size() + 1));
    Append(out, kForm);
    out->append(value);
  });
}

}  // namespace

std::string PostgresTypeName(const Type& type) {
  switch (type.kind) {
    case Kind::kBool:
      return "boolean";
    case Kind::kInt32:
      return "integer";
    case Kind::kInt64:
      return "bigint";
    case Kind::kDouble:
      return "double precision";
    case Kind::kString:
      return "text";
    case Kind::kBytes:
      return "bytea";
    case Kind::kDate:
      return "date";
    case Kind::kDecimal:
      return absl::StrCat("numeric(", type.precision, ",", type.scale, ")");
    case Kind::kTimestamp:
      return "timestamp with time zone";
    case Kind::kJson:
      return "jsonb";
  }
  return "";
}

PostgresOids PostgresArrayOids(const Type& type) {
  switch (type.kind) {
    case Kind::kBool:
      return {1000, 16};
    case Kind::kInt32:
      return {1007, 23};
    case Kind::kInt64:
      return {1016, 20};
    case Kind::kDouble:
      return {1022, 701};
    case Kind::kString:
      return {1009, 25};
    case Kind::kBytes:
      return {1001, 17};
    case Kind::kDate:
      return {1182, 1082};
    case Kind::kDecimal:
      return {1231, 1700};
    case Kind::kTimestamp:
      return {1185, 1184};
    case Kind::kJson:
      return {3807, 3802};
  }
  return {};
}

absl::Status EncodePostgresArray(const Type& type, const arrow::Array& column, std::string* out) {
  out->clear();
  const bool empty = column.length() == 0;
  Append<int32_t>(out, empty ? 0 : 1);  // dimensions
  Append<int32_t>(out, column.null_count() > 0);
  Append<uint32_t>(out, PostgresArrayOids(type).element);
  if (empty) return absl::OkStatus();
  Append<int32_t>(out, static_cast<int32_t>(column.length()));
  Append<int32_t>(out, 1);  // the first index
  if (type.kind != Kind::kString && type.kind != Kind::kBytes) out->reserve(out->size() + 12 * column.length());
  switch (type.kind) {
    case Kind::kBool:
      AppendFixed<arrow::BooleanArray>(column, out, [](bool v) { return static_cast<uint8_t>(v); });
      break;
    case Kind::kInt32:
      AppendFixed<arrow::Int32Array>(column, out, [](int32_t v) { return v; });
      break;
    case Kind::kInt64:
      AppendFixed<arrow::Int64Array>(column, out, [](int64_t v) { return v; });
      break;
    case Kind::kDouble:
      AppendFixed<arrow::DoubleArray>(column, out, [](double v) { return std::bit_cast<uint64_t>(v); });
      break;
    case Kind::kDate:
      AppendFixed<arrow::Date32Array>(column, out, [](int32_t v) { return Since2000(v, kDaysTo2000); });
      break;
    case Kind::kTimestamp:
      AppendFixed<arrow::TimestampArray>(column, out, [](int64_t v) { return Since2000(v, kMicrosTo2000); });
      break;
    case Kind::kString:
      AppendText<arrow::StringArray>(column, out);
      break;
    case Kind::kBytes:
      AppendText<arrow::BinaryArray>(column, out);
      break;
    case Kind::kJson:
      AppendJsonb(column, out);
      break;
    case Kind::kDecimal: {
      const auto& values = static_cast<const arrow::Decimal128Array&>(column);
      AppendElements(column, out, [&](int64_t i) { AppendNumeric(out, values.GetValue(i), type.scale); });
      break;
    }
  }
  if (out->size() >= (size_t{1} << 30)) {
    return absl::OutOfRangeError("a value larger than PostgreSQL takes (1 GB)");
  }
  return absl::OkStatus();
}

}  // namespace tidemark
