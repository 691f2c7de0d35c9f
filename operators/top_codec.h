// What both kinds of top do with rows: bytes by which they are grouped, ranked and kept, and batches of ranked rows
// made from them. Immutable.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "operators/row_codec.h"
#include "operators/step.h"
#include "src/plan/plan.h"

namespace tidemark {

// By row of a batch.
struct TopKeys {
  EncodedKeys groups, ranks, rows, keys;  // keys: of update steps
};

class TopCodec {
 public:
  TopCodec(const Node& node, const TopSpec& spec);

  absl::Status Encode(const arrow::RecordBatch& batch, TopKeys* out) const;
  // Rows as a batch of the input's visible columns.
  absl::StatusOr<Batch> DecodeInput(const std::vector<std::string_view>& rows) const;
  // Rows and their ranks as a batch of the output.
  absl::StatusOr<Batch> Ranked(const std::vector<std::string_view>& rows, const std::vector<int64_t>& ranks,
                               const HiddenValues& hidden) const;

 private:
  const StepShape shape_;
  const bool has_rank_;
  RowCodec group_, rank_, row_, key_;
};

}  // namespace tidemark
