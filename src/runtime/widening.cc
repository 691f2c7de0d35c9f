#include "src/runtime/widening.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/types/span.h>

#include "src/base/schema.h"

namespace tidemark {
namespace {

struct Typed {
  std::string name;
  Type type;
  bool nullable = false;
};

constexpr std::string_view kNull = " null";

// "id int64, price decimal(12,2) null" as columns; a name may have anything in it but the comma and blank in front of
// the next. Nothing: it can't be told for certain.
std::optional<std::vector<Typed>> ParseColumns(std::string_view text) {
  std::vector<Typed> columns;
  while (!text.empty()) {
    const size_t end = text.find(", ");
    std::string_view column = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 2);
    Typed typed;
    typed.nullable = column.ends_with(kNull);
    if (typed.nullable) column.remove_suffix(kNull.size());
    const size_t blank = column.rfind(' ');
    if (blank == std::string_view::npos) return std::nullopt;
    const std::optional<Type> type = ParseType(column.substr(blank + 1));
    if (!type) return std::nullopt;
    typed.name = column.substr(0, blank);
    typed.type = *type;
    columns.push_back(std::move(typed));
  }
  return columns;
}

bool HoldsAll(const Type& is, const Type& was, bool integers) {
  if (is == was) return true;
  if (is.kind == Kind::kDecimal) {
    return was.kind == Kind::kDecimal && is.scale == was.scale && is.precision >= was.precision;
  }
  return integers && is.kind == Kind::kInt64 && was.kind == Kind::kInt32;
}

struct Allowed {
  bool integers = false;  // int32 becomes int64
  bool nulls = false;     // what was never NULL may be
};

bool AreWidened(std::string_view was_text, std::string_view is_text, Allowed allowed) {
  if (was_text == is_text) return true;
  const auto was = ParseColumns(was_text), is = ParseColumns(is_text);
  if (!was || !is || was->size() != is->size()) return false;
  for (size_t c = 0; c < is->size(); ++c) {
    const Typed& before = (*was)[c];
    const Typed& now = (*is)[c];
    if (before.name != now.name || !HoldsAll(now.type, before.type, allowed.integers)) return false;
    if (before.nullable != now.nullable && (before.nullable || !allowed.nulls)) return false;
  }
  return true;
}

// "window 3600us by [id int64]: count(*);" in three parts.
struct Parts {
  std::string_view head, keys, tail;
};

std::optional<Parts> Split(std::string_view fingerprint) {
  const size_t begin = fingerprint.find('['), end = fingerprint.find(']');
  if (begin == std::string_view::npos || end == std::string_view::npos || end < begin) return std::nullopt;
  return Parts{fingerprint.substr(0, begin), fingerprint.substr(begin + 1, end - begin - 1), fingerprint.substr(end)};
}

// "]: count(*); sum(cents);": all of them keep numbers of one width whatever they are given.
bool OnlyAddsUp(std::string_view aggregates) {
  constexpr std::string_view kBegin = "]:";
  if (!aggregates.starts_with(kBegin) || aggregates.find(" of changes") != std::string_view::npos) return false;
  aggregates.remove_prefix(kBegin.size());
  while (!aggregates.empty()) {
    if (!aggregates.starts_with(' ')) return false;
    aggregates.remove_prefix(1);
    const bool adds =
        aggregates.starts_with("count(*)") || aggregates.starts_with("sum(") || aggregates.starts_with("avg(");
    const size_t end = aggregates.find(';');
    if (!adds || end == std::string_view::npos) return false;
    const std::string_view one = aggregates.substr(0, end);
    // A second aggregate of another kind in one expression, a DISTINCT, a cast to a width: not looked into.
    if (std::count(one.begin(), one.end(), '(') != 1) return false;
    if (one.find(' ') != std::string_view::npos) return false;
    aggregates.remove_prefix(end + 1);
  }
  return true;
}

// "top 3 by [id int32] of id int32, n int64 as it stands": what keeps rows whole, up to what says which.
constexpr std::string_view kOfRows[] = {"top ", "alert ", "over ", "dedup keep last by "};
// "stream join inner by [id int32] and [id int32] of [...] and [...]": of two inputs; all columns stand in brackets.
constexpr std::string_view kOfTwo[] = {"stream join ", "table join ", "versioned join "};
// What follows the columns of those, if anything does.
constexpr std::string_view kBehindRows[] = {" as it stands, ", " as they stand, ", " in order ", ":"};

bool StartsWithAny(std::string_view text, absl::Span<const std::string_view> heads) {
  return std::any_of(heads.begin(), heads.end(), [&](std::string_view head) { return text.starts_with(head); });
}

bool IsIntegerKey(std::string_view keys) {
  const auto columns = ParseColumns(keys);
  return columns && columns->size() == 1 && !(*columns)[0].nullable &&
         ((*columns)[0].type.kind == Kind::kInt32 || (*columns)[0].type.kind == Kind::kInt64);
}

bool IsWidenedOfTwo(std::string_view was, std::string_view is) {
  for (auto before = Split(was), now = Split(is); before || now; before = Split(was), now = Split(is)) {
    if (!before || !now || before->head != now->head) return false;
    if (!AreWidened(before->keys, now->keys, {.nulls = true})) return false;
    was = before->tail.substr(1);
    is = now->tail.substr(1);
  }
  return was == is;
}

// "] of id int32, n int64 as it stands" in columns and what follows them.
std::optional<std::pair<std::string_view, std::string_view>> RowsIn(std::string_view tail) {
  constexpr std::string_view kOf = "] of ";
  if (!tail.starts_with(kOf)) return std::nullopt;
  tail.remove_prefix(kOf.size());
  size_t end = tail.size();
  for (const std::string_view behind : kBehindRows) end = std::min(end, tail.find(behind));
  return std::pair(tail.substr(0, end), tail.substr(end));
}

bool IsWidenedOfRows(const Parts& before, const Parts& now) {
  const auto was = RowsIn(before.tail), is = RowsIn(now.tail);
  const bool remembered = before.head.starts_with("dedup ") && IsIntegerKey(before.keys);
  return was && is && before.head == now.head && was->second == is->second &&
         AreWidened(before.keys, now.keys, {.nulls = !remembered}) &&
         AreWidened(was->first, is->first, {.nulls = true});
}

// What a step reads that lay otherwise before, and leaves as no former version would find it. Groups that were kept for
// each window are panes of one window each; complete lists of top that lay by number lie by key; those that change may
// leave memory for runs; rows of top over updates, of which no order was asked, lie in theirs; what alerts keep lies by
// key.
struct Way {
  std::string_view head, end;
  std::string_view begin = "";  // of that end, where it isn't the same for all: there it occurs last
};
constexpr Way kWays[] = {{"window ", " in panes"},
                         {"top ", " by key"},
                         {"top ", " in runs"},
                         {"top ", " by rank", " in order "},
                         {"alert ", " by key"}};

// The end of the fingerprint that says so; empty: none.
std::string_view WayOf(std::string_view fingerprint) {
  for (const Way& way : kWays) {
    if (!fingerprint.starts_with(way.head) || !fingerprint.ends_with(way.end)) continue;
    if (way.begin.empty()) return way.end;
    const size_t begin = fingerprint.rfind(way.begin);
    if (begin != std::string_view::npos) return fingerprint.substr(begin);
  }
  return {};
}

std::string_view WithoutWay(std::string_view fingerprint) {
  fingerprint.remove_suffix(WayOf(fingerprint).size());
  return fingerprint;
}

}  // namespace

