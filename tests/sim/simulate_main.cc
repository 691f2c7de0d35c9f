// simulate: runs seeds of the simulated deployment (world.h) and prints the first that fails.
//
//   simulate --scenarios FILE [--seeds N | --seed S] [--faults KIND,...] [--mutation NAME] [--verbose]
//   simulate --cases FILE [--verbose]
//   simulate --seeds N [--seed FIRST] [--mutation NAME] [--faults KIND,...] [--change WHAT] [--twice] [--verbose]
//
// Exit 0: all seeds hold. With --mutation the deliberate defect is switched on and exit 0 means that a seed has found
// it. With --twice every seed runs twice and must use the same randomness and clock.
// With --change every deployment is changed while it runs (world.h).
// --scenarios runs the tests of a file (docs/testing.md) under each kind of faults alone and all together
// (src/trial/scenarios.h). --cases runs what is in the file (cases.h) and prints what became of it, for the driver in
// tests/sim/random.
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <optional>
#include <string>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <arrow/compute/initialize.h>
#include <glog/logging.h>

#include "src/base/mutation.h"
#include "src/sim/chaos.h"
#include "src/trial/scenarios.h"
#include "tests/sim/cases.h"
#include "tests/sim/world.h"

namespace tidemark::sim {
namespace {

constexpr const char* kMutationNames[kMutationCount] = {"apply_before_commit",
                                                        "offsets_outside_write_batch",
                                                        "overlay_kept_after_abort",
                                                        "changelog_outside_transaction",
                                                        "group_metadata_fetched_fresh",
                                                        "postgres_without_fence",
                                                        "resume_without_seek",
                                                        "stop_commits_after_abort",
                                                        "cut_after_failed_write",
                                                        "manifest_dropped_after_one_failure",
                                                        "lake_mark_not_looked_for",
                                                        "aborted_producer_used_again",
                                                        "reader_skips_a_record",
                                                        "old_record_beats_new",
                                                        "join_side_cleaned_by_its_own_time",
                                                        "unmatched_row_emitted_early",
                                                        "version_taken_before_watermark",
                                                        "alert_raised_twice",
                                                        "commit_shown_in_parts",
                                                        "file_read_without_its_copy",
                                                        "over_rows_not_written",
                                                        "matches_not_taken_back",
                                                        "cut_passed",
                                                        "compared_before_cut",
                                                        "bounds_taken_anew",
                                                        "hole_passed",
                                                        "decided_unfenced",
                                                        "told_window_forgotten",
                                                        "transaction_shown_in_parts",
                                                        "alert_timer_lost",
                                                        "top_not_filled_up",
                                                        "left_before_stages",
                                                        "swapped_asleep"};
static_assert(std::size(kMutationNames) == kMutationCount && kMutationNames[kMutationCount - 1] != nullptr,
              "one name for each mutation, in their order");

const std::map<std::string, Change>& Changes() {
  static const auto& changes = *new std::map<std::string, Change>{{"partitions", Change::kPartitions},
                                                                  {"topology", Change::kTopology},
                                                                  {"follower", Change::kFollower},
                                                                  {"trimmed", Change::kTrimmed},
                                                                  {"trimmed_skipped", Change::kTrimmedSkipped},
                                                                  {"remade", Change::kRemade},
                                                                  {"remade_skipped", Change::kRemadeSkipped}};
  return changes;
}

bool SwitchOn([[maybe_unused]] const std::string& name) {
#ifdef TIDEMARK_WITH_MUTATIONS
  for (int m = 0; m < kMutationCount; ++m) {
    if (name != kMutationNames[m]) continue;
    SetMutation(static_cast<Mutation>(m), true);
    return true;
  }
#endif
  return false;
}

int Usage() {
  std::cerr << "usage: simulate --seeds N [--seed FIRST] [--mutation NAME] [--faults KIND,...]\n"
               "                [--change WHAT] [--twice] [--verbose]\n"
               "       simulate --scenarios FILE [--seeds N | --seed S] [--faults KIND,...] [--mutation NAME]\n"
               "       simulate --cases FILE [--verbose]\n"
               "mutations:";
  for (const char* name : kMutationNames) std::cerr << " " << name;
  std::cerr << " (in builds with TIDEMARK_MUTATIONS)\nkinds of faults:";
  for (const std::string& kind : AllFaultKinds()) std::cerr << " " << kind;
  std::cerr << "\nchanges:";
  for (const auto& [name, change] : Changes()) std::cerr << " " << name;
  std::cerr << "\n";
  return 2;
}

// Of a file: 0 where all of it holds, or with a mutation where something doesn't.
int Scenarios(const std::string& file, uint64_t seeds, std::optional<uint64_t> seed,
              const std::optional<FaultKinds>& faults, bool mutated) {
  trial::ScenarioOptions options;
  if (seeds > 0) options.seeds = seeds;
  options.seed = seed;
  options.faults = faults;
  if (options.faults) options.faults->erase("-");
  const absl::StatusOr<int> failed = trial::RunScenarios({file}, options, std::cout);
  if (!failed.ok()) std::cerr << failed.status().message() << "\n";
  if (!failed.ok()) return 2;
  return (*failed > 0) == mutated ? 0 : 1;
}

int Main(int argc, char** argv) {
  uint64_t seeds = 0, first = 1;
  std::optional<uint64_t> only;
  std::string mutation, cases, scenarios;
  bool twice = false;
  WorldOptions options;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--verbose") {
      options.print = true;
    } else if (flag == "--twice") {
      twice = true;
    } else if (i + 1 == argc) {
      return Usage();
    } else if (flag == "--seeds") {
      seeds = std::strtoull(argv[++i], nullptr, 10);
    } else if (flag == "--seed") {
      first = std::strtoull(argv[++i], nullptr, 10);
      only = first;
      if (seeds == 0) seeds = 1;
    } else if (flag == "--mutation") {
      mutation = argv[++i];
    } else if (flag == "--faults") {
      options.faults = absl::StrSplit(argv[++i], ',');
    } else if (flag == "--change") {
      const std::string change = argv[++i];
      const auto known = Changes().find(change);
      if (known == Changes().end()) return Usage();
      options.change = known->second;
    } else if (flag == "--scenarios") {
      scenarios = argv[++i];
    } else if (flag == "--cases") {
      cases = argv[++i];
    } else {
      return Usage();
    }
  }
  if (seeds == 0 && cases.empty() && scenarios.empty()) return Usage();
  if (!arrow::compute::Initialize().ok()) return 1;
  google::InitGoogleLogging("simulate");
  FLAGS_logtostderr = options.print;
  FLAGS_stderrthreshold = google::NUM_SEVERITIES;
  for (int severity = google::INFO; severity < google::NUM_SEVERITIES; ++severity)
    google::SetLogDestination(severity, "");
  if (!mutation.empty() && !SwitchOn(mutation)) return Usage();
  if (!scenarios.empty()) return Scenarios(scenarios, seeds, only, options.faults, !mutation.empty());
  if (!cases.empty()) {
    std::ifstream file(cases);
    const absl::Status run = RunCases(file, std::cout, options.print);
    if (!run.ok()) std::cerr << run << "\n";
    return run.ok() ? 0 : 1;
  }
  DeploymentCounts sum;
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    options.seed = seed;
    WorldResult result = RunWorld(options);
    sum.crashes += result.counts.crashes;
    sum.wiped += result.counts.wiped;
    sum.frozen += result.counts.frozen;
    sum.endings += result.counts.endings;
    sum.commits += result.counts.commits;
    sum.aborts += result.counts.aborts;
    if (twice) {
      const SimDigest again = RunWorld(options).digest;
      if (again != result.digest) {
        result.verdict.Update(absl::InternalError(absl::StrCat("two runs of it differ: ", result.digest.count(),
                                                               " and ", again.count(), " draws and clock readings")));
      }
    }
    if (result.verdict.ok()) continue;
    std::cout << "seed " << seed << ": " << result.verdict << "\n";
    if (!mutation.empty()) {
      std::cout << "mutation " << mutation << " found after " << seed - first + 1 << " seeds\n";
      return 0;
    }
    std::cout << "replay: scripts/simulate --seed " << seed << "\n";
    return 1;
  }
  std::cout << seeds << " seeds from " << first << ": " << sum.commits << " commits, " << sum.aborts << " aborts, "
            << sum.crashes << " crashes (" << sum.wiped << " with the disk lost), " << sum.endings
            << " ended by an error, " << sum.frozen << " freezes: 0 differences\n";
  if (mutation.empty()) return 0;
  std::cout << "mutation " << mutation << " was NOT found\n";
  return 1;
}

}  // namespace
}  // namespace tidemark::sim

int main(int argc, char** argv) { return tidemark::sim::Main(argc, argv); }
