// Internal rows: batches as the values of Kafka records (layout: proto/packed.proto, RowsHeader), split below 512 KiB.
// The topics that carry them are written without compression: the columns are as small as compressed ones
// (packed_columns.h).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/types/span.h>

#include "proto/packed.pb.h"
#include "src/base/batch.h"
#include "src/codec/column_packer.h"

namespace tidemark {

// Records are split so that their values stay below this, except where one row alone is larger.
inline constexpr size_t kPackedTargetBytes = 448 << 10;
// Rows of a record: more are no cheaper, and a batch of so many still lies in the processor's cache.
inline constexpr int64_t kMaxPackedRows = 16 << 10;
// The max.message.bytes that internal topics are created with, and the largest packed row.
inline constexpr size_t kMaxPackedRow = 16 << 20;

// Packs the rows of a commit for one target partition, each batch as it comes: what waits for the commit is small.
// Touched only by the stream thread.
class RowsPacker {
 public:
  // `schema` is the batch schema of the edge (BatchSchema).
  explicit RowsPacker(std::shared_ptr<arrow::Schema> schema);

  bool empty() const { return records_.empty() && rows_ == 0; }

  // Those rows of a batch of the schema that no internal topic carries, with their sizes; hardly ever any.
  std::vector<std::pair<int64_t, size_t>> TooLarge(const arrow::RecordBatch& batch) const;

  // Appends these rows of a batch of the schema, in this order. InvalidArgument: one of them is too large.
  absl::Status Append(const arrow::RecordBatch& batch, absl::Span<const int32_t> rows);

  // Appends to `out` the values of the records that carry all rows since the last call; without rows one that carries
  // the watermark only. `header` gives the fields common to all, the sequence of the first (0: they have none) and the
  // schema that this names (or none); part, last, rows and schema_hash are filled in.
  void Finish(packed::RowsHeader header, std::vector<std::string>* out);

 private:
  struct Record {
    int64_t rows = 0;
    std::string columns;
  };
  absl::StatusOr<size_t> RowsThatFit(const arrow::RecordBatch& batch, absl::Span<const int32_t> rows);
  void CloseRecord();

  std::shared_ptr<arrow::Schema> schema_;
  uint64_t schema_hash_;
  size_t room_;  // for a row, beside the header with its schema
  std::vector<ColumnPacker> columns_;
  std::vector<int> texts_;          // the columns whose cells differ in size
  size_t cells_bytes_ = 0;          // of a row, at most, without the bytes of its texts
  int64_t rows_ = 0;                // of the record under way
  size_t unpacked_ = 0;             // its texts, as a reader will hold them
  std::vector<Record> records_;     // that are full
  std::vector<size_t> text_bytes_;  // scratch
};

// A record's header, and where its columns lie in the value.
struct PackedRecord {
  packed::RowsHeader header;
  bool arrow_message = false;  // an earlier version's form of the columns
  std::string_view columns;
};
// DataLoss: not a packed record.
absl::StatusOr<PackedRecord> OpenRecord(std::string_view value);
// The rows of a record that has some, under the schema that they were written with. `header` is the record's.
absl::StatusOr<Batch> UnpackColumns(const PackedRecord& record, const packed::RowsHeader& header,
                                    const std::shared_ptr<arrow::Schema>& schema);

// What RowsReader (rows_reader.h) makes of a record.
struct UnpackedRows {
  packed::RowsHeader header;
  Batch rows;  // null: none
};

// Row numbers by target partition (0 <= targets[i] < count), in their order: those of target t are
// rows[begins[t]] .. rows[begins[t + 1]].
struct RowsByTarget {
  std::vector<int32_t> rows;
  std::vector<size_t> begins;

  absl::Span<const int32_t> of(size_t target) const {
    return absl::MakeConstSpan(rows).subspan(begins[target], begins[target + 1] - begins[target]);
  }
};
void SplitByTarget(const std::vector<int32_t>& targets, int32_t count, RowsByTarget* out);

}  // namespace tidemark
