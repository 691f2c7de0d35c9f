#include "src/runtime/generations/switch.h"

#include <algorithm>
#include <map>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_join.h>

#include "src/base/action.h"
#include "src/base/failpoint.h"
#include "src/base/mutation.h"
#include "src/base/status.h"
#include "src/runtime/generations/fence.h"
#include "src/runtime/generations/live_lag.h"
#include "src/runtime/topics.h"

namespace tidemark {
namespace {

using generations::State;

absl::Status MayCancel(const State& state) {
  if (state.phase() != State::DECIDED) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "the switch is decided: it can only be completed, by `tidemark switch`; then `tidemark replay --generation` and "
      "another switch lead back");
}

absl::Status MayBegin(const State& state) {
  if (state.phase() == State::DECIDED || state.building() != 0) return absl::OkStatus();
  return absl::FailedPreconditionError("no generation is being built: `tidemark replay` begins one");
}

// Behind the decision. Who was overtaken has nothing to run again: another command completes it.
absl::Status Undone(const absl::Status& status) {
  if (absl::IsCancelled(status)) return status;
  return Annotate(status, "the switch is decided and isn't done, run it again");
}

class Switch {
 public:
  Switch(SwitchOptions options, const SwitchParts& parts, std::unique_ptr<GenerationsWriter> log)
      : options_(options), parts_(parts), log_(std::move(log)) {}

  absl::StatusOr<SwitchEnd> Run() {
    if (state().phase() != State::DECIDED) {
      const bool under_way = state().phase() != State::STEADY;
      const absl::Status begun = Begin();
      if (!begun.ok() && under_way) {
        return Annotate(begun,
                        "a switch is under way, neither generation reads, and this command can't go on with it: mend "
                        "this and run it again, or `tidemark switch --cancel`");
      }
      TM_RETURN_IF_ERROR(begun);
      if (options_.dry_run) {
        absl::StatusOr<SwitchEnd> compared = SwitchEnd::kDone;
        TM_RETURN_IF_ERROR(InTime([&] { return (compared = CompareNow()).status(); }));
        return compared;
      }
      if (under_way) TM_RETURN_IF_ERROR(Claim());
      const absl::Status decided = InTime([this] { return Decide(); });
      if (!decided.ok()) return TakeBack(decided);
    } else if (options_.dry_run) {
      parts_.say("a switch is decided and isn't done: `tidemark switch` completes it");
      return SwitchEnd::kDone;
    } else {
      if (options_.verify) parts_.say("the switch is decided already, so nothing is compared any more");
      TM_RETURN_IF_ERROR(Undone(Claim()));
    }
    TM_RETURN_IF_ERROR(Undone(Complete()));
    return SwitchEnd::kDone;
  }

  absl::Status Cancel() {
    TM_RETURN_IF_ERROR(MayCancel(state()));
    if (state().phase() == State::STEADY) return Persist([this] { return LiftFence(); });
    TM_RETURN_IF_ERROR(Claim());
    return GoBack("cancelled");
  }

 private:
  const State& state() const { return log_->state(); }

  // Of a switch that another command has begun: it may only be asleep, and finds by this that the switch isn't its.
  absl::Status Claim() { return log_->Write(state()); }

  GenerationSwap Parties(int64_t decision) {
    return {&from_, &to_, decision, [this] { return log_->StillMine(); }};
  }

  absl::Status Load(int32_t from, int32_t to) {
    const generations::Generation* const old = FindGeneration(state(), from);
    const generations::Generation* const next = FindGeneration(state(), to);
    if (old == nullptr || next == nullptr) return absl::InternalError("the log of generations names one it hasn't");
    TM_ASSIGN_OR_RETURN(from_, parts_.plan_of(*old));
    TM_ASSIGN_OR_RETURN(to_, parts_.plan_of(*next));
    return absl::OkStatus();
  }

