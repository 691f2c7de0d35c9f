#include "src/cli/load.h"

#include <chrono>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "operators/operators.h"
#include "src/base/action.h"
#include "src/base/status.h"
#include "src/kafka/rdkafka_client.h"
#include "src/registry/formats.h"

namespace tidemark {
namespace {

constexpr auto kPatience = std::chrono::seconds(30);
constexpr auto kBetweenTries = std::chrono::milliseconds(500);

absl::StatusOr<std::vector<std::string>> AskOnce(const KafkaSettings& settings) {
  TM_ASSIGN_OR_RETURN(const std::unique_ptr<KafkaClient> kafka,
                      NewRdKafkaClient(settings, [](int, std::string_view) {}));
  TM_ASSIGN_OR_RETURN(const auto topics, kafka->admin().List(""));
  std::vector<std::string> names;
  for (const auto& [name, info] : topics) names.push_back(name);
  return names;
}

// Brokers that have just started know for a while less than they will.
TopicNames Patiently(const std::function<bool()>& give_up) {
  return [give_up](const KafkaSettings& settings) {
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (true) {
      auto names = AskOnce(settings);
      const bool over = std::chrono::steady_clock::now() > until || (give_up != nullptr && give_up());
      if (ActionFor(names.status()) != Action::kRetry || over) return names;
      std::this_thread::sleep_for(kBetweenTries);
    }
  };
}

}  // namespace

TopicNames TopicsOfBrokers() { return Patiently(nullptr); }

absl::StatusOr<std::string> FilesAsFirstRead::Read(const std::string& path) const {
  if (const auto known = read_.find(path); known != read_.end()) return known->second;
  TM_ASSIGN_OR_RETURN(std::string text, FilesOnDisk().Read(path));
  return read_[path] = std::move(text);
}

std::vector<std::string> FilesAsFirstRead::Match(const std::string& pattern) const {
  const auto [found, fresh] = matched_.try_emplace(pattern);
  if (fresh) found->second = FilesOnDisk().Match(pattern);
  return found->second;
}

absl::StatusOr<Plan> LoadTopology(const std::string& file, TopologyText* text, AskForTopics ask,
                                  const std::function<bool()>& give_up, const TopologyFiles& files) {
  const FormatList formats = PlanningFormats().list();
  const OperatorList operators = Operators();
  if (ask == AskForTopics::kAlways) return LoadPlan(file, operators, formats, text, Patiently(give_up), files);
  if (ask == AskForTopics::kIfThere) {
    absl::StatusOr<Plan> plan = LoadPlan(file, operators, formats, text, AskOnce, files);
    if (!absl::IsUnavailable(plan.status())) return plan;
  }
  return LoadPlan(file, operators, formats, text, nullptr, files);
}

}  // namespace tidemark
