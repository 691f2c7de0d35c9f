#include "src/plan/plan.h"

namespace tidemark {

namespace {

Schema SchemaOf(const std::vector<SourceColumn>& columns) {
  Schema schema;
  for (const SourceColumn& c : columns) schema.Add(c.column);
  return schema;
}

}  // namespace

Schema SourcePlan::schema() const { return SchemaOf(columns); }
Schema SourcePlan::rows() const {
  Schema rows;
  for (const SourceColumn& c : columns) {
    if (c.column.name != kChangeColumn) rows.Add(c.column);
  }
  return rows;
}
Schema TablePlan::schema() const { return SchemaOf(columns); }

std::vector<int> Node::upstream() const {
  std::vector<int> all;
  for (const Port& port : inputs) all.insert(all.end(), port.nodes.begin(), port.nodes.end());
  return all;
}

Schema LakeSchema(const Schema& step, bool changes) {
  Schema out = step;
  if (!changes) return out;
  out.Add({kLakeOp, {.kind = Kind::kString}, false});
  out.Add({kLakeTime, {.kind = Kind::kTimestamp}, false});
  out.Add({kLakePartition, {.kind = Kind::kInt32}, false});
  out.Add({kLakeOffset, {.kind = Kind::kInt64}, false});
  out.Add({kLakeRow, {.kind = Kind::kInt64}, false});
  return out;
}

}  // namespace tidemark
