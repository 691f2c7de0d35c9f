// Sources and tables: what a topology reads.
#include <algorithm>
#include <map>
#include <set>

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>
#include <absl/time/time.h>

#include "src/base/intake_names.h"
#include "src/base/suggest.h"
#include "src/base/timestamp_format.h"
#include "src/base/value_text.h"
#include "src/expr/expression.h"
#include "src/plan/logical.h"
#include "src/plan/units.h"

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
    std::string meant = DidYouMean(from, {"key", "value", "header:NAME", "partition", "offset", "timestamp"});
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

// Of what type a column of event times is, where it is read as this one.
const char* AsTimestamp(Kind kind) {
  if (kind == Kind::kInt32 || kind == Kind::kInt64) {
    return "; numbers since 1970 are of type timestamp_s, timestamp_ms or timestamp_us";
  }
  return kind == Kind::kString ? "; RFC 3339 text is of type timestamp" : "";
}

// How texts are read into columns, where a source says it for all of them.
struct Reading {
  bool coerce = false;
  std::string timestamp_format, time_zone;
  const FormatSyntax* key_format = nullptr;  // where it is stated; else JSON or text
};

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

bool IsTextTimestamp(const Type& type) { return type.kind == Kind::kTimestamp && type.form == TimestampForm::kRfc3339; }

// Whether texts are read into it at all.
bool IsRead(const SourceColumn& column) {
  return column.from == SourceColumn::From::kValue || column.from == SourceColumn::From::kKey ||
         column.from == SourceColumn::From::kHeader;
}

