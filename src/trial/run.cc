#include "src/trial/run.h"

#include <algorithm>
#include <deque>
#include <set>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>

#include "src/base/status.h"
#include "src/codec/murmur2.h"
#include "src/sim/chaos.h"
#include "src/sim/deployment.h"
#include "src/sim/sim_kafka.h"
#include "src/trial/compare.h"
#include "src/trial/given.h"
#include "src/trial/invariant.h"

namespace tidemark::trial {
namespace {

using sim::SimCall;

// The calls that a commit is made of, of a stream thread and of a sink thread.
struct CommitCall {
  SimCall call;
  const char* name;
  uint64_t often;  // there are about so many of them in a commit
};
constexpr CommitCall kCommitCalls[] = {{SimCall::kProduce, "produce", 6},
                                       {SimCall::kFlush, "flush", 2},
                                       {SimCall::kSendOffsets, "send_offsets", 2},
                                       {SimCall::kCommit, "commit_transaction", 2},
                                       {SimCall::kInitTransactions, "init_transactions", 2},
                                       {SimCall::kCommitOffsets, "a sink's commit", 2}};
constexpr int kMostCommitCrashes = 3;

// While a script's time passes it is cut into so many pieces.
constexpr int kPiecesOfTime = 200;

class Run {
 public:
  Run(const TestFile& file, const Case& test, const Subject& subject, uint64_t seed, const sim::FaultKinds* faults)
      : file_(file),
        test_(test),
        subject_(subject),
        seed_(seed),
        faults_(faults != nullptr ? std::optional(*faults) : test.faults),
        random_(seed * 2654435761u + 1),
        workers_(seed == 0 ? (Rebalances() ? 2 : 1) : (Rebalances() ? 2 : 1) + static_cast<int>(random_.Below(2))) {}

  absl::StatusOr<RunResult> Do() {
    TM_RETURN_IF_ERROR(MakeRecords());
    clock_.emplace(nullptr, ClockStart());
    sim::SimCluster::Options options;
    options.seed = seed_;
    options.marker_delay_us = seed_ % 3 == 2 ? 5'000 : 0;
    cluster_.emplace(options, &*clock_);
    MakeTopics();
    sim::DeploymentOptions deployed;
    // Seeds differ in threads, memory and formats too; an even one has no memory to spare.
    deployed.seed = seed_;
    deployed.workers = workers_;
    deployment_.emplace(&subject_.plan(), deployed, &random_, &*clock_, &*cluster_);
    ArmCommitCrash();
    const absl::Status played = Play();
    result_.how = How();
    result_.counts = deployment_->counts();
    result_.commit_point = PointText();
    result_.commit_crashes = commit_crashes_;
    if (!played.ok()) {
      result_.differences =
          absl::StrCat("  ", file_.places.Place(test_.at), ": the run ended: ", std::string(played.message()), "\n");
      return std::move(result_);
    }
    result_.ended = true;
    TM_RETURN_IF_ERROR(Compare());
    return std::move(result_);
  }

 private:
  // ---- What there is

  bool Rebalances() const {
    return std::any_of(test_.script.begin(), test_.script.end(),
                       [](const ScriptEntry& entry) { return entry.what == ScriptEntry::What::kRebalance; });
  }

  absl::Status MakeRecords() {
    partitions_ = test_.partitions > 0 ? test_.partitions : seed_ == 0 ? 1 : 1 + static_cast<int32_t>(random_.Below(3));
    for (const ScriptEntry& entry : test_.script) {
      auto& sets = records_.emplace_back();
      for (const RowSet& set : entry.given) {
        const SourcePlan* const source = subject_.FindSource(set.name);
        absl::StatusOr<std::vector<GivenRecord>> records =
            source != nullptr ? RecordsOf(file_, set, *source) : RecordsOf(file_, set, *subject_.FindTable(set.name));
        TM_RETURN_IF_ERROR(records.status());
        for (const GivenRecord& record : *records)
          partitions_ = std::max(partitions_, record.partition.value_or(0) + 1);
        sets.push_back({source == nullptr, {records->begin(), records->end()}});
      }
    }
    return absl::OkStatus();
  }

  int64_t ClockStart() const {
    if (test_.clock_us) return *test_.clock_us;
    int64_t latest_ms = -1;
    for (const auto& sets : records_) {
      for (const Given& given : sets) {
        for (const GivenRecord& record : given.records) latest_ms = std::max(latest_ms, record.timestamp_ms);
      }
    }
    return latest_ms < 0 ? sim::SimClock::kWallStartUs : latest_ms * kMillisecond;
  }

