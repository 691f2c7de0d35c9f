#include "src/views/answer.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <xxhash.h>

#include "src/base/status.h"
#include "src/plan/operator_kind.h"

namespace tidemark {
namespace {

constexpr size_t kMostRanges = 1'000;  // of combinations of stated values
constexpr size_t kChunk = 1'024;       // of rows that a condition is computed for at once
// Behind every cell, and in front of no value: cells begin with 1, or 2 for NULL.
constexpr char kBehind = '\xff', kNull = 2;

const ViewCondition* ConditionOf(const ViewQuestion& question, size_t column) {
  for (const ViewCondition& condition : question.conditions) {
    if (condition.column == column) return &condition;
  }
  return nullptr;
}

// How far an index serves the question: so many columns with stated values, and perhaps a range behind them.
struct Served {
  size_t equal = 0;
  bool range = false;
  size_t ranges = 1;  // combinations of the values
};

Served ServedBy(const ViewQuestion& question, const std::vector<size_t>& columns) {
  Served served;
  for (const size_t column : columns) {
    const ViewCondition* const condition = ConditionOf(question, column);
    if (condition == nullptr) break;
    if (condition->range()) {
      served.range = true;
      break;
    }
    if (served.ranges * condition->equal.size() > kMostRanges) break;
    served.ranges *= condition->equal.size();
    ++served.equal;
  }
  return served;
}

// [from, to) of the index for each combination of stated values, ascending as the values are.
std::vector<std::pair<std::string, std::string>> RangesOf(const ViewQuestion& question,
                                                          const std::vector<size_t>& columns, const Served& served) {
  std::vector<std::string> prefixes = {""};
  for (size_t i = 0; i < served.equal; ++i) {
    std::vector<std::string> longer;
    for (const std::string& prefix : prefixes) {
      for (const std::string& cell : ConditionOf(question, columns[i])->equal) longer.push_back(prefix + cell);
    }
    prefixes = std::move(longer);
  }
  std::vector<std::pair<std::string, std::string>> ranges;
  for (const std::string& prefix : prefixes) {
    std::string from = prefix, to = prefix + kBehind;
    if (served.range) {
      const ViewCondition& range = *ConditionOf(question, columns[served.equal]);
      if (range.low) from = prefix + range.low->cell + (range.low->inclusive ? "" : std::string(1, kBehind));
      to = prefix + (range.high ? range.high->cell + (range.high->inclusive ? std::string(1, kBehind) : "")
                                : std::string(1, kNull));
    }
    ranges.emplace_back(std::move(from), std::move(to));
  }
  return ranges;
}

// The order of the answer: as asked, then the key in the direction of what stands before it.
std::vector<ViewOrder> WholeOrder(const ViewQuestion& question, const ViewShape& shape) {
  std::vector<ViewOrder> order = question.order;
  const bool descending = !order.empty() && order.back().descending;
  for (const size_t column : shape.key()) {
    const bool there = std::any_of(order.begin(), order.end(), [&](const auto& each) { return each.column == column; });
    if (!there) order.push_back({column, descending});
  }
  return order;
}

// A column that the question gives one value orders nothing.
bool IsConstant(const ViewQuestion& question, size_t column) {
  const ViewCondition* const condition = ConditionOf(question, column);
  return condition != nullptr && condition->equal.size() == 1;
}

// Whether the index, read forwards or backwards, has the rows in that order.
bool InOrder(const ViewQuestion& question, const std::vector<size_t>& sorted_by, const Served& served,
             const std::vector<ViewOrder>& order, bool* backwards) {
  if (served.ranges != 1) return false;
  std::vector<size_t> has;
  for (const size_t column : sorted_by) {
    if (!IsConstant(question, column) && std::find(has.begin(), has.end(), column) == has.end()) has.push_back(column);
  }
  std::vector<ViewOrder> wants;
  std::copy_if(order.begin(), order.end(), std::back_inserter(wants),
               [&](const ViewOrder& each) { return !IsConstant(question, each.column); });
  if (wants.size() != has.size()) return false;
  for (size_t i = 0; i < has.size(); ++i) {
    if (wants[i].column != has[i] || wants[i].descending != wants[0].descending) return false;
  }
  *backwards = !wants.empty() && wants[0].descending;
  return true;
}

// ---- Cursors: the cells of the order's columns of the last row that was told, and a hash of the question.

std::string Identity(const ViewQuestion& question, const ViewShape& shape) {
  std::string text = absl::StrCat(shape.schema().ToString(), "\n", ColumnNames(shape.schema(), shape.key()), "\n",
                                  question.where_text, "\n");
  std::vector<const ViewCondition*> conditions;
  for (const ViewCondition& condition : question.conditions) conditions.push_back(&condition);
  std::sort(conditions.begin(), conditions.end(), [](const auto* a, const auto* b) { return a->column < b->column; });
  const auto bound = [](const std::optional<ViewCondition::Bound>& b) {
    return b ? absl::StrCat(b->inclusive ? "=" : "<", absl::BytesToHexString(b->cell)) : "";
  };
  for (const ViewCondition* condition : conditions) {
    absl::StrAppend(&text, condition->column, ":", bound(condition->low), ":", bound(condition->high));
    for (const std::string& cell : condition->equal) absl::StrAppend(&text, " ", absl::BytesToHexString(cell));
    absl::StrAppend(&text, "\n");
  }
  for (const ViewOrder& order : question.order) absl::StrAppend(&text, order.column, order.descending ? "-" : "+");
  const uint64_t hash = XXH3_64bits(text.data(), text.size());
  return std::string(reinterpret_cast<const char*>(&hash), sizeof hash);
}

using CellsOfRow = std::vector<std::string_view>;

// What sorts rows in the order of the answer, bytewise.
std::string SortKey(const CellsOfRow& cells, const std::vector<ViewOrder>& order) {
  std::string key;
  for (const ViewOrder& each : order) {
    const size_t begin = key.size();
    key.append(cells[each.column]);
    if (!each.descending) continue;
    for (size_t i = begin; i < key.size(); ++i) key[i] = static_cast<char>(~key[i]);
  }
  return key;
}

// What is told of a row to go on behind it: the question, and the cells of the order's columns.
std::string CursorOf(const std::string& identity, const CellsOfRow& cells, const std::vector<ViewOrder>& order) {
  std::string cursor = identity;
  for (const ViewOrder& each : order) cursor.append(cells[each.column]);
  return absl::WebSafeBase64Escape(cursor);
}

// The cells again, by column of the view; they point into `bytes`.
bool ReadCursor(const std::string& cursor, const std::string& identity, const ViewShape& shape,
                const std::vector<ViewOrder>& order, std::string* bytes, CellsOfRow* cells) {
  if (!absl::WebSafeBase64Unescape(cursor, bytes) || !bytes->starts_with(identity)) return false;
  std::vector<RowCodec::Field> fields;
  for (const ViewOrder& each : order) fields.push_back({each.column, shape.schema()[each.column].type});
  CellsOfRow found;
  if (!RowCodec::Key(fields).Split(std::string_view(*bytes).substr(identity.size()), &found)) return false;
  cells->assign(shape.schema().size(), std::string_view());
  for (size_t i = 0; i < order.size(); ++i) (*cells)[order[i].column] = found[i];
  return true;
}

// Lets the scan begin behind the row of the cursor, which stands in its order.
void BeginBehind(const CellsOfRow& cells, const ViewQuestion& question, const ViewShape& shape, ViewPlan* plan) {
  std::string place;
  for (const size_t column : shape.SortedBy(plan->scan.index)) {
    place += cells[column].empty() ? std::string_view(ConditionOf(question, column)->equal[0]) : cells[column];
  }
  auto& [from, to] = plan->scan.ranges[0];
  if (plan->scan.backwards) {
    to = std::min(to, place);
  } else {
    from = std::max(from, place + kBehind);
  }
}

absl::Status NoIndex(const ViewQuestion& question, const ViewShape& shape, size_t most_scanned) {
  std::vector<size_t> columns;
  for (const bool range : {false, true}) {
    for (const ViewCondition& condition : question.conditions) {
      if (condition.range() == range) columns.push_back(condition.column);
    }
  }
  const auto add = [&](size_t column) {
    if (std::find(columns.begin(), columns.end(), column) == columns.end()) columns.push_back(column);
  };
  if (question.where) {
    for (const size_t column : question.where->columns()) {
      if (shape.schema()[column].type.kind != Kind::kJson) add(column);
    }
  }
  for (const ViewOrder& order : question.order) add(order.column);
  std::string advice = "ask for less";
  if (!columns.empty()) {
    advice = absl::StrCat("declare index: [[", ColumnNames(shape.schema(), columns), "]]");
    if (question.where) {
      absl::StrAppend(&advice, " and state what `where` says of its columns as values or ranges, which indexes serve");
    }
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "more than ", most_scanned, " rows would have to be looked at, as no index leads to fewer: ", advice));
}

// Keeps the rows for which all that the scan left open holds, until there are enough.
class Sieve {
 public:
  Sieve(const ViewQuestion& question, const ViewPlan& plan, const ViewShape& shape)
      : question_(question), plan_(plan), shape_(shape) {}