  // Everything that can be known before anything changes.
  absl::Status Begin() {
    TM_RETURN_IF_ERROR(MayBegin(state()));
    deadline_us_ = parts_.clock->MonotonicUs() + options_.within_us;
    TM_RETURN_IF_ERROR(Load(state().active(), state().building()));
    // The number of the decision is that of the switch, which a run that goes on with it has.
    decision_ = state().phase() == State::STEADY ? state().switch_number() + 1 : state().switch_number();
    TM_RETURN_IF_ERROR(InTime([this]() -> absl::Status {
      TM_ASSIGN_OR_RETURN(swaps_, parts_.swaps(Parties(decision_)));
      return absl::OkStatus();
    }));
    for (const auto& swap : swaps_) {
      TM_RETURN_IF_ERROR(Annotate(Prepared([&] { return swap->Prepare(); }), swap->Describe()));
      parts_.say(absl::StrCat(options_.dry_run ? "would follow: " : "follows: ", swap->Describe()));
    }
    TM_RETURN_IF_ERROR(PrepareComparison());
    if (options_.dry_run || state().phase() != State::STEADY) return absl::OkStatus();
    return AwaitLag();
  }

  // What is away, or in use, is said, and waited for: where a switch is under way nobody reads until this is done.
  absl::Status Prepared(const std::function<absl::Status()>& prepare) {
    std::string told;
    return InTime([&] {
      absl::Status status = prepare();
      if (absl::IsUnavailable(status) && told != status.message()) {
        told = std::string(status.message());
        parts_.say(absl::StrCat("tries again: ", told));
      }
      return status;
    });
  }

  // What can't be compared is told before anything changes.
  absl::Status PrepareComparison() {
    verify_ = options_.verify;
    if (!verify_ && state().phase() != State::STEADY && state().has_verify()) verify_ = state().verify();
    if (!verify_) return absl::OkStatus();
    TM_ASSIGN_OR_RETURN(bound_, ParseVerifyBound(verify_->bound()));
    ComparisonRequest request;
    request.before = &from_;
    request.after = &to_;
    request.built_first = FindGeneration(state(), state().building())->left_us() == 0;
    request.sinks.assign(verify_->sinks().begin(), verify_->sinks().end());
    request.all_columns = bound_.all_columns;
    TM_ASSIGN_OR_RETURN(comparisons_, parts_.comparisons(std::move(request)));
    for (const auto& unit : comparisons_.units) TM_RETURN_IF_ERROR(Prepared([&] { return unit->Prepare(); }));
    for (const std::string& note : comparisons_.notes) parts_.say(note);
    return absl::OkStatus();
  }

  absl::StatusOr<std::map<TopicPartition, Offset>> EndsOfSources(const Plan& plan) const {
    TM_ASSIGN_OR_RETURN(const auto counts, ResolveTopics(plan, parts_.kafka->admin(), /*create=*/false));
    std::vector<TopicPartition> partitions;
    for (const SourcePlan& source : plan.sources) {
      for (int32_t p = 0; p < counts.at(source.topic); ++p) partitions.push_back({source.topic, p});
    }
    return parts_.kafka->admin().LogEnds(partitions, Isolation::kReadCommitted);
  }

  absl::Status AwaitLag() {
    LiveLag lag;
    while (true) {
      const int64_t now = parts_.clock->MonotonicUs();
      TM_ASSIGN_OR_RETURN(const auto ends, EndsOfSources(to_));
      std::vector<TopicPartition> partitions;
      for (const auto& [partition, end] : ends) partitions.push_back(partition);
      TM_ASSIGN_OR_RETURN(const auto committed,
                          parts_.kafka->admin().GroupOffsets(to_.application.Group(), partitions));
      std::map<TopicPartition, Offset> positions;
      for (const auto& [partition, at] : committed) positions[partition] = at.offset;
      lag.Observe(now, ends, positions);
      if (lag.known() && lag.lag_us() <= options_.lag_us) return absl::OkStatus();
      if (now > deadline_us_) {
        return absl::FailedPreconditionError(
            absl::StrFormat("generation %d is more than %.1f s behind the sources' ends; nothing has changed",
                            to_.application.generation, static_cast<double>(options_.lag_us) / kSecond));
      }
      parts_.wait();
    }
  }

  // Steps 1 to 4.
  absl::Status Decide() {
    if (state().phase() == State::STEADY) {
      State next = state();
      next.set_phase(State::DRAINING);
      next.set_switch_number(decision_);
      next.clear_cut();
      next.clear_verify();
      if (verify_) *next.mutable_verify() = *verify_;
      TM_RETURN_IF_ERROR(log_->Write(next));
      parts_.say(absl::StrCat("generation ", from_.application.generation, " stops reading"));
      TM_RETURN_IF_ERROR(Failpoint("switch.draining"));
    } else if (options_.verify && options_.verify->SerializeAsString() != state().verify().SerializeAsString()) {
      State next = state();
      *next.mutable_verify() = *options_.verify;
      TM_RETURN_IF_ERROR(log_->Write(next));
    }
    if (state().phase() == State::DRAINING) TM_RETURN_IF_ERROR(TakeCut());
    return ReachCut();
  }

