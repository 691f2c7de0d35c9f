#include "state/task_db_failpoints.h"

#include <memory>

#include <rocksdb/listener.h>
#include <rocksdb/slice_transform.h>

#include "src/base/failpoint.h"

namespace tidemark {
namespace {

// Asked about each key on its way into the write buffer, whether it has a hint where to go: never.
class InsertFailpoint : public rocksdb::SliceTransform {
 public:
  const char* Name() const override { return "tidemark.InsertFailpoint"; }
  rocksdb::Slice Transform(const rocksdb::Slice& key) const override { return key; }
  bool InDomain(const rocksdb::Slice& key) const override {
    const bool position = key.size() == 1 && key[0] == '\0';  // the first key of every batch
    if (!position) Failpoint("state.apply.middle").IgnoreError();
    return false;
  }
};

class FlushFailpoint : public rocksdb::EventListener {
 public:
  void OnTableFileCreated(const rocksdb::TableFileCreationInfo& info) override {
    if (info.reason == rocksdb::TableFileCreationReason::kFlush && info.status.ok()) {
      Failpoint("state.flush.middle").IgnoreError();
    }
  }
};

}  // namespace

void InstallFailpoints(rocksdb::Options* options) {
  options->memtable_insert_with_hint_prefix_extractor = std::make_shared<InsertFailpoint>();
  options->listeners.push_back(std::make_shared<FlushFailpoint>());
}

}  // namespace tidemark