void CheckTimestampFormat(const std::string& format, const std::string& zone, const std::string& path,
                          Diagnostics* diagnostics) {
  const absl::Status made = TimestampFormat::Make(format, zone).status();
  if (made.ok()) return;
  const bool of_zone = diagnostics->Present(path + "/time_zone") && TimestampFormat::Make(format, "").ok();
  diagnostics->Error(path + (of_zone ? "/time_zone" : "/timestamp_format"), std::string(made.message()));
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

template <typename Yaml>
const FormatSyntax* FormatOf(const Yaml& yaml, const FormatList& formats) {
  return FindFormat(formats, yaml.has_format() ? yaml.format().type() : kJsonFormat);
}

// `columns: from_schema`.
bool FromSchema(const google::protobuf::RepeatedPtrField<topology::Column>& yaml) {
  return yaml.size() == 1 && yaml[0].name() == "from_schema" && yaml[0].type().empty();
}

std::vector<SourceColumn> CheckColumns(const google::protobuf::RepeatedPtrField<topology::Column>& yaml,
                                       const FormatSyntax* format, const Reading& reading, const std::string& path,
                                       bool table, Diagnostics* diagnostics) {
  std::vector<SourceColumn> columns;
  if (FromSchema(yaml)) return columns;  // TakeColumns
  for (const topology::Column& c : yaml) {
    columns.push_back(CheckColumn(c, format, reading, absl::StrCat(path, "/", c.name()), table, diagnostics));
  }
  if (columns.empty() && !diagnostics->Broken(path)) diagnostics->Error(path, "at least one column is needed");
  return columns;
}

template <typename Yaml>
void TakeColumns(const Yaml& yaml, const FormatList& formats, const std::string& path, const FormatSpec& format,
                 const RegistrySpec& registry, Diagnostics* diagnostics, std::vector<SourceColumn>* columns) {
  const absl::StatusOr<std::vector<TakenColumn>> taken =
      FindFormat(formats, format.name)->Columns(format, yaml.topic(), registry);
  if (!taken.ok()) {
    const std::string message = absl::StrCat("from_schema: ", std::string(taken.status().message()));
    if (absl::IsUnavailable(taken.status())) {
      diagnostics->Away(path + "/columns", message);
    } else {
      diagnostics->Error(path + "/columns", message);
    }
    return;
  }
  for (const TakenColumn& from : *taken) {
    SourceColumn& column = columns->emplace_back();
    column.column = from.column;
    column.path = from.path;
    column.default_value = from.default_value;
  }
}

Schema SchemaOf(const std::vector<SourceColumn>& columns) {
  Schema schema;
  for (const SourceColumn& c : columns) schema.Add(c.column);
  return schema;
}

// The columns that are read from values, or from keys, as a format holds them.
std::vector<FormatColumn> ColumnsOf(const std::vector<SourceColumn>& columns, SourceColumn::From from,
                                    const std::string& path) {
  std::vector<FormatColumn> out;
  for (const SourceColumn& c : columns) {
    if (c.from == from) out.push_back({c.column, c.path, c.as, absl::StrCat(path, "/columns/", c.column.name)});
  }
  return out;
}

// Of a format that is one column as a whole, that column has no name in it.
void ForgetPaths(const FormatSpec& format, const FormatList& formats, SourceColumn::From from,
                 std::vector<SourceColumn>* columns) {
  const FormatSyntax* syntax = FindFormat(formats, format.name);
  if (syntax == nullptr || syntax->holds_names()) return;
  for (SourceColumn& c : *columns) {
    if (c.from == from) c.path.clear();
  }
}

// Of a format that goes by places: that of each column whose path is none.
void SetPlaces(const FormatSpec& format, const FormatList& formats, std::vector<SourceColumn>* columns) {
  const FormatSyntax* syntax = FindFormat(formats, format.name);
  if (syntax == nullptr || !syntax->by_place(format)) return;
  size_t place = 0;
  for (SourceColumn& c : *columns) {
    if (c.from != SourceColumn::From::kValue) continue;
    ++place;
    int64_t number = 0;
    if (c.path.size() == 1 && !absl::SimpleAtoi(c.path[0], &number)) c.place = place;
  }
}

// The values' form, and whether their columns can stand in it.
template <typename Yaml>
FormatSpec CheckValueFormat(const Yaml& yaml, const FormatList& formats, const std::string& path,
                            const RegistrySpec& registry, Diagnostics* diagnostics,
                            std::vector<SourceColumn>* columns) {
  std::optional<FormatSpec> format = kJsonFormat;
  if (yaml.has_format())
    format = ReadFormat(yaml.format(), formats, FormatUse::kReadValue, path + "/format", diagnostics);
  if (!format) return kJsonFormat;  // reported
  if (FromSchema(yaml.columns())) TakeColumns(yaml, formats, path, *format, registry, diagnostics, columns);
  const auto from_value = ColumnsOf(*columns, SourceColumn::From::kValue, path);
  if (!from_value.empty()) {
    CheckFormat(*format, formats, FormatUse::kReadValue, path + "/format", from_value, diagnostics);
  } else if (*format != FormatSpec(kJsonFormat) && !FromSchema(yaml.columns())) {
    diagnostics->Error(path + "/format", "format has no use here: no column comes from the value");
  }
  ForgetPaths(*format, formats, SourceColumn::From::kValue, columns);
  SetPlaces(*format, formats, columns);
  return *format;
}

// The record key's form: as stated, else what the columns that come from it suggest.
template <typename Yaml>
FormatSpec CheckKeyFormat(const Yaml& yaml, const FormatList& formats, const std::string& path,
                          Diagnostics* diagnostics, std::vector<SourceColumn>* columns) {
  const auto from_key = ColumnsOf(*columns, SourceColumn::From::kKey, path);
  std::optional<FormatSpec> format = FormatSpec();
  if (yaml.has_key_format()) {
    format = ReadFormat(yaml.key_format(), formats, FormatUse::kReadKey, path + "/key_format", diagnostics);
    if (!format) return {};  // reported
  } else if (!from_key.empty()) {
    format = from_key.size() > 1                            ? kJsonFormat
             : from_key[0].column.type.kind == Kind::kBytes ? kBytesFormat
                                                            : kTextFormat;
  }
  if (from_key.empty()) return *format;
  CheckFormat(*format, formats, FormatUse::kReadKey, path + "/key_format", from_key, diagnostics);
  ForgetPaths(*format, formats, SourceColumn::From::kKey, columns);
  return *format;
}

// What a source says of all its columns must be of use to one of them.
Reading CheckSourceReading(const topology::Source& yaml, const FormatList& formats, const std::string& path,
                           Diagnostics* diagnostics) {
  Reading reading{yaml.coerce(), yaml.timestamp_format(), yaml.time_zone()};
  if (yaml.has_key_format()) reading.key_format = FindFormat(formats, yaml.key_format().type());
  if (yaml.has_time_zone() && !yaml.has_timestamp_format()) {
    diagnostics->Error(path + "/time_zone", "time_zone goes with timestamp_format");
  } else if (yaml.has_timestamp_format()) {
    CheckTimestampFormat(reading.timestamp_format, reading.time_zone, path, diagnostics);
  }
  return reading;
}

void RefuseIdleReading(const topology::Source& yaml, const std::vector<SourceColumn>& columns, const std::string& path,
                       Diagnostics* diagnostics) {
  const auto any = [&](auto takes) { return std::any_of(columns.begin(), columns.end(), takes); };
  if (yaml.coerce() && !any([](const SourceColumn& c) { return c.coerce; })) {
    diagnostics->Error(
        path + "/coerce",
        "coerce has no use here: no column is of a type that texts are coerced to, or of a format that has texts");
  }
  if (yaml.has_timestamp_format() && !any([](const SourceColumn& c) { return !c.timestamp_format.empty(); })) {
    diagnostics->Error(path + "/timestamp_format",
                       "timestamp_format has no use here: no column of type timestamp is read as text");
  }
}

// The record as it is, once for each of its rows, would be the square of it.
void RefuseRawOfManyRows(const FormatSpec& format, const FormatList& formats, const std::vector<SourceColumn>& columns,
                         const std::string& path, Diagnostics* diagnostics) {
  const FormatSyntax* const syntax = FindFormat(formats, format.name);
  if (syntax == nullptr || !syntax->ManyRows(format)) return;
  for (const SourceColumn& column : columns) {
    if (column.from != SourceColumn::From::kRaw) continue;
    diagnostics->Error(absl::StrCat(path, "/columns/", column.column.name, "/from"),
                       absl::StrCat("a record of format ", format.ToString(),
                                    " has several rows, and each would hold the whole value: read the topic "
                                    "a second time in a topology of its own, without a format"));
  }
}

void CheckStart(const topology::Source& yaml, const std::string& path, Diagnostics* diagnostics, StartPosition* start) {
  if (!yaml.has_start() || yaml.start() == "earliest") return;
  if (yaml.start() == "latest") {
    start->at = StartPosition::At::kLatest;
    return;
  }
  absl::Time time;
  std::string error;
  if (absl::ParseTime(absl::RFC3339_full, yaml.start(), &time, &error)) {
    start->at = StartPosition::At::kTimestamp;
    start->timestamp_ms = absl::ToUnixMillis(time);
    return;
  }
  diagnostics->Error(path, absl::StrCat("expected earliest, latest or a time such as 2026-01-01T00:00:00Z, found '",
                                        yaml.start(), "'", DidYouMean(yaml.start(), {"earliest", "latest"})));
}

void CheckEventTime(const topology::EventTime& yaml, const Schema& schema, const std::string& path,
                    Diagnostics* diagnostics, EventTimeSpec* spec) {
  if (yaml.has_max_out_of_orderness()) spec->max_out_of_orderness_us = yaml.max_out_of_orderness();
  if (yaml.has_idle_after()) spec->idle_after_us = yaml.idle_after();
  if (yaml.has_max_ahead()) spec->max_ahead_us = yaml.max_ahead();
  if (yaml.when_all_idle() == "follow_clock") spec->when_all_idle = WhenAllIdle::kFollowClock;
  if (yaml.has_idle_after() && yaml.idle_after() == 0) {
    diagnostics->Error(path + "/idle_after", "idle_after must be longer than nothing");
  }
  if (yaml.has_column() && yaml.has_expression()) {
    diagnostics->Error(path + "/expression", "event time is either a column or an expression");
    return;
  }
  if (yaml.has_expression()) {
    const auto expression = Expression::Compile(yaml.expression(), schema);
    if (!expression.ok()) {
      diagnostics->ErrorInside(path + "/expression", yaml.expression(), ErrorPosition(expression.status()).value_or(-1),
                               std::string(expression.status().message()));
    } else if (expression->type().kind != Kind::kTimestamp) {
      diagnostics->Error(path + "/expression",
                         absl::StrCat("event time is a timestamp, this is ", TypeName(expression->type())));
    } else {
      spec->expression = yaml.expression();
      spec->form = expression->type().form;
    }
    return;
  }
  if (!yaml.has_column()) return;
  const auto column = schema.Find(yaml.column());
  if (!column) {
    diagnostics->Error(path + "/column",
                       absl::StrCat("unknown column '", yaml.column(), "'", DidYouMean(yaml.column(), schema.Names())));
  } else if (schema[*column].type.kind != Kind::kTimestamp) {
    diagnostics->Error(path + "/column",
                       absl::StrCat("event time is a timestamp column, but '", yaml.column(), "' is ",
                                    TypeName(schema[*column].type), AsTimestamp(schema[*column].type.kind)));
  } else if (schema[*column].nullable) {
    diagnostics->Error(path + "/column",
                       absl::StrCat("event time can't be null: column '", yaml.column(), "' must not be nullable"));
  } else {
    spec->column = *column;
    spec->form = schema[*column].type.form;
  }
}

// What makes keys of equal values differ, so that the partition of a key proves nothing about values; "": nothing does.
std::string WhyKeysDiffer(const SourceColumn& column, const FormatSpec& key_format) {
  if (column.coerce) return "it is coerced; say `coerce: false` for it if its keys have one form only";
  if (key_format.name == "uuid") return "a UUID has digits of either size";
  const Type& type = column.column.type;
  if (type.kind == Kind::kDouble) return "0 and -0 are equal doubles, as are 1 and 1.0";
  if (type.kind == Kind::kDecimal) return "1.5 and 1.50 are equal decimals";
  if (IsTextTimestamp(type)) return "a timestamp can be written in several ways";
  return "";
}

// A key decides on the partition as a whole, so it says nothing of rows that are equal in a part of it.
void CheckWholeKey(const SourcePlan& source, const std::string& path, Diagnostics* diagnostics) {
  std::vector<std::string> all, missing;
  for (size_t c = 0; c < source.columns.size(); ++c) {
    if (source.columns[c].from != SourceColumn::From::kKey) continue;
    const std::vector<size_t>& promised = source.partitioned_by;
    all.push_back(source.columns[c].column.name);
    if (std::find(promised.begin(), promised.end(), c) == promised.end()) missing.push_back(all.back());
  }
  if (missing.empty()) return;
  diagnostics->Error(
      path, absl::StrCat("the record key as a whole decides on the partition, and ", absl::StrJoin(missing, ", "),
                         missing.size() == 1 ? " is" : " are", " in it as well: name all of its columns (",
                         absl::StrJoin(all, ", "), "), or leave partitioned_by out"));
}

// The promise of `partitioned_by`, and whether the record key can prove it.
void CheckPromise(const topology::Source& yaml, const FormatList& formats, const std::string& path,
                  Diagnostics* diagnostics, SourcePlan* source) {
  const auto columns = FindKeyColumns(yaml.partitioned_by(), source->schema(), path + "/partitioned_by",
                                      "source " + yaml.name(), diagnostics);
  if (!columns || columns->empty()) return;
  source->partitioned_by = *columns;
  const auto from_key = [&](size_t c) { return source->columns[c].from == SourceColumn::From::kKey; };
  const bool all_from_key = std::all_of(columns->begin(), columns->end(), from_key);
  const bool any_from_key = std::any_of(source->columns.begin(), source->columns.end(),
                                        [](const SourceColumn& c) { return c.from == SourceColumn::From::kKey; });
  // Where the key is read into other columns, the promised ones are not the key.
  source->verify_partitioning = all_from_key || (yaml.has_key_format() && !any_from_key);
  if (!source->verify_partitioning) return;
  if (all_from_key) CheckWholeKey(*source, path + "/partitioned_by", diagnostics);
  for (int i = 0; i < yaml.partitioned_by_size(); ++i) {
    const std::string why = WhyKeysDiffer(source->columns[(*columns)[static_cast<size_t>(i)]], source->key_format);
    if (why.empty()) continue;
    diagnostics->Error(absl::StrCat(path, "/partitioned_by/", i),
                       absl::StrCat("equal values of ", yaml.partitioned_by(i), " may have different keys (", why,
                                    "): leave partitioned_by out"));
  }
  if (any_from_key || source->key_format.none()) return;
  // Nobody reads the key, but it is said to be these columns.
  std::vector<FormatColumn> key;
  for (const size_t c : *columns) {
    const Column& column = source->columns[c].column;
    key.push_back({column, {column.name}, "", path + "/partitioned_by"});
  }
  CheckFormat(source->key_format, formats, FormatUse::kReadKey, path + "/partitioned_by", key, diagnostics);
}

// A table that changes: its key, by which its rows lie in the topic, and the decoder's column.
void CheckChanges(const topology::Source& yaml, const FormatSyntax* format, const std::string& path,
                  Diagnostics* diagnostics, SourcePlan* source) {
  if (format == nullptr || !format->tells_changes()) {
    if (diagnostics->Present(path + "/key")) {
      diagnostics->Error(path + "/key",
                         "rows of this source don't replace each other: `key` is for formats that tell changes");
    }
    return;
  }
  for (const char* field : {"partitioned_by", "key_format"}) {
    if (!diagnostics->Present(absl::StrCat(path, "/", field))) continue;
    diagnostics->Error(absl::StrCat(path, "/", field), "rows lie by the record key, which is the source's `key`");
  }
  if (!source->event_time.expression.empty()) {
    diagnostics->Error(path + "/event_time/expression",
                       "a deletion has only its key, so event time of a changing table is a column or the record's");
  }
  const auto key = FindColumns(yaml.key(), source->schema(), path + "/key", "source " + yaml.name(), diagnostics);
  if (!key) return;
  if (key->empty()) {
    diagnostics->Error(diagnostics->Present(path + "/key") ? path + "/key" : path,
                       "`key` is needed: the columns of the record key, by which rows replace each other");
    return;
  }
  for (const size_t c : *key) {
    const SourceColumn& column = source->columns[c];
    const std::string at = absl::StrCat(path, "/columns/", column.column.name);
    if (column.column.nullable) diagnostics->Error(at, "a key column can't be nullable");
    if (column.from != SourceColumn::From::kValue) diagnostics->Error(at, "a key column stands in the row");
  }
  source->key = source->partitioned_by = *key;
  source->verify_partitioning = source->format.Option("partitioner", "murmur2") == "murmur2";
  SourceColumn change;
  change.column = {kChangeColumn, {.kind = Kind::kBytes}, false};
  change.from = SourceColumn::From::kBeside;
  change.path = {kChangeColumn};
  source->columns.push_back(std::move(change));
}

}  // namespace

