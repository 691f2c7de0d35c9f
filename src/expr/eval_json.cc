// JSON: what is taken out of it, and made into it. Its text is valid, as every json value has been looked at when it
// was made; a part of it is the text that stands there.
#include <algorithm>
#include <cmath>
#include <iterator>

#include <absl/strings/str_cat.h>

#include "src/base/json_text.h"
#include "src/base/value_text.h"
#include "src/expr/calendar.h"
#include "src/expr/decimal.h"
#include "src/expr/kernel.h"
#include "src/expr/kernels.h"
#include "src/expr/text_form.h"

namespace tidemark::internal {
namespace {

using View = std::string_view;

// The text of the value that begins next.
View TakeValue(JsonText* json) {
  json->Peek();
  const char* const begin = json->position();
  json->SkipValue(0);
  return {begin, static_cast<size_t>(json->position() - begin)};
}

View Trimmed(View text) {
  JsonText json(text);
  return TakeValue(&json);
}

// Finds members and elements; keeps the memory that names with escapes need.
class JsonFinder {
 public:
  // Of several members of one name the last one counts. data() is null where there is none.
  View Member(View text, View name) {
    JsonText json(text);
    View found;
    json.Peek();
    if (!json.Take('{') || json.Take('}')) return found;
    do {
      ScalarText member;
      json.Peek();
      if (!json.ReadPlain(&member, &scratch_)) return {};
      json.Take(':');
      const bool same = member.text == name;
      View value = TakeValue(&json);
      if (same) found = value;
    } while (json.Take(','));
    return found;
  }

  // Counted from the end where negative.
  View Element(View text, int64_t index) {
    if (index < 0) index += Length(text);
    if (index < 0) return {};
    JsonText json(text);
    json.Peek();
    if (!json.Take('[') || json.Take(']')) return {};
    do {
      View value = TakeValue(&json);
      if (index-- == 0) return value;
    } while (json.Take(','));
    return {};
  }

  // Of an array; 0 for anything else.
  static int64_t Length(View text) {
    JsonText json(text);
    json.Peek();
    if (!json.Take('[') || json.Take(']')) return 0;
    int64_t length = 0;
    do {
      TakeValue(&json);
      ++length;
    } while (json.Take(','));
    return length;
  }

  // A step of a path: a member of an object, an element of an array.
  View Step(View text, View step) {
    if (!text.starts_with('[')) return Member(text, step);
    int64_t index = 0;
    if (ParseInt64(step, &index) != Fit::kOk) return {};
    return Element(text, index);
  }

  // The value as text: strings without quotes and escapes, everything else as it stands; data() is null for null.
  View AsText(View value) {
    if (value == "null") return {};
    if (!value.starts_with('"')) return value;
    JsonText json(value);
    ScalarText plain;
    json.ReadPlain(&plain, &scratch_);
    return plain.text.empty() ? View("") : plain.text;
  }

