#include <algorithm>
#include <cstring>
#include <limits>

#include <absl/strings/str_cat.h>

#include "src/codec/avro/scan_plan.h"
#include "src/codec/column_text.h"
#include "src/codec/wire_bytes.h"

namespace tidemark {
namespace {

int64_t FloorDivide(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

// One pass over one value. Each function is false where the value is bad, and `reason` says why.
class Scanner {
 public:
  Scanner(const AvroScanPlan& plan, std::string_view value, size_t begin, ColumnSet* columns)
      : plan_(plan),
        steps_(plan.steps.data()),
        value_(value.data()),
        p_(value.data() + begin),
        end_(value.data() + value.size()),
        columns_(*columns) {}

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

  bool SkipArray(uint32_t at);
  bool Map(uint32_t at);

  // What a column makes of a value.
  bool Took(std::optional<std::string> refused) {
    if (!refused) [[likely]]
      return true;
    reason_ = std::move(refused);
    return false;
  }
  bool Set(const AvroStep& step, int64_t value) { return Took(columns_.SetInt64(step.column, value)); }
  bool SetText(const AvroStep& step, std::string_view text) {
    if (!IsUtf8(text)) [[unlikely]]
      return Took(columns_.Reject(step.column, "invalid UTF-8"));
    return Took(columns_.SetRaw(step.column, text));
  }
  bool SetJson(const AvroStep& step, std::string_view text) {
    if (!IsUtf8(text)) return Took(columns_.Reject(step.column, "invalid UTF-8"));
    return Took(columns_.Set(step.column, {ScalarText::Kind::kJson, text, std::nullopt}));
  }
  bool SetTime(const AvroStep& step, int64_t value) {
    int64_t us = value;
    switch (step.op) {
      case AvroOp::kNanos:
        us = FloorDivide(value, 1'000);
        break;
      case AvroOp::kMillis:
        if (ScaleTimestamp(value, TimestampForm::kMillis, &us) != Fit::kOk) return TooFar(step, value);
        break;
      case AvroOp::kScaled:
        if (ScaleTimestamp(value, columns_.builder(step.column).type().form, &us) != Fit::kOk) {
          return TooFar(step, value);
        }
        break;
      default:
        break;
    }
    return Set(step, us);
  }
  bool TooFar(const AvroStep& step, int64_t value) {
    return Took(columns_.Reject(
        step.column, absl::StrCat(value, " is out of range for ", TypeName(columns_.builder(step.column).type()))));
  }
  bool SetDecimal(const AvroStep& step, std::string_view bytes, int64_t scale) {
    __int128 digits = 0;
    if (!ReadDigits(bytes, &digits) || scale != static_cast<int32_t>(scale)) {
      return Took(columns_.Reject(step.column, "a decimal of more than 128 bits"));
    }
    if (columns_.builder(step.column).type().kind == Kind::kString) {
      return Took(columns_.SetRaw(step.column, DecimalText(digits, static_cast<int>(scale))));
    }
    return Took(columns_.SetDecimal(step.column, digits, static_cast<int>(scale)));
  }
  bool SetUuid(const AvroStep& step, std::string_view bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    char text[36];
    char* out = text;
    for (size_t i = 0; i < bytes.size(); ++i) {
      if (i == 4 || i == 6 || i == 8 || i == 10) *out++ = '-';
      const auto byte = static_cast<unsigned char>(bytes[i]);
      *out++ = kDigits[byte >> 4];
      *out++ = kDigits[byte & 15];
    }
    return Took(columns_.SetRaw(step.column, {text, sizeof text}));
  }

  const AvroScanPlan& plan_;
  const AvroStep* const steps_;
  const char* const value_;
  const char* p_;
  const char* const end_;
  ColumnSet& columns_;
  uint32_t at_ = 0;  // the present step
  const char* mark_ = nullptr;
  std::optional<std::string> reason_;
};

bool Scanner::SkipArray(uint32_t at) {
  const uint32_t n = steps_[at].n;
  const uint64_t least = plan_.least[at];
  while (true) {
    int64_t count = 0;
    std::optional<int64_t> bytes;
    at_ = at;
    if (!Block(&count, &bytes)) return false;
    if (count == 0) return true;
    if (bytes) {
      p_ += *bytes;
      continue;
    }
    // Elements without bytes may be as many as they like.
    if (least == 0) continue;
    if (static_cast<uint64_t>(count) > static_cast<uint64_t>(end_ - p_) / least) return Truncated();
    for (; count > 0; --count) {
      if (!Run(at + 1, at + 1 + n)) return false;
    }
  }
}

// What a writer says of a block's length isn't needed where its values are.
bool Scanner::Map(uint32_t at) {
  const AvroScanPlan::Map& map = plan_.maps[steps_[at].arg];
  while (true) {
    int64_t count = 0;
    std::optional<int64_t> bytes;
    at_ = at;
    if (!Block(&count, &bytes)) return false;
    if (count == 0) return true;
    for (; count > 0; --count) {
      at_ = at;
      std::string_view key;
      if (!Text(&key)) return false;
      const auto wanted =
          std::find_if(map.keys.begin(), map.keys.end(), [&](const auto& other) { return other.key == key; });
      const bool good = wanted == map.keys.end() ? Run(map.skip_begin, map.skip_end) : Run(wanted->begin, wanted->end);
      if (!good) return false;
    }
  }
}

bool Scanner::Run(uint32_t at, uint32_t stop) {
  int64_t number = 0;
  double real = 0;
  bool truth = false;
  std::string_view text;
  for (; at < stop; ++at) {
    const AvroStep& step = steps_[at];
    at_ = at;
    bool good = true;
    switch (step.op) {
      case AvroOp::kSkipBool:
        good = Bool(&truth);
        break;
      case AvroOp::kSkipInt:
        good = Int(&number);
        break;
      case AvroOp::kSkipLong:
        good = Long(&number);
        break;
      case AvroOp::kSkipFixed:
        good = Bytes(step.n, &text);
        break;
      case AvroOp::kSkipText:
        good = Text(&text);
        break;
      case AvroOp::kSkipEnum:
        good = Index(step.n, "a symbol that its enum doesn't have", &number);
        break;
      case AvroOp::kSkipArray:
        good = SkipArray(at);
        at += step.n;
        break;
      case AvroOp::kBool:
        good = Bool(&truth) && Took(columns_.SetBool(step.column, truth));
        break;
      case AvroOp::kInt:
        good = Int(&number) && Set(step, number);
        break;
      case AvroOp::kLong:
        good = Long(&number) && Set(step, number);
        break;
      case AvroOp::kIntToDouble:
        good = Int(&number) && Took(columns_.SetDouble(step.column, static_cast<double>(number)));
        break;
      case AvroOp::kLongToDouble:
        good = Long(&number) && Took(columns_.SetDouble(step.column, static_cast<double>(number)));
        break;
      case AvroOp::kFloat:
        good = Real<float>(&real) && Took(columns_.SetDouble(step.column, real));
        break;
      case AvroOp::kDouble:
        good = Real<double>(&real) && Took(columns_.SetDouble(step.column, real));
        break;
      case AvroOp::kIntegerToDecimal:
        good = Long(&number) && Took(columns_.SetDecimal(step.column, number, 0));
        break;
      case AvroOp::kScaled:
      case AvroOp::kMillis:
      case AvroOp::kMicros:
      case AvroOp::kNanos:
        good = Long(&number) && SetTime(step, number);
        break;
      case AvroOp::kString:
        good = Text(&text) && SetText(step, text);
        break;
      case AvroOp::kBytes:
        good = Text(&text) && Took(columns_.SetRaw(step.column, text));
        break;
      case AvroOp::kText:
        good = Text(&text) && Took(columns_.Set(step.column, {ScalarText::Kind::kString, text, std::nullopt}));
        break;
      case AvroOp::kJson:
        good = Text(&text) && SetJson(step, text);
        break;
      case AvroOp::kEnum:
        good = Index(step.arg, "a symbol that its enum doesn't have", &number) &&
               Took(columns_.SetRaw(step.column, plan_.texts[step.n + static_cast<size_t>(number)]));
        break;
      case AvroOp::kFixed:
        good = Bytes(step.n, &text) && Took(columns_.SetRaw(step.column, text));
        break;
      case AvroOp::kUuid:
        good = Bytes(16, &text) && SetUuid(step, text);
        break;
      case AvroOp::kDecimal:
        good = Text(&text) && SetDecimal(step, text, step.arg);
        break;
      case AvroOp::kFixedDecimal:
        good = Bytes(step.n, &text) && SetDecimal(step, text, step.arg);
        break;
      case AvroOp::kVariableDecimal:
        good = Int(&number) && Text(&text) && SetDecimal(step, text, number);
        break;
      case AvroOp::kMap:
        good = Map(at);
        at += step.n;
        break;
      case AvroOp::kNullable:
        good = Index(2, "a branch that its union doesn't have", &number);
        if (number == step.arg) at += step.n;
        break;
      case AvroOp::kUnion:
        good = Index(step.n, "a branch that its union doesn't have", &number);
        if (good) at = plan_.jumps[step.arg + static_cast<size_t>(number)] - 1;
        break;
      case AvroOp::kJump:
        at += step.n;
        break;
      case AvroOp::kMark:
        mark_ = p_;
        break;
      case AvroOp::kBack:
        p_ = mark_;
        break;
      case AvroOp::kUnfit:
        good = Took(columns_.Reject(step.column, plan_.texts[step.arg]));
        break;
      case AvroOp::kRefuse:
        reason_ = plan_.texts[step.arg];
        return false;
    }
    if (!good) [[unlikely]]
      return false;
  }
  return true;
}

}  // namespace

std::optional<std::string> ScanAvro(const AvroScanPlan& plan, std::string_view value, size_t begin,
                                    ColumnSet* columns) {
  Scanner scanner(plan, value, begin, columns);
  if (scanner.ReadAll()) [[likely]]
    return std::nullopt;
  return scanner.reason();
}

}  // namespace tidemark
