#include "operators/sinks/postgres/memory.h"

#include <algorithm>

#include <arrow/record_batch.h>

#include "src/base/status.h"
#include "src/codec/json/value_writer.h"
#include "src/codec/key_encoder.h"

namespace tidemark {

// A transaction is the list of its changes: applied to the committed tables at the commit, so that what another session
// commits in between stands.
class MemoryPostgresSession final : public PostgresSession {
 public:
  explicit MemoryPostgresSession(MemoryPostgres* database) : database_(database) {}
  ~MemoryPostgresSession() override { Rollback(); }

  absl::Status Connect() override { return Call(); }

  absl::StatusOr<PostgresFence> BumpFence(int32_t partition) override {
    TM_RETURN_IF_ERROR(Call());
    if (LockedByAnother(partition)) return absl::UnavailableError("lock timeout");
    PostgresFence& fence = database_->committed_.fences[partition];
    ++fence.epoch;
    return fence;
  }
  absl::StatusOr<PostgresFence> ReadFence(int32_t partition) override {
    TM_RETURN_IF_ERROR(Call());
    return database_->Fence(partition);
  }

  absl::Status Begin() override {
    Rollback();
    return Call();
  }
  absl::StatusOr<bool> MoveFence(int32_t partition, const PostgresFence& expected, int64_t next_offset,
                                 const std::string& heard) override;
  absl::Status Write(const arrow::RecordBatch& rows) override;
  absl::Status Delete(const arrow::RecordBatch& rows) override;
  absl::Status Savepoint() override {
    TM_RETURN_IF_ERROR(Call());
    savepoint_ = changes_.size();
    return absl::OkStatus();
  }
  absl::Status RollbackToSavepoint() override {
    TM_RETURN_IF_ERROR(Call());
    changes_.resize(savepoint_);
    return absl::OkStatus();
  }
  absl::Status Commit() override;
  void Rollback() override {
    changes_.clear();
    std::erase_if(database_->locks_, [this](const auto& lock) { return lock.second == this; });
  }

 private:
  using Change = std::function<void(MemoryPostgres::Tables*)>;

  bool LockedByAnother(int32_t partition) const {
    const auto lock = database_->locks_.find(partition);
    return lock != database_->locks_.end() && lock->second != this;
  }
  absl::Status Call() {
    if (!database_->calls_left_ || (*database_->calls_left_)-- > 0) return absl::OkStatus();
    database_->calls_left_.reset();
    Rollback();
    return absl::UnavailableError("lost the connection");
  }
  // Whether the key is there as this transaction sees it.
  bool HasKey(const std::string& key) const {
    MemoryPostgres::Tables seen = database_->committed_;
    for (const Change& change : changes_) change(&seen);
    return seen.rows.contains(key);
  }

  MemoryPostgres* const database_;
  std::vector<Change> changes_;
  size_t savepoint_ = 0;
};

absl::StatusOr<bool> MemoryPostgresSession::MoveFence(int32_t partition, const PostgresFence& expected,
                                                      int64_t next_offset, const std::string& heard) {
  TM_RETURN_IF_ERROR(Call());
  if (LockedByAnother(partition)) return absl::UnavailableError("lock timeout");
  const PostgresFence fence = database_->Fence(partition);
  if (fence.epoch != expected.epoch || fence.next_offset != expected.next_offset) return false;
  database_->locks_[partition] = this;
  changes_.push_back([=](MemoryPostgres::Tables* tables) {
    tables->fences[partition].next_offset = next_offset;
    tables->fences[partition].heard = heard;
  });
  return true;
}

absl::Status MemoryPostgresSession::Write(const arrow::RecordBatch& rows) {
  TM_RETURN_IF_ERROR(Call());
  EncodedKeys keys;
  if (!database_->key_.empty()) TM_RETURN_IF_ERROR(EncodeKeys(rows, database_->key_, &keys));
  const bool unique = !database_->key_.empty();
  for (int64_t row = 0; row < rows.num_rows(); ++row) {
    std::string json = RowToJson(database_->schema_, rows, row);
    std::string key = unique ? std::string(keys[row]) : "";
    if (database_->refuses_ && database_->refuses_(json)) return absl::OutOfRangeError("refused");
    if (unique && !database_->upsert_ && HasKey(key)) return absl::OutOfRangeError("duplicate key");
    changes_.push_back([=](MemoryPostgres::Tables* tables) {
      if (unique) tables->rows.erase(key);
      tables->rows.emplace(key, json);
    });
  }
  return absl::OkStatus();
}

absl::Status MemoryPostgresSession::Delete(const arrow::RecordBatch& rows) {
  TM_RETURN_IF_ERROR(Call());
  EncodedKeys keys;
  TM_RETURN_IF_ERROR(EncodeKeys(rows, database_->key_, &keys));
  for (size_t row = 0; row < keys.size(); ++row) {
    changes_.push_back([key = std::string(keys[row])](MemoryPostgres::Tables* tables) { tables->rows.erase(key); });
  }
  return absl::OkStatus();
}

absl::Status MemoryPostgresSession::Commit() {
  const bool lost = database_->calls_left_ == 0;
  if (!lost || database_->commit_happens_) {
    for (const Change& change : changes_) change(&database_->committed_);
  }
  const absl::Status status = Call();
  Rollback();
  return status;
}

std::unique_ptr<PostgresSession> MemoryPostgres::NewSession() { return std::make_unique<MemoryPostgresSession>(this); }

void MemoryPostgres::LoseConnection(std::optional<int64_t> calls, bool commit_happens) {
  calls_left_ = calls;
  commit_happens_ = commit_happens;
}

std::vector<std::string> MemoryPostgres::Rows() const {
  std::vector<std::string> rows;
  for (const auto& [key, json] : committed_.rows) rows.push_back(json);
  std::sort(rows.begin(), rows.end());
  return rows;
}

PostgresFence MemoryPostgres::Fence(int32_t partition) const {
  const auto fence = committed_.fences.find(partition);
  return fence == committed_.fences.end() ? PostgresFence{} : fence->second;
}

}  // namespace tidemark
