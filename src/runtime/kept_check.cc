#include "src/runtime/kept_check.h"

#include <algorithm>
#include <map>
#include <string>
#include <variant>

#include "proto/alarms.pb.h"
#include "proto/intake.pb.h"
#include "proto/views.pb.h"
#include "src/base/intake_names.h"
#include "src/base/kept_format.h"
#include "src/base/status.h"
#include "src/plan/intakes.h"
#include "src/views/records.h"

namespace tidemark {
namespace {

// A transaction's records end with one that says what it needs, and its marker; more where several end together.
constexpr Offset kLook = 8;

using NeedsOf = uint32_t (*)(const RecordView&);

template <typename Message>
uint32_t Needs(const RecordView& record) {
  Message message;
  const std::string_view value = record.value.value_or("");
  return message.ParseFromArray(value.data(), static_cast<int>(value.size())) ? message.needs_format() : 0;
}

uint32_t NeedsOfView(const RecordView& record) {
  return ViewMarkWriter(record.key.value_or("")) ? Needs<packed::ViewMark>(record) : 0;
}

// Logs of one kind of record each, by topic.
std::map<std::string, NeedsOf> LogsOf(const Plan& plan) {
  std::map<std::string, NeedsOf> logs = {{plan.application.AlarmsTopic(), Needs<alarms::Event>}};
  for (const SinkPlan& sink : plan.sinks) {
    if (sink.view) logs[plan.application.ViewTopic(sink.kept_as())] = NeedsOfView;
    if (std::holds_alternative<ParquetSinkSpec>(sink.spec)) {
      logs[plan.application.ManifestTopic(sink.kept_as())] = Needs<packed::Manifest>;
    }
  }
  for (const IntakePlan& intake : IntakesOf(plan)) {
    logs[IntakeNames{plan.application, intake.name}.PositionsTopic()] = Needs<packed::IntakePosition>;
  }
  return logs;
}

}  // namespace

absl::Status CheckKept(const Plan& plan, const Former& former, KafkaClient& kafka) {
  for (const auto& [partition, record] : former.newest) {
    TM_RETURN_IF_ERROR(CheckKeptFormat(record.needs_format(), ToString(partition)));
  }
  const std::map<std::string, NeedsOf> logs = LogsOf(plan);
  LogRanges ends;
  for (const auto& [topic, needs] : logs) {
    const auto info = former.topics.find(topic);
    if (info == former.topics.end()) continue;
    for (int32_t p = 0; p < info->second.partitions; ++p) {
      TM_ASSIGN_OR_RETURN(const auto range, CommittedRange(kafka.admin(), {topic, p}));
      ends[{topic, p}] = {std::max(range.first, range.second - kLook), range.second};
    }
  }
  absl::Status known;
  TM_RETURN_IF_ERROR(ReadRanges(kafka, ends, [&](const TopicPartition& partition, const RecordView& record) {
    known.Update(CheckKeptFormat(logs.at(partition.topic)(record), ToString(partition)));
    return known.ok();
  }));
  return known;
}

}  // namespace tidemark
