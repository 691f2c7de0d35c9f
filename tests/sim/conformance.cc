#include "tests/sim/conformance.h"

#include <absl/strings/str_cat.h>

#include "tests/sim/conformance_scripts.h"

namespace tidemark::sim {
namespace {

#define SCRIPT(function) #function, function

const ConformanceScript kScripts[] = {
    {SCRIPT(RecordsComeBackAsTheyWereWritten),
     "commit: committed\n"
     "0 'k' 'v'\n"
     "1 null ''\n"
     "2 '' null\n"
     "3 'h' 'w' a:1 a: b:null\n"
     "4 '0x' '0y'\n",
     false},
    {SCRIPT(ControlRecordsOccupyOffsets),
     "0=a 1=b 3=c end 5\n"
     "0=a 1=b 3=c end 5\n"
     "3=c end 5\n"
     "end 5\n"
     "end 0\n"
     "start 0 stable 5 high 5\n",
     false},
    {SCRIPT(AbortedRecordsAreSkippedByReadCommitted),
     "abort: OK\n"
     "commit of nothing: committed\n"
     "abort of nothing: OK\n"
     "2=kept end 4\n"
     "0=lost 2=kept end 4\n",
     false},
    {SCRIPT(AnOpenTransactionHidesLaterCommits),
     "start 0 stable 2 high 5\n"
     "0=a end 2\n"
     "0=a 2=b 3=c end 5\n"
     "commit: committed\n"
     "start 0 stable 6 high 6\n"
     "0=a 2=b 3=c end 6\n",
     false},
    {SCRIPT(ANewOwnerAbortsAndFencesTheOld),
     "start 0 stable 2 high 2\n"
     "commit of the old: fenced\n"
     "abort of the old: CANCELLED\n"
     "2=new end 4\n"
     "flush of a fenced producer: CANCELLED\n"
     "2=new end 4\n",
     false},
    {SCRIPT(WrittenTellsTheOffsetsOfATransaction),
     "0..2 0..1 none\n"
     "commit: committed\n"
     "3..5 none none\n"
     "commit: committed\n"
     "none\n"
     "commit: committed\n",
     false},
    {SCRIPT(WhatWouldFailAgainIsAnInvalidArgument),
     "a record too large: INVALID_ARGUMENT\n"
     "commit after it: aborted\n"
     "abort: OK\n"
     "an unknown partition: INVALID_ARGUMENT\n"
     "abort: OK\n"
     "an unknown topic: INVALID_ARGUMENT\n"
     "abort: OK\n"
     "only the last is there\n",
     false},
    {SCRIPT(ATransactionThatTakesTooLongIsAborted),
     "start 0 stable 2 high 2\n"
     "commit: fenced\n"
     "end 2\n",
     true},
    {SCRIPT(TrimmedRecordsAreOutOfRange),
     "trim: OK\n"
     "trim again: OK\n"
     "trim behind the end: OUT_OF_RANGE\n"
     "start 2 stable 4 high 4\n"
     "2=c end 4\n"
     "OUT_OF_RANGE\n"
     "OUT_OF_RANGE\n"
     "first offset: 2\n"
     "offset of tomorrow: 4\n",
     false},
    {SCRIPT(TopicsAreCreatedOnce),
     "0 topics\n"
     "create: OK\n"
     "create again: OK\n"
     "a has 2\n"
     "b has 1\n"
     "2 topics\n"
     "range of an unknown partition: INVALID_ARGUMENT\n",
     false},
    {SCRIPT(ManyEndsComeByOneRequest),
     "starts: a-0=2 a-1=0 b-0=0\n"
     "committed: a-0=4 a-1=0 b-0=0\n"
     "all: a-0=4 a-1=0 b-0=1\n"
     "of nothing:\n"
     "of what isn't there: UNAVAILABLE\n",
     false},
    {SCRIPT(ATopicHasAnIdOfItsOwn),
     "ids\n"
     "two ids\n"
     "always the same\n",
     false},
    {SCRIPT(AnEndIsToldOncePerArrival),
     "empty: 0: end 0\n"
     "then: nothing\n"
     "the record and its end\n"
     "then: nothing\n",
     false},
    {SCRIPT(TheEndIsKnownFromFetches),
     "before anything is read: -1\n"
     "then: 4\n",
     false},
    {SCRIPT(ASeekMovesAndNothingOldComes),
     "0: 0=a 1=b 2=c 3=d end 5, 1: 2=y 3=z end 5\n"
     "0: 2=c 3=d end 5, 1: 3=z end 5\n"
     "0: 3=d end 5\n"
     "1: 0=w 1=x 2=y 3=z end 5\n"
     "unassigned: nothing\n"
     "seek in what isn't assigned: INTERNAL\n",
     false},
    {SCRIPT(APausedPartitionIsSilent),
     "assigned paused: nothing\n"
     "resume without a position: INTERNAL\n"
     "with positions: nothing\n"
     "0: 1=b end 3\n"
     "1: 0=x end 2\n"
     "still paused: nothing\n"
     "resumed: 3=c\n"
     "assigned anew: 1=b\n",
     false},
    {SCRIPT(WhatCameDuringAHoldIsReadOnceAndItsEndToldOnce),
     "0: 0=a end 2, 1: 0=x end 2\n"
     "held: 1: 2=y end 4\n"
     "the other anew: 1: 0=x 2=y end 4\n"
     "still held: nothing\n"
     "released: 0: 2=b 4=c end 6\n"
     "the other at its end: 1: end 4\n"
     "without anything new: nothing\n",
     false},
    {SCRIPT(WhatCameDuringAPauseIsReadAfterIt),
     "0=a\n"
     "2=b 3=c\n"
     "no record\n"
     "5=d\n",
     false},
    {SCRIPT(AbortedRecordsAtTheEndHideNothingFromAResume),
     "0=a\n"
     "4=b\n"
     "no record\n"
     "10=c\n",
     false},
    {SCRIPT(ASeekWhilePausedIsWhereTheResumeBegins),
     "2=c 3=d\n"
     "1=b 2=c 3=d\n"
     "3=d\n",
     false},
    {SCRIPT(APauseBeforeTheFirstFetchKeepsThePosition),
     "1=b 2=c\n"
     "0=a 1=b 2=c\n",
     false},
    {SCRIPT(AResumeAfterANewAssignmentReadsFromThatOne),
     "0=a 1=b\n"
     "the position is forgotten: INTERNAL\n"
     "3=c 4=d\n"
     "4=d\n"
     "0=x\n",
     false},
    {SCRIPT(PartitionsAreSharedByRange),
     "alone: 0 1 2 3 4 0 1 2 3 4, valid\n"
     "two: 0 1 2 0 1 2 | 3 4 3 4\n"
     "a saw 2 assignments, 1 revocations, 0 losses\n"
     "b has left: 0 1 2 3 4 0 1 2 3 4\n",
     false},
    {SCRIPT(AMemberLeavesWithARebalanceUnanswered), "b leaves: OK\nc: 0 1 2 3\n", false},
    {SCRIPT(AMemberWithoutPartitionsIsToldSo),
     "b: , valid\n"
     "b: 0 after 1 revocations\n",
     false},
    {SCRIPT(AStaticMemberComesBackUnnoticed),
     "it has 0 1\n"
     "the other saw 0 assignments\n"
     "offsets of the other: OK\n"
     "offsets of the member: OK\n"
     "commit: committed\n",
     false},
    {SCRIPT(ASecondProcessWithTheSameInstanceIdWins),
     "the older: PERMISSION_DENIED\n"
     "and again: PERMISSION_DENIED\n"
     "offsets of the older: PERMISSION_DENIED\n"
     "abort: OK\n"
     "close: OK\n",
     false},
    {SCRIPT(AMemberThatDiesLosesItsPartitions),
     "the survivor has 0 1 2 3\n"
     "offsets of the dead: ABORTED\n"
     "commit after it: aborted\n"
     "abort: OK\n",
     true},
    {SCRIPT(OffsetsAreCheckedByGenerationNotByOwner),
     "the old generation: ABORTED\n"
     "produce after it: ABORTED\n"
     "abort: OK\n"
     "a partition of the other's: OK\n"
     "commit: committed\n"
     "0=-1'' 3=7'm' \n",
     false},
    {SCRIPT(OffsetsCommitWithTheirTransaction),
     "send: OK\n"
     "pending: UNAVAILABLE\n"
     "the other partition: 1=-1'' \n"
     "commit: committed\n"
     "0=5'five' 1=-1'' \n"
     "abort: OK\n"
     "0=5'five' 1=-1'' \n"
     "without a transaction: OK\n"
     "0=5'five' 1=9'nine' \n"
     "admin: 0=5'five'\n"
     "admin: 1=9'nine'\n"
     "a group that isn't: -1\n"
     "a negative offset: INTERNAL\n",
     false},
    {SCRIPT(ANewOwnerDropsPendingOffsets),
     "0=-1'' \n"
     "commit of the old: fenced\n"
     "0=-1'' \n",
     false},
    {SCRIPT(ARestartedMemberGoesOnWhereItCommitted),
     "commit: committed\n"
     "3=c\n",
     false},
    {SCRIPT(TheDifferenceOfTwoGenerationsIsWrittenOnce),
     "n: committed\n"
     "n+1: committed\n"
     "prepare: OK\n"
     "too early: 1\n"
     "the late one: committed\n"
     "swap: OK\n"
     "0: 0=1 1=2 2=3 4=6 6=null 7=null 8=33 end 10\n"
     "1: 0=4 1=null 3=5 end 5\n"
     "again: OK\n"
     "0: 0=1 1=2 2=3 4=6 6=null 7=null 8=33 end 10\n"
     "1: 0=4 1=null 3=5 end 5\n",
     false},
    {SCRIPT(EveryRecordIsTakenOnceWhileMembersComeAndGo),
     "0: each once, in order\n"
     "1: each once, in order\n"
     "2: each once, in order\n"
     "3: each once, in order\n"
     "4: each once, in order\n",
     false},
};

#undef SCRIPT

}  // namespace

std::span<const ConformanceScript> ConformanceScripts() { return kScripts; }

std::string CheckConformance(const ConformanceScript& script, const ConformanceWorld& world) {
  const std::string trace = script.run(world);
  if (trace == script.expected) return "";
  return absl::StrCat("---- ", script.name, ": expected\n", script.expected, "---- but it was\n", trace, "----\n");
}

}  // namespace tidemark::sim
