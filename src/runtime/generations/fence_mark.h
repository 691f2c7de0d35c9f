// The text of a fence (fence.h), for whoever meets it where it opens a task.
#pragma once

namespace tidemark {

// What `tidemark switch` commits beside the positions of a generation whose place another takes, in front of what stood
// there: nothing of it may be opened.
inline constexpr char kMoved[] = "tidemark:moved:";
// What a start ends with then, or while a switch hangs in the balance.
inline constexpr char kMovedAway[] =
    "another generation of this topology takes its place, or has: `tidemark generations list` says which is active";

}  // namespace tidemark
