// The keys of records on their way out, by the key's format. One per output; used by one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <absl/status/status.h>

#include "src/base/schema.h"
#include "src/codec/column_text.h"
#include "src/plan/plan.h"

namespace tidemark {

// Where a row's key ends, which begins where the row's before it does; absent: the record has none.
struct KeyEnd {
  size_t end = 0;
  bool present = false;
};

class KeyWriter {
 public:
  virtual ~KeyWriter() = default;

  // Appends the key of each of the first `rows` rows to `out`, which is empty. `columns` are those of the whole schema.
  virtual void Write(const std::vector<ColumnView>& columns, int64_t rows, TextBuffer* out,
                     std::vector<KeyEnd>* keys) = 0;
};

// Of these columns: several make a JSON object, one stands for itself unless the format is JSON. A single column that
// is NULL makes no key, and neither do no columns.
std::unique_ptr<KeyWriter> MakeKeyWriter(KeyFormat format, const Schema& schema, const std::vector<size_t>& key);

}  // namespace tidemark
