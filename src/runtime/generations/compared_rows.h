// Rows as hashes, by the columns that both sides of a comparison have (comparison.h). Used by one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <arrow/type_fwd.h>
#include <xxhash.h>

#include "src/base/compared_columns.h"
#include "src/codec/source_decoder.h"
#include "src/plan/plan.h"

namespace tidemark {

// A hash of each row, replacing `out`: equal where all columns are equal as SQL's IS NOT DISTINCT FROM has it. `arrays`
// are those of `columns`, in any type that fits into theirs; null: NULL in every row.
absl::Status HashRows(const std::vector<ComparedColumn>& columns,
                      const std::vector<std::shared_ptr<arrow::Array>>& arrays, int64_t rows,
                      std::vector<XXH128_hash_t>* out);

// The values of a sink's topic, decoded by their format, so that two generations may write them otherwise.
class ValueHashes {
 public:
  // `before`: which side's. InvalidArgument: the format isn't read.
  static absl::StatusOr<std::unique_ptr<ValueHashes>> Make(const KafkaSinkSpec& spec, const Schema& schema,
                                                           const std::vector<ComparedColumn>& columns, bool before,
                                                           const Formats& formats);

  // A hash of each record's value, replacing `out`. What can't be read, as somebody else has written it, and what is
  // null, goes by its bytes, and differs from whatever can.
  absl::Status Read(const Fetch& fetch, std::vector<XXH128_hash_t>* out);

 private:
  ValueHashes(std::vector<ComparedColumn> columns, std::vector<int> places, std::unique_ptr<SourceDecoder> decoder)
      : columns_(std::move(columns)), places_(std::move(places)), decoder_(std::move(decoder)) {}

  const std::vector<ComparedColumn> columns_;
  const std::vector<int> places_;  // of each, where it stands in what is decoded; -1: nowhere
  const std::unique_ptr<SourceDecoder> decoder_;
  std::vector<XXH128_hash_t> of_rows_;
};

}  // namespace tidemark
