// What a walsender says in the streaming replication protocol, and what the plugin pgoutput (protocol version 1, values
// as text) says in it: transactions in the order of their commits, each with its changes. Decodes bytes that came over
// the network, whatever they are: what is short or strange is an error. Texts are views into the bytes that were given.
// Pure functions; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <absl/status/statusor.h>

#include "src/postgres/lsn.h"

namespace tidemark::pgoutput {

// ---- Frames of the replication protocol ----------------------------------------------------------------------------

struct Frame {
  enum class Kind { kData, kKeepalive };
  Kind kind = Kind::kData;
  Lsn lsn = 0;                // of the data; of a keepalive: everything before it has been sent, or is of no interest
  bool wants_answer = false;  // of a keepalive
  std::string_view data;
};
absl::StatusOr<Frame> ReadFrame(std::string_view bytes);

// The client's report that everything before `lsn` is safe with it, at so many microseconds since 1970.
std::string StatusUpdate(Lsn lsn, int64_t now_us);

// ---- Messages of pgoutput ------------------------------------------------------------------------------------------

struct Begin {
  Lsn commit_lsn = 0;        // where the commit's record begins
  int64_t committed_us = 0;  // since 1970
  uint32_t xid = 0;
};

struct Commit {
  Lsn commit_lsn = 0;
  Lsn end_lsn = 0;  // where the commit's record ends
};

// A table as it is from here on. Comes before its first change, and again where it may have changed.
struct Relation {
  struct Column {
    bool identity = false;  // part of the replica identity
    std::string name;
    uint32_t type = 0;  // oid
  };
  uint32_t id = 0;
  std::string schema, name;
  char identity = 'd';  // replica identity: d(efault), n(othing), f(ull), i(ndex)
  std::vector<Column> columns;
};

struct Cell {
  enum class Kind : uint8_t { kNull, kUnchanged, kText };
  Kind kind = Kind::kNull;
  std::string_view text;
};
using Tuple = std::vector<Cell>;

// Of one row. `old` is there as `old_kind` says: 'K' has the columns of the replica identity alone (of an update, where
// they have changed), 'O' has all, 0: there is none.
struct Change {
  enum class Kind { kInsert, kUpdate, kDelete };
  Kind kind = Kind::kInsert;
  uint32_t relation = 0;
  char old_kind = 0;
  Tuple old_row;
  Tuple new_row;  // of no deletion
};

struct Truncate {
  std::vector<uint32_t> relations;
};

// An origin, a type, a message of somebody: nothing of a table.
struct Other {};

using Message = std::variant<Begin, Commit, Relation, Change, Truncate, Other>;
absl::StatusOr<Message> ReadMessage(std::string_view bytes);

// ---- Rows of COPY ... TO STDOUT (text) -----------------------------------------------------------------------------

// A line with its end. Values that have escapes are written to `scratch`, which the cells then point into.
absl::Status ReadCopyRow(std::string_view line, std::string* scratch, Tuple* row);

}  // namespace tidemark::pgoutput
