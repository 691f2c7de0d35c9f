#include "src/codec/packed_columns.h"

#include <bit>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/type.h>
#include <arrow/util/bit_util.h>
#include <arrow/util/compression.h>

#include "src/base/status.h"

namespace tidemark {
namespace {

static_assert(std::endian::native == std::endian::little);

template <typename T>
bool TakeRaw(std::string_view* from, T* value) {
  if (from->size() < sizeof(T)) return false;
  std::memcpy(value, from->data(), sizeof(T));
  from->remove_prefix(sizeof(T));
  return true;
}

absl::Status Damaged() { return absl::DataLossError("packed rows: a column is damaged"); }

absl::StatusOr<std::shared_ptr<arrow::Buffer>> NewBuffer(int64_t bytes) {
  return FromArrow(arrow::AllocateBuffer(bytes), "unpacking rows");
}

// Numbers where they stand. The width has been checked against the bytes.
struct Numbers {
  int width = 0;
  int64_t least = 0;
  const char* differences = nullptr;

  // f(i, number) for each of n.
  template <typename F>
  void ForEach(int64_t n, F&& f) const {
    const auto each = [&](auto tag) {
      using T = decltype(tag);
      for (int64_t i = 0; i < n; ++i) {
        T difference;
        std::memcpy(&difference, differences + i * static_cast<int64_t>(sizeof(T)), sizeof(T));
        f(i, static_cast<int64_t>(static_cast<uint64_t>(least) + difference));
      }
    };
    if (width == 0) {
      for (int64_t i = 0; i < n; ++i) f(i, least);
    }
    if (width == 1) each(uint8_t{});
    if (width == 2) each(uint16_t{});
    if (width == 4) each(uint32_t{});
    if (width == 8) each(uint64_t{});
  }
};

bool TakeNumbers(int64_t n, std::string_view* bytes, Numbers* out) {
  char width = 0;
  if (!TakeRaw(bytes, &width) || !TakeRaw(bytes, &out->least)) return false;
  if (width != 0 && width != 1 && width != 2 && width != 4 && width != 8) return false;
  out->width = width;
  out->differences = bytes->data();
  const uint64_t size = static_cast<uint64_t>(n) * static_cast<uint64_t>(width);
  if (size > bytes->size()) return false;
  bytes->remove_prefix(size);
  return true;
}

// Texts one after the other, and where each ends; behind the last stand kSlack bytes that may be read.
constexpr size_t kSlack = 32;
struct Texts {
  std::string bytes;
  std::vector<uint32_t> ends{0};  // the first is where the first begins
};

bool TakeTexts(int64_t n, std::string_view* bytes, Texts* out) {
  Numbers lengths;
  if (!TakeNumbers(n, bytes, &lengths)) return false;
  out->ends.reserve(static_cast<size_t>(n) + 1);
  uint64_t end = 0;
  bool ok = true;
  lengths.ForEach(n, [&](int64_t, int64_t length) {
    ok = ok && length >= 0 && length <= std::numeric_limits<int32_t>::max();
    end += ok ? static_cast<uint64_t>(length) : 0;
    out->ends.push_back(static_cast<uint32_t>(end));
  });
  char lz4 = 0;
  uint32_t size = 0;
  if (!ok || end > std::numeric_limits<int32_t>::max() || !TakeRaw(bytes, &lz4) || !TakeRaw(bytes, &size)) return false;
  if (size > bytes->size() || (lz4 != kTextsLz4 && size != end)) return false;
  // A block of LZ4 is never smaller than a 255th of what it holds.
  if (lz4 == kTextsLz4 && (Lz4Codec() == nullptr || end / 255 > size)) return false;
  out->bytes.resize(end + kSlack);
  if (lz4 == kTextsLz4) {
    const arrow::Result<int64_t> length =
        Lz4Codec()->Decompress(size, reinterpret_cast<const uint8_t*>(bytes->data()), static_cast<int64_t>(end),
                               reinterpret_cast<uint8_t*>(out->bytes.data()));
    if (!length.ok() || static_cast<uint64_t>(*length) != end) return false;
  } else {
    std::memcpy(out->bytes.data(), bytes->data(), end);
  }
  bytes->remove_prefix(size);
  return true;
}

absl::StatusOr<std::shared_ptr<arrow::Buffer>> UnpackNumbers(const arrow::DataType& type, int64_t rows,
                                                             std::string_view* bytes) {
  Numbers numbers;
  if (!TakeNumbers(rows, bytes, &numbers)) return Damaged();
  const bool bits = type.id() == arrow::Type::BOOL;
  TM_ASSIGN_OR_RETURN(auto buffer, NewBuffer(bits ? (rows + 7) / 8 : rows * type.byte_width()));
  uint8_t* const to = buffer->mutable_data();
  if (bits) {
    std::memset(to, 0, static_cast<size_t>(buffer->size()));
    numbers.ForEach(rows, [&](int64_t i, int64_t value) { arrow::bit_util::SetBitTo(to, i, value != 0); });
    return buffer;
  }
  const auto fill = [&](auto tag) {
    using T = decltype(tag);
    auto* const values = reinterpret_cast<T*>(to);
    numbers.ForEach(rows, [&](int64_t i, int64_t value) { values[i] = static_cast<T>(value); });
  };
  if (type.byte_width() == 1) fill(int8_t{});
  if (type.byte_width() == 4) fill(int32_t{});
  if (type.byte_width() == 8) fill(int64_t{});
  return buffer;
}

// Offsets and bytes of the rows' texts, each row having the entry of the same number.
absl::Status UnpackTexts(int64_t rows, std::string_view* bytes, std::vector<std::shared_ptr<arrow::Buffer>>* out) {
  Texts texts;
  if (!TakeTexts(rows, bytes, &texts)) return Damaged();
  TM_ASSIGN_OR_RETURN(auto ends, NewBuffer((rows + 1) * 4));
  std::memcpy(ends->mutable_data(), texts.ends.data(), static_cast<size_t>((rows + 1) * 4));
  texts.bytes.resize(texts.ends.back());
  out->push_back(std::move(ends));
  out->push_back(arrow::Buffer::FromString(std::move(texts.bytes)));
  return absl::OkStatus();
}

absl::Status UnpackDictionary(int64_t rows, std::string_view* bytes, std::vector<std::shared_ptr<arrow::Buffer>>* out) {
  uint32_t entries = 0;
  Texts texts;
  Numbers entry_of;
  if (!TakeRaw(bytes, &entries) || entries == 0 || entries > rows || !TakeTexts(entries, bytes, &texts))
    return Damaged();
  if (!TakeNumbers(rows, bytes, &entry_of)) return Damaged();
  TM_ASSIGN_OR_RETURN(auto offsets, NewBuffer((rows + 1) * 4));
  auto* const ends = reinterpret_cast<int32_t*>(offsets->mutable_data());
  ends[0] = 0;
  bool ok = true;
  uint64_t end = 0;
  entry_of.ForEach(rows, [&](int64_t i, int64_t entry) {
    ok = ok && entry >= 0 && entry < int64_t{entries};
    const auto e = static_cast<size_t>(ok ? entry : 0);
    end += texts.ends[e + 1] - texts.ends[e];
    ends[i + 1] = static_cast<int32_t>(end);
    ok = ok && end <= static_cast<uint64_t>(std::numeric_limits<int32_t>::max()) - kSlack;
  });
  if (!ok) return Damaged();
  TM_ASSIGN_OR_RETURN(auto buffer,
                      FromArrow(arrow::AllocateResizableBuffer(static_cast<int64_t>(end + kSlack)), "unpacking rows"));
  char* to = reinterpret_cast<char*>(buffer->mutable_data());
  entry_of.ForEach(rows, [&](int64_t, int64_t entry) {
    const uint32_t begin = texts.ends[static_cast<size_t>(entry)];
    const size_t size = texts.ends[static_cast<size_t>(entry) + 1] - begin;
    // Most texts are short: a copy of a known size is a few instructions.
    if (size <= kSlack) {
      std::memcpy(to, texts.bytes.data() + begin, kSlack);
    } else {
      std::memcpy(to, texts.bytes.data() + begin, size);
    }
    to += size;
  });
  TM_RETURN_IF_ERROR(FromArrow(buffer->Resize(static_cast<int64_t>(end), false), "unpacking rows"));
  out->push_back(std::move(offsets));
  out->push_back(std::move(buffer));
  return absl::OkStatus();
}

}  // namespace

arrow::util::Codec* Lz4Codec() {
  static const std::unique_ptr<arrow::util::Codec> codec =
      arrow::util::Codec::Create(arrow::Compression::LZ4).ValueOr(nullptr);
  return codec.get();
}

absl::StatusOr<std::shared_ptr<arrow::Array>> UnpackColumn(const std::shared_ptr<arrow::DataType>& type, int64_t rows,
                                                           std::string_view* bytes) {
  char flags = 0;
  auto form = ColumnForm::kNumbers;
  if (!TakeRaw(bytes, &flags)) return Damaged();
  std::vector<std::shared_ptr<arrow::Buffer>> buffers(1);
  if (flags == kColumnHasNulls) {
    const auto size = static_cast<size_t>((rows + 7) / 8);
    if (size > bytes->size()) return Damaged();
    buffers[0] = arrow::Buffer::FromString(std::string(bytes->substr(0, size)));
    bytes->remove_prefix(size);
  } else if (flags != 0) {
    return Damaged();
  }
  if (!TakeRaw(bytes, &form)) return Damaged();
  const bool texts = type->id() == arrow::Type::STRING || type->id() == arrow::Type::BINARY;
  const bool fixed = type->id() == arrow::Type::DOUBLE || type->id() == arrow::Type::DECIMAL128;
  if (texts != (form == ColumnForm::kTexts || form == ColumnForm::kDictionary) || fixed != (form == ColumnForm::kFixed))
    return Damaged();
  if (form == ColumnForm::kTexts) {
    TM_RETURN_IF_ERROR(UnpackTexts(rows, bytes, &buffers));
  } else if (form == ColumnForm::kDictionary) {
    TM_RETURN_IF_ERROR(UnpackDictionary(rows, bytes, &buffers));
  } else if (form == ColumnForm::kFixed) {
    const size_t size = static_cast<size_t>(rows) * static_cast<size_t>(type->byte_width());
    if (size > bytes->size()) return Damaged();
    TM_ASSIGN_OR_RETURN(auto buffer, NewBuffer(static_cast<int64_t>(size)));
    std::memcpy(buffer->mutable_data(), bytes->data(), size);
    bytes->remove_prefix(size);
    buffers.push_back(std::move(buffer));
  } else if (form == ColumnForm::kNumbers) {
    TM_ASSIGN_OR_RETURN(auto buffer, UnpackNumbers(*type, rows, bytes));
    buffers.push_back(std::move(buffer));
  } else {
    return Damaged();
  }
  return arrow::MakeArray(arrow::ArrayData::Make(type, rows, std::move(buffers)));
}

}  // namespace tidemark
