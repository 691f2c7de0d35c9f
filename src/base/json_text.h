// A strict JSON scanner (RFC 8259) over one document: the caller pulls tokens, and everything it passes or skips has
// been checked - grammar, escapes, UTF-8, depth. Nothing is copied, and nothing behind the text is read.
//
// Why not simdjson: libparquet, in the pyarrow wheel, carries and exports another version of it under the same names,
// and whichever of the two the loader finds first breaks the other. For records of some hundred bytes, whose fields
// stand where they stood in the record before, its two passes bring little.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/value_text.h"

namespace tidemark {

class JsonText {
 public:
  // Objects and arrays within each other.
  static constexpr int kMaxDepth = 512;

  JsonText() = default;
  explicit JsonText(std::string_view text) : begin_(text.data()), p_(text.data()), end_(text.data() + text.size()) {}

  // The next character that isn't white space, 0 at the end. It stays where it is.
  char Peek() {
    while (p_ != end_ && (*p_ == ' ' || *p_ == '\n' || *p_ == '\r' || *p_ == '\t')) ++p_;
    return p_ == end_ ? '\0' : *p_;
  }
  // Takes `c` if it comes next.
  bool Take(char c) {
    if (p_ == end_ || *p_ != c) {
      if (Peek() != c || p_ == end_) return false;
    }
    ++p_;
    return true;
  }
  // Takes the string that is written exactly as `quoted`, with its quotes, if it comes next without space.
  bool TakeName(std::string_view quoted) {
    if (static_cast<size_t>(end_ - p_) < quoted.size() || !SameBytes(p_, quoted.data(), quoted.size())) return false;
    p_ += quoted.size();
    return true;
  }

  // The string that begins here, as it stands between its quotes. `escaped`: it contains backslashes.
  bool ReadString(std::string_view* raw, bool* escaped);
  // The plain value that begins here; strings without their escapes. `scratch` holds the text where there were any.
  bool ReadPlain(ScalarText* out, std::string* scratch);
  // Passes over the value that begins here, `depth` levels down.
  bool SkipValue(int depth);
  // Nothing but white space is left.
  bool AtEnd() { return Peek() == '\0' && p_ == end_; }

  // Notes why and where reading failed; false.
  bool Fail(const char* what) { return FailAt(p_, what); }
  // "malformed JSON at byte 12: ...".
  std::string Reason() const;
  bool failed() const { return what_ != nullptr; }
  const char* failed_at() const { return failed_at_; }  // where it failed
  const char* position() const { return p_; }

 private:
  // memcmp in place: names are short, and asked for once a field.
  static bool SameBytes(const char* a, const char* b, size_t size) {
    if (size < 8) return std::memcmp(a, b, size) == 0;
    const auto differ = [&](size_t at) {
      uint64_t x = 0, y = 0;
      std::memcpy(&x, a + at, 8);
      std::memcpy(&y, b + at, 8);
      return x ^ y;
    };
    for (size_t at = 0; at + 8 < size; at += 8) {
      if (differ(at) != 0) return false;
    }
    return differ(size - 8) == 0;
  }

  bool FailAt(const char* at, const char* what);
  bool ReadNumber(ScalarText* out);
  bool ReadWord(std::string_view word);
  // The text without its escapes.
  bool Unescape(std::string_view raw, std::string* out);
  bool UnescapeUnicode(const char** p, const char* end, std::string* out);

  const char* begin_ = nullptr;
  const char* p_ = nullptr;
  const char* end_ = nullptr;
  const char* failed_at_ = nullptr;
  const char* what_ = nullptr;
};

// Whether the text is one JSON value and nothing else: what a column of type json holds.
bool IsJson(std::string_view text);
// The elements of a JSON array, as they are written; false where the value, which is valid, isn't one.
bool JsonElements(std::string_view json, std::vector<std::string_view>* out);
// The text as a JSON string, in quotes.
void AppendJsonString(std::string_view text, std::string* out);
std::string JsonQuoted(std::string_view text);

}  // namespace tidemark
