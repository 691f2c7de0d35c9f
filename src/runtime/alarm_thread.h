// Tells of alarms, for a topology with `notify`. What is raised and what is over is a log in Kafka, one partition of
// the application's own (proto/alarms.proto); the one worker that a consumer group gives that partition compares what
// freshness.h finds with what the log says, and writes the difference.
//
//   kUnassigned --the partition comes--> kReading --the log's end is reached--> kRunning
//        ^                                  |  ^                                   |
//        +------ the partition goes --------+--|------ what fails is dropped ------+
//                                              +----- and taken over anew ---------+
//
// The rules of the law that it keeps: whoever takes over runs init_transactions first, which fences its predecessor and
// ends what that had open, and then reads the log to its end, so there is one writer and an alarm has one beginning; an
// event and its copy in the user's topic are one transaction; a producer that has failed is never used again. A webhook
// is told of an event behind its commit, in the order of the log, and the group's position moves behind what it has
// taken: so each event arrives at least once, whoever is killed when, with the id that stands in the log.
//
// A thread of its own, and another for the webhook (courier.h): nothing here can hold up a task, and whatever fails is
// tried again rather than ends the worker, unless a newer version has written the log. Step is called by one thread,
// status by any.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include "proto/alarms.pb.h"
#include "src/runtime/courier.h"
#include "src/runtime/freshness.h"
#include "src/runtime/runtime.h"

namespace tidemark {

struct AlarmStatus {
  bool watches = false;  // this worker is the one that tells
  int64_t raised = 0;    // as the log says; 0 where another worker watches
  Courier::Status webhook;
  std::string trouble;  // "": none
};

class AlarmThread {
 public:
  using Found = std::function<std::vector<FreshnessStatus>()>;
  // InvalidArgument, by Start: a secret that can't be read.
  AlarmThread(const Runtime& runtime, Found found) : runtime_(runtime), found_(std::move(found)) {}

  absl::Status Start();
  // InvalidArgument, final: a newer version has written the log. Else OK, whatever happens: see above.
  absl::Status Step(int64_t max_wait_us);
  absl::Status Stop(bool leave_group);

  AlarmStatus status() const;

 private:
  enum class State { kUnassigned, kReading, kRunning };
  using Name = std::pair<std::string, std::string>;  // sink, kind
  struct Raised {
    alarms::Event event;
    Offset offset = 0;
  };

  absl::Status Turn(int64_t max_wait_us);
  absl::Status Join();
  absl::Status TakeOver();
  absl::Status Take(const PollResult& polled);
  absl::Status Compare();
  absl::Status Append(const std::vector<alarms::Event>& events);
  absl::Status CommitDelivered();
  alarms::Event MakeEvent(const FreshnessStatus& found, AlarmKind kind, bool raised, int64_t since_us) const;
  void Drop(State state);
  void Publish();

  const Runtime& runtime_;
  const Found found_;
  TopicPartition log_;
  std::unique_ptr<Consumer> consumer_;
  std::unique_ptr<Producer> producer_;
  std::unique_ptr<Courier> courier_;  // null: no webhook
  State state_ = State::kUnassigned;
  bool owned_ = false;
  Offset next_ = 0, target_ = 0, committed_ = -1;
  std::map<Name, Raised> raised_;  // as the log says, before `next_`
  int64_t again_at_us_ = 0;
  std::string trouble_;
  absl::Status final_;
  mutable absl::Mutex mutex_;
  AlarmStatus status_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tidemark
