// Records of a table's changes as Debezium writes them in Avro: the same envelopes as in JSON (reader.h), whose schema
// is the registry's. For each writer's schema three plans are compiled when its first record comes: what the record
// says of the change, the row after it, and the key of the row before it. A record is scanned by the first, and then by
// the one of the others that its operation asks for.
//
// What a column of the table is read as says its Connect name in the schema, as in JSON and by the same table
// (encoding.h). The record key is Avro with a number of its own; it is held against the source's key once for each of
// its schemas, and read where a deletion has no row before it.
//
// Used by one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <absl/container/flat_hash_map.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/codec/avro/scan_plan.h"
#include "src/codec/debezium/record_rules.h"
#include "src/codec/schema_lookup.h"
#include "src/codec/value_reader.h"

namespace tidemark::debezium {

class AvroReader final : public ValueReader {
 public:
  struct Options {
    bool stop_on_truncate = true;
    SchemaLookup* lookup = nullptr;  // outlives the reader
  };
  AvroReader(Options options, const std::vector<ReadTarget>& targets);

  absl::Status Read(const Fetch& fetch, size_t first, size_t last, RecordRows* rows) override;

 private:
  // What is known of the schema of values, or of keys.
  struct Writer {
    std::string refused;                 // why its records can't be read; "": they can
    AvroScanPlan change, after, before;  // of values
    AvroScanPlan key;                    // of keys
  };
  using Writers = absl::flat_hash_map<int32_t, std::unique_ptr<Writer>>;

  // What stops a record from being read: for good, or as its schema isn't here yet.
  struct Trouble {
    std::string reason, later;
    bool unknown = false;  // no schema is known by the number that is there, or none is there
    bool none() const { return reason.empty() && later.empty(); }
  };

  absl::StatusOr<Operation> ReadRecord(const Fetch& fetch, size_t i, RecordRows* rows, Trouble* trouble);
  std::string ReadRow(std::string_view value, const Writer& writer, ColumnSet* columns);
  void ReadDeletion(const RecordView& record, const Writer& writer, ColumnSet* columns, Trouble* trouble);
  std::string SetChange(Operation operation, ColumnSet* columns);
  // The schema that the bytes name, of values or of keys; null: the trouble says why.
  const Writer* Find(std::string_view bytes, bool key, Trouble* trouble);
  void CompileValue(const AvroSchema& schema, Writer* writer);
  void CompileKey(const AvroSchema& schema, Writer* writer) const;
  // The row's columns in a record of the schema, below `below` ("after"), and what stands beside it.
  std::vector<ReadTarget> Targets(std::string_view below, bool key_only) const;

  const Options options_;
  const std::vector<ReadTarget> targets_;
  std::vector<RowColumn> row_;
  std::optional<size_t> change_column_;
  Writers values_, keys_;
  int32_t last_value_ = -1, last_key_ = -1;  // the schemas of the record before
  const Writer *last_value_writer_ = nullptr, *last_key_writer_ = nullptr;
  std::set<std::string> named_;       // columns of the table that nobody asked for
  std::vector<std::string> unnamed_;  // those among them that aren't told yet
  AvroTaken taken_;
  std::string position_, change_;  // of the present record
};

}  // namespace tidemark::debezium
