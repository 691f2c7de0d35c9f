// One pass over one Avro value by a plan (scan_plan.h), for ScanAvro alone. Each function is false where the value is
// bad, and reason() says why. Used by one thread.
#pragma once

#include <array>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include <absl/strings/str_cat.h>

#include "src/codec/avro/scan_plan.h"
#include "src/codec/column_text.h"  // DecimalText
#include "src/codec/wire_bytes.h"

namespace tidemark {

class AvroScanner {
 public:
  AvroScanner(const AvroScanPlan& plan, std::string_view value, size_t begin, ColumnSet* columns, AvroTaken* taken)
      : plan_(plan),
        steps_(plan.steps.data()),
        value_(value.data()),
        p_(value.data() + begin),
        end_(value.data() + value.size()),
        columns_(columns),
        taken_(taken) {}

  bool ReadAll() {
    if (!Run(0, static_cast<uint32_t>(plan_.steps.size()))) [[unlikely]]
      return false;
    if (p_ == end_) [[likely]]
      return true;
    reason_ =
        absl::StrCat("malformed Avro: ", end_ - p_, " bytes behind the record, as if another schema had written it");
    return false;
  }
  std::optional<std::string> reason() { return std::move(reason_); }

 private:
  bool Run(uint32_t at, uint32_t stop);

  bool Fail(const char* what) {
    const std::string& path = plan_.texts[plan_.paths[at_]];
    reason_ = absl::StrCat("malformed Avro at byte ", p_ - value_, path.empty() ? "" : ", in ", path, ": ", what);
    return false;
  }
  bool Truncated() { return Fail("it ends too early"); }

  bool Long(int64_t* out) {
    uint64_t bits = 0;
    const char* p = p_;
    for (int shift = 0; p != end_; shift += 7) {
      const auto byte = static_cast<unsigned char>(*p++);
      if (shift == 63 && byte > 1) return Fail("a number of more than 64 bits");
      bits |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte >= 0x80) continue;
      p_ = p;
      *out = static_cast<int64_t>(bits >> 1) ^ -static_cast<int64_t>(bits & 1);
      return true;
    }
    return Truncated();
  }
  bool Int(int64_t* out) {
    if (!Long(out)) [[unlikely]]
      return false;
    return *out == static_cast<int32_t>(*out) || Fail("an int of more than 32 bits");
  }
  bool Bytes(size_t size, std::string_view* out) {
    if (static_cast<size_t>(end_ - p_) < size) [[unlikely]]
      return Truncated();
    *out = {p_, size};
    p_ += size;
    return true;
  }
  bool Text(std::string_view* out) {
    int64_t size = 0;
    if (!Long(&size)) [[unlikely]]
      return false;
    if (size < 0) [[unlikely]]
      return Fail("a length below 0");
    return Bytes(static_cast<size_t>(size), out);
  }
  bool Bool(bool* out) {
    if (p_ == end_) return Truncated();
    if (static_cast<unsigned char>(*p_) > 1) return Fail("a boolean that is neither 0 nor 1");
    *out = *p_++ == 1;
    return true;
  }
  bool Index(uint32_t count, const char* of, int64_t* out) {
    if (!Long(out)) return false;
    return (*out >= 0 && *out < static_cast<int64_t>(count)) || Fail(of);
  }
  template <typename T>
  bool Real(double* out) {
    T value = 0;
    std::string_view bytes;
    if (!Bytes(sizeof value, &bytes)) return false;
    std::memcpy(&value, bytes.data(), sizeof value);
    *out = static_cast<double>(value);
    return true;
  }

  // The count of the next block of an array or a map; 0: there are no more. `bytes`, where the writer says it, is how
  // long the block is.
  bool Block(int64_t* count, std::optional<int64_t>* bytes) {
    bytes->reset();
    if (!Long(count)) return false;
    if (*count >= 0) return true;
    if (*count == std::numeric_limits<int64_t>::min()) return Fail("a block of too many elements");
    *count = -*count;
    int64_t size = 0;
    if (!Long(&size)) return false;
    if (size < 0 || size > end_ - p_) return Fail("a block that is longer than the record");
    *bytes = size;
    return true;
  }

