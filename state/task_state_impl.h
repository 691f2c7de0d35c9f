// The TaskState over RocksDB. Made by StateDir::Take, and handed back to it by its destructor through `give_back`.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <rocksdb/write_batch.h>

#include "state/changelog.h"
#include "state/step_store.h"
#include "state/task_db.h"
#include "state/task_state.h"

namespace tidemark {

class RocksTaskState : public TaskState {
 public:
  using GiveBack = std::function<void(std::unique_ptr<TaskDb>)>;

  // Reads where the state stands. On an error the database goes back at once.
  static absl::StatusOr<std::unique_ptr<TaskState>> Load(const TaskId& task, const StateOptions& options,
                                                         std::unique_ptr<TaskDb> db, GiveBack give_back);
  ~RocksTaskState() override;

  StateStore* Store(std::string_view step) override;
  const packed::CommitRecord* committed() const override;
  Offset changelog_next() const override { return position_.next; }

  absl::Status Clear() override;
  absl::Status Replay(Offset offset, std::string_view value) override;
  absl::Status FinishReplay(Offset next) override;

  std::string Announce(uint64_t commit) override;
  absl::StatusOr<std::vector<std::string>> EncodeCommit(packed::CommitRecord* record) override;
  absl::Status Apply(const packed::CommitRecord& record, Offset first, Offset next) override;
  void DropUncommitted() override;

  Offset trim_before() const override;
  int64_t overlay_bytes() const override;
  int64_t live_bytes() const override { return db_->LiveBytes(); }

 private:
  // What EncodeCommit knows of the commit's records, for Apply.
  struct Encoded {
    int64_t bytes = 0;
    int64_t live_in_range = 0;
  };
  // What a restore has read and not yet written.
  struct Restore {
    // The first record read into empty state, and its commit; -1: what is needed is known to have been there. On disk
    // as well, until then: a restore that is interrupted goes on in another object.
    Offset start = -1;
    uint64_t start_commit = 0;
    Offset first = -1;                         // of the first part of the commit being read
    std::vector<packed::ChangelogPart> parts;  // of that commit
    int64_t bytes = 0;                         // of those
    rocksdb::WriteBatch batch;                 // of the commits before it
  };

  RocksTaskState(TaskId task, const StateOptions& options, std::unique_ptr<TaskDb> db, GiveBack give_back);

  absl::Status LoadPosition();
  absl::Status Contradiction(Offset offset, std::string_view what) const;
  absl::Status CheckFollows(Offset offset, const packed::ChangelogPart& part) const;
  absl::Status CheckWhole() const;
  void ReplayCommit(Offset next);
  absl::Status WriteReplayed();
  absl::StatusOr<int64_t> EncodeRange(packed::CommitRecord* record, CommitEncoder* encoder);
  std::vector<std::string> Finish(packed::CommitRecord* record, CommitEncoder* encoder) const;
  bool InOverlay(std::string_view full_key) const;

  const TaskId task_;
  const StateOptions options_;
  std::unique_ptr<TaskDb> db_;
  const GiveBack give_back_;
  std::map<std::string, std::unique_ptr<StepStore>> stores_;  // by prefix, so that keys come out in order
  LogPosition position_;      // of the newest commit applied; what is on disk, but for restore_.batch
  std::string announcement_;  // of the next commit to be encoded
  Encoded encoded_;
  Restore restore_;
};

}  // namespace tidemark
