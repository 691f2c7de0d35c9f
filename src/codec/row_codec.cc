#include "src/codec/row_codec.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>

#include <arrow/record_batch.h>

#include "src/base/status.h"
#include "src/codec/cells.h"

namespace tidemark {
namespace {

constexpr char kValue = 1, kNull = 2;

template <typename T>
constexpr size_t kWidth = std::is_same_v<T, bool> ? 1 : sizeof(T);

// The unsigned number whose order is the order of the values, and back.
uint8_t Ordered(bool v) { return v; }
uint32_t Ordered(int32_t v) { return static_cast<uint32_t>(v) ^ (uint32_t{1} << 31); }
uint64_t Ordered(int64_t v) { return static_cast<uint64_t>(v) ^ (uint64_t{1} << 63); }
unsigned __int128 Ordered(Int128 v) {
  return static_cast<unsigned __int128>(v) ^ (static_cast<unsigned __int128>(1) << 127);
}
uint64_t Ordered(double v) {
  const auto bits = std::bit_cast<uint64_t>(v);
  return bits >> 63 ? ~bits : bits | uint64_t{1} << 63;
}
void Unordered(uint8_t u, bool* v) { *v = u != 0; }
void Unordered(uint32_t u, int32_t* v) { *v = static_cast<int32_t>(u ^ (uint32_t{1} << 31)); }
void Unordered(uint64_t u, int64_t* v) { *v = static_cast<int64_t>(u ^ (uint64_t{1} << 63)); }
void Unordered(unsigned __int128 u, Int128* v) {
  *v = static_cast<Int128>(u ^ (static_cast<unsigned __int128>(1) << 127));
}
void Unordered(uint64_t u, double* v) { *v = std::bit_cast<double>(u >> 63 ? u & ~(uint64_t{1} << 63) : ~u); }

template <typename U>
void WriteBigEndian(U u, char* to) {
  for (size_t i = sizeof(U); i-- > 0; u = static_cast<U>(sizeof(U) > 1 ? u >> 8 : 0)) to[i] = static_cast<char>(u);
}
template <typename U>
U ReadBigEndian(const char* from) {
  U u = 0;
  for (size_t i = 0; i < sizeof(U); ++i)
    u = static_cast<U>((sizeof(U) > 1 ? u << 8 : 0) | static_cast<uint8_t>(from[i]));
  return u;
}

// Bytes of the cell of a string: flag, text with its zeros escaped, terminator.
// Whether some string of the column may hold a zero.
bool MayHoldZeros(const Cells<std::string_view>& cells, int64_t rows) {
  if (rows == 0) return false;
  const std::string_view first = cells[0], last = cells[rows - 1];
  const size_t all = static_cast<size_t>(last.data() + last.size() - first.data());
  return std::memchr(first.data(), 0, all) != nullptr;
}

size_t StringCellBytes(std::string_view text) {
  size_t zeros = 0;
  for (const char *p = text.data(), *end = p + text.size();
       (p = static_cast<const char*>(std::memchr(p, 0, static_cast<size_t>(end - p)))) != nullptr;) {
    ++zeros;
    if (++p == end) break;
  }
  return 1 + text.size() + zeros + 2;
}

void WriteString(std::string_view text, bool has_zeros, char* to) {
  if (!has_zeros) {
    std::memcpy(to, text.data(), text.size());
    to += text.size();
  } else {
    for (const char c : text) {
      *to++ = c;
      if (c == 0) *to++ = static_cast<char>(0xFF);
    }
  }
  to[0] = to[1] = 0;
}

// Writes one column at the rows' cursors and moves these on.
template <typename T>
void EncodeColumn(const Cells<T>& cells, int64_t rows, bool descending, bool canonical, char* arena,
                  std::vector<uint32_t>* cursors) {
  [[maybe_unused]] bool zeros = false;
  if constexpr (std::is_same_v<T, std::string_view>) zeros = MayHoldZeros(cells, rows);
  for (int64_t i = 0; i < rows; ++i) {
    char* to = arena + (*cursors)[i];
    const bool null = cells.IsNull(i);
    *to = null ? kNull : kValue;
    size_t bytes = 0;
    if constexpr (std::is_same_v<T, std::string_view>) {
      const std::string_view text = null ? std::string_view("") : cells[i];
      bytes = zeros ? StringCellBytes(text) : text.size() + 3;
      WriteString(text, bytes != text.size() + 3, to + 1);
    } else {
      T value = null ? T{} : cells[i];
      if constexpr (std::is_same_v<T, double>) {
        if (canonical && std::isnan(value)) value = std::numeric_limits<double>::quiet_NaN();
        if (canonical && value == 0) value = 0;
      }
      WriteBigEndian(Ordered(value), to + 1);
      bytes = 1 + kWidth<T>;
    }
    if (descending) {
      for (size_t b = 0; b < bytes; ++b) to[b] = static_cast<char>(~to[b]);
    }
    (*cursors)[i] += static_cast<uint32_t>(bytes);
  }
}

absl::Status Damaged() { return absl::DataLossError("a row in the state can't be read"); }

// Reads one column at the rows' cursors and moves these on.
template <typename T>
absl::StatusOr<std::shared_ptr<arrow::Array>> DecodeColumn(const std::vector<std::string_view>& rows, const Type& type,
                                                           std::vector<size_t>* cursors) {
  CellWriter<T> out(static_cast<int64_t>(rows.size()));
  if constexpr (std::is_same_v<T, std::string_view>) {
    size_t left = 0;
    for (size_t i = 0; i < rows.size(); ++i) left += rows[i].size() - std::min((*cursors)[i], rows[i].size());
    out.ReserveText(static_cast<int64_t>(left));  // at most that
  }
  std::string unescaped;
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::string_view row = rows[i].substr(std::min((*cursors)[i], rows[i].size()));
    if constexpr (std::is_same_v<T, std::string_view>) {
      const char* const begin = row.data() + 1;
      const char* const end = row.data() + row.size();
      if (row.size() < 3) return Damaged();
      const char* zero = static_cast<const char*>(std::memchr(begin, 0, row.size() - 1));
      if (zero == nullptr || zero + 1 >= end) return Damaged();
      std::string_view text(begin, static_cast<size_t>(zero - begin));
      if (zero[1] != 0) {
        unescaped.assign(text);
        while (zero[1] != 0) {
          unescaped.push_back(0);
          const char* const rest = zero + 2;
          zero = static_cast<const char*>(std::memchr(rest, 0, static_cast<size_t>(end - rest)));
          if (zero == nullptr || zero + 1 >= end) return Damaged();
          unescaped.append(rest, zero);
        }
        text = unescaped;
      }
      row[0] == kNull ? out.AppendNull() : out.Append(text);
      (*cursors)[i] += static_cast<size_t>(zero + 2 - row.data());
    } else {
      if (row.size() < 1 + kWidth<T>) return Damaged();
      T value;
      Unordered(ReadBigEndian<decltype(Ordered(T{}))>(row.data() + 1), &value);
      row[0] == kNull ? out.AppendNull() : out.Append(value);
      (*cursors)[i] += 1 + kWidth<T>;
    }
  }
  return out.Finish(ArrowType(type));
}

}  // namespace

