// The one number of all that Tidemark keeps: task state and its folder, changelogs, commit records and what is
// committed beside offsets, internal rows, manifests, positions of intakes, views, and the logs of alarms and
// generations. Whatever changes what stands there in a way that this version would misread gets the next number, and
// what is written so carries it (`needs_format`); what an earlier version reads right all the same, as a field that it
// passes over, needs none. So an older version goes on where it can, and where it can't, it is told before it has
// changed, joined or committed anything: whoever reads something that was kept asks here first.
//
//   1  all that was written before anybody asked; what says nothing is this
//   2  tasks with groups whose values stand in state with what has changed in them since
//      (operators/window/large_groups.h), or that end in front of aggregates which were added to them
//      (operators/window/group_set.h)
#pragma once

#include <cstdint>
#include <string_view>

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

namespace tidemark {

inline constexpr uint32_t kLargeGroups = 2, kGrownGroups = 2;
inline constexpr uint32_t kKeptFormat = 2;

// InvalidArgument: a newer version has written `where`, in a form that this one doesn't know. (Not FailedPrecondition,
// for which a restore would drop what is on disk.)
inline absl::Status CheckKeptFormat(uint32_t needs, std::string_view where) {
  if (needs <= kKeptFormat) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(absl::string_view(where.data(), where.size()),
                                                 ": written by a newer Tidemark, in format ", needs,
                                                 "; this one knows formats up to ", kKeptFormat,
                                                 " and leaves it as it is: go on with that version, or a later one"));
}

}  // namespace tidemark
