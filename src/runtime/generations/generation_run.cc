#include "src/runtime/generations/generation_run.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>
#include <random>
#include <system_error>
#include <thread>
#include <utility>

#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <glog/logging.h>

#include "src/base/action.h"
#include "src/base/clock.h"
#include "src/base/status.h"
#include "src/kafka/rdkafka_client.h"
#include "src/kafka/reset_client.h"
#include "src/runtime/former.h"
#include "src/runtime/generations/duty.h"
#include "src/runtime/generations/fence.h"
#include "src/runtime/generations/fence_mark.h"
#include "src/runtime/generations/follower.h"
#include "src/runtime/generations/generation_plan.h"
#include "src/runtime/generations/generations_log.h"
#include "src/runtime/generations/past_run.h"
#include "src/runtime/generations/shadow.h"
#include "src/runtime/start_check.h"
#include "src/runtime/view_service.h"

namespace tidemark {
namespace {

constexpr auto kBetweenLooks = std::chrono::milliseconds(200);
constexpr int kTries = 50;
// Of registering a generation, and how long who was overtaken leaves it to the others.
constexpr int kRegisterTries = 10;
constexpr int64_t kShortestPauseUs = 2 * kSecond, kLongestPauseUs = 8 * kSecond;
constexpr int kViewBaseBits = 40;  // more records than any view's log gets

void Pause() { std::this_thread::sleep_for(std::chrono::milliseconds(100)); }

void LogKafka(int level, std::string_view text) {
  if (level > 3) return;
  LOG_EVERY_T(ERROR, 10) << "kafka: " << text;
}

class Process {
 public:
  Process(const Plan& base, const GenerationText& text, const WorkerOptions& options, int64_t max_live_lag_us,
          std::string accept_edit)
      : base_(base),
        text_(text),
        options_(options),
        max_live_lag_us_(max_live_lag_us),
        accept_edit_(std::move(accept_edit)) {}

  // `own`: 0 where it is whichever is active.
  absl::Status Run(int32_t own) {
    own_ = own;
    // An application without a log is generation 1; the worker itself looks whether it has one, once Kafka answers.
    // Where it has kept state of a later one, it asks first: the other state may be another process's.
    bool finished = false;
    if (own_ == 0 && !HasLaterState()) {
      TM_ASSIGN_OR_RETURN(finished, RunAs(1, Duty::kActive, /*supposed=*/true));
    }
    while (!finished && !Stopped()) {
      TM_RETURN_IF_ERROR(Read());
      if (own_ == 0) own_ = state_.active();
      const Duty duty = DutyOf(state_, own_);
      if (duty == Duty::kLeft || duty == Duty::kGone) return End(duty);
      if (Rests(duty)) {
        Rest();
        continue;
      }
      TM_RETURN_IF_ERROR(CheckFile());
      TM_ASSIGN_OR_RETURN(finished, RunAs(own_, duty, /*supposed=*/false));
    }
    return absl::OkStatus();
  }

 private:
  bool Stopped() const { return options_.stop_requests != nullptr && options_.stop_requests->load() > 0; }

  absl::Status Read() {
    if (kafka_ == nullptr) {
      TM_ASSIGN_OR_RETURN(kafka_, NewRdKafkaClient(base_.kafka, LogKafka));
      reader_.emplace(base_.application.name, kafka_.get());
    }
    while (true) {
      absl::StatusOr<generations::State> state = reader_->Read();
      if (ActionFor(state.status()) != Action::kRetry || Stopped()) {
        TM_ASSIGN_OR_RETURN(state_, std::move(state));
        return absl::OkStatus();
      }
      LOG_EVERY_N(WARNING, 20) << state.status().message() << "; trying again";
      std::this_thread::sleep_for(kBetweenLooks);
    }
  }

  absl::Status End(Duty duty) const {
    if (duty == Duty::kGone) {
      return absl::InvalidArgumentError(absl::StrCat("generation ", own_, " of ", base_.application.name,
                                                     " has been dropped; generation ", state_.active(), " is active"));
    }
    if (options_.until_end) {
      return absl::CancelledError(absl::StrCat("generation ", own_, " of ", base_.application.name,
                                               " was left before the end was reached: generation ", state_.active(),
                                               " has taken its place and goes on from there"));
    }
    LOG(INFO) << "generation " << own_ << " has been left: generation " << state_.active()
              << " has taken its place. This worker has nothing more to do";
    return absl::OkStatus();
  }

