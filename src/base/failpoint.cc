#include "src/base/failpoint.h"

#include <csignal>
#include <map>
#include <mutex>
#include <string>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

namespace tidemark {
namespace internal {

bool failpoints_armed = false;

namespace {

struct Armed {
  bool kill = false;
  int64_t pass = 1;  // the pass it acts on
  int64_t passes = 0;
};

std::mutex mutex;
std::map<std::string, Armed, std::less<>> points;  // guarded by mutex

}  // namespace

absl::Status HitFailpoint(std::string_view name) {
  const std::lock_guard lock(mutex);
  const auto it = points.find(name);
  if (it == points.end()) return absl::OkStatus();
  Armed& armed = it->second;
  ++armed.passes;
  if (armed.kill && armed.passes >= armed.pass) std::raise(SIGKILL);
  if (!armed.kill && armed.passes == armed.pass) {
    return absl::AbortedError(absl::StrCat("failpoint ", std::string(name)));
  }
  return absl::OkStatus();
}

}  // namespace internal

absl::Status ArmFailpoints(std::string_view spec) {
  for (absl::string_view entry : absl::StrSplit(absl::string_view(spec.data(), spec.size()), ',', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> name_action = absl::StrSplit(entry, absl::MaxSplits('=', 1));
    const std::pair<absl::string_view, absl::string_view> action_pass =
        absl::StrSplit(name_action.second, absl::MaxSplits('@', 1));
    internal::Armed armed;
    armed.kill = action_pass.first == "kill";
    if (!armed.kill && action_pass.first != "error") {
      return absl::InvalidArgumentError(absl::StrCat("TIDEMARK_FAILPOINTS: '", entry, "' is not name=kill|error[@N]"));
    }
    if (!action_pass.second.empty() && (!absl::SimpleAtoi(action_pass.second, &armed.pass) || armed.pass < 1)) {
      return absl::InvalidArgumentError(absl::StrCat("TIDEMARK_FAILPOINTS: '", entry, "': @N takes a number from 1"));
    }
    internal::points[std::string(name_action.first)] = armed;
    internal::failpoints_armed = true;
  }
  return absl::OkStatus();
}

}  // namespace tidemark
