#include "src/plan/operator_kind.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

namespace tidemark {

std::string ColumnNames(const Schema& schema, const ColumnList& columns) {
  return absl::StrJoin(columns, ", ", [&](std::string* out, size_t c) { absl::StrAppend(out, schema[c].name); });
}

std::string ColumnTypes(const Schema& schema, const ColumnList& columns) {
  std::string text = "[";
  for (const size_t i : columns) {
    absl::StrAppend(&text, text.size() == 1 ? "" : ", ", schema[i].name, " ", TypeName(schema[i].type),
                    schema[i].nullable ? " null" : "");
  }
  return text + "]";
}

}  // namespace tidemark
