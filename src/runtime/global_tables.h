// The global tables of a process: read to the end they have at start before any reader's first row, then followed; each
// change is a new immutable version, swapped in between batches. Static tables are exact; changing ones are the one
// documented exception to determinism.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include "operators/table.h"
#include "src/kafka/client.h"
#include "src/plan/plan.h"

namespace tidemark {

class GlobalTables {
 public:
  GlobalTables(const Plan& plan, KafkaClient* kafka);
  ~GlobalTables();

  // Reads every table to the end it has now. InvalidArgument: a file or a record that doesn't fit its columns.
  absl::Status Load(const std::map<std::string, int32_t>& partitions);
  // Reads what has come since, waiting at most `max_wait_us`; swaps versions. Called by one thread.
  absl::Status Follow(int64_t max_wait_us);
  // False where no table can change (files only).
  bool follows() const { return !topic_tables_.empty(); }

  // The current version. Any thread.
  std::shared_ptr<const TableSnapshot> Get(std::string_view name) const;

  struct Status {
    std::string name;
    int64_t rows = 0;
    int64_t bad_records = 0;
  };
  std::vector<Status> Describe() const;

 private:
  struct TopicTable;

  absl::Status ReadToEnd(TopicTable& table);
  absl::Status Take(TopicTable& table, PollResult polled);
  absl::Status Publish(TopicTable& table);
  void Set(const std::string& name, std::shared_ptr<const TableSnapshot> snapshot);

  const Plan& plan_;
  KafkaClient* const kafka_;
  std::vector<std::unique_ptr<TopicTable>> topic_tables_;  // touched by the loading, then the following thread

  mutable absl::Mutex mutex_;
  std::map<std::string, std::shared_ptr<const TableSnapshot>, std::less<>> current_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, int64_t> bad_records_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tidemark
