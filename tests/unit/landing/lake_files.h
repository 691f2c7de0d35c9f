// Files of a raw lake, for tests.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>
#include <arrow/builder.h>
#include <arrow/io/file.h>
#include <arrow/table.h>
#include <gtest/gtest.h>
#include <parquet/arrow/writer.h>

#include "src/plan/lake_spec.h"

namespace tidemark {

// The key is "k" and the offset.
struct LakeRow {
  int32_t partition;
  int64_t offset;
  std::optional<std::string> value = "v";
  int64_t ms = -1;  // -1: 1000 times the offset
};

inline LakeSpec LakeColumns(const std::string& folder) {
  return {folder, "part", "place", "written", "raw", "key", false};
}

// In row groups of `group` rows; `raw`: how the column of values is called.
inline void WriteLakeFile(const std::string& path, const std::vector<LakeRow>& rows, int64_t group = 100,
                          const std::string& raw = "raw") {
  const auto us = arrow::timestamp(arrow::TimeUnit::MICRO, "UTC");
  arrow::Int32Builder parts;
  arrow::Int64Builder places;
  arrow::TimestampBuilder times(us, arrow::default_memory_pool());
  arrow::BinaryBuilder values, keys;
  for (const LakeRow& row : rows) {
    ASSERT_TRUE(parts.Append(row.partition).ok());
    ASSERT_TRUE(places.Append(row.offset).ok());
    ASSERT_TRUE(times.Append((row.ms < 0 ? row.offset * 1000 : row.ms) * 1000).ok());
    ASSERT_TRUE((row.value ? values.Append(*row.value) : values.AppendNull()).ok());
    ASSERT_TRUE(keys.Append(absl::StrCat("k", row.offset)).ok());
  }
  const auto table =
      arrow::Table::Make(arrow::schema({arrow::field("part", arrow::int32()), arrow::field("place", arrow::int64()),
                                        arrow::field("written", us), arrow::field(raw, arrow::binary()),
                                        arrow::field("key", arrow::binary())}),
                         {*parts.Finish(), *places.Finish(), *times.Finish(), *values.Finish(), *keys.Finish()});
  const auto file = arrow::io::FileOutputStream::Open(path);
  ASSERT_TRUE(file.ok()) << file.status().ToString();
  ASSERT_TRUE(parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), *file, group).ok());
  ASSERT_TRUE((*file)->Close().ok());
}

}  // namespace tidemark
