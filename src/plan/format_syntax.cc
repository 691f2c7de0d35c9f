#include "src/plan/format_syntax.h"

#include <algorithm>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include "src/base/suggest.h"

namespace tidemark {
namespace {

using google::protobuf::FieldDescriptor;

// "a text value", "an int64 key".
std::string What(std::string_view format, FormatUse use) {
  return absl::StrCat(format[0] == 'i' || format[0] == 'a' ? "an " : "a ", std::string(format),
                      IsKey(use) ? " key" : " value");
}

// "format" or "key_format": the field that a path ends with.
std::string FieldOf(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::string OptionText(const topology::Format& yaml, const FieldDescriptor* field) {
  const google::protobuf::Reflection* reflection = yaml.GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection->GetBool(yaml, field) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_INT32:
      return absl::StrCat(reflection->GetInt32(yaml, field));
    case FieldDescriptor::CPPTYPE_INT64:
      return absl::StrCat(reflection->GetInt64(yaml, field));
    default:
      return reflection->GetString(yaml, field);
  }
}

const char* UseText(FormatUse use) {
  switch (use) {
    case FormatUse::kReadValue:
      return "values are read in";
    case FormatUse::kReadKey:
      return "keys are read in";
    case FormatUse::kWriteValue:
      return "values are written in";
    case FormatUse::kWriteKey:
      return "keys are written in";
  }
  return "";
}

std::vector<std::string> NamesFor(const FormatList& formats, FormatUse use) {
  std::vector<std::string> names;
  for (const FormatSyntax* format : formats) {
    if (format->Serves(use)) names.emplace_back(format->name());
  }
  return names;
}

bool CheckOne(const FormatSyntax& format, FormatUse use, const std::string& path,
              const std::vector<FormatColumn>& columns, Diagnostics* diagnostics) {
  const std::string what = What(format.name(), use);
  if (columns.size() != 1) {
    std::vector<std::string> names;
    for (const FormatColumn& column : columns) names.push_back(column.column.name);
    const char* const instead = IsKey(use)                      ? "; use key_format: json"
                                : use == FormatUse::kWriteValue ? "; leave the others out in a project step"
                                                                : "";
    diagnostics->Error(path, columns.empty() ? absl::StrCat(what, " holds one column, and all are in `key`")
                                             : absl::StrCat(what, " holds one column, not ", columns.size(), " (",
                                                            absl::StrJoin(names, ", "), ")", instead));
    return false;
  }
  const FormatColumn& column = columns[0];
  if (column.path.size() > 1 || (column.path.size() == 1 && column.path[0] != column.column.name)) {
    diagnostics->Error(column.at, absl::StrCat(what, " is the column as a whole: it has no paths"));
    return false;
  }
  if (use == FormatUse::kWriteValue && column.column.nullable) {
    diagnostics->Error(path, absl::StrCat("column ", column.column.name, " can be null, which ", what,
                                          " can't say; coalesce it in a project step"));
    return false;
  }
  return true;
}

}  // namespace

std::string FormatSpec::ToString() const {
  std::vector<std::string> parts;
  for (const auto& [option, value] : options) parts.push_back(absl::StrCat(option, " '", value, "'"));
  return parts.empty() ? name : absl::StrCat(name, " (", absl::StrJoin(parts, ", "), ")");
}

bool FormatCheck::OptionError(std::string_view option, std::string_view message) {
  const std::string at = absl::StrCat(path_, "/", std::string(option));
  diagnostics_.Error(diagnostics_.Present(at) ? at : path_, message);
  return false;
}

const FormatSyntax* FindFormat(const FormatList& formats, std::string_view name) {
  for (const FormatSyntax* format : formats) {
    if (format->name() == name) return format;
  }
  return nullptr;
}

std::optional<FormatSpec> ReadFormat(const topology::Format& yaml, const FormatList& formats, FormatUse use,
                                     const std::string& path, Diagnostics* diagnostics) {
  if (yaml.type().empty()) return std::nullopt;  // reported
  const std::string at = diagnostics->Present(path + "/type") ? path + "/type" : path;
  const FormatSyntax* format = FindFormat(formats, yaml.type());
  if (format == nullptr || !format->Serves(use)) {
    const std::vector<std::string> names = NamesFor(formats, use);
    const std::string meant = format == nullptr ? DidYouMean(yaml.type(), names) : "";
    diagnostics->Error(at,
                       absl::StrCat(format == nullptr ? "unknown " : "", FieldOf(path), " '", yaml.type(), "'",
                                    format == nullptr ? "" : absl::StrCat(" isn't one that ", UseText(use)),
                                    meant.empty() ? absl::StrCat("; there are: ", absl::StrJoin(names, ", ")) : meant));
    return std::nullopt;
  }
  FormatSpec spec(yaml.type());
  std::vector<const FieldDescriptor*> fields;
  yaml.GetReflection()->ListFields(yaml, &fields);
  const std::vector<std::string_view> options = format->options();
  bool good = true;
  for (const FieldDescriptor* field : fields) {
    if (field->name() == "type") continue;
    // Of rows in any format that replace each other by the record key: whoever reads none refuses it.
    const bool of_keys = use == FormatUse::kReadValue && field->name() == "partitioner";
    if (!of_keys && std::find(options.begin(), options.end(), field->name()) == options.end()) {
      const std::string taken =
          options.empty() ? "it has none"
                          : absl::StrCat("its options: ",
                                         absl::StrJoin(std::vector<std::string>(options.begin(), options.end()), ", "));
      diagnostics->Error(absl::StrCat(path, "/", field->name()),
                         absl::StrCat("format ", yaml.type(), " has no option '", field->name(), "'; ", taken));
      good = false;
    }
    spec.options[field->name()] = OptionText(yaml, field);
  }
  return good ? std::make_optional(std::move(spec)) : std::nullopt;
}

bool CheckFormat(const FormatSpec& spec, const FormatList& formats, FormatUse use, const std::string& path,
                 const std::vector<FormatColumn>& columns, Diagnostics* diagnostics) {
  const FormatSyntax* format = FindFormat(formats, spec.name);
  if (format == nullptr) return false;  // reported
  const std::string stated = diagnostics->Present(path) ? path : path.substr(0, path.rfind('/'));
  if (!format->holds_names() && !CheckOne(*format, use, stated, columns, diagnostics)) return false;
  bool good = true;
  for (const FormatColumn& column : columns) {
    if (format->Holds(column.column.type, use)) continue;
    diagnostics->Error(column.at, absl::StrCat(What(spec.name, use), " holds ", format->Types(use), ", not ",
                                               TypeName(column.column.type)));
    good = false;
  }
  FormatCheck check(spec, use, stated, columns, diagnostics);
  return good && format->Check(check);
}

}  // namespace tidemark
