// The seam between rows and a format on their way out: a ValueWriter makes the values of records, a KeyWriter their
// keys. Which rows become records, with which keys and in which partitions, is RowEncoder's part. A batch a call, so
// that nothing is called through a pointer for each row. One each per output; used by one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <absl/status/status.h>
#include <absl/types/span.h>

#include "src/codec/column_text.h"

namespace tidemark {

class ValueWriter {
 public:
  virtual ~ValueWriter() = default;

  // Appends the value of each of these rows to `out`, one behind the other; ends[i] becomes where that of rows[i] ends.
  // `columns` are those of the schema the writer was made for.
  virtual absl::Status Write(const std::vector<ColumnView>& columns, absl::Span<const int32_t> rows, TextBuffer* out,
                             std::vector<size_t>* ends) = 0;
};

}  // namespace tidemark
