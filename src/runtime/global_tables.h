// The global tables of a process: read to the end they have at start before any reader's first row, then followed; each
// change is a new immutable version, swapped in between batches. Static tables are exact; changing ones are the one
// documented exception to determinism.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include "operators/join/table_snapshot.h"
#include "src/codec/formats.h"
#include "src/kafka/client.h"
#include "src/plan/plan.h"

namespace tidemark {

class GlobalTables {
 public:
  GlobalTables(const Plan& plan, KafkaClient* kafka, const Formats& formats = OwnFormats());
  ~GlobalTables();

  // Reads every table to the end it has now. InvalidArgument: a file or a record that doesn't fit its columns.
  // Cancelled: `stopped` has become true.
  absl::Status Load(const std::map<std::string, int32_t>& partitions, const std::function<bool()>& stopped);
  // Reads what has come since, of all tables together, waiting at most `max_wait_us`; swaps versions. A large table's
  // versions are made less often than its changes come, so that making them takes a tenth of the time at most. Unknown:
  // a log has been trimmed under the reader, and another start reads what it has. Called by one thread.
  absl::Status Follow(int64_t max_wait_us);
  // False where no table can change (files only).
  bool follows() const { return !topic_tables_.empty(); }

  // The current version. Any thread.
  std::shared_ptr<const TableSnapshot> Get(std::string_view name) const;

  struct Status {
    std::string name;
    int64_t rows = 0;
    int64_t bad_records = 0;
    std::string waits_for;  // its next record can't be read before that is here; "": nothing
  };
  std::vector<Status> Describe() const;

 private:
  struct TopicTable;

  absl::Status Begin(const TablePlan& plan, int32_t partitions);
  absl::Status ReadToEnd(const std::function<bool()>& stopped);
  absl::Status Take(PollResult polled);
  absl::StatusOr<bool> TakeKept();
  absl::StatusOr<size_t> TakeRows(TopicTable& table, const Fetch& fetch, size_t first);
  void Reached(const TopicPartition& partition, Offset position);
  absl::Status Publish(TopicTable& table);
  void Set(const std::string& name, std::shared_ptr<const TableSnapshot> snapshot);

  const Plan& plan_;
  KafkaClient* const kafka_;
  const Formats& formats_;
  // Touched by the loading, then the following thread.
  std::vector<std::unique_ptr<TopicTable>> topic_tables_;
  std::unique_ptr<Consumer> reader_;                  // of all their topics
  std::map<TopicPartition, Offset> starts_, target_;  // where reading begins; what is still to be read at start
  // Polled, not taken: a record of the first of them has to wait for something. Nothing is polled meanwhile, so all
  // tables stand as they are.
  struct Kept {
    std::unique_ptr<Fetch> fetch;
    size_t table = 0, next = 0;  // the table, of those that are made of this topic, that waits, and its record
  };
  std::deque<Kept> kept_;
  std::vector<std::pair<TopicPartition, Offset>> kept_ends_;  // reached behind them

  mutable absl::Mutex mutex_;
  std::map<std::string, std::shared_ptr<const TableSnapshot>, std::less<>> current_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, int64_t> bad_records_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> waits_for_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tidemark