void CheckSources(const topology::Topology& topology, const FormatList& formats, Diagnostics* diagnostics, Plan* plan) {
  for (const topology::Source& yaml : topology.sources()) {
    const std::string path = "sources/" + yaml.name();
    SourcePlan source;
    source.name = yaml.name();
    CheckName(yaml.name(), path, "source", diagnostics);
    source.topic = yaml.has_files() ? IntakeNames{plan->application, yaml.name()}.Topic() : yaml.topic();
    if (!yaml.has_topic() && !yaml.has_files() && !diagnostics->Broken(path)) {
      diagnostics->Error(path, "a source has either 'topic' or 'files'");
    }
    if (yaml.has_topic()) CheckTopicName(yaml.topic(), path + "/topic", diagnostics);
    CheckStart(yaml, path + "/start", diagnostics, &source.start);
    source.skip_lost = yaml.on_data_loss() == "skip";
    const FormatSyntax* const format = FormatOf(yaml, formats);
    const Reading reading = CheckSourceReading(yaml, formats, path, diagnostics);
    source.columns = CheckColumns(yaml.columns(), format, reading, path + "/columns", false, diagnostics);
    source.format = CheckValueFormat(yaml, formats, path, plan->registry, diagnostics, &source.columns);
    if (diagnostics->incomplete()) continue;
    RefuseIdleReading(yaml, source.columns, path, diagnostics);
    RefuseRawOfManyRows(source.format, formats, source.columns, path, diagnostics);
    source.key_format = CheckKeyFormat(yaml, formats, path, diagnostics, &source.columns);
    CheckEventTime(yaml.event_time(), source.schema(), path + "/event_time", diagnostics, &source.event_time);
    CheckPromise(yaml, formats, path, diagnostics, &source);
    if (yaml.has_files()) CheckOutside(yaml, path, diagnostics, &source);
    // A key format that nothing looks at would do nothing.
    const bool from_key = std::any_of(source.columns.begin(), source.columns.end(),
                                      [](const SourceColumn& c) { return c.from == SourceColumn::From::kKey; });
    const bool changes = format != nullptr && format->tells_changes();
    if (yaml.has_key_format() && !from_key && yaml.partitioned_by().empty() && !changes) {
      diagnostics->Error(path + "/key_format",
                         "key_format has no use here: no column comes `from: key`, and nothing is "
                         "promised by partitioned_by");
    }
    CheckChanges(yaml, format, path, diagnostics, &source);
    plan->sources.push_back(std::move(source));
  }
  std::sort(plan->sources.begin(), plan->sources.end(),
            [](const SourcePlan& a, const SourcePlan& b) { return a.name < b.name; });
  std::map<std::string, std::string> topics;
  for (size_t i = 0; i < plan->sources.size(); ++i) {
    plan->sources[i].order = static_cast<int32_t>(i);
    const auto [it, fresh] = topics.emplace(plan->sources[i].topic, plan->sources[i].name);
    if (!fresh && !plan->sources[i].topic.empty()) {
      const std::string path = absl::StrCat("sources/", plan->sources[i].name, "/topic");
      const std::string other = absl::StrCat("sources/", it->second, "/topic");
      diagnostics->Error(path,
                         absl::StrCat("topic ", plan->sources[i].topic, " is already read by source ", it->second,
                                      diagnostics->Elsewhere(other, path), "; several steps can read one source"));
    }
  }
}

