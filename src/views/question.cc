#include "src/views/question.h"

#include <algorithm>
#include <utility>

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/strings/string_view.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/utf8.h>

#include "src/base/json_text.h"
#include "src/base/status.h"
#include "src/base/suggest.h"
#include "src/base/time.h"
#include "src/codec/column_builder.h"
#include "src/plan/operator_kind.h"

namespace tidemark {
namespace {

constexpr int64_t kLongestWaitMs = 30'000;
constexpr size_t kMostValues = 1'000;  // of one column
constexpr size_t kLongestText = 64 << 10;

// What isn't a column; in JSON columns of these names are named below "filter".
constexpr std::string_view kWords[] = {"where", "order", "columns", "limit", "after", "min_position", "max_wait_ms"};

bool IsWord(std::string_view name) { return std::find(std::begin(kWords), std::end(kWords), name) != std::end(kWords); }

absl::Status Wrong(const std::string& what) { return absl::InvalidArgumentError(what); }

absl::string_view Absl(std::string_view text) { return {text.data(), text.size()}; }

// Gathers a question word by word; both forms end here.
class Asker {
 public:
  explicit Asker(const Schema& schema) : schema_(schema) {}

  absl::StatusOr<size_t> Column(std::string_view name) const {
    if (const auto at = schema_.Find(name)) return *at;
    return Wrong(absl::StrCat("unknown column '", Absl(name), "'", DidYouMean(name, schema_.Names())));
  }

  // One that values are compared with.
  absl::StatusOr<ViewCondition*> Condition(std::string_view name) {
    TM_ASSIGN_OR_RETURN(const size_t column, Column(name));
    if (schema_[column].type.kind == Kind::kJson) {
      return Wrong(absl::StrCat("column ", Absl(name), kJsonHasNoOrder));
    }
    for (ViewCondition& condition : out_.conditions) {
      if (condition.column == column) return &condition;
    }
    out_.conditions.emplace_back().column = column;
    return &out_.conditions.back();
  }

  absl::Status Equal(std::string_view name, const ScalarText& value) {
    TM_ASSIGN_OR_RETURN(ViewCondition* const condition, Condition(name));
    if (condition->low || condition->high) return Both(name);
    TM_ASSIGN_OR_RETURN(std::string cell, CellOf(schema_[condition->column], value));
    condition->equal.push_back(std::move(cell));
    if (condition->equal.size() <= kMostValues) return absl::OkStatus();
    return Wrong(absl::StrCat("column ", Absl(name), ": at most ", kMostValues, " values can be asked for at once"));
  }

  // `bound`: from, to, after, before.
  absl::Status Bound(std::string_view name, std::string_view bound, const ScalarText& value) {
    TM_ASSIGN_OR_RETURN(ViewCondition* const condition, Condition(name));
    if (!condition->equal.empty()) return Both(name);
    if (value.kind == ScalarText::Kind::kNull) {
      return Wrong(absl::StrCat("column ", Absl(name), ": a range has no bound that is null"));
    }
    const bool low = bound == "from" || bound == "after", inclusive = bound == "from" || bound == "to";
    if (!low && bound != "to" && bound != "before") {
      return Wrong(absl::StrCat("column ", Absl(name), ": unknown bound '", Absl(bound), "'",
                                DidYouMean(bound, {"from", "after", "to", "before"}),
                                "; from and to are part of the range, after and before aren't"));
    }
    std::optional<ViewCondition::Bound>& side = low ? condition->low : condition->high;
    if (side) return Wrong(absl::StrCat("column ", Absl(name), " has two ", low ? "lower" : "upper", " bounds"));
    TM_ASSIGN_OR_RETURN(std::string cell, CellOf(schema_[condition->column], value));
    side = ViewCondition::Bound{std::move(cell), inclusive};
    return absl::OkStatus();
  }

  absl::Status Where(std::string_view sql) {
    if (out_.where) return Wrong("where stands here twice");
    if (sql.size() > kLongestText) return Wrong(absl::StrCat("where has more than ", kLongestText, " bytes"));
    absl::StatusOr<Expression> compiled = Expression::Compile(sql, schema_);
    if (!compiled.ok()) {
      const std::optional<int> at = ErrorPosition(compiled.status());
      return Wrong(
          absl::StrCat("where", at ? absl::StrCat(", at byte ", *at + 1) : "", ": ", compiled.status().message()));
    }
    if (compiled->type().kind != Kind::kBool) {
      return Wrong(absl::StrCat("where is ", TypeName(compiled->type()), ", a condition is bool"));
    }
    out_.where = *std::move(compiled);
    out_.where_text = std::string(sql);
    return absl::OkStatus();
  }

