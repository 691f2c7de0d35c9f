// The cut into stages: where rows must move to another key, a repartition is put in; what remains connected is a stage.
// Then, backwards from what later steps need, which columns travel. Internal to src/plan.
#pragma once

#include <vector>

#include "src/plan/diagnostics.h"
#include "src/plan/logical.h"
#include "src/plan/plan.h"

namespace tidemark {

// Fills in stages, edges, and `hidden` of sources and sinks. `plan` holds checked sources and sinks; every step of
// `logical` is usable.
void CutStages(const Logical& logical, Diagnostics* diagnostics, Plan* plan);

// For each node, the smallest node that it is connected with: nodes of one stage have the same.
std::vector<int> Components(const std::vector<Node>& nodes);

// Whether the stage that `stay` would make, read together and with what is moved to it of `moved`, would read its own
// output.
bool WouldReadItself(const std::vector<Node>& nodes, const std::vector<int>& stay, const std::vector<int>& moved);

// By node and port: hidden columns that the node's own work reads.
using Needs = std::vector<std::vector<HiddenSet>>;

// Adds to `needs` what tells where a source row stands, for the nodes whose expressions can fail on one (`may_fail`),
// so that its dead letter names the place. Rows behind a shuffle and results of windows stand nowhere: that isn't
// carried along for them.
void NeedPlaces(const std::vector<bool>& may_fail, const std::vector<Node>& nodes, Needs* needs);

// Input and output hidden columns of all nodes, edges, sources and sinks of the draft `nodes`, whose inputs are
// positions among themselves.
void InferHidden(const Needs& needs, std::vector<Node>* nodes, Plan* plan);

// Takes columns that nothing reads out of the inputs and outputs of the draft `nodes`, and renumbers what refers to
// them.
void DropUnreadColumns(const std::vector<bool>& may_fail, std::vector<Node>* nodes);

// The connected parts of `nodes`, as plan->stages in topological order; their indices into plan->edges.
void MakeStages(const std::vector<Node>& nodes, Diagnostics* diagnostics, Plan* plan);

// All inputs of a stage have one partition count: what one repartition asks for counts for the others.
void AgreeOnPartitions(Diagnostics* diagnostics, Plan* plan);

// Refuses names of internal topics that brokers refuse: too long ones, and two that differ in '.' and '_' only, as only
// those of a step's inputs can (src/base/application.h).
void CheckEdgeNames(const Plan& plan, Diagnostics* diagnostics);

}  // namespace tidemark
