#include "src/codec/avro/value_writer.h"

#include <algorithm>
#include <cstring>

#include <absl/strings/str_cat.h>

namespace tidemark {
namespace {

constexpr size_t kMostVarint = 10, kMostFixed = 20;  // bytes of a number, and of any value but texts, with its branch

char* PutLong(char* p, int64_t value) {
  auto bits = (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
  for (; bits >= 0x80; bits >>= 7) *p++ = static_cast<char>(bits | 0x80);
  *p++ = static_cast<char>(bits);
  return p;
}

// In as few bytes as hold it, big-endian, two's complement.
char* PutDecimal(char* p, __int128 digits) {
  int bytes = 1;
  while (bytes < 16 && (digits >> (bytes * 8 - 1)) != 0 && (digits >> (bytes * 8 - 1)) != -1) ++bytes;
  p = PutLong(p, bytes);
  for (int i = bytes - 1; i >= 0; --i) *p++ = static_cast<char>(digits >> (i * 8));
  return p;
}

template <typename T>
T At(const ColumnView& column, int64_t row) {
  T value;
  std::memcpy(&value, column.values + row * static_cast<int64_t>(sizeof(T)), sizeof(T));
  return value;
}

char* PutValue(char* p, const ColumnView& column, Kind kind, int64_t row) {
  switch (kind) {
    case Kind::kBool: {
      const int64_t bit = column.offset + row;
      *p++ = static_cast<char>(column.values[bit >> 3] >> (bit & 7) & 1);
      return p;
    }
    case Kind::kInt32:
    case Kind::kDate:
      return PutLong(p, At<int32_t>(column, row));
    case Kind::kInt64:
    case Kind::kTimestamp:
      return PutLong(p, At<int64_t>(column, row));
    case Kind::kDouble:
      std::memcpy(p, column.values + row * 8, 8);
      return p + 8;
    case Kind::kDecimal:
      return PutDecimal(p, At<__int128>(column, row));
    case Kind::kString:
    case Kind::kBytes:
    case Kind::kJson:
      break;
  }
  return p;
}

std::string TypeOf(const Type& type) {
  switch (type.kind) {
    case Kind::kBool:
      return R"("boolean")";
    case Kind::kInt32:
      return R"("int")";
    case Kind::kInt64:
      return R"("long")";
    case Kind::kDouble:
      return R"("double")";
    case Kind::kString:
    case Kind::kJson:
      return R"("string")";
    case Kind::kBytes:
      return R"("bytes")";
    case Kind::kDate:
      return R"({"type":"int","logicalType":"date"})";
    case Kind::kTimestamp:
      return R"({"type":"long","logicalType":"timestamp-micros"})";
    case Kind::kDecimal:
      return absl::StrCat(R"({"type":"bytes","logicalType":"decimal","precision":)", type.precision, R"(,"scale":)",
                          type.scale, "}");
  }
  return "";
}

}  // namespace

bool IsAvroName(std::string_view name) {
  bool first = true;
  for (const char c : name) {
    if (c == '.' && !first) {
      first = true;
      continue;
    }
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    if (!letter && (first || c < '0' || c > '9')) return false;
    first = false;
  }
  return !first;
}

std::string AvroSchemaOf(const Schema& schema, const std::vector<size_t>& columns, std::string_view name) {
  const size_t dot = name.rfind('.');
  std::string json = R"({"type":"record")";
  if (dot != std::string_view::npos)
    absl::StrAppend(&json, R"(,"namespace":")", std::string(name.substr(0, dot)), "\"");
  absl::StrAppend(&json, R"(,"name":")", std::string(dot == std::string_view::npos ? name : name.substr(dot + 1)),
                  R"(","fields":[)");
  const char* between = "";
  for (const size_t c : columns) {
    const Column& column = schema[c];
    const std::string type = TypeOf(column.type);
    absl::StrAppend(&json, between, R"({"name":")", column.name, R"(","type":)");
    if (column.nullable) {
      absl::StrAppend(&json, R"(["null",)", type, R"(],"default":null})");
    } else {
      absl::StrAppend(&json, type, "}");
    }
    between = ",";
  }
  return json + "]}";
}

AvroValueWriter::AvroValueWriter(const Schema& schema, const std::vector<size_t>& columns, std::string prefix)
    : prefix_(std::move(prefix)) {
  for (const size_t c : columns) {
    const Kind kind = schema[c].type.kind;
    const bool text = kind == Kind::kString || kind == Kind::kBytes || kind == Kind::kJson;
    fields_.push_back({c, kind, text, schema[c].nullable});
  }
}

absl::Status AvroValueWriter::Write(const std::vector<ColumnView>& columns, absl::Span<const int32_t> rows,
                                    TextBuffer* out, std::vector<size_t>* ends) {
  const size_t most = prefix_.size() + fields_.size() * kMostFixed;
  ends->resize(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    const int32_t row = rows[i];
    char* p = out->Reserve(most);
    std::memcpy(p, prefix_.data(), prefix_.size());
    p += prefix_.size();
    for (const Field& field : fields_) {
      const ColumnView& column = columns[field.column];
      if (field.nullable) {
        const bool null = column.IsNull(row);
        *p++ = null ? 0 : 2;
        if (null) continue;
      }
      if (!field.text) {
        p = PutValue(p, column, field.kind, row);
        continue;
      }
      const std::string_view text = column.Text(row);
      out->SetEnd(p);
      p = PutLong(out->Reserve(most + kMostVarint + text.size()), static_cast<int64_t>(text.size()));
      if (!text.empty()) std::memcpy(p, text.data(), text.size());
      p += text.size();
    }
    out->SetEnd(p);
    (*ends)[i] = out->size();
  }
  return absl::OkStatus();
}

}  // namespace tidemark
