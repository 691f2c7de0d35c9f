// What ties state and counters to the steps of a plan: state belongs to (application, step name, operator, key and type
// columns, whether rows or changes go in and come out), not to a step's position in the file. A topology whose step of
// the same name keeps other state is refused rather than fed with bytes it would misread.
#pragma once

#include <string>

#include <absl/status/status.h>

#include "operators/operator.h"
#include "proto/packed.pb.h"
#include "src/plan/plan.h"

namespace tidemark {

// The name under which a node's ledger is kept: the step's; a Kafka sink and the like have names of their own.
std::string LedgerName(const Node& node);

// Operator, keys and types of a node's state, as text; empty for nodes without state.
std::string StepFingerprint(const Node& node);

void SaveStepIdentities(const Stage& stage, packed::CommitRecord* record);
// FailedPrecondition: a step's state was written by another operator or under other keys; says what to do.
absl::Status CheckStepIdentities(const Stage& stage, const packed::CommitRecord& record);

void SaveLedger(const std::string& step, const StepLedger& ledger, packed::CommitRecord* record);
void RestoreLedger(const packed::CommitRecord& record, const std::string& step, StepLedger* ledger);

}  // namespace tidemark
