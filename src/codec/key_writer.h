// The seam between rows and the format of their keys on the way out: a KeyWriter makes the keys of records. A batch a
// call. One per output; used by one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <absl/status/status.h>

#include "src/codec/column_text.h"

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
  virtual absl::Status Write(const std::vector<ColumnView>& columns, int64_t rows, TextBuffer* out,
                             std::vector<KeyEnd>* keys) = 0;
};

// Records without keys.
class NoKeys final : public KeyWriter {
 public:
  absl::Status Write(const std::vector<ColumnView>&, int64_t rows, TextBuffer*, std::vector<KeyEnd>* keys) override {
    keys->assign(static_cast<size_t>(rows), KeyEnd());
    return absl::OkStatus();
  }
};

}  // namespace tidemark
