// The scripts of the conformance suite, by file; conformance.cc lists them with the traces they must leave.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>

#include "tests/sim/conformance.h"
#include "tests/sim/conformance_kit.h"

namespace tidemark::sim {

// conformance_log.cc
std::string RecordsComeBackAsTheyWereWritten(const ConformanceWorld& world);
std::string ControlRecordsOccupyOffsets(const ConformanceWorld& world);
std::string AbortedRecordsAreSkippedByReadCommitted(const ConformanceWorld& world);
std::string AnOpenTransactionHidesLaterCommits(const ConformanceWorld& world);
std::string ANewOwnerAbortsAndFencesTheOld(const ConformanceWorld& world);
std::string WrittenTellsTheOffsetsOfATransaction(const ConformanceWorld& world);
std::string WhatWouldFailAgainIsAnInvalidArgument(const ConformanceWorld& world);
std::string ATransactionThatTakesTooLongIsAborted(const ConformanceWorld& world);
std::string TrimmedRecordsAreOutOfRange(const ConformanceWorld& world);
std::string TopicsAreCreatedOnce(const ConformanceWorld& world);
std::string ManyEndsComeByOneRequest(const ConformanceWorld& world);
std::string ATopicHasAnIdOfItsOwn(const ConformanceWorld& world);

// conformance_read.cc
std::string AnEndIsToldOncePerArrival(const ConformanceWorld& world);
std::string TheEndIsKnownFromFetches(const ConformanceWorld& world);
std::string ASeekMovesAndNothingOldComes(const ConformanceWorld& world);
std::string APausedPartitionIsSilent(const ConformanceWorld& world);
std::string WhatCameDuringAHoldIsReadOnceAndItsEndToldOnce(const ConformanceWorld& world);

// conformance_resume.cc
std::string WhatCameDuringAPauseIsReadAfterIt(const ConformanceWorld& world);
std::string AbortedRecordsAtTheEndHideNothingFromAResume(const ConformanceWorld& world);
std::string ASeekWhilePausedIsWhereTheResumeBegins(const ConformanceWorld& world);
std::string APauseBeforeTheFirstFetchKeepsThePosition(const ConformanceWorld& world);
std::string AResumeAfterANewAssignmentReadsFromThatOne(const ConformanceWorld& world);

// conformance_group.cc
std::string PartitionsAreSharedByRange(const ConformanceWorld& world);
std::string AMemberLeavesWithARebalanceUnanswered(const ConformanceWorld& world);
std::string AMemberWithoutPartitionsIsToldSo(const ConformanceWorld& world);
std::string AStaticMemberComesBackUnnoticed(const ConformanceWorld& world);
std::string ASecondProcessWithTheSameInstanceIdWins(const ConformanceWorld& world);
std::string AMemberThatDiesLosesItsPartitions(const ConformanceWorld& world);
std::string OffsetsAreCheckedByGenerationNotByOwner(const ConformanceWorld& world);
std::string OffsetsCommitWithTheirTransaction(const ConformanceWorld& world);
std::string ANewOwnerDropsPendingOffsets(const ConformanceWorld& world);
std::string ARestartedMemberGoesOnWhereItCommitted(const ConformanceWorld& world);

// conformance_swap.cc
std::string TheDifferenceOfTwoGenerationsIsWrittenOnce(const ConformanceWorld& world);

// conformance_churn.cc
std::string EveryRecordIsTakenOnceWhileMembersComeAndGo(const ConformanceWorld& world);

}  // namespace tidemark::sim