 private:
  std::string scratch_;
};

template <bool kAsText, bool kOneStep>
absl::StatusOr<Values> Path(KernelCall& call) {
  const bool constant = AllConstant(call.args);
  const int64_t rows = constant ? 1 : call.frame.rows();
  Reader<View> in(call.args[0]);
  // Of a step one of the two is there.
  std::vector<Reader<View>> names;
  std::vector<Reader<int32_t>> indexes;
  std::vector<Validity> valid(call.args.begin(), call.args.end());
  for (size_t i = 1; i < call.args.size(); ++i) {
    const bool index = call.types[i].kind == Kind::kInt32;
    names.emplace_back(call.args[index ? 0 : i]);
    indexes.emplace_back(call.args[index ? i : 0]);
  }
  Writer<View> out;
  TM_RETURN_IF_ERROR(out.Open(call.type, rows));
  JsonFinder finder;
  for (int64_t row = 0; row < rows; ++row) {
    View value = valid[0][row] ? Trimmed(in[row]) : View();
    for (size_t i = 1; i < call.args.size() && value.data() != nullptr; ++i) {
      if (!valid[i][row]) {
        value = {};
      } else if (call.types[i].kind == Kind::kInt32) {
        value = finder.Element(value, indexes[i - 1][row]);
      } else if (kOneStep) {
        value = finder.Member(value, names[i - 1][row]);
      } else {
        value = finder.Step(value, names[i - 1][row]);
      }
    }
    if (kAsText && value.data() != nullptr) value = finder.AsText(value);
    if (value.data() == nullptr) {
      out.SetNull(row);
    } else {
      out.Set(row, value);
    }
  }
  return out.Finish(constant);
}

absl::StatusOr<Values> TypeOfJson(KernelCall& call) {
  return Map<View, View>(call, [](Row&, View text) -> View {
    switch (JsonText(text).Peek()) {
      case '{':
        return "object";
      case '[':
        return "array";
      case '"':
        return "string";
      case 't':
      case 'f':
        return "boolean";
      case 'n':
        return "null";
      default:
        return "number";
    }
  });
}

absl::StatusOr<Values> ArrayLength(KernelCall& call) {
  return Map<int32_t, View>(call, [](Row& row, View text) -> int32_t {
    const char first = JsonText(text).Peek();
    if (first == '{') return row.Fail("cannot get array length of a non-array"), 0;
    if (first != '[') return row.Fail("cannot get array length of a scalar"), 0;
    return static_cast<int32_t>(JsonFinder::Length(text));
  });
}

absl::StatusOr<Values> HasKey(KernelCall& call) {
  JsonFinder finder;
  return Map<bool, View, View>(call, [&](Row&, View text, View name) {
    text = Trimmed(text);
    if (text.starts_with('[')) {
      // An array has the strings that are its elements.
      JsonText json(text);
      json.Take('[');
      if (json.Take(']')) return false;
      do {
        View value = TakeValue(&json);
        if (value.starts_with('"') && finder.AsText(value) == name) return true;
      } while (json.Take(','));
      return false;
    }
    return text.starts_with('"') ? finder.AsText(text) == name : finder.Member(text, name).data() != nullptr;
  });
}

// Values that stand between quotes: the text that a cast would make, times in ISO 8601.
template <typename T, auto kAppend>
absl::StatusOr<Values> QuotedToJson(KernelCall& call) {
  std::string text, out;
  return Map<View, T>(call, [&](Row&, T value) -> View {
    text.clear();
    kAppend(value, &text);
    out.clear();
    AppendJsonString(text, &out);
    return out;
  });
}

template <typename T>
absl::StatusOr<Values> NumberToJson(KernelCall& call) {
  const int scale = call.types[0].scale;
  std::string out;
  return Map<View, T>(call, [&](Row&, T value) -> View {
    out.clear();
    if constexpr (std::is_same_v<T, double>) {
      // JSON has no number for these.
      if (!std::isfinite(value)) out += '"';
      AppendDouble(value, &out);
      if (!std::isfinite(value)) out += '"';
    } else if constexpr (std::is_same_v<T, Int128>) {
      AppendDecimal(value, scale, &out);
    } else {
      AppendDecimal(value, 0, &out);
    }
    return out;
  });
}

void AppendSelf(View text, std::string* out) { out->append(text); }

// ISO 8601; a local time has no offset.
absl::StatusOr<Values> TimestampToJson(KernelCall& call) {
  const bool local = IsLocal(call.types[0]);
  std::string out;
  return Map<View, int64_t>(call, [&](Row&, int64_t us) -> View {
    out.assign(1, '"');
    AppendTimestamp(us, &out);
    out[out.find(' ')] = 'T';
    // Behind the offset there may be a BC.
    out.replace(out.rfind("+00"), 3, local ? "" : "+00:00");
    out += '"';
    return out;
  });
}

absl::StatusOr<Values> BoolToJson(KernelCall& call) {
  return Map<View, bool>(call, [](Row&, bool value) { return View(value ? "true" : "false"); });
}

template <bool kObject>
absl::StatusOr<Values> Build(KernelCall& call) {
  const bool constant = AllConstant(call.args);
  const int64_t rows = constant ? 1 : call.frame.rows();
  std::vector<Reader<View>> in(call.args.begin(), call.args.end());
  std::vector<Validity> valid(call.args.begin(), call.args.end());
  Writer<View> out;
  TM_RETURN_IF_ERROR(out.Open(call.type, rows));
  std::string text;
  for (int64_t row = 0; row < rows; ++row) {
    text.assign(1, kObject ? '{' : '[');
    for (size_t i = 0; i < in.size(); ++i) {
      const bool name = kObject && i % 2 == 0;
      if (i > 0) text.append(kObject && !name ? " : " : ", ");
      if (name) {
        AppendJsonString(in[i][row], &text);
      } else {
        text.append(valid[i][row] ? in[i][row] : View("null"));
      }
    }
    text += kObject ? '}' : ']';
    out.Set(row, text);
  }
  return out.Finish(constant);
}

}  // namespace

Kernel JsonPathKernel(bool as_text, bool one_step) {
  if (one_step) return as_text ? Path<true, true> : Path<false, true>;
  return as_text ? Path<true, false> : Path<false, false>;
}
Kernel JsonBuildKernel(bool object) { return object ? Build<true> : Build<false>; }

Kernel ToJsonKernel(Kind kind) {
  switch (kind) {
    case Kind::kBool:
      return BoolToJson;
    case Kind::kInt32:
      return NumberToJson<int32_t>;
    case Kind::kInt64:
      return NumberToJson<int64_t>;
    case Kind::kDouble:
      return NumberToJson<double>;
    case Kind::kDecimal:
      return NumberToJson<Int128>;
    case Kind::kString:
      return QuotedToJson<View, AppendSelf>;
    case Kind::kBytes:
      return QuotedToJson<View, AppendBytes>;
    case Kind::kDate:
      return QuotedToJson<int32_t, AppendDate>;
    case Kind::kTimestamp:
      return TimestampToJson;
    case Kind::kJson:
      return nullptr;
  }
  return nullptr;
}

// '{a, "b c", 0}': PostgreSQL's text of an array, of one dimension and without NULL.
std::optional<std::vector<std::string>> ParseJsonPath(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\n'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  if (text.size() < 2 || text.front() != '{' || text.back() != '}') return std::nullopt;
  text = text.substr(1, text.size() - 2);
  std::vector<std::string> steps;
  if (std::all_of(text.begin(), text.end(), blank)) return steps;
  size_t at = 0;
  while (true) {
    while (at < text.size() && blank(text[at])) ++at;
    std::string step;
    const bool quoted = at < text.size() && text[at] == '"';
    if (quoted) ++at;
    while (at < text.size() && (quoted ? text[at] != '"' : text[at] != ',')) {
      if (!quoted && (text[at] == '{' || text[at] == '}' || text[at] == '"')) return std::nullopt;
      if (text[at] == '\\' && ++at >= text.size()) return std::nullopt;
      step += text[at++];
    }
    if (quoted && at++ >= text.size()) return std::nullopt;
    while (!quoted && !step.empty() && blank(step.back())) step.pop_back();
    if (!quoted && step.empty()) return std::nullopt;
    steps.push_back(std::move(step));
    while (at < text.size() && blank(text[at])) ++at;
    if (at >= text.size()) return steps;
    if (text[at++] != ',') return std::nullopt;
  }
}

std::vector<Function> JsonFunctions() {
  const Type text{Kind::kString}, integer{Kind::kInt32}, truth{Kind::kBool};
  const Kind j = Kind::kJson, s = Kind::kString;
  return {
      {"json_typeof", {j}, text, TypeOfJson},
      {"jsonb_typeof", {j}, text, TypeOfJson},
      {"json_array_length", {j}, integer, ArrayLength, true},
      {"jsonb_array_length", {j}, integer, ArrayLength, true},
      {"jsonb_exists", {j, s}, truth, HasKey},
      {"?", {j, s}, truth, HasKey},
  };
}

}  // namespace tidemark::internal
