// A Debezium record's value, taken apart: before and after, where it comes from, what it does. With the schema part
// that Kafka Connect's JsonConverter writes around it or without. Nothing is copied: the parts are views into the
// record, found well-formed. Used by one thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "src/codec/debezium/change.h"
#include "src/codec/debezium/field_names.h"

namespace tidemark::debezium {

// Members of a record by their text; empty: it has none, or null.
struct Envelope {
  std::string_view schema, before, after, source, transaction;
  std::string_view op;                   // its letter; empty: there is none, so it is no change of a row
  std::string_view ts_ms, ts_us, ts_ns;  // when Debezium made the record, as written
};

class EnvelopeReader {
 public:
  EnvelopeReader();

  // The reason, where the text is no such object.
  std::optional<std::string> Read(std::string_view json, Envelope* out);

  // Of the member `source`: where in the database's log, and when committed; and what Tidemark's own reader of
  // PostgreSQL adds: whether a snapshot has overtaken it, and which new snapshot it is from or behind. `position` is
  // valid until the next call.
  std::optional<std::string> ReadSource(std::string_view source, Change* change);

 private:
  bool ReadMember(int number, int depth, Envelope* out);
  bool TakeValue(int depth, std::string_view* out);

  JsonText text_;
  FieldNames names_, payload_names_, source_names_;
  std::string last_schema_;  // of the record before
  std::string scratch_, file_, position_;
};

}  // namespace tidemark::debezium
