#include "src/base/json_text.h"

#include <absl/strings/str_cat.h>
#include <arrow/util/utf8.h>

#include "src/base/digits.h"

namespace tidemark {
namespace {

constexpr uint64_t kOnes = 0x0101010101010101, kHigh = 0x8080808080808080;
constexpr const char* kNotUtf8 = "invalid UTF-8";
constexpr int kSafeDigits = 18;  // a number of so many fits into an int64

// Marks the bytes at which a string's plain text ends - a quote, a backslash, a control character - with their high
// bit. Above the first marked byte there may be false marks, below none is missed.
uint64_t Specials(uint64_t word) {
  const uint64_t quote = word ^ kOnes * '"', backslash = word ^ kOnes * '\\';
  return (((word - kOnes * 0x20) & ~word) | ((quote - kOnes) & ~quote) | ((backslash - kOnes) & ~backslash)) & kHigh;
}

bool IsDigit(char c) { return static_cast<unsigned char>(c - '0') < 10; }

int HexDigit(char c) {
  if (IsDigit(c)) return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// Four hexadecimal digits, or -1.
int32_t HexUnit(const char* p, const char* end) {
  if (end - p < 4) return -1;
  int32_t unit = 0;
  for (int i = 0; i < 4; ++i) {
    const int digit = HexDigit(p[i]);
    if (digit < 0) return -1;
    unit = unit * 16 + digit;
  }
  return unit;
}

void AppendUtf8(uint32_t c, std::string* out) {
  if (c < 0x80) {
    out->push_back(static_cast<char>(c));
  } else if (c < 0x800) {
    out->push_back(static_cast<char>(0xC0 | c >> 6));
    out->push_back(static_cast<char>(0x80 | (c & 0x3F)));
  } else if (c < 0x10000) {
    out->push_back(static_cast<char>(0xE0 | c >> 12));
    out->push_back(static_cast<char>(0x80 | (c >> 6 & 0x3F)));
    out->push_back(static_cast<char>(0x80 | (c & 0x3F)));
  } else {
    out->push_back(static_cast<char>(0xF0 | c >> 18));
    out->push_back(static_cast<char>(0x80 | (c >> 12 & 0x3F)));
    out->push_back(static_cast<char>(0x80 | (c >> 6 & 0x3F)));
    out->push_back(static_cast<char>(0x80 | (c & 0x3F)));
  }
}

const char* SkipDigits(const char* p, const char* end) {
  while (p != end && IsDigit(*p)) ++p;
  return p;
}

}  // namespace

bool IsJson(std::string_view text) {
  JsonText json(text);
  return json.SkipValue(0) && json.AtEnd();
}

bool JsonElements(std::string_view json, std::vector<std::string_view>* out) {
  out->clear();
  JsonText text(json);
  text.Peek();
  if (!text.Take('[')) return false;
  if (text.Take(']')) return true;
  do {
    text.Peek();
    const char* const begin = text.position();
    text.SkipValue(0);
    out->emplace_back(begin, static_cast<size_t>(text.position() - begin));
  } while (text.Take(','));
  return true;
}

void AppendJsonString(std::string_view text, std::string* out) {
  static constexpr std::string_view kHex = "0123456789abcdef", kLetters = "btn_fr";
  out->push_back('"');
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20) {
      if (c == '"' || c == '\\') out->push_back('\\');
      out->push_back(c);
    } else if (c >= '\b' && c <= '\r' && c != '\v') {
      out->append({'\\', kLetters[static_cast<size_t>(c - '\b')]});
    } else {
      out->append({'\\', 'u', '0', '0', kHex[byte >> 4], kHex[byte & 15]});
    }
  }
  out->push_back('"');
}

std::string JsonQuoted(std::string_view text) {
  std::string out;
  AppendJsonString(text, &out);
  return out;
}

bool JsonText::ReadString(std::string_view* raw, bool* escaped) {
  const char* const first = p_ + 1;
  const char* p = first;
  uint64_t seen = 0;  // all bytes or-ed together: a high bit means more than ASCII
  *escaped = false;
  while (true) {
    while (end_ - p >= 8) {
      uint64_t word = 0;
      std::memcpy(&word, p, 8);
      const uint64_t specials = Specials(word);
      if (specials != 0) {
        const int plain = __builtin_ctzll(specials) / 8;
        seen |= word & ~(~uint64_t{0} << (plain * 8));
        p += plain;
        break;
      }
      seen |= word;
      p += 8;
    }
    if (p == end_) return FailAt(end_, "a string isn't closed");
    const char c = *p;
    if (c == '"') break;
    if (c == '\\') {
      *escaped = true;
      if (end_ - p < 2) return FailAt(end_, "a string isn't closed");
      ++p;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      return FailAt(p, "a control character within a string");
    }
    seen |= static_cast<unsigned char>(*p) & 0x80u;
    ++p;
  }
  *raw = {first, static_cast<size_t>(p - first)};
  p_ = p + 1;
  if ((seen & kHigh) != 0 && !arrow::util::ValidateUTF8(*raw)) return FailAt(first, kNotUtf8);
  return true;
}

