#include "src/codec/column_packer.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include <arrow/array/data.h>
#include <arrow/type.h>
#include <arrow/util/bit_util.h>
#include <arrow/util/compression.h>
#include <xxhash.h>

#include "src/codec/packed_columns.h"

namespace tidemark {
namespace {

// Texts looked at before it is decided whether looking up pays, and the share that must have been found again.
constexpr size_t kTellingTexts = 512;
constexpr double kFoundAgain = 0.25;

// What a column takes beside its cells, at most: flags, form and the heads of its numbers and texts.
constexpr size_t kFraming = 32;

// LZ4 must leave less than this share of texts, and isn't tried on few.
constexpr double kWorthLz4 = 0.8;
constexpr size_t kLeastLz4 = 256;

template <typename T>
void AppendRaw(T value, std::string* out) {
  out->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

}  // namespace

int NumberPacker::Width() const {
  if (values_.empty()) return 0;
  const uint64_t range = static_cast<uint64_t>(most_) - static_cast<uint64_t>(least_);
  if (range == 0) return 0;
  return range >> 8 == 0 ? 1 : range >> 16 == 0 ? 2 : range >> 32 == 0 ? 4 : 8;
}

void NumberPacker::Finish(std::string* out) {
  const int width = Width();
  out->push_back(static_cast<char>(width));
  AppendRaw(values_.empty() ? 0 : least_, out);
  const size_t begin = out->size();
  out->resize(begin + values_.size() * static_cast<size_t>(width));
  const auto write = [&](auto tag) {
    using T = decltype(tag);
    char* to = out->data() + begin;
    for (const int64_t value : values_) {
      const auto difference = static_cast<T>(static_cast<uint64_t>(value) - static_cast<uint64_t>(least_));
      std::memcpy(to, &difference, sizeof(T));
      to += sizeof(T);
    }
  };
  if (width == 1) write(uint8_t{});
  if (width == 2) write(uint16_t{});
  if (width == 4) write(uint32_t{});
  if (width == 8) write(uint64_t{});
  Clear();
}

void NumberPacker::Clear() {
  values_.clear();
  least_ = std::numeric_limits<int64_t>::max();
  most_ = std::numeric_limits<int64_t>::min();
}

void TextPacker::AddEntry(std::string_view text) {
  entry_of_.Add(static_cast<int64_t>(begin_.size()));
  begin_.push_back(static_cast<uint32_t>(text_.size()));
  text_.append(text);
  lengths_.Add(static_cast<int64_t>(text.size()));
}

void TextPacker::Grow() {
  std::vector<Slot> old(std::max<size_t>(64, slots_.size() * 2));
  old.swap(slots_);
  for (const Slot& slot : old) {
    if (slot.entry == kNone) continue;
    size_t at = slot.tag & (slots_.size() - 1);
    while (slots_[at].entry != kNone) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = slot;
  }
}

void TextPacker::Add(std::string_view text) {
  if (!looks_up_) return AddEntry(text);
  if (2 * begin_.size() >= slots_.size()) Grow();
  const auto tag = static_cast<uint32_t>(XXH3_64bits(text.data(), text.size()));
  const size_t mask = slots_.size() - 1;
  size_t at = tag & mask;
  for (; slots_[at].entry != kNone; at = (at + 1) & mask) {
    if (slots_[at].tag != tag) continue;
    const uint32_t begin = begin_[slots_[at].entry];
    const size_t end = slots_[at].entry + 1 < begin_.size() ? begin_[slots_[at].entry + 1] : text_.size();
    if (std::string_view(text_).substr(begin, end - begin) == text) return entry_of_.Add(slots_[at].entry);
  }
  slots_[at] = {tag, static_cast<uint32_t>(begin_.size())};
  AddEntry(text);
  const size_t rows = entry_of_.size();
  if (rows >= kTellingTexts && static_cast<double>(begin_.size()) > (1 - kFoundAgain) * static_cast<double>(rows)) {
    looks_up_ = false;
  }
}

void TextPacker::Finish(std::string* out) {
  const size_t entries = begin_.size();
  const bool dictionary = entries < entry_of_.size();
  AppendRaw(dictionary ? ColumnForm::kDictionary : ColumnForm::kTexts, out);
  if (dictionary) AppendRaw(static_cast<uint32_t>(entries), out);
  lengths_.Finish(out);
  std::string_view stored = text_;
  std::string smaller;
  if ((!dictionary || !looks_up_) && text_.size() >= kLeastLz4 && Lz4Codec() != nullptr) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(text_.data());
    const auto size = static_cast<int64_t>(text_.size());
    smaller.resize(static_cast<size_t>(Lz4Codec()->MaxCompressedLen(size, bytes)));
    const arrow::Result<int64_t> length = Lz4Codec()->Compress(size, bytes, static_cast<int64_t>(smaller.size()),
                                                               reinterpret_cast<uint8_t*>(smaller.data()));
    if (length.ok() && static_cast<double>(*length) < kWorthLz4 * static_cast<double>(size)) {
      stored = std::string_view(smaller).substr(0, static_cast<size_t>(*length));
    }
  }
  out->push_back(stored.data() == text_.data() ? 0 : kTextsLz4);
  AppendRaw(static_cast<uint32_t>(stored.size()), out);
  out->append(stored);
  if (dictionary) entry_of_.Finish(out);
  entry_of_.Clear();
  text_.clear();
  begin_.clear();
  std::fill(slots_.begin(), slots_.end(), Slot());
  looks_up_ = true;
}

ColumnPacker::Cells ColumnPacker::CellsOf(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::BOOL:
      return Cells::kBits;
    case arrow::Type::INT8:
      return Cells::kInt8;
    case arrow::Type::INT32:
    case arrow::Type::DATE32:
      return Cells::kInt32;
    case arrow::Type::INT64:
    case arrow::Type::TIMESTAMP:
      return Cells::kInt64;
    case arrow::Type::STRING:
    case arrow::Type::BINARY:
      return Cells::kTexts;
    default:  // a double or a decimal
      return Cells::kFixed;
  }
}

