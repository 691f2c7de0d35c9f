// Typed reading of Arrow columns and typed building of them, for operators that work value by value inside one loop
// over a column. C++ types stand for how values are held: bool; int32_t for int32 and date; int64_t for int64 and
// timestamp; double; Int128 for a decimal's digits; std::string_view for string and bytes. Used by one thread.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <type_traits>

#include <absl/status/statusor.h>
#include <arrow/array/data.h>
#include <arrow/array/util.h>
#include <arrow/buffer_builder.h>
#include <arrow/util/bit_util.h>

#include "src/base/schema.h"
#include "src/base/status.h"

namespace tidemark {

using Int128 = __int128;

// Calls f with a value of the C++ type that `kind` is held in: VisitKind(kind, [&](auto tag) { using T = decltype(tag);
// }).
template <typename F>
auto VisitKind(Kind kind, F&& f) {
  switch (kind) {
    case Kind::kBool:
      return f(bool{});
    case Kind::kInt32:
    case Kind::kDate:
      return f(int32_t{});
    case Kind::kInt64:
    case Kind::kTimestamp:
      return f(int64_t{});
    case Kind::kDouble:
      return f(double{});
    case Kind::kDecimal:
      return f(Int128{});
    case Kind::kString:
    case Kind::kBytes:
    case Kind::kJson:
      return f(std::string_view{});
  }
  __builtin_unreachable();
}

// Reads the values of a column, by row. The array outlives it.
template <typename T>
class Cells {
 public:
  explicit Cells(const arrow::ArrayData& array) : offset_(array.offset) {
    if (array.buffers[0] && array.GetNullCount() > 0) valid_ = array.buffers[0]->data();
    // An array without rows may lack its buffers.
    if (array.buffers[1]) data_ = array.buffers[1]->data();
    if constexpr (std::is_same_v<T, std::string_view>) {
      if (array.buffers[2] && array.buffers[2]->data())
        bytes_ = reinterpret_cast<const char*>(array.buffers[2]->data());
    }
  }

  bool MayBeNull() const { return valid_ != nullptr; }
  bool IsNull(int64_t row) const { return valid_ && !arrow::bit_util::GetBit(valid_, offset_ + row); }
  T operator[](int64_t row) const {
    const int64_t i = offset_ + row;
    if constexpr (std::is_same_v<T, bool>) {
      return arrow::bit_util::GetBit(data_, i);
    } else if constexpr (std::is_same_v<T, std::string_view>) {
      int32_t ends[2];
      std::memcpy(ends, data_ + i * 4, sizeof(ends));
      return {bytes_ + ends[0], static_cast<size_t>(ends[1] - ends[0])};
    } else {
      T value;
      std::memcpy(&value, data_ + i * static_cast<int64_t>(sizeof(T)), sizeof(T));
      return value;
    }
  }

 private:
  int64_t offset_;
  const uint8_t* valid_ = nullptr;
  const uint8_t* data_ = nullptr;
  const char* bytes_ = "";
};

// Builds a column by appending, for at most the number of rows it was made for.
template <typename T>
class CellWriter {
 public:
  explicit CellWriter(int64_t rows) : most_(rows) {
    if constexpr (std::is_same_v<T, bool>) {
      Note(bits_.Reserve(rows));
    } else if constexpr (std::is_same_v<T, std::string_view>) {
      Note(ends_.Reserve(rows + 1));
      if (status_.ok()) ends_.UnsafeAppend(0);
    } else {
      Note(data_.Reserve(rows * static_cast<int64_t>(sizeof(T))));
    }
  }
  // Makes room for so many bytes of text at once.
  void ReserveText(int64_t bytes) { Note(data_.Reserve(bytes)); }

  void Append(T value) {
    if (!status_.ok()) [[unlikely]]
      return;
    if (valid_.length() > 0) valid_.UnsafeAppend(true);
    Put(value);
    ++rows_;
  }
  void AppendNull() {
    if (valid_.length() == 0) {
      Note(valid_.Reserve(most_));
      if (status_.ok()) valid_.UnsafeAppend(rows_, true);
    }
    if (!status_.ok()) return;
    valid_.UnsafeAppend(false);
    Put(T{});
    ++rows_;
  }

  // `type` is one that is held in T.
  absl::StatusOr<std::shared_ptr<arrow::Array>> Finish(const std::shared_ptr<arrow::DataType>& type) {
    const int64_t nulls = valid_.false_count();
    std::vector<std::shared_ptr<arrow::Buffer>> buffers(1);
    if (nulls > 0) Note(valid_.Finish(&buffers[0]));
    if constexpr (std::is_same_v<T, bool>) Note(bits_.Finish(&buffers.emplace_back()));
    if constexpr (std::is_same_v<T, std::string_view>) Note(ends_.Finish(&buffers.emplace_back()));
    // Not cut to its size: a batch doesn't live long.
    if constexpr (!std::is_same_v<T, bool>) Note(data_.Finish(&buffers.emplace_back(), false));
    TM_RETURN_IF_ERROR(FromArrow(status_, "building a column"));
    return arrow::MakeArray(arrow::ArrayData::Make(type, rows_, std::move(buffers), nulls));
  }

 private:
  void Put(T value) {
    if constexpr (std::is_same_v<T, bool>) {
      bits_.UnsafeAppend(value);
    } else if constexpr (std::is_same_v<T, std::string_view>) {
      const int64_t size = data_.length() + static_cast<int64_t>(value.size());
      if (size > INT32_MAX) return Note(arrow::Status::CapacityError("more than 2 GiB of text in one batch"));
      if (size > data_.capacity()) Note(data_.Reserve(static_cast<int64_t>(value.size())));
      if (!status_.ok()) return;
      if (!value.empty()) data_.UnsafeAppend(value.data(), static_cast<int64_t>(value.size()));
      ends_.UnsafeAppend(static_cast<int32_t>(size));
    } else {
      data_.UnsafeAppend(&value, sizeof(T));
    }
  }
  void Note(arrow::Status status) {
    if (status_.ok() && !status.ok()) status_ = std::move(status);
  }

  const int64_t most_;
  int64_t rows_ = 0;
  arrow::TypedBufferBuilder<bool> valid_;    // empty until the first null
  arrow::TypedBufferBuilder<bool> bits_;     // bool
  arrow::TypedBufferBuilder<int32_t> ends_;  // strings and bytes
  arrow::BufferBuilder data_;
  arrow::Status status_;
};

}  // namespace tidemark
