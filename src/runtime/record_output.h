// Rows as records of a topic: a sink's, or that of late or unmatched rows. They are encoded and produced as they
// come. What the topic doesn't take for its size is refused to the dead letters, each record for itself, and the rest
// of the transaction stands.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "src/codec/row_encoder.h"
#include "src/runtime/output.h"
#include "src/runtime/record_limits.h"

namespace tidemark {

// A record that its topic doesn't take.
struct RefusedRecord {
  const OutRecord& record;
  std::string reason;  // with its size and the limit
  // The row it was made of; of an upsert stream, whose records aren't rows one by one, no row: null.
  Batch rows;
  int64_t row = 0;
};

// What becomes of records that are too large. Without `send` none are looked for.
struct Refusals {
  RecordLimit limit;
  std::function<absl::Status(const RefusedRecord&)> send;
};

class RecordOutput final : public Output {
 public:
  RecordOutput(std::string topic, int32_t partitions, int32_t task_partition, std::unique_ptr<RowEncoder> encoder,
               const std::vector<std::pair<std::string, std::string>>& headers, Transaction* transaction,
               Refusals refusals = {});

  absl::Status Write(const Batch& rows) override;
  int64_t rows_written() const override { return rows_; }

 private:
  absl::Status TakeOutTooLarge(const Batch& rows);

  const std::string topic_;
  const int32_t partitions_, fallback_partition_;
  const std::unique_ptr<RowEncoder> encoder_;
  HeaderList headers_;
  int64_t header_bytes_ = 0;
  Transaction* const transaction_;
  const Refusals refusals_;
  EncodedRecords encoded_;
  int64_t rows_ = 0;
};

}  // namespace tidemark
