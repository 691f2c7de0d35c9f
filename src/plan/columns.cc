#include "src/plan/columns.h"

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

#include "src/base/suggest.h"
#include "src/base/timestamp_format.h"
#include "src/base/value_text.h"

namespace tidemark {
namespace {

const std::vector<std::string>& TypeNames() {
  static const auto& names = *new std::vector<std::string>{
      "bool",          "int32",     "int64",       "double",       "string",       "bytes", "date",
      "decimal(10,2)", "timestamp", "timestamp_s", "timestamp_ms", "timestamp_us", "json"};
  return names;
}

std::optional<std::vector<std::string>> ParsePath(const std::string& path) {
  std::vector<std::string> parts = absl::StrSplit(path, '.');
  if (std::any_of(parts.begin(), parts.end(), [](const std::string& p) { return p.empty(); })) return std::nullopt;
  return parts;
}

// Where a column comes from, if not from the value.
void CheckFrom(const topology::Column& yaml, const FormatSyntax* format, const std::string& path, bool table,
               Diagnostics* diagnostics, SourceColumn* column) {
  const std::string& from = yaml.from();
  const std::string at = path + "/from";
  const Kind kind = column->column.type.kind;
  const auto expect = [&](bool fits, const char* types) {
    if (!fits) {
      diagnostics->Error(path + "/type",
                         absl::StrCat("a column from: ", from, " is ", types, ", not ", TypeName(column->column.type)));
    }
  };
  if (yaml.has_path()) diagnostics->Error(path + "/path", "a column has either 'path' or 'from'");
  const std::string beside = format != nullptr && !table ? format->Beside() : "";
  if (from == "key" && format != nullptr && format->tells_changes() && !table) {
    diagnostics->Error(at, "the key's columns stand in the row: they are named in the source's `key`");
  } else if (from == "key") {
    column->from = SourceColumn::From::kKey;
  } else if (const auto names = ParsePath(from); !beside.empty() && names && format->HasBeside(*names)) {
    column->from = SourceColumn::From::kBeside;
    column->path = *names;
  } else if (from == "value" && !table) {
    column->from = SourceColumn::From::kRaw;
    expect(kind == Kind::kString || kind == Kind::kBytes, "string or bytes: the record's value as it is");
  } else if (table) {
    diagnostics->Error(at, absl::StrCat("a table's columns come from the value or `from: key`, not '", from, "'"));
  } else if (absl::StartsWith(from, "header:") && from.size() > 7) {
    column->from = SourceColumn::From::kHeader;
    column->header = from.substr(7);
  } else if (from == "topic") {
    column->from = SourceColumn::From::kTopic;
    expect(kind == Kind::kString, "string");
  } else if (from == "partition") {
    column->from = SourceColumn::From::kPartition;
    expect(kind == Kind::kInt32 || kind == Kind::kInt64, "int32 or int64");
  } else if (from == "offset") {
    column->from = SourceColumn::From::kOffset;
    expect(kind == Kind::kInt64, "int64");
  } else if (from == "timestamp") {
    column->from = SourceColumn::From::kTimestamp;
    expect(kind == Kind::kTimestamp, "a timestamp");
  } else {
    std::string meant = DidYouMean(from, {"key", "value", "header:NAME", "topic", "partition", "offset", "timestamp"});
    if (!beside.empty()) absl::StrAppend(&meant, "; format ", std::string(format->name()), " has also ", beside);
    diagnostics->Error(at, absl::StrCat("unknown origin '", from, "'", meant));
  }
}

// What a type of other systems is called here; the names of all where none comes near.
std::string TypeMeant(const std::string& name) {
  static const std::map<std::string, std::string> kElsewhere = {
      {"int", "int32 or int64"},  {"integer", "int32 or int64"},
      {"smallint", "int32"},      {"int16", "int32"},
      {"bigint", "int64"},        {"long", "int64"},
      {"float", "double"},        {"real", "double"},
      {"float64", "double"},      {"number", "double"},
      {"boolean", "bool"},        {"text", "string"},
      {"varchar", "string"},      {"char", "string"},
      {"str", "string"},          {"uuid", "string"},
      {"jsonb", "json"},          {"bytea", "bytes"},
      {"binary", "bytes"},        {"blob", "bytes"},
      {"datetime", "timestamp"},  {"timestamptz", "timestamp"},
      {"time", "timestamp"},      {"numeric", "decimal(18,2)"},
      {"money", "decimal(18,2)"}, {"decimal", "decimal(18,2)"}};
  const auto found = kElsewhere.find(absl::AsciiStrToLower(name.substr(0, name.find('('))));
  if (found != kElsewhere.end()) return "; write " + found->second;
  const std::string near = DidYouMean(name, TypeNames());
  return near.empty() ? absl::StrCat(" (one of: ", absl::StrJoin(TypeNames(), ", "), ")") : near;
}

// Whose values the column takes; null: nobody's, or one that honours all that is said.
const FormatSyntax* ReaderOf(const SourceColumn& column, const FormatSyntax* format, const Reading& reading) {
  if (column.from == SourceColumn::From::kValue) return format;
  return column.from == SourceColumn::From::kKey ? reading.key_format : nullptr;
}

bool Coerces(const Type& type) {
  return type.kind == Kind::kBool || type.kind == Kind::kInt32 || type.kind == Kind::kInt64 ||
         type.kind == Kind::kDouble || type.kind == Kind::kDecimal || type.kind == Kind::kString ||
         (type.kind == Kind::kTimestamp && type.form != TimestampForm::kRfc3339);
}

// Whether texts are read into it at all.
bool IsRead(const SourceColumn& column) {
  return column.from == SourceColumn::From::kValue || column.from == SourceColumn::From::kKey ||
         column.from == SourceColumn::From::kHeader;
}

// What the column says of how its texts are read, and what the source says for those that don't.
void CheckReading(const topology::Column& yaml, const FormatSyntax* format, const Reading& source,
                  const std::string& path, Diagnostics* diagnostics, SourceColumn* column) {
  const Type& type = column->column.type;
  const FormatSyntax* const reader = ReaderOf(*column, format, source);
  const bool coerces = reader == nullptr || reader->coerces();
  if (yaml.coerce() && !coerces) {
    diagnostics->Error(path + "/coerce", absl::StrCat("format ", std::string(reader->name()),
                                                      " has values of their own types: there is nothing to coerce"));
  } else if (yaml.coerce() && !(Coerces(type) && IsRead(*column))) {
    diagnostics->Error(path + "/coerce",
                       absl::StrCat("there is nothing to coerce ", IsRead(*column) ? "to " + TypeName(type) : "here",
                                    IsTextTimestamp(type) ? "; say how it is written with timestamp_format" : ""));
  }
  column->coerce = (yaml.has_coerce() ? yaml.coerce() : source.coerce) && coerces && Coerces(type) && IsRead(*column);
  if (yaml.has_timestamp_format() || yaml.has_time_zone()) {
    if (!(IsTextTimestamp(type) && IsRead(*column))) {
      diagnostics->Error(path + (yaml.has_timestamp_format() ? "/timestamp_format" : "/time_zone"),
                         absl::StrCat("goes with a column of type timestamp that is read as text",
                                      IsRead(*column) ? ", not " + TypeName(type) : ""));
      return;
    }
  }
  if (!(IsTextTimestamp(type) && IsRead(*column))) return;
  if (reader != nullptr && !reader->takes_timestamp_format()) {
    if (yaml.has_timestamp_format() || yaml.has_time_zone()) {
      diagnostics->Error(
          path + (yaml.has_timestamp_format() ? "/timestamp_format" : "/time_zone"),
          absl::StrCat("format ", std::string(reader->name()), " says itself how timestamps are written"));
    }
    return;
  }
  column->timestamp_format = yaml.has_timestamp_format() ? yaml.timestamp_format() : source.timestamp_format;
  column->time_zone = yaml.has_time_zone() ? yaml.time_zone() : source.time_zone;
  if (column->timestamp_format.empty()) {
    if (yaml.has_time_zone()) diagnostics->Error(path + "/time_zone", "time_zone goes with timestamp_format");
  } else if (yaml.has_timestamp_format() || yaml.has_time_zone()) {
    CheckTimestampFormat(column->timestamp_format, column->time_zone, path, diagnostics);
  }
}

}  // namespace

void CheckTimestampFormat(const std::string& format, const std::string& zone, const std::string& path,
                          Diagnostics* diagnostics) {
  const absl::Status made = TimestampFormat::Make(format, zone).status();
  if (made.ok()) return;
  const bool of_zone = diagnostics->Present(path + "/time_zone") && TimestampFormat::Make(format, "").ok();
  diagnostics->Error(path + (of_zone ? "/time_zone" : "/timestamp_format"), std::string(made.message()));
}

SourceColumn CheckColumn(const topology::Column& yaml, const FormatSyntax* format, const Reading& reading,
                         const std::string& path, bool table, Diagnostics* diagnostics) {
  SourceColumn column;
  column.column.name = yaml.name();
  column.column.nullable = yaml.nullable();
  column.path = {yaml.name()};
  if (!IsColumnName(yaml.name())) {
    diagnostics->Error(path, absl::StrCat("column '", yaml.name(), "': ", kColumnNames));
  }
  if (const auto type = ParseType(yaml.type())) {
    column.column.type = *type;
  } else if (!yaml.type().empty()) {
    const std::string at = diagnostics->Present(path + "/type") ? path + "/type" : path;
    diagnostics->Error(at, absl::StrCat("unknown type '", yaml.type(), "'", TypeMeant(yaml.type())));
  }
  if (yaml.has_path()) {
    if (const auto parts = ParsePath(yaml.path())) {
      column.path = *parts;
    } else {
      diagnostics->Error(path + "/path", absl::StrCat("expected names joined by dots, found '", yaml.path(), "'"));
    }
  }
  if (yaml.has_default_()) {
    column.default_value = yaml.default_();
    // As the decoder will read it, so that a wrong one isn't found by the first row without a value.
    const Type& type = column.column.type;
    const Fit fit = ParseType(yaml.type()) ? FitsPlainText(type, yaml.default_()) : Fit::kOk;
    if (fit != Fit::kOk) {
      const std::string name = TypeName(type);
      const std::string why = Describe(fit, type, FromPlainText(type, yaml.default_()));
      diagnostics->Error(path + "/default",
                         absl::StrCat("'", yaml.default_(), "' isn't ", name[0] == 'i' ? "an " : "a ", name,
                                      fit == Fit::kWrongType ? "" : ": " + why));
    }
  }
  if (yaml.on_error() == "null") {
    column.on_error = SourceColumn::OnError::kNull;
    if (!yaml.nullable()) diagnostics->Error(path + "/on_error", "`on_error: null` needs `nullable: true`");
  }
  if (yaml.has_from()) CheckFrom(yaml, format, path, table, diagnostics, &column);
  column.as = yaml.as();
  if (yaml.has_as() && (format == nullptr || !format->takes_as() || column.from != SourceColumn::From::kValue)) {
    diagnostics->Error(path + "/as",
                       "`as` says how a format writes a value of a row, and this one isn't in need of that");
  }
  CheckReading(yaml, format, reading, path, diagnostics, &column);
  return column;
}

}  // namespace tidemark
