#include "src/codec/text/format.h"

#include <arrow/util/utf8.h>

#include "src/codec/one_column.h"

namespace tidemark {
namespace {

struct TextCodec {
  static constexpr char kName[] = "text";
  static constexpr bool kReadsText = true;
  static bool Serves(FormatUse) { return true; }

  // Keys have but one form for each value, as equal keys must have equal bytes; those that are written also serve
  // readers of other kinds.
  static std::string Types(FormatUse use) {
    switch (use) {
      case FormatUse::kReadKey:
        return "int32, int64 or string";
      case FormatUse::kWriteKey:
        return "int32, int64, string, decimal, date or a timestamp";
      default:
        return "any type but bytes";
    }
  }
  static bool Holds(const Type& type, FormatUse use) {
    switch (type.kind) {
      case Kind::kInt32:
      case Kind::kInt64:
      case Kind::kString:
        return true;
      case Kind::kDecimal:
      case Kind::kDate:
      case Kind::kTimestamp:
        return use != FormatUse::kReadKey;
      case Kind::kBool:
      case Kind::kDouble:
      case Kind::kJson:
        return !IsKey(use);
      case Kind::kBytes:
        return false;
    }
    return false;
  }
  static std::optional<std::string> Set(std::string_view bytes, size_t column, ColumnSet* columns) {
    return SetPlainText(column, bytes, columns);
  }
  static void Put(const ColumnView& column, int64_t row, TextBuffer* out) { WritePlainText(column, row, out); }
};

}  // namespace

const Format& TextFormat() {
  arrow::util::InitializeUTF8();
  static const auto& format = *new OneColumnFormat<TextCodec>();
  return format;
}

}  // namespace tidemark