  void MakeTopics() {
    const Plan& plan = subject_.plan();
    std::set<std::string> topics;
    for (const SourcePlan& source : plan.sources) topics.insert(source.topic);
    for (const TablePlan& table : plan.tables) {
      if (!table.topic.empty()) topics.insert(table.topic);
    }
    for (const SinkPlan& sink : plan.sinks) {
      const auto* const kafka = std::get_if<KafkaSinkSpec>(&sink.spec);
      if (kafka != nullptr && !kafka->create && !sink.view) topics.insert(kafka->topic);
    }
    for (const std::string& topic : topics) cluster_->CreateTopic(topic, partitions_);
  }

  // ---- What happens

  absl::Status Play() {
    bool in_the_middle = true;  // of what came before: nothing is waited for
    for (size_t e = 0; e < test_.script.size(); ++e) {
      const ScriptEntry& entry = test_.script[e];
      switch (entry.what) {
        case ScriptEntry::What::kGiven:
          if (!in_the_middle) TM_RETURN_IF_ERROR(Settle(false));
          TM_RETURN_IF_ERROR(Give(&records_[e]));
          in_the_middle = false;
          break;
        case ScriptEntry::What::kAdvance:
          TM_RETURN_IF_ERROR(Settle(false));
          TM_RETURN_IF_ERROR(Advance(entry.advance_us));
          in_the_middle = true;
          break;
        default:
          TM_RETURN_IF_ERROR(Disturb(entry.what));
          in_the_middle = true;
      }
    }
    return Settle(test_.close_windows);
  }

  absl::Status Settle(bool close_windows) {
    cluster_->SetHook(nullptr);
    TM_RETURN_IF_ERROR(deployment_->RunToEnd(close_windows));
    ArmCommitCrash();
    return absl::OkStatus();
  }

  struct Given {
    bool table = false;
    std::deque<GivenRecord> records;
  };

  // Rows of one source keep their order, those of several meet as it comes.
  absl::Status Give(std::vector<Given>* sets) {
    for (Given& given : *sets) {
      while (!given.records.empty() && (given.table || seed_ == 0)) AppendFrom(&given);
    }
    if (seed_ == 0) return absl::OkStatus();
    std::erase_if(*sets, [](const Given& given) { return given.records.empty(); });
    size_t left = 0;
    for (const Given& given : *sets) left += given.records.size();
    sim::FaultKinds kinds = faults_.value_or(sim::FaultKindsOf(seed_));
    kinds.erase("trims");
    sim::Schedule schedule;
    schedule.turns = 80;
    const size_t step = std::max<size_t>(1, left / 15);
    schedule.feed = [&] {
      for (size_t n = random_.Below(2 * step + 1); n > 0 && !sets->empty(); --n) AppendOne(sets);
    };
    TM_RETURN_IF_ERROR(RunChaos(&*deployment_, &*cluster_, &*clock_, &random_, subject_.plan().application.Group(),
                                sim::FaultsOf(kinds), schedule));
    while (!sets->empty()) AppendOne(sets);
    return absl::OkStatus();
  }

  void AppendOne(std::vector<Given>* sets) {
    const size_t s = random_.Below(sets->size());
    AppendFrom(&(*sets)[s]);
    if ((*sets)[s].records.empty()) sets->erase(sets->begin() + static_cast<std::ptrdiff_t>(s));
  }

  void AppendFrom(Given* given) {
    GivenRecord record = std::move(given->records.front());
    given->records.pop_front();
    const int32_t partition = record.partition          ? *record.partition
                              : !record.lies_by.empty() ? JavaPartition(record.lies_by, partitions_)
                                                        : static_cast<int32_t>(random_.Below(partitions_));
    if (record.timestamp_ms < 0) record.timestamp_ms = clock_->WallUs() / kMillisecond;
    cluster_->AppendInput({record.topic, partition}, std::move(record.key), std::move(record.value),
                          record.timestamp_ms, std::move(record.headers));
  }

  absl::Status Turns(uint64_t turns, int64_t us) {
    for (uint64_t turn = 0; turn < turns; ++turn) {
      const int w = static_cast<int>(turn % static_cast<uint64_t>(workers_));
      deployment_->Wake(w);
      TM_RETURN_IF_ERROR(deployment_->Turn(w));
      clock_->Advance(us);
    }
    return absl::OkStatus();
  }

  absl::Status Disturb(ScriptEntry::What what) {
    TM_RETURN_IF_ERROR(Turns(20 + random_.Below(20), 5 * kMillisecond));
    for (int w = 0; w < workers_; ++w) {
      if (!deployment_->runs(w)) continue;
      if (what == ScriptEntry::What::kCrash) deployment_->Crash(w, "as the script says");
      if (what == ScriptEntry::What::kRestart) deployment_->Stop(w, false);
      if (what == ScriptEntry::What::kRebalance) deployment_->Stop(w, true);
      if (what != ScriptEntry::What::kRestart) break;  // of these one worker is enough
    }
    return absl::OkStatus();
  }

