// The columns of packed rows, one after the other, each as small as costs next to nothing: whole numbers in the fewest
// bytes that hold their range (frame of reference, as in Goldstein et al., "Compressing relations and indexes", ICDE
// 1998), repeated texts as numbers of a dictionary's entries (as in Parquet), texts that don't repeat through LZ4. Rows
// of a shuffle get as small by this as by LZ4 over all of their bytes, in a fraction of its time, and so does reading.
//
// A column, little-endian (n: the number of rows):
//   flags     1 byte: 1 where a bitmap of the cells that aren't null follows, (n + 7) / 8 bytes
//   form      1 byte:
//     numbers     of the type as int64: numbers(n)
//     fixed       n values of the type's own width
//     texts       texts(n)
//     dictionary  entries as uint32, texts(entries), numbers(n): which entry each row has
//   numbers(n):   width 0, 1, 2, 4 or 8 (1 byte), the least (8 bytes), n differences from it
//   texts(n):     numbers(n): lengths; 1 byte: 1 where LZ4 (a block); stored size as uint32; the bytes
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include <absl/status/statusor.h>
#include <arrow/type_fwd.h>
#include <arrow/util/type_fwd.h>

namespace tidemark {

enum class ColumnForm : char { kNumbers = 0, kFixed = 1, kTexts = 2, kDictionary = 3 };
inline constexpr char kColumnHasNulls = 1;
inline constexpr char kTextsLz4 = 1;

// Null where Arrow was built without it.
arrow::util::Codec* Lz4Codec();

// Takes a column of so many rows off the front of `bytes`. DataLoss: it isn't one.
absl::StatusOr<std::shared_ptr<arrow::Array>> UnpackColumn(const std::shared_ptr<arrow::DataType>& type, int64_t rows,
                                                           std::string_view* bytes);

}  // namespace tidemark
