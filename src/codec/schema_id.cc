#include "src/codec/schema_id.h"

namespace tidemark {
namespace {

// Such a header holds a GUID of sixteen bytes behind a byte 1.
constexpr char kGuid = 1;

}  // namespace

std::optional<std::string> FindSchemaId(SchemaPlace place, const Fetch& fetch, size_t record, int32_t* id,
                                        size_t* begin, std::string* behind) {
  *id = 0;
  *begin = 0;
  if (place == SchemaPlace::kNowhere) return std::nullopt;
  if (place == SchemaPlace::kPrefix) {
    *begin = kSchemaIdBytes;
    if (ReadSchemaId(*fetch.records()[record].value, id)) return std::nullopt;
    return "the value doesn't begin with the number of a schema (a byte 0 and four more)";
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

}  // namespace tidemark
