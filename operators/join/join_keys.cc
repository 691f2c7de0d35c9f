#include "operators/join/join_keys.h"

#include <arrow/array/array_base.h>
#include <arrow/record_batch.h>
#include <xxhash.h>

#include "src/base/status.h"
#include "src/codec/cells.h"

namespace tidemark {
namespace {

// MurmurHash3's finalizer, a bijection.
uint64_t Mix(uint64_t k) {
  k ^= k >> 33;
  k *= 0xff51afd7ed558ccdULL;
  k ^= k >> 33;
  k *= 0xc4ceb9fe1a85ec53ULL;
  return k ^ k >> 33;
}

}  // namespace

bool JoinKeys::IsInteger(const Schema& schema, const std::vector<size_t>& columns) {
  if (columns.size() != 1) return false;
  const Kind kind = schema[columns[0]].type.kind;
  return kind == Kind::kInt32 || kind == Kind::kInt64;
}

absl::Status JoinKeys::Of(const arrow::RecordBatch& rows, std::vector<JoinKey>* keys, std::vector<uint8_t>* nulls) {
  const int64_t n = rows.num_rows();
  keys->resize(n);
  nulls->assign(n, 0);
  for (const size_t c : columns_) {
    const auto& array = *rows.column(static_cast<int>(c));
    if (array.null_count() == 0) continue;
    for (int64_t i = 0; i < n; ++i) (*nulls)[i] |= array.IsNull(i);
  }
  if (integer_) {
    const arrow::ArrayData& column = *rows.column_data(static_cast<int>(columns_[0]));
    const auto fill = [&](auto tag) {
      const Cells<decltype(tag)> cells(column);
      for (int64_t i = 0; i < n; ++i) {
        const auto value = static_cast<uint64_t>(static_cast<int64_t>(cells[i]));
        (*keys)[i] = {Mix(value), Mix(value ^ 0x9E3779B97F4A7C15)};
      }
    };
    column.type->id() == arrow::Type::INT32 ? fill(int32_t{}) : fill(int64_t{});
    return absl::OkStatus();
  }
  TM_RETURN_IF_ERROR(codec_.Encode(rows, &encoded_));
  for (int64_t i = 0; i < n; ++i) {
    const std::string_view bytes = encoded_[i];
    const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
    (*keys)[i] = {hash.high64, hash.low64};
  }
  return absl::OkStatus();
}

}  // namespace tidemark