  // Positions of a generation that nobody can move any more. Whoever comes in between is waited for again.
  absl::StatusOr<Stand> FencedStand() {
    while (true) {
      TM_RETURN_IF_ERROR(AwaitNobody(from_));
      TM_ASSIGN_OR_RETURN(const Stand before, StandOf(from_));
      TM_RETURN_IF_ERROR(log_->StillMine());
      const absl::Status fenced = Fence(from_, to_.application.generation, before, *parts_.client);
      if (!absl::IsFailedPrecondition(fenced)) {
        TM_RETURN_IF_ERROR(fenced);
        break;
      }
      TM_RETURN_IF_ERROR(Wait(std::string(fenced.message())));
    }
    TM_RETURN_IF_ERROR(Failpoint("switch.fenced"));
    TM_ASSIGN_OR_RETURN(Stand stand, StandOf(from_));
    // A fence is put beside a position: where there is none, whoever comes later would read on unhindered.
    for (const auto& [partition, at] : stand.positions) {
      if (at.offset >= 0) continue;
      return absl::FailedPreconditionError(
          absl::StrCat("group ", from_.application.Group(), " has no position of ", ToString(partition),
                       ": was the partition added, or has nobody read it yet? Restart the workers of generation ",
                       from_.application.generation, ", let them commit, and switch then"));
    }
    if (!stand.wholly_marked) return absl::UnavailableError("the fence isn't whole: is another switch running?");
    return stand;
  }

  absl::Status TakeCut() {
    TM_ASSIGN_OR_RETURN(const Stand stand, FencedStand());
    if (!stand.undrained.empty()) {
      return absl::FailedPreconditionError(
          absl::StrCat("generation ", from_.application.generation, " has left too early: ", stand.undrained));
    }
    if (!stand.unregistered.empty()) {
      return absl::FailedPreconditionError(absl::StrCat("generation ", from_.application.generation,
                                                        " has run another version of its topology than the ",
                                                        "log of generations has: ", stand.unregistered));
    }
    State next = state();
    next.set_phase(State::CUT);
    next.clear_cut();
    for (const auto& [partition, offset] : stand.sources) {
      if (offset < 0) continue;
      generations::Position* const at = next.add_cut();
      at->set_topic(partition.topic);
      at->set_partition(partition.partition);
      at->set_offset(offset);
    }
    TM_RETURN_IF_ERROR(log_->Write(next));
    parts_.say(absl::StrCat("generation ", from_.application.generation, " stands at the cut, behind a fence"));
    return Failpoint("switch.cut");
  }

  absl::Status ReachCut() {
    if (MutationActive(Mutation::kComparedBeforeCut)) TM_RETURN_IF_ERROR(CompareAtCut());
    TM_RETURN_IF_ERROR(HoldAtCut());
    if (!MutationActive(Mutation::kComparedBeforeCut)) TM_RETURN_IF_ERROR(CompareAtCut());
    TM_RETURN_IF_ERROR(Keep());
    TM_RETURN_IF_ERROR(CheckFenced());
    State next = state();
    next.set_phase(State::DECIDED);
    next.set_leaving(next.active());
    next.set_active(next.building());
    next.set_building(0);
    next.clear_verify();
    FindGeneration(&next, next.leaving())->set_left_us(parts_.clock->WallUs());
    FindGeneration(&next, next.leaving())->set_left_by(decision_);
    FindGeneration(&next, next.active())->set_left_us(0);
    TM_RETURN_IF_ERROR(log_->Write(next));
    parts_.say("decided");
    return Failpoint("switch.decided");
  }

  // Both are fenced, and have given out what they owe of the same records: nobody writes until it is decided.
  absl::Status CompareAtCut() {
    CompareTime time;
    time.go_on = [this] {
      if (parts_.clock->MonotonicUs() <= deadline_us_) return absl::OkStatus();
      return absl::DeadlineExceededError("it has taken too long, and still compared");
    };
    TM_ASSIGN_OR_RETURN(differs_, Compare(time));
    TM_RETURN_IF_ERROR(Failpoint("switch.compared"));
    if (differs_.empty()) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat(differs_, " by more than `", bound_.ToString(), "` allows"));
  }

