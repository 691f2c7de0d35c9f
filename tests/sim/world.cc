#include "tests/sim/world.h"

#include <algorithm>
#include <iostream>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
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
    TM_ASSIGN_OR_RETURN(const Plan next, Town::MakeNextPlan());
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
      TM_RETURN_IF_ERROR(
          RunChaos(&deployment, &cluster_, &clock_, &random_, plan.application.Group(), faults, schedule));
      if (options_.change == Change::kPartitions) return AddPartitions(&deployment);
      if (options_.change == Change::kTopology) {
        RollOut(next, &deployment, &schedule);
        TM_RETURN_IF_ERROR(
            RunChaos(&deployment, &cluster_, &clock_, &random_, plan.application.Group(), faults, schedule));
      }
      town.AppendAll();
      if (options_.change == Change::kTopology) TM_RETURN_IF_ERROR(ComeToRest(next, &deployment));
      TM_RETURN_IF_ERROR(deployment.RunToEnd());
      return town.Compare(options_.change == Change::kTopology ? next : plan, &deployment);
    }();
    result_.counts = deployment.counts();
    return verdict;
  }

  absl::Status AnyTurn(Deployment* deployment) {
    clock_.Advance(static_cast<int64_t>(random_.Below(100'000)));
    return deployment->Turn(static_cast<int>(random_.Below(static_cast<uint64_t>(options_.workers))));
  }

  absl::Status AddPartitions(Deployment* deployment) {
    deployment->Heal();
    const auto all_run = [&] {
      for (int w = 0; w < options_.workers; ++w) {
        if (!deployment->runs(w)) return false;
      }
      return true;
    };
    while (!all_run()) TM_RETURN_IF_ERROR(AnyTurn(deployment));
    cluster_.AddPartitions(Town::kSource, Town::kPartitions + 1);
    int while_running = 0, at_start = 0;
    deployment->set_expected([&](const absl::Status& status) {
      const bool running =
          absl::IsFailedPrecondition(status) && absl::StrContains(status.message(), "when this worker started");
      const bool starting = absl::IsInvalidArgument(status);
      if ((!running && !starting) || !absl::StrContains(status.message(), "topic 'events' has 3")) {
        return OrdinaryEnding(status);
      }
      ++(running ? while_running : at_start);
      return true;
    });
    for (int turn = 0; turn < 4'000; ++turn) {
      TM_RETURN_IF_ERROR(AnyTurn(deployment));
      if (while_running > 0 && at_start >= 10 * options_.workers) return absl::OkStatus();
    }
    return absl::InternalError(absl::StrCat("partitions were added to a source, and only ", while_running,
                                            " workers ended because of it, ", at_start, " starts were refused"));
  }

  // Worker by worker, at some moment while things go wrong.
  void RollOut(const Plan& next, Deployment* deployment, Schedule* schedule) {
    schedule->feed = [this, feed = schedule->feed, &next, deployment, changed = 0]() mutable {
      feed();
      if (changed == options_.workers || random_.Below(30) != 0) return;
      Replace(next, changed++, deployment);
    };
  }

  void Replace(const Plan& next, int w, Deployment* deployment) {
    deployment->set_plan(w, &next);
    deployment->Wake(w);
    deployment->Stop(w, random_.Below(3) == 0);
  }

  // Nothing fails any more, everybody runs the next version: all of every source is read, by whomever.
  absl::Status ComeToRest(const Plan& next, Deployment* deployment) {
    deployment->Heal();
    for (int w = 0; w < options_.workers; ++w) Replace(next, w, deployment);
    std::string behind;
    for (int turn = 0; turn < 8'000; ++turn) {
      TM_RETURN_IF_ERROR(AnyTurn(deployment));
      if (turn % 16 == 0 && (behind = Behind(next)).empty()) return absl::OkStatus();
    }
    return absl::InternalError(absl::StrCat("a rolling change doesn't come to rest, unread remain", behind));
  }

  std::string Behind(const Plan& plan) {
    std::string behind;
    for (const SourcePlan& source : plan.sources) {
      for (int32_t p = 0; p < cluster_.log().PartitionCount(source.topic); ++p) {
        const TopicPartition partition{source.topic, p};
        const Offset committed = cluster_.CommittedOffsets(plan.application.Group(), {partition}).at(partition).offset;
        const Offset end = cluster_.log().Find(partition)->end;
        if (committed < end) absl::StrAppend(&behind, " ", ToString(partition), " at ", committed, " of ", end);
      }
    }
    return behind;
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
