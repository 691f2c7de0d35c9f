#include "src/plan/intakes.h"

#include <map>
#include <utility>

namespace tidemark {

// As an option of its format, which says how its records are read; no topology can state it there.
bool KeepsTransactions(const SourcePlan& source) { return source.format.Option("atomic") == "transactions"; }

std::vector<IntakePlan> IntakesOf(const Plan& plan) {
  std::map<std::string, IntakePlan> intakes;
  for (const SourcePlan& source : plan.sources) {
    if (!source.intake()) continue;
    const std::string& name = source.postgres && source.postgres->shares_slot ? source.postgres->slot : source.name;
    IntakePlan& intake = intakes[name];
    intake.name = name;
    intake.sources.push_back(&source);
    intake.splits = source.intake_splits();
  }
  std::vector<IntakePlan> all;
  for (auto& [name, intake] : intakes) all.push_back(std::move(intake));
  return all;
}

}  // namespace tidemark
