// Regular expressions. A pattern and its flags are constants, compiled with the expression.
#include <absl/strings/str_cat.h>

#include "src/expr/characters.h"
#include "src/expr/coerce.h"
#include "src/expr/kernel.h"
#include "src/expr/kernels.h"
#include "src/expr/regex.h"

namespace tidemark::internal {
namespace {

using View = std::string_view;

struct PreparedRegex final : Prepared {
  std::shared_ptr<const Regex> regex;
  bool global = false;
};

const Regex& RegexOf(const KernelCall& call) { return *static_cast<const PreparedRegex*>(call.prepared)->regex; }

struct Use {
  int flags = 0;         // the argument that has the flags; 0 for none
  bool extents = true;   // whether it matters what is matched
  bool global = false;   // whether g is a flag
  bool no_case = false;  // whether it ignores case without being told
};

template <Use kUse>
absl::StatusOr<PreparedPtr> Prepare(absl::Span<const BoundPtr> args) {
  auto pattern = ConstantText(*args[1]);
  if (!pattern) return absl::InvalidArgumentError("a regular expression is a constant: it is compiled at the start");
  Regex::Flags flags;
  if (kUse.flags > 0) {
    auto letters = ConstantText(*args[kUse.flags]);
    if (!letters) return absl::InvalidArgumentError("the flags of a regular expression are a constant");
    TM_ASSIGN_OR_RETURN(flags, Regex::ParseFlags(*letters));
    if (flags.global && !kUse.global) return absl::InvalidArgumentError("flag g is for regexp_replace alone");
  }
  flags.ignore_case = flags.ignore_case || kUse.no_case;
  auto prepared = std::make_shared<PreparedRegex>();
  TM_ASSIGN_OR_RETURN(prepared->regex, Regex::Compile(*pattern, flags, kUse.extents));
  prepared->global = flags.global;
  return prepared;
}

template <bool kWanted>
absl::StatusOr<Values> Matches(KernelCall& call) {
  const Regex& regex = RegexOf(call);
  return Map<bool, View>(call, [&](Row&, View text) { return regex.Matches(text) == kWanted; });
}

// Where the search goes on behind a match: one character further if it was empty.
size_t Behind(View text, View match) {
  auto end = static_cast<size_t>(match.data() - text.data()) + match.size();
  if (!match.empty()) return end;
  do ++end;
  while (end < text.size() && Continues(text[end]));
  return end;
}

// The n-th match from a character on. False also where the row has failed.
bool FindNth(Row& row, const Regex& regex, View text, int32_t start, int32_t n, int wanted, Regex::Spans* spans) {
  if (start <= 0) return row.Fail(absl::StrCat("invalid value for parameter \"start\": ", start)), false;
  if (n <= 0) return row.Fail(absl::StrCat("invalid value for parameter \"n\": ", n)), false;
  if (start - 1 > CountCharacters(text)) return false;
  for (size_t from = ByteOf(text, start - 1); from <= text.size(); from = Behind(text, (*spans)[0])) {
    if (!regex.Find(text, from, wanted, spans)) return false;
    if (--n == 0) return true;
  }
  return false;
}

// Group `group` of the n-th match, 0 for all of it; NULL where there is none.
View Part(Row& row, const Regex& regex, View text, int32_t start, int32_t n, int32_t group) {
  if (group < 0) return row.Fail(absl::StrCat("invalid value for parameter \"subexpr\": ", group)), View();
  Regex::Spans spans;
  const bool there = group <= regex.groups();
  const bool found = FindNth(row, regex, text, start, n, there ? group + 1 : 1, &spans);
  View part = found && there ? spans[static_cast<size_t>(group)] : View();
  if (part.data() == nullptr) row.Null();
  return part;
}

absl::StatusOr<Values> Substr(KernelCall& call) {
  const Regex& regex = RegexOf(call);
  return Map<View, View>(call, [&](Row& row, View text) { return Part(row, regex, text, 1, 1, 0); });
}
absl::StatusOr<Values> SubstrFrom(KernelCall& call) {
  const Regex& regex = RegexOf(call);
  return Map<View, View, View, int32_t>(
      call, [&](Row& row, View text, View, int32_t start) { return Part(row, regex, text, start, 1, 0); });
}
absl::StatusOr<Values> SubstrNth(KernelCall& call) {
  const Regex& regex = RegexOf(call);
  return Map<View, View, View, int32_t, int32_t>(
      call, [&](Row& row, View text, View, int32_t start, int32_t n) { return Part(row, regex, text, start, n, 0); });
}
absl::StatusOr<Values> SubstrGroup(KernelCall& call) {
  const Regex& regex = RegexOf(call);
  return Map<View, View, View, int32_t, int32_t, View, int32_t>(
      call, [&](Row& row, View text, View, int32_t start, int32_t n, View, int32_t group) {
        return Part(row, regex, text, start, n, group);
      });
}

// substring(text from pattern): the first group, or all of the match where the pattern has none.
absl::StatusOr<Values> Substring(KernelCall& call) {
  const Regex& regex = RegexOf(call);
  const int group = regex.groups() > 0 ? 1 : 0;
  return Map<View, View>(call, [&](Row& row, View text) { return Part(row, regex, text, 1, 1, group); });
}

// (regexp_match(text, pattern))[n]: the n-th group, or all of the match where the pattern has none; NULL beyond.
View Element(Row& row, const Regex& regex, View text, int32_t n) {
  const int32_t last = std::max(regex.groups(), 1);
  if (n < 1 || n > last) return row.Null(), View();
  return Part(row, regex, text, 1, 1, regex.groups() > 0 ? n : 0);
}
absl::StatusOr<Values> MatchElement(KernelCall& call) {
  const Regex& regex = RegexOf(call);
  return Map<View, View, View, int32_t>(
      call, [&](Row& row, View text, View, int32_t n) { return Element(row, regex, text, n); });
}
absl::StatusOr<Values> MatchElementFlags(KernelCall& call) {
  const Regex& regex = RegexOf(call);
  return Map<View, View, View, View, int32_t>(
      call, [&](Row& row, View text, View, View, int32_t n) { return Element(row, regex, text, n); });
}

int32_t Count(Row& row, const Regex& regex, View text, int32_t start) {
  Regex::Spans spans;
  if (!FindNth(row, regex, text, start, 1, 1, &spans)) return 0;
  int32_t count = 1;
  for (size_t from = Behind(text, spans[0]); from <= text.size() && regex.Find(text, from, 1, &spans); ++count) {
    from = Behind(text, spans[0]);
  }
  return count;
}
absl::StatusOr<Values> CountAll(KernelCall& call) {
  const Regex& regex = RegexOf(call);
  return Map<int32_t, View>(call, [&](Row& row, View text) { return Count(row, regex, text, 1); });
}
absl::StatusOr<Values> CountFrom(KernelCall& call) {
  const Regex& regex = RegexOf(call);
  return Map<int32_t, View, View, int32_t>(
      call, [&](Row& row, View text, View, int32_t start) { return Count(row, regex, text, start); });
}

int32_t PositionOf(Row& row, const Regex& regex, View text, int32_t start, int32_t n) {
  Regex::Spans spans;
  if (!FindNth(row, regex, text, start, n, 1, &spans)) return 0;
  const auto at = static_cast<size_t>(spans[0].data() - text.data());
  return static_cast<int32_t>(CountCharacters(text.substr(0, at))) + 1;
}
absl::StatusOr<Values> Instr(KernelCall& call) {
  const Regex& regex = RegexOf(call);
  return Map<int32_t, View>(call, [&](Row& row, View text) { return PositionOf(row, regex, text, 1, 1); });
}
absl::StatusOr<Values> InstrNth(KernelCall& call) {
  const Regex& regex = RegexOf(call);
  return Map<int32_t, View, View, int32_t, int32_t>(call, [&](Row& row, View text, View, int32_t start, int32_t n) {
    return PositionOf(row, regex, text, start, n);
  });
}

// \1 to \9 are groups, \& the match, \\ a backslash; any other backslash stands for itself.
void AppendReplacement(View replacement, const Regex::Spans& spans, int groups, std::string* out) {
  for (size_t i = 0; i < replacement.size(); ++i) {
    const char c = replacement[i], next = i + 1 < replacement.size() ? replacement[i + 1] : '\0';
    if (c != '\\') {
      *out += c;
    } else if (next >= '1' && next <= '9') {
      if (next - '0' <= groups) out->append(spans[static_cast<size_t>(next - '0')]);
      ++i;
    } else if (next == '&') {
      out->append(spans[0]);
      ++i;
    } else {
      *out += '\\';
      if (next == '\\') ++i;
    }
  }
}

absl::StatusOr<Values> RegexReplace(KernelCall& call) {
  const Regex& regex = RegexOf(call);
  const bool global = static_cast<const PreparedRegex*>(call.prepared)->global;
  std::string out;
  return Map<View, View, View, View>(call, [&](Row&, View text, View, View replacement) -> View {
    const bool plain = replacement.find('\\') == View::npos;
    const int wanted = plain ? 1 : regex.groups() + 1;
    Regex::Spans spans;
    if (!regex.Find(text, 0, wanted, &spans)) return text;
    out.clear();
    size_t kept = 0;
    while (true) {
      const auto at = static_cast<size_t>(spans[0].data() - text.data());
      out.append(text, kept, at - kept);
      if (plain) {
        out.append(replacement);
      } else {
        AppendReplacement(replacement, spans, regex.groups(), &out);
      }
      kept = at + spans[0].size();
      const size_t from = Behind(text, spans[0]);
      if (!global || from > text.size() || !regex.Find(text, from, wanted, &spans)) break;
    }
    out.append(text, kept, View::npos);
    return out;
  });
}

}  // namespace

std::vector<Function> RegexFunctions() {
  const Type text{Kind::kString}, integer{Kind::kInt32}, truth{Kind::kBool};
  const Kind s = Kind::kString, i = Kind::kInt32;
  constexpr Use kTest{.extents = false}, kTestNoCase{.extents = false, .no_case = true};
  constexpr Use kFound{}, kReplaced{.flags = 3, .global = true};
  return {
      {"~", {s, s}, truth, Matches<true>, false, nullptr, Prepare<kTest>},
      {"!~", {s, s}, truth, Matches<false>, false, nullptr, Prepare<kTest>},
      {"~*", {s, s}, truth, Matches<true>, false, nullptr, Prepare<kTestNoCase>},
      {"!~*", {s, s}, truth, Matches<false>, false, nullptr, Prepare<kTestNoCase>},
      {"regexp_like", {s, s}, truth, Matches<true>, false, nullptr, Prepare<kTest>},
      {"regexp_like", {s, s, s}, truth, Matches<true>, false, nullptr, Prepare<Use{.flags = 2, .extents = false}>},
      {"regexp_replace", {s, s, s}, text, RegexReplace, false, nullptr, Prepare<kFound>},
      {"regexp_replace", {s, s, s, s}, text, RegexReplace, false, nullptr, Prepare<kReplaced>},
      {"regexp_substr", {s, s}, text, Substr, false, nullptr, Prepare<kFound>, true},
      {"regexp_substr", {s, s, i}, text, SubstrFrom, true, nullptr, Prepare<kFound>, true},
      {"regexp_substr", {s, s, i, i}, text, SubstrNth, true, nullptr, Prepare<kFound>, true},
      {"regexp_substr", {s, s, i, i, s}, text, SubstrNth, true, nullptr, Prepare<Use{.flags = 4}>, true},
      {"regexp_substr", {s, s, i, i, s, i}, text, SubstrGroup, true, nullptr, Prepare<Use{.flags = 4}>, true},
      {"regexp_count", {s, s}, integer, CountAll, false, nullptr, Prepare<kFound>},
      {"regexp_count", {s, s, i}, integer, CountFrom, true, nullptr, Prepare<kFound>},
      {"regexp_count", {s, s, i, s}, integer, CountFrom, true, nullptr, Prepare<Use{.flags = 3}>},
      {"regexp_instr", {s, s}, integer, Instr, false, nullptr, Prepare<kFound>},
      {"regexp_instr", {s, s, i, i}, integer, InstrNth, true, nullptr, Prepare<kFound>},
      {"substring", {s, s}, text, Substring, false, nullptr, Prepare<kFound>, true},
      {"regexp_match[]", {s, s, i}, text, MatchElement, false, nullptr, Prepare<kFound>, true},
      {"regexp_match[]", {s, s, s, i}, text, MatchElementFlags, false, nullptr, Prepare<Use{.flags = 2}>, true},
  };
}

}  // namespace tidemark::internal