size_t ColumnPacker::WidthOf(const arrow::DataType& type) {
  const Cells cells = CellsOf(type);
  if (cells == Cells::kTexts) return 8;  // its length, where it stands for the first time, and its entry
  return cells == Cells::kBits ? 1 : static_cast<size_t>(type.byte_width());
}

ColumnPacker::ColumnPacker(const arrow::DataType& type) : cells_(CellsOf(type)), width_(WidthOf(type)) {}

void ColumnPacker::NoteNulls(const arrow::ArrayData& column, absl::Span<const int32_t> rows) {
  const bool nulls = column.buffers[0] != nullptr && column.GetNullCount() > 0;
  if (!nulls && valid_.empty()) return;
  valid_.resize(rows_, 1);
  for (const int32_t row : rows) {
    valid_.push_back(!nulls || arrow::bit_util::GetBit(column.buffers[0]->data(), column.offset + row));
  }
}

// A null cell gets the number before it, which lies in the range.
template <typename T>
void ColumnPacker::AppendNumbers(const arrow::ArrayData& column, absl::Span<const int32_t> rows) {
  const uint8_t* const data = column.buffers[1]->data();
  for (size_t i = 0; i < rows.size(); ++i) {
    const int64_t at = column.offset + rows[i];
    if (!valid_.empty() && valid_[rows_ + i] == 0) {
      numbers_.Add(numbers_.last());
    } else if constexpr (std::is_same_v<T, bool>) {
      numbers_.Add(arrow::bit_util::GetBit(data, at));
    } else {
      T value;
      std::memcpy(&value, data + at * static_cast<int64_t>(sizeof(T)), sizeof(T));
      numbers_.Add(value);
    }
  }
}

void ColumnPacker::AppendTexts(const arrow::ArrayData& column, absl::Span<const int32_t> rows) {
  const int32_t* const ends = column.GetValues<int32_t>(1);
  const char* const bytes =
      column.buffers[2] == nullptr ? "" : reinterpret_cast<const char*>(column.buffers[2]->data());
  for (size_t i = 0; i < rows.size(); ++i) {
    const bool null = !valid_.empty() && valid_[rows_ + i] == 0;
    const int32_t row = rows[i];
    texts_.Add(null ? std::string_view()
                    : std::string_view(bytes + ends[row], static_cast<size_t>(ends[row + 1] - ends[row])));
  }
}

void ColumnPacker::Append(const arrow::ArrayData& column, absl::Span<const int32_t> rows) {
  if (rows.empty()) return;
  NoteNulls(column, rows);
  switch (cells_) {
    case Cells::kBits:
      AppendNumbers<bool>(column, rows);
      break;
    case Cells::kInt8:
      AppendNumbers<int8_t>(column, rows);
      break;
    case Cells::kInt32:
      AppendNumbers<int32_t>(column, rows);
      break;
    case Cells::kInt64:
      AppendNumbers<int64_t>(column, rows);
      break;
    case Cells::kFixed: {
      const auto* const data =
          reinterpret_cast<const char*>(column.buffers[1]->data()) + static_cast<size_t>(column.offset) * width_;
      for (const int32_t row : rows) fixed_.append(data + static_cast<size_t>(row) * width_, width_);
      break;
    }
    case Cells::kTexts:
      AppendTexts(column, rows);
      break;
  }
  rows_ += rows.size();
}

size_t ColumnPacker::bytes() const { return kFraming + rows_ * cell_bytes() + texts_.text_bytes(); }

void ColumnPacker::Finish(std::string* out) {
  out->push_back(valid_.empty() ? 0 : kColumnHasNulls);
  if (!valid_.empty()) {
    const size_t begin = out->size();
    out->resize(begin + (rows_ + 7) / 8, 0);
    for (size_t i = 0; i < rows_; ++i) {
      if (valid_[i] != 0) arrow::bit_util::SetBit(reinterpret_cast<uint8_t*>(out->data()) + begin, i);
    }
  }
  if (cells_ == Cells::kTexts) {
    texts_.Finish(out);
  } else if (cells_ == Cells::kFixed) {
    AppendRaw(ColumnForm::kFixed, out);
    out->append(fixed_);
    fixed_.clear();
  } else {
    AppendRaw(ColumnForm::kNumbers, out);
    numbers_.Finish(out);
  }
  valid_.clear();
  rows_ = 0;
}

}  // namespace tidemark