bool LiesInANewWay(std::string_view was, std::string_view is) { return was != is && was == WithoutWay(is); }

bool IsWidened(const packed::StepIdentity& was, const packed::StepIdentity& is) {
  const std::string_view way = WayOf(was.fingerprint());
  if (!way.empty() && way != WayOf(is.fingerprint())) return false;  // there is no way back
  const std::string_view was_text = WithoutWay(was.fingerprint()), is_text = WithoutWay(is.fingerprint());
  if (StartsWithAny(was_text, kOfTwo)) return was.columns() == is.columns() && IsWidenedOfTwo(was_text, is_text);
  const auto before = Split(was_text), now = Split(is_text);
  if (!before || !now || before->head != now->head) return false;
  if (StartsWithAny(was_text, kOfRows)) return was.columns() == is.columns() && IsWidenedOfRows(*before, *now);
  if (before->tail != now->tail) return false;
  if (before->head == "dedup by ") {
    return before->tail == "]" && was.columns() == is.columns() &&
           AreWidened(before->keys, now->keys, {.integers = true, .nulls = !IsIntegerKey(before->keys)});
  }
  if (!before->head.starts_with("window ") && !before->head.starts_with("sessions ")) return false;
  return AreWidened(before->keys, now->keys, {.integers = true, .nulls = true}) &&
         AreWidened(was.columns(), is.columns(), {.integers = OnlyAddsUp(before->tail)});
}

}  // namespace tidemark
