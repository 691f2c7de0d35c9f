// The number of a record's schema, as Confluent's serializers write it: in front of the value, behind a byte 0, in four
// bytes, big-endian; or in a header of the record, the same five bytes. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "src/base/record.h"

namespace tidemark {

// Where the schema of a record is said.
enum class SchemaPlace {
  kNowhere,  // all records have one
  kPrefix,   // in front of the value
  kHeader,   // in the header __value_schema_id
};

inline constexpr size_t kSchemaIdBytes = 5;
inline constexpr char kValueSchemaHeader[] = "__value_schema_id";

// Those of a prefix. False: it is none.
inline bool ReadSchemaId(std::string_view value, int32_t* id) {
  if (value.size() < kSchemaIdBytes || value[0] != 0) return false;
  const auto byte = [&](size_t at) { return static_cast<uint32_t>(static_cast<unsigned char>(value[at])); };
  *id = static_cast<int32_t>(byte(1) << 24 | byte(2) << 16 | byte(3) << 8 | byte(4));
  return true;
}

inline std::string SchemaIdPrefix(int32_t id) {
  const auto bits = static_cast<uint32_t>(id);
  return {'\0', static_cast<char>(bits >> 24), static_cast<char>(bits >> 16), static_cast<char>(bits >> 8),
          static_cast<char>(bits)};
}

// Of a record whose value is one; the reason, where there is none. `begin` becomes where the value begins; `behind`,
// what stands behind the number in a header (null: nothing may).
std::optional<std::string> FindSchemaId(SchemaPlace place, const Fetch& fetch, size_t record, int32_t* id,
                                        size_t* begin, std::string* behind = nullptr);

// The parts of a record that have schemas.
enum class SchemaOf { kKey, kValue };

// Why what stands in front is no number, whatever it looks like: a header of Apicurio's converter names the schema, and
// the value, or key, is bare. Its first bytes may be those of a number then only in Avro, so nobody else need ask.
// Empty: there is no such header.
std::string NamedInHeader(const Fetch& fetch, size_t record, SchemaOf of);

// What stands behind the reason where a prefix is none, or names a schema that the registry doesn't know: that the
// record looks like one of Apicurio's converter, which names schemas otherwise unless it is told to do as Confluent's,
// and what to tell it. Empty: it doesn't look so.
std::string AnotherFraming(const Fetch& fetch, size_t record);

}  // namespace tidemark
