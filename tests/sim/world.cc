#include "tests/sim/world.h"

#include <algorithm>
#include <iostream>

#include <absl/strings/str_join.h>

#include "src/base/status.h"
#include "tests/sim/chaos.h"
#include "tests/sim/sim_kafka.h"
#include "tests/sim/town.h"

namespace tidemark::sim {
namespace {

class World {
 public:
  explicit World(const WorldOptions& options)
      : options_(options),
        clock_(&result_.digest),
        random_(options.seed * 2654435761u + 1, &result_.digest),
        cluster_(ClusterOptions(), &clock_) {}

  WorldResult Run() {
    result_.verdict = RunAll();
    return result_;
  }

 private:
  SimCluster::Options ClusterOptions() {
    SimCluster::Options cluster;
    cluster.seed = options_.seed;
    cluster.digest = &result_.digest;
    cluster.marker_delay_us = options_.seed % 3 == 0 ? 5'000 : 0;
    return cluster;
  }

  absl::Status RunAll() {
    TM_ASSIGN_OR_RETURN(const Plan plan, Town::MakePlan());
    Town town(options_.records, &random_, &cluster_);
    Deployment deployment(&plan, {options_.seed, options_.workers, options_.print}, &random_, &clock_, &cluster_);
    const FaultKinds kinds = options_.faults.value_or(FaultKindsOf(options_.seed));
    if (options_.print) std::cout << "faults: " << absl::StrJoin(kinds, ", ") << std::endl;
    const Faults faults = FaultsOf(kinds);
    Schedule schedule;
    schedule.turns = options_.turns;
    const size_t step = std::max<size_t>(1, 2 * town.size() / static_cast<size_t>(options_.turns));
    schedule.feed = [&] { town.Append(random_.Below(2 * step + 1)); };
    for (int32_t p = 0; p < Town::kPartitions; ++p) schedule.trimmable.push_back({Town::kSource, p});
    const absl::Status verdict = [&]() -> absl::Status {
      TM_RETURN_IF_ERROR(RunChaos(&deployment, &cluster_, &clock_, &random_, plan.name, faults, schedule));
      town.AppendAll();
      TM_RETURN_IF_ERROR(deployment.RunToEnd());
      return town.Compare(plan, &deployment);
    }();
    result_.counts = deployment.counts();
    return verdict;
  }

  const WorldOptions options_;
  WorldResult result_;
  SimClock clock_;
  SimRandom random_;
  SimCluster cluster_;
};

}  // namespace

WorldResult RunWorld(const WorldOptions& options) { return World(options).Run(); }

}  // namespace tidemark::sim
