#include "src/trial/compare.h"

#include <algorithm>
#include <map>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "src/base/status.h"
#include "src/base/suggest.h"
#include "src/runtime/worker_status.h"
#include "src/trial/value.h"

namespace tidemark::trial {
namespace {

// Differences that are shown of one name.
constexpr int kMostShown = 10;

struct Wanted {
  Position at;
  std::vector<size_t> columns;     // named, in the row's order
  std::vector<std::string> cells;  // of these
};

absl::StatusOr<std::vector<Wanted>> Resolve(const TestFile& file, const RowSet& expected, const Schema& schema) {
  std::vector<Wanted> rows;
  for (const Row& row : expected.rows) {
    Wanted& wanted = rows.emplace_back(Wanted{row.at, {}, {}});
    for (const Cell& cell : row.cells) {
      const auto column = schema.Find(cell.column);
      if (!column) {
        return file.Error(cell.named, absl::StrCat(expected.name, " has no column '", cell.column, "'",
                                                   DidYouMean(cell.column, schema.Names())));
      }
      const absl::StatusOr<std::string> value = Comparable(schema[*column].type, cell.text);
      if (!value.ok()) {
        return file.Error(cell.at, absl::StrCat("column ", cell.column, ": ", std::string(value.status().message())));
      }
      wanted.columns.push_back(*column);
      wanted.cells.push_back(*value);
    }
  }
  return rows;
}

class Comparison {
 public:
  Comparison(const TestFile& file, const Case& test, const RowSet& expected, const FoundRows& found,
             std::vector<Wanted> wanted)
      : file_(file), test_(test), expected_(expected), found_(found), wanted_(std::move(wanted)) {}

  std::string Compare() {
    answer_of_.assign(wanted_.size(), kNone);
    taken_by_.assign(found_.rows.size(), kNone);
    if (expected_.in_order) {
      for (size_t i = 0; i < wanted_.size() && i < found_.rows.size(); ++i) {
        if (Differing(i, i).empty()) Give(i, i);
      }
    } else {
      for (size_t i = 0; i < wanted_.size(); ++i) {
        std::vector<bool> asked(found_.rows.size());
        Find(i, &asked);
      }
    }
    return Tell();
  }

 private:
  static constexpr size_t kNone = ~size_t{0};

  // Positions in wanted_[i].columns.
  std::vector<size_t> Differing(size_t i, size_t f) const {
    std::vector<size_t> differing;
    const Wanted& wanted = wanted_[i];
    for (size_t c = 0; c < wanted.columns.size(); ++c) {
      const Type& type = found_.schema[wanted.columns[c]].type;
      if (!SameValue(type, wanted.cells[c], found_.rows[f][wanted.columns[c]], test_.tolerance)) differing.push_back(c);
    }
    return differing;
  }

  void Give(size_t i, size_t f) {
    answer_of_[i] = f;
    taken_by_[f] = i;
  }

  // A row that names fewer columns may have taken what another needs: it is asked to take another one.
  bool Find(size_t i, std::vector<bool>* asked) {
    for (const bool free : {true, false}) {
      for (size_t f = 0; f < found_.rows.size(); ++f) {
        if ((*asked)[f] || (taken_by_[f] == kNone) != free || !Differing(i, f).empty()) continue;
        (*asked)[f] = true;
        if (!free && !Find(taken_by_[f], asked)) continue;
        Give(i, f);
        return true;
      }
    }
    return false;
  }

  // The found row that is nearest to an expected one, where at least half of it is the same.
  size_t Nearest(size_t i) const {
    size_t nearest = kNone, fewest = wanted_[i].columns.size() / 2 + 1;
    for (size_t f = 0; f < found_.rows.size(); ++f) {
      if (taken_by_[f] != kNone) continue;
      const size_t differing = Differing(i, f).size();
      if (differing < fewest) {
        fewest = differing;
        nearest = f;
      }
    }
    return nearest;
  }