  bool TreeAsJson(const AvroNode& node, std::string* json);  // scan_json.cc
  bool ItemsAsJson(const AvroNode& node, std::string* json);
  bool TextAsJson(std::string_view text, std::string* json);
  bool SkipArray(uint32_t at);
  bool Map(uint32_t at);

  // What a column makes of a value.
  bool Took(std::optional<std::string> refused) {
    if (!refused) [[likely]]
      return true;
    reason_ = std::move(refused);
    return false;
  }
  bool Set(const AvroStep& step, int64_t value) { return Took(columns_->SetInt64(step.column, value)); }
  bool SetText(const AvroStep& step, std::string_view text) {
    if (!IsUtf8(text)) [[unlikely]]
      return Took(columns_->Reject(step.column, "invalid UTF-8"));
    return Took(columns_->SetRaw(step.column, text));
  }
  bool SetJson(const AvroStep& step, std::string_view text) {
    if (!IsUtf8(text)) return Took(columns_->Reject(step.column, "invalid UTF-8"));
    return Took(columns_->Set(step.column, {ScalarText::Kind::kJson, text, std::nullopt}));
  }
  bool SetTime(const AvroStep& step, int64_t value) {
    int64_t us = value;
    switch (step.op) {
      case AvroOp::kNanos:
        us = value / 1'000 - (value % 1'000 < 0 ? 1 : 0);
        break;
      case AvroOp::kMillis:
        if (ScaleTimestamp(value, TimestampForm::kMillis, &us) != Fit::kOk) return TooFar(step, value);
        break;
      case AvroOp::kScaled:
        if (ScaleTimestamp(value, columns_->builder(step.column).type().form, &us) != Fit::kOk) {
          return TooFar(step, value);
        }
        break;
      default:
        break;
    }
    return Set(step, us);
  }
  bool TooFar(const AvroStep& step, int64_t value) {
    return Took(columns_->Reject(
        step.column, absl::StrCat(value, " is out of range for ", TypeName(columns_->builder(step.column).type()))));
  }
  bool SetDecimal(const AvroStep& step, std::string_view bytes, int64_t scale) {
    __int128 digits = 0;
    if (!ReadDigits(bytes, &digits) || scale != static_cast<int32_t>(scale)) {
      return Took(columns_->Reject(step.column, "a decimal of more than 128 bits"));
    }
    if (columns_->builder(step.column).type().kind == Kind::kString) {
      return Took(columns_->SetRaw(step.column, DecimalText(digits, static_cast<int>(scale))));
    }
    return Took(columns_->SetDecimal(step.column, digits, static_cast<int>(scale)));
  }
  bool SetUuid(const AvroStep& step, std::string_view bytes) {
    const std::array<char, 36> text = UuidText(bytes);
    return Took(columns_->SetRaw(step.column, {text.data(), text.size()}));
  }
  // Of sixteen bytes.
  static std::array<char, 36> UuidText(std::string_view bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::array<char, 36> text;
    char* out = text.data();
    for (size_t i = 0; i < bytes.size(); ++i) {
      if (i == 4 || i == 6 || i == 8 || i == 10) *out++ = '-';
      const auto byte = static_cast<unsigned char>(bytes[i]);
      *out++ = kDigits[byte >> 4];
      *out++ = kDigits[byte & 15];
    }
    return text;
  }

  // ---- Of changes of a table (scan_table.cc).
  bool ReadOfTable(const AvroStep& step);
  bool SetReal(const AvroStep& step, double value);
  bool SetTimeOfDay(const AvroStep& step, int64_t value);
  bool SetIso(const AvroStep& step, std::string_view text);
  bool ArrayAsJson(const AvroScanPlan::Plain& plain, std::string* json);
  bool PlainAsJson(const AvroScanPlan::Plain& plain, std::string* json);
  // The value that comes next says that it hasn't changed: it is passed over, and its column marked.
  bool Unavailable(const AvroStep& step);

  const AvroScanPlan& plan_;
  const AvroStep* const steps_;
  const char* const value_;
  const char* p_;
  const char* const end_;
  ColumnSet* const columns_;  // null: the plan has none
  AvroTaken* const taken_;
  uint32_t at_ = 0;  // the present step
  const char* mark_ = nullptr;
  std::optional<std::string> reason_;
};

}  // namespace tidemark
