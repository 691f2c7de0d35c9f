// A step that takes changes must hear all of them from the first: of a row that it never counted, it would hear that it
// is taken back. So a step with state that is new over an update step which has state already is refused, in whichever
// stages the two are, and so is one that was taken out for a while and put back. So is a lake of changes (parquet with
// mode: changes), which can't forget what it was given either. Asked by the start check and by tasks (step_identity.h);
// a pure function over a plan and what commit records say.
//
// What a record tells: which steps of its stage had state, which internal topics the task had read, and which it has
// written all the time since it began. A step that a record of its stage doesn't name is new to that task, as is a lake
// whose feed it hasn't written all the time; it has missed changes if the task had read the topic they come by, or if
// their maker has state, in the same task or behind a topic that the maker's task doesn't name.
//
// A step or lake that goes on may get changes on a way more, by a union that has a further input: of a maker more, or
// of one whose rows were parted before and are united. Its record says on which ways changes have come to it so far,
// and that of a task which sends changes on says on which it has sent; on one that isn't among them, of a maker that
// has state in that very task, changes were missed too. Where a version that knew no such unions has written the
// record, they were those of the only maker there was.
#pragma once

#include <vector>

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>

#include "proto/packed.pb.h"
#include "src/plan/plan.h"
#include "src/runtime/verdict.h"

namespace tidemark {

// The newest commit records of a stage's tasks, as far as they are known.
using RecordsOfStage = absl::FunctionRef<std::vector<const packed::CommitRecord*>(int stage)>;

// Of an output in a standing: the topology no longer has it, so rows of the meantime aren't there. Such a one has a
// schema without columns behind that of its rows.
bool IsGone(const packed::Standing::Edge& output);

// What helps where a lake of changes can't be gone on with.
inline constexpr char kNewLake[] =
    "give the topology a new name and the sink a new folder, and everything is computed anew";

// The steps and lakes that would miss changes (kRefused): of what, and what to do.
std::vector<Verdict> MissedChanges(const Plan& plan, RecordsOfStage records);
// FailedPrecondition: there are some.
absl::Status CheckFirstChanges(const Plan& plan, RecordsOfStage records);

}  // namespace tidemark
