// dedup with keep: first. Each row is judged when it comes, against the time of the row accepted last for its key:
// duplicate iff time - accepted time < within, older rows included. Late rows (seen_keys.h) are dropped. Lets the
// watermark through.
#pragma once

#include <memory>

#include "operators/dedup/spec.h"
#include "operators/operator.h"

namespace tidemark {

std::unique_ptr<Operator> MakeDedupFirst(const Node& node, const DedupSpec& spec);

}  // namespace tidemark
