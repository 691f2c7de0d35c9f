#include "tests/sim/world.h"

#include <algorithm>
#include <iostream>
#include <limits>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "src/base/status.h"
#include "src/sim/chaos.h"
#include "src/sim/sim_kafka.h"
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
    const bool follows = options_.change == Change::kFollower;
    TM_ASSIGN_OR_RETURN(const Plan plan,
                        follows ? Town::MakePlanWithTotals() : Town::MakePlan(Skips() ? "skip" : "stop"));
    TM_ASSIGN_OR_RETURN(const Plan next, follows ? Town::MakePlanWithFollower() : Town::MakeNextPlan());
    Town town(options_.records, &random_, &cluster_);
    DeploymentOptions deployed{options_.seed, options_.workers, options_.print};
    deployed.checks_start = ChecksStart();  // else tasks find out when they open
    Deployment deployment(&plan, deployed, &random_, &clock_, &cluster_);
    const FaultKinds kinds = options_.faults.value_or(FaultKindsOf(options_.seed));
    if (options_.print) std::cout << "faults: " << absl::StrJoin(kinds, ", ") << std::endl;
    const Faults faults = FaultsOf(kinds);
    Schedule schedule;
    schedule.turns = options_.turns;
    const size_t step = std::max<size_t>(1, 2 * town.size() / static_cast<size_t>(options_.turns));
    schedule.feed = [&] {
      if ((Loses() || follows) && town.appended() >= town.size() * 3 / 4) return;  // the rest is for what is lost
      town.Append(random_.Below(2 * step + 1));
    };
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
      if (Loses()) {
        TM_RETURN_IF_ERROR(Rest(plan, &deployment));
        const TopicPartition lost{Town::kSource, static_cast<int32_t>(random_.Below(Town::kPartitions))};
        const Offset read = cluster_.log().Find(lost)->end;
        LoseRecords(lost, &town);
        if (!Skips()) return EndsForGood(plan, lost, read, &deployment);
      }
      if (follows) {
        TM_RETURN_IF_ERROR(Rest(plan, &deployment));
        town.Append(1 + random_.Below(20));
        TM_RETURN_IF_ERROR(IsRefused(plan, next, &deployment));
        for (int w = 0; w < options_.workers; ++w) Replace(plan, w, &deployment);
      }
      town.AppendAll();
      if (options_.change == Change::kTopology) TM_RETURN_IF_ERROR(ComeToRest(next, &deployment));
      TM_RETURN_IF_ERROR(deployment.RunToEnd());
      return town.Compare(options_.change == Change::kTopology ? next : plan, &deployment);
    }();
    result_.counts = deployment.counts();
    return verdict;
  }

  bool ChecksStart() const { return options_.change == Change::kFollower && options_.seed % 2 == 0; }
  bool Remakes() const { return options_.change == Change::kRemade || options_.change == Change::kRemadeSkipped; }
  bool Skips() const { return options_.change == Change::kTrimmedSkipped || options_.change == Change::kRemadeSkipped; }
  bool Loses() const { return Remakes() || Skips() || options_.change == Change::kTrimmed; }

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
    return Rest(next, deployment);
  }

  // Nothing fails any more: all of every source is read and committed.
  absl::Status Rest(const Plan& plan, Deployment* deployment) {
    deployment->Heal();
    std::string behind;
    for (int turn = 0; turn < 8'000; ++turn) {
      TM_RETURN_IF_ERROR(AnyTurn(deployment));
      if (turn % 16 == 0 && (behind = Behind(plan)).empty()) return absl::OkStatus();
    }
    return absl::InternalError(absl::StrCat("doesn't come to rest, unread remain", behind));
  }

  // All that is there has been read. Adds records to the source, takes some of this partition away again before anybody
  // has seen them, or all with the topic itself.
  void LoseRecords(const TopicPartition& lost, Town* town) {
    const size_t from = town->appended();
    const Offset begin = cluster_.log().Find(lost)->end;
    while (cluster_.log().Find(lost)->end == begin && town->appended() < town->size()) town->Append(1);
    town->Append(random_.Below(20));
    if (Remakes()) {
      cluster_.RemakeTopic(Town::kSource, Town::kPartitions);
      for (int32_t p = 0; p < Town::kPartitions; ++p) town->Lose(from, p, std::numeric_limits<Offset>::max());
      town->Append(random_.Below(40));
    } else {
      const Offset end = cluster_.log().Find(lost)->end;
      const Offset before = begin + 1 + static_cast<Offset>(random_.Below(static_cast<uint64_t>(end - begin)));
      cluster_.Trim(lost, before);
      town->Lose(from, lost.partition, before);
    }
  }

  // Every process ends because of what was lost, however often it is started again, and nothing of it is committed.
  absl::Status EndsForGood(const Plan& plan, const TopicPartition& lost, Offset read, Deployment* deployment) {
    int ends = 0;
    deployment->set_expected([&](const absl::Status& status) {
      const bool told = Remakes() ? absl::IsFailedPrecondition(status) : absl::IsOutOfRange(status);
      if (!told || !absl::StrContains(status.message(), Town::kSource)) return OrdinaryEnding(status);
      ++ends;
      return true;
    });
    for (int turn = 0; turn < 8'000 && ends < 5 * options_.workers; ++turn) {
      TM_RETURN_IF_ERROR(AnyTurn(deployment));
    }
    // Offsets are deleted with their topic.
    const Offset committed = cluster_.CommittedOffsets(plan.application.Group(), {lost}).at(lost).offset;
    if (committed != read && (!Remakes() || committed != -1)) {
      return absl::DataLossError(absl::StrCat(ToString(lost), " was read up to ", read,
                                              ", lost records that nobody had read, and is at ", committed, " now"));
    }
    if (ends >= 5 * options_.workers) return absl::OkStatus();
    return absl::InternalError(absl::StrCat(ToString(lost), " lost records that nobody had read, and only ", ends,
                                            " processes ended because of it"));
  }

  // No worker runs the next version, however often it is started, and what lies there stays unread.
  absl::Status IsRefused(const Plan& plan, const Plan& next, Deployment* deployment) {
    const std::string unread = Behind(plan);
    int refused = 0;
    deployment->set_expected([&](const absl::Status& status) {
      if (!absl::IsFailedPrecondition(status) || !absl::StrContains(status.message(), "step follower is new")) {
        return OrdinaryEnding(status);
      }
      ++refused;
      return true;
    });
    for (int w = 0; w < options_.workers; ++w) Replace(next, w, deployment);
    const std::string stopped = Behind(plan);  // a stop commits what it has
    for (int turn = 0; turn < 8'000 && refused < 5 * options_.workers; ++turn) {
      TM_RETURN_IF_ERROR(AnyTurn(deployment));
    }
    deployment->set_expected(OrdinaryEnding);
    if (unread.empty()) return absl::InternalError("nothing was there to read");
    // Without the check at the start, those that have no task of the step go on.
    if (ChecksStart() && Behind(plan) != stopped) return absl::DataLossError("a version that was refused has read");
    if (refused >= 5 * options_.workers) return absl::OkStatus();
    return absl::InternalError(absl::StrCat("a step that follows counted changes was refused ", refused, " times"));
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
