#include "src/codec/key_reader.h"

#include <arrow/util/utf8.h>

namespace tidemark {

std::optional<std::string> SetPlainText(size_t column, std::string_view text, ColumnSet* columns) {
  const Type& type = columns->column(column).column.type;
  if (!arrow::util::ValidateUTF8(text)) return columns->Reject(column, Describe(Fit::kNotUtf8, type, {}));
  return columns->Set(column, FromPlainText(type, text));
}

}  // namespace tidemark
