// How messages of one type are read into our columns: for each message on the way to a column, a table by the numbers
// of its fields, of those that are wanted. One pass over the bytes, whatever order they lie in. What isn't wanted or
// isn't known is passed over by its wire type; a length that can't be, or a wanted field of another wire type than its
// own, is an error with its place, never a read beyond the record.
//
//   column     from
//   bool       bool
//   int32/64   any integer type; an enum's number; out of range is an error of the value
//   double     float, double, any integer type
//   decimal    any integer type, string, confluent.type.Decimal; never rounded
//   string     string; bytes (UTF-8); an enum's name, or its number where that has none; confluent.type.Decimal
//   bytes      bytes, string
//   date       string; google.type.Date
//   timestamp  google.protobuf.Timestamp; RFC 3339 text; timestamp_s/ms/us: also any integer type, by the unit that
//              the column says
//   json       a message, a repeated field, a map (json_part.h); a string that is JSON
//
// A wrapper of google.protobuf stands for the value in it. A field with presence (optional, in a oneof, a message, one
// of proto2) that isn't there gives no value: the column's default, or NULL. One without presence that isn't there has
// its zero: 0, false, "", the enum's first name, [] or {}; but in a column that an empty text can't be, an empty string
// that isn't there is no value. Below a message that isn't there nothing is. Of a oneof the last member counts, of a
// field that comes again the last value; messages are merged, but for those that are one value: Timestamp, Date,
// Decimal. A number that a closed enum (proto2) hasn't is no value, as if the field weren't known.
//
// What doesn't fit is an error of the column (`on_error` decides). A plan is used by one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/container/flat_hash_map.h>
#include <absl/status/statusor.h>
#include <google/protobuf/descriptor.h>

#include "src/codec/column_set.h"
#include "src/codec/protobuf/json_part.h"
#include "src/codec/value_reader.h"

namespace tidemark {

// How a value lies in the bytes.
enum class ProtobufRead : uint8_t {
  kSkip,  // any: it is passed over
  kInt64,
  kInt32,  // the low 32 bits, with their sign
  kUint64,
  kUint32,
  kSint64,
  kSint32,
  kFixed64,
  kFixed32,
  kSfixed64,
  kSfixed32,
  kBool,
  kDouble,
  kFloat,
  kLengthed,  // a length and bytes: text, a message
};

// What becomes of it.
enum class ProtobufInto : uint8_t {
  kNothing,
  kInteger,
  kReal,
  kDecimal,  // of an integer
  kScaled,   // a number whose unit the column says
  kName,     // of the number, in enums[arg]
  kMember,   // a number that is in enums[arg], or none
  kBool,
  kDouble,
  kString,
  kBytes,
  kText,       // a string that is written as the column's type demands
  kJson,       // a string that is JSON
  kTimestamp,  // google.protobuf.Timestamp
  kMoney,      // confluent.type.Decimal
  kDate,       // google.type.Date
  kMessage,    // nodes[arg]
  kPart,       // kept as it is, for parts[arg]
  kUnfit,      // no value of `column`, because of texts[arg]
};

struct ProtobufField {
  ProtobufRead read = ProtobufRead::kSkip;
  ProtobufInto into = ProtobufInto::kNothing;
  uint8_t wire = 0;    // its wire type
  bool packs = false;  // or it comes packed, with a length
  uint32_t column = 0;
  uint32_t arg = 0;
  uint32_t next = 0;   // the value is read again by this one; 0: it isn't
  uint32_t place = 0;  // of texts
  // Columns of the other members of its oneof: clears[begin, end).
  uint32_t clears_begin = 0, clears_end = 0;
  uint64_t implied = 0;  // its bit in the node's `all_implied`, of the first 63
};

struct ProtobufNode {
  std::vector<uint32_t> near;                   // by number, up to 255; of fields, 0: not wanted
  absl::flat_hash_map<uint32_t, uint32_t> far;  // the others
  std::vector<uint32_t> implied;                // fields that have a zero where they aren't there
  uint64_t all_implied = 0;                     // their bits: where all have come there is nothing to imply

  uint32_t Find(uint32_t number) const {
    if (number < near.size()) [[likely]]
      return near[number];
    if (far.empty()) return 0;
    const auto found = far.find(number);
    return found == far.end() ? 0 : found->second;
  }
};

struct ProtobufScanPlan {
  struct Enum {
    absl::flat_hash_map<int64_t, std::string> names;
    bool closed = false;  // another number is none of its values: a field that isn't known
  };
  struct Part {
    uint32_t column = 0;
    std::unique_ptr<ProtobufPart> json;
    std::string empty;    // "[]", "{}"
    std::string present;  // what the present record has of it, as on the wire
  };

  std::shared_ptr<const void> schema;  // what the rest refers to
  std::vector<ProtobufNode> nodes;     // 0: the message itself
  std::vector<ProtobufField> fields;   // 0: none
  std::vector<uint32_t> clears;        // columns
  std::vector<Enum> enums;
  std::vector<Part> parts;
  std::vector<std::string> texts;
  // Columns for which nothing of such a message is ever a value, and why.
  std::vector<std::pair<size_t, std::string>> never;
};

// `schema` keeps the message alive.
absl::StatusOr<ProtobufScanPlan> CompileProtobuf(const google::protobuf::Descriptor& message,
                                                 const std::vector<ReadTarget>& targets,
                                                 std::shared_ptr<const void> schema);

// Reads one message, which begins at `begin`, into the current row. The reason, where it isn't a message of the plan's
// type or doesn't fit.
std::optional<std::string> ScanProtobuf(ProtobufScanPlan* plan, std::string_view value, size_t begin,
                                        ColumnSet* columns);

}  // namespace tidemark
