// How kernels are written: Map runs a function over the rows of its arguments' arrays, typed, without looking at a type
// or allocating inside the loop. Include in eval_*.cc only.
//
//   Map<int64_t, int64_t, int64_t>(call, [](Row& row, int64_t a, int64_t b) { ... return a / b; });
//
// C++ types stand for how values are held: bool; int32_t for int32 and date; int64_t for int64 and timestamp; double;
// Int128 for a decimal's digits; std::string_view for string and bytes.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/buffer_builder.h>
#include <arrow/type.h>
#include <arrow/util/bit_util.h>

#include "src/base/status.h"
#include "src/expr/bound.h"

namespace tidemark::internal {

using Int128 = __int128;

// One row of a loop: how its function says that there is no value.
class Row {
 public:
  // Both leave the row NULL, whatever the function then returns.
  void Null() { valid_ = false; }
  void Fail(std::string_view message) {
    valid_ = false;
    if (constant_) {
      frame_->FailAll(message);
    } else {
      frame_->Fail(index, message);
    }
  }

  int64_t index = 0;

 private:
  template <typename R, typename... A, typename F>
  friend absl::StatusOr<Values> Map(KernelCall& call, F&& f);
  Row(Frame* frame, bool constant) : frame_(frame), constant_(constant) {}

  Frame* frame_;
  bool constant_;
  bool valid_ = true;
};

// Reads one argument. A constant is read at its only position, whatever the row.
template <typename T>
class Reader {
 public:
  explicit Reader(const Values& values) : offset_(values.array->offset()), mask_(values.constant ? 0 : -1) {
    // An array without rows may lack its buffers.
    if (const auto& buffer = values.array->data()->buffers[1]) data_ = buffer->data();
    if constexpr (std::is_same_v<T, std::string_view>) {
      const auto& buffer = values.array->data()->buffers[2];
      bytes_ = buffer ? reinterpret_cast<const char*>(buffer->data()) : "";
    }
  }

  T operator[](int64_t row) const {
    int64_t i = offset_ + (row & mask_);
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
  const uint8_t* data_ = nullptr;
  int64_t offset_;
  int64_t mask_;
  const char* bytes_ = nullptr;
};

// Which rows have a value.
class Validity {
 public:
  explicit Validity(const Values& values)
      : bits_(values.array->null_count() == 0 ? nullptr : values.array->null_bitmap_data()),
        offset_(values.array->offset()),
        mask_(values.constant ? 0 : -1) {}
  bool operator[](int64_t row) const { return !bits_ || arrow::bit_util::GetBit(bits_, offset_ + (row & mask_)); }
  bool always() const { return bits_ == nullptr; }

 private:
  const uint8_t* bits_;
  int64_t offset_, mask_;
};

// Collects the values of a result, one Set a row in order.
template <typename T>
class Writer {
 public:
  absl::Status Open(const Type& type, int64_t rows) {
    type_ = ArrowType(type);
    rows_ = rows;
    TM_ASSIGN_OR_RETURN(valid_, Allocate(arrow::bit_util::BytesForBits(rows), 0xFF));
    bits_ = valid_->mutable_data();
    if constexpr (std::is_same_v<T, std::string_view>) {
      TM_ASSIGN_OR_RETURN(data_, Allocate((rows + 1) * 4, -1));
      ends_ = reinterpret_cast<int32_t*>(data_->mutable_data());
      ends_[0] = 0;
    } else {
      int64_t bytes =
          std::is_same_v<T, bool> ? arrow::bit_util::BytesForBits(rows) : rows * static_cast<int64_t>(sizeof(T));
      TM_ASSIGN_OR_RETURN(data_, Allocate(bytes, std::is_same_v<T, bool> ? 0 : -1));
    }
    out_ = data_->mutable_data();
    return absl::OkStatus();
  }

