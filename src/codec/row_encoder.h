// Rows to Kafka records: which rows become records, with which values and keys (in their formats), in which partitions
// (by murmur2, like the Java client's). Touched by one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/base/batch.h"
#include "src/base/record.h"
#include "src/codec/formats.h"
#include "src/codec/key_writer.h"
#include "src/codec/value_writer.h"
#include "src/plan/plan.h"

namespace tidemark {

// Encoded records: views into `arena`, which grows once a batch and is reused by the next Encode.
struct EncodedRecords {
  std::string arena;
  std::vector<OutRecord> records;
};

struct RowEncoderOptions {
  Schema schema;
  std::vector<size_t> key;
  FormatSpec key_format = kTextFormat;
  bool upsert = false;
  FormatSpec format = kJsonFormat;
  std::vector<size_t> value;  // the columns of values; empty: all
};

// Of a Kafka sink whose step has this schema.
RowEncoderOptions EncoderOptions(const Schema& schema, const KafkaSinkSpec& spec);

class RowEncoder {
 public:
  // InvalidArgument: a format that isn't known.
  static absl::StatusOr<std::unique_ptr<RowEncoder>> Make(const RowEncoderOptions& options,
                                                          const Formats& formats = OwnFormats());

  // Replaces `out` by one record a row. Upsert: a delete yields a null value (a tombstone); so does an update-before
  // row whose record the row after it doesn't replace, as its key is another; else that yields nothing. A row without
  // key columns gets partition `fallback_partition`.
  absl::Status Encode(const arrow::RecordBatch& rows, int32_t partition_count, int32_t fallback_partition,
                      EncodedRecords* out);
  bool upsert() const { return options_.upsert; }

 private:
  RowEncoder(const RowEncoderOptions& options, std::unique_ptr<KeyWriter> keys, std::unique_ptr<ValueWriter> values);

  void Choose(const int8_t* ops, int64_t rows, const TextBuffer& text);
  void ChooseAll(int64_t rows);
  void MakeRecords(int32_t partition_count, int32_t fallback_partition, EncodedRecords* out) const;

  const RowEncoderOptions options_;
  const std::unique_ptr<KeyWriter> key_writer_;
  const std::unique_ptr<ValueWriter> value_writer_;

  // Of the present batch. The arena may still move, so these are places in it: first all keys, then all values.
  struct Chosen {
    int32_t row = 0;
    bool has_value = false;
  };
  std::vector<KeyEnd> keys_;     // by row
  std::vector<Chosen> chosen_;   // upsert: the rows that become records; else all rows do
  std::vector<int32_t> valued_;  // the rows that have a value ...
  std::vector<size_t> ends_;     // ... and where that ends
  size_t values_begin_ = 0;
};

}  // namespace tidemark
