// The first phase of an aggregation across a repartition: adds up the rows of a commit and emits one partial a (group,
// window) at the commit's end (columns: operators/window/partial_schema.h). Keeps nothing between commits, so it holds
// no state and lets the watermark through: what it emits precedes the commit's watermark in the internal topic.
//
// Where most rows have a group of their own, adding up is a detour: such commits emit a partial a row at once. Which it
// is is looked at again every 32 commits, or where they grow (Trino's adaptive partial aggregation does the same).
// Results don't depend on it.
//
// Of an input that updates, a partial holds what its commit added less what it took back, be that from an earlier
// commit.
//
// A partial is a row of an internal topic, which has a largest size. So one that long texts, or many kept values, make
// large is cut into several, each with some of the values; and where all of them together get large, they are emitted
// before the commit's end. One of the parts has the numbers of rows: the first where rows have come, the last where
// rows have gone, so that no group lacks rows of which values are still to come or to go.
#pragma once

#include <memory>

#include <absl/status/statusor.h>

#include "operators/operator.h"
#include "operators/window/spec.h"

namespace tidemark {

absl::StatusOr<std::unique_ptr<Operator>> MakeWindowPartial(const Node& node, const WindowSpec& spec);

}  // namespace tidemark
