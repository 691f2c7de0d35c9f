// Rows as byte strings: what operators keep of rows in memory and in state, and the keys by which they find and sort
// them. Bytewise order of two encodings is the order of the rows, column by column, each ascending or descending, as
// PostgreSQL sorts: NULL is greater than any value, NaN greater than any number, strings compare bytewise.
//
// Part of the state format: what is written here is read by later versions. Immutable; usable from any thread.
//
// A cell is a byte 1 and the value, or a byte 2 and zeros for NULL; numbers are big-endian with the sign bit flipped,
// strings end with 00 00 and have their own 00 written as 00 FF. A descending column has all its bits flipped.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <arrow/type_fwd.h>

#include "src/base/schema.h"
#include "src/codec/key_encoder.h"

namespace tidemark {

class RowCodec {
 public:
  struct Field {
    size_t column = 0;
    Type type;
    bool descending = false;
  };

  // Every column of `schema`, exactly as it is.
  static RowCodec Rows(const Schema& schema);
  // Some columns as a key: values that are equal in SQL have equal bytes (-0 is 0, every NaN the same).
  static RowCodec Key(const Schema& schema, const std::vector<size_t>& columns);
  static RowCodec Key(std::vector<Field> fields) { return RowCodec(std::move(fields), true); }

  // One byte string a row, replacing `out`. ResourceExhausted: a batch of more than 4 GiB.
  absl::Status Encode(const arrow::RecordBatch& rows, EncodedKeys* out) const;

  // The columns again, in the order of the fields; all of them must be ascending. DataLoss: not an encoding of ours.
  absl::Status Decode(const std::vector<std::string_view>& rows, std::vector<std::shared_ptr<arrow::Array>>* out) const;

  // The cells of one row, in the order of the fields; joined again they are the row. All must be ascending. False: not
  // an encoding of ours.
  bool Split(std::string_view row, std::vector<std::string_view>* cells) const;

 private:
  RowCodec(std::vector<Field> fields, bool canonical) : fields_(std::move(fields)), canonical_(canonical) {}

  std::vector<Field> fields_;
  bool canonical_;
};

}  // namespace tidemark
