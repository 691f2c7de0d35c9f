// A source that is a table of a PostgreSQL database. Its records are those of format debezium without schema part,
// which Tidemark writes itself, so that nothing of it needs to be stated: this fills it in. And the databases that
// sources can share.
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

void CheckSlotName(const std::string& slot, const std::string& path, Diagnostics* diagnostics) {
  const bool plain = !slot.empty() && slot.size() <= kLongestSlot && std::all_of(slot.begin(), slot.end(), [](char c) {
    return absl::ascii_islower(static_cast<unsigned char>(c)) || absl::ascii_isdigit(static_cast<unsigned char>(c)) ||
           c == '_';
  });
  if (!plain) diagnostics->Error(path, "a slot's name has small letters, digits and '_', 63 at most");
}

void CheckPublicationName(const std::string& publication, const std::string& path, Diagnostics* diagnostics) {
  if (publication.empty()) diagnostics->Error(path, "the name of a publication is expected");
}

// The group and topics of what reads it are named after its slot, as those of the others are after themselves
// (src/base/intake_names.h).
void CheckSharedSlot(const topology::Topology& topology, const topology::Database& database, const std::string& path,
                     Diagnostics* diagnostics) {
  const auto taken = [&](const auto& others, const char* what) {
    for (const auto& other : others) {
      if (other.name() != database.slot()) continue;
      diagnostics->Error(path, absl::StrCat("there is a ", what, " of the same name: give the slot another"));
    }
  };
  taken(topology.sources(), "source");
  taken(topology.steps(), "step");
  taken(topology.sinks(), "sink");
  taken(topology.views(), "view");
  if (absl::StartsWith(database.slot(), "__"))
    diagnostics->Error(path, "a slot of several tables doesn't start with __");
}

void RefuseUnread(const topology::Topology& topology, const std::string& database, Diagnostics* diagnostics) {
  for (const topology::Source& source : topology.sources()) {
    if (source.has_postgres() && source.postgres().database() == database) return;
  }
  diagnostics->Error("databases/" + database, absl::StrCat("no source is a table of it: write postgres: { database: ",
                                                           database, ", table: ... } in a source, or leave it out"));
}

}  // namespace

void CheckDatabases(const topology::Topology& topology, Diagnostics* diagnostics) {
  for (int d = 0; d < topology.databases_size(); ++d) {
    const topology::Database& database = topology.databases(d);
    const std::string path = "databases/" + database.name();
    if (diagnostics->Broken(path)) continue;
    CheckName(database.name(), path, "database", diagnostics);
    RefuseUnread(topology, database.name(), diagnostics);
    CheckSlotName(database.slot(), path + "/slot", diagnostics);
    CheckSharedSlot(topology, database, path + "/slot", diagnostics);
    CheckPublicationName(database.publication(), path + "/publication", diagnostics);
    for (int other = 0; other < d; ++other) {
      if (topology.databases(other).slot() != database.slot()) continue;
      diagnostics->Error(path + "/slot",
                         absl::StrCat("slot ", database.slot(), " is database ", topology.databases(other).name(),
                                      "'s: a slot has one reader, and a name that no other has here"));
    }
  }
}

topology::Source WithDatabase(topology::Source yaml, const topology::Topology& topology, const std::string& path,
                              Diagnostics* diagnostics) {
  topology::PostgresTable& table = *yaml.mutable_postgres();
  const std::string at = path + "/postgres";
  if (!table.has_database()) {
    for (const char* field : {"url", "publication", "slot"}) {
      if (diagnostics->Present(absl::StrCat(at, "/", field)) || diagnostics->Broken(at)) continue;
      diagnostics->Error(at, absl::StrCat("missing field '", field, "', or 'database' with one of `databases`"));
    }
    return yaml;
  }
  for (const char* field : {"url", "publication", "slot"}) {
    if (!diagnostics->Present(absl::StrCat(at, "/", field))) continue;
    diagnostics->Error(absl::StrCat(at, "/", field), absl::StrCat("that stands in databases/", table.database(),
                                                                  ", for all its tables: leave it out here"));
  }
  std::vector<std::string> names;
  for (const topology::Database& database : topology.databases()) {
    names.push_back(database.name());
    if (database.name() != table.database()) continue;
    table.set_url(database.url());
    table.set_publication(database.publication());
    table.set_slot(database.slot());
    return yaml;
  }
  diagnostics->Error(at + "/database", absl::StrCat("there is no '", table.database(), "' among `databases`",
                                                    DidYouMean(table.database(), names)));
  return yaml;
}

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
  spec.shares_slot = yaml.has_database();
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
  if (!spec.shares_slot) {
    CheckPublicationName(spec.publication, path + "/publication", diagnostics);
    CheckSlotName(spec.slot, path + "/slot", diagnostics);
  }
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
