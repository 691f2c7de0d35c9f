#include "src/sim/sim_kafka.h"

#include <utility>

#include <absl/strings/str_cat.h>

#include "src/base/status.h"
#include "src/sim/sim_kafka_admin.h"
#include "src/sim/sim_kafka_consumer.h"
#include "src/sim/sim_kafka_producer.h"

namespace tidemark::sim {
namespace {

class SimKafkaClient : public KafkaClient {
 public:
  SimKafkaClient(SimCluster* cluster, std::shared_ptr<SimCluster::Process> process)
      : cluster_(cluster), process_(process), admin_(cluster, process) {}

  absl::StatusOr<std::unique_ptr<Consumer>> NewConsumer(const ConsumerOptions& options) override {
    if (!process_->alive()) return process_->Dead();
    return std::make_unique<SimConsumer>(cluster_, process_, options);
  }
  absl::StatusOr<std::unique_ptr<Producer>> NewProducer(const ProducerOptions& options) override {
    if (!process_->alive()) return process_->Dead();
    return std::make_unique<SimProducer>(cluster_, process_, options);
  }
  Admin& admin() override { return admin_; }

 private:
  SimCluster* const cluster_;
  const std::shared_ptr<SimCluster::Process> process_;
  SimAdmin admin_;
};

}  // namespace

const char* SimCallName(SimCall call) {
  static constexpr const char* kNames[] = {
      "Subscribe",     "Poll",          "Assign",       "Unassign",         "Seek",         "Pause",    "Resume",
      "Committed",     "CommitOffsets", "Close",        "InitTransactions", "Begin",        "Produce",  "Flush",
      "SendOffsets",   "Commit",        "Abort",        "Describe",         "CreateTopics", "LogStart", "LogEnd",
      "OffsetForTime", "DeleteRecords", "GroupOffsets", "GroupAssignments"};
  return kNames[static_cast<size_t>(call)];
}

SimCluster::SimCluster(const Options& options, SimClock* clock)
    : options_(options),
      clock_(clock),
      random_(options.seed, options.digest),
      log_(&random_, options.transaction_timeout_us, options.marker_delay_us, options.max_record_bytes),
      groups_(options.session_timeout_us) {}

SimCluster::~SimCluster() = default;

std::unique_ptr<KafkaClient> SimCluster::NewClient(int worker) {
  frozen_.erase(worker);
  alive_[worker] = next_incarnation_++;
  return std::make_unique<SimKafkaClient>(this, std::make_shared<Process>(this, worker, alive_[worker]));
}

// ---- Calls ---------------------------------------------------------------------------------------------------------

bool SimCluster::Process::alive() const {
  const auto found = cluster_->alive_.find(worker_);
  return found != cluster_->alive_.end() && found->second == incarnation_;
}

absl::Status SimCluster::Process::Dead() const {
  return absl::PermissionDeniedError(absl::StrCat("worker ", worker_, " is dead"));
}

absl::Status SimCluster::Process::Ask(SimCall call, bool after) {
  if (!alive()) return Dead();
  if (!cluster_->hook_) return absl::OkStatus();
  switch (cluster_->hook_({worker_, call, after})) {
    case SimVerdict::kProceed:
      return absl::OkStatus();
    case SimVerdict::kFail:
      return absl::UnavailableError(absl::StrCat(SimCallName(call), ": injected fault"));
    case SimVerdict::kCrash:
      cluster_->Kill(worker_);
      return Dead();
  }
  return absl::OkStatus();
}

absl::Status SimCluster::Process::Enter(SimCall call, bool remote) {
  if (!alive()) return Dead();
  cluster_->Tick();
  TM_RETURN_IF_ERROR(Ask(call, false));
  const SimFaults& faults = cluster_->options_.faults;
  if (cluster_->random_.Chance(faults.crash / 2)) {
    cluster_->Kill(worker_);
    return Dead();
  }
  if (remote && cluster_->random_.Chance(faults.unavailable)) {
    return absl::UnavailableError(absl::StrCat(SimCallName(call), ": the broker is away"));
  }
  return absl::OkStatus();
}

absl::Status SimCluster::Process::Leave(SimCall call, bool remote) {
  TM_RETURN_IF_ERROR(Ask(call, true));
  const SimFaults& faults = cluster_->options_.faults;
  if (cluster_->random_.Chance(faults.crash / 2)) {
    cluster_->Kill(worker_);
    return Dead();
  }
  if (remote && cluster_->random_.Chance(faults.lost_answer)) {
    return absl::UnavailableError(absl::StrCat(SimCallName(call), ": the answer was lost"));
  }
  return absl::OkStatus();
}

// ---- Time ----------------------------------------------------------------------------------------------------------

int64_t SimCluster::AddBeat(Beat beat) {
  beats_[next_beat_] = std::move(beat);
  return next_beat_++;
}

void SimCluster::Tick() {
  const int64_t now = clock_->MonotonicUs();
  for (auto& [id, beat] : beats_) beat(now);
  groups_.Tick(now, [this](const std::string& topic) { return log_.PartitionCount(topic); });
  log_.Tick(now);
}

void SimCluster::Wait(int64_t us) {
  if (options_.waits_advance_clock) clock_->Advance(us);
  Tick();
}

// ---- For the test --------------------------------------------------------------------------------------------------

std::vector<SimRecord> SimCluster::CommittedRecords(const TopicPartition& partition) {
  Tick();
  std::vector<SimRecord> records;
  const SimPartition* p = log_.Find(partition);
  if (p == nullptr) return records;
  for (Offset o = p->start; o < p->last_stable(); ++o) {
    const SimRecord& r = p->At(o);
    if (r.kind == SimRecord::Kind::kData && !r.aborted) records.push_back(r);
  }
  return records;
}

std::map<TopicPartition, CommittedOffset> SimCluster::CommittedOffsets(const std::string& group,
                                                                       const std::vector<TopicPartition>& partitions) {
  Tick();
  std::map<TopicPartition, CommittedOffset> offsets;
  for (const TopicPartition& tp : partitions) offsets[tp] = log_.StableOffset(group, tp);
  return offsets;
}

Offset SimCluster::AppendInput(const TopicPartition& partition, std::optional<std::string> key,
                               std::optional<std::string> value, int64_t timestamp_ms, HeaderList headers) {
  SimPartition* p = log_.Find(partition);
  SimRecord record;
  record.key = std::move(key);
  record.value = std::move(value);
  record.headers = std::move(headers);
  record.timestamp_ms = timestamp_ms >= 0 ? timestamp_ms : clock_->WallUs() / 1'000;
  p->Append(std::move(record));
  return p->end - 1;
}

void SimCluster::Trim(const TopicPartition& partition, Offset before) { log_.Find(partition)->Trim(before); }

}  // namespace tidemark::sim
