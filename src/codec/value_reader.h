// The seam between records and a value format: a ValueReader reads records' values into rows. Everything that isn't of
// the format - keys, headers, places, event time, tombstones, what becomes of a bad record - is RecordRows' part.
//
// A reader is given a stretch of a fetch and says of each record, in order, what it gives (record_rows.h has the
// calls):
//
//   rows     none, one or many, each an insert or, of a changing table, another operation
//   Reject   it is bad, for this reason: none of its rows count, and it becomes a dead letter
//   Later    it can't be read yet, as something that isn't here must come first (a schema). The reader returns; the
//            record and all behind it are given to it again, until they are read. Meanwhile the partition waits, its
//            position stays before the record, and the other partitions go on. The reader sees to it, on a thread that
//            isn't this one, that what it waits for comes; it must answer at once.
//
// It speaks of every record that it is given, up to the last or one that waits: to pass over one ends the application.
//
// One reader per source and task, or per table; used by one thread. One call reads a whole fetch: the loop over records
// is the reader's own, so that nothing is called through a pointer for each of them.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <absl/status/status.h>

#include "src/base/record.h"
#include "src/base/schema.h"

namespace tidemark {

class RecordRows;

// A column that is read from values or keys, and where it stands there.
struct ReadTarget {
  std::vector<std::string> path;  // names from the root
  size_t column = 0;              // in the ColumnSet
  Type type;                      // of the column
  bool beside = false;            // it stands beside the row, from the root of what the record says of it
  bool key = false;               // of a changing table: a column of its key
  std::string as;                 // how it is written, as the topology says
};

class ValueReader {
 public:
  virtual ~ValueReader() = default;

  // Reads records [first, last) of the fetch. An error ends the application: for what no record is to blame for.
  virtual absl::Status Read(const Fetch& fetch, size_t first, size_t last, RecordRows* rows) = 0;
};

}  // namespace tidemark
