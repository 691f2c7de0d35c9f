#include "operators/sinks/postgres/compare.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "operators/sinks/postgres/arrays.h"
#include "src/base/status.h"
#include "src/base/time.h"

namespace tidemark {
namespace {

// The column's values, whatever the table holds them in: without length or scale, which could round, and with an order
// of texts that both have.
std::string Brought(const std::string& value, const Type& type) {
  if (type.kind == Kind::kString) return absl::StrCat("CAST(", value, " AS text) COLLATE \"C\"");
  return absl::StrCat("CAST(", value, " AS ", type.kind == Kind::kDecimal ? "numeric" : PostgresTypeName(type), ")");
}

std::string KeyList(const std::vector<size_t>& columns) {
  return absl::StrJoin(columns, ", ", [](std::string* out, size_t c) { absl::StrAppend(out, "c", c); });
}

}  // namespace

TableComparison::TableComparison(TableComparisonSpec spec)
    : spec_(std::move(spec)),
      what_(absl::StrCat("sink ", spec_.sink, ": tables ", spec_.sink_spec.schema, ".", spec_.before, " and ",
                         spec_.after)),
      connection_(spec_.sink_spec.url, absl::StrCat("tidemark switch ", spec_.sink), what_, nullptr, PgUse::kRead) {}

std::string TableComparison::Rows(const std::string& table, bool before) const {
  std::vector<std::string> columns = {absl::StrCat(before ? "1" : "0", " AS b"),
                                      absl::StrCat(before ? "0" : "1", " AS a")};
  for (size_t c = 0; c < spec_.columns.columns.size(); ++c) {
    const ComparedColumn& column = spec_.columns.columns[c];
    const bool here = before ? column.before : column.after;
    columns.push_back(absl::StrCat(Brought(here ? PgConnection::Quote(column.name) : "NULL", column.type), " AS c", c));
  }
  return absl::StrCat("SELECT ", absl::StrJoin(columns, ", "), " FROM ", PgConnection::Quote(spec_.sink_spec.schema),
                      ".", PgConnection::Quote(table));
}

// First rows that are alike become one, with how often it stands in each table; then, by a key, those of each key.
std::string TableComparison::Sql() const {
  std::vector<size_t> all, key;
  for (size_t c = 0; c < spec_.columns.columns.size(); ++c) {
    all.push_back(c);
    const auto& name = spec_.columns.columns[c].name;
    if (std::find(spec_.key.begin(), spec_.key.end(), name) != spec_.key.end()) key.push_back(c);
  }
  const std::string both = absl::StrCat(Rows(spec_.before, true), " UNION ALL ", Rows(spec_.after, false));
  const std::string alike =
      absl::StrCat("SELECT ", KeyList(all), all.empty() ? "" : ", ", "sum(b) AS b, sum(a) AS a FROM (", both, ") AS x",
                   all.empty() ? "" : absl::StrCat(" GROUP BY ", KeyList(all)));
  if (key.empty()) {
    return absl::StrCat(
        "SELECT coalesce(sum(greatest(b - a, 0)), 0), coalesce(sum(greatest(a - b, 0)), 0), 0, "
        "coalesce(sum(greatest(a, b)), 0) FROM (",
        alike, ") AS y");
  }
  const std::string keys = absl::StrCat("SELECT sum(b) AS b, sum(a) AS a, bool_and(a = b) AS same FROM (", alike,
                                        ") AS y GROUP BY ", KeyList(key));
  return absl::StrCat(
      "SELECT count(*) FILTER (WHERE a = 0), count(*) FILTER (WHERE b = 0), "
      "count(*) FILTER (WHERE a > 0 AND b > 0 AND NOT same), count(*) FROM (",
      keys, ") AS z");
}

absl::Status TableComparison::Open() {
  if (connection_.idle()) return absl::OkStatus();
  TM_RETURN_IF_ERROR(connection_.Connect());
  return connection_.Run("SET statement_timeout = 0; SET default_transaction_read_only = on").status();
}

absl::Status TableComparison::Check() {
  TM_RETURN_IF_ERROR(Open());
  return connection_.Run("EXPLAIN " + Sql()).status();
}

absl::StatusOr<TableDifference> TableComparison::Run(const std::function<absl::Status()>& go_on) {
  TM_RETURN_IF_ERROR(Open());
  TM_RETURN_IF_ERROR(connection_.Send(Sql()));
  std::optional<PgResult> answer;
  while (!answer) {
    TM_ASSIGN_OR_RETURN(answer, connection_.Await(kSecond));
    if (answer) break;
    if (const absl::Status status = go_on(); !status.ok()) {
      connection_.Close();  // the server notices within seconds
      return status;
    }
  }
  TableDifference difference;
  int64_t* const numbers[] = {&difference.only_before, &difference.only_after, &difference.differing, &difference.of};
  for (int i = 0; i < 4; ++i) {
    if (!absl::SimpleAtoi(PQgetvalue(answer->get(), 0, i), numbers[i])) {
      return absl::InternalError(absl::StrCat(what_, ": no number"));
    }
  }
  return difference;
}

}  // namespace tidemark
