// The rows of a transaction of which the rest hasn't come yet. Rows of the commit under way are in memory, those of
// earlier ones in state, as one text cut into pieces: a row may be larger than a value there.
//
// State key: 't': packed numbers: the first piece there is, the next one, rows, bytes. Only while there are any.
//            't', the number of a piece (4, big-endian): a piece of the text: for each row its size (4) and its bytes.
//
// Touched only by the stream thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

#include "state/store.h"

namespace tidemark {

class OpenTransaction {
 public:
  explicit OpenTransaction(StateStore* store) : store_(store) {}
  OpenTransaction(const OpenTransaction&) = delete;
  OpenTransaction& operator=(const OpenTransaction&) = delete;

  absl::Status Load();
  void Append(std::string_view row);
  // All of its rows, in their order, which point into `text`; and none is here any more.
  absl::Status Take(std::string* text, std::vector<std::string_view>* rows);
  // Everything of it is in state.
  void Commit();

  int64_t rows() const { return rows_; }
  int64_t bytes() const { return bytes_; }
  int64_t MemoryBytes() const { return static_cast<int64_t>(fresh_.capacity()); }

 private:
  StateStore* const store_;
  uint32_t first_ = 0, next_ = 0;  // pieces
  int64_t rows_ = 0, bytes_ = 0;
  std::string fresh_;  // behind the pieces
  bool noted_ = false, changed_ = false;
};

}  // namespace tidemark
