// How Debezium writes a value of a database's type, and how that becomes a value of a column. By the schema part of a
// record, which names the type (`io.debezium.time.MicroTimestamp`), or where there is none by what the topology says of
// the column (`as: MicroTimestamp`); never by how the value looks, as days, milliseconds and microseconds are all
// numbers, and bytes are text. Pure functions; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "src/base/value_text.h"
#include "src/codec/column_set.h"

namespace tidemark::debezium {

enum class Encoding : uint8_t {
  kPlain,   // as JSON has it: bool, numbers, text, base64
  kDays,    // since 1970
  kMillis,  // of time, since 1970
  kMicros,
  kNanos,
  kIsoDate,       // 2026-01-31, perhaps with a Z behind it
  kIsoTimestamp,  // RFC 3339
  kTimeMillis,    // of a day
  kTimeMicros,
  kTimeNanos,
  kDecimalBytes,   // base64 of a big-endian number in two's complement; the scale stands beside it
  kDecimalStruct,  // {"scale": 2, "value": <base64>}
  kDecimalText,
  kJsonText,  // text that is JSON
  kArray,     // of plain values, as JSON has it
  kRefused,
};

struct Reading {
  Encoding encoding = Encoding::kPlain;
  int scale = 0;        // kDecimalBytes
  std::string refusal;  // kRefused: why, in words for people
};

// A column of the table, as its schema says: Connect's type ("int64", "struct") and the name of what it means; "" has
// none.
struct TableType {
  std::string_view type, name;
  std::optional<int> scale;          // of a decimal
  std::string_view item, item_name;  // of an array's elements
};
Reading ReadingOf(const TableType& of, const Type& column);

// The words that `as` takes: "Date", "MicroTimestamp", "Decimal(2)" ... Nothing: there is no such one.
std::optional<Reading> ReadingAs(std::string_view as, const Type& column);
// Those that columns of this type take, for people; "": a column of this type needs none, as there is but one way.
std::string AsFor(const Type& column);

// A value that is no object and no array into the current row: the reason, where it isn't the column's.
std::optional<std::string> SetValue(const Reading& reading, size_t column, const ScalarText& value, ColumnSet* columns);
// The same for the bytes of a decimal, in base64.
std::optional<std::string> SetDecimal(size_t column, std::string_view base64, int scale, ColumnSet* columns);

}  // namespace tidemark::debezium
