#include <bit>
#include <cstring>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include "src/codec/column_text.h"
#include "src/codec/protobuf/scan_plan.h"
#include "src/codec/wire_bytes.h"

namespace tidemark {
namespace {

constexpr uint32_t kVarint = 0, kEight = 1, kLengthed = 2, kBegin = 3, kEnd = 4, kFour = 5;
constexpr int kDeepestGroup = 100;
constexpr int64_t kMicros = 1'000'000;

// One pass over one message. Each function is false where the value is bad, and `reason` says why.
class Scanner {
 public:
  Scanner(ProtobufScanPlan* plan, std::string_view value, size_t begin, ColumnSet* columns)
      : plan_(*plan),
        value_(value.data()),
        p_(value.data() + begin),
        end_(value.data() + value.size()),
        columns_(*columns) {}

  bool ReadAll() {
    if (!Message(0)) [[unlikely]]
      return false;
    return plan_.parts.empty() || Render();
  }
  std::optional<std::string> reason() { return std::move(reason_); }

 private:
  bool Message(uint32_t number);
  bool Read(const ProtobufField& field, uint32_t wire, const char* tag);
  bool Number(const ProtobufField& field, int64_t* out);
  bool Store(const ProtobufField& field, int64_t number);
  bool StoreText(const ProtobufField& field, std::string_view text);
  bool Implied(const ProtobufField& field);
  bool Skip(uint32_t wire, uint32_t number, int depth);
  bool Render();
  void Clear(const ProtobufField& field);

  bool Fail(const char* what) {
    const std::string place = place_ == nullptr ? "" : absl::StrCat(", in ", *place_);
    reason_ = absl::StrCat("malformed Protobuf at byte ", p_ - value_, place, ": ", what);
    return false;
  }
  bool Truncated() { return Fail("it ends too early"); }

  bool Varint(uint64_t* out) {
    uint64_t bits = 0;
    const char* p = p_;
    for (int shift = 0; p != end_; shift += 7) {
      const auto byte = static_cast<unsigned char>(*p++);
      if (shift == 63 && byte > 1) return Fail("a number of more than 64 bits");
      bits |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte >= 0x80) continue;
      p_ = p;
      *out = bits;
      return true;
    }
    return Truncated();
  }
  template <typename T>
  bool Fixed(T* out) {
    if (static_cast<size_t>(end_ - p_) < sizeof(T)) [[unlikely]]
      return Truncated();
    std::memcpy(out, p_, sizeof(T));
    p_ += sizeof(T);
    return true;
  }
  bool Bytes(std::string_view* out) {
    uint64_t size = 0;
    if (!Varint(&size)) [[unlikely]]
      return false;
    if (size > static_cast<uint64_t>(end_ - p_)) [[unlikely]]
      return Truncated();
    *out = {p_, static_cast<size_t>(size)};
    p_ += size;
    return true;
  }
  // Of at most five bytes, as the library has it.
  bool Tag(uint32_t* number, uint32_t* wire) {
    const char* const begin = p_;
    uint64_t tag = 0;
    if (!Varint(&tag)) [[unlikely]]
      return false;
    *number = static_cast<uint32_t>(tag >> 3);
    *wire = static_cast<uint32_t>(tag & 7);
    return (p_ - begin <= 5 && tag >> 32 == 0 && *number != 0) || Fail("a field number that can't be");
  }

  // Reads the message that lies in these bytes by `read`.
  template <typename F>
  bool Within(std::string_view bytes, F&& read) {
    const char* const behind = p_;
    const char* const end = end_;
    p_ = bytes.data();
    end_ = bytes.data() + bytes.size();
    if (!read()) [[unlikely]]
      return false;
    p_ = behind;
    end_ = end;
    return true;
  }

  bool WrongWire(const ProtobufField& field) {
    place_ = &plan_.texts[field.place];
    return Fail("its wire type is another than the schema's, as if another schema had written it");
  }

  // What a column makes of a value.
  bool Took(std::optional<std::string> refused) {
    if (!refused) [[likely]]
      return true;
    reason_ = std::move(refused);
    return false;
  }
  bool Refuse(const ProtobufField& field, std::string_view why) { return Took(columns_.Reject(field.column, why)); }
  bool OutOfRange(const ProtobufField& field, std::string_view number) {
    return Refuse(field, absl::StrCat(std::string(number), " is out of range for ",
                                      TypeName(columns_.builder(field.column).type())));
  }
  // A value that comes, where it can't be the column's.
  bool Unfit(const ProtobufField& field) {
    return field.into != ProtobufInto::kUnfit || Refuse(field, plan_.texts[field.arg]);
  }
  bool StoreBig(const ProtobufField& field, uint64_t number);
  bool Timestamp(const ProtobufField& field);
  bool Date(const ProtobufField& field);
  bool Money(const ProtobufField& field);

