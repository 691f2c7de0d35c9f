#include "src/trial/scenarios.h"

#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "src/base/many.h"
#include "src/base/status.h"
#include "src/trial/run.h"
#include "src/trial/subject.h"
#include "src/trial/test_file.h"

namespace tidemark::trial {
namespace {

using Kinds = std::set<std::string>;

// Each alone, then all: a fault that hides another would be found by itself.
std::vector<Kinds> Matrix(const Case& scenario, const ScenarioOptions& options) {
  if (options.faults) return {*options.faults};
  const Kinds all = scenario.faults.value_or(TestableFaults());
  std::vector<Kinds> matrix;
  for (const std::string& kind : all) matrix.push_back({kind});
  if (all.size() != 1) matrix.push_back(all);
  return matrix;
}

std::string NameOf(const Kinds& kinds) { return kinds.empty() ? "no faults" : absl::StrJoin(kinds, ","); }

class Scenario {
 public:
  Scenario(const TestFile& file, const Case& scenario, const Subject& subject, const ScenarioOptions& options,
           std::ostream& out)
      : file_(file), scenario_(scenario), subject_(subject), options_(options), out_(out) {}

  // Whether all of it holds.
  absl::StatusOr<bool> Run() {
    std::vector<std::string> held;
    sim::DeploymentCounts sum;
    for (const Kinds& kinds : Matrix(scenario_, options_)) {
      const uint64_t first = options_.seed.value_or(1), last = options_.seed.value_or(options_.seeds);
      for (uint64_t seed = first; seed <= last; ++seed) {
        TM_ASSIGN_OR_RETURN(const RunResult result, RunTest(file_, scenario_, subject_, seed, &kinds));
        sum.crashes += result.counts.crashes;
        sum.commits += result.counts.commits;
        if (result.differences.empty()) continue;
        TM_RETURN_IF_ERROR(Tell(kinds, seed, result));
        return false;
      }
      held.push_back(NameOf(kinds));
    }
    out_ << "ok   " << file_.path << ": " << scenario_.name << "\n     under " << absl::StrJoin(held, "; ") << ": "
         << Many(static_cast<double>(options_.seed ? 1 : options_.seeds), "seed") << " each, " << sum.commits
         << " commits, " << sum.crashes << " crashes" << std::endl;
    return true;
  }

 private:
  absl::Status Tell(const Kinds& kinds, uint64_t seed, const RunResult& result) {
    TM_ASSIGN_OR_RETURN(const RunResult again, RunTest(file_, scenario_, subject_, seed, &kinds));
    out_ << "FAIL " << file_.path << ": " << scenario_.name << "\n"
         << result.differences << "  under " << NameOf(kinds) << " with seed " << seed << " (" << result.how << "); "
         << (again.differences == result.differences ? "it was run again, and is so again"
                                                     : "IT WAS RUN AGAIN, AND IS OTHERWISE")
         << "\n  replay: scripts/simulate " << file_.path << " --faults " << (kinds.empty() ? "-" : NameOf(kinds))
         << " --seed " << seed << std::endl;
    return absl::OkStatus();
  }

  const TestFile& file_;
  const Case& scenario_;
  const Subject& subject_;
  const ScenarioOptions& options_;
  std::ostream& out_;
};

}  // namespace

absl::StatusOr<int> RunScenarios(const std::vector<std::string>& paths, const ScenarioOptions& options,
                                 std::ostream& out) {
  int held = 0, failed = 0;
  for (const std::string& path : paths) {
    TM_ASSIGN_OR_RETURN(const TestFile file, ReadTestFile(path));
    for (const Case& scenario : file.tests) {
      TM_ASSIGN_OR_RETURN(const Subject subject, Subject::Load(file, scenario));
      TM_ASSIGN_OR_RETURN(const bool holds, Scenario(file, scenario, subject, options, out).Run());
      ++(holds ? held : failed);
    }
  }
  out << held << " held, " << failed << " failed" << std::endl;
  return failed;
}

}  // namespace tidemark::trial
