// How records of one writer's schema are read into our columns: that schema and the columns compiled to a flat list of
// steps, in the order in which an Avro record's bytes lie. What isn't wanted is passed over, and checked as it passes:
// a length, a union's branch or a block's count that can't be is an error with its place, never a read beyond the
// record.
//
// Which column a field goes to follows from names (a field's, or one of its aliases, along the path; the keys of a map
// are names too); whether it fits, from Avro's rules of resolution with the column as the reader's type:
//
//   column     from
//   bool       boolean
//   int32/64   int, long: the number as it is, whatever logical type it has; out of range is an error of the value
//   double     float, double, int, long
//   decimal    decimal (bytes, fixed, Debezium's of any scale), int, long, string; never rounded
//   string     string, enum, bytes (UTF-8), uuid, decimal
//   bytes      bytes, fixed, string
//   date       date, string
//   json       string, as Debezium writes JSON; array, map and record, as scan_json.cc says
//   timestamp  timestamp-millis/micros/nanos, by the unit that the schema says; RFC 3339 text; timestamp_s/ms/us: also
//              int and long without a logical type, by the unit that the column says
//
// A branch that is null, and a field that the writer doesn't have, give no value: the column's default, or NULL. What
// doesn't fit is an error of the column (`on_error` decides). Immutable; any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

#include "src/codec/avro/schema.h"
#include "src/codec/column_set.h"
#include "src/codec/value_reader.h"

namespace tidemark {

enum class AvroOp : uint8_t {
  // Passed over.
  kSkipBool,
  kSkipInt,
  kSkipLong,
  kSkipFixed,  // n bytes
  kSkipText,
  kSkipEnum,   // n symbols
  kSkipArray,  // the n steps that follow are an element
  // Read into `column`.
  kBool,
  kInt,
  kLong,
  kIntToDouble,
  kLongToDouble,
  kFloat,
  kDouble,
  kIntegerToDecimal,
  kScaled,  // a number whose unit the column says
  kMillis,
  kMicros,
  kNanos,
  kString,
  kBytes,
  kText,   // a string that is written as the column's type demands
  kJson,   // a string that is JSON
  kTree,   // an array, a map or a record, as JSON; nodes[arg]
  kEnum,   // texts[n, n + arg) are the symbols
  kFixed,  // n bytes
  kUuid,
  kDecimal,       // bytes; of scale `arg`
  kFixedDecimal,  // n bytes; of scale `arg`
  kVariableDecimal,
  // The same, where AvroTable says that it fits.
  kFloatToDecimal,
  kDoubleToDecimal,
  kNumberText,    // the digits of an int or long
  kTimeOfDay,     // 12:34:56; `arg` is the AvroLogical that says the unit
  kIsoDate,       // a date as text, perhaps with a Z behind it
  kIsoTimestamp,  // RFC 3339, into a timestamp of any form
  kArrayJson,     // an array of plain values, as JSON; plain[arg]
  // Taken as they are: slot `column`.
  kTakeNumber,
  kTakeText,
  // The way through.
  kMap,          // maps[arg]; the n steps that follow are its values
  kNullable,     // a union of two, whose branch `arg` is null: the n steps that follow are the other one's
  kUnion,        // n branches, which begin at jumps[arg + branch]
  kJump,         // over n steps
  kMark,         // what follows is read again ...
  kBack,         // ... from here
  kUnfit,        // no value of `column`, because of texts[arg]
  kUnavailable,  // a text or bytes that say that the value hasn't changed: any of `column`, which is marked; and over
                 // the n steps that follow
  kUnavailableArray,  // the same in an array of one element
  kRefuse,            // no value at all, because of texts[arg]
};

struct AvroStep {
  AvroOp op;
  uint32_t column = 0;
  uint32_t n = 0;
  uint32_t arg = 0;
};

// Of changes of a table: what its types mean, beyond Avro.
struct AvroTable {
  // Why no value of the type is one of the column; "": they are.
  std::string (*why_not)(const AvroNode& node, const Type& column);
  // What stands for a value that hasn't changed, as text or bytes.
  std::string_view unavailable;
};

// Keep the schema that it was compiled from: `nodes` are its.
struct AvroScanPlan {
  // The values of a map that are wanted, by key.
  struct Map {
    struct Key {
      std::string key;
      uint32_t begin = 0, end = 0;  // steps of its value
    };
    std::vector<Key> keys;
    uint32_t skip_begin = 0, skip_end = 0;  // steps of any other value
  };

  std::vector<AvroStep> steps;
  std::vector<uint32_t> paths;  // by step: the place in the record, of `texts`
  std::vector<std::string> texts;
  std::vector<uint32_t> jumps;
  std::vector<Map> maps;
  std::vector<uint64_t> least;  // by step: kSkipArray, the bytes that an element has at least
  // Of kArrayJson: the elements' type, and which branch of their union is null; -1: they are no union.
  struct Plain {
    AvroType type;
    int null = -1;
  };
  std::vector<Plain> plain;
  std::vector<const AvroNode*> nodes;  // of kTree
  std::string unavailable;             // AvroTable's
};

// What a scan finds besides the values of columns.
struct AvroTaken {
  struct Slot {
    bool is_there = false;
    int64_t number = 0;
    std::string_view text;  // into the value
  };
  std::vector<Slot> slots;
  std::string unchanged;  // columns that are unavailable: bit c % 8 of byte c / 8; empty: none
};

// InvalidArgument: values of that schema can't be rows of these columns, whatever they are.
// `table`: of targets that aren't `beside`, its rules come first; those that are may also be numbers in the unit that
// their `as` says (Timestamp, MicroTimestamp, NanoTimestamp), or text made of numbers.
absl::StatusOr<AvroScanPlan> CompileAvro(const AvroSchema& schema, const std::vector<ReadTarget>& targets,
                                         const AvroTable* table = nullptr);
// Takes numbers and texts as they are: a target's `column` is its slot, its type int64 or string.
absl::StatusOr<AvroScanPlan> CompileAvroTaking(const AvroSchema& schema, const std::vector<ReadTarget>& targets);

// Reads one value, of which the first `begin` bytes were read before, into the current row. The reason, where it isn't
// a value of the plan's schema or doesn't fit.
// `columns` is null where the plan takes. `taken` is needed by plans that take or know a table; the caller empties it.
std::optional<std::string> ScanAvro(const AvroScanPlan& plan, std::string_view value, size_t begin, ColumnSet* columns,
                                    AvroTaken* taken = nullptr);

}  // namespace tidemark
