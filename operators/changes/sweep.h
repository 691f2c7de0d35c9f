// A sweep (changes.h) that is under way: which snapshot has ended where, and how far the rows are swept. Plain data;
// kept in state, so that whoever goes on with it sweeps the same.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "src/base/big_endian.h"
#include "src/base/varint.h"
#include "state/keyed_rows.h"

namespace tidemark {

struct Sweep {
  uint64_t number = 0;  // rows with a smaller one go
  // Hidden columns of the end of the snapshot, as far as the rows have them.
  int64_t watermark = 0, source = 0, partition = 0, offset = 0;
  KeyedRows::Walk walk;

  void Write(std::string* out) const {
    out->clear();
    AppendVarint(number, out);
    for (const int64_t value : {watermark, source, partition, offset}) AppendOrdered(value, out);
    // The rows in memory are walked anew, as those of an earlier object may stand elsewhere.
    out->push_back(walk.in_runs ? 1 : 0);
    if (walk.in_runs) out->append(walk.key);
  }
  // False: it is no such text.
  bool Read(std::string_view from) {
    if (!TakeVarint(&from, &number) || from.size() < 4 * 8 + 1) return false;
    for (int64_t* const value : {&watermark, &source, &partition, &offset}) {
      *value = ReadOrdered(from.substr(0, 8));
      from.remove_prefix(8);
    }
    walk = {.in_runs = from.front() != 0, .slot = 0, .key = std::string(from.substr(1))};
    return true;
  }
};

}  // namespace tidemark
