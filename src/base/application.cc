#include "src/base/application.h"

#include <algorithm>

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

namespace tidemark {
namespace {

constexpr std::string_view kChangelog = "changelog";

}  // namespace

std::string ApplicationId::Key() const { return generation <= 1 ? name : absl::StrCat(name, ".__", generation); }

std::string ApplicationId::TopicPrefix() const { return Key() + "."; }

std::string ApplicationId::SinkGroup(std::string_view sink) const { return TopicPrefix().append(sink); }

std::string ApplicationId::RepartitionTopic(std::string_view step, std::string_view input) const {
  std::string topic = TopicPrefix().append(step);
  if (!input.empty()) topic.append(".").append(input);
  return topic.append(".repartition");
}

std::string ApplicationId::FeedTopic(std::string_view sink) const { return TopicPrefix().append(sink).append(".feed"); }

std::string ApplicationId::ChangelogTopic(std::string_view stage) const {
  return TopicPrefix().append(stage).append(".").append(kChangelog);
}

std::string ApplicationId::ManifestTopic(std::string_view sink) const { return ChangelogTopic(sink); }

std::string ApplicationId::ViewTopic(std::string_view view) const { return TopicPrefix().append(view).append(".view"); }

std::optional<std::string> ApplicationId::StageOfChangelog(std::string_view topic) const {
  const std::string prefix = TopicPrefix();
  if (topic.size() <= prefix.size() || topic.substr(0, prefix.size()) != prefix) return std::nullopt;
  topic.remove_prefix(prefix.size());
  const size_t dot = topic.find('.');
  if (dot == std::string_view::npos || topic.substr(dot + 1) != kChangelog) return std::nullopt;
  return std::string(topic.substr(0, dot));
}

std::string ApplicationId::StreamThreadId(std::string_view worker, int thread) const {
  return Key().append("/").append(worker).append("-").append(std::to_string(thread));
}

std::string ApplicationId::ProducerId(std::string_view thread_id, int turn) {
  return std::string(thread_id).append("-").append(std::to_string(turn));
}

std::string ApplicationId::SinkTransactionalId(std::string_view sink, std::string_view worker) const {
  return SinkGroup(sink).append("/").append(worker);
}

std::string ApplicationId::AlarmsTopic() const { return TopicPrefix().append("__alarms"); }

std::string ApplicationId::AlarmsGroup() const { return TopicPrefix().append("__alarms"); }

std::string ApplicationId::AlarmsTransactionalId() const { return TopicPrefix().append("__alarms/watch"); }

std::string ApplicationId::ReplayedTopic() const { return TopicPrefix().append("__dead-letters.replayed"); }

std::string ApplicationId::ReplayTransactionalId() const { return TopicPrefix().append("__dead-letters/replay"); }

bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= 100 && name.substr(0, 2) != "__" &&
         std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return absl::ascii_isalnum(c) || c == '_' || c == '-'; });
}

}  // namespace tidemark
