#include "src/codec/column_set.h"

#include <algorithm>

#include <absl/strings/str_cat.h>
#include <arrow/array/array_base.h>

#include "src/codec/coerce.h"
#include "src/codec/column_text.h"

namespace tidemark {
namespace {

std::string Named(const SourceColumn& column, std::string_view reason) {
  return absl::StrCat("column ", column.column.name, ": ", std::string(reason));
}

}  // namespace

ColumnSet::ColumnSet(const std::vector<SourceColumn>& columns) : columns_(columns), seen_(columns.size(), 0) {
  builders_.reserve(columns.size());
  for (const SourceColumn& column : columns) {
    builders_.emplace_back(column.column.type, column.column.nullable);
    if (column.timestamp_format.empty()) continue;
    // The planner has made it before.
    auto format = TimestampFormat::Make(column.timestamp_format, column.time_zone);
    if (format.ok()) builders_.back().SetFormat(std::make_shared<const TimestampFormat>(*std::move(format)));
  }
}

void ColumnSet::Start(int64_t rows) {
  for (ColumnBuilder& builder : builders_) builder.Start(rows);
}

void ColumnSet::Grow(int64_t rows) {
  for (ColumnBuilder& builder : builders_) builder.Grow(rows);
}

std::optional<std::string> ColumnSet::EndRow() {
  for (size_t c = 0; c < columns_.size(); ++c) {
    if (seen_[c] == stamp_) [[likely]]
      continue;
    const SourceColumn& column = columns_[c];
    if (column.default_value) {
      const ScalarText value = FromPlainText(column.column.type, *column.default_value);
      const Fit fit = SetDefault(c, value);
      if (fit != Fit::kOk) return Named(column, absl::StrCat("default: ", Describe(fit, column.column.type, value)));
    } else if (column.column.nullable) {
      builders_[c].SetNull(row_);
    } else {
      return absl::StrCat("missing required column ", column.column.name);
    }
  }
  return std::nullopt;
}

// A default is in the JSON form of the type, however values are written.
Fit ColumnSet::SetDefault(size_t c, const ScalarText& value) {
  if (columns_[c].timestamp_format.empty()) return builders_[c].Set(row_, value);
  int64_t us = 0;
  const Fit fit = ParseRfc3339(value.text, &us);
  return fit == Fit::kOk ? builders_[c].SetInt64(row_, us) : fit;
}

void ColumnSet::EndTombstone() {
  for (size_t c = 0; c < columns_.size(); ++c) {
    if (seen_[c] != stamp_) builders_[c].SetNull(row_);
  }
}

std::optional<std::string> ColumnSet::SetRaw(size_t c, std::string_view bytes) {
  seen_[c] = stamp_;
  return Judge(c, builders_[c].SetRaw(row_, bytes), {ScalarText::Kind::kString, bytes});
}

std::optional<std::string> ColumnSet::SetInt64(size_t c, int64_t value) {
  seen_[c] = stamp_;
  const Fit fit = builders_[c].SetInt64(row_, value);
  if (fit == Fit::kOk) return std::nullopt;
  const std::string text = absl::StrCat(value);
  return Refuse(c, fit, {ScalarText::Kind::kNumber, text});
}

std::optional<std::string> ColumnSet::SetDouble(size_t c, double value) {
  seen_[c] = stamp_;
  const Fit fit = builders_[c].SetDouble(row_, value);
  if (fit == Fit::kOk) return std::nullopt;
  const std::string text = absl::StrCat(value);
  return Refuse(c, fit, {ScalarText::Kind::kNumber, text});
}

std::optional<std::string> ColumnSet::SetBool(size_t c, bool value) {
  seen_[c] = stamp_;
  const ScalarText::Kind kind = value ? ScalarText::Kind::kTrue : ScalarText::Kind::kFalse;
  return Judge(c, builders_[c].SetBool(row_, value), {kind, {}});
}

std::optional<std::string> ColumnSet::SetDecimal(size_t c, __int128 digits, int scale) {
  seen_[c] = stamp_;
  const Fit fit = builders_[c].SetDecimal(row_, digits, scale);
  if (fit == Fit::kOk) return std::nullopt;
  const std::string text = DecimalText(digits, scale);
  return Refuse(c, fit, {ScalarText::Kind::kNumber, text});
}

std::optional<std::string> ColumnSet::Reject(size_t c, std::string_view reason) {
  const SourceColumn& column = columns_[c];
  if (column.on_error == SourceColumn::OnError::kNull && column.column.nullable) {
    seen_[c] = stamp_;
    builders_[c].SetNull(row_);
    return std::nullopt;
  }
  return Named(column, reason);
}

std::optional<std::string> ColumnSet::Judge(size_t c, Fit fit, const ScalarText& value) {
  return fit == Fit::kOk ? std::nullopt : Refuse(c, fit, value);
}

std::optional<std::string> ColumnSet::Refuse(size_t c, Fit fit, const ScalarText& value) {
  const SourceColumn& column = columns_[c];
  const Type& type = column.column.type;
  if (column.coerce) {
    if (const std::optional<ScalarText> coerced = Coerce(type, value, &scratch_)) {
      fit = builders_[c].Set(row_, *coerced);
      return fit == Fit::kOk ? std::nullopt : Reject(c, Describe(fit, type, *coerced));
    }
  }
  if (!column.timestamp_format.empty() && value.kind == ScalarText::Kind::kString) {
    return Reject(
        c, absl::StrCat("expected a timestamp written as ", column.timestamp_format, ", found ", Excerpt(value.text)));
  }
  return Reject(c, Describe(fit, type, value));
}

void ColumnSet::Finish(int64_t rows, std::vector<std::shared_ptr<arrow::Array>>* out) {
  for (ColumnBuilder& builder : builders_) out->push_back(builder.Finish(rows));
}

Schema ColumnsSchema(const std::vector<SourceColumn>& columns) {
  Schema schema;
  for (const SourceColumn& column : columns) schema.Add(column.column);
  return schema;
}

}  // namespace tidemark