  bool HasLaterState() const {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(options_.state_dir, ignored)) {
      int32_t number = 0;
      const std::string name = entry.path().filename();
      if (name[0] == 'g' && absl::SimpleAtoi(name.substr(1), &number)) return true;
    }
    return false;
  }

  bool Rests(Duty duty) const {
    const bool left = state_.switch_number() > 0 && state_.switch_number() == left_for_;
    return duty == Duty::kWait || (left && (duty == Duty::kDrain || duty == Duty::kCut));
  }

  void Rest() {
    if (rested_for_ != state_.number()) {
      LOG(INFO)
          << "generation " << own_ << " waits for the switch"
          << (state_.phase() == generations::State::DECIDED
                  ? ": it is decided, and sinks are being exchanged; where `tidemark switch` has ended, run it again"
                  : "");
    }
    rested_for_ = state_.number();
    std::this_thread::sleep_for(kBetweenLooks);
  }

  absl::StatusOr<Plan> PlanFor(int32_t number, Duty duty) const {
    Plan plan = PlanOfGeneration(base_, number);
    const generations::Generation* const known = FindGeneration(state_, number);
    if (known != nullptr) TM_RETURN_IF_ERROR(BeginAt(known->from(), &plan));
    if (duty == Duty::kBuild || duty == Duty::kCut) return ShadowPlan(plan, number);
    return plan;
  }

  absl::Status CheckFile() {
    const generations::Generation* const own = FindGeneration(state_, own_);
    const bool edits = own != nullptr && own_ == state_.active() && own->fingerprint() == accept_edit_ &&
                       own->fingerprint() != TopologyFingerprint(text_.yaml);
    if (!edits) return CheckText(state_, own_, text_);
    TM_RETURN_IF_ERROR(WithEditAccepted(state_, accept_edit_, text_).status());
    TM_ASSIGN_OR_RETURN(auto log, GenerationsWriter::Open(base_, kafka_.get(), Pause));
    TM_ASSIGN_OR_RETURN(generations::State next, WithEditAccepted(log->state(), accept_edit_, text_));
    TM_RETURN_IF_ERROR(log->Write(std::move(next)));
    state_ = log->state();
    LOG(INFO) << text_.file << " is the topology of generation " << own_ << " from now on";
    return CheckText(state_, own_, text_);
  }

  // True: it has done what it was to do, and the process ends.
  absl::StatusOr<bool> RunAs(int32_t number, Duty duty, bool supposed) {
    TM_ASSIGN_OR_RETURN(const Plan plan, PlanFor(number, duty));
    GenerationFollower follower(plan, duty, supposed, max_live_lag_us_);
    WorkerOptions options = options_;
    options.generation = &follower;
    options.handover = &handover_;
    const generations::Generation* const known = FindGeneration(state_, number);
    if (known != nullptr) options.view_base = known->view_base() << kViewBaseBits;
    if (duty != Duty::kActive) options.lineage = {};  // what is built in shadows is nobody's data yet
    // Only what computes the past anew reads what logs have no more.
    if (duty != Duty::kBuild && duty != Duty::kCut) options.lakes.clear();
    if (number > 1) options.state_dir = absl::StrCat(options_.state_dir, "/g", number);
    const absl::Status run = RunWorker(plan, options);
    if (follower.began()) own_ = number;
    // It has left its groups, or has ended before it could, as one whose switch went on meanwhile, or that was told to
    // stop: it has given out all in either case, and its members are gone once their sessions are over.
    if (follower.drained() && run.ok()) left_for_ = follower.switch_number();
    if (follower.ended()) return false;
    const bool moved_away = absl::StrContains(run.message(), kMovedAway);
    // Where the last commit has failed, it begins once more and makes up for it.
    if (follower.drained() && !moved_away) return false;
    if (!moved_away) return run.ok() ? absl::StatusOr<bool>(true) : run;
    // Tasks were to be opened behind a fence that the log may tell of. Its worker mustn't come back before the
    // decision: the fence's group has to be without members.
    TM_RETURN_IF_ERROR(Read());
    if (DutyOf(state_, number) != duty) return false;
    if (duty != Duty::kCut && duty != Duty::kDrain) return run;
    // It has left for this switch already, as which process ever, and waits for the decision.
    left_for_ = state_.switch_number();
    return false;
  }

