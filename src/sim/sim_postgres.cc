#include "src/sim/sim_postgres.h"

#include <utility>

#include <arrow/record_batch.h>

#include "src/codec/json/value_writer.h"

namespace tidemark::sim {

class SimPostgres::Session final : public PostgresSession {
 public:
  Session(SimPostgres* database, std::shared_ptr<const bool> dead) : database_(database), dead_(std::move(dead)) {}

  absl::Status Connect() override { return Fault(); }

  // A transaction of its own: the epoch may have moved although the answer says nothing of it.
  absl::StatusOr<PostgresFence> BumpFence(int32_t partition) override {
    if (const absl::Status fault = Fault(); !fault.ok()) return fault;
    PostgresFence& fence = database_->fences_[partition];
    ++fence.epoch;
    if (const absl::Status lost = Lost(); !lost.ok()) return lost;
    return fence;
  }

  absl::Status Begin() override {
    Rollback();
    return Fault();
  }
  absl::StatusOr<bool> MoveFence(int32_t partition, const PostgresFence& expected, int64_t next_offset,
                                 const std::string& heard) override {
    if (const absl::Status fault = Fault(); !fault.ok()) return fault;
    const PostgresFence now = database_->fences_[partition];
    if (now.epoch != expected.epoch || now.next_offset != expected.next_offset) return false;
    fences_[partition] = {now.epoch, next_offset, heard};
    return true;
  }
  absl::StatusOr<PostgresFence> ReadFence(int32_t partition) override {
    if (const absl::Status fault = Fault(); !fault.ok()) return fault;
    return database_->fences_[partition];
  }
  absl::Status Write(const arrow::RecordBatch& rows) override {
    for (int64_t i = 0; i < rows.num_rows(); ++i) {
      changes_.push_back({KeyOf(rows, i), RowToJson(database_->schema_, rows, i)});
    }
    return Fault();
  }
  absl::Status Delete(const arrow::RecordBatch& rows) override {
    if (!database_->spec_.upsert) return absl::InternalError("append sinks delete nothing");
    for (int64_t i = 0; i < rows.num_rows(); ++i) changes_.push_back({KeyOf(rows, i), ""});
    return Fault();
  }
  absl::Status Savepoint() override { return Fault(); }
  absl::Status RollbackToSavepoint() override { return absl::InternalError("no row is ever refused here"); }
  absl::Status Commit() override {
    if (const absl::Status fault = Fault(); !fault.ok()) return fault;
    for (const auto& [partition, fence] : fences_) database_->fences_[partition] = fence;
    for (Change& change : changes_) Apply(std::move(change));
    Rollback();
    return Lost();
  }
  void Rollback() override {
    changes_.clear();
    fences_.clear();
  }

 private:
  struct Change {
    std::string key, row;  // row empty: a delete
  };

  std::string KeyOf(const arrow::RecordBatch& rows, int64_t row) const {
    if (!database_->spec_.upsert) return "";
    const std::vector<size_t>& key = database_->spec_.key;
    return RowToJson(database_->schema_.Select(key), **rows.SelectColumns(std::vector<int>(key.begin(), key.end())),
                     row);
  }

  void Apply(Change change) {
    if (!database_->spec_.upsert) {
      database_->inserted_.push_back(std::move(change.row));
    } else if (change.row.empty()) {
      database_->upserted_.erase(change.key);
    } else {
      database_->upserted_[change.key] = std::move(change.row);
    }
  }

  // A broken connection takes its transaction with it.
  absl::Status Fault() {
    if (!*dead_ && !database_->outside_.FailsBefore()) return absl::OkStatus();
    Rollback();
    return absl::UnavailableError("the connection broke");
  }
  absl::Status Lost() {
    return database_->outside_.FailsAfter() ? absl::UnavailableError("the answer was lost") : absl::OkStatus();
  }

  SimPostgres* const database_;
  const std::shared_ptr<const bool> dead_;
  std::map<int32_t, PostgresFence> fences_;
  std::vector<Change> changes_;
};

std::unique_ptr<PostgresSession> SimPostgres::NewSession(std::shared_ptr<const bool> dead) {
  return std::make_unique<Session>(this, std::move(dead));
}

std::vector<std::string> SimPostgres::Rows() const {
  std::vector<std::string> rows = inserted_;
  for (const auto& [key, row] : upserted_) rows.push_back(row);
  return rows;
}

}  // namespace tidemark::sim
