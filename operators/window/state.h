// The groups of windows as they stand in state. Every window has two logs: of its groups' keys, which are written once,
// and of their values, written whenever they have changed; and where some of these are large a third, of what has
// changed in them (large_groups.h). All are part of the same commit. Touched only by the stream thread.
//
// State key: 'k' (keys), 'v' (values) or 'd' (changes), the window's start (8 bytes, in the order of time), then what
// StateLog appends. A group's number is its number within the window; those of groups that are gone while their window
// isn't are erased from all logs and used again. What earlier versions wrote stands under 'g', key and values of a
// group in one record; it is read, and replaced when its window changes next.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>

#include "operators/window/group_set.h"
#include "state/state_log.h"
#include "state/store.h"

namespace tidemark {

class WindowState {
 public:
  using Window = GroupSet::Window;

  WindowState(StateStore* store, GroupSet* groups) : store_(store), groups_(groups) {}

  // Makes all windows and groups that the state holds. DataLoss: it can't be read.
  absl::Status Load();
  // Writes the keys of groups that are new, and what the window notes as changed and erased since the last commit.
  absl::Status Save(uint64_t commit, Window* window);
  // Deletes everything of the window.
  static void Drop(Window* window);

 private:
  using Log = std::unique_ptr<StateLog> Window::*;
  using LoadRecord = absl::FunctionRef<absl::Status(Window* window, uint32_t number, const std::string_view* record)>;

  std::unique_ptr<StateLog> MakeLog(char letter, int64_t start) const;
  absl::Status LoadLogs(char letter, Log log, LoadRecord load);
  absl::Status LoadChanges();
  void ReplaceWhole(Window* window);
  void SaveGroup(Window* window, uint32_t slot);
  static void Forget(Window* window, uint32_t number);
  static void ForgetChanges(Window* window, uint32_t number);

  StateStore* const store_;
  GroupSet* const groups_;
  std::string record_;  // scratch
};

}  // namespace tidemark
