#include "src/runtime/give_up.h"

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <glog/logging.h>

#include "src/base/status.h"
#include "src/runtime/former.h"
#include "src/runtime/start_check.h"

namespace tidemark {
namespace {

// How long members of workers that have just stopped may stay: longer than their session.
constexpr auto kMembersPatience = std::chrono::seconds(15);
constexpr auto kBetweenLooks = std::chrono::milliseconds(500);

}  // namespace

absl::Status GiveUpStages(const Plan& plan, const AllowedDrops& drops, KafkaClient& kafka,
                          const ResetClientMaker& make) {
  if (drops.empty()) return absl::OkStatus();
  std::unique_ptr<ResetClient> client;
  std::vector<std::string> changelogs;
  const auto until = std::chrono::steady_clock::now() + kMembersPatience;
  while (true) {
    // Anew each time: another worker that was started beside this one may have done it, and be in the group since.
    TM_ASSIGN_OR_RETURN(const Former former, ReadFormer(plan, kafka));
    changelogs = ChangelogsGivenUp(plan, former, drops);
    if (changelogs.empty()) return absl::OkStatus();
    if (client == nullptr) {
      TM_ASSIGN_OR_RETURN(client, make());
    }
    TM_ASSIGN_OR_RETURN(const bool empty, client->IsEmpty(plan.application.Group()));
    if (empty) break;
    if (std::chrono::steady_clock::now() > until) {
      return absl::FailedPreconditionError(absl::StrCat(
          "--allow_drop: ", absl::StrJoin(changelogs, ", "), " can't be deleted while group ", plan.application.Group(),
          " has members: stop all workers of ", plan.application.name, ", and start this one again"));
    }
    std::this_thread::sleep_for(kBetweenLooks);
  }
  for (const std::string& changelog : changelogs) {
    LOG(WARNING) << "giving up the state of stage " << *plan.application.StageOfChangelog(changelog)
                 << ", as --allow_drop says: deleting topic " << changelog;
    TM_RETURN_IF_ERROR(client->DeleteTopic(changelog));
  }
  return absl::OkStatus();
}

}  // namespace tidemark
