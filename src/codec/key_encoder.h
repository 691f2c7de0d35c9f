// Key columns as bytes: equal keys (SQL's IS NOT DISTINCT FROM, so NULL equals NULL) have equal bytes, different keys
// different ones. Vectorised; used for hashing, partitioning of internal topics and state keys. Strings compare
// bytewise.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <arrow/type_fwd.h>

namespace tidemark {

// Row i's bytes are arena[starts[i], starts[i + 1]).
struct EncodedKeys {
  std::string arena;
  std::vector<uint32_t> starts;

  size_t size() const { return starts.empty() ? 0 : starts.size() - 1; }
  std::string_view operator[](size_t i) const {
    return std::string_view(arena).substr(starts[i], starts[i + 1] - starts[i]);
  }
};

// Encodes these columns of every row, replacing `out`. Order-preserving: bytewise order of encodings is the order of
// the key tuples, NULL first.
absl::Status EncodeKeys(const arrow::RecordBatch& rows, const std::vector<size_t>& columns, EncodedKeys* out);

// XXH3 of each row's key columns, 64 bits, replacing `out`; the same for equal keys on every machine and in every
// version (internal topics are partitioned by it).
absl::Status HashKeys(const arrow::RecordBatch& rows, const std::vector<size_t>& columns, std::vector<uint64_t>* out);

}  // namespace tidemark
