// A simulated Kafka cluster behind the interfaces of src/kafka/client.h: one thread, no sockets, its own clock, and the
// same run for the same seed. It has Kafka's fault model: control records that occupy offsets, the last stable offset
// behind the high watermark, fencing by producer epoch and by group generation, transactions that time out, commits
// whose outcome is unknown, offsets that stay pending, logs that are trimmed under a reader.
//
// A test owns the cluster and plays the scheduler: it steps its workers one after the other, each through the client it
// got from NewClient, and advances the clock. A worker is a process: Kill ends it, at a call of the hook's choosing or
// between two; from then on all its clients answer PermissionDenied, and NewClient starts its next incarnation.
//
// What differs from real time: a call never waits. A Poll that finds nothing, and a Committed that would wait, advance
// the clock instead (see `waits_advance_clock`). A process that lives beats for its group memberships all by itself, as
// librdkafka's threads do, however rarely it is stepped; Freeze stops that.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "src/kafka/client.h"
#include "src/sim/sim_clock.h"
#include "src/sim/sim_kafka_group.h"
#include "src/sim/sim_kafka_log.h"
#include "src/sim/sim_random.h"

namespace tidemark::sim {

enum class SimCall {
  kSubscribe,
  kPoll,
  kAssign,
  kUnassign,
  kSeek,
  kPause,
  kResume,
  kCommitted,
  kCommitOffsets,
  kClose,
  kInitTransactions,
  kBegin,
  kProduce,
  kFlush,
  kSendOffsets,
  kCommit,
  kAbort,
  kDescribe,
  kCreateTopics,
  kLogStart,
  kLogEnd,
  kOffsetForTime,
  kDeleteRecords,
  kGroupOffsets,
  kGroupAssignments,
};
const char* SimCallName(SimCall call);

// What happens to a call of a client, asked once before it takes effect and once after.
enum class SimVerdict {
  kProceed,
  kFail,   // Unavailable (of a Commit: outcome unknown); after the effect, the effect stays
  kCrash,  // the worker dies here
};
struct SimCallSite {
  int worker = 0;
  SimCall call = SimCall::kPoll;
  bool after = false;
};

// Probabilities, by call, of faults drawn from the cluster's seed. Only calls that talk to a broker fail.
struct SimFaults {
  double unavailable = 0;     // before the effect
  double lost_answer = 0;     // after the effect: the call has worked and says it hasn't
  double commit_unknown = 0;  // of a Commit; half of them have been applied
  double commit_aborted = 0;  // of a Commit
  double crash = 0;           // of any call, half of them after the effect
  double fetch_waits = 0;     // of a partition in a Poll: what it has, its end too, is still on its way
  double refused = 0;         // of a Poll: the right to read is gone for a moment, which ends a process for good
};

class SimCluster {
 public:
  struct Options {
    uint64_t seed = 1;
    int64_t session_timeout_us = 10'000'000;
    int64_t transaction_timeout_us = 10'000'000;
    int64_t marker_delay_us = 0;  // up to so long after a commit its markers and offsets become visible
    size_t max_record_bytes = 1'048'588;
    bool waits_advance_clock = true;
    SimFaults faults;
    SimDigest* digest = nullptr;  // hears of every draw
  };

  SimCluster(const Options& options, SimClock* clock);
  ~SimCluster();

  // The client of a new process of that worker; an older one is killed. May outlive neither cluster nor clock.
  std::unique_ptr<KafkaClient> NewClient(int worker);
  void Kill(int worker) { alive_.erase(worker); }
  bool Alive(int worker) const { return alive_.contains(worker); }
  // A frozen process beats no more, so that its memberships end; its calls still work, as after SIGCONT.
  void Freeze(int worker) { frozen_.insert(worker); }
  void Thaw(int worker) { frozen_.erase(worker); }

  void SetHook(std::function<SimVerdict(const SimCallSite&)> hook) { hook_ = std::move(hook); }
  SimFaults& faults() { return options_.faults; }
  SimRandom& random() { return random_; }

  // For the oracle: what a read_committed consumer sees from the log's start to the last stable offset.
  std::vector<SimRecord> CommittedRecords(const TopicPartition& partition);
  std::map<TopicPartition, CommittedOffset> CommittedOffsets(const std::string& group,
                                                             const std::vector<TopicPartition>& partitions);
  // Without a client, and never failing: input of a test.
  Offset AppendInput(const TopicPartition& partition, std::optional<std::string> key, std::optional<std::string> value,
                     int64_t timestamp_ms = -1, HeaderList headers = {});
  void CreateTopic(const std::string& topic, int32_t partitions) { log_.CreateTopic(topic, partitions); }
  void RemakeTopic(const std::string& topic, int32_t partitions) { log_.RemakeTopic(topic, partitions); }
  void AddPartitions(const std::string& topic, int32_t partitions) { log_.AddPartitions(topic, partitions); }
  // Retention.
  void Trim(const TopicPartition& partition, Offset before);

  SimLog& log() { return log_; }
  SimGroups& groups() { return groups_; }

  // ---- For the clients (sim_kafka_consumer, _producer, _admin) ----

  // One process of a worker, and the calls it makes.
  class Process {
   public:
    Process(SimCluster* cluster, int worker, int64_t incarnation)
        : cluster_(cluster), worker_(worker), incarnation_(incarnation) {}

    bool alive() const;
    bool beats() const { return alive() && !cluster_->frozen_.contains(worker_); }
    // To be called first and last in a call. `remote`: it talks to a broker, so it may fail.
    absl::Status Enter(SimCall call, bool remote);
    absl::Status Leave(SimCall call, bool remote);
    absl::Status Dead() const;

   private:
    absl::Status Ask(SimCall call, bool after);

    SimCluster* const cluster_;
    const int worker_;
    const int64_t incarnation_;
  };

  // Something that beats for a membership as long as it is registered.
  using Beat = std::function<void(int64_t now_us)>;
  int64_t AddBeat(Beat beat);
  void RemoveBeat(int64_t id) { beats_.erase(id); }
  // Brings sessions, rebalances and transactions to the present.
  void Tick();
  // A wait: advances the clock where that is wanted.
  void Wait(int64_t us);
  SimClock& clock() { return *clock_; }

 private:
  Options options_;
  SimClock* const clock_;
  SimRandom random_;
  SimLog log_;
  SimGroups groups_;
  std::map<int, int64_t> alive_;  // by worker, its incarnation
  std::set<int> frozen_;
  int64_t next_incarnation_ = 1;
  std::map<int64_t, Beat> beats_;
  int64_t next_beat_ = 1;
  std::function<SimVerdict(const SimCallSite&)> hook_;
};

}  // namespace tidemark::sim