  // Of a dry run: both go on meanwhile, each at its own place.
  absl::StatusOr<SwitchEnd> CompareNow() {
    if (!verify_) return SwitchEnd::kDone;
    parts_.say("both go on while they are compared, so what is under way differs as well:");
    CompareTime time;
    time.at_cut = false;
    TM_ASSIGN_OR_RETURN(differs_, Compare(time));
    if (differs_.empty()) return SwitchEnd::kDone;
    parts_.say(absl::StrCat(differs_, " by more than `", bound_.ToString(), "` allows"));
    return SwitchEnd::kDiffers;
  }

  // Says all differences; which are over the bound, "": none.
  absl::StatusOr<std::string> Compare(const CompareTime& time) {
    std::vector<std::string> over;
    for (const auto& unit : comparisons_.units) {
      TM_ASSIGN_OR_RETURN(const TargetDifference difference, unit->Compare(time));
      const std::string what = unit->Describe();
      const bool holds = bound_.Holds(difference);
      parts_.say(absl::StrCat("compared: ", what, ": ", DifferenceText(difference, unit->by_key()),
                              holds ? "" : absl::StrCat(", over ", bound_.ToString())));
      if (!holds) over.push_back(what.substr(0, what.find(':')));
    }
    if (over.empty()) return std::string();
    return absl::StrCat(absl::StrJoin(over, ", "), over.size() == 1 ? " differs" : " differ");
  }

