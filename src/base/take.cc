// Rows of a batch, copied: what every selection comes down to. Arrow's kernel takes about twice the time for batches of
// a few thousand rows of a few columns, which is what flows between operators.
#include <algorithm>
#include <cstring>
#include <limits>
#include <vector>

#include <absl/status/status.h>
#include <arrow/array/data.h>
#include <arrow/array/util.h>
#include <arrow/buffer.h>
#include <arrow/type.h>
#include <arrow/util/bit_util.h>

#include "src/base/batch.h"
#include "src/base/status.h"

namespace tidemark {
namespace {

using Rows = absl::Span<const int32_t>;
using BufferOr = absl::StatusOr<std::shared_ptr<arrow::Buffer>>;

BufferOr NewBuffer(int64_t bytes) { return FromArrow(arrow::AllocateBuffer(bytes), "taking rows"); }

// Short texts are copied by two overlapping loads and stores, without a call.
template <typename T>
void CopyEnds(const char* from, size_t size, char* to) {
  T first, last;
  std::memcpy(&first, from, sizeof(T));
  std::memcpy(&last, from + size - sizeof(T), sizeof(T));
  std::memcpy(to, &first, sizeof(T));
  std::memcpy(to + size - sizeof(T), &last, sizeof(T));
}
void CopyText(const char* from, size_t size, char* to) {
  using Bytes16 = unsigned __int128;
  if (size > 32) {
    std::memcpy(to, from, size);
  } else if (size >= 16) {
    CopyEnds<Bytes16>(from, size, to);
  } else if (size >= 8) {
    CopyEnds<uint64_t>(from, size, to);
  } else if (size >= 4) {
    CopyEnds<uint32_t>(from, size, to);
  } else {
    for (size_t i = 0; i < size; ++i) to[i] = from[i];
  }
}

// kNegative: rows may be negative, of which nothing is read.
template <bool kNegative>
BufferOr TakeBits(const uint8_t* bits, int64_t offset, bool otherwise, Rows rows) {
  TM_ASSIGN_OR_RETURN(auto buffer, NewBuffer((static_cast<int64_t>(rows.size()) + 7) / 8));
  uint8_t* const to = buffer->mutable_data();
  std::memset(to, 0, static_cast<size_t>(buffer->size()));
  for (size_t i = 0; i < rows.size(); ++i) {
    const bool none = kNegative && rows[i] < 0;
    if (!none && (bits == nullptr ? otherwise : arrow::bit_util::GetBit(bits, offset + rows[i]))) {
      arrow::bit_util::SetBit(to, static_cast<int64_t>(i));
    }
  }
  return buffer;
}

template <bool kNegative, typename T>
BufferOr TakeValues(const arrow::ArrayData& column, Rows rows) {
  TM_ASSIGN_OR_RETURN(auto buffer, NewBuffer(static_cast<int64_t>(rows.size() * sizeof(T))));
  const T* const from = column.GetValues<T>(1);
  T* const to = reinterpret_cast<T*>(buffer->mutable_data());
  for (size_t i = 0; i < rows.size(); ++i) to[i] = kNegative && rows[i] < 0 ? T{} : from[rows[i]];
  return buffer;
}

template <bool kNegative>
absl::Status TakeTexts(const arrow::ArrayData& column, Rows rows, std::vector<std::shared_ptr<arrow::Buffer>>* out) {
  const int32_t* const ends = column.GetValues<int32_t>(1);
  const auto* const bytes =
      column.buffers[2] == nullptr ? nullptr : reinterpret_cast<const char*>(column.buffers[2]->data());
  TM_ASSIGN_OR_RETURN(auto offsets, NewBuffer(static_cast<int64_t>(rows.size() + 1) * 4));
  auto* const to_ends = reinterpret_cast<int32_t*>(offsets->mutable_data());
  int64_t end = 0;
  to_ends[0] = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (!kNegative || rows[i] >= 0) end += ends[rows[i] + 1] - ends[rows[i]];
    to_ends[i + 1] = static_cast<int32_t>(end);
  }
  if (end > std::numeric_limits<int32_t>::max())
    return absl::ResourceExhaustedError("texts of more than 2 GiB in a batch");
  TM_ASSIGN_OR_RETURN(auto texts, NewBuffer(end));
  auto* const to = reinterpret_cast<char*>(texts->mutable_data());
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto size = static_cast<size_t>(to_ends[i + 1] - to_ends[i]);
    if (size > 0) CopyText(bytes + ends[rows[i]], size, to + to_ends[i]);
  }
  out->push_back(std::move(offsets));
  out->push_back(std::move(texts));
  return absl::OkStatus();
}

