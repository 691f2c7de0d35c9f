// The two operators of ShuffleBench, as a user would add them: `match` gives a record to each consumer whose rule it
// meets, `consume` keeps 32 bytes a consumer and emits a row for every tenth record of it.
//
//   matched:  { from: records, custom: { operator: match, with: { rules: 1000000, selectivity: "0.2" } } }
//   consumed: { from: matched, custom: { operator: consume, by: [consumer], with: { every: 10 } } }
//
// `match` takes a column of bytes and gives consumer (int64) and record (the same bytes). `consume` gives consumer,
// count, sum (of the records' first eight bytes, modulo 2^64), first_at and last_at, and begins anew. As ShuffleBench
// has it with init.count.random, a consumer's first count doesn't begin with 0, here with a number that is its own.
#pragma once

#include <absl/status/status.h>

// Makes both known under their names.
absl::Status RegisterShuffleOperators();
