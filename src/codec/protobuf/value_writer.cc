#include "src/codec/protobuf/value_writer.h"

#include <cstring>
#include <utility>

#include <absl/strings/str_cat.h>
#include <google/protobuf/wire_format_lite.h>

#include "src/base/varint.h"
#include "src/codec/protobuf/types.h"

namespace tidemark {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::internal::WireFormatLite;

// Bytes of a number, and of any value but texts, with its tag.
constexpr size_t kMostVarint = 10, kMostFixed = 28;
constexpr int64_t kMicros = 1'000'000;

char* PutVarint(char* p, uint64_t bits) {
  for (; bits >= 0x80; bits >>= 7) *p++ = static_cast<char>(bits | 0x80);
  *p++ = static_cast<char>(bits);
  return p;
}

template <typename T>
T At(const ColumnView& column, int64_t row) {
  T value;
  std::memcpy(&value, column.values + row * static_cast<int64_t>(sizeof(T)), sizeof(T));
  return value;
}

char* PutTag(char* p, const std::string& tag) {
  if (tag.size() == 1) [[likely]] {
    *p = tag[0];
    return p + 1;
  }
  std::memcpy(p, tag.data(), tag.size());
  return p + tag.size();
}

template <typename T>
char* PutFixed(char* p, T value) {
  std::memcpy(p, &value, sizeof value);
  return p + sizeof value;
}

char* PutTimestamp(char* p, int64_t us) {
  char* const length = p++;
  const int64_t seconds = us / kMicros - (us % kMicros < 0 ? 1 : 0);
  const int64_t nanos = (us - seconds * kMicros) * 1'000;
  if (seconds != 0) {
    *p++ = 1 << 3;
    p = PutVarint(p, static_cast<uint64_t>(seconds));
  }
  if (nanos != 0) {
    *p++ = 2 << 3;
    p = PutVarint(p, static_cast<uint64_t>(nanos));
  }
  *length = static_cast<char>(p - length - 1);
  return p;
}

std::string TypeOf(Kind kind) {
  switch (kind) {
    case Kind::kBool:
      return "bool";
    case Kind::kInt32:
      return "int32";
    case Kind::kInt64:
      return "int64";
    case Kind::kDouble:
      return "double";
    case Kind::kBytes:
      return "bytes";
    case Kind::kTimestamp:
      return "google.protobuf.Timestamp";
    case Kind::kString:
    case Kind::kJson:
    case Kind::kDate:
    case Kind::kDecimal:
      return "string";
  }
  return "";
}

}  // namespace

