// What ties state and counters to the steps of a plan: state belongs to (application, step name, operator, key and type
// columns, what is aggregated and its types, whether rows or changes go in and come out, which rows meet in a task,
// where their keys and times come from), not to a step's position in the file. A topology whose step of the same name
// keeps other state, or that has no such step any more, is refused rather than fed with bytes it would misread or left
// without what it had counted.
//
// The name is the one under which the step is kept: another one that it has now makes it no other step (renamed.h).
//
// Not part of it is what only decides how long state lives (within, grace) or which rows come (filters, unless rows are
// taken back on the same way), and a step whose input gains a further source stays what it is.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "operators/operator.h"
#include "proto/packed.pb.h"
#include "src/plan/plan.h"
#include "src/runtime/step_origins.h"
#include "src/runtime/verdict.h"

namespace tidemark {

// The name of a node's ledger, for people: the step's; a Kafka sink and the like have names of their own.
std::string LedgerName(const Node& node);
// The same by the name under which the step is kept (Node::kept_as): what commits have.
std::string KeptLedgerName(const Node& node);

// In place of the fingerprint of a step that isn't in the topology any more, and whose state is being taken out: what
// is left of it is nobody's. Earlier versions take it for other state, and don't go on until the last of it is gone.
inline constexpr char kGivenUp[] = "given up";
// The same once all of it is gone. It stays, beside the step's identity where that begins anew, which a user has to ask
// for: a worker of a former file would else take the step for a new one, and go on without what it had counted. One a
// name that was ever given up.
inline constexpr char kWasGiven[] = "given up, and gone";
// One of the two.
bool IsGivenUp(const packed::StepIdentity& step);
// The task keeps state of the step, or begins to.
bool HasBegun(const packed::CommitRecord& record, const std::string& step);

// Operator, keys and types of a node's state, as text; empty for nodes without state.
std::string StepFingerprint(const Node& node);

// What a step is called in messages that the plan doesn't have: as its topology called it, or where another step of the
// plan has that name, as it is kept.
std::string ShownName(const Plan& plan, const packed::Standing& standing, const std::string& kept_as);

// The identities of a stage's steps with state.
std::vector<packed::StepIdentity> StepIdentities(const Plan& plan, int stage);
// Into the outputs of a stage's feeds: what their sinks have been given, which a lake of changes is tied to; into those
// of its repartitions on which ways changes are sent (first_changes.h); and beside them how the keys of topics are
// written whose rows replace each other, and which constants the topology gives to keys of topics, tables and views.
void SaveFeedOrigins(const Plan& plan, int stage, packed::Standing* standing);
// Of a topic, a table or a view by key: steps that have made changes before, and whose changes come to it on a way that
// is new, "step more (part is ('b'))". Of their rows it gets those that change from now on.
std::set<std::string> FromNowOn(const Plan& plan, NodePlace sink, const packed::CommitRecord& record);
// What becomes of each step that a task has kept state of, and of lakes of changes and of sinks by key that can't go
// on. Also reads records of earlier versions, which say less of a step.
std::vector<Verdict> CompareSteps(const Plan& plan, int stage, const packed::CommitRecord& record,
                                  const AllowedDrops& drops = {});
// The same as a task asks it of its own record, where all of it goes on. FailedPrecondition: a step's state was written
// by another operator, under other keys or types, or from other inputs, or the step is gone, or a new one would take
// changes whose beginning it hasn't heard (first_changes.h), or a lake of changes would be given others than it holds;
// says what it was, what it is, and what to do.
absl::StatusOr<std::vector<Verdict>> JudgeSteps(const Plan& plan, int stage, const packed::CommitRecord& record,
                                                const AllowedDrops& drops = {});
absl::Status CheckStepIdentities(const Plan& plan, int stage, const packed::CommitRecord& record,
                                 const AllowedDrops& drops = {});

// Never 0.
uint64_t StandingHash(const packed::Standing& standing);

void SaveLedger(const std::string& step, const StepLedger& ledger, packed::CommitRecord* record);
void RestoreLedger(const packed::CommitRecord& record, const std::string& step, StepLedger* ledger);

}  // namespace tidemark