template <bool kNegative>
absl::StatusOr<std::shared_ptr<arrow::Array>> Take(const arrow::ArrayData& column, Rows rows) {
  std::vector<std::shared_ptr<arrow::Buffer>> buffers(1);
  const bool nulls = column.GetNullCount() > 0;
  if (nulls || kNegative) {
    const uint8_t* const valid = nulls ? column.buffers[0]->data() : nullptr;
    TM_ASSIGN_OR_RETURN(buffers[0], TakeBits<kNegative>(valid, column.offset, /*otherwise=*/true, rows));
  }
  const auto add = [&](BufferOr buffer) {
    if (buffer.ok()) buffers.push_back(*std::move(buffer));
    return buffer.status();
  };
  if (column.type->id() == arrow::Type::BOOL) {
    TM_RETURN_IF_ERROR(add(TakeBits<kNegative>(column.buffers[1]->data(), column.offset, false, rows)));
  } else if (column.type->id() == arrow::Type::STRING || column.type->id() == arrow::Type::BINARY) {
    TM_RETURN_IF_ERROR(TakeTexts<kNegative>(column, rows, &buffers));
  } else {
    switch (column.type->byte_width()) {
      case 1:
        TM_RETURN_IF_ERROR(add(TakeValues<kNegative, uint8_t>(column, rows)));
        break;
      case 4:
        TM_RETURN_IF_ERROR(add(TakeValues<kNegative, uint32_t>(column, rows)));
        break;
      case 8:
        TM_RETURN_IF_ERROR(add(TakeValues<kNegative, uint64_t>(column, rows)));
        break;
      case 16:
        TM_RETURN_IF_ERROR(add(TakeValues<kNegative, unsigned __int128>(column, rows)));
        break;
      default:
        return absl::InternalError("taking rows of a column of type " + column.type->ToString());
    }
  }
  return arrow::MakeArray(arrow::ArrayData::Make(column.type, static_cast<int64_t>(rows.size()), std::move(buffers)));
}

}  // namespace

absl::StatusOr<std::shared_ptr<arrow::Array>> TakeCells(const arrow::ArrayData& column,
                                                        absl::Span<const int32_t> rows) {
  // An array without rows may lack its buffers.
  if (column.length == 0 || rows.empty()) {
    return FromArrow(arrow::MakeArrayOfNull(column.type, static_cast<int64_t>(rows.size())), "taking rows");
  }
  const bool negative = *std::min_element(rows.begin(), rows.end()) < 0;
  return negative ? Take<true>(column, rows) : Take<false>(column, rows);
}

Batch TakeRows(const Batch& batch, absl::Span<const int32_t> rows) {
  arrow::ArrayVector columns;
  columns.reserve(static_cast<size_t>(batch->num_columns()));
  // Positions are valid and don't repeat by the caller's word, so the only failure left is a lack of memory.
  for (int c = 0; c < batch->num_columns(); ++c) columns.push_back(TakeCells(*batch->column_data(c), rows).value());
  return arrow::RecordBatch::Make(batch->schema(), static_cast<int64_t>(rows.size()), std::move(columns));
}

}  // namespace tidemark
