#include "src/codec/json/schema.h"

#include <absl/strings/str_cat.h>

#include "src/codec/column_text.h"

namespace tidemark {
namespace {

std::string TypeOf(const Type& type) {
  switch (type.kind) {
    case Kind::kBool:
      return R"({"type":"boolean"})";
    case Kind::kInt32:
    case Kind::kInt64:
      return R"({"type":"integer"})";
    case Kind::kDouble:
    case Kind::kDecimal:
      return R"({"type":"number"})";
    case Kind::kString:
      return R"({"type":"string"})";
    case Kind::kBytes:
      return R"({"type":"string","contentEncoding":"base64"})";
    case Kind::kDate:
      return R"({"type":"string","format":"date"})";
    case Kind::kTimestamp:
      return type.form == TimestampForm::kRfc3339 ? R"({"type":"string","format":"date-time"})"
                                                  : R"({"type":"integer"})";
    case Kind::kJson:
      break;
  }
  return "{}";
}

std::string Quoted(std::string_view text) {
  std::string json;
  TextBuffer out(&json);
  WriteJsonString(text, &out);
  json.resize(out.size());
  return json;
}

}  // namespace

std::string JsonSchemaOf(const Schema& schema, const std::vector<size_t>& columns, std::string_view title) {
  std::string properties, required;
  for (const size_t c : columns) {
    const std::string name = Quoted(schema[c].name), type = TypeOf(schema[c].type);
    const bool null_too = schema[c].nullable && schema[c].type.kind != Kind::kJson;
    absl::StrAppend(&properties, properties.empty() ? "" : ",", name, ":",
                    null_too ? absl::StrCat(R"({"oneOf":[{"type":"null"},)", type, "]}") : type);
    if (!schema[c].nullable) absl::StrAppend(&required, required.empty() ? "" : ",", name);
  }
  return absl::StrCat(R"({"$schema":"http://json-schema.org/draft-07/schema#","title":)", Quoted(title),
                      R"(,"type":"object","additionalProperties":false,"properties":{)", properties, "}",
                      required.empty() ? "" : absl::StrCat(R"(,"required":[)", required, "]"), "}");
}

}  // namespace tidemark
