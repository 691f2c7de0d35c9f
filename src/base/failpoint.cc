#include "src/base/failpoint.h"

#include <chrono>
#include <csignal>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

namespace tidemark {
namespace internal {

bool failpoints_armed = false;

namespace {

enum class Action { kKill, kError, kHang };

struct Armed {
  Action action = Action::kError;
  int64_t pass = 1;  // the pass it acts on
  int64_t passes = 0;
};

std::mutex mutex;
std::map<std::string, Armed, std::less<>> points;  // guarded by mutex

}  // namespace

absl::Status HitFailpoint(std::string_view name) {
  std::unique_lock lock(mutex);
  const auto it = points.find(name);
  if (it == points.end()) return absl::OkStatus();
  Armed& armed = it->second;
  ++armed.passes;
  if (armed.passes < armed.pass) return absl::OkStatus();
  switch (armed.action) {
    case Action::kKill:
      std::raise(SIGKILL);
      break;
    case Action::kError:
      if (armed.passes == armed.pass) return absl::AbortedError(absl::StrCat("failpoint ", std::string(name)));
      break;
    case Action::kHang:
      lock.unlock();
      while (true) std::this_thread::sleep_for(std::chrono::hours(1));
  }
  return absl::OkStatus();
}

std::optional<Action> ParseAction(std::string_view name) {
  if (name == "kill") return Action::kKill;
  if (name == "error") return Action::kError;
  if (name == "hang") return Action::kHang;
  return std::nullopt;
}

}  // namespace internal

absl::Status ArmFailpoints(std::string_view spec) {
  for (absl::string_view entry : absl::StrSplit(absl::string_view(spec.data(), spec.size()), ',', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> name_action = absl::StrSplit(entry, absl::MaxSplits('=', 1));
    const std::pair<absl::string_view, absl::string_view> action_pass =
        absl::StrSplit(name_action.second, absl::MaxSplits('@', 1));
    const auto action = internal::ParseAction({action_pass.first.data(), action_pass.first.size()});
    if (!action) {
      return absl::InvalidArgumentError(
          absl::StrCat("TIDEMARK_FAILPOINTS: '", entry, "' is not name=kill|error|hang[@N]"));
    }
    internal::Armed armed;
    armed.action = *action;
    if (!action_pass.second.empty() && (!absl::SimpleAtoi(action_pass.second, &armed.pass) || armed.pass < 1)) {
      return absl::InvalidArgumentError(absl::StrCat("TIDEMARK_FAILPOINTS: '", entry, "': @N takes a number from 1"));
    }
    internal::points[std::string(name_action.first)] = armed;
    internal::failpoints_armed = true;
  }
  return absl::OkStatus();
}

}  // namespace tidemark
