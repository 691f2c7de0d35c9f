#include "src/plan/input_formats.h"

#include <cstdint>
#include <optional>
#include <utility>

#include <absl/status/status.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

namespace tidemark {
namespace {

// `columns: from_schema`.
bool FromSchema(const google::protobuf::RepeatedPtrField<topology::Column>& yaml) {
  return yaml.size() == 1 && yaml[0].name() == "from_schema" && yaml[0].type().empty();
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

}  // namespace

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

template FormatSpec CheckValueFormat(const topology::Source&, const FormatList&, const std::string&,
                                     const RegistrySpec&, Diagnostics*, std::vector<SourceColumn>*);
template FormatSpec CheckValueFormat(const topology::Table&, const FormatList&, const std::string&, const RegistrySpec&,
                                     Diagnostics*, std::vector<SourceColumn>*);
template FormatSpec CheckKeyFormat(const topology::Source&, const FormatList&, const std::string&, Diagnostics*,
                                   std::vector<SourceColumn>*);
template FormatSpec CheckKeyFormat(const topology::Table&, const FormatList&, const std::string&, Diagnostics*,
                                   std::vector<SourceColumn>*);

}  // namespace tidemark
