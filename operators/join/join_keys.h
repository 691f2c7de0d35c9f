// The keys by which rows of two streams meet, as 128 bits: of one integer column exactly, of others by their XXH3 hash,
// as in dedup. Equal in SQL means equal here. Not written to state: they are made again from the rows. Touched only by
// the stream thread.
#pragma once

#include <cstdint>
#include <vector>

#include <absl/status/status.h>

#include "src/base/schema.h"
#include "src/codec/row_codec.h"

namespace tidemark {

struct JoinKey {
  uint64_t high = 0, low = 0;  // evenly spread, both
  friend bool operator==(const JoinKey&, const JoinKey&) = default;
};

class JoinKeys {
 public:
  JoinKeys(const Schema& schema, const std::vector<size_t>& columns)
      : columns_(columns), codec_(RowCodec::Key(schema, columns)), integer_(IsInteger(schema, columns)) {}

  // The key of each row, and whether a column of it is NULL, which matches nothing.
  absl::Status Of(const arrow::RecordBatch& rows, std::vector<JoinKey>* keys, std::vector<uint8_t>* nulls);

 private:
  static bool IsInteger(const Schema& schema, const std::vector<size_t>& columns);

  const std::vector<size_t> columns_;
  const RowCodec codec_;
  const bool integer_;
  EncodedKeys encoded_;  // scratch
};

}  // namespace tidemark
