// Hopping windows share panes: how the groups of windows that a row lies in are numbered where a row is added once, not
// once a window. Functions over a spec; whoever pairs rows, sends partials and closes windows goes by them.
//
// A pane is as long as the hop. Of the windows that a row lies in the last starts where its pane does, and those that
// still take the row, if any, are the last ones of them: so many that end with the one of its pane. All rows of one
// pane that as many windows take are added up in one group a key. For most rows that are all of the windows; fewer take
// a row that is late for some of them, by its own watermark or by that of the operator.
//
// The groups that a window is made of are those whose first window is it or lies before it, and whose last is it or
// lies behind it. When a window takes no more rows, none of them does: rows that come later are late for it, and so go
// where the first window is a later one. That is why a window may close, and what it is made of needn't be looked at
// again, while rows of its time go on into the windows behind it.
//
// In the set of groups and in state a set of them goes by one number: the start of its last window and, below the hop,
// how many windows take it, less one. A set that one window alone takes has that window's start for its number, as the
// groups of a window have that keeps them for itself: so what earlier versions wrote, groups for each window, is read
// as what it is.
#pragma once

#include <cstdint>

#include "operators/window/spec.h"
#include "src/base/time.h"

namespace tidemark::panes {

// Of fewer windows a row each costs less than what closes them.
inline constexpr int64_t kFewestWindows = 3;

// How many windows a row lies in.
inline int64_t Windows(const WindowSpec& spec) { return spec.size_us / spec.every_us; }

// Whether windows share panes: those that hop, of rows that stand, told when they close. What is told as it changes has
// to be told for each window of a row anyway; what is taken back has to be found where it was added; and windows
// without a key are kept in different tasks. A hop must have room for the number.
inline bool Shared(const WindowSpec& spec) {
  return spec.size_us > 0 && !spec.calendar && spec.cumulative_us == 0 && spec.every_us > 0 &&
         spec.size_us % spec.every_us == 0 && Windows(spec) >= kFewestWindows && Windows(spec) <= spec.every_us &&
         !spec.on_update && !spec.input_updates && !spec.group_by.empty();
}

inline int64_t Number(int64_t last_us, int64_t windows) { return (EventTime{last_us} + (windows - 1)).us; }
// The start of the last window of that number, how many there are, and the start of the first.
inline int64_t Last(const WindowSpec& spec, int64_t number) {
  return (FloorTo(EventTime{number} - spec.offset_us, spec.every_us) + spec.offset_us).us;
}
inline int64_t Count(const WindowSpec& spec, int64_t number) { return number - Last(spec, number) + 1; }
inline int64_t First(const WindowSpec& spec, int64_t number) {
  const int64_t last = Last(spec, number);
  return (EventTime{last} - (number - last) * spec.every_us).us;
}

// Of the windows that a row of the pane lies in, all of which start at `last_us` or before, those that take no more
// rows at a watermark.
inline int64_t Closed(const WindowSpec& spec, int64_t last_us, EventTime watermark) {
  const EventTime end_of_first = EventTime{last_us} + spec.every_us + spec.grace_us;
  if (watermark < end_of_first) return 0;
  const EventTime end_of_last = EventTime{last_us} + spec.size_us + spec.grace_us;
  if (watermark >= end_of_last) return Windows(spec);
  return (watermark.us - end_of_first.us) / spec.every_us + 1;
}

}  // namespace tidemark::panes
