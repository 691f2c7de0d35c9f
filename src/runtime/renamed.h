// Parts of a topology that have another name than what is kept of them (renamed_from, src/plan/renames.cc). Commits
// have both names, so that a start knows a part by the name that its users called it last, and finds out when a file
// means one and says another. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "proto/packed.pb.h"
#include "src/plan/plan.h"
#include "src/runtime/former.h"
#include "src/runtime/verdict.h"

namespace tidemark {

// Of the sources, steps and sinks of a stage.
void SaveRenamed(const Stage& stage, packed::Standing* standing);

// What the topology that wrote this called what is kept as `kept_as`.
std::string CalledName(const packed::Standing& standing, const std::string& kept_as);

// What a part that is called `name` now was called before, by any task that counts it; empty: it was called so.
std::string FormerName(const Former& former, const std::string& kept_as, const std::string& name);

// The user names it by --allow_drop: what the plan has no more by either name, what it has by the one it is kept under.
bool IsNamed(const Plan& plan, const AllowedDrops& drops, const packed::Standing& standing, const std::string& kept_as);

// Parts of the plan that would begin empty though commits know them under another name: their `renamed_from` was taken
// out, or names one that they had in between; and those that say they were something of another kind.
std::vector<Verdict> MistakenNames(const Plan& plan, const Former& former, const AllowedDrops& drops);

}  // namespace tidemark