  // The clock goes on while the workers run and find nothing to read, so that partitions fall idle; nothing fails.
  absl::Status Advance(int64_t us) {
    cluster_->SetHook(nullptr);
    deployment_->Heal();
    for (int w = 0; w < workers_; ++w) deployment_->set_plan(w, &subject_.plan_with_idleness());
    TM_RETURN_IF_ERROR(Turns(60, kMillisecond));  // all are assigned and stand at the end
    for (int piece = 0; piece < kPiecesOfTime; ++piece) {
      clock_->Advance(us / kPiecesOfTime);
      TM_RETURN_IF_ERROR(Turns(static_cast<uint64_t>(6 * workers_), kMillisecond));
    }
    for (int w = 0; w < workers_; ++w) {
      deployment_->Stop(w, false);
      deployment_->set_plan(w, &subject_.plan());
    }
    ArmCommitCrash();
    return absl::OkStatus();
  }

  // ---- Crashes at every call of a commit, in turn

  // Before or after a call. The last is one of sinks outside Kafka alone.
  struct CommitPoint {
    CommitCall at;
    bool after = false;
  };
  CommitPoint Point() const {
    const auto& sinks = subject_.plan().sinks;
    const bool outside = std::any_of(sinks.begin(), sinks.end(), [](const SinkPlan& sink) {
      return !std::holds_alternative<KafkaSinkSpec>(sink.spec);
    });
    const uint64_t point = (seed_ - 1) % (2 * (std::size(kCommitCalls) - (outside ? 0 : 1)));
    return {kCommitCalls[point / 2], point % 2 == 1};
  }

  void ArmCommitCrash() {
    if (seed_ == 0 || (faults_ && !faults_->contains("crashes"))) return;
    const auto [at, after] = Point();
    calls_left_ = 1 + random_.Below(at.often);
    cluster_->SetHook([this, at = at, after = after](const sim::SimCallSite& site) {
      if (site.call != at.call || site.after != after || commit_crashes_ >= kMostCommitCrashes) {
        return sim::SimVerdict::kProceed;
      }
      if (--calls_left_ > 0) return sim::SimVerdict::kProceed;
      calls_left_ = 1 + random_.Below(4 * at.often);
      ++commit_crashes_;
      return sim::SimVerdict::kCrash;
    });
  }

  std::string How() const {
    std::string how = absl::StrCat(workers_, workers_ == 1 ? " worker, " : " workers, ", partitions_,
                                   partitions_ == 1 ? " partition" : " partitions");
    if (seed_ == 0) return how;
    const int crashes = deployment_->counts().crashes;
    return absl::StrCat(how, ", ", crashes, crashes == 1 ? " crash, " : " crashes, ", commit_crashes_, " of them ",
                        PointText());
  }

  std::string PointText() const {
    if (seed_ == 0) return "";
    const auto [at, after] = Point();
    return absl::StrCat(after ? "after " : "before ", at.name);
  }

  // ---- What is left

  absl::Status Compare() {
    for (const RowSet& expected : test_.expect) {
      TM_ASSIGN_OR_RETURN(FoundRows found, RowsOfSink(subject_.Shows(expected.name), &*deployment_));
      TM_ASSIGN_OR_RETURN(const std::string differences, CompareRows(file_, test_, expected, found));
      result_.differences += differences;
      result_.found[expected.name] = std::move(found);
    }
    for (const Invariant& invariant : test_.invariants) {
      TM_ASSIGN_OR_RETURN(const FoundRows found, RowsOfSink(subject_.Shows(invariant.of), &*deployment_));
      TM_ASSIGN_OR_RETURN(const std::string violated, CheckInvariant(file_, invariant, found));
      result_.differences += violated;
    }
    TM_ASSIGN_OR_RETURN(result_.letters, FoundLetters(subject_.plan(), &*deployment_));
    TM_ASSIGN_OR_RETURN(const std::string letters, CompareRows(file_, test_, test_.dead_letters, result_.letters));
    result_.differences += letters + CompareLedger(file_, test_, deployment_->ledger());
    return absl::OkStatus();
  }

  const TestFile& file_;
  const Case& test_;
  const Subject& subject_;
  const uint64_t seed_;
  const std::optional<sim::FaultKinds> faults_;  // nothing: what the seed says
  sim::SimRandom random_;
  const int workers_;
  int32_t partitions_ = 1;
  std::vector<std::vector<Given>> records_;  // by entry of the script, by set of rows
  RunResult result_;
  uint64_t calls_left_ = 0;
  int commit_crashes_ = 0;
  std::optional<sim::SimClock> clock_;
  std::optional<sim::SimCluster> cluster_;
  std::optional<sim::Deployment> deployment_;
};

}  // namespace

absl::StatusOr<RunResult> RunTest(const TestFile& file, const Case& test, const Subject& subject, uint64_t seed,
                                  const std::set<std::string>* faults) {
  return Run(file, test, subject, seed, faults).Do();
}

}  // namespace tidemark::trial