  std::string Tell() {
    std::string lines;
    int count = 0;
    if (expected_.in_order && !found_.has_order) {
      absl::StrAppend(&lines,
                      "    its rows lie in several partitions, which have no order: state `partitions: 1`, or "
                      "leave `ordered` out\n");
      ++count;
    }
    for (size_t i = 0; i < wanted_.size(); ++i) {
      if (answer_of_[i] != kNone) continue;
      const size_t f = expected_.in_order ? (i < found_.rows.size() ? i : kNone) : Nearest(i);
      if (f != kNone) taken_by_[f] = i;
      if (count++ < kMostShown) lines += Line(i, f);
    }
    const std::vector<size_t> named = Named();
    for (size_t f = 0; f < found_.rows.size(); ++f) {
      if (taken_by_[f] != kNone) continue;
      if (count++ < kMostShown) {
        absl::StrAppend(&lines, "    + found, not expected:  ", RowText(found_.schema, found_.rows[f], named), "\n");
      }
    }
    if (count == 0) return "";
    if (count > kMostShown) absl::StrAppend(&lines, "    ... and ", count - kMostShown, " more\n");
    return absl::StrCat("  ", file_.places.Place(expected_.at), ": ", expected_.name, ": ", wanted_.size(),
                        wanted_.size() == 1 ? " row" : " rows", " expected, ", found_.rows.size(), " found\n", lines);
  }

  std::string Line(size_t i, size_t f) const {
    const Wanted& wanted = wanted_[i];
    std::vector<std::string> cells(found_.schema.size());
    for (size_t c = 0; c < wanted.columns.size(); ++c) cells[wanted.columns[c]] = wanted.cells[c];
    std::string line = absl::StrCat("    - ", file_.places.Place(wanted.at),
                                    ": expected:  ", RowText(found_.schema, cells, wanted.columns), "\n");
    if (f == kNone) return line;
    std::vector<std::string> differing;
    for (const size_t c : Differing(i, f)) {
      const Column& column = found_.schema[wanted.columns[c]];
      differing.push_back(absl::StrCat(column.name, " is ", YamlOf(column.type, found_.rows[f][wanted.columns[c]]),
                                       ", not ", YamlOf(column.type, wanted.cells[c])));
    }
    absl::StrAppend(&line, "      found instead:  ", RowText(found_.schema, found_.rows[f], wanted.columns), "\n      ",
                    absl::StrJoin(differing, "; "), "\n");
    return line;
  }

  // The columns that any expected row names.
  std::vector<size_t> Named() const {
    std::vector<size_t> named;
    for (size_t c = 0; c < found_.schema.size(); ++c) {
      const bool is = std::any_of(wanted_.begin(), wanted_.end(), [&](const Wanted& w) {
        return std::find(w.columns.begin(), w.columns.end(), c) != w.columns.end();
      });
      if (is) named.push_back(c);
    }
    return named.empty() ? found_.telling : named;
  }

  const TestFile& file_;
  const Case& test_;
  const RowSet& expected_;
  const FoundRows& found_;
  const std::vector<Wanted> wanted_;
  std::vector<size_t> answer_of_, taken_by_;
};

}  // namespace

std::string RowText(const Schema& schema, const std::vector<std::string>& row, const std::vector<size_t>& columns) {
  std::vector<std::string> cells;
  for (const size_t c : columns) cells.push_back(absl::StrCat(schema[c].name, ": ", YamlOf(schema[c].type, row[c])));
  return cells.empty() ? "{}" : absl::StrCat("{ ", absl::StrJoin(cells, ", "), " }");
}

absl::StatusOr<std::string> CompareRows(const TestFile& file, const Case& test, const RowSet& expected,
                                        const FoundRows& found) {
  TM_ASSIGN_OR_RETURN(std::vector<Wanted> wanted, Resolve(file, expected, found.schema));
  return Comparison(file, test, expected, found, std::move(wanted)).Compare();
}

std::string CompareLedger(const TestFile& file, const Case& test,
                          const std::vector<std::pair<std::string, StepLedger>>& found) {
  std::string lines;
  for (const LedgerSet& set : test.ledger) {
    std::map<std::string, int64_t> counters;
    for (const auto& [name, ledger] : found) {
      if (name != set.name) continue;
      ForEachCounter(ledger, [&](std::string_view counter, int64_t value) { counters[std::string(counter)] = value; });
    }
    for (const Count& count : set.counts) {
      const int64_t value = counters.contains(count.counter) ? counters[count.counter] : 0;
      if (value == count.value) continue;
      absl::StrAppend(&lines, "  ", file.places.Place(count.at), ": ledger of ", set.name, ": ", count.counter, " is ",
                      value, ", not ", count.value, "\n");
    }
  }
  return lines;
}

}  // namespace tidemark::trial