bool IsProtobufName(std::string_view name) {
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

std::string ProtobufSchemaOf(const Schema& schema, const std::vector<size_t>& columns, std::string_view name) {
  const size_t dot = name.rfind('.');
  std::string text = "syntax = \"proto3\";\n";
  if (dot != std::string_view::npos) absl::StrAppend(&text, "package ", std::string(name.substr(0, dot)), ";\n");
  for (const size_t c : columns) {
    if (schema[c].type.kind != Kind::kTimestamp) continue;
    absl::StrAppend(&text, "import \"google/protobuf/timestamp.proto\";\n");
    break;
  }
  absl::StrAppend(&text, "message ", std::string(dot == std::string_view::npos ? name : name.substr(dot + 1)), " {\n");
  int number = 0;
  for (const size_t c : columns) {
    // 19000 to 19999 are the library's own.
    if (++number == 19'000) number = 20'000;
    absl::StrAppend(&text, schema[c].nullable ? "  optional " : "  ", TypeOf(schema[c].type.kind), " ", schema[c].name,
                    " = ", number, ";\n");
  }
  return text + "}\n";
}

std::string ProtobufValueWriter::WhyNot(const Column& column, const FieldDescriptor& field, Put* put) {
  const auto type = field.type();
  const auto as = [&](Put how) {
    *put = how;
    return true;
  };
  const auto integer = [&](bool narrow) {
    switch (type) {
      case FieldDescriptor::TYPE_INT64:
        return as(Put::kVarint);
      case FieldDescriptor::TYPE_SINT64:
        return as(Put::kZigZag);
      case FieldDescriptor::TYPE_SFIXED64:
        return as(Put::kFixed64);
      case FieldDescriptor::TYPE_INT32:
        return narrow && as(Put::kVarint);
      case FieldDescriptor::TYPE_SINT32:
        return narrow && as(Put::kZigZag);
      case FieldDescriptor::TYPE_SFIXED32:
        return narrow && as(Put::kFixed32);
      default:
        return false;
    }
  };
  bool fits = false;
  switch (column.type.kind) {
    case Kind::kBool:
      fits = type == FieldDescriptor::TYPE_BOOL && as(Put::kBool);
      break;
    case Kind::kInt32:
    case Kind::kInt64:
      fits = integer(column.type.kind == Kind::kInt32);
      break;
    case Kind::kDouble:
      fits = type == FieldDescriptor::TYPE_DOUBLE && as(Put::kDouble);
      break;
    case Kind::kBytes:
      fits = type == FieldDescriptor::TYPE_BYTES && as(Put::kBytes);
      break;
    case Kind::kString:
    case Kind::kJson:
      fits = type == FieldDescriptor::TYPE_STRING && as(Put::kBytes);
      break;
    case Kind::kDate:
    case Kind::kDecimal:
      fits = type == FieldDescriptor::TYPE_STRING && as(Put::kText);
      break;
    case Kind::kTimestamp:
      fits = type == FieldDescriptor::TYPE_MESSAGE && IsTimestamp(*field.message_type()) && as(Put::kTimestamp);
      break;
  }
  if (field.is_repeated() || !fits) {
    return absl::StrCat("a ", TypeName(column.type), " isn't written as ", DescribeField(field), ", which field ",
                        field.name(), " is");
  }
  if (field.real_containing_oneof() != nullptr) {
    return absl::StrCat("field ", field.name(), " is in a oneof, which isn't implemented for sinks");
  }
  if (column.nullable && (!field.has_presence() || field.is_required())) {
    return absl::StrCat("it may be NULL, and field ", field.name(), " can't: it isn't optional");
  }
  return "";
}

absl::StatusOr<std::unique_ptr<ProtobufValueWriter>> ProtobufValueWriter::Make(const Descriptor& message,
                                                                               const Schema& schema,
                                                                               const std::vector<size_t>& columns,
                                                                               std::string prefix) {
  std::unique_ptr<ProtobufValueWriter> writer(new ProtobufValueWriter(std::move(prefix)));
  for (const size_t c : columns) {
    const FieldDescriptor* const field = message.FindFieldByName(schema[c].name);
    Field made{.column = c, .is_int32 = schema[c].type.kind == Kind::kInt32};
    const std::string why = field == nullptr ? absl::StrCat("message ", message.full_name(), " has no such field")
                                             : WhyNot(schema[c], *field, &made.put);
    if (!why.empty()) return absl::InvalidArgumentError(absl::StrCat("column ", schema[c].name, ": ", why));
    made.nullable = schema[c].nullable;
    made.zero_too = field->has_presence();
    const auto wire = WireFormatLite::WireTypeForFieldType(static_cast<WireFormatLite::FieldType>(field->type()));
    AppendVarint(static_cast<uint64_t>(field->number()) << 3 | static_cast<uint64_t>(wire), &made.tag);
    writer->fields_.push_back(std::move(made));
  }
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor& field = *message.field(i);
    if (!field.is_required()) continue;
    bool has = false;
    for (const size_t c : columns) has = has || schema[c].name == field.name();
    if (!has) return absl::InvalidArgumentError(absl::StrCat("field ", field.name(), " is required, and no column"));
  }
  writer->most_ = writer->prefix_.size() + writer->fields_.size() * (kMostFixed + kMostVarint);
  return writer;
}

// Of any but texts: with the tag, or nothing where it is a zero that isn't written.
char* ProtobufValueWriter::Value(const Field& field, const ColumnView& column, int64_t row, char* p) const {
  switch (field.put) {
    case Put::kBool: {
      const int64_t bit = column.offset + row;
      const char truth = static_cast<char>(column.values[bit >> 3] >> (bit & 7) & 1);
      if (truth == 0 && !field.zero_too) return p;
      p = PutTag(p, field.tag);
      *p++ = truth;
      return p;
    }
    case Put::kDouble: {
      const auto bits = At<uint64_t>(column, row);
      return bits == 0 && !field.zero_too ? p : PutFixed(PutTag(p, field.tag), bits);
    }
    case Put::kTimestamp:
      return PutTimestamp(PutTag(p, field.tag), At<int64_t>(column, row));
    default:
      break;
  }
  const int64_t number = field.is_int32 ? At<int32_t>(column, row) : At<int64_t>(column, row);
  if (number == 0 && !field.zero_too) return p;
  p = PutTag(p, field.tag);
  switch (field.put) {
    case Put::kFixed32:
      return PutFixed(p, static_cast<int32_t>(number));
    case Put::kFixed64:
      return PutFixed(p, number);
    case Put::kZigZag:
      return PutVarint(p, static_cast<uint64_t>(number) << 1 ^ static_cast<uint64_t>(number >> 63));
    default:
      return PutVarint(p, static_cast<uint64_t>(number));
  }
}

char* ProtobufValueWriter::Lengthed(const Field& field, const ColumnView& column, int64_t row, char* p,
                                    TextBuffer* out) const {
  if (field.put == Put::kText) {
    // Never empty, and of less than 128 bytes: their number takes one.
    p = PutTag(p, field.tag) + 1;
    out->SetEnd(p);
    const size_t begin = out->size();
    WritePlainText(column, row, out);
    const size_t size = out->size() - begin;
    p = out->Reserve(most_);
    *(p - size - 1) = static_cast<char>(size);
    return p;
  }
  const std::string_view text = column.Text(row);
  if (text.empty() && !field.zero_too) return p;
  out->SetEnd(p);
  p = PutTag(out->Reserve(most_ + kMostVarint + text.size()), field.tag);
  p = PutVarint(p, text.size());
  if (!text.empty()) std::memcpy(p, text.data(), text.size());
  return p + text.size();
}

absl::Status ProtobufValueWriter::Write(const std::vector<ColumnView>& columns, absl::Span<const int32_t> rows,
                                        TextBuffer* out, std::vector<size_t>* ends) {
  ends->resize(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    const int32_t row = rows[i];
    char* p = out->Reserve(most_);
    std::memcpy(p, prefix_.data(), prefix_.size());
    p += prefix_.size();
    for (const Field& field : fields_) {
      const ColumnView& column = columns[field.column];
      if (field.nullable && column.IsNull(row)) continue;
      const bool lengthed = field.put == Put::kBytes || field.put == Put::kText;
      p = lengthed ? Lengthed(field, column, row, p, out) : Value(field, column, row, p);
    }
    out->SetEnd(p);
    (*ends)[i] = out->size();
  }
  return absl::OkStatus();
}

}  // namespace tidemark
