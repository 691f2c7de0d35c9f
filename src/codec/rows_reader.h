// The reading end of an internal topic: packed rows of whatever version of the topology wrote them, as rows of the edge
// as it is now.
//
// A writer names its schema in the first record that it writes to each partition under it, and a reader remembers what
// it was told as part of its durable position: where it goes on, later rows of that schema still mean the same,
// whatever has been trimmed and however the topology has changed in between. Most records are of the reader's own
// schema, which costs one comparison.
//
// Used by the reader's thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "src/codec/packed_rows.h"
#include "src/codec/packed_schema.h"

namespace tidemark {

class RowsReader {
 public:
  // `schema` is the batch schema of the edge (BatchSchema). `had`: columns of it which rows must have been written with
  // (src/runtime/columns_had.h).
  explicit RowsReader(std::shared_ptr<arrow::Schema> schema, std::vector<std::string> had = {});

  // FailedPrecondition: rows of a schema that was never named here, or that can't become rows of this one; says why.
  // DataLoss: not a packed record.
  absl::StatusOr<UnpackedRows> Read(std::string_view value);

  // The schemas that were named, the newest last; and those kept with the position that reading goes on from.
  const std::vector<packed::PackedSchema>& named() const { return named_; }
  void Learn(const packed::PackedSchema& schema);

 private:
  struct Former {
    packed::PackedSchema packed;
    std::shared_ptr<arrow::Schema> schema;
    std::optional<SchemaChange> change;
  };
  absl::StatusOr<Former*> Find(uint64_t hash);

  const std::shared_ptr<arrow::Schema> schema_;
  const std::vector<std::string> had_;
  const uint64_t hash_;
  std::vector<packed::PackedSchema> named_;
  std::map<uint64_t, Former> former_;  // made from named_ when rows of theirs come
};

}  // namespace tidemark
