// Records of a table's changes as Debezium writes them in JSON (PostgreSQL, MySQL, MariaDB): each is a row, of the
// values that it has after the change, or of its key's where it is deleted, with what the record says of the change
// behind it (change.h). What the row was before is looked at only for a deleted key: the step behind keeps rows itself.
//
//   c, u, r   the row after the change      d   the row that is deleted; the key alone where nothing else is said
//   m         no row; by Tidemark's own reader of PostgreSQL, the end of a new snapshot, told to the step behind
//   t         the table was emptied: an error, or a bad record (on_truncate)
//   no value  (the tombstone behind d)  no row
//
// Used by one thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <absl/status/status.h>

#include "src/codec/column_set.h"
#include "src/codec/debezium/envelope.h"
#include "src/codec/debezium/record_rules.h"
#include "src/codec/debezium/row_reader.h"
#include "src/codec/value_reader.h"

namespace tidemark::debezium {

class Reader final : public ValueReader {
 public:
  struct Options {
    bool schema_in_values = true;  // a record without its schema part is bad
    bool stop_on_truncate = true;
  };
  Reader(Options options, const std::vector<ReadTarget>& targets);

  absl::Status Read(const Fetch& fetch, size_t first, size_t last, RecordRows* rows) override;

 private:
  // Of what stands beside the row.
  struct Beside {
    size_t column = 0;
    Type type;
    std::vector<std::string> path;  // one name, or two: "source", "lsn"
  };

  // What the record does; the columns of its row are set.
  absl::StatusOr<Operation> ReadRecord(const RecordView& record, RecordRows* rows, std::string* reason);
  // A message. False: it says nothing to us.
  bool ReadMark(RecordRows* rows, std::string* reason);
  std::optional<std::string> ReadRow(const RecordView& record, bool deleted, RecordRows* rows);
  // The deleted row's key, where the record says nothing else of it.
  std::optional<std::string> ReadKey(const Bytes& key, ColumnSet* columns);
  std::optional<std::string> CheckKey(const Bytes& key);
  // How columns are read: by the schema part, or as the topology says. Null: the reason says why not.
  const std::vector<Reading>* ReadingsOf(std::string_view schema, std::string_view row, std::string* reason);
  std::optional<std::string> ReadBeside(const Envelope& envelope, ColumnSet* columns);

  const Options options_;
  EnvelopeReader envelopes_;
  RowReader row_;
  std::vector<Beside> beside_;
  std::optional<size_t> change_column_;
  std::vector<Reading> stated_;  // by column of the row: as the topology says
  std::unordered_map<std::string, std::vector<Reading>> by_schema_;
  std::string_view last_schema_;  // a key of by_schema_
  const std::vector<Reading>* last_readings_ = nullptr;
  bool key_checked_ = false;
  Envelope envelope_;
  std::string unchanged_, change_, scratch_;  // of the present record
  std::vector<std::string> unnamed_;
};

}  // namespace tidemark::debezium
