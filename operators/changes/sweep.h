// A sweep (changes.h) that is under way: which snapshots have ended where, and how far the rows are swept. Where
// another one ends meanwhile, one walk serves both, begun anew. Plain data; kept in state, so that whoever goes on with
// it sweeps the same.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/big_endian.h"
#include "src/base/varint.h"
#include "state/keyed_rows.h"

namespace tidemark {

struct Sweep {
  // The end of a snapshot.
  struct End {
    uint64_t number = 0;  // rows with a smaller one go
    // Its hidden columns, as far as the rows have them.
    int64_t watermark = 0, source = 0, partition = 0, offset = 0;
  };
  std::vector<End> ends;  // at least one; each has a larger number than the one before
  KeyedRows::Walk walk;

  // A row of that number goes.
  bool Takes(uint64_t number) const { return number < ends.back().number; }
  // At the end of the first snapshot that didn't have it any more, which depends on the records alone.
  size_t EndOf(uint64_t number) const {
    size_t end = 0;
    while (number >= ends[end].number) ++end;
    return end;
  }

  void Write(std::string* out) const {
    out->clear();
    AppendVarint(ends.size(), out);
    for (const End& end : ends) {
      AppendVarint(end.number, out);
      for (const int64_t value : {end.watermark, end.source, end.partition, end.offset}) AppendOrdered(value, out);
    }
    // The rows in memory are walked anew, as those of an earlier object may stand elsewhere.
    out->push_back(walk.in_runs ? 1 : 0);
    if (walk.in_runs) out->append(walk.key);
  }
  // False: it is no such text.
  bool Read(std::string_view from) {
    uint64_t count = 0;
    if (!TakeVarint(&from, &count) || count == 0 || count > from.size()) return false;
    ends.resize(count);
    for (End& end : ends) {
      if (!TakeVarint(&from, &end.number) || from.size() < 4 * 8 + 1) return false;
      for (int64_t* const value : {&end.watermark, &end.source, &end.partition, &end.offset}) {
        *value = ReadOrdered(from.substr(0, 8));
        from.remove_prefix(8);
      }
    }
    walk = {.in_runs = from.front() != 0, .slot = 0, .key = std::string(from.substr(1))};
    return true;
  }
};

}  // namespace tidemark
