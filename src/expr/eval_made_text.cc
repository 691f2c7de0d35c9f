// Text that is longer than, or ordered otherwise than, what it is made of. What a row makes is bounded, as a few rows
// of records would else fill a process's memory.
#include <clocale>
#include <cwctype>

#include <arrow/compute/api_scalar.h>
#include <arrow/compute/exec.h>
#include <arrow/datum.h>

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>

#include "src/expr/characters.h"
#include "src/expr/kernel.h"
#include "src/expr/kernels.h"

namespace tidemark::internal {
namespace {

using View = std::string_view;

// 3,000 rows of a poll then stay below the 2 GiB of one column.
constexpr int64_t kMostBytes = 256 * 1024;

bool TooLong(Row& row, int64_t bytes) {
  if (bytes > kMostBytes) row.Fail("requested length too large");
  return bytes > kMostBytes;
}

// The padding that makes a text of `length` characters, or the text cut down to them.
template <bool kLeft>
View Pad(Row& row, View text, int32_t length, View fill, std::string* out) {
  const int64_t have = CountCharacters(text), want = std::max(length, 0);
  if (have >= want) return Characters(text, 0, want);
  if (fill.empty()) return text;
  if (TooLong(row, want)) return View();
  out->clear();
  if (!kLeft) out->append(text);
  View next = fill;
  for (int64_t i = have; i < want; ++i) {
    if (next.empty()) next = fill;
    out->append(TakeCharacter(&next));
    // A few more bytes than characters are no harm.
    if (TooLong(row, static_cast<int64_t>(out->size()))) return View();
  }
  if (kLeft) out->append(text);
  return *out;
}

template <bool kLeft>
absl::StatusOr<Values> PadBlanks(KernelCall& call) {
  std::string out;
  return Map<View, View, int32_t>(
      call, [&](Row& row, View text, int32_t length) { return Pad<kLeft>(row, text, length, " ", &out); });
}
template <bool kLeft>
absl::StatusOr<Values> PadWith(KernelCall& call) {
  std::string out;
  return Map<View, View, int32_t, View>(
      call, [&](Row& row, View text, int32_t length, View fill) { return Pad<kLeft>(row, text, length, fill, &out); });
}

absl::StatusOr<Values> Repeat(KernelCall& call) {
  std::string out;
  return Map<View, View, int32_t>(call, [&](Row& row, View text, int32_t count) -> View {
    if (count <= 0 || TooLong(row, static_cast<int64_t>(text.size()) * count)) return View();
    out.clear();
    for (int32_t i = 0; i < count; ++i) out.append(text);
    return out;
  });
}

absl::StatusOr<Values> Reverse(KernelCall& call) {
  std::string out;
  return Map<View, View>(call, [&](Row&, View text) -> View {
    out.resize(text.size());
    size_t end = text.size();
    while (!text.empty()) {
      View character = TakeCharacter(&text);
      end -= character.size();
      character.copy(out.data() + end, character.size());
    }
    return out;
  });
}

// Whether a character belongs to a word, which initcap begins with a capital.
bool InWord(View character) {
  if (character.size() == 1) return absl::ascii_isalnum(character[0]);
  static const locale_t unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  return unicode != nullptr && iswalnum_l(static_cast<wint_t>(CodePoint(character)), unicode) != 0;
}

// Upper and lower case from Arrow's tables, as upper() and lower() have it; both keep the number of characters.
absl::StatusOr<Values> InitCap(KernelCall& call) {
  auto mapped = [&](const char* function) -> absl::StatusOr<Values> {
    TM_ASSIGN_OR_RETURN(auto result, FromArrow(arrow::compute::CallFunction(function, {call.args[0].array}), function));
    return Values{result.make_array(), call.args[0].constant};
  };
  TM_ASSIGN_OR_RETURN(Values upper, mapped("utf8_upper"));
  TM_ASSIGN_OR_RETURN(Values lower, mapped("utf8_lower"));
  const Values both[] = {upper, lower};
  KernelCall cased{call.frame, call.type, call.types, both};
  std::string out;
  return Map<View, View, View>(cased, [&](Row&, View capitals, View smalls) -> View {
    out.clear();
    bool in_word = false;
    while (!capitals.empty() && !smalls.empty()) {
      View capital = TakeCharacter(&capitals), small = TakeCharacter(&smalls);
      out.append(in_word ? small : capital);
      in_word = InWord(small);
    }
    return out;
  });
}

// Each character of `from` becomes the one at its place in `to`, or nothing behind the end of that.
absl::StatusOr<Values> Translate(KernelCall& call) {
  std::string out;
  return Map<View, View, View, View>(call, [&](Row&, View text, View from, View to) -> View {
    out.clear();
    while (!text.empty()) {
      View character = TakeCharacter(&text);
      bool found = false;
      View left = to;
      for (View rest = from; !rest.empty() && !found;) {
        found = TakeCharacter(&rest) == character;
        View other = left.empty() ? View() : TakeCharacter(&left);
        if (found) out.append(other);
      }
      if (!found) out.append(character);
    }
    return out;
  });
}

// The n-th field, from the end for a negative n.
absl::StatusOr<Values> SplitPart(KernelCall& call) {
  return Map<View, View, View, int32_t>(call, [](Row& row, View text, View delimiter, int32_t n) -> View {
    if (n == 0) return row.Fail("field position must not be zero"), View();
    if (delimiter.empty()) return n == 1 || n == -1 ? text : View();
    int64_t wanted = n;
    if (n < 0) {
      int64_t fields = 1;
      for (size_t at = text.find(delimiter); at != View::npos; at = text.find(delimiter, at + delimiter.size())) {
        ++fields;
      }
      wanted = fields + n + 1;
      if (wanted < 1) return View();
    }
    while (true) {
      const size_t at = text.find(delimiter);
      if (--wanted == 0) return text.substr(0, at);
      if (at == View::npos) return View();
      text.remove_prefix(at + delimiter.size());
    }
  });
}

absl::StatusOr<Values> Ascii(KernelCall& call) {
  return Map<int32_t, View>(
      call, [](Row&, View text) { return text.empty() ? 0 : static_cast<int32_t>(CodePoint(TakeCharacter(&text))); });
}

absl::StatusOr<Values> Chr(KernelCall& call) {
  std::string out;
  return Map<View, int32_t>(call, [&](Row& row, int32_t code) -> View {
    if (code < 0) return row.Fail("character number must be positive"), View();
    if (code == 0) return row.Fail("null character not permitted"), View();
    if (code > 0x10FFFF) {
      return row.Fail(absl::StrCat("requested character too large for encoding: ", code)), View();
    }
    if (code >= 0xD800 && code < 0xE000) {
      return row.Fail(absl::StrCat("requested character not valid for encoding: ", code)), View();
    }
    out.clear();
    AppendCodePoint(static_cast<char32_t>(code), &out);
    return out;
  });
}

template <typename T>
absl::StatusOr<Values> ToHex(KernelCall& call) {
  std::string out;
  return Map<View, T>(call, [&](Row&, T value) -> View {
    out.clear();
    absl::StrAppend(&out, absl::Hex(static_cast<std::make_unsigned_t<T>>(value)));
    return out;
  });
}

// concat_ws: NULLs are passed over, but a NULL separator makes NULL.
absl::StatusOr<Values> JoinAll(KernelCall& call) {
  const bool constant = AllConstant(call.args);
  const int64_t rows = constant ? 1 : call.frame.rows();
  std::vector<Reader<View>> in(call.args.begin(), call.args.end());
  std::vector<Validity> valid(call.args.begin(), call.args.end());
  Writer<View> out;
  TM_RETURN_IF_ERROR(out.Open(call.type, rows));
  std::string text;
  for (int64_t row = 0; row < rows; ++row) {
    if (!valid[0][row]) {
      out.SetNull(row);
      continue;
    }
    text.clear();
    bool first = true;
    for (size_t i = 1; i < in.size(); ++i) {
      if (!valid[i][row]) continue;
      if (!first) text.append(in[0][row]);
      first = false;
      text.append(in[i][row]);
    }
    out.Set(row, text);
  }
  return out.Finish(constant);
}

}  // namespace

Kernel ConcatWithKernel() { return JoinAll; }

std::vector<Function> MadeTextFunctions() {
  const Type text{Kind::kString}, integer{Kind::kInt32};
  const Kind s = Kind::kString, i = Kind::kInt32, l = Kind::kInt64;
  return {
      {"lpad", {s, i}, text, PadBlanks<true>, true},
      {"lpad", {s, i, s}, text, PadWith<true>, true},
      {"rpad", {s, i}, text, PadBlanks<false>, true},
      {"rpad", {s, i, s}, text, PadWith<false>, true},
      {"repeat", {s, i}, text, Repeat, true},
      {"reverse", {s}, text, Reverse},
      {"initcap", {s}, text, InitCap},
      {"translate", {s, s, s}, text, Translate},
      {"split_part", {s, s, i}, text, SplitPart, true},
      {"ascii", {s}, integer, Ascii},
      {"chr", {i}, text, Chr, true},
      {"to_hex", {i}, text, ToHex<int32_t>},
      {"to_hex", {l}, text, ToHex<int64_t>},
  };
}

}  // namespace tidemark::internal
