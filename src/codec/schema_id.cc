#include "src/codec/schema_id.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

namespace tidemark {
namespace {

// Such a header holds a GUID of sixteen bytes behind a byte 1.
constexpr char kGuid = 1;
// Apicurio's converter names a schema by eight bytes behind a byte 0, or by headers of its own.
constexpr size_t kLongIdBytes = 9;
constexpr char kApicurioValue[] = "apicurio.value.", kApicurioKey[] = "apicurio.key.";

}  // namespace

std::optional<std::string> FindSchemaId(SchemaPlace place, const Fetch& fetch, size_t record, int32_t* id,
                                        size_t* begin, std::string* behind) {
  *id = 0;
  *begin = 0;
  if (place == SchemaPlace::kNowhere) return std::nullopt;
  if (place == SchemaPlace::kPrefix) {
    *begin = kSchemaIdBytes;
    if (ReadSchemaId(*fetch.records()[record].value, id)) return std::nullopt;
    return absl::StrCat("the value doesn't begin with the number of a schema (a byte 0 and four more)",
                        AnotherFraming(fetch, record));
  }
  std::optional<std::string> header;
  for (const auto& [name, value] : fetch.Headers(record)) {
    if (name == kValueSchemaHeader) header = value;
  }
  if (!header) return std::string("the record has no header ") + kValueSchemaHeader;
  if ((behind != nullptr || header->size() == kSchemaIdBytes) && ReadSchemaId(*header, id)) {
    if (behind != nullptr) *behind = header->substr(kSchemaIdBytes);
    return std::nullopt;
  }
  if (!header->empty() && header->front() == kGuid) {
    return std::string("header ") + kValueSchemaHeader + " names a schema by its GUID, which isn't implemented";
  }
  return std::string("header ") + kValueSchemaHeader + " isn't the number of a schema (a byte 0 and four more)";
}

std::string NamedInHeader(const Fetch& fetch, size_t record, SchemaOf of) {
  for (const auto& [name, value] : fetch.Headers(record)) {
    if (!absl::StartsWith(name, of == SchemaOf::kKey ? kApicurioKey : kApicurioValue)) continue;
    return absl::StrCat("its header ", name,
                        " says that Apicurio's converter has named its schema there, which isn't read: set "
                        "apicurio.registry.headers.enabled = false, apicurio.registry.as-confluent = true and "
                        "apicurio.registry.use-id = contentId in the converter");
  }
  return "";
}

std::string AnotherFraming(const Fetch& fetch, size_t record) {
  if (std::string named = NamedInHeader(fetch, record, SchemaOf::kValue); !named.empty()) {
    return absl::StrCat("; ", named);
  }
  const Bytes& value = fetch.records()[record].value;
  if (!value || value->size() < kLongIdBytes || value->substr(0, kSchemaIdBytes) != SchemaIdPrefix(0)) return "";
  return "; no schema has the number 0, so this may be one of Apicurio's converter, which writes eight bytes for a "
         "number: set apicurio.registry.as-confluent = true and apicurio.registry.use-id = contentId in the converter";
}

}  // namespace tidemark