  ProtobufScanPlan& plan_;
  const char* const value_;
  const char* p_;
  const char* end_;  // of the message that is read
  ColumnSet& columns_;
  const std::string* place_ = nullptr;
  std::optional<std::string> reason_;
};

bool Scanner::Message(uint32_t number) {
  const ProtobufNode& node = plan_.nodes[number];
  uint64_t seen = 0;
  while (p_ != end_) {
    const char* const tag = p_;
    uint32_t id = static_cast<unsigned char>(*p_), wire = id & 7;
    if (id >= 8 && id < 0x80) [[likely]] {
      id >>= 3;
      ++p_;
    } else if (!Tag(&id, &wire)) {
      return false;
    }
    const uint32_t at = node.Find(id);
    if (at == 0) {
      if (!Skip(wire, id, 0)) [[unlikely]]
        return false;
      continue;
    }
    const ProtobufField* field = &plan_.fields[at];
    if (field->clears_begin != field->clears_end) Clear(*field);
    const char* const value = p_;
    while (true) {
      seen |= field->implied;
      if (!Read(*field, wire, tag)) [[unlikely]]
        return false;
      if (field->next == 0) [[likely]]
        break;
      field = &plan_.fields[field->next];
      p_ = value;
    }
  }
  if (seen == node.all_implied) [[likely]]
    return true;
  for (const uint32_t at : node.implied) {
    if (!columns_.HasValue(plan_.fields[at].column) && !Implied(plan_.fields[at])) return false;
  }
  return true;
}

bool Scanner::Read(const ProtobufField& field, uint32_t wire, const char* tag) {
  if (field.read == ProtobufRead::kSkip) {
    if (field.into == ProtobufInto::kPart) {
      if (wire != field.wire && !(field.packs && wire == kLengthed)) return WrongWire(field);
      if (!Skip(wire, 0, 0)) return false;
      plan_.parts[field.arg].present.append(tag, static_cast<size_t>(p_ - tag));
      return true;
    }
    // Only a group has an end with a number, which its beginning has.
    if (wire != kBegin) return Skip(wire, 0, 0) && Unfit(field);
    p_ = tag;
    uint32_t number = 0;
    return Tag(&number, &wire) && Skip(wire, number, 0) && Unfit(field);
  }
  if (wire != field.wire) [[unlikely]]
    return WrongWire(field);
  switch (field.read) {
    case ProtobufRead::kInt64: {
      uint64_t bits = 0;
      if (!Varint(&bits)) [[unlikely]]
        return false;
      if (field.into == ProtobufInto::kInteger) [[likely]]
        return Took(columns_.SetInt64(field.column, static_cast<int64_t>(bits)));
      return Store(field, static_cast<int64_t>(bits));
    }
    case ProtobufRead::kLengthed: {
      std::string_view bytes;
      if (!Bytes(&bytes)) [[unlikely]]
        return false;
      switch (field.into) {
        case ProtobufInto::kMessage:
          return Within(bytes, [&] { return Message(field.arg); });
        case ProtobufInto::kTimestamp:
          return Within(bytes, [&] { return Timestamp(field); });
        case ProtobufInto::kDate:
          return Within(bytes, [&] { return Date(field); });
        case ProtobufInto::kMoney:
          return Within(bytes, [&] { return Money(field); });
        default:
          return StoreText(field, bytes);
      }
    }
    case ProtobufRead::kDouble: {
      double number = 0;
      return Fixed(&number) && Took(columns_.SetDouble(field.column, number));
    }
    case ProtobufRead::kFloat: {
      float number = 0;
      return Fixed(&number) && Took(columns_.SetDouble(field.column, static_cast<double>(number)));
    }
    default: {
      int64_t number = 0;
      if (!Number(field, &number)) [[unlikely]]
        return false;
      if (number < 0 && (field.read == ProtobufRead::kUint64 || field.read == ProtobufRead::kFixed64)) [[unlikely]] {
        return StoreBig(field, static_cast<uint64_t>(number));
      }
      return Store(field, number);
    }
  }
}

bool Scanner::Number(const ProtobufField& field, int64_t* out) {
  uint64_t bits = 0;
  uint32_t half = 0;
  switch (field.read) {
    case ProtobufRead::kFixed64:
    case ProtobufRead::kSfixed64:
      if (!Fixed(&bits)) return false;
      *out = static_cast<int64_t>(bits);
      return true;
    case ProtobufRead::kFixed32:
      if (!Fixed(&half)) return false;
      *out = half;
      return true;
    case ProtobufRead::kSfixed32:
      if (!Fixed(&half)) return false;
      *out = static_cast<int32_t>(half);
      return true;
    default:
      break;
  }
  if (!Varint(&bits)) [[unlikely]]
    return false;
  switch (field.read) {
    case ProtobufRead::kInt32:
      *out = static_cast<int32_t>(bits);
      break;
    case ProtobufRead::kUint32:
      *out = static_cast<uint32_t>(bits);
      break;
    case ProtobufRead::kSint32:
      bits = static_cast<uint32_t>(bits);
      [[fallthrough]];
    case ProtobufRead::kSint64:
      *out = static_cast<int64_t>(bits >> 1) ^ -static_cast<int64_t>(bits & 1);
      break;
    case ProtobufRead::kBool:
      *out = bits != 0;
      break;
    default:
      *out = static_cast<int64_t>(bits);
      break;
  }
  return true;
}

bool Scanner::Store(const ProtobufField& field, int64_t number) {
  switch (field.into) {
    case ProtobufInto::kInteger:
      return Took(columns_.SetInt64(field.column, number));
    case ProtobufInto::kReal:
      return Took(columns_.SetDouble(field.column, static_cast<double>(number)));
    case ProtobufInto::kDecimal:
      return Took(columns_.SetDecimal(field.column, number, 0));
    case ProtobufInto::kBool:
      return Took(columns_.SetBool(field.column, number != 0));
    case ProtobufInto::kScaled: {
      int64_t us = 0;
      const Fit fit = ScaleTimestamp(number, columns_.builder(field.column).type().form, &us);
      return fit == Fit::kOk ? Took(columns_.SetInt64(field.column, us)) : OutOfRange(field, absl::StrCat(number));
    }
    case ProtobufInto::kName: {
      const ProtobufScanPlan::Enum& type = plan_.enums[field.arg];
      const auto found = type.names.find(number);
      if (found != type.names.end()) return Took(columns_.SetRaw(field.column, found->second));
      return type.closed || Took(columns_.SetRaw(field.column, absl::StrCat(number)));
    }
    case ProtobufInto::kMember:
      return !plan_.enums[field.arg].names.contains(number) || Took(columns_.SetInt64(field.column, number));
    default:
      return Fail("a number where none can be");
  }
}

// Of more than 63 bits.
bool Scanner::StoreBig(const ProtobufField& field, uint64_t number) {
  if (field.into == ProtobufInto::kReal) return Took(columns_.SetDouble(field.column, static_cast<double>(number)));
  if (field.into == ProtobufInto::kDecimal) return Took(columns_.SetDecimal(field.column, __int128{number}, 0));
  return OutOfRange(field, absl::StrCat(number));
}

bool Scanner::StoreText(const ProtobufField& field, std::string_view text) {
  if (field.into == ProtobufInto::kBytes) return Took(columns_.SetRaw(field.column, text));
  if (!IsUtf8(text)) [[unlikely]]
    return Refuse(field, "invalid UTF-8");
  if (field.into == ProtobufInto::kString) [[likely]]
    return Took(columns_.SetRaw(field.column, text));
  const auto kind = field.into == ProtobufInto::kJson ? ScalarText::Kind::kJson : ScalarText::Kind::kString;
  return Took(columns_.Set(field.column, {kind, text, std::nullopt}));
}

// A field without presence that isn't there.
bool Scanner::Implied(const ProtobufField& field) {
  switch (field.into) {
    case ProtobufInto::kString:
    case ProtobufInto::kBytes:
      return Took(columns_.SetRaw(field.column, ""));
    case ProtobufInto::kDouble:
      return Took(columns_.SetDouble(field.column, 0));
    case ProtobufInto::kPart:
      return !plan_.parts[field.arg].present.empty() ||
             Took(columns_.SetRaw(field.column, plan_.parts[field.arg].empty));
    case ProtobufInto::kUnfit:
      return Refuse(field, plan_.texts[field.arg]);
    default:
      return Store(field, 0);
  }
}

void Scanner::Clear(const ProtobufField& field) {
  for (uint32_t i = field.clears_begin; i < field.clears_end; ++i) {
    const uint32_t column = plan_.clears[i];
    columns_.Set(column, ScalarText());
    for (ProtobufScanPlan::Part& part : plan_.parts) {
      if (part.column == column) part.present.clear();
    }
  }
}

bool Scanner::Skip(uint32_t wire, uint32_t number, int depth) {
  uint64_t bits = 0;
  uint32_t half = 0;
  std::string_view bytes;
  switch (wire) {
    case kVarint:
      return Varint(&bits);
    case kEight:
      return Fixed(&bits);
    case kLengthed:
      return Bytes(&bytes);
    case kFour:
      return Fixed(&half);
    case kBegin:
      break;
    case kEnd:
      return Fail("the end of a group that hasn't begun");
    default:
      return Fail("a wire type that there isn't");
  }
  if (depth == kDeepestGroup) return Fail("too many groups within each other");
  while (true) {
    uint32_t inner = 0, kind = 0;
    if (!Tag(&inner, &kind)) return false;
    if (kind == kEnd) return number == 0 || inner == number || Fail("the end of another group");
    if (!Skip(kind, inner, depth + 1)) return false;
  }
}

// seconds = 1, nanos = 2.
bool Scanner::Timestamp(const ProtobufField& field) {
  int64_t parts[2] = {0, 0};
  while (p_ != end_) {
    uint32_t number = 0, wire = 0;
    if (!Tag(&number, &wire)) return false;
    uint64_t bits = 0;
    if (number > 2 || wire != kVarint) {
      if (!Skip(wire, number, 0)) return false;
    } else if (!Varint(&bits)) {
      return false;
    } else {
      parts[number - 1] = number == 1 ? static_cast<int64_t>(bits) : static_cast<int32_t>(bits);
    }
  }
  int64_t us = 0;
  if (parts[1] < 0 || parts[1] >= 1'000'000'000) return Refuse(field, "nanos of a timestamp below 0 or a second");
  if (__builtin_mul_overflow(parts[0], kMicros, &us) || __builtin_add_overflow(us, parts[1] / 1'000, &us)) {
    return OutOfRange(field, absl::StrCat(parts[0], " seconds"));
  }
  return Took(columns_.SetInt64(field.column, us));
}

// year = 1, month = 2, day = 3. It may lack some of them, and then it is no day.
bool Scanner::Date(const ProtobufField& field) {
  int32_t parts[3] = {0, 0, 0};
  while (p_ != end_) {
    uint32_t number = 0, wire = 0;
    if (!Tag(&number, &wire)) return false;
    uint64_t bits = 0;
    if (number > 3 || wire != kVarint) {
      if (!Skip(wire, number, 0)) return false;
    } else if (!Varint(&bits)) {
      return false;
    } else {
      parts[number - 1] = static_cast<int32_t>(bits);
    }
  }
  if (parts[0] < 1 || parts[1] < 1 || parts[2] < 1) return Refuse(field, "a date without a year, month or day");
  const std::string text = absl::StrFormat("%04d-%02d-%02d", parts[0], parts[1], parts[2]);
  return Took(columns_.Set(field.column, {ScalarText::Kind::kString, text, std::nullopt}));
}

// value = 1, big-endian; scale = 3.
bool Scanner::Money(const ProtobufField& field) {
  std::string_view value;
  int32_t scale = 0;
  while (p_ != end_) {
    uint32_t number = 0, wire = 0;
    if (!Tag(&number, &wire)) return false;
    uint64_t bits = 0;
    if (number == 1 && wire == kLengthed) {
      if (!Bytes(&value)) return false;
    } else if (number == 3 && wire == kVarint) {
      if (!Varint(&bits)) return false;
      scale = static_cast<int32_t>(bits);
    } else if (!Skip(wire, number, 0)) {
      return false;
    }
  }
  __int128 digits = 0;
  if (!ReadDigits(value, &digits)) return Refuse(field, "a decimal of more than 128 bits");
  if (columns_.builder(field.column).type().kind != Kind::kString) {
    return Took(columns_.SetDecimal(field.column, digits, scale));
  }
  return Took(columns_.SetRaw(field.column, DecimalText(digits, scale)));
}

bool Scanner::Render() {
  for (ProtobufScanPlan::Part& part : plan_.parts) {
    if (part.present.empty()) continue;
    const absl::StatusOr<std::string_view> json = part.json->Render(part.present);
    part.present.clear();
    const bool good = json.ok() ? Took(columns_.Set(part.column, {ScalarText::Kind::kJson, *json, std::nullopt}))
                                : Took(columns_.Reject(part.column, std::string(json.status().message())));
    if (!good) return false;
  }
  return true;
}

}  // namespace

std::optional<std::string> ScanProtobuf(ProtobufScanPlan* plan, std::string_view value, size_t begin,
                                        ColumnSet* columns) {
  // A bad record may have left something.
  for (ProtobufScanPlan::Part& part : plan->parts) part.present.clear();
  Scanner scanner(plan, value, begin, columns);
  if (scanner.ReadAll()) [[likely]]
    return std::nullopt;
  return scanner.reason();
}

}  // namespace tidemark