void CheckTables(const topology::Topology& topology, const FormatList& formats, Diagnostics* diagnostics, Plan* plan) {
  for (const topology::Table& yaml : topology.tables()) {
    const std::string path = "tables/" + yaml.name();
    TablePlan table;
    table.name = yaml.name();
    CheckName(yaml.name(), path, "table", diagnostics);
    table.topic = yaml.topic();
    table.file = yaml.file();
    if (yaml.has_topic() == yaml.has_file()) diagnostics->Error(path, "a table has either 'topic' or 'file'");
    if (yaml.has_topic()) CheckTopicName(yaml.topic(), path + "/topic", diagnostics);
    table.columns = CheckColumns(yaml.columns(), FormatOf(yaml, formats), {}, path + "/columns", true, diagnostics);
    table.format = CheckValueFormat(yaml, formats, path, plan->registry, diagnostics, &table.columns);
    if (diagnostics->incomplete()) continue;
    table.key_format = CheckKeyFormat(yaml, formats, path, diagnostics, &table.columns);
    if (yaml.has_global() && !yaml.global()) {
      diagnostics->Error(path + "/global", "`global: false` isn't implemented: every worker holds the whole table");
    }
    const auto key = FindKeyColumns(yaml.key(), table.schema(), path + "/key", "table " + yaml.name(), diagnostics);
    if (key) table.key = *key;
    if (key && key->empty() && diagnostics->Present(path + "/key")) {
      diagnostics->Error(path + "/key", "a table needs at least one key column");
    }
    for (const size_t column : table.key) {
      if (table.columns[column].column.nullable) {
        diagnostics->Error(absl::StrCat(path, "/columns/", table.columns[column].column.name),
                           "a key column can't be nullable");
      }
    }
    if (yaml.has_file()) {
      const std::string lower = absl::AsciiStrToLower(yaml.file());
      if (absl::EndsWith(lower, ".parquet")) {
        table.file_format = TablePlan::FileFormat::kParquet;
      } else if (absl::EndsWith(lower, ".csv")) {
        table.file_format = TablePlan::FileFormat::kCsv;
      } else if (!absl::EndsWith(lower, ".jsonl")) {
        diagnostics->Error(path + "/file",
                           absl::StrCat("expected a file .parquet, .csv or .jsonl, found '", yaml.file(), "'"));
      }
      for (const char* field : {"format", "key_format"}) {
        if (!diagnostics->Present(absl::StrCat(path, "/", field))) continue;
        diagnostics->Error(absl::StrCat(path, "/", field), "a table file's format follows from its name");
      }
      for (const SourceColumn& c : table.columns) {
        const std::string at = absl::StrCat(path, "/columns/", c.column.name);
        if (c.from == SourceColumn::From::kKey) diagnostics->Error(at + "/from", "a table file has no record key");
        if (c.path.size() > 1 && table.file_format != TablePlan::FileFormat::kJsonLines) {
          diagnostics->Error(at + "/path", "a nested path works in JSON only");
        }
      }
    } else if (table.key_format.none() && !table.key.empty()) {
      // Tombstones have no value: their key columns come from the record key.
      table.key_format = table.key.size() > 1 ? kJsonFormat : kTextFormat;
    }
    plan->tables.push_back(std::move(table));
  }
  std::sort(plan->tables.begin(), plan->tables.end(),
            [](const TablePlan& a, const TablePlan& b) { return a.name < b.name; });
}

Schema SourcePlan::schema() const { return SchemaOf(columns); }
Schema SourcePlan::rows() const {
  Schema rows;
  for (const SourceColumn& c : columns) {
    if (c.column.name != kChangeColumn) rows.Add(c.column);
  }
  return rows;
}
Schema TablePlan::schema() const { return SchemaOf(columns); }

}  // namespace tidemark