bool JsonText::ReadPlain(ScalarText* out, std::string* scratch) {
  switch (Peek()) {
    case '"': {
      out->kind = ScalarText::Kind::kString;
      bool escaped = false;
      if (!ReadString(&out->text, &escaped)) return false;
      if (!escaped) [[likely]]
        return true;
      if (!Unescape(out->text, scratch)) return false;
      out->text = *scratch;
      return true;
    }
    case 'n':
      out->kind = ScalarText::Kind::kNull;
      return ReadWord("null");
    case 't':
      out->kind = ScalarText::Kind::kTrue;
      return ReadWord("true");
    case 'f':
      out->kind = ScalarText::Kind::kFalse;
      return ReadWord("false");
    default:
      out->kind = ScalarText::Kind::kNumber;
      return ReadNumber(out);
  }
}

bool JsonText::ReadWord(std::string_view word) {
  if (std::string_view(p_, static_cast<size_t>(end_ - p_)).substr(0, word.size()) != word) {
    return Fail("not a JSON value");
  }
  p_ += word.size();
  return true;
}

bool JsonText::ReadNumber(ScalarText* out) {
  const char* p = p_;
  const bool negative = p != end_ && *p == '-';
  if (negative) ++p;
  const char* const whole = p;
  uint64_t value = 0;
  p = ReadDigits(p, end_, &value);
  if (p == whole || (*whole == '0' && p - whole > 1)) return Fail("not a JSON value");
  if (p - whole <= kSafeDigits && (p == end_ || (*p != '.' && (*p | 0x20) != 'e'))) [[likely]] {
    out->integer = static_cast<int64_t>(negative ? 0 - value : value);
    out->text = {p_, static_cast<size_t>(p - p_)};
    p_ = p;
    return true;
  }
  if (p != end_ && *p == '.') {
    const char* const fraction = ++p;
    p = SkipDigits(p, end_);
    if (p == fraction) return Fail("not a JSON value");
  }
  if (p != end_ && (*p | 0x20) == 'e') {
    if (++p != end_ && (*p == '+' || *p == '-')) ++p;
    const char* const exponent = p;
    p = SkipDigits(p, end_);
    if (p == exponent) return Fail("not a JSON value");
  }
  out->text = {p_, static_cast<size_t>(p - p_)};
  p_ = p;
  return true;
}

bool JsonText::SkipValue(int depth) {
  const char first = Peek();
  if (first != '{' && first != '[') {
    if (first != '"') {
      ScalarText ignored;
      return ReadPlain(&ignored, nullptr);
    }
    std::string_view raw;
    bool escaped = false;
    std::string unescaped;
    return ReadString(&raw, &escaped) && (!escaped || Unescape(raw, &unescaped));
  }
  if (depth >= kMaxDepth) return Fail("nesting too deep");
  ++p_;
  const char closing = first == '{' ? '}' : ']';
  if (Take(closing)) return true;
  do {
    if (first == '{') {
      if (Peek() != '"') return Fail("expected a name in quotes");
      if (!SkipValue(depth + 1)) return false;
      if (!Take(':')) return Fail("expected a colon");
    }
    if (!SkipValue(depth + 1)) return false;
  } while (Take(','));
  return Take(closing) || Fail(p_ == end_ ? "the object isn't closed" : "expected a comma or the end of what is open");
}

bool JsonText::Unescape(std::string_view raw, std::string* out) {
  out->clear();
  const char* p = raw.data();
  const char* const end = p + raw.size();
  while (p != end) {
    const void* const found = std::memchr(p, '\\', static_cast<size_t>(end - p));
    const char* const backslash = found == nullptr ? end : static_cast<const char*>(found);
    out->append(p, backslash);
    if (backslash == end) break;
    p = backslash + 2;
    switch (backslash[1]) {
      case '"':
        out->push_back('"');
        break;
      case '\\':
        out->push_back('\\');
        break;
      case '/':
        out->push_back('/');
        break;
      case 'b':
        out->push_back('\b');
        break;
      case 'f':
        out->push_back('\f');
        break;
      case 'n':
        out->push_back('\n');
        break;
      case 'r':
        out->push_back('\r');
        break;
      case 't':
        out->push_back('\t');
        break;
      case 'u':
        if (!UnescapeUnicode(&p, end, out)) return FailAt(backslash, "an invalid escape");
        break;
      default:
        return FailAt(backslash, "an invalid escape");
    }
  }
  return true;
}

// The digits behind \u, and the second half of a surrogate pair. Half a pair is no character.
bool JsonText::UnescapeUnicode(const char** p, const char* end, std::string* out) {
  const int32_t unit = HexUnit(*p, end);
  if (unit < 0 || (unit >= 0xDC00 && unit < 0xE000)) return false;
  *p += 4;
  if (unit < 0xD800 || unit >= 0xE000) {
    AppendUtf8(static_cast<uint32_t>(unit), out);
    return true;
  }
  if (end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u') return false;
  const int32_t low = HexUnit(*p + 2, end);
  if (low < 0xDC00 || low >= 0xE000) return false;
  *p += 6;
  AppendUtf8(0x10000 + (static_cast<uint32_t>(unit - 0xD800) << 10) + static_cast<uint32_t>(low - 0xDC00), out);
  return true;
}

bool JsonText::FailAt(const char* at, const char* what) {
  if (what_ == nullptr) {
    failed_at_ = at;
    what_ = what;
  }
  return false;
}

std::string JsonText::Reason() const {
  if (what_ == kNotUtf8) return kNotUtf8;
  return absl::StrCat("malformed JSON at byte ", failed_at_ - begin_, ": ", what_);
}

}  // namespace tidemark