  // Whoever took the switch back, and was killed as the fence was lifted already, has left no other trace.
  absl::Status CheckFenced() {
    if (MutationActive(Mutation::kDecidedUnfenced)) return absl::OkStatus();
    TM_ASSIGN_OR_RETURN(const Stand stand, StandOf(from_));
    bool stands = stand.wholly_marked && stand.sources.size() == static_cast<size_t>(state().cut_size());
    for (const auto& at : state().cut()) {
      const auto found = stand.sources.find({at.topic(), at.partition()});
      stands = stands && found != stand.sources.end() && found->second == at.offset();
    }
    if (stands) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat("generation ", from_.application.generation, " doesn't stand fenced at the cut any more"));
  }

  absl::Status Keep() {
    if (!parts_.keeps) return absl::OkStatus();
    TM_ASSIGN_OR_RETURN(const auto keeps, parts_.keeps(Parties(decision_)));
    for (const auto& keep : keeps) {
      TM_RETURN_IF_ERROR(Annotate(keep->Prepare(), keep->Describe()));
      TM_RETURN_IF_ERROR(Annotate(keep->Swap(), keep->Describe()));
      TM_RETURN_IF_ERROR(Failpoint("switch.kept"));
    }
    return absl::OkStatus();
  }

  // Behind a fence of its own: a worker that begins now would write into shadows that are being compared, or renamed.
  absl::Status HoldAtCut() {
    while (true) {
      TM_ASSIGN_OR_RETURN(const Stand before, AwaitAtCut());
      if (before.marked) return absl::OkStatus();
      TM_RETURN_IF_ERROR(log_->StillMine());
      const absl::Status fenced = Fence(to_, to_.application.generation, before, *parts_.client);
      if (!fenced.ok() && !absl::IsFailedPrecondition(fenced)) return fenced;
      if (!fenced.ok()) TM_RETURN_IF_ERROR(Wait(std::string(fenced.message())));
    }
  }

  absl::StatusOr<Stand> AwaitAtCut() {
    std::string waits_for;
    while (true) {
      TM_RETURN_IF_ERROR(AwaitNobody(to_));
      TM_ASSIGN_OR_RETURN(Stand stand, StandOf(to_));
      waits_for = stand.undrained;
      for (const auto& at : state().cut()) {
        const auto found = stand.sources.find({at.topic(), at.partition()});
        if (found == stand.sources.end() || found->second == at.offset()) continue;
        if (MutationActive(Mutation::kCutPassed) && found->second > at.offset()) continue;
        const std::string where =
            absl::StrCat(ToString(found->first), " at ", found->second, " instead of ", at.offset());
        if (found->second > at.offset()) {
          return absl::FailedPreconditionError(
              absl::StrCat("generation ", to_.application.generation, " is past the cut: ", where));
        }
        waits_for = where;
      }
      if (waits_for.empty()) return stand;
      TM_RETURN_IF_ERROR(Wait(absl::StrCat("generation ", to_.application.generation, ": ", waits_for)));
    }
  }

  absl::Status AwaitNobody(const Plan& plan) {
    while (true) {
      TM_ASSIGN_OR_RETURN(const std::string busy, BusyGroup(plan, *parts_.client));
      if (busy.empty()) return absl::OkStatus();
      TM_RETURN_IF_ERROR(Wait(absl::StrCat("group ", busy, " has members")));
    }
  }

  // Transactions of who was killed are open until their time-out.
  absl::StatusOr<Stand> StandOf(const Plan& plan) {
    while (true) {
      absl::StatusOr<Stand> stand = ReadStand(plan, *parts_.kafka);
      if (!absl::IsUnavailable(stand.status())) return stand;
      TM_RETURN_IF_ERROR(Wait(std::string(stand.status().message())));
    }
  }

  absl::Status Wait(const std::string& what) {
    if (parts_.clock->MonotonicUs() > deadline_us_) {
      return absl::DeadlineExceededError(absl::StrCat("it has taken too long, and still waited: ", what));
    }
    if (const absl::Status mine = log_->StillMine(); absl::IsCancelled(mine)) return mine;
    parts_.wait();
    return absl::OkStatus();
  }

  // Kafka and databases that are away are waited for, until it has taken too long.
  absl::Status InTime(const std::function<absl::Status()>& what) {
    while (true) {
      const absl::Status status = what();
      if (!absl::IsUnavailable(status)) return status;
      TM_RETURN_IF_ERROR(Wait(std::string(status.message())));
    }
  }

  // The same for what leads back, which has a time of its own.
  absl::Status Persist(const std::function<absl::Status()>& what) {
    const int64_t until = parts_.clock->MonotonicUs() + options_.within_us;
    while (true) {
      const absl::Status status = what();
      if (!absl::IsUnavailable(status) || parts_.clock->MonotonicUs() > until) return status;
      parts_.wait();
    }
  }

  // A writer that has failed doesn't know what stands: whoever runs the command again does.
  absl::StatusOr<SwitchEnd> TakeBack(const absl::Status& why) {
    if (absl::IsCancelled(why)) return why;
    if (state().phase() == State::DECIDED) return Undone(why);
    if (absl::IsUnknown(why)) {
      return Annotate(why,
                      "the switch isn't decided and isn't taken back: run it again, or `tidemark switch --cancel`");
    }
    const absl::Status back = GoBack(why.message());
    if (back.ok() && !differs_.empty()) return SwitchEnd::kDiffers;
    if (back.ok()) return absl::FailedPreconditionError(absl::StrCat(why.message(), "; the switch was taken back"));
    return Annotate(back, absl::StrCat(why.message(), "; taking it back has failed, run `tidemark switch --cancel`"));
  }

  // The fence is lifted first: behind the record workers come, and would find it. Between the two nobody may decide,
  // which CheckFenced sees to.
  absl::Status GoBack(absl::string_view why) {
    TM_RETURN_IF_ERROR(Persist([this] { return LiftFence(); }));
    TM_RETURN_IF_ERROR(Failpoint("switch.lifted"));
    State next = state();
    next.set_phase(State::STEADY);
    next.clear_cut();
    next.clear_verify();
    TM_RETURN_IF_ERROR(log_->Write(next));
    parts_.say(absl::StrCat("taken back (", why, "): generation ", next.active(), " goes on"));
    return absl::OkStatus();
  }

  // The active generation's, and that of the one that is being built: those of others stand for good.
  absl::Status LiftFence() {
    for (const int32_t number : {state().active(), state().building()}) {
      const generations::Generation* const found = FindGeneration(state(), number);
      if (found == nullptr) continue;
      TM_ASSIGN_OR_RETURN(const Plan plan, parts_.plan_of(*found));
      TM_RETURN_IF_ERROR(Lift(plan));
    }
    return absl::OkStatus();
  }

  // Members can't begin anything behind the mark: they are gone soon.
  absl::Status Lift(const Plan& plan) {
    const absl::Status lifted = Unfence(plan, *parts_.kafka, *parts_.client, [this] { return log_->StillMine(); });
    return absl::IsFailedPrecondition(lifted) ? absl::UnavailableError(lifted.message()) : lifted;
  }

  // Step 5.
  absl::Status Complete() {
    TM_RETURN_IF_ERROR(Load(state().leaving(), state().active()));
    TM_ASSIGN_OR_RETURN(swaps_, parts_.swaps(Parties(state().switch_number())));
    TM_RETURN_IF_ERROR(SwapAll());
    TM_RETURN_IF_ERROR(Persist([this] { return Lift(to_); }));
    State next = state();
    next.set_phase(State::STEADY);
    next.clear_cut();
    next.clear_leaving();
    TM_RETURN_IF_ERROR(log_->Write(next));
    parts_.say(absl::StrCat("generation ", next.active(), " is active"));
    return absl::OkStatus();
  }

  // Nobody reads until all have followed. So what is away is asked again for as long as it takes, the others aren't
  // kept waiting by it, and what somebody has to mend is told once the rest is done.
  absl::Status SwapAll() {
    std::vector<TargetSwap*> open;
    for (const auto& swap : swaps_) open.push_back(swap.get());
    std::map<TargetSwap*, std::string> told;
    while (!open.empty()) {
      std::vector<TargetSwap*> left;
      absl::Status wrong;
      bool away = false;
      for (TargetSwap* const swap : open) {
        absl::Status status;
        if (!MutationActive(Mutation::kSwappedAsleep)) status = log_->StillMine();
        if (status.ok()) status = swap->Swap();
        if (absl::IsCancelled(status)) return status;
        if (status.ok()) {
          parts_.say(absl::StrCat("done: ", swap->Describe()));
          TM_RETURN_IF_ERROR(Failpoint("switch.swapped"));
          continue;
        }
        left.push_back(swap);
        away = away || absl::IsUnavailable(status);
        if (!absl::IsUnavailable(status) && wrong.ok()) wrong = Annotate(status, swap->Describe());
        std::string& before = told[swap];
        if (before == status.message()) continue;
        before = std::string(status.message());
        parts_.say(absl::StrCat(absl::IsUnavailable(status) ? "tries again: " : "has to be mended: ", swap->Describe(),
                                ": ", before));
      }
      if (!away && !wrong.ok()) return wrong;
      open = std::move(left);
      if (!open.empty()) parts_.wait();
    }
    return absl::OkStatus();
  }

  const SwitchOptions options_;
  const SwitchParts& parts_;
  const std::unique_ptr<GenerationsWriter> log_;
  Plan from_, to_;
  int64_t decision_ = 0;
  int64_t deadline_us_ = 0;
  std::vector<std::unique_ptr<TargetSwap>> swaps_;
  std::optional<generations::Verify> verify_;
  VerifyBound bound_;
  Comparisons comparisons_;
  std::string differs_;  // which sinks do, by more than the bound; "": none, or they weren't compared
};

}  // namespace

