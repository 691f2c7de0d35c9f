// Bodies that clients have posted, as a source of an intake (intake.h): each partition of the log of requests is a
// split. What the gate (http_gate.h) has accepted stands there, a body a record; from here on its rows go into the
// source's topic, all rows of a body in one transaction, and each body once.
//
//   Repeatable   the log is: a position is an offset in it. Non-transactional records have consecutive offsets, so one
//                that is missing shows.
//   Once         a request with a key that was seen within a day, by the log's own clock, is passed over. What was seen
//                stands in the notes, so in the transaction that brings its rows in: nobody ever knows of a request
//                whose rows aren't in, or the other way round. Which of two requests came first the log says, whichever
//                workers they came to, as all of one key are in one partition.
//                A record that the client library of its writer has sent twice (src/kafka/appender.h) is passed over,
//                too, key or not: by its number, of which the position has the last one of each writer.
//   Trimmed      behind the position, now and then, after the commit.
//
// A Poll gives about `max_bytes` of rows, in memory and not of bodies, and a body's at least: what http_gate.h lets
// into one bounds a transaction.
//
// The same key with another body is no retry: the second is a dead letter, and counted. Keys are those of a client: of
// the token's name.
//
// Keys are remembered in hours (request_keys.h); an hour goes as a whole when its last key is a day old.
//
// Used by one thread, except Interrupt.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include "proto/http.pb.h"
#include "src/base/intake_names.h"
#include "src/runtime/intake.h"
#include "src/runtime/request_keys.h"
#include "src/runtime/runtime.h"
#include "src/runtime/split_intake.h"

namespace tidemark {

class HttpSource final : public IntakeSource {
 public:
  // Both outlive it. `folder`: where keys are kept that are too many for memory; "": in memory all the same.
  HttpSource(const Runtime& runtime, const SourcePlan& plan, int32_t split, std::string folder = "");
  ~HttpSource() override;

  std::string Of(const std::string& position) const override;
  absl::Status Open(const std::string& position, IntakeNotes notes) override;
  absl::StatusOr<std::optional<IntakeRows>> Poll(int64_t max_wait_us, int64_t max_bytes) override;
  absl::Status Committed(const std::string& position) override;
  void Interrupt() override;

 private:
  // The notes that keys of an hour stand in.
  struct Hour {
    int64_t number = 0;  // since 1970
    std::vector<std::string> notes;
  };
  enum class Known { kNew, kAgain, kOtherBody };

  absl::Status CheckLog();
  void LetGoOfUsed();
  absl::Status Take(const RecordView& record, const HeaderList& headers, packed::RequestsSeen* seen, IntakeRows* rows);
  absl::StatusOr<bool> SentTwice(const RecordView& record, const HeaderList& headers);
  absl::StatusOr<Known> Note(const packed::HttpRequest& request, int64_t time_ms, packed::RequestsSeen* seen);
  absl::Status Cut(const packed::HttpRequest& request, Offset offset, IntakeRows* rows) const;
  void Remember(const std::string& name, const packed::RequestsSeen& seen, IntakeRows* rows);
  Hour& HourOf(int64_t time_ms);
  void Forget(int64_t now_ms, IntakeRows* rows);
  void ForgetWriters(int64_t now_ms);

  const Runtime& runtime_;
  const SourcePlan& plan_;
  const IntakeNames names_;
  const TopicPartition log_;

  std::unique_ptr<Consumer> consumer_;
  std::deque<std::unique_ptr<Fetch>> fetches_;  // that aren't used up
  size_t used_ = 0;                             // records of the first
  packed::RequestPosition position_;
  RequestKeys keys_;
  std::deque<Hour> hours_;  // the oldest first
  // The newest notes, of one hour, until they are made one: the last of hours_' notes.
  int64_t merged_hour_ = 0;
  std::vector<std::string> merged_names_;
  packed::RequestsSeen merged_;
  Offset trimmed_ = 0;
  int64_t next_trim_us_ = 0;  // monotonic

  absl::Mutex mutex_;
  bool interrupted_ ABSL_GUARDED_BY(mutex_) = false;
};

// For IntakeThread.
SplitIntake::SourceMaker HttpSourceMaker(const Runtime& runtime, const SourcePlan& plan, std::string folder = "");

}  // namespace tidemark
