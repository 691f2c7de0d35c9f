// dedup with keep: last. Rows are judged as with keep: first; an accepted row opens an entry, a duplicate of it takes
// its place if its order (time, source, partition, offset) is greater. The entry's row is emitted once, when the
// watermark passes accepted time + within; a row whose own watermark is already there comes too late to replace it. The
// key is remembered for within + grace like any accepted key.
//
// A later row of the key, `within` or more behind the accepted one, opens a second entry beside the first if that is
// still waiting; duplicates are then compared with the newer one only.
//
// The output's watermark stays before every row that may still be emitted: those waiting, and those that may yet open
// an entry, which aren't older than grace.
#pragma once

#include <memory>

#include "operators/dedup/spec.h"
#include "operators/operator.h"

namespace tidemark {

std::unique_ptr<Operator> MakeDedupLast(const Node& node, const DedupSpec& spec);

}  // namespace tidemark
