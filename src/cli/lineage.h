// Where the columns of a sink come from, down to columns of sources and tables: exact, out of the plan's expressions.
// What a step makes itself (a rank, a window's start, a count) comes from no column. Pure functions of a plan.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "src/plan/about.h"
#include "src/plan/plan.h"

namespace tidemark {

// A column of a source or a table.
struct OriginColumn {
  bool table = false;
  size_t index = 0;  // in Plan::sources or Plan::tables
  std::string column;

  friend auto operator<=>(const OriginColumn&, const OriginColumn&) = default;
};

// What became of it on the way, the most that did: its value as it is, a value computed row by row, or of many rows.
enum class OriginWay : uint8_t { kIdentity, kTransformation, kAggregation };

using ColumnSources = std::map<OriginColumn, OriginWay>;

// By column of the sink's schema.
std::vector<ColumnSources> LineageOf(const Plan& plan, const SinkPlan& sink);

// The columns of each source and step in which there may be personal data (`pii`), by their names: those that come from
// columns which are said to have some, on whatever way, and all of a step of which it is said.
using PersonalColumns = std::map<std::string, std::set<std::string>>;
PersonalColumns PersonalColumnsOf(const Plan& plan, const AboutParts& about);

}  // namespace tidemark
