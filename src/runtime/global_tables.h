// The global tables of a process: read to the end they have at start before any reader's first row, then followed; each
// change is a new immutable version, swapped in between batches. A table from files is such a version whole, and where
// they are read again (`reload`), what they hold next is another one; what can't be read as a whole is none, and the
// former stands. Static tables are exact; changing ones are the one documented exception to determinism.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
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
  // `say` is told of a table whose next record waits for what isn't here (docs: a schema), and "" when none does any
  // more.
  absl::Status Load(const std::map<std::string, int32_t>& partitions, const std::function<bool()>& stopped,
                    const std::function<void(std::string)>& say = nullptr);
  // Reads what has come since, of all tables together, waiting at most `max_wait_us`; swaps versions. A large table's
  // versions are made less often than its changes come, so that making them takes a tenth of the time at most. Unknown:
  // a log has been trimmed under the reader, and another start reads what it has. Called by one thread.
  absl::Status Follow(int64_t max_wait_us);
  // False where no table can change.
  bool follows() const { return !topic_tables_.empty() || reloads_; }

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
  struct FileTable;
  // By partition: polled, not read, as the next record waits for something. The other partitions go on.
  struct Kept {
    std::deque<std::unique_ptr<Fetch>> fetches;
    size_t table = 0, next = 0;  // of the first fetch: the table, of those made of this topic, that waits, its record
    std::string waits_for;
    std::optional<Offset> end;  // reached behind them
    int64_t since_us = 0;       // monotonic
    bool said = false;
  };

  absl::Status LoadFiles(const TablePlan& plan);
  void Reload(FileTable& table);
  absl::Status FollowTopics(int64_t max_wait_us);
  absl::Status Begin(const TablePlan& plan, int32_t partitions);
  absl::Status ReadToEnd(const std::function<bool()>& stopped);
  absl::StatusOr<PollResult> Poll(int64_t max_wait_us);
  absl::Status Take(PollResult polled);
  // Reads on where a record had to wait, and holds the partitions where one does.
  absl::Status TakeKept();
  // What of a partition was polled and isn't read yet. True: now all is.
  absl::StatusOr<bool> TakeFrom(const TopicPartition& partition, Kept& kept);
  void SayWait(const TopicPartition& partition, const TopicTable& table, bool over, Kept& kept);
  absl::Status TakeRows(TopicTable& table, Kept* kept);
  void NoteWaits();
  void Reached(const TopicPartition& partition, Offset position);
  absl::Status Publish(TopicTable& table);
  void Set(const std::string& name, std::shared_ptr<const TableSnapshot> snapshot);

  const Plan& plan_;
  KafkaClient* const kafka_;
  const Formats& formats_;
  // Touched by the loading, then the following thread.
  std::vector<std::unique_ptr<TopicTable>> topic_tables_;
  std::vector<std::unique_ptr<FileTable>> file_tables_;  // those that are read again
  bool reloads_ = false;
  std::unique_ptr<Consumer> reader_;                  // of all their topics
  std::map<TopicPartition, Offset> starts_, target_;  // where reading begins; what is still to be read at start
  std::map<TopicPartition, Kept> kept_;
  std::set<TopicPartition> held_;  // of them, those that the reader holds back
  bool waits_noted_ = false;
  std::function<void(std::string)> say_;

  mutable absl::Mutex mutex_;
  std::map<std::string, std::shared_ptr<const TableSnapshot>, std::less<>> current_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, int64_t> bad_records_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> waits_for_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> unread_ ABSL_GUARDED_BY(mutex_);  // why a table's files can't be read again
};

}  // namespace tidemark
