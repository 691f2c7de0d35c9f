#include "src/codec/debezium/record_rules.h"

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "src/base/big_endian.h"
#include "src/codec/debezium/change.h"

namespace tidemark::debezium {
namespace {

constexpr char kPostgresLog = 'P', kMysqlLog = 'M';

constexpr char kTruncated[] =
    "the table was emptied (TRUNCATE). The record has no key and no order among the other partitions, so which of the "
    "rows that are kept it means can't be told. Either state `on_truncate: dead_letter` in the format, which passes it "
    "over and leaves the rows as they were; or start anew under another name, with a topic that begins with a new "
    "snapshot";

}  // namespace

absl::StatusOr<Operation> OperationOf(std::string_view op, bool stop_on_truncate, std::string* reason) {
  if (op == "c" || op == "u" || op == "r") return Operation::kRow;
  if (op == "d") return Operation::kDeletion;
  if (op == "t") {
    if (stop_on_truncate) return absl::FailedPreconditionError(kTruncated);
    *reason = "the table was emptied (TRUNCATE), and its rows stand here as they were (on_truncate: dead_letter)";
  } else if (op.empty()) {
    *reason =
        "no Debezium record: it has no `op` (is a transformation such as ExtractNewRecordState on? rows by themselves "
        "are read as format json or avro)";
  } else if (op != "m") {
    *reason = absl::StrCat("unknown op ", Excerpt(op));
  }
  return Operation::kNothing;
}

void AppendPosition(const LogPlace& place, std::string* out) {
  if (place.lsn) {
    out->push_back(kPostgresLog);
    AppendBigEndian(static_cast<uint64_t>(*place.lsn), 8, out);
  } else if (!place.file.empty() && place.pos) {
    out->push_back(kMysqlLog);
    AppendBigEndian(place.file.size(), 2, out);  // file 1000000 follows file 999999
    out->append(place.file);
    AppendBigEndian(static_cast<uint64_t>(*place.pos), 8, out);
    AppendBigEndian(static_cast<uint64_t>(place.row.value_or(0)), 8, out);
  }
}

int64_t CommittedUs(const LogPlace& place) {
  if (place.ts_us) return *place.ts_us;
  int64_t us = 0;
  if (place.ts_ms && ScaleTimestamp(*place.ts_ms, TimestampForm::kMillis, &us) == Fit::kOk) return us;
  return Change::kNoTime;
}

std::string TableChanged(std::string reason) {
  return absl::StrCat(std::move(reason), " (the table changed, or never was as the topology says)");
}

std::optional<std::string> OtherKey(std::vector<std::string> found, const std::vector<RowColumn>& row) {
  std::vector<std::string> wanted;
  for (const RowColumn& column : row) {
    if (column.key) wanted.push_back(column.name);
  }
  std::sort(wanted.begin(), wanted.end());
  std::sort(found.begin(), found.end());
  if (wanted == found) return std::nullopt;
  return absl::StrCat("the record key is (", absl::StrJoin(found, ", "), "), the source's `key` (",
                      absl::StrJoin(wanted, ", "), "): changes of one key must lie in one partition, in their order");
}

}  // namespace tidemark::debezium
