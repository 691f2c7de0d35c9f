#include "src/plan/operator_kind.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

namespace tidemark {

size_t OperatorKind::PassedPorts(const Node& node) const {
  size_t ports = 1;
  for (size_t p = 1; p < node.inputs.size(); ++p) {
    if (LeavesOut(node, p)) ports = p + 1;
  }
  return ports;
}

std::optional<PortColumn> OperatorKind::Origin(const Node& node, size_t column) const {
  for (size_t p = 0; p < PassedPorts(node); ++p) {
    const Port& port = node.in(p);
    const size_t columns = port.passed ? port.passed->size() : port.schema.size();
    if (column < columns) return PortColumn(port.passed ? (*port.passed)[column] : column, p);
    column -= columns;
  }
  return std::nullopt;
}

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
