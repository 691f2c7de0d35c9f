// Packs one column of rows that come batch by batch; the layout is packed_columns.h's. Touched only by the stream
// thread.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <absl/types/span.h>
#include <arrow/type_fwd.h>

namespace tidemark {

// Whole numbers under way, and the range they lie in.
class NumberPacker {
 public:
  void Add(int64_t value) {
    values_.push_back(value);
    least_ = value < least_ ? value : least_;
    most_ = value > most_ ? value : most_;
  }
  int64_t last() const { return values_.empty() ? 0 : values_.back(); }
  size_t size() const { return values_.size(); }
  // Appends the numbers to `out`, and begins anew.
  void Finish(std::string* out);
  void Clear();

 private:
  int Width() const;

  std::vector<int64_t> values_;
  int64_t least_ = std::numeric_limits<int64_t>::max(), most_ = std::numeric_limits<int64_t>::min();
};

// Texts under way, equal ones once.
class TextPacker {
 public:
  void Add(std::string_view text);
  size_t text_bytes() const { return text_.size(); }
  void Finish(std::string* out);

 private:
  struct Slot {
    uint32_t tag = 0;
    uint32_t entry = kNone;
  };
  static constexpr uint32_t kNone = ~uint32_t{0};

  void AddEntry(std::string_view text);
  void Grow();

  std::string text_;             // of the entries
  std::vector<uint32_t> begin_;  // of each entry in it
  NumberPacker lengths_;         // of the entries
  NumberPacker entry_of_;        // by row
  std::vector<Slot> slots_;      // open addressing, at most half full
  bool looks_up_ = true;         // false: too few texts were found again
};

// One column of the rows under way. Which of the three holds it is the type's business.
class ColumnPacker {
 public:
  explicit ColumnPacker(const arrow::DataType& type);  // one that a batch may have

  // Appends the cells of these rows. The array may go afterwards.
  void Append(const arrow::ArrayData& column, absl::Span<const int32_t> rows);
  // What Finish will write, at most. A row adds cell_bytes() at most, and its text, whatever the rows before it hold:
  // the bytes that numbers take are counted as if their range were the type's.
  size_t bytes() const;
  size_t cell_bytes() const { return width_ + 1; }
  bool holds_texts() const { return cells_ == Cells::kTexts; }
  // Appends the column to `out` and begins another.
  void Finish(std::string* out);

 private:
  enum class Cells : uint8_t { kBits, kInt8, kInt32, kInt64, kFixed, kTexts };
  static Cells CellsOf(const arrow::DataType& type);
  static size_t WidthOf(const arrow::DataType& type);

  template <typename T>
  void AppendNumbers(const arrow::ArrayData& column, absl::Span<const int32_t> rows);
  void AppendTexts(const arrow::ArrayData& column, absl::Span<const int32_t> rows);
  void NoteNulls(const arrow::ArrayData& column, absl::Span<const int32_t> rows);

  Cells cells_;
  size_t width_;  // of a cell, at most, bytes; of a text's two numbers
  size_t rows_ = 0;
  std::vector<uint8_t> valid_;  // by row; empty while none is null
  NumberPacker numbers_;
  std::string fixed_;
  TextPacker texts_;
};

}  // namespace tidemark
