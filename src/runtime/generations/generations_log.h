// What an application's workers and commands agree on about its generations: a log in Kafka with one partition, of
// which each record says all there is to say (proto/generations.proto), so the last one is the truth.
//
//                 replay registers                     all of n have left, behind the fence
//      STEADY ------------------------> STEADY (building) --switch--> DRAINING ------------> CUT
//        ^  ^                                ^                            |                    |
//        |  |                                \--------- cancelled --------+--------------------+
//        |  \--- drop: the building one                                                        |
//        \------- every sink follows -------- DECIDED <---------- both stand at the cut -------/
//
// An application that has never been replayed has no such topic: generation 1 is active, and nothing is ever made for
// it. Whoever writes takes the one transactional id there is for that, which fences whoever had it before; so of two
// commands at once one wins and the other is told: by its next record, and in front of whatever it does beside the log
// (StillMine), as one that goes on with what another has begun writes a record first. Readers are any number of
// workers, read_committed.
//
// Rule of DESIGN.md section 2 that stands here: what is decided is one committed record. Everything before it can be
// taken back, everything behind it only be completed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "proto/generations.pb.h"
#include "src/base/generation_names.h"
#include "src/kafka/client.h"
#include "src/plan/plan.h"

namespace tidemark {

// Of an application that has no log.
generations::State FirstState();

// Null where there is none of that number.
const generations::Generation* FindGeneration(const generations::State& state, int32_t number);
generations::Generation* FindGeneration(generations::State* state, int32_t number);
// The largest number that any generation has ever had: numbers aren't given anew, as groups, rows of fences and shadows
// of one that was dropped stay.
int32_t NewestGeneration(const generations::State& state);
// Of the topology's text as one file (TopologyText::yaml).
std::string TopologyFingerprint(const std::string& yaml);

// The last record; of an application without a log, FirstState. Never one that has been followed by another: where a
// transaction is open, or its marker isn't written yet, nobody knows, and the answer is Unavailable (for ten seconds at
// most, a transaction's time-out). Unavailable too: Kafka doesn't answer. DataLoss: the log is there and its last
// record can't be read.
absl::StatusOr<generations::State> ReadGenerations(const std::string& application, KafkaClient& kafka);
// The same, again and again for as long as that may take, with a wait in between.
absl::StatusOr<generations::State> ReadGenerations(const std::string& application, KafkaClient& kafka,
                                                   const std::function<void()>& wait);

// Reads the log only where it has grown. Used by one thread.
class GenerationsReader {
 public:
  GenerationsReader(std::string application, KafkaClient* kafka)
      : names_{std::move(application)}, kafka_(*kafka), state_(FirstState()) {}

  absl::StatusOr<generations::State> Read();

 private:
  const GenerationNames names_;
  KafkaClient& kafka_;
  generations::State state_;
  bool exists_ = false;
  Offset end_ = -1;  // of the log when it was read last
};

// Used by one thread, and by one process at a time.
class GenerationsWriter {
 public:
  // Makes the topic where it is missing, fences other writers, and reads what stands. `plan` says how internal topics
  // are made. FailedPrecondition: the topic is missing and the topology makes none by itself.
  static absl::StatusOr<std::unique_ptr<GenerationsWriter>> Open(const Plan& plan, KafkaClient* kafka,
                                                                 const std::function<void()>& wait);
  // The same for who only asks: nothing is made and nobody is fenced. Write and StillMine are Unknown.
  static absl::StatusOr<std::unique_ptr<GenerationsWriter>> OpenToRead(const Plan& plan, KafkaClient* kafka,
                                                                       const std::function<void()>& wait);

  const generations::State& state() const { return state_; }
  // OK: nothing stands behind what this writer knows. Cancelled: another command has written since, so what this one
  // was about to do is that one's, or is done. Unavailable: not known. Whoever writes goes by its transactional id;
  // this is for what is done beside the log, by a process that may have been asleep.
  absl::Status StillMine();
  // The next record; it stands when this returns OK. Cancelled: another command has taken over, and nothing is written.
  // Unknown: whether it stands isn't known; this writer is of no use any more.
  absl::Status Write(generations::State next);

 private:
  GenerationsWriter(const GenerationNames& names, KafkaClient* kafka, std::unique_ptr<Producer> producer,
                    generations::State state)
      : topic_(names.Topic()), reader_(names.name, kafka), producer_(std::move(producer)), state_(std::move(state)) {}

  const std::string topic_;
  GenerationsReader reader_;
  std::unique_ptr<Producer> producer_;  // null: has failed
  generations::State state_;
};

}  // namespace tidemark
