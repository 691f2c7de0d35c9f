// A lake in memory with the faults of a crash, for tests and the simulator: what was not synced is gone after Crash().
// Outlives the sinks that use it; used by one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/storage/object_store.h"

namespace tidemark {

class MemoryObjectStore final : public ObjectStore {
 public:
  // The calls on files, and on the streams that write them.
  enum class Call { kCreate, kWrite, kClose, kSync, kMove, kExists, kList, kDelete };
  // Asked before and after the effect of each call with the file's name (kList: the folder's); an error is what the
  // call returns, with the effect or without. A write may so fail with its bytes in the file.
  using Faults = std::function<absl::Status(Call call, const std::string& name, bool after)>;
  void SetFaults(Faults faults) { faults_ = std::move(faults); }

  // The machine loses power: unsynced files and unsynced bytes are gone, streams that are open write into nothing.
  void Crash();
  // The next `calls` operations (those of streams don't count) succeed, later ones return `status` until Fail is called
  // again with OK. A move that fails this way has not begun.
  void Fail(int64_t calls, absl::Status status);

  // All files and their bytes as a reader sees them now.
  std::map<std::string, std::string> Files() const;

  std::string_view path() const override { return "memory"; }
  size_t max_open_files() const override { return 128; }
  absl::StatusOr<std::shared_ptr<arrow::io::OutputStream>> Create(const std::string& name) override;
  absl::Status Sync(const std::string& name) override;
  absl::Status Move(const std::string& from, const std::string& to) override;
  absl::StatusOr<bool> Exists(const std::string& name) override;
  absl::StatusOr<std::vector<std::string>> List(const std::string& folder, const std::string& prefix) override;
  absl::Status Delete(const std::string& name) override;

  struct File {
    std::string bytes;
    size_t durable_bytes = 0;
    bool durable_name = false;
  };

 private:
  friend class MemoryStoreStream;

  absl::Status Before(Call call, const std::string& name);
  absl::Status After(Call call, const std::string& name) const;

  std::map<std::string, std::shared_ptr<File>> files_;
  int64_t calls_left_ = 0;
  absl::Status failure_;
  Faults faults_;
};

}  // namespace tidemark
