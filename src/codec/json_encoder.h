// Rows to Kafka records: JSON object values (visible columns, in order, each in its declared form; NULL is null), keys
// in text or JSON form, partitions by murmur2 like the Java client's. Touched by one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "src/base/batch.h"
#include "src/base/record.h"
#include "src/plan/plan.h"

namespace tidemark {

// Encoded records: views into `arena`, which grows once a batch and is reused by the next Encode.
struct EncodedRecords {
  std::string arena;
  std::vector<OutRecord> records;
};

class RowEncoder {
 public:
  virtual ~RowEncoder() = default;

  // Replaces `out` by one record a row. Upsert: a delete yields a null value (a tombstone); so does an update-before
  // row whose record the row after it doesn't replace, as its key is another; else that yields nothing. A row without
  // key columns gets partition `fallback_partition`.
  virtual absl::Status Encode(const arrow::RecordBatch& rows, int32_t partition_count, int32_t fallback_partition,
                              EncodedRecords* out) = 0;
};

struct RowEncoderOptions {
  Schema schema;
  std::vector<size_t> key;
  KeyFormat key_format = KeyFormat::kText;
  bool upsert = false;
};
std::unique_ptr<RowEncoder> MakeRowEncoder(const RowEncoderOptions& options);

// One row as a JSON object, e.g. for dead letters and logs.
std::string RowToJson(const Schema& schema, const arrow::RecordBatch& rows, int64_t row);

// The Java client's default partitioner: toPositive(murmur2(key)) % partitions.
uint32_t Murmur2(std::string_view key);
int32_t JavaPartition(std::string_view key, int32_t partitions);

}  // namespace tidemark
