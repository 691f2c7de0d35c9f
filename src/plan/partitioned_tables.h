// Tables that say `global: false`, written out: such a table is a source of a topic whose rows replace each other by
// the record key, and a join that names it is one with the rows of that source (`table: { from: NAME }`). Nothing
// behind this knows of them; errors stand where the user has written what is wrong. Called by the planner, between the
// composed tree and the reader of its fields.
#pragma once

#include "src/plan/diagnostics.h"
#include "src/plan/substitute.h"
#include "src/plan/yaml_tree.h"

namespace tidemark {

// The root with them written out; the same one where there are none. What is told by a scalar is told by it with
// variables put in.
YamlPtr WritePartitionedTables(const YamlPtr& root, const EnvLookup& env, Diagnostics* diagnostics);

}  // namespace tidemark
