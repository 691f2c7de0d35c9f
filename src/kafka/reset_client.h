// What only `tidemark reset` asks of brokers (src/runtime/reset.h): to change what a group and an application have left
// while nobody runs. Beside KafkaClient, as nothing that runs may do any of it. Used by one thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/kafka/client.h"
#include "src/kafka/rdkafka_client.h"
#include "src/plan/plan.h"

namespace tidemark {

class ResetClient {
 public:
  virtual ~ResetClient() = default;

  // Certainly nobody is in the group; so it is of one that nobody has made.
  virtual absl::StatusOr<bool> IsEmpty(const std::string& group) = 0;
  // Positions of a group without members, all of them or none. FailedPrecondition: it has some.
  virtual absl::Status CommitForEmptyGroup(const std::string& group, const std::vector<OffsetToCommit>& offsets) = 0;
  // All that a group has committed goes with it; none is there any more is no error. FailedPrecondition: it has
  // members.
  virtual absl::Status DeleteGroup(const std::string& group) = 0;
  // Waits until the topic is gone, which it may be already. Brokers forget what groups have committed of it.
  virtual absl::Status DeleteTopic(const std::string& topic) = 0;
};

absl::StatusOr<std::unique_ptr<ResetClient>> NewRdResetClient(const KafkaSettings& settings, KafkaLog log);

}  // namespace tidemark
