// A source that is a table of a PostgreSQL database. Its records are those of format debezium without schema part,
// which Tidemark writes itself, so that nothing of it needs to be stated: this fills it in.
#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "src/base/suggest.h"
#include "src/plan/logical.h"

namespace tidemark {
namespace {

constexpr size_t kLongestSlot = 63;

// How src/runtime/postgres_rows.cc writes values of a column; "": as there is but one way.
std::string WrittenAs(const std::string& type) {
  if (type == "date") return "IsoDate";
  if (type == "bytes") return "base64";
  if (absl::StartsWith(type, "decimal")) return "text";
  return absl::StartsWith(type, "timestamp") ? "IsoTimestamp" : "";
}

const std::vector<std::string>& Beside() {
  static const auto& names = *new std::vector<std::string>{"op",           "source.lsn",    "source.ts_us",
                                                           "source.ts_ms", "source.txId",   "source.snapshot",
                                                           "source.db",    "source.schema", "source.table"};
  return names;
}

}  // namespace

topology::Source PostgresAsDebezium(topology::Source yaml, const std::string& path, Diagnostics* diagnostics) {
  if (diagnostics->Present(path + "/format")) {
    diagnostics->Error(path + "/format",
                       "a table has no format: its columns are read as what they are in the database");
  }
  topology::Format& format = *yaml.mutable_format();
  format.Clear();
  format.set_type("debezium");
  format.set_schema_part("none");
  for (topology::Column& column : *yaml.mutable_columns()) {
    const std::string at = absl::StrCat(path, "/columns/", column.name());
    if (column.has_as()) {
      diagnostics->Error(at + "/as", "a table says itself how its values are written: leave it out");
    }
    if (column.type() == "json") {
      diagnostics->Error(at,
                         "a column of json or jsonb is read as string: rows are compared, and json has no equality");
    }
    if (!column.has_from() && !WrittenAs(column.type()).empty()) column.set_as(WrittenAs(column.type()));
    const auto& beside = Beside();
    const bool known = !column.has_from() || std::find(beside.begin(), beside.end(), column.from()) != beside.end();
    const bool of_change = absl::StrContains(column.from(), '.') || absl::StartsWith(column.from(), "ts_") ||
                           absl::StartsWith(column.from(), "header:");
    if (!known && of_change) {
      diagnostics->Error(at + "/from",
                         absl::StrCat("a change of a table says no '", column.from(), "'",
                                      DidYouMean(column.from(), beside), ": there are ", absl::StrJoin(beside, ", ")));
    }
  }
  return yaml;
}

PostgresTableSpec CheckPostgresTable(const topology::PostgresTable& yaml, const std::string& path,
                                     Diagnostics* diagnostics) {
  PostgresTableSpec spec;
  spec.url = yaml.url();
  spec.publication = yaml.publication();
  spec.slot = yaml.slot();
  spec.stop_on_truncate = yaml.on_truncate() != "dead_letter";
  const size_t dot = yaml.table().find('.');
  if (dot != std::string::npos) spec.schema = yaml.table().substr(0, dot);
  spec.table = dot == std::string::npos ? yaml.table() : yaml.table().substr(dot + 1);
  if (spec.schema.empty() || spec.table.empty() || absl::StrContains(spec.table, '.')) {
    diagnostics->Error(path + "/table", "a table is expected, such as orders, or shop.orders with its schema");
  }
  if (spec.publication.empty()) diagnostics->Error(path + "/publication", "the name of a publication is expected");
  const bool plain = !spec.slot.empty() && spec.slot.size() <= kLongestSlot &&
                     std::all_of(spec.slot.begin(), spec.slot.end(), [](char c) {
                       return absl::ascii_islower(static_cast<unsigned char>(c)) ||
                              absl::ascii_isdigit(static_cast<unsigned char>(c)) || c == '_';
                     });
  if (!plain) diagnostics->Error(path + "/slot", "a slot's name has small letters, digits and '_', 63 at most");
  if (yaml.has_partitions()) spec.partitions = yaml.partitions();
  if (spec.partitions < 1 || spec.partitions > 1000) diagnostics->Error(path + "/partitions", "1 to 1000");
  return spec;
}

// Records lie by the text of their key: equal keys need equal texts.
void CheckPostgresKey(const SourcePlan& source, const std::string& path, Diagnostics* diagnostics) {
  for (const size_t c : source.key) {
    const Kind kind = source.columns[c].column.type.kind;
    if (kind != Kind::kDecimal && kind != Kind::kDouble) continue;
    diagnostics->Error(absl::StrCat(path, "/columns/", source.columns[c].column.name),
                       absl::StrCat("a key column can't be ", TypeName(source.columns[c].column.type),
                                    ": PostgreSQL writes equal numbers in several ways"));
  }
}

}  // namespace tidemark
