// StepStore: the StateStore of one step. Uncommitted writes lie in an ordered map, the overlay; those of a commit that
// is being decided lie sealed beneath it while the next commit's gather. Reads look into the overlay, then into what is
// sealed, then into the task's RocksDB, where the step's keys share a prefix: the name's length and the name. So what a
// key means depends on nothing but the name, on every machine and after every restore.
//
// Touched only by the task's stream thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <absl/container/btree_map.h>
#include <absl/status/status.h>

#include "state/store.h"
#include "state/task_db.h"

namespace tidemark {

class StepStore : public StateStore {
 public:
  // No value: deleted.
  using Overlay = absl::btree_map<std::string, std::optional<std::string>, std::less<>>;

  StepStore(std::string_view step, TaskDb* db);

  absl::StatusOr<std::optional<std::string>> Get(std::string_view key) override;
  absl::StatusOr<bool> Read(std::string_view key, absl::FunctionRef<void(std::string_view value)> visit) override;
  void Put(std::string_view key, std::string_view value) override;
  void Delete(std::string_view key) override;
  void NeedFormat(uint32_t format) override { needs_format_ = std::max(needs_format_, format); }
  std::unique_ptr<StateIterator> Scan(std::string_view begin, std::string_view end) override;

  const std::string& prefix() const { return prefix_; }
  uint32_t needs_format() const { return needs_format_; }
  const Overlay& overlay() const { return overlay_; }
  const Overlay& sealed() const { return sealed_; }
  int64_t overlay_bytes() const { return overlay_bytes_ + sealed_bytes_; }
  // An error if a key or value was put that no changelog record can hold.
  const absl::Status& put_status() const { return put_status_; }

  // The overlay is a commit's from now on, and a new one begins. Nothing may be sealed yet.
  void Seal();
  // The sealed writes have reached RocksDB.
  void DropSealed();
  // The sealed writes join those made since, which win: only for Mutation::kOverlayKeptAfterAbort.
  void Unseal();
  // Abort: both are forgotten.
  void DropUncommitted();

 private:
  std::optional<std::string>& Slot(std::string_view key);

  const std::string prefix_;
  TaskDb* const db_;
  Overlay overlay_, sealed_;
  int64_t overlay_bytes_ = 0, sealed_bytes_ = 0;
  absl::Status put_status_;
  uint32_t needs_format_ = 0;
  std::string key_;  // scratch: a full key
};

// The smallest string that is greater than all strings with that prefix; empty if there is none.
std::string BehindPrefix(std::string prefix);

}  // namespace tidemark
