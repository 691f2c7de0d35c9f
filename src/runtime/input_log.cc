#include "src/runtime/input_log.h"

#include <algorithm>
#include <set>

#include <absl/strings/str_cat.h>

#include "src/base/status.h"

namespace tidemark {
namespace {

bool IsAnother(const std::string& topic_id, const InputLog& log) {
  return !topic_id.empty() && !log.topic_id.empty() && topic_id != log.topic_id;
}

std::string Extent(const InputLog& log) { return absl::StrCat("[", log.start, ", ", log.end, ")"); }

}  // namespace

absl::StatusOr<InputLogs> AskInputLogs(Admin& admin, const std::vector<TopicPartition>& inputs) {
  InputLogs logs;
  if (inputs.empty()) return logs;
  std::set<std::string> topics;
  for (const TopicPartition& input : inputs) topics.insert(input.topic);
  TM_ASSIGN_OR_RETURN(const auto infos, admin.Describe({topics.begin(), topics.end()}));
  for (const std::string& topic : topics) {
    if (infos.count(topic) > 0) continue;
    return absl::FailedPreconditionError(absl::StrCat("topic '", topic, "' doesn't exist any more"));
  }
  TM_ASSIGN_OR_RETURN(const auto starts, admin.LogStarts(inputs));
  TM_ASSIGN_OR_RETURN(const auto ends, admin.LogEnds(inputs, Isolation::kReadUncommitted));
  for (const TopicPartition& input : inputs) {
    const auto start = starts.find(input), end = ends.find(input);
    InputLog& log = logs[input];
    log.topic_id = infos.at(input.topic).id;
    if (start == starts.end() || end == ends.end()) continue;
    log.start = start->second;
    log.end = end->second;
  }
  return logs;
}

absl::StatusOr<ContinueAt> ContinueSource(const SourcePlan& source, int32_t partition, Offset position,
                                          const std::string& topic_id, const InputLog& log) {
  const TopicPartition input{source.topic, partition};
  const std::string who = absl::StrCat("source ", source.name, ": ");
  const bool another = IsAnother(topic_id, log);
  ContinueAt next{position, 0, ""};
  if (log.start < 0) {
    if (!another) return next;
    return absl::UnavailableError(absl::StrCat(who, "topic '", source.topic,
                                               "' was deleted and made again, and nobody ",
                                               "tells the extent of its partition ", partition, " for now"));
  }
  if (another) {
    next.position = log.start;
    next.what = absl::StrCat("topic '", source.topic, "' was deleted and made again since the last commit (its id was ",
                             topic_id, ", now it is ", log.topic_id, "): offset ", position, " of partition ",
                             partition, " belonged to the deleted one; the new one has ", Extent(log));
  } else if (position < log.start) {
    next.position = log.start;
    next.lost = log.start - position;
    next.what =
        absl::StrCat("the log of ", ToString(input), " was trimmed to ", Extent(log), ", by retention or by hand, ",
                     "past the position ", position, ": ", next.lost, " offsets are gone that were never read");
  } else if (position > log.end) {
    // Without ids it is most likely another topic.
    next.position = topic_id.empty() || log.topic_id.empty() ? log.start : log.end;
    next.what = absl::StrCat("the log of ", ToString(input), " ends at ", log.end, ", before the position ", position,
                             ": it was cut off, or deleted and made again");
  } else {
    return next;
  }
  if (source.skip_lost) return next;
  const std::string message =
      absl::StrCat(who, next.what, ". With `on_data_loss: skip` on the source it would go on at ", next.position,
                   "; to compute everything anew from what the topic holds, give the topology a new name");
  return another ? absl::FailedPreconditionError(message) : absl::OutOfRangeError(message);
}

absl::Status CheckInternalLog(const TopicPartition& input, Offset position, const std::string& topic_id,
                              const InputLog& log) {
  std::string what;
  if (IsAnother(topic_id, log)) {
    what = "was deleted and made again";
  } else if (log.start >= 0 && (position < log.start || position > log.end)) {
    what = absl::StrCat("was trimmed or cut off to ", Extent(log), " by somebody else");
  } else {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "internal topic '", input.topic, "' ", what, ": what its partition ", input.partition, " held behind offset ",
      position,
      " was never read. To start over, give the topology a new name, or delete both its group and all of its "
      "internal topics"));
}

bool TopicsMadeAgain(Admin& admin, const std::map<std::string, std::string>& topic_ids) {
  std::vector<std::string> topics;
  for (const auto& [topic, id] : topic_ids) {
    if (!id.empty()) topics.push_back(topic);
  }
  if (topics.empty()) return false;
  const auto infos = admin.Describe(topics);
  if (!infos.ok()) return false;
  return std::any_of(infos->begin(), infos->end(), [&](const auto& entry) {
    return IsAnother(topic_ids.at(entry.first), {.topic_id = entry.second.id});
  });
}

void SourceLosses::Declare(const std::string& source) {
  const absl::MutexLock lock(&mutex_);
  losses_.try_emplace(source);
}

void SourceLosses::Add(const std::string& source, int32_t partition, Offset position, int64_t records) {
  const absl::MutexLock lock(&mutex_);
  const auto [left, first] = left_.try_emplace({source, partition}, position);
  if (!first && std::exchange(left->second, position) == position) return;
  losses_[source].records += records;
  ++losses_[source].skips;
}

std::map<std::string, SourceLosses::Loss> SourceLosses::Get() const {
  const absl::MutexLock lock(&mutex_);
  return losses_;
}

}  // namespace tidemark
