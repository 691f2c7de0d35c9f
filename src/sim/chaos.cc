#include "src/sim/chaos.h"

#include "src/base/status.h"

namespace tidemark::sim {

const FaultKinds& AllFaultKinds() {
  static const FaultKinds kinds = {"calls",    "database", "lake",  "crashes", "freezes", "oversleeping",
                                   "restarts", "power",    "disks", "rights",  "trims",   "unmounts"};
  return kinds;
}

FaultKinds FaultKindsOf(uint64_t seed) {
  SimRandom random(seed * 7919 + 13);
  FaultKinds kinds = AllFaultKinds();
  std::erase_if(kinds, [&](const std::string&) { return random.Below(6) == 0; });
  return kinds;
}

Faults FaultsOf(const FaultKinds& kinds) {
  Faults faults;
  if (kinds.contains("calls")) {
    faults.kafka = {.unavailable = 0.002,
                    .lost_answer = 0.002,
                    .commit_unknown = 0.03,
                    .commit_aborted = 0.02,
                    .crash = kinds.contains("crashes") ? 0.002 : 0};
  }
  if (kinds.contains("rights")) faults.kafka.refused = 0.003;
  if (kinds.contains("database")) faults.database = {.failed = 0.01, .lost_answer = 0.02, .outage = 0.002};
  if (kinds.contains("lake")) faults.lake = {.failed = 0.01, .lost_answer = 0.005, .outage = 0.002};
  if (kinds.contains("crashes")) faults.crash = 90;
  if (kinds.contains("freezes")) faults.freeze = 80;
  if (kinds.contains("oversleeping")) faults.oversleep = 8;
  if (kinds.contains("restarts")) faults.restart = 150;
  if (kinds.contains("power")) faults.power_failure = 800;
  if (kinds.contains("disks")) faults.full_disk = 400;
  if (kinds.contains("unmounts")) faults.unmount = 300;
  if (kinds.contains("trims")) faults.trim = 40;
  return faults;
}

namespace {

class Chaos {
 public:
  Chaos(Deployment* deployment, SimCluster* cluster, SimClock* clock, SimRandom* random, const std::string& group,
        const Faults& faults, const Schedule& schedule)
      : deployment_(*deployment),
        cluster_(*cluster),
        clock_(*clock),
        random_(*random),
        group_(group),
        faults_(faults),
        schedule_(schedule) {}

  absl::Status Run() {
    for (int turn = 0; turn < schedule_.turns; ++turn) {
      if (random_.Below(2) == 0) schedule_.feed();
      if (Once(faults_.trim)) Trim();
      const int w = static_cast<int>(random_.Below(static_cast<uint64_t>(deployment_.workers())));
      if (deployment_.frozen(w)) {
        deployment_.Doze(w);
        continue;
      }
      TM_ASSIGN_OR_RETURN(const bool happened, SomethingHappens(w));
      if (happened) continue;
      TM_RETURN_IF_ERROR(deployment_.Turn(w));
      clock_.Advance(static_cast<int64_t>(random_.Below(15'000)));
    }
    return absl::OkStatus();
  }

 private:
  bool Once(uint64_t in) { return in > 0 && random_.Below(in) == 0; }

  absl::StatusOr<bool> SomethingHappens(int w) {
    if (!deployment_.runs(w)) return false;
    if (Once(faults_.freeze)) {
      deployment_.Freeze(w, 1 + static_cast<int>(random_.Below(14)));
    } else if (Once(faults_.crash)) {
      deployment_.Crash(w, "between two calls");
    } else if (deployment_.undecided(w) > 0 && Once(faults_.oversleep)) {
      TM_RETURN_IF_ERROR(Oversleep(w));
    } else if (Once(faults_.restart)) {
      deployment_.Stop(w, random_.Below(3) == 0);
    } else if (Once(faults_.power_failure)) {
      deployment_.PowerFailure();
    } else if (Once(faults_.unmount)) {
      deployment_.Unmount(1 + static_cast<int64_t>(random_.Below(5 * kSecond)));
    } else if (Once(faults_.full_disk)) {
      deployment_.FillDisk(w, static_cast<int64_t>(random_.Below(4'000)));
    } else {
      return false;
    }
    return true;
  }

  // A process stops in the middle of a commit, loses its membership to others who go on with its partitions and leave
  // the group in their turn, and wakes up while its transaction still lives.
  absl::Status Oversleep(int w) {
    deployment_.Say(w, "oversleeps a commit");
    deployment_.Freeze(w, 0);
    clock_.Advance(7 * kSecond + static_cast<int64_t>(random_.Below(2 * kSecond)));
    for (int turn = 0; turn < 100; ++turn) {
      const int other = static_cast<int>(random_.Below(static_cast<uint64_t>(deployment_.workers())));
      if (other == w) continue;
      deployment_.Wake(other);
      TM_RETURN_IF_ERROR(deployment_.Turn(other));
      clock_.Advance(static_cast<int64_t>(random_.Below(25'000)));
    }
    for (int other = 0; other < deployment_.workers(); ++other) {
      if (other != w && random_.Below(4) != 0) deployment_.Stop(other, true);
    }
    deployment_.Wake(w);
    for (int turn = 0; turn < 4 && deployment_.runs(w); ++turn) TM_RETURN_IF_ERROR(deployment_.Turn(w));
    return absl::OkStatus();
  }

  // Retention, at its cruellest: nothing that has been read and committed is kept.
  void Trim() {
    const TopicPartition& source = schedule_.trimmable[random_.Below(schedule_.trimmable.size())];
    const Offset committed = cluster_.CommittedOffsets(group_, {source}).at(source).offset;
    const Offset start = cluster_.log().Find(source)->start;
    if (committed <= start) return;
    cluster_.Trim(source, start + 1 + static_cast<Offset>(random_.Below(static_cast<uint64_t>(committed - start))));
  }

  Deployment& deployment_;
  SimCluster& cluster_;
  SimClock& clock_;
  SimRandom& random_;
  const std::string group_;
  const Faults faults_;
  const Schedule& schedule_;
};

}  // namespace

absl::Status RunChaos(Deployment* deployment, SimCluster* cluster, SimClock* clock, SimRandom* random,
                      const std::string& group, const Faults& faults, const Schedule& schedule) {
  cluster->faults() = faults.kafka;
  deployment->SetOutsideFaults(faults.database, faults.lake);
  return Chaos(deployment, cluster, clock, random, group, faults, schedule).Run();
}

}  // namespace tidemark::sim