  // "date", "date desc".
  absl::Status Order(std::string_view text) {
    absl::string_view word = absl::StripAsciiWhitespace(Absl(text));
    ViewOrder order;
    if (!schema_.Find(std::string_view(word.data(), word.size()))) {
      if (absl::EndsWithIgnoreCase(word, " desc")) {
        order.descending = true;
        word.remove_suffix(5);
      } else if (absl::EndsWithIgnoreCase(word, " asc")) {
        word.remove_suffix(4);
      }
      word = absl::StripAsciiWhitespace(word);
    }
    const std::string_view name(word.data(), word.size());
    TM_ASSIGN_OR_RETURN(order.column, Column(name));
    if (schema_[order.column].type.kind == Kind::kJson) {
      return Wrong(absl::StrCat("column ", word, kJsonHasNoOrder));
    }
    for (const ViewOrder& before : out_.order) {
      if (before.column == order.column) return Wrong(absl::StrCat("order has column ", word, " twice"));
    }
    out_.order.push_back(order);
    return absl::OkStatus();
  }

  absl::Status Tell(std::string_view name) {
    TM_ASSIGN_OR_RETURN(const size_t column, Column(name));
    if (std::find(out_.columns.begin(), out_.columns.end(), column) != out_.columns.end()) {
      return Wrong(absl::StrCat("columns has ", Absl(name), " twice"));
    }
    out_.columns.push_back(column);
    return absl::OkStatus();
  }

  absl::Status Number(std::string_view word, std::string_view text) {
    int64_t number = 0;
    const auto between = [&](int64_t least, int64_t most) {
      if (absl::SimpleAtoi(Absl(text), &number) && number >= least && number <= most) return absl::OkStatus();
      return Wrong(absl::StrCat(Absl(word), ": expected a whole number from ", least, " to ", most));
    };
    if (word == "limit") {
      TM_RETURN_IF_ERROR(between(1, ViewQuestion::kMostRows));
      out_.limit = number;
    } else if (word == "max_wait_ms") {
      TM_RETURN_IF_ERROR(between(0, kLongestWaitMs));
      out_.max_wait_us = number * kMillisecond;
    } else {
      TM_RETURN_IF_ERROR(between(0, std::numeric_limits<int64_t>::max()));
      out_.min_position = number;
    }
    return absl::OkStatus();
  }

  void After(std::string_view cursor) { out_.after = std::string(cursor); }

  ViewQuestion Take() {
    for (ViewCondition& condition : out_.conditions) {
      std::sort(condition.equal.begin(), condition.equal.end());
      condition.equal.erase(std::unique(condition.equal.begin(), condition.equal.end()), condition.equal.end());
    }
    return std::move(out_);
  }

  const Schema& schema() const { return schema_; }

 private:
  static constexpr char kJsonHasNoOrder[] =
      " is json, which has no equality and no order; ask with where, as in \"(column ->> 'field') = 'x'\"";

  static absl::Status Both(std::string_view name) {
    return Wrong(absl::StrCat("column ", Absl(name), " has values and a range: state one of them"));
  }

  const Schema& schema_;
  ViewQuestion out_;
};

// A POST's body.
class JsonQuestion {
 public:
  JsonQuestion(std::string_view body, const Schema& schema) : json_(body), asker_(schema) {}

  absl::StatusOr<ViewQuestion> Read() {
    arrow::util::InitializeUTF8();
    TM_RETURN_IF_ERROR(Members([this](const std::string& name) {
      if (name == "filter") return Members([this](const std::string& column) { return Filter(column); });
      return IsWord(name) ? Word(name) : Filter(name);
    }));
    if (!json_.AtEnd()) return Wrong("something stands behind the object");
    return asker_.Take();
  }

 private:
  absl::Status Malformed(const char* what) { return Wrong(json_.failed() ? json_.Reason() : what); }

  template <typename Each>
  absl::Status Members(const Each& each) {
    if (!json_.Take('{')) return Malformed("a JSON object is expected");
    if (json_.Take('}')) return absl::OkStatus();
    do {
      ScalarText name;
      std::string scratch;
      if (json_.Peek() != '"' || !json_.ReadPlain(&name, &scratch)) return Malformed("expected a name in quotes");
      const std::string own(name.text);
      if (!json_.Take(':')) return Malformed("expected ':' behind a name");
      TM_RETURN_IF_ERROR(each(own));
    } while (json_.Take(','));
    return json_.Take('}') ? absl::OkStatus() : Malformed("expected ',' or '}'");
  }

  // A value, or a list of them.
  template <typename Each>
  absl::Status Items(const Each& each) {
    if (!json_.Take('[')) return Plain(each);
    if (json_.Take(']')) return Wrong("a list is empty, and nothing would be found");
    do {
      TM_RETURN_IF_ERROR(Plain(each));
    } while (json_.Take(','));
    return json_.Take(']') ? absl::OkStatus() : Malformed("expected ',' or ']'");
  }

  template <typename Each>
  absl::Status Plain(const Each& each) {
    const char next = json_.Peek();
    if (next == '{' || next == '[') return Wrong("a plain value is expected, found an object or a list");
    ScalarText value;
    std::string scratch;
    if (!json_.ReadPlain(&value, &scratch)) return Malformed("malformed JSON");
    return each(value);
  }