  const Plan& base_;
  const GenerationText& text_;
  const WorkerOptions& options_;
  const int64_t max_live_lag_us_;
  const std::string accept_edit_;
  std::unique_ptr<KafkaClient> kafka_;
  std::optional<GenerationsReader> reader_;
  generations::State state_;
  int32_t own_ = 0;
  int64_t left_for_ = 0, rested_for_ = 0;  // switches, records
  ViewHandover handover_;
};

bool HadText(const generations::Generation& generation, const std::string& print) {
  return std::any_of(generation.earlier_fingerprints().begin(), generation.earlier_fingerprints().end(),
                     [&](const std::string& each) { return each == print; });
}

// ---- What `tidemark replay` writes ---------------------------------------------------------------------------------

// Of the same command the log can't tell who has written it now from a pod that begins anew: so each time but the first
// it names the switch behind which it is to be, and does nothing behind the next.
absl::Status MayBuildAgain(const generations::State& state, int32_t number, int64_t left_by) {
  const generations::Generation* const known = FindGeneration(state, number);
  if (known == nullptr) return absl::OkStatus();  // refused by its text
  if (left_by == 0 ? known->rebuilt_behind() == 0 : left_by == known->left_by()) return absl::OkStatus();
  // Left by a switch of a version that wrote no numbers: there is none to name.
  if (known->left_by() == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "generation ", number, " was left by no switch that has a number",
        known->rebuilt_behind() == 0 ? "" : ", and has been built again before", "; generation ", state.active(),
        " is active. Where this command was left in a deployment, it is over. To build it again",
        known->rebuilt_behind() == 0
            ? absl::StrCat(": `--generation=", number, "`, without --left_by")
            : absl::StrCat(" drop it (`tidemark generations drop ", number, "`) and begin it without --generation")));
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "generation ", number, " was left by switch ", known->left_by(),
      known->rebuilt_behind() == 0 ? "" : ", and has been built again before that", "; generation ", state.active(),
      " is active. Where this command was left in a deployment, it is over. To build generation ", number,
      " again: `--generation=", number, " --left_by=", known->left_by(), "`"));
}

// The one that is being built, where it is of this file.
absl::StatusOr<int32_t> GoOnWith(const generations::State& state, const std::string& print, int32_t stated) {
  const generations::Generation* const building = FindGeneration(state, state.building());
  if (building == nullptr) return absl::InternalError("the log of generations names one it hasn't");
  if (building->fingerprint() == print && (stated == 0 || stated == building->number())) return building->number();
  return absl::InvalidArgumentError(absl::StrCat("generation ", building->number(),
                                                 " is being built, from another topology. `tidemark switch` puts it "
                                                 "into place, `tidemark generations drop ",
                                                 building->number(), "` gives it up"));
}

// That the file is what runs, as far as what runs can tell.
absl::Status CheckRuns(const Plan& base, const ReplayOptions& replay, KafkaClient& kafka) {
  if (replay.active->application.name != base.application.name) {
    return absl::InvalidArgumentError(absl::StrCat(replay.active_text.file, " is topology ",
                                                   replay.active->application.name, ", not ", base.application.name));
  }
  // What runs trims what is read here.
  absl::StatusOr<Former> former = absl::UnavailableError("");
  for (int tries = 0; tries < kTries && absl::IsUnavailable(former.status()); ++tries) {
    if (tries > 0) std::this_thread::sleep_for(kBetweenLooks);
    const absl::Status runs = CheckStart(*replay.active, kafka);
    former = runs.ok() ? ReadFormer(*replay.active, kafka) : absl::StatusOr<Former>(runs);
  }
  if (!former.ok()) return Annotate(former.status(), replay.active_text.file);
  if (!former->newest.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("nothing has run under the name ", base.application.name,
                                                 ": there is nothing to take the place of, `tidemark run` is enough"));
}

