#include "tests/sim/sim_postgres.h"

#include "src/codec/json_encoder.h"

namespace tidemark::sim {

class SimPostgres::Session final : public PostgresSession {
 public:
  explicit Session(SimPostgres* database) : database_(database) {}

  absl::Status Connect() override { return Fault(); }

  absl::StatusOr<PostgresFence> BumpFence(int32_t partition) override {
    if (const absl::Status fault = Fault(); !fault.ok()) return fault;
    PostgresFence& fence = database_->fences_[partition];
    ++fence.epoch;
    return fence;
  }

  absl::Status Begin() override {
    pending_rows_.clear();
    pending_fences_.clear();
    return Fault();
  }
  absl::StatusOr<bool> MoveFence(int32_t partition, const PostgresFence& expected, int64_t next_offset,
                                 const std::string& heard) override {
    if (const absl::Status fault = Fault(); !fault.ok()) return fault;
    const PostgresFence now = database_->fences_[partition];
    if (now.epoch != expected.epoch || now.next_offset != expected.next_offset) return false;
    pending_fences_[partition] = {now.epoch, next_offset, heard};
    return true;
  }
  absl::StatusOr<PostgresFence> ReadFence(int32_t partition) override {
    if (const absl::Status fault = Fault(); !fault.ok()) return fault;
    return database_->fences_[partition];
  }
  absl::Status Write(const arrow::RecordBatch& rows) override {
    for (int64_t i = 0; i < rows.num_rows(); ++i) pending_rows_.push_back(RowToJson(database_->schema_, rows, i));
    return Fault();
  }
  absl::Status Delete(const arrow::RecordBatch&) override { return absl::InternalError("append sinks delete nothing"); }
  absl::Status Savepoint() override { return absl::OkStatus(); }
  absl::Status RollbackToSavepoint() override { return absl::InternalError("no row is ever refused here"); }
  absl::Status Commit() override {
    if (const absl::Status fault = Fault(); !fault.ok()) return fault;
    const bool lost = database_->random_->Chance(database_->faults_.commit_lost);
    if (!lost || database_->random_->Below(2) == 0) {
      for (const auto& [partition, fence] : pending_fences_) database_->fences_[partition] = fence;
      for (std::string& row : pending_rows_) database_->rows_.push_back(std::move(row));
    }
    Rollback();
    return lost ? absl::UnavailableError("the answer to COMMIT was lost") : absl::OkStatus();
  }
  void Rollback() override {
    pending_rows_.clear();
    pending_fences_.clear();
  }

 private:
  absl::Status Fault() {
    if (!database_->random_->Chance(database_->faults_.unavailable)) return absl::OkStatus();
    Rollback();
    return absl::UnavailableError("the connection broke");
  }

  SimPostgres* const database_;
  std::map<int32_t, PostgresFence> pending_fences_;
  std::vector<std::string> pending_rows_;
};

std::unique_ptr<PostgresSession> SimPostgres::NewSession() { return std::make_unique<Session>(this); }

}  // namespace tidemark::sim
