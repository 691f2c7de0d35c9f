// The topology that --config names, with the topics that its patterns match (`topics` of a source): the one thing in a
// plan that only the brokers can tell. They are asked where the topology has such a source, and not otherwise.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "src/plan/planner.h"

namespace tidemark {

enum class AskForTopics {
  kNever,    // one source stands for those of a pattern
  kIfThere,  // the same where no broker answers
  kAlways,   // Unavailable where none does, for a while
};

// A topology's files as they were when they were read first, whatever becomes of them on disk: a worker that begins
// anew for a topic that has come runs the topology that it was started with, not one that is just being edited.
class FilesAsFirstRead final : public TopologyFiles {
 public:
  absl::StatusOr<std::string> Read(const std::string& path) const override;
  std::vector<std::string> Match(const std::string& pattern) const override;

 private:
  mutable std::map<std::string, std::string> read_;
  mutable std::map<std::string, std::vector<std::string>> matched_;
};

// `give_up` ends waiting for brokers; null: nobody does.
absl::StatusOr<Plan> LoadTopology(const std::string& file, TopologyText* text, AskForTopics ask,
                                  const std::function<bool()>& give_up = nullptr,
                                  const TopologyFiles& files = FilesOnDisk());

// For plans that are made of another text.
TopicNames TopicsOfBrokers();

}  // namespace tidemark