// What is written where this file is to be built. Refuses what can't be; asked before the log is opened, as whoever
// opens it fences who is at work there, and again behind that.
absl::StatusOr<generations::State> WithBuilding(generations::State state, const Plan& base, const GenerationText& text,
                                                const ReplayOptions& replay, KafkaClient& kafka) {
  if (state.phase() != generations::State::STEADY) {
    return absl::FailedPreconditionError("a switch is decided and isn't done: `tidemark switch` completes it");
  }
  TM_RETURN_IF_ERROR(CheckNoRunIntoTargets(base.application.name, kafka, Pause));
  if (FindGeneration(state, state.active()) == nullptr) {
    if (replay.active == nullptr) {
      return absl::InvalidArgumentError(
          "--active is missing: name the file of the topology that runs now, so that it can be told what the new one "
          "takes the place of");
    }
    TM_RETURN_IF_ERROR(CheckRuns(base, replay, kafka));
    generations::Generation* const first = state.add_generations();
    first->set_number(state.active());
    first->set_yaml(replay.active_text.yaml);
    first->set_fingerprint(TopologyFingerprint(replay.active_text.yaml));
  }
  TM_ASSIGN_OR_RETURN(const Plan runs, replay.plan_of(*FindGeneration(state, state.active())));
  TM_RETURN_IF_ERROR(CheckReplayable(runs));
  TM_RETURN_IF_ERROR(CheckSwitchable(runs, base));
  const std::string print = TopologyFingerprint(text.yaml);
  int64_t view_base = 0;
  for (const generations::Generation& each : state.generations()) view_base = std::max(view_base, each.view_base());
  if (replay.generation != 0) {
    generations::Generation* const known = FindGeneration(&state, replay.generation);
    if (known == nullptr || known->fingerprint() != print) {
      return absl::InvalidArgumentError(
          absl::StrCat(text.file, " isn't the topology of generation ", replay.generation));
    }
    known->set_view_base(view_base + 1);
    known->set_rebuilt_behind(known->left_by() > 0 ? known->left_by() : -1);
    state.set_building(known->number());
    return state;
  }
  const int32_t number = NewestGeneration(state) + 1;
  TM_RETURN_IF_ERROR(CheckShadowsNew(base, number, kafka.admin()));
  generations::Generation* const next = state.add_generations();
  next->set_number(number);
  state.set_newest(number);
  next->set_yaml(text.yaml);
  next->set_fingerprint(print);
  next->set_from(replay.from);
  next->set_view_base(view_base + 1);
  next->set_begun_us(SystemClock()->WallUs());
  state.set_building(number);
  return state;
}

absl::StatusOr<int32_t> RegisterOnce(const Plan& base, const GenerationText& text, const ReplayOptions& replay,
                                     KafkaClient* kafka) {
  TM_RETURN_IF_ERROR(CheckReplayable(base));
  TM_RETURN_IF_ERROR(ShadowPlan(base, std::max(2, replay.generation)).status());
  TM_ASSIGN_OR_RETURN(generations::State state, ReadGenerations(base.application.name, *kafka, Pause));
  // Another worker of it: the log isn't written, so that a switch that is under way goes on.
  TM_ASSIGN_OR_RETURN(const int32_t known_as, ReplayedAs(state, text, replay.generation, replay.left_by));
  if (known_as != 0) return known_as;
  if (const absl::Status refused = WithBuilding(state, base, text, replay, *kafka).status(); !refused.ok()) {
    // What is in the way may be what another worker of this very command has begun to build meanwhile.
    TM_ASSIGN_OR_RETURN(state, ReadGenerations(base.application.name, *kafka, Pause));
    TM_ASSIGN_OR_RETURN(const int32_t begun_as, ReplayedAs(state, text, replay.generation, replay.left_by));
    return begun_as != 0 ? absl::StatusOr<int32_t>(begun_as) : refused;
  }
  TM_ASSIGN_OR_RETURN(auto log, GenerationsWriter::Open(base, kafka, Pause));
  TM_ASSIGN_OR_RETURN(const int32_t meanwhile, ReplayedAs(log->state(), text, replay.generation, replay.left_by));
  if (meanwhile != 0) return meanwhile;
  TM_ASSIGN_OR_RETURN(state, WithBuilding(log->state(), base, text, replay, *kafka));
  // Before anybody writes there: a number of partitions that is another one couldn't be mended.
  TM_RETURN_IF_ERROR(MakeShadowTopics(base, state.building(), kafka->admin()));
  TM_RETURN_IF_ERROR(log->Write(state));
  return state.building();
}

