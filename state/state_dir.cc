#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/strings/str_cat.h>

#include "src/base/status.h"
#include "state/disk.h"
#include "state/folder.h"
#include "state/task_db.h"
#include "state/task_state.h"
#include "state/task_state_impl.h"

namespace tidemark {
namespace {

// What the StateDir and the TaskStates taken from it share; the last of them closes the folder.
struct Folder {
  std::string path;
  StateOptions options;
  std::unique_ptr<FolderLock> lock;  // null in memory
  DbResources resources;

  std::mutex mutex;
  // Open databases that no one uses.
  std::map<TaskId, std::unique_ptr<TaskDb>> idle ABSL_GUARDED_BY(mutex);
  // Tasks whose database is in use, or being opened or closed.
  std::set<TaskId> busy ABSL_GUARDED_BY(mutex);
  bool closed ABSL_GUARDED_BY(mutex) = false;  // the StateDir is gone: nothing stays open
};

void GiveBack(Folder* folder, const TaskId& task, std::unique_ptr<TaskDb> db) {
  {
    const std::lock_guard lock(folder->mutex);
    if (!folder->closed && db != nullptr && db->open()) {
      folder->busy.erase(task);
      folder->idle[task] = std::move(db);
      return;
    }
  }
  db.reset();
  const std::lock_guard lock(folder->mutex);
  folder->busy.erase(task);
}

class RocksStateDir : public StateDir {
 public:
  explicit RocksStateDir(std::shared_ptr<Folder> folder) : folder_(std::move(folder)) {}
  ~RocksStateDir() override {
    {
      const std::lock_guard lock(folder_->mutex);
      folder_->closed = true;
    }
    CloseAllBut({});
  }

  absl::StatusOr<std::unique_ptr<TaskState>> Take(const TaskId& task) override;
  absl::Status Forget(const TaskId& task) override;
  void CloseAllBut(const std::vector<TaskId>& keep) override;

 private:
  absl::StatusOr<std::unique_ptr<TaskDb>> OpenDb(const TaskId& task);

  const std::shared_ptr<Folder> folder_;
};

absl::StatusOr<std::unique_ptr<TaskDb>> RocksStateDir::OpenDb(const TaskId& task) {
  const std::string path = absl::StrCat(folder_->path, "/", task.ToString());
  TM_RETURN_IF_ERROR(MakeFolder(folder_->resources.files.get(), path));
  return TaskDb::Open(path, folder_->resources);
}

absl::StatusOr<std::unique_ptr<TaskState>> RocksStateDir::Take(const TaskId& task) {
  std::unique_ptr<TaskDb> db;
  {
    const std::lock_guard lock(folder_->mutex);
    if (!folder_->busy.insert(task).second) {
      return absl::UnavailableError(absl::StrCat("the state of ", task.ToString(), " is still open in this process"));
    }
    if (const auto it = folder_->idle.find(task); it != folder_->idle.end()) {
      db = std::move(it->second);
      folder_->idle.erase(it);
    }
  }
  if (db == nullptr) {
    absl::StatusOr<std::unique_ptr<TaskDb>> opened = OpenDb(task);
    if (!opened.ok()) {
      GiveBack(folder_.get(), task, nullptr);
      return opened.status();
    }
    db = *std::move(opened);
  }
  return RocksTaskState::Load(
      task, folder_->options, std::move(db),
      [folder = folder_, task](std::unique_ptr<TaskDb> used) { GiveBack(folder.get(), task, std::move(used)); });
}

absl::Status RocksStateDir::Forget(const TaskId& task) {
  std::unique_ptr<TaskDb> db;
  {
    const std::lock_guard lock(folder_->mutex);
    if (!folder_->busy.insert(task).second) {
      return absl::UnavailableError(absl::StrCat("the state of ", task.ToString(), " is still open in this process"));
    }
    if (auto node = folder_->idle.extract(task)) db = std::move(node.mapped());
  }
  db.reset();
  const std::string path = absl::StrCat(folder_->path, "/", task.ToString());
  absl::Status status = MakeFolder(folder_->resources.files.get(), path);
  if (status.ok()) status = TaskDb::Destroy(path, folder_->resources);
  GiveBack(folder_.get(), task, nullptr);
  return status;
}

void RocksStateDir::CloseAllBut(const std::vector<TaskId>& keep) {
  std::map<TaskId, std::unique_ptr<TaskDb>> closing;
  {
    const std::lock_guard lock(folder_->mutex);
    std::map<TaskId, std::unique_ptr<TaskDb>> kept;
    for (const TaskId& task : keep) {
      if (auto node = folder_->idle.extract(task)) kept.insert(std::move(node));
    }
    closing = std::exchange(folder_->idle, std::move(kept));
    for (const auto& [task, db] : closing) folder_->busy.insert(task);
  }
  // Flushes: not under the lock.
  for (auto& [task, db] : closing) {
    db.reset();
    const std::lock_guard lock(folder_->mutex);
    folder_->busy.erase(task);
  }
}

DbResources MakeResources(const StateOptions& options, Disk* disk) {
  DbResources resources;
  resources.files = disk != nullptr ? disk->Mount() : rocksdb::FileSystem::Default();
  resources.env = rocksdb::NewCompositeEnv(resources.files);
  const auto memory = static_cast<size_t>(options.memory_bytes);
  resources.cache = rocksdb::NewLRUCache(memory);
  resources.write_buffers = std::make_shared<rocksdb::WriteBufferManager>(memory / 2, resources.cache);
  resources.flush_bytes = options.flush_bytes;
  resources.deterministic = disk != nullptr && disk->in_memory();
  return resources;
}

}  // namespace

absl::StatusOr<std::unique_ptr<StateDir>> StateDir::Open(const std::string& path, const StateOptions& options,
                                                         Disk* disk) {
  auto folder = std::make_shared<Folder>();
  folder->path = path;
  folder->options = options;
  folder->resources = MakeResources(options, disk);
  rocksdb::FileSystem* files = folder->resources.files.get();
  TM_RETURN_IF_ERROR(MakeFolder(files, path));
  if (disk == nullptr || !disk->in_memory()) {
    TM_ASSIGN_OR_RETURN(folder->lock, FolderLock::Take(path));
  }
  TM_RETURN_IF_ERROR(TagFolder(files, path, options.application));
  return std::make_unique<RocksStateDir>(std::move(folder));
}

}  // namespace tidemark
