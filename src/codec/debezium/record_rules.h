// What holds of a Debezium record whatever it is encoded in, JSON or Avro: what its operations mean, where it stands in
// the log of its database, and the words for what can't be read. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "src/codec/column_set.h"
#include "src/codec/debezium/row_reader.h"

namespace tidemark::debezium {

// Of a record: a row, the deletion of one, or nothing.
enum class Operation { kRow, kDeletion, kNothing };

// By its letter; the reason, where it is none. An error: the table was emptied, and that stops the run.
absl::StatusOr<Operation> OperationOf(std::string_view op, bool stop_on_truncate, std::string* reason);

// Numbers and texts of the member `source` as far as they are there.
struct LogPlace {
  std::optional<int64_t> lsn, pos, row, ts_ms, ts_us;
  std::string_view file;
};
// PostgreSQL: a number. MySQL and MariaDB: a file whose name ends with a running number, a place in it, a row of the
// event there. As Change::position has it; empty: not known.
void AppendPosition(const LogPlace& place, std::string* out);
// When the database committed the change, Change::kNoTime: not known.
int64_t CommittedUs(const LogPlace& place);

// `reason`, with the guess behind it that the table isn't as it was when the topology was written.
std::string TableChanged(std::string reason);

// The record key has these names, and the source's key is another; nothing: they agree.
std::optional<std::string> OtherKey(std::vector<std::string> found, const std::vector<RowColumn>& row);
inline constexpr char kNoRecordKey[] =
    "the record key is null, so changes of one row lie in any partition and have no order: give the table a primary "
    "key, or the connector message.key.columns";
inline constexpr char kNoKeyOfDeletion[] =
    "a deletion without `before`, and without a record key: which row it means isn't known";

}  // namespace tidemark::debezium
