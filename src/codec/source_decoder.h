// Records of a source to rows: the reader of the source's format, and around it what no format knows of. One decoder
// per source and task; touched only by its stream thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "src/base/batch.h"
#include "src/base/record.h"
#include "src/codec/formats.h"
#include "src/codec/record_rows.h"
#include "src/codec/source_time.h"
#include "src/codec/value_reader.h"
#include "src/plan/plan.h"

namespace tidemark {

// What records of a fetch have become.
struct DecodedRows {
  Batch rows;                        // SourcePlan::schema and ::hidden, in offset order
  std::vector<DecodeError> errors;   // of records that can't be rows, ascending
  size_t next = 0;                   // the record to go on with; the fetch's size: all were read
  std::string waits_for;             // what record `next` waits for; "": nothing
  int64_t empty_records = 0;         // good ones that gave no row
  std::vector<std::string> unnamed;  // columns that records have and nobody has asked for, when met first
};

class SourceDecoder {
 public:
  // InvalidArgument: a format that isn't known.
  static absl::StatusOr<std::unique_ptr<SourceDecoder>> Make(const SourcePlan& plan,
                                                             const Formats& formats = OwnFormats());

  // Decodes records of the fetch from `first` on, all or up to one that has to wait. Runs `time` forward row by row:
  // the hidden watermark of a row includes the row. A row further than max_ahead beyond its record's timestamp is an
  // error and doesn't move time. FailedPrecondition: a record stands in a partition that contradicts `partitioned_by`
  // (key, partition, remedies); `partition_count` is the topic's.
  absl::StatusOr<DecodedRows> Decode(const Fetch& fetch, size_t first, int32_t partition_count, SourceTime* time);

 private:
  SourceDecoder(const SourcePlan& plan, RecordRows rows, std::unique_ptr<ValueReader> reader);

  absl::Status CheckPartitions(const Fetch& fetch, size_t first, int32_t partition_count) const;

  const SourcePlan plan_;
  const std::shared_ptr<arrow::Schema> schema_;
  RecordRows rows_;
  const std::unique_ptr<ValueReader> reader_;
};

}  // namespace tidemark