RowCodec RowCodec::Rows(const Schema& schema) {
  std::vector<Field> fields;
  for (size_t i = 0; i < schema.size(); ++i) fields.push_back({i, schema[i].type});
  return RowCodec(std::move(fields), false);
}

RowCodec RowCodec::Key(const Schema& schema, const std::vector<size_t>& columns) {
  std::vector<Field> fields;
  for (const size_t c : columns) fields.push_back({c, schema[c].type});
  return RowCodec(std::move(fields), true);
}

absl::Status RowCodec::Encode(const arrow::RecordBatch& rows, EncodedKeys* out) const {
  const int64_t n = rows.num_rows();
  if (fields_.empty()) {
    out->starts.assign(n + 1, 0);
    out->arena.clear();
    return absl::OkStatus();
  }
  uint64_t fixed = 0;
  std::vector<uint64_t> sizes;
  for (const Field& field : fields_) {
    VisitKind(field.type.kind, [&](auto tag) {
      using T = decltype(tag);
      if constexpr (std::is_same_v<T, std::string_view>) {
        const Cells<T> cells(*rows.column_data(static_cast<int>(field.column)));
        sizes.resize(n);
        const bool zeros = MayHoldZeros(cells, n);
        for (int64_t i = 0; i < n; ++i) {
          sizes[i] += cells.IsNull(i) ? 3 : zeros ? StringCellBytes(cells[i]) : cells[i].size() + 3;
        }
      } else {
        fixed += 1 + kWidth<T>;
      }
    });
  }
  out->starts.resize(n + 1);
  uint64_t end = 0;
  for (int64_t i = 0; i < n; ++i) {
    out->starts[i] = static_cast<uint32_t>(end);
    end += fixed + (sizes.empty() ? 0 : sizes[i]);
  }
  if (end > std::numeric_limits<uint32_t>::max()) return absl::ResourceExhaustedError("a batch of more than 4 GiB");
  out->starts[n] = static_cast<uint32_t>(end);
  out->arena.resize(end);
  std::vector<uint32_t> cursors = out->starts;
  for (const Field& field : fields_) {
    VisitKind(field.type.kind, [&](auto tag) {
      EncodeColumn(Cells<decltype(tag)>(*rows.column_data(static_cast<int>(field.column))), n, field.descending,
                   canonical_, out->arena.data(), &cursors);
    });
  }
  return absl::OkStatus();
}

bool RowCodec::Split(std::string_view row, std::vector<std::string_view>* cells) const {
  cells->clear();
  for (const Field& field : fields_) {
    const size_t size = VisitKind(field.type.kind, [&](auto tag) -> size_t {
      using T = decltype(tag);
      if constexpr (std::is_same_v<T, std::string_view>) {
        size_t end = row.find('\0', 1);
        while (end != std::string_view::npos && end + 1 < row.size() && row[end + 1] != 0)
          end = row.find('\0', end + 2);
        return end == std::string_view::npos ? row.size() + 1 : end + 2;
      } else {
        return 1 + kWidth<T>;
      }
    });
    if (size > row.size()) return false;
    cells->push_back(row.substr(0, size));
    row.remove_prefix(size);
  }
  return row.empty();
}

absl::Status RowCodec::Decode(const std::vector<std::string_view>& rows,
                              std::vector<std::shared_ptr<arrow::Array>>* out) const {
  std::vector<size_t> cursors(rows.size());
  for (const Field& field : fields_) {
    TM_ASSIGN_OR_RETURN(auto column, VisitKind(field.type.kind, [&](auto tag) {
                          return DecodeColumn<decltype(tag)>(rows, field.type, &cursors);
                        }));
    out->push_back(std::move(column));
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    if (cursors[i] != rows[i].size()) return Damaged();
  }
  return absl::OkStatus();
}

}  // namespace tidemark
