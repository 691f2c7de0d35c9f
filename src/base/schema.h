// The types of columns: what a YAML file declares, what an expression yields, what a sink creates its table from.
// Immutable values, usable from any thread.
//
// A Type says more than the Arrow type it is held in: all timestamps are held as microseconds (UTC), and `form` keeps
// how the user wrote them, so that JSON writes a column as it was read.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/type_fwd.h>

namespace tidemark {

// kJson: text that is one valid JSON value, kept as it was written. It has no equality.
enum class Kind { kBool, kInt32, kInt64, kDouble, kString, kBytes, kDate, kDecimal, kTimestamp, kJson };

// The written form of a timestamp: RFC 3339 text, or a number of seconds, milliseconds or microseconds.
enum class TimestampForm { kRfc3339, kSeconds, kMillis, kMicros };

struct Type {
  Kind kind = Kind::kInt64;
  TimestampForm form = TimestampForm::kRfc3339;  // kTimestamp only
  int precision = 0, scale = 0;                  // kDecimal only, 1 <= precision <= 38

  friend bool operator==(const Type&, const Type&) = default;
};

// The YAML's name of a type, e.g. "int64", "timestamp_ms", "decimal(10,2)".
std::string TypeName(const Type& type);
// The type of that name; nothing where there is none.
std::optional<Type> ParseType(std::string_view name);
// The Arrow type a column of this type is held in: boolean, int32, int64, float64, utf8, binary, date32,
// decimal128(p, s), timestamp(us, "UTC"); json as utf8.
std::shared_ptr<arrow::DataType> ArrowType(const Type& type);

struct Column {
  std::string name;
  Type type;
  bool nullable = false;

  friend bool operator==(const Column&, const Column&) = default;
};

// The visible columns of a step, in order.
class Schema {
 public:
  Schema() = default;
  explicit Schema(std::vector<Column> columns) : columns_(std::move(columns)) {}

  const std::vector<Column>& columns() const { return columns_; }
  size_t size() const { return columns_.size(); }
  const Column& operator[](size_t i) const { return columns_[i]; }
  // The position of the column of that name.
  std::optional<size_t> Find(std::string_view name) const;
  void Add(Column column) { columns_.push_back(std::move(column)); }
  // The columns at these positions, in their order.
  Schema Select(const std::vector<size_t>& positions) const;
  std::vector<std::string> Names() const;
  // "a int64, b string null", for messages and fingerprints.
  std::string ToString() const;

  friend bool operator==(const Schema&, const Schema&) = default;

 private:
  std::vector<Column> columns_;
};

}  // namespace tidemark