  void Set(int64_t row, T value) {
    if constexpr (std::is_same_v<T, bool>) {
      if (value) arrow::bit_util::SetBit(out_, row);
    } else if constexpr (std::is_same_v<T, std::string_view>) {
      size_ += static_cast<int64_t>(value.size());
      if (size_ > INT32_MAX) {
        status_ = arrow::Status::CapacityError("more than 2 GiB of text in one batch");
        size_ = ends_[row];
      } else if (status_.ok() && !value.empty()) {
        status_ = bytes_.Append(value.data(), static_cast<int64_t>(value.size()));
      }
      ends_[row + 1] = static_cast<int32_t>(size_);
    } else {
      std::memcpy(out_ + row * static_cast<int64_t>(sizeof(T)), &value, sizeof(T));
    }
  }
  void SetNull(int64_t row) {
    arrow::bit_util::ClearBit(bits_, row);
    ++nulls_;
    Set(row, T{});
  }

  absl::StatusOr<Values> Finish(bool constant) {
    std::vector<std::shared_ptr<arrow::Buffer>> buffers = {nulls_ > 0 ? valid_ : nullptr, data_};
    if constexpr (std::is_same_v<T, std::string_view>) {
      TM_RETURN_IF_ERROR(FromArrow(status_, "evaluating an expression"));
      std::shared_ptr<arrow::Buffer> bytes;
      TM_RETURN_IF_ERROR(FromArrow(bytes_.Finish(&bytes), "evaluating an expression"));
      buffers.push_back(std::move(bytes));
    }
    auto data = arrow::ArrayData::Make(type_, rows_, std::move(buffers), nulls_);
    return Values{arrow::MakeArray(data), constant};
  }

 private:
  // Filled with a byte unless that is -1.
  absl::StatusOr<std::shared_ptr<arrow::Buffer>> Allocate(int64_t bytes, int fill) {
    TM_ASSIGN_OR_RETURN(auto buffer, FromArrow(arrow::AllocateBuffer(bytes), "evaluating an expression"));
    if (fill >= 0 && bytes > 0) std::memset(buffer->mutable_data(), fill, static_cast<size_t>(bytes));
    return std::shared_ptr<arrow::Buffer>(std::move(buffer));
  }

  std::shared_ptr<arrow::DataType> type_;
  int64_t rows_ = 0, nulls_ = 0, size_ = 0;
  std::shared_ptr<arrow::Buffer> valid_, data_;
  uint8_t* bits_ = nullptr;
  uint8_t* out_ = nullptr;
  int32_t* ends_ = nullptr;
  arrow::BufferBuilder bytes_;
  arrow::Status status_;
};

inline bool AllConstant(absl::Span<const Values> args) {
  for (const Values& arg : args) {
    if (!arg.constant) return false;
  }
  return true;
}

// One value a row of the arguments' rows, NULL where any argument is.
template <typename R, typename... A, typename F>
absl::StatusOr<Values> Map(KernelCall& call, F&& f) {
  bool constant = AllConstant(call.args.subspan(0, sizeof...(A)));
  int64_t rows = constant ? 1 : call.frame.rows();
  Writer<R> out;
  TM_RETURN_IF_ERROR(out.Open(call.type, rows));
  [&]<size_t... I>(std::index_sequence<I...>) {
    std::tuple<Reader<A>...> in{Reader<A>(call.args[I])...};
    std::tuple<decltype(static_cast<void>(I), Validity(call.args[0]))...> valid{Validity(call.args[I])...};
    bool dense = (std::get<I>(valid).always() && ...);
    Row row(&call.frame, constant);
    for (int64_t i = 0; i < rows; ++i) {
      if (!dense && !(std::get<I>(valid)[i] && ...)) {
        out.SetNull(i);
        continue;
      }
      row.index = i;
      row.valid_ = true;
      R value = f(row, std::get<I>(in)[i]...);
      if (row.valid_) [[likely]] {
        out.Set(i, value);
      } else {
        out.SetNull(i);
      }
    }
  }(std::index_sequence_for<A...>{});
  return out.Finish(constant);
}

// Calls f with a value of the C++ type that `kind` is held in: Visit(kind, [&](auto tag) { using T = decltype(tag); }).
template <typename F>
auto Visit(Kind kind, F&& f) {
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

}  // namespace tidemark::internal
