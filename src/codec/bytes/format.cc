#include "src/codec/bytes/format.h"

#include "src/codec/one_column.h"

namespace tidemark {
namespace {

struct BytesCodec {
  static constexpr char kName[] = "bytes";
  static bool Serves(FormatUse) { return true; }

  static std::string Types(FormatUse) { return "a column of type bytes"; }
  static bool Holds(const Type& type, FormatUse) { return type.kind == Kind::kBytes; }
  static std::optional<std::string> Set(std::string_view bytes, size_t column, ColumnSet* columns) {
    return columns->SetRaw(column, bytes);
  }
  static void Put(const ColumnView& column, int64_t row, TextBuffer* out) { out->Append(column.Text(row)); }
};

}  // namespace

const Format& BytesFormat() {
  static const auto& format = *new OneColumnFormat<BytesCodec>();
  return format;
}

}  // namespace tidemark