bool Overtaken(const absl::Status& status) {
  return absl::IsCancelled(status) || absl::IsAborted(status) || absl::IsUnknown(status);
}

// Until another worker has registered the generation (or anything that has this one refused), or `pause_us` are over.
void LeaveToOthers(const Plan& base, const GenerationText& text, const ReplayOptions& replay, int64_t pause_us,
                   const std::function<bool()>& stopped, KafkaClient& kafka) {
  const int64_t until = SystemClock()->MonotonicUs() + pause_us;
  while (SystemClock()->MonotonicUs() < until && !stopped()) {
    std::this_thread::sleep_for(kBetweenLooks);
    const absl::StatusOr<generations::State> state = ReadGenerations(base.application.name, kafka);
    if (!state.ok()) continue;
    const absl::StatusOr<int32_t> known_as = ReplayedAs(*state, text, replay.generation, replay.left_by);
    if (!known_as.ok() || *known_as != 0) return;
  }
}

// Several workers that begin at once fence each other: one has registered the generation, the others find it then. Who
// was overtaken waits, each for another time, or they would fence each other again and again.
absl::StatusOr<int32_t> Register(const Plan& base, const GenerationText& text, const ReplayOptions& replay,
                                 const std::function<bool()>& stopped, KafkaClient* kafka) {
  absl::StatusOr<int32_t> number = RegisterOnce(base, text, replay, kafka);
  std::random_device random;
  std::uniform_int_distribution<int64_t> pause_us(kShortestPauseUs, kLongestPauseUs);
  for (int tries = 1; tries < kRegisterTries && Overtaken(number.status()); ++tries) {
    LeaveToOthers(base, text, replay, pause_us(random), stopped, *kafka);
    if (stopped()) return number;
    number = RegisterOnce(base, text, replay, kafka);
  }
  return number;
}

}  // namespace

absl::Status CheckText(const generations::State& state, int32_t own, const GenerationText& text) {
  const std::string print = TopologyFingerprint(text.yaml);
  const generations::Generation* const found = FindGeneration(state, own);
  if (found == nullptr || found->fingerprint() == print) return absl::OkStatus();
  const std::string stands =
      absl::StrCat(", and generation ", own, own == state.active() ? " is active" : " is to run");
  for (const generations::Generation& each : state.generations()) {
    if (each.number() == own || each.fingerprint() != print) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        text.file, " is the topology of generation ", each.number(), stands,
        each.number() == state.building() ? ": it is being built, by `tidemark replay`, until `tidemark switch`"
                                          : ": `tidemark replay --generation` and `tidemark switch` lead back to it"));
  }
  for (const generations::Generation& each : state.generations()) {
    if (!HadText(each, print)) continue;
    return absl::InvalidArgumentError(absl::StrCat(text.file, " is an earlier version of the topology of generation ",
                                                   each.number(), stands, ": run the newest version of its file"));
  }
  return absl::InvalidArgumentError(absl::StrCat(
      text.file, " isn't the topology of any generation", stands,
      own != state.active() ? std::string(": run the file that it was begun with")
                            : absl::StrCat(". If it is that one's next version: `tidemark run --accept_edit=",
                                           found->fingerprint(), "`, once")));
}

absl::StatusOr<int32_t> ReplayedAs(const generations::State& state, const GenerationText& text, int32_t stated,
                                   int64_t left_by) {
  const std::string print = TopologyFingerprint(text.yaml);
  const generations::Generation* const active = FindGeneration(state, state.active());
  if (stated == 0 && active != nullptr && active->fingerprint() == print) return state.active();
  if (stated != 0 && stated == state.active()) return state.active();
  if (state.building() != 0) return GoOnWith(state, print, stated);
  if (stated != 0) {
    TM_RETURN_IF_ERROR(MayBuildAgain(state, stated, left_by));
    return 0;
  }
  // A worker of one that was left, which somebody starts again, begins nothing anew.
  for (const generations::Generation& each : state.generations()) {
    if (HadText(each, print)) {
      return absl::InvalidArgumentError(absl::StrCat(text.file, " is an earlier version of the topology of generation ",
                                                     each.number(),
                                                     ", which was edited since: run the newest version of that file"));
    }
    if (each.fingerprint() != print) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(text.file, " is the topology of generation ", each.number(), ", which was left. `--generation ",
                     each.number(), "` builds it again from where it stands; `tidemark generations drop ",
                     each.number(), "` first, and it is built anew"));
  }
  return 0;
}