absl::StatusOr<SwitchEnd> SwitchGenerations(const Plan& any, const SwitchOptions& options, const SwitchParts& parts) {
  // Who only looks, or has to refuse, takes nothing over from a command that is at work. Where the log can't be read as
  // a command was killed there a moment ago, whoever opens it needn't wait.
  if (const absl::StatusOr<State> stands = ReadGenerations(any.application.name, *parts.kafka); stands.ok()) {
    TM_RETURN_IF_ERROR(MayBegin(*stands));
  }
  const auto open = options.dry_run ? GenerationsWriter::OpenToRead : GenerationsWriter::Open;
  TM_ASSIGN_OR_RETURN(auto log, open(any, parts.kafka, parts.wait));
  return Switch(options, parts, std::move(log)).Run();
}

absl::Status CancelSwitch(const Plan& any, const SwitchParts& parts) {
  // Who has to refuse takes nothing over here, either.
  TM_ASSIGN_OR_RETURN(const State stands, ReadGenerations(any.application.name, *parts.kafka, parts.wait));
  TM_RETURN_IF_ERROR(MayCancel(stands));
  TM_ASSIGN_OR_RETURN(auto log, GenerationsWriter::Open(any, parts.kafka, parts.wait));
  return Switch(SwitchOptions(), parts, std::move(log)).Cancel();
}

}  // namespace tidemark
