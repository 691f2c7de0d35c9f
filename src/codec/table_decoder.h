// Records of a table topic to rows and deletions, through the same readers as a source's. One decoder per table; used
// by one thread.
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
#include "src/codec/value_reader.h"
#include "src/plan/plan.h"

namespace tidemark {

struct DecodedTableRows {
  Batch rows;                       // TablePlan::schema, in offset order
  std::vector<uint8_t> deleted;     // by row: 1 for a deletion, of which only the key columns matter
  std::vector<DecodeError> errors;  // of records that can't be rows
  size_t next = 0;                  // the record to go on with; the fetch's size: all were read
  std::string waits_for;            // what record `next` waits for; "": nothing
};

class TableDecoder {
 public:
  // InvalidArgument: a format that isn't known.
  static absl::StatusOr<std::unique_ptr<TableDecoder>> Make(const TablePlan& plan,
                                                            const Formats& formats = OwnFormats());

  // Decodes records of the fetch from `first` on, all or up to one that has to wait. A null value is a deletion, whose
  // key columns come from the record key.
  absl::StatusOr<DecodedTableRows> Decode(const Fetch& fetch, size_t first);

 private:
  TableDecoder(const TablePlan& plan, RecordRows rows, std::unique_ptr<ValueReader> reader);

  const std::string name_;
  const std::shared_ptr<arrow::Schema> schema_;
  RecordRows rows_;
  const std::unique_ptr<ValueReader> reader_;
};

}  // namespace tidemark
