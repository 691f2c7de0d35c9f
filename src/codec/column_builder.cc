#include "src/codec/column_builder.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include <absl/strings/escaping.h>
#include <arrow/array/data.h>
#include <arrow/array/util.h>
#include <arrow/buffer.h>
#include <arrow/type.h>
#include <arrow/util/bit_util.h>

#include "src/base/json_text.h"

namespace tidemark {
namespace {

int Width(Kind kind) {
  switch (kind) {
    case Kind::kBool:
      return 1;
    case Kind::kInt32:
    case Kind::kDate:
      return 4;
    case Kind::kInt64:
    case Kind::kDouble:
    case Kind::kTimestamp:
      return 8;
    case Kind::kDecimal:
      return 16;
    case Kind::kString:
    case Kind::kBytes:
    case Kind::kJson:
      return 0;
  }
  return 0;
}

// A lack of memory ends the process, as it does in every std::string.
std::shared_ptr<arrow::Buffer> Allocate(int64_t bytes) { return arrow::AllocateBuffer(bytes).ValueOrDie(); }

// Bytes that are 0 or 1 as a bitmap.
std::shared_ptr<arrow::Buffer> PackBits(const uint8_t* bytes, int64_t n) {
  std::shared_ptr<arrow::Buffer> bits = Allocate(arrow::bit_util::BytesForBits(n));
  uint8_t* const out = bits->mutable_data();
  if (n > 0) std::memset(out, 0, static_cast<size_t>(bits->size()));
  for (int64_t i = 0; i < n; ++i) out[i >> 3] |= static_cast<uint8_t>(bytes[i] << (i & 7));
  return bits;
}

}  // namespace

ColumnBuilder::ColumnBuilder(const Type& type, bool nullable)
    : type_(type), nullable_(nullable), width_(Width(type.kind)), arrow_type_(ArrowType(type)) {}

void ColumnBuilder::Start(int64_t rows) {
  if (width_ > 0) {
    fixed_ = Allocate(rows * width_);
    values_ = fixed_->mutable_data();
  } else {
    fixed_ = Allocate((rows + 1) * 4);
    values_ = fixed_->mutable_data();
    reinterpret_cast<int32_t*>(values_)[0] = 0;
    text_capacity_ = std::max(rows * 8, std::min<int64_t>(last_text_bytes_ + last_text_bytes_ / 8, 64 << 20));
    text_ = arrow::AllocateResizableBuffer(text_capacity_).ValueOrDie();
    text_data_ = text_->mutable_data();
  }
  if (nullable_) valid_.resize(static_cast<size_t>(rows));
}

void ColumnBuilder::Grow(int64_t rows) {
  const std::shared_ptr<arrow::Buffer> before = std::move(fixed_);
  fixed_ = Allocate(width_ > 0 ? rows * width_ : (rows + 1) * 4);
  values_ = fixed_->mutable_data();
  if (before->size() > 0) std::memcpy(values_, before->data(), static_cast<size_t>(before->size()));
  if (nullable_) valid_.resize(static_cast<size_t>(rows));
}

Fit ColumnBuilder::SetAny(int64_t row, const ScalarText& value) {
  if (type_.kind == Kind::kJson) return SetJson(row, value);
  switch (value.kind) {
    case ScalarText::Kind::kNumber:
      return SetNumber(row, value);
    case ScalarText::Kind::kString:
      return SetString(row, value.text);
    case ScalarText::Kind::kTrue:
      return type_.kind == Kind::kBool ? Put<uint8_t>(row, 1) : Fit::kWrongType;
    case ScalarText::Kind::kFalse:
      return type_.kind == Kind::kBool ? Put<uint8_t>(row, 0) : Fit::kWrongType;
    default:
      return Fit::kWrongType;
  }
}

Fit ColumnBuilder::SetJson(int64_t row, const ScalarText& value) {
  switch (value.kind) {
    case ScalarText::Kind::kTrue:
      return SetRaw(row, "true");
    case ScalarText::Kind::kFalse:
      return SetRaw(row, "false");
    case ScalarText::Kind::kNumber:
    case ScalarText::Kind::kObject:
    case ScalarText::Kind::kArray:
      return SetRaw(row, value.text);
    case ScalarText::Kind::kJson:
      return IsJson(value.text) ? SetRaw(row, value.text) : Fit::kBadText;
    case ScalarText::Kind::kString:
      scratch_.clear();
      AppendJsonString(value.text, &scratch_);
      return SetRaw(row, scratch_);
    case ScalarText::Kind::kNull:
      break;
  }
  return Fit::kWrongType;
}

Fit ColumnBuilder::SetNumber(int64_t row, const ScalarText& number) {
  const std::string_view text = number.text;
  if (type_.kind == Kind::kDouble) {
    double value = 0;
    const Fit fit = ParseDouble(text, &value);
    return fit == Fit::kOk ? Put(row, value) : fit;
  }
  if (type_.kind == Kind::kDecimal) {
    __int128 value = 0;
    const Fit fit = ParseDecimal(text, type_.precision, type_.scale, &value);
    if (fit != Fit::kOk) return fit;
    // Arrow's buffers are not promised to be aligned for a 128-bit move.
    std::memcpy(values_ + row * 16, &value, 16);
    if (nullable_) valid_[row] = 1;
    return Fit::kOk;
  }
  const bool numeric_time = type_.kind == Kind::kTimestamp && type_.form != TimestampForm::kRfc3339;
  if (type_.kind != Kind::kInt64 && type_.kind != Kind::kInt32 && !numeric_time) return Fit::kWrongType;
  int64_t value = number.integer.value_or(0);
  Fit fit = number.integer ? Fit::kOk : ParseInt64(text, &value);
  if (fit == Fit::kOk && numeric_time) fit = ScaleTimestamp(value, type_.form, &value);
  return fit == Fit::kOk ? SetInt64(row, value) : fit;
}

Fit ColumnBuilder::SetString(int64_t row, std::string_view text) {
  switch (type_.kind) {
    case Kind::kString:
      return SetRaw(row, text);
    case Kind::kBytes:
      if (!absl::Base64Unescape(absl::string_view(text.data(), text.size()), &scratch_)) return Fit::kBadText;
      return SetRaw(row, scratch_);
    case Kind::kDecimal:
      return SetNumber(row, {ScalarText::Kind::kNumber, text});
    case Kind::kDouble: {
      const std::optional<double> value = ParseNonFinite(text);
      return value ? Put(row, *value) : Fit::kWrongType;
    }
    case Kind::kDate: {
      int32_t days = 0;
      const Fit fit = ParseDate(text, &days);
      return fit == Fit::kOk ? Put(row, days) : fit;
    }
    case Kind::kTimestamp: {
      if (type_.form != TimestampForm::kRfc3339) return Fit::kWrongType;
      if (format_ != nullptr) {
        const std::optional<int64_t> read = format_->Parse(text);
        return read ? Put(row, *read) : Fit::kBadText;
      }
      int64_t us = 0;
      const Fit fit = ParseRfc3339(text, &us);
      return fit == Fit::kOk ? Put(row, us) : fit;
    }
    default:
      return Fit::kWrongType;
  }
}

Fit ColumnBuilder::SetRaw(int64_t row, std::string_view bytes) {
  if (width_ != 0) return Fit::kWrongType;
  int32_t* const offsets = reinterpret_cast<int32_t*>(values_);
  const int64_t begin = offsets[row];
  const int64_t end = begin + static_cast<int64_t>(bytes.size());
  if (end > std::numeric_limits<int32_t>::max()) return Fit::kTooLarge;
  if (end > text_capacity_) {
    // Resize keeps as many bytes as the buffer's size says, which is its capacity here.
    text_capacity_ = std::min<int64_t>(std::max(end, text_capacity_ * 2), std::numeric_limits<int32_t>::max());
    const arrow::Status grown = text_->Resize(text_capacity_, false);
    if (!grown.ok()) grown.Abort();
    text_data_ = text_->mutable_data();
  }
  if (!bytes.empty()) std::memcpy(text_data_ + begin, bytes.data(), bytes.size());
  offsets[row + 1] = static_cast<int32_t>(end);
  if (nullable_) valid_[row] = 1;
  return Fit::kOk;
}

Fit ColumnBuilder::SetInt64(int64_t row, int64_t value) {
  switch (type_.kind) {
    case Kind::kInt64:
    case Kind::kTimestamp:
      return Put(row, value);
    case Kind::kInt32:
    case Kind::kDate:
      if (value != static_cast<int32_t>(value)) return Fit::kOutOfRange;
      return Put(row, static_cast<int32_t>(value));
    default:
      return Fit::kWrongType;
  }
}

Fit ColumnBuilder::SetDouble(int64_t row, double value) {
  return type_.kind == Kind::kDouble ? Put(row, value) : Fit::kWrongType;
}

Fit ColumnBuilder::SetBool(int64_t row, bool value) {
  return type_.kind == Kind::kBool ? Put<uint8_t>(row, value ? 1 : 0) : Fit::kWrongType;
}

Fit ColumnBuilder::SetDecimal(int64_t row, __int128 digits, int scale) {
  if (type_.kind != Kind::kDecimal) return Fit::kWrongType;
  for (; digits != 0 && scale > type_.scale; --scale, digits /= 10) {
    if (digits % 10 != 0) return Fit::kTooPrecise;
  }
  for (; digits != 0 && scale < type_.scale; ++scale) {
    if (__builtin_mul_overflow(digits, 10, &digits)) return Fit::kOutOfRange;
  }
  __int128 limit = 1;
  for (int i = 0; i < type_.precision; ++i) limit *= 10;
  if (digits >= limit || digits <= -limit) return Fit::kOutOfRange;
  std::memcpy(values_ + row * 16, &digits, 16);
  if (nullable_) valid_[row] = 1;
  return Fit::kOk;
}

void ColumnBuilder::SetEmpty(int64_t row) {
  if (width_ == 0) {
    int32_t* const offsets = reinterpret_cast<int32_t*>(values_);
    offsets[row + 1] = offsets[row];
  } else {
    std::memset(values_ + row * width_, 0, static_cast<size_t>(width_));
  }
  if (nullable_) valid_[row] = 1;
}

std::shared_ptr<arrow::Array> ColumnBuilder::Finish(int64_t rows) {
  int64_t nulls = 0;
  std::shared_ptr<arrow::Buffer> validity;
  if (nullable_) {
    nulls = std::count(valid_.begin(), valid_.begin() + rows, uint8_t{0});
    if (nulls > 0) validity = PackBits(valid_.data(), rows);
  }
  std::vector<std::shared_ptr<arrow::Buffer>> buffers = {std::move(validity)};
  if (type_.kind == Kind::kBool) {
    buffers.push_back(PackBits(values_, rows));
  } else if (width_ > 0) {
    buffers.push_back(arrow::SliceBuffer(fixed_, 0, rows * width_));
  } else {
    last_text_bytes_ = reinterpret_cast<const int32_t*>(values_)[rows];
    buffers.push_back(arrow::SliceBuffer(fixed_, 0, (rows + 1) * 4));
    buffers.push_back(arrow::SliceBuffer(text_, 0, last_text_bytes_));
  }
  fixed_.reset();
  text_.reset();
  return arrow::MakeArray(arrow::ArrayData::Make(arrow_type_, rows, std::move(buffers), nulls));
}

}  // namespace tidemark