absl::StatusOr<generations::State> WithEditAccepted(generations::State state, const std::string& fingerprint,
                                                    const GenerationText& text) {
  const std::string print = TopologyFingerprint(text.yaml);
  generations::Generation* const active = FindGeneration(&state, state.active());
  if (active == nullptr || active->fingerprint() == print) return state;
  if (active->fingerprint() != fingerprint) {
    return absl::InvalidArgumentError(absl::StrCat("--accept_edit=", fingerprint, ": the topology of generation ",
                                                   active->number(), " has become ", active->fingerprint()));
  }
  if (state.phase() != generations::State::STEADY || state.building() != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "--accept_edit: not while ",
        state.phase() != generations::State::STEADY
            ? std::string("a switch is under way: `tidemark switch` completes it, or `--cancel` takes it back")
            : absl::StrCat("generation ", state.building(), " is being built: `tidemark switch` puts it into place, ",
                           "`tidemark generations drop ", state.building(), "` gives it up")));
  }
  // What is another generation's, or was this one's before, isn't its next version.
  for (const generations::Generation& each : state.generations()) {
    if (each.fingerprint() == print && each.number() != active->number())
      return CheckText(state, active->number(), text);
    if (HadText(each, print) && each.number() != active->number()) return CheckText(state, active->number(), text);
  }
  auto* const earlier = active->mutable_earlier_fingerprints();
  earlier->erase(std::remove(earlier->begin(), earlier->end(), print), earlier->end());
  active->add_earlier_fingerprints(active->fingerprint());
  active->set_yaml(text.yaml);
  active->set_fingerprint(print);
  return state;
}

absl::Status RunActive(const Plan& base, const GenerationText& text, const std::string& accept_edit,
                       const WorkerOptions& options) {
  return Process(base, text, options, 0, accept_edit).Run(0);
}

absl::Status RunReplay(const Plan& base, const GenerationText& text, const ReplayOptions& replay,
                       const WorkerOptions& options) {
  Plan first = base;
  TM_RETURN_IF_ERROR(BeginAt(replay.from, &first));
  int32_t number = 0;
  {
    TM_ASSIGN_OR_RETURN(const auto kafka, NewRdKafkaClient(base.kafka, LogKafka));
    const auto stopped = [&options] { return options.stop_requests != nullptr && options.stop_requests->load() > 0; };
    const absl::StatusOr<int32_t> registered = Register(base, text, replay, stopped, kafka.get());
    if (stopped() && !options.until_end && Overtaken(registered.status())) {
      LOG(INFO) << "stopped while starting: " << registered.status().message();
      return absl::OkStatus();
    }
    TM_ASSIGN_OR_RETURN(number, registered);
    TM_ASSIGN_OR_RETURN(const generations::State state, ReadGenerations(base.application.name, *kafka, Pause));
    // It was left behind a fence; where that has been lifted before, nothing happens.
    if (number == state.building() && replay.generation != 0 && state.phase() == generations::State::STEADY) {
      TM_ASSIGN_OR_RETURN(const auto client, NewRdResetClient(base.kafka, LogKafka));
      const Plan plan = PlanOfGeneration(base, number);
      const absl::Status lifted = Unfence(plan, *kafka, *client);
      if (!absl::IsFailedPrecondition(lifted)) TM_RETURN_IF_ERROR(lifted);  // another worker has, and runs
    }
    if (replay.generation != 0 && number == state.active()) {
      LOG(WARNING) << "--generation " << number << ": it is active already, so there is nothing to build. This worker "
                   << "runs as `tidemark run` would, and the flag may go";
    }
  }
  LOG(INFO) << "generation " << number << " of " << base.application.name;
  return Process(base, text, options, replay.max_live_lag_us, "").Run(number);
}

}  // namespace tidemark
