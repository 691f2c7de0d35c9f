// From a question to its answer: which index serves it, which rows they are, in which order, and how they are told.
// Everything here is bounded: rows that are looked at, rows and bytes that are told. Any thread; may take tens of
// milliseconds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "src/views/question.h"
#include "src/views/store.h"

namespace tidemark {

// Rows that are looked at for one answer; a page's rows in memory.
inline constexpr size_t kMostScanned = 100'000;
inline constexpr int64_t kMostPageBytes = int64_t{8} << 20;

// How a question is answered.
struct ViewPlan {
  ViewScan scan;
  size_t bound_columns = 0;         // the first so many columns of the index have stated values, or a range
  std::vector<ViewCondition> left;  // that the scan doesn't serve
  std::vector<ViewOrder> order;     // of the answer, down to the key, so that no two rows are equal in it
  bool in_order = false;            // the scan finds the rows in that order
};

ViewPlan PlanQuestion(const ViewQuestion& question, const ViewShape& shape);

struct ViewPage {
  Batch rows;        // all columns of the view
  std::string next;  // the cursor to go on with; "": that was all
  ViewMoment moment;
};

// InvalidArgument: where fails on a row, or the cursor is of another question. FailedPrecondition: more rows than
// `most_scanned` would have to be looked at; the message names the index to declare.
absl::StatusOr<ViewPage> Answer(const ViewQuestion& question, const ViewShape& shape, const ViewStore& store,
                                size_t most_scanned = kMostScanned);

enum class ViewFormat { kJson, kCsv, kArrow };

// What an Accept header asks for; nothing: none of the three.
std::optional<ViewFormat> FormatOfAccept(std::string_view accept);
const char* ContentTypeOf(ViewFormat format);
// The page's rows, `columns` of them (all where there are none). JSON: an array of objects; CSV: with a header line;
// Arrow: an IPC stream.
absl::StatusOr<std::string> RenderRows(const ViewPage& page, const Schema& schema, const std::vector<size_t>& columns,
                                       ViewFormat format);

}  // namespace tidemark
