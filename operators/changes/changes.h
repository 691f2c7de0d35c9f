// Records of a table's changes to exact changes of rows: keeps the row that each key has, and says of each record what
// it does to that row - inserts it, replaces it (the row as it was given before, then the new one), deletes it, or
// nothing.
//
// So what comes out is right whatever the records hold: with the row before the change or without it, with values left
// out because they haven't changed, and again after the producer was started anew. A record does nothing where the row
// it has is the one that is kept, where it is older than that one (Change::IsBefore), or deletes what isn't there; it
// is counted as a duplicate. After a deletion nothing is known of its key any more: an older record that comes again
// then brings the row back until its deletion comes again too, as a producer goes on from where it began again.
//
// What takes a row back has the row's event time. From when on the row is gone is its hidden watermark: the time of the
// record that says so or, if that is behind it, the watermark of the partition at that record. A join with versions
// ends the row there; nobody else looks at the watermark of such rows, as windows and alerts can't stand behind them.
//
// A row has values, by which it is compared, and columns that tell of its last change (from: op, source.lsn ...): those
// stay as they were where the values do.
//
// A new snapshot of the table (Change::resnapshot) may find rows gone of which no deletion was told. Its rows, and what
// comes behind it, carry its number, which is kept with the row, also where the row is the same. Where its end stands
// in the partition, rows with a smaller number aren't there any more: each is deleted with the time of the row and, for
// the rest, at the place of that end, whenever it is found. That goes over all rows (the sweep, sweep.h), as much in a
// commit as it takes, also where the next snapshot ends meanwhile; a key that a record comes for first is swept then.
// So what comes out depends on the records alone, but for the order of different keys' rows, and time waits until all
// are swept.
//
// State: rows by key (state/keyed_rows.h), beneath the row its event time and what is known of its last change; and the
// sweep that is under way.
#pragma once

#include <memory>

#include "operators/changes/spec.h"
#include "operators/operator.h"

namespace tidemark {

std::unique_ptr<Operator> MakeChanges(const Node& node, const ChangesSpec& spec);

}  // namespace tidemark
