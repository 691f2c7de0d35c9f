// Dead letters back to where they came from: the records that could not become rows are produced once more to their
// source's topic, each at most once ever, whatever ends the replay in between and whoever begins it again.
//
// A letter's place in its log is its id. The transaction that produces a record carries a note with that id to a
// compacted topic (ApplicationId::ReplayedTopic), and a replay begins by InitTransactions under the one transactional
// id that all replays of the application share, then reads the notes: so whatever an earlier one had undecided is
// decided before it is asked what is done, and one that still runs is fenced. Notes of letters that their topic no
// longer has are deleted as new ones are written.
//
// Used by one thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <absl/container/flat_hash_set.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/base/clock.h"
#include "src/kafka/client.h"
#include "src/plan/plan.h"
#include "src/runtime/letters.h"

namespace tidemark {

class LetterReplay {
 public:
  LetterReplay(const Plan& plan, KafkaClient& kafka, Clock& clock) : plan_(plan), kafka_(kafka), clock_(clock) {}

  // First. `write`: false for one that only tells what it would do; it makes no topic and fences nobody.
  absl::Status Open(bool write);
  bool Replayed(const Letter& letter) const {
    return letter.log.topic == plan_.dead_letter_topic && done_.contains({letter.log.partition, letter.offset});
  }
  // The source that a letter goes back to, or (FailedPrecondition) why it can't.
  absl::StatusOr<const SourcePlan*> SourceOf(const Letter& letter) const;
  // Reads what was cut from where the record stands. FailedPrecondition: it doesn't stand there any more.
  absl::Status Complete(Letter* letter);
  // In one transaction: all of them or none, and on error this object can't be gone on with. InvalidArgument: a record
  // is larger than the topic takes, or the topic may not be written.
  absl::Status Write(const std::vector<Letter>& letters);

 private:
  absl::Status ReadNotes();
  absl::Status CreateNotes();
  std::string NoteKey(int32_t partition, Offset offset) const;
  absl::Status Commit();

  const Plan& plan_;
  KafkaClient& kafka_;
  Clock& clock_;
  std::string notes_;
  std::string letters_id_;  // of the dead letters' topic
  std::map<std::string, int32_t> partitions_;
  std::map<int32_t, Offset> starts_;  // of the letters' log, by partition
  std::unique_ptr<Producer> producer_;
  absl::flat_hash_set<std::pair<int32_t, Offset>> done_;
  std::vector<std::string> outdated_;  // keys of notes
};

}  // namespace tidemark
