// Everything a running worker shows of itself, as a value: metrics, health and readiness, and the final report are made
// of it. Collected under the threads' locks by Worker::status.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/functional/function_ref.h>

#include "src/base/record.h"
#include "src/runtime/alarm_thread.h"
#include "src/runtime/freshness.h"
#include "src/runtime/global_tables.h"
#include "src/runtime/http_gate.h"
#include "src/runtime/input_log.h"
#include "src/runtime/intake_thread.h"
#include "src/runtime/lineage_sender.h"
#include "src/runtime/ownership.h"
#include "src/runtime/sink_thread.h"
#include "src/runtime/stream_thread.h"
#include "src/runtime/view_gate.h"
#include "src/runtime/view_reader.h"

namespace tidemark {

struct WorkerStatus {
  ApplicationId application;
  std::string instance_id;
  int64_t monotonic_us = 0, wall_us = 0;  // when this was taken
  std::string starting;                   // what the worker does before its threads run; "" once they do
  std::vector<ThreadStatus> threads;
  std::vector<SinkStatus> sinks;
  std::vector<IntakeMemberStatus> intakes;
  std::vector<HttpGateStatus> gates;
  std::vector<ViewStatus> views;
  std::vector<ViewGateStatus> view_gates;
  std::vector<FreshnessStatus> freshness;  // with the alarms that are raised
  std::optional<AlarmStatus> alarms;       // nothing: nobody is told
  std::vector<GlobalTables::Status> tables;
  OwnershipStatus ownership;
  std::map<std::string, int64_t> unread_topics;      // that a pattern matches, by source
  std::map<std::string, SourceLosses::Loss> losses;  // by source; of this process
  // Ends (read_committed) of the partitions that this worker reads, refreshed every few seconds: lag = end - position.
  std::map<TopicPartition, Offset> ends;
  std::vector<LineageStatus> lineage;  // by target
};

// The ledger of a worker: the counters of its tasks, added up by step, in the order of the plan.
std::vector<std::pair<std::string, StepLedger>> SumLedger(const WorkerStatus& status);

// The counters of a ledger (operators/ledger_counters.h), those of violated rules last.
void ForEachCounter(const StepLedger& ledger, absl::FunctionRef<void(std::string_view name, int64_t value)> take);

// "ledger <step> in=1 passed=1 ..." with the counters that are not 0.
std::string LedgerLine(const std::string& step, const StepLedger& ledger);

// "intake surveys rows=1000 dead_lettered=3 files_read=2": what has come into the split's topic and what hasn't, ever.
std::string IntakeLine(const IntakeStatus::Target& target, int32_t split);

// The tasks whose stores this process needs; nothing while a rebalance is under way, when any store may be wanted by
// another thread in a moment.
std::optional<std::vector<TaskId>> StoresInUse(const WorkerStatus& status);

}  // namespace tidemark
