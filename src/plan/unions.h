// Unions of steps whose rows replace each other. Each input has its rows by a key of its own, and two inputs may have a
// row each of one key; so what tells the rows of the union apart is that key and a column beside it in which no two
// inputs ever have a value in common (known_values.h): a shard's name. With it a row of one input never replaces, and
// never takes back, a row of another; and since each input's rows come to a task in their order, and no row of another
// input has their key, the changes of a key come in order however the inputs come interleaved. That holds for whatever
// stands behind, without a word to any operator. Internal to src/plan.
#pragma once

#include <string>
#include <vector>

#include "src/plan/diagnostics.h"
#include "src/plan/logical.h"

namespace tidemark {

// Of several inputs with equal columns of which at least one updates its rows: the mode of the port that reads them,
// and what is known of its columns. Reports, for the step at `path`, inputs some of which only add rows, inputs of
// different keys, and inputs that nothing tells apart; then false.
bool UniteUpdates(const std::vector<const LogicalStep*>& inputs, const std::string& path, Diagnostics* diagnostics,
                  LogicalPort* port);

}  // namespace tidemark
