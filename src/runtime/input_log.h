// Where a task goes on in an input whose log may have changed since the task's last commit: trimmed past its position
// by retention or by hand, cut off behind it, or deleted and made again under its name. A topic's id tells the last one
// (KIP-516): an old offset of another topic means nothing, and is never read on from.
//
// Asked whenever tasks are opened, which is also what a stream thread does where its consumer finds a position outside
// of the log, and where the worker sees that a topic has got another id.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include "src/kafka/client.h"
#include "src/plan/plan.h"

namespace tidemark {

struct InputLog {
  std::string topic_id;         // empty: the brokers tell none
  Offset start = -1, end = -1;  // -1: its leader is away; the first fetch tells whether a position lies within
};
using InputLogs = std::map<TopicPartition, InputLog>;

// Unavailable where nobody answers, FailedPrecondition where a topic is gone.
absl::StatusOr<InputLogs> AskInputLogs(Admin& admin, const std::vector<TopicPartition>& inputs);

struct ContinueAt {
  Offset position = 0;
  int64_t lost = 0;  // offsets that nobody will read; 0 also where it can't be known
  std::string what;  // what has happened to the log; empty: nothing, `position` is the task's own
};

// A task stands at `position` of a source, in a topic that had the id `topic_id` then (empty: not known). An error,
// which says what happened and the way on, unless the source's on_data_loss is `skip`. OutOfRange: records are gone
// that were never read. FailedPrecondition: it is another topic.
absl::StatusOr<ContinueAt> ContinueSource(const SourcePlan& source, int32_t partition, Offset position,
                                          const std::string& topic_id, const InputLog& log);

// The same of an internal topic, where nothing may ever be gone: FailedPrecondition.
absl::Status CheckInternalLog(const TopicPartition& input, Offset position, const std::string& topic_id,
                              const InputLog& log);

// True where a topic that had one of these ids, which tasks were opened with, has another one now. False where nobody
// can tell.
bool TopicsMadeAgain(Admin& admin, const std::map<std::string, std::string>& topic_ids);

// What this process has skipped, by source. Thread-safe.
class SourceLosses {
 public:
  struct Loss {
    int64_t records = 0;  // offsets that were skipped, as far as it is known
    int64_t skips = 0;    // how often
  };
  // Shows a source before anything is lost.
  void Declare(const std::string& source);
  // A task that stood at `position` went on elsewhere. Counts once where it does so again before its next commit.
  void Add(const std::string& source, int32_t partition, Offset position, int64_t records);
  std::map<std::string, Loss> Get() const;

 private:
  mutable absl::Mutex mutex_;
  std::map<std::string, Loss> losses_ ABSL_GUARDED_BY(mutex_);
  std::map<std::pair<std::string, int32_t>, Offset> left_ ABSL_GUARDED_BY(mutex_);  // where each partition did so last
};

}  // namespace tidemark
