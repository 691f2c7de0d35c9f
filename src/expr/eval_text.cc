// Text. Lengths and positions count characters (UTF-8 code points); bytea counts bytes.
#include <algorithm>

#include <arrow/compute/api_scalar.h>
#include <arrow/compute/exec.h>
#include <arrow/datum.h>

#include "src/expr/characters.h"
#include "src/expr/kernel.h"
#include "src/expr/kernels.h"

namespace tidemark::internal {
namespace {

using View = std::string_view;

absl::StatusOr<Values> Length(KernelCall& call) {
  return Map<int32_t, View>(call, [](Row&, View a) { return static_cast<int32_t>(CountCharacters(a)); });
}
absl::StatusOr<Values> ByteLength(KernelCall& call) {
  return Map<int32_t, View>(call, [](Row&, View a) { return static_cast<int32_t>(a.size()); });
}

// Case mapping needs Unicode tables: Arrow's kernels bring them.
absl::StatusOr<Values> CaseMap(KernelCall& call, const char* function) {
  TM_ASSIGN_OR_RETURN(auto result, FromArrow(arrow::compute::CallFunction(function, {call.args[0].array}), function));
  return Values{result.make_array(), call.args[0].constant};
}
absl::StatusOr<Values> Lower(KernelCall& call) { return CaseMap(call, "utf8_lower"); }
absl::StatusOr<Values> Upper(KernelCall& call) { return CaseMap(call, "utf8_upper"); }

// Positions count from 1 and may lie outside of the text, which only the part inside counts for.
absl::StatusOr<Values> SubstringFrom(KernelCall& call) {
  return Map<View, View, int32_t>(
      call, [](Row&, View a, int32_t from) { return from <= 1 ? a : a.substr(ByteOf(a, int64_t{from} - 1)); });
}
absl::StatusOr<Values> SubstringFor(KernelCall& call) {
  return Map<View, View, int32_t, int32_t>(call, [](Row& row, View a, int32_t from, int32_t length) {
    if (length < 0) return row.Fail("negative substring length not allowed"), View();
    int64_t begin = std::max<int64_t>(from, 1), end = int64_t{from} + length;
    return end <= begin ? View() : Characters(a, begin - 1, end - 1);
  });
}

// A negative count means all but that many characters from the other end.
absl::StatusOr<Values> Left(KernelCall& call) {
  return Map<View, View, int32_t>(call, [](Row&, View a, int32_t n) {
    int64_t keep = n >= 0 ? n : CountCharacters(a) + n;
    return a.substr(0, ByteOf(a, std::max<int64_t>(keep, 0)));
  });
}
absl::StatusOr<Values> Right(KernelCall& call) {
  return Map<View, View, int32_t>(call, [](Row&, View a, int32_t n) {
    int64_t drop = n >= 0 ? CountCharacters(a) - n : -int64_t{n};
    return a.substr(ByteOf(a, std::max<int64_t>(drop, 0)));
  });
}

bool Among(View character, View set) {
  for (size_t at = set.find(character); at != View::npos; at = set.find(character, at + 1)) {
    if (!Continues(set[at])) return true;
  }
  return false;
}

View TrimEnds(View text, View set, bool left, bool right) {
  while (left && !text.empty()) {
    size_t width = ByteOf(text, 1);
    if (!Among(text.substr(0, width), set)) break;
    text.remove_prefix(width);
  }
  while (right && !text.empty()) {
    size_t begin = text.size() - 1;
    while (begin > 0 && Continues(text[begin])) --begin;
    if (!Among(text.substr(begin), set)) break;
    text.remove_suffix(text.size() - begin);
  }
  return text;
}

template <bool kLeft, bool kRight>
absl::StatusOr<Values> Trim(KernelCall& call) {
  return Map<View, View>(call, [](Row&, View a) { return TrimEnds(a, " ", kLeft, kRight); });
}
template <bool kLeft, bool kRight>
absl::StatusOr<Values> TrimSet(KernelCall& call) {
  return Map<View, View, View>(call, [](Row&, View a, View set) { return TrimEnds(a, set, kLeft, kRight); });
}

absl::StatusOr<Values> Replace(KernelCall& call) {
  std::string out;
  return Map<View, View, View, View>(call, [&](Row&, View a, View from, View to) -> View {
    size_t hit = from.empty() ? View::npos : a.find(from);
    if (hit == View::npos) return a;
    out.clear();
    size_t begin = 0;
    for (; hit != View::npos; hit = a.find(from, begin)) {
      out.append(a, begin, hit - begin).append(to);
      begin = hit + from.size();
    }
    out.append(a, begin, View::npos);
    return out;
  });
}

absl::StatusOr<Values> StartsWith(KernelCall& call) {
  return Map<bool, View, View>(call, [](Row&, View a, View prefix) { return a.starts_with(prefix); });
}

absl::StatusOr<Values> Position(KernelCall& call) {
  return Map<int32_t, View, View>(call, [](Row&, View a, View part) {
    size_t at = a.find(part);
    return at == View::npos ? 0 : static_cast<int32_t>(CountCharacters(a.substr(0, at))) + 1;
  });
}

absl::StatusOr<Values> Concatenate(KernelCall& call) {
  std::string out;
  return Map<View, View, View>(call, [&](Row&, View a, View b) -> View {
    out.assign(a).append(b);
    return out;
  });
}

absl::StatusOr<Values> ConcatAll(KernelCall& call) {
  bool constant = AllConstant(call.args);
  int64_t rows = constant ? 1 : call.frame.rows();
  std::vector<Reader<View>> in(call.args.begin(), call.args.end());
  std::vector<Validity> valid(call.args.begin(), call.args.end());
  Writer<View> out;
  TM_RETURN_IF_ERROR(out.Open(call.type, rows));
  std::string text;
  for (int64_t row = 0; row < rows; ++row) {
    text.clear();
    for (size_t i = 0; i < in.size(); ++i) {
      if (valid[i][row]) text.append(in[i][row]);
    }
    out.Set(row, text);
  }
  return out.Finish(constant);
}

absl::StatusOr<Values> BoolLetter(KernelCall& call) {
  return Map<View, bool>(call, [](Row&, bool a) { return View(a ? "t" : "f"); });
}

enum class Match { kNo, kYes, kBadPattern };

// Greedy with one point to return to, the last %: that is enough, since a later % can match all that an earlier one
// could.
Match Like(View text, View pattern, View escape) {
  size_t t = 0, p = 0;
  size_t retry_text = 0, retry_pattern = View::npos;
  while (true) {
    if (p < pattern.size()) {
      bool escaped = !escape.empty() && pattern.substr(p).starts_with(escape);
      if (!escaped && pattern[p] == '%') {
        retry_pattern = ++p;
        retry_text = t;
        continue;
      }
      size_t literal = p + (escaped ? escape.size() : 0);
      if (escaped && literal >= pattern.size() && t < text.size()) return Match::kBadPattern;
      if (t < text.size() && !escaped && pattern[p] == '_') {
        t += ByteOf(text.substr(t), 1);
        ++p;
        continue;
      }
      if (t < text.size() && text[t] == pattern[literal] && (escaped || pattern[p] != '_')) {
        ++t;
        p = literal + 1;
        continue;
      }
    } else if (t == text.size()) {
      return Match::kYes;
    }
    if (retry_pattern == View::npos || retry_text >= text.size()) return Match::kNo;
    retry_text += ByteOf(text.substr(retry_text), 1);
    t = retry_text;
    p = retry_pattern;
  }
}

bool LikeRow(Row& row, View text, View pattern, View escape) {
  Match match = Like(text, pattern, escape);
  if (match == Match::kBadPattern) row.Fail("LIKE pattern must not end with escape character");
  return match == Match::kYes;
}

absl::StatusOr<Values> LikeDefault(KernelCall& call) {
  return Map<bool, View, View>(call,
                               [](Row& row, View text, View pattern) { return LikeRow(row, text, pattern, "\\"); });
}
absl::StatusOr<Values> LikeEscape(KernelCall& call) {
  return Map<bool, View, View, View>(call, [](Row& row, View text, View pattern, View escape) {
    if (CountCharacters(escape) > 1) return row.Fail("invalid escape string"), false;
    return LikeRow(row, text, pattern, escape);
  });
}

}  // namespace

Kernel ConcatKernel() { return ConcatAll; }
Kernel LikeKernel(bool with_escape) { return with_escape ? LikeEscape : LikeDefault; }
Kernel BoolLetterKernel() { return BoolLetter; }

std::vector<Function> TextFunctions() {
  const Type text{Kind::kString}, integer{Kind::kInt32}, truth{Kind::kBool};
  const Kind s = Kind::kString, i = Kind::kInt32, b = Kind::kBytes;
  return {
      {"length", {s}, integer, Length},
      {"length", {b}, integer, ByteLength},
      {"char_length", {s}, integer, Length},
      {"character_length", {s}, integer, Length},
      {"octet_length", {s}, integer, ByteLength},
      {"octet_length", {b}, integer, ByteLength},
      {"lower", {s}, text, Lower},
      {"upper", {s}, text, Upper},
      {"substr", {s, i}, text, SubstringFrom},
      {"substr", {s, i, i}, text, SubstringFor, true},
      {"substring", {s, i}, text, SubstringFrom},
      {"substring", {s, i, i}, text, SubstringFor, true},
      {"left", {s, i}, text, Left},
      {"right", {s, i}, text, Right},
      {"btrim", {s}, text, Trim<true, true>},
      {"btrim", {s, s}, text, TrimSet<true, true>},
      {"trim", {s}, text, Trim<true, true>},
      {"ltrim", {s}, text, Trim<true, false>},
      {"ltrim", {s, s}, text, TrimSet<true, false>},
      {"rtrim", {s}, text, Trim<false, true>},
      {"rtrim", {s, s}, text, TrimSet<false, true>},
      {"replace", {s, s, s}, text, Replace},
      {"starts_with", {s, s}, truth, StartsWith},
      {"strpos", {s, s}, integer, Position},
      {"position", {s, s}, integer, Position},
      {"||", {s, s}, text, Concatenate},
      {"||", {b, b}, Type{Kind::kBytes}, Concatenate},
  };
}

}  // namespace tidemark::internal
