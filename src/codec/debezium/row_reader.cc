#include "src/codec/debezium/row_reader.h"

#include <algorithm>

#include <absl/strings/str_cat.h>

namespace tidemark::debezium {
namespace {

// What Debezium writes for a value that its database's log doesn't hold, as it hasn't changed: as text, and as bytes.
constexpr std::string_view kUnavailable = "__debezium_unavailable_value";
constexpr std::string_view kUnavailableBytes = "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==";

bool IsUnavailable(const ScalarText& value) {
  return value.kind == ScalarText::Kind::kString && (value.text == kUnavailable || value.text == kUnavailableBytes);
}

std::vector<std::string> NamesOf(const std::vector<RowColumn>& columns) {
  std::vector<std::string> names;
  for (const RowColumn& column : columns) names.push_back(column.name);
  return names;
}

}  // namespace

RowReader::RowReader(std::vector<RowColumn> columns)
    : columns_(std::move(columns)), names_(NamesOf(columns_)), decimal_names_({"scale", "value"}) {}

std::optional<std::string> RowReader::Read(std::string_view object, const std::vector<Reading>& readings, bool deleted,
                                           ColumnSet* columns, std::string* unchanged,
                                           std::vector<std::string>* unnamed) {
  text_ = JsonText(object);
  out_ = columns;
  refused_.reset();
  const auto visit = [&](int number) {
    if (number == FieldNames::kOther) return text_.SkipValue(1);
    const auto at = static_cast<size_t>(number);
    if (deleted && !columns_[at].key) return text_.SkipValue(1);
    return ReadValue(at, readings[at], unchanged);
  };
  if (WalkObject(&text_, &names_, visit, [&](const std::string& name) { unnamed->push_back(name); })) {
    return std::nullopt;
  }
  return refused_ ? std::move(refused_) : text_.Reason();
}

bool RowReader::Set(std::optional<std::string> reason) {
  if (!reason) [[likely]]
    return true;
  refused_ = std::move(reason);
  return false;
}

void RowReader::SetUnchanged(size_t number, std::string* unchanged) {
  const size_t column = columns_[number].column;
  out_->SetAny(column);
  if (unchanged->size() <= column / 8) unchanged->resize(column / 8 + 1);
  (*unchanged)[column / 8] = static_cast<char>((*unchanged)[column / 8] | 1 << (column % 8));
}

bool RowReader::ReadValue(size_t number, const Reading& reading, std::string* unchanged) {
  const char first = text_.Peek();
  if (first == '[') return ReadArray(number, reading, unchanged);
  if (first == '{') return ReadObject(number, reading);
  ScalarText value;
  if (!text_.ReadPlain(&value, &scratch_)) return false;
  if (IsUnavailable(value)) [[unlikely]] {
    SetUnchanged(number, unchanged);
    return true;
  }
  return Set(SetValue(reading, columns_[number].column, value, out_));
}

bool RowReader::ReadArray(size_t number, const Reading& reading, std::string* unchanged) {
  const JsonText before = text_;
  if (!text_.SkipValue(1)) return false;
  const std::string_view whole(before.position(), static_cast<size_t>(text_.position() - before.position()));
  const JsonText behind = text_;
  text_ = before;
  ScalarText value;
  text_.Take('[');
  if (text_.Peek() == '"' && text_.ReadPlain(&value, &scratch_) && IsUnavailable(value) && text_.Take(']')) {
    SetUnchanged(number, unchanged);
    return true;
  }
  text_ = behind;
  return Set(SetValue(reading, columns_[number].column, {ScalarText::Kind::kArray, whole, std::nullopt}, out_));
}

// Of all types only a decimal without a scale of its own is written as an object.
bool RowReader::ReadObject(size_t number, const Reading& reading) {
  const size_t column = columns_[number].column;
  if (reading.encoding != Encoding::kDecimalStruct) {
    const char* const begin = text_.position();
    if (!text_.SkipValue(1)) return false;
    const std::string_view whole(begin, static_cast<size_t>(text_.position() - begin));
    return Set(SetValue(reading, column, {ScalarText::Kind::kObject, whole, std::nullopt}, out_));
  }
  int64_t scale = -1;
  ScalarText bytes;
  const auto visit = [&](int field) {
    ScalarText value;
    if (field == FieldNames::kOther) return text_.SkipValue(2);
    if (!text_.ReadPlain(&value, &scratch_)) return false;
    if (field == 0 && (value.kind != ScalarText::Kind::kNumber || ParseInt64(value.text, &scale) != Fit::kOk))
      scale = -1;
    if (field == 1) bytes = value;
    return true;
  };
  if (!WalkObject(&text_, &decimal_names_, visit, [](const std::string&) {})) return false;
  if (scale < 0 || scale > 100 || bytes.kind != ScalarText::Kind::kString) {
    return Set(out_->Reject(column, "expected the scale and the bytes of a decimal"));
  }
  return Set(SetDecimal(column, bytes.text, static_cast<int>(scale), out_));
}

}  // namespace tidemark::debezium