  absl::Status Pass(const std::vector<ViewRowPtr>& rows, size_t enough, std::vector<ViewRowPtr>* out) {
    for (size_t begin = 0; begin < rows.size() && out->size() < enough; begin += kChunk) {
      std::vector<ViewRowPtr> chunk;
      for (size_t i = begin; i < std::min(rows.size(), begin + kChunk); ++i) {
        TM_ASSIGN_OR_RETURN(const bool holds, Conditions(*rows[i]));
        if (holds) chunk.push_back(rows[i]);
      }
      if (question_.where) TM_RETURN_IF_ERROR(Where(&chunk));
      out->insert(out->end(), chunk.begin(), chunk.end());
    }
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<bool> Conditions(const ViewRow& row) {
    if (plan_.left.empty()) return true;
    if (!shape_.Split(row, &cells_)) return absl::DataLossError("a row of the view can't be read");
    return std::all_of(plan_.left.begin(), plan_.left.end(),
                       [&](const ViewCondition& condition) { return condition.Holds(cells_[condition.column]); });
  }

  absl::Status Where(std::vector<ViewRowPtr>* rows) {
    if (rows->empty()) return absl::OkStatus();
    TM_ASSIGN_OR_RETURN(const Batch batch, shape_.Decode(*rows));
    std::vector<RowError> errors;
    TM_ASSIGN_OR_RETURN(const auto result, question_.where->Evaluate(*batch, &errors));
    if (!errors.empty()) return absl::InvalidArgumentError("where fails on a row: " + errors[0].message);
    const auto& holds = static_cast<const arrow::BooleanArray&>(*result);
    size_t kept = 0;
    for (size_t i = 0; i < rows->size(); ++i) {
      const auto at = static_cast<int64_t>(i);
      if (holds.IsValid(at) && holds.Value(at)) (*rows)[kept++] = (*rows)[i];
    }
    rows->resize(kept);
    return absl::OkStatus();
  }

  const ViewQuestion& question_;
  const ViewPlan& plan_;
  const ViewShape& shape_;
  CellsOfRow cells_;
};

// In the order of the answer, those behind the cursor, at most `enough` of them.
absl::Status Sort(const ViewShape& shape, const std::vector<ViewOrder>& order, const std::string& after, size_t enough,
                  std::vector<ViewRowPtr>* rows) {
  std::vector<std::pair<std::string, ViewRowPtr>> sorted;
  CellsOfRow cells;
  for (ViewRowPtr& row : *rows) {
    if (!shape.Split(*row, &cells)) return absl::DataLossError("a row of the view can't be read");
    std::string key = SortKey(cells, order);
    if (after.empty() || key > after) sorted.emplace_back(std::move(key), std::move(row));
  }
  const size_t count = std::min(enough, sorted.size());
  std::partial_sort(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(count), sorted.end(),
                    [](const auto& a, const auto& b) { return a.first < b.first; });
  rows->clear();
  for (size_t i = 0; i < count; ++i) rows->push_back(std::move(sorted[i].second));
  return absl::OkStatus();
}

}  // namespace

ViewPlan PlanQuestion(const ViewQuestion& question, const ViewShape& shape) {
  ViewPlan plan;
  plan.order = WholeOrder(question, shape);
  Served best;
  bool any = false;
  for (size_t i = 0; i < shape.indexes().size(); ++i) {
    const std::vector<size_t> sorted_by = shape.SortedBy(i);
    const Served served = ServedBy(question, sorted_by);
    bool backwards = false;
    const bool in_order = InOrder(question, sorted_by, served, plan.order, &backwards);
    const auto rank = [](const Served& s, bool ordered) {
      return std::make_pair(2 * s.equal + (s.range ? 1 : 0), ordered);
    };
    if (any && rank(served, in_order) <= rank(best, plan.in_order)) continue;
    any = true;
    best = served;
    plan.in_order = in_order;
    plan.scan.index = i;
    plan.scan.backwards = backwards;
  }
  const std::vector<size_t> sorted_by = shape.SortedBy(plan.scan.index);
  plan.scan.ranges = RangesOf(question, sorted_by, best);
  plan.bound_columns = best.equal + (best.range ? 1 : 0);
  for (const ViewCondition& condition : question.conditions) {
    const auto bound = sorted_by.begin() + static_cast<std::ptrdiff_t>(plan.bound_columns);
    if (std::find(sorted_by.begin(), bound, condition.column) == bound) plan.left.push_back(condition);
  }
  return plan;
}

absl::StatusOr<ViewPage> Answer(const ViewQuestion& question, const ViewShape& shape, const ViewStore& store,
                                size_t most_scanned) {
  ViewPlan plan = PlanQuestion(question, shape);
  const std::string identity = Identity(question, shape);
  std::string after;
  if (!question.after.empty()) {
    std::string bytes;
    CellsOfRow cells;
    if (!ReadCursor(question.after, identity, shape, plan.order, &bytes, &cells)) {
      return absl::InvalidArgumentError("after: not a cursor that an answer to this question has given");
    }
    after = SortKey(cells, plan.order);
    if (plan.in_order) BeginBehind(cells, question, shape, &plan);
  }
  const auto enough = static_cast<size_t>(question.limit) + 1;
  const bool exact = plan.in_order && plan.left.empty() && !question.where;
  ViewPage page;
  std::vector<ViewRowPtr> found, rows;
  page.moment = store.Collect(plan.scan, exact ? enough : most_scanned + 1, &found);
  const bool too_many = !exact && found.size() > most_scanned;
  if (too_many && !plan.in_order) return NoIndex(question, shape, most_scanned);
  if (too_many) found.pop_back();
  TM_RETURN_IF_ERROR(
      Sieve(question, plan, shape).Pass(found, plan.in_order ? enough : std::numeric_limits<size_t>::max(), &rows));
  if (too_many && rows.size() < enough) return NoIndex(question, shape, most_scanned);
  if (!plan.in_order) TM_RETURN_IF_ERROR(Sort(shape, plan.order, after, enough, &rows));
  // A page ends by its rows or its bytes.
  int64_t bytes = 0;
  size_t count = 0;
  while (count < rows.size() && count + 1 < enough) {
    bytes += static_cast<int64_t>(rows[count]->cells().size());
    if (count > 0 && bytes > kMostPageBytes) break;
    ++count;
  }
  if (count < rows.size()) {
    CellsOfRow cells;
    if (!shape.Split(*rows[count - 1], &cells)) return absl::DataLossError("a row of the view can't be read");
    page.next = CursorOf(identity, cells, plan.order);
    rows.resize(count);
  }
  TM_ASSIGN_OR_RETURN(page.rows, shape.Decode(rows));
  return page;
}

}  // namespace tidemark
