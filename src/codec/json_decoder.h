// Source records to columns. One decoder per source and task; touched only by its stream thread. JSON is parsed
// straight into columns (src/codec/json_text.h says why not with simdjson): no row objects.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "src/base/batch.h"
#include "src/base/record.h"
#include "src/base/time.h"
#include "src/plan/plan.h"

namespace tidemark {

// A record that can't become a row.
struct DecodeError {
  size_t record = 0;   // position in the fetch
  std::string reason;  // "column detection_oid: expected int64, found string" ...
};

// A source partition's event-time progress; part of the commit record.
struct SourceTime {
  EventTime max_time = kMinTime;  // largest event time accepted
  EventTime floor = kMinTime;     // the watermark never lies below this (raised by --close_windows)

  EventTime Watermark(int64_t max_out_of_orderness_us) const {
    const EventTime running = max_time - max_out_of_orderness_us;
    return running < floor ? floor : running;
  }
};

class SourceDecoder {
 public:
  virtual ~SourceDecoder() = default;

  // Decodes all records of `fetch` into one batch (SourcePlan::schema and ::hidden, in offset order); those that can't
  // be become `errors` instead, ascending. Runs `time` forward row by row: the hidden watermark of a row includes the
  // row. A row further than max_ahead beyond its record's timestamp is an error and doesn't move time.
  // FailedPrecondition: a record stands in a partition that contradicts `partitioned_by` (key, partition, remedies);
  // `partition_count` is the topic's.
  virtual absl::StatusOr<Batch> Decode(const Fetch& fetch, int32_t partition_count, SourceTime* time,
                                       std::vector<DecodeError>* errors) = 0;
};

std::unique_ptr<SourceDecoder> MakeSourceDecoder(const SourcePlan& plan);

// Records of a table topic, in offset order, as rows of TablePlan::schema: a null value is a deletion (`deleted[i]` =
// 1; its key columns come from the record key). Bad records become `errors`.
absl::StatusOr<Batch> DecodeTableRecords(const TablePlan& plan, const Fetch& fetch, std::vector<uint8_t>* deleted,
                                         std::vector<DecodeError>* errors);

// All rows of a table file (Parquet, CSV with a header line, JSON Lines), as TablePlan::schema. InvalidArgument with
// file, line or row, and column for what doesn't fit.
absl::StatusOr<Batch> ReadTableFile(const TablePlan& plan);

}  // namespace tidemark
