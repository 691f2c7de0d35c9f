// What hangs on a table, as questions to the catalogs of PostgreSQL, for swap.cc. Each is one statement with parameters
// $1 the live table and $2 the shadow, quoted and with their schemas, and answers rows of texts. search_path is to be
// empty, so that every name comes with its schema. Constants; any thread.
#pragma once

namespace tidemark::swap_catalog {

// Complaints about the tables themselves, a row each: kinds, owners, rights, columns. $3: the columns that n's sink
// writes, with chr(1) between; $4 and $5 what the two are called in messages.
extern const char kUnfit[];

// What the live table has, $1, as (kind, definition without names of tables, name), and the shadow must have too:
// constraints, unique indexes, triggers, policies, rules, publications, statistics. No $2.
extern const char kBound[];

// What depends on the live table, $1, and would go on with the old rows: all but what belongs to it and views,
// of which those of other sessions alone (temporary ones) can't be defined anew.
extern const char kDependents[];

// Of $1: (name, definition behind the table's name, "unique" or "", "constraint" or "").
extern const char kIndexes[];

// Of constraints that aren't indexes' of both: (name of the live's, name of the shadow's), where they say the same.
extern const char kConstraintNames[];

// Statements that give the shadow what the live table has.
extern const char kOwner[];  // first, and what follows is asked for after it has been run
extern const char kOutfit[];

// Views that read $1 themselves: (name, owner).
extern const char kViews[];
// Statements that define them anew, as they are.
extern const char kViewsAnew[];

// Who holds a lock on $1, in words.
extern const char kHolders[];

}  // namespace tidemark::swap_catalog
