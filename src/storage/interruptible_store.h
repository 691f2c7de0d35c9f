// A lake whose calls can be refused by a flag, for a shutdown: a cut or a move of many files ends with the call that is
// under way. Thread-compatible, as the lake it stands in front of.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/base/status.h"
#include "src/storage/object_store.h"

namespace tidemark {

class InterruptibleObjectStore final : public ObjectStore {
 public:
  // Once `interrupted`, which outlives the lake, is true, every call returns Unavailable.
  InterruptibleObjectStore(std::unique_ptr<ObjectStore> lake, const std::atomic<bool>* interrupted)
      : lake_(std::move(lake)), interrupted_(interrupted) {}

  std::string_view path() const override { return lake_->path(); }
  size_t max_open_files() const override { return lake_->max_open_files(); }
  absl::StatusOr<std::shared_ptr<arrow::io::OutputStream>> Create(const std::string& name) override {
    TM_RETURN_IF_ERROR(Check());
    return lake_->Create(name);
  }
  absl::Status Sync(const std::string& name) override {
    TM_RETURN_IF_ERROR(Check());
    return lake_->Sync(name);
  }
  absl::Status Move(const std::string& from, const std::string& to) override {
    TM_RETURN_IF_ERROR(Check());
    return lake_->Move(from, to);
  }
  absl::StatusOr<bool> Exists(const std::string& name) override {
    TM_RETURN_IF_ERROR(Check());
    return lake_->Exists(name);
  }
  absl::StatusOr<std::vector<std::string>> List(const std::string& folder, const std::string& prefix) override {
    TM_RETURN_IF_ERROR(Check());
    return lake_->List(folder, prefix);
  }
  absl::Status Delete(const std::string& name) override {
    TM_RETURN_IF_ERROR(Check());
    return lake_->Delete(name);
  }

 private:
  absl::Status Check() const {
    if (!interrupted_->load(std::memory_order_relaxed)) return absl::OkStatus();
    return absl::UnavailableError(absl::StrCat("lake ", std::string(lake_->path()), ": interrupted"));
  }

  const std::unique_ptr<ObjectStore> lake_;
  const std::atomic<bool>* const interrupted_;
};

}  // namespace tidemark