  absl::Status Filter(const std::string& column) {
    if (json_.Peek() != '{') {
      return Items([&](const ScalarText& value) { return asker_.Equal(column, value); });
    }
    TM_RETURN_IF_ERROR(asker_.Column(column).status());
    return Members([&](const std::string& bound) {
      return Plain([&](const ScalarText& value) { return asker_.Bound(column, bound, value); });
    });
  }

  absl::Status Word(const std::string& word) {
    const auto text = [&](const auto& take) {
      return [&word, take](const ScalarText& value) {
        return value.kind == ScalarText::Kind::kString ? take(value.text)
                                                       : Wrong(absl::StrCat(word, ": a string is expected"));
      };
    };
    if (word == "where") return Plain(text([this](std::string_view sql) { return asker_.Where(sql); }));
    if (word == "order") return Items(text([this](std::string_view item) { return asker_.Order(item); }));
    if (word == "columns") return Items(text([this](std::string_view name) { return asker_.Tell(name); }));
    if (word == "after") {
      return Plain(text([this](std::string_view cursor) {
        asker_.After(cursor);
        return absl::OkStatus();
      }));
    }
    return Plain([&](const ScalarText& value) {
      return asker_.Number(word, value.kind == ScalarText::Kind::kNumber ? value.text : "");
    });
  }

  JsonText json_;
  Asker asker_;
};

// Text as the value it would be in JSON, or a time in RFC 3339 whatever form the column has.
absl::StatusOr<std::string> Encoded(const Type& type, const ScalarText& value, Fit* fit) {
  ColumnBuilder builder(type, true);
  builder.Start(1);
  if (value.kind == ScalarText::Kind::kNull) {
    builder.SetNull(0);
  } else {
    *fit = builder.Set(0, value);
  }
  if (*fit != Fit::kOk) return "";
  const auto array = builder.Finish(1);
  const auto batch = arrow::RecordBatch::Make(arrow::schema({arrow::field("value", array->type())}), 1, {array});
  EncodedKeys out;
  TM_RETURN_IF_ERROR(RowCodec::Key({{.column = 0, .type = type}}).Encode(*batch, &out));
  return std::string(out[0]);
}

}  // namespace

absl::StatusOr<std::string> CellOf(const Column& column, const ScalarText& value) {
  Fit fit = Fit::kOk;
  TM_ASSIGN_OR_RETURN(std::string cell, Encoded(column.type, value, &fit));
  if (fit != Fit::kOk && column.type.kind == Kind::kTimestamp && value.kind == ScalarText::Kind::kString) {
    Fit as_text = Fit::kOk;
    TM_ASSIGN_OR_RETURN(cell, Encoded({Kind::kTimestamp}, value, &as_text));
    if (as_text == Fit::kOk) return cell;
  }
  if (fit == Fit::kOk) return cell;
  return Wrong(absl::StrCat("column ", column.name, ": ", Describe(fit, column.type, value)));
}

bool ViewCondition::Holds(std::string_view cell) const {
  if (!range()) return std::binary_search(equal.begin(), equal.end(), cell);
  if (cell.empty() || cell[0] != 1) return false;  // NULL is in no range
  if (low && (low->inclusive ? cell < low->cell : cell <= low->cell)) return false;
  return !high || (high->inclusive ? cell <= high->cell : cell < high->cell);
}

absl::StatusOr<ViewQuestion> QuestionOfParameters(const std::vector<std::pair<std::string, std::string>>& parameters,
                                                  const Schema& schema) {
  Asker asker(schema);
  for (const auto& [name, value] : parameters) {
    if (name == "where") {
      TM_RETURN_IF_ERROR(asker.Where(value));
    } else if (name == "order" || name == "columns") {
      for (const absl::string_view item : absl::StrSplit(value, ',')) {
        const std::string_view text(item.data(), item.size());
        TM_RETURN_IF_ERROR(name == "order" ? asker.Order(text) : asker.Tell(text));
      }
    } else if (name == "after") {
      asker.After(value);
    } else if (IsWord(name)) {
      TM_RETURN_IF_ERROR(asker.Number(name, value));
    } else {
      // "date.from"; a column may have a point in its name.
      const size_t point = name.rfind('.');
      const bool bound = !schema.Find(name) && point != std::string::npos && schema.Find(name.substr(0, point));
      const std::string column = bound ? name.substr(0, point) : name;
      TM_ASSIGN_OR_RETURN(const size_t at, asker.Column(column));
      const Type& type = schema[at].type;
      ScalarText text = FromPlainText(type, value);
      // A number of milliseconds, or the time as it is written.
      if (type.kind == Kind::kTimestamp && !IsJsonNumber(value)) text = {ScalarText::Kind::kString, value, {}};
      TM_RETURN_IF_ERROR(bound ? asker.Bound(column, name.substr(point + 1), text) : asker.Equal(column, text));
    }
  }
  return asker.Take();
}

absl::StatusOr<ViewQuestion> QuestionOfJson(std::string_view body, const Schema& schema) {
  return JsonQuestion(body, schema).Read();
}

}  // namespace tidemark
