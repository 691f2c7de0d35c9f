// A file of tests of a topology, read: which topology, what is given, what happens, what is expected, each with its
// place, so that whatever is wrong or differs later can be told with file, line and column. Nothing is known here of
// the topology itself: names and values are text until given.h and expected.h meet them with its types.
//
//   topology: ../topology.yaml            # beside the file
//   vars: { SALT: x }                     # ${SALT} in it; nothing comes from the environment
//   tests:
//     - name: What comes twice counts once
//       given: { clicks: [ {id: 1, at: 10} ] }
//       expect: { unique: [ {id: 1} ] }
//
// docs/testing.md is the contract. Plain values; one thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "src/plan/diagnostics.h"

namespace tidemark::trial {

struct Cell {
  std::string column;
  Position named;                   // where its name stands
  Position at;                      // and its value
  std::optional<std::string> text;  // nothing: null
};

struct Row {
  Position at;
  std::vector<Cell> cells;

  const Cell* Find(std::string_view column) const;
};

// Rows that are given to, or expected of, something with a name.
struct RowSet {
  // How they are written, and so how they are written again.
  enum class Form { kList, kCsv, kJsonLines, kCsvFile, kJsonLinesFile };

  std::string name;
  Position at;     // where the name stands
  Position value;  // where the rows begin: the list, or `csv`, `jsonl`, `file`, `rows`
  Form form = Form::kList;
  std::string file;  // of the last two: its path
  bool in_order = false;
  std::vector<Row> rows;
};

struct ScriptEntry {
  enum class What { kGiven, kAdvance, kCrash, kRestart, kRebalance };

  What what = What::kGiven;
  Position at;
  std::vector<RowSet> given;  // kGiven
  int64_t advance_us = 0;     // kAdvance
};

struct Count {
  std::string counter;
  Position at;
  int64_t value = 0;
};

// What is expected of a line of the ledger.
struct LedgerSet {
  std::string name;
  Position at;  // where the name stands
  std::vector<Count> counts;
};

// What must be so of a step's or sink's rows, whichever they are (invariant.h).
struct Invariant {
  std::string of;
  Position at;                      // where the name stands
  std::vector<std::string> unique;  // no two rows are equal in these columns; empty: not stated
  std::string always;               // an SQL condition that is true of each row; empty: not stated
  std::optional<int64_t> count;     // of rows
};

// One test.
struct Case {
  std::string name;
  Position at;
  std::vector<ScriptEntry> script;  // what is given at first is its first entry
  std::vector<RowSet> expect;
  RowSet dead_letters;  // none where the test doesn't speak of them
  std::vector<LedgerSet> ledger;
  int32_t partitions = 0;           // of every source; 0: by seed
  std::optional<int64_t> clock_us;  // when it begins; nothing: at the last row given
  bool close_windows = true;
  double tolerance = 0;  // of doubles, beside what rounding takes
  std::vector<Invariant> invariants;
  std::optional<std::set<std::string>> faults;  // kinds that go wrong with a seed; nothing: what the seed says
};

struct TestFile {
  std::string path;
  std::string text;
  std::string topology;  // its path, the folder of this file in front
  Position topology_at;
  std::map<std::string, std::string> vars;
  std::vector<Case> tests;
  Diagnostics places{"", ""};  // Place(position) is "file:line:column"

  // "file:line:column: message".
  absl::Status Error(Position at, std::string_view message) const;
};

// The kinds of faults (src/sim/chaos.h) that a test may have: all but those that take input away.
const std::set<std::string>& TestableFaults();

// InvalidArgument: all that is wrong with the file, a line each.
absl::StatusOr<TestFile> ReadTestFile(const std::string& path);

}  // namespace tidemark::trial
