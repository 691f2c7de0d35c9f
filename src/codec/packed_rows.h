// Internal rows: batches as the values of Kafka records (layout: proto/packed.proto, RowsHeader), split below 512 KiB.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "proto/packed.pb.h"
#include "src/base/batch.h"

namespace tidemark {

// Records are split so that their values stay below this, except where one row alone is larger.
inline constexpr size_t kPackedTargetBytes = 448 << 10;
// The max.message.bytes that internal topics are created with, and the largest packed row.
inline constexpr size_t kMaxPackedRow = 16 << 20;

// Appends the values of the records that carry `rows` (may be null: watermark only, one record) to `out`. `header`
// gives the fields common to all; part, last, rows and schema_hash are filled in. InvalidArgument: a single row larger
// than kMaxPackedRow.
absl::Status PackRows(const packed::RowsHeader& header, const Batch& rows, std::vector<std::string>* out);

struct UnpackedRows {
  packed::RowsHeader header;
  Batch rows;  // null: none
};
// `schema` is the batch schema of the edge (BatchSchema). FailedPrecondition: rows of another schema. DataLoss: not a
// packed record.
absl::StatusOr<UnpackedRows> UnpackRows(std::string_view value, const std::shared_ptr<arrow::Schema>& schema);

// Splits rows by target partition (0 <= targets[i] < count), keeping their order; empty targets are null.
std::vector<Batch> SplitByTarget(const Batch& rows, const std::vector<int32_t>& targets, int32_t count);

}  // namespace tidemark
