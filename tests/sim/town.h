// The topology of the worlds, its input, and its oracle: what the outputs must be, computed by other means, as sets and
// counts over the raw records.
//
// events -> dedup keep first -> {topic unique, PostgreSQL table (append), Parquet files, window count per place and
// minute across a shuffle -> topic counts}.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/plan/plan.h"
#include "src/sim/deployment.h"
#include "src/sim/sim_kafka.h"
#include "src/sim/sim_random.h"

namespace tidemark::sim {

class Town {
 public:
  static constexpr int32_t kPartitions = 2;
  static constexpr char kSource[] = "events";
  // The same records once more, for the next version of the topology.
  static constexpr int32_t kMorePartitions = 3;
  static constexpr char kMore[] = "more";

  // `on_data_loss` of the source: stop or skip.
  static absl::StatusOr<Plan> MakePlan(const std::string& on_data_loss = "stop");
  // The next version: reads another source beside the first, through a dedup of its own into a topic of its own.
  static absl::StatusOr<Plan> MakeNextPlan();
  // With counts per place over all time; and with a step that follows how these change.
  static absl::StatusOr<Plan> MakePlanWithTotals();
  static absl::StatusOr<Plan> MakePlanWithFollower();

  // Makes the source topics; nothing is in them yet.
  Town(int records, SimRandom* random, SimCluster* cluster);

  // The next records of the input; what is left of it where that is less.
  void Append(size_t count);
  void AppendAll() { Append(input_.size()); }
  size_t size() const { return input_.size(); }
  size_t appended() const { return appended_; }
  // Of the records of the source from number `from` on nobody will ever read those of that partition whose offsets lie
  // before `before`.
  void Lose(size_t from, int32_t partition, Offset before);

  // Every row of which a record can be read stands in every sink exactly once; DataLoss says which don't.
  absl::Status Compare(const Plan& plan, Deployment* deployment) const;

 private:
  struct Event {
    int64_t id, place, at;
    std::string Json() const;
  };

  SimCluster* const cluster_;
  std::vector<Event> events_;  // each once
  std::vector<Event> input_;   // with duplicates
  size_t appended_ = 0;
  std::vector<Offset> offsets_;  // in the source, of those appended
  std::set<size_t> lost_;        // by number
};

}  // namespace tidemark::sim
