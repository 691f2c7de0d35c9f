// What stands in the way of a swap, all of it in one go; see swap.h.
#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "operators/sinks/postgres/swap.h"
#include "operators/sinks/postgres/swap_catalog.h"
#include "src/base/status.h"

namespace tidemark {
namespace {

constexpr size_t kNameBytes = 63;
constexpr char kBetween[] = "\x01";  // names of columns

std::string Text(const PgResult& result, int row, int column) { return PQgetvalue(result.get(), row, column); }

}  // namespace

absl::StatusOr<std::vector<std::string>> PostgresTableSwap::Complaints() {
  const std::string shadow = Qualified(spec_.shadow), schema = spec_.sink_spec.schema + ".";
  const std::string shown_live = schema + spec_.sink_spec.table, shown_shadow = schema + spec_.shadow;
  TM_ASSIGN_OR_RETURN(
      std::vector<std::string> complaints,
      Column(swap_catalog::kUnfit, {live_, shadow, absl::StrJoin(spec_.written, kBetween), shown_live, shown_shadow}));
  for (const std::string& name : {spec_.shadow, spec_.kept}) {
    if (name.size() > kNameBytes) complaints.push_back(absl::StrCat(name, ": names have 63 bytes at most"));
  }
  TM_ASSIGN_OR_RETURN(const bool has_live, Exists(live_));
  TM_ASSIGN_OR_RETURN(const bool has_kept, Exists(Qualified(spec_.kept)));
  if (has_live && has_kept) {
    complaints.push_back(
        absl::StrCat("table ", schema, spec_.kept,
                     ", under whose name the rows that stand would be kept, is there already; drop it"));
  }
  TM_RETURN_IF_ERROR(CheckFence(&complaints));
  TM_ASSIGN_OR_RETURN(const auto dependents, Column(swap_catalog::kDependents, {live_}));
  for (const std::string& dependent : dependents) {
    complaints.push_back(absl::StrCat(dependent, " depends on ", shown_live,
                                      " and would go on with the old rows; drop it, and make it anew "
                                      "behind the switch"));
  }
  // The sink's own key may be another one in the next generation.
  std::vector<std::string> key;
  for (const size_t column : spec_.sink_spec.key) key.push_back(spec_.written[column]);
  std::sort(key.begin(), key.end());
  TM_ASSIGN_OR_RETURN(
      const auto key_names,
      Column("SELECT conname::text FROM pg_constraint WHERE conrelid = to_regclass($1) AND contype IN ('p', 'u') AND "
             "ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY (conkey) "
             "ORDER BY attname COLLATE \"C\") = string_to_array($2, chr(1))",
             {live_, absl::StrJoin(key, kBetween)}));
  TM_ASSIGN_OR_RETURN(const PgResult of_live, connection_.Run(swap_catalog::kBound, {live_}));
  TM_ASSIGN_OR_RETURN(const PgResult of_shadow, connection_.Run(swap_catalog::kBound, {shadow}));
  std::set<std::pair<std::string, std::string>> there;
  for (int i = 0; i < PQntuples(of_shadow.get()); ++i) there.emplace(Text(of_shadow, i, 0), Text(of_shadow, i, 1));
  for (int i = 0; i < PQntuples(of_live.get()); ++i) {
    const std::string kind = Text(of_live, i, 0), definition = Text(of_live, i, 1), name = Text(of_live, i, 2);
    if (there.contains({kind, definition})) continue;
    if (kind == "constraint" && std::find(key_names.begin(), key_names.end(), name) != key_names.end()) continue;
    complaints.push_back(absl::StrCat(kind, " ", name, " of ", shown_live, " is missing on ", shown_shadow, " (",
                                      definition, "); make it there, or drop it here"));
  }
  return complaints;
}

absl::Status PostgresTableSwap::CheckFence(std::vector<std::string>* complaints) {
  TM_ASSIGN_OR_RETURN(const bool is_there, Exists(fence_));
  if (!is_there) {
    complaints->push_back(absl::StrCat("table ", fence_, " doesn't exist: no sink has written here"));
    return absl::OkStatus();
  }
  TM_ASSIGN_OR_RETURN(const auto may,
                      Column("SELECT 1 WHERE has_table_privilege($1, 'SELECT') AND has_table_privilege($1, 'INSERT') "
                             "AND has_table_privilege($1, 'UPDATE')",
                             {fence_}));
  if (may.empty()) {
    complaints->push_back(absl::StrCat("the user may not SELECT, INSERT and UPDATE in ", fence_));
    return absl::OkStatus();
  }
  // A later decision would take this one for done.
  TM_ASSIGN_OR_RETURN(const auto later,
                      Column(absl::StrCat("SELECT max(epoch) FROM ", fence_,
                                          " WHERE partition = -1 AND ((application = $1 AND sink = $2) OR "
                                          "(application = $3 AND sink = $4)) HAVING max(epoch) >= $5::bigint"),
                             {spec_.from, spec_.from_sink, spec_.to, spec_.sink, absl::StrCat(spec_.decision)}));
  if (later.empty()) return absl::OkStatus();
  complaints->push_back(absl::StrCat("decision ", later[0], " has been here, and this one is ", spec_.decision,
                                     "; where the application was begun anew, delete the rows of partition -1 from ",
                                     fence_));
  return absl::OkStatus();
}

}  // namespace tidemark
