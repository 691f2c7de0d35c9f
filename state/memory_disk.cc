#include "state/memory_disk.h"

#include <utility>

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include "state/lossy_file_system.h"

namespace tidemark {
namespace {

class LossyDisk : public Disk {
 public:
  LossyDisk(std::unique_ptr<rocksdb::Env> env, std::shared_ptr<rocksdb::FileSystem> files)
      : env_(std::move(env)), files_(std::make_shared<LossyFiles>(std::move(files))) {}

  std::shared_ptr<rocksdb::FileSystem> Mount() override { return std::make_shared<LossyFileSystem>(files_); }
  bool in_memory() const override { return env_ != nullptr; }
  void Crash() override { files_->Crash(); }
  void SetFreeBytes(int64_t bytes) override { files_->SetFreeBytes(bytes); }

 private:
  const std::unique_ptr<rocksdb::Env> env_;  // the owner of files in memory; null over the machine's
  const std::shared_ptr<LossyFiles> files_;
};

}  // namespace

std::unique_ptr<Disk> NewMemoryDisk() {
  std::unique_ptr<rocksdb::Env> env(rocksdb::NewMemEnv(rocksdb::Env::Default()));
  std::shared_ptr<rocksdb::FileSystem> files = env->GetFileSystem();
  return std::make_unique<LossyDisk>(std::move(env), std::move(files));
}

std::unique_ptr<Disk> NewUnsyncedLosingDisk() {
  return std::make_unique<LossyDisk>(nullptr, rocksdb::FileSystem::Default());
}

}  // namespace tidemark
