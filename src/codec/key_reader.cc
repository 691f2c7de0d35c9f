#include "src/codec/key_reader.h"

#include <utility>

#include <absl/strings/str_cat.h>
#include <arrow/util/utf8.h>

namespace tidemark {

std::optional<std::string> SetPlainText(size_t column, std::string_view text, ColumnSet* columns) {
  const Type& type = columns->column(column).column.type;
  if (!arrow::util::ValidateUTF8(text)) return columns->Reject(column, Describe(Fit::kNotUtf8, type, {}));
  return columns->Set(column, FromPlainText(type, text));
}

KeyReader::KeyReader(KeyFormat format, std::vector<ReadTarget> targets)
    : format_(format), targets_(std::move(targets)), json_(targets_) {
  arrow::util::InitializeUTF8();
}

std::optional<std::string> KeyReader::Read(const Bytes& key, ColumnSet* columns) {
  if (targets_.empty() || !key) return std::nullopt;
  if (format_ == KeyFormat::kJson) {
    std::optional<std::string> reason = json_.Read(*key, columns);
    if (reason) return absl::StrCat("record key: ", *reason);
    return std::nullopt;
  }
  for (const ReadTarget& target : targets_) {
    std::optional<std::string> reason = ReadPlain(*key, target.column, columns);
    if (reason) return absl::StrCat("record key: ", *reason);
  }
  return std::nullopt;
}

std::optional<std::string> KeyReader::ReadPlain(std::string_view key, size_t column, ColumnSet* columns) const {
  const Kind kind = columns->column(column).column.type.kind;
  if (format_ == KeyFormat::kBytes && kind == Kind::kBytes) return columns->SetRaw(column, key);
  return SetPlainText(column, key, columns);
}

}  // namespace tidemark
