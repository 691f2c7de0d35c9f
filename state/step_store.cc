#include "state/step_store.h"

#include <utility>

#include <absl/strings/str_cat.h>

#include "state/changelog.h"

namespace tidemark {
namespace {

// Never empty and never starting with 0 (the task's own key), and no step's prefix is the start of another's.
std::string PrefixOf(std::string_view step) {
  std::string prefix;
  size_t length = step.size() + 1;
  for (; length >= 0x80; length >>= 7) prefix.push_back(static_cast<char>(0x80 | (length & 0x7f)));
  prefix.push_back(static_cast<char>(length));
  prefix.append(step);
  return prefix;
}

// Two sorted sequences as one: the overlay hides what the disk has under the same key.
class MergedIterator : public StateIterator {
 public:
  MergedIterator(TaskDb* db, std::string_view prefix, std::string_view begin, std::string_view end,
                 StepStore::Overlay::const_iterator overlay, StepStore::Overlay::const_iterator overlay_end)
      : prefix_bytes_(prefix.size()),
        upper_(end.empty() ? BehindPrefix(std::string(prefix)) : std::string(prefix).append(end)),
        upper_slice_(upper_),
        disk_(db->NewIterator(upper_.empty() ? nullptr : &upper_slice_, true)),
        overlay_(overlay),
        overlay_end_(overlay_end) {
    disk_->Seek(std::string(prefix).append(begin));
    Settle();
  }

  bool Valid() const override { return valid_; }
  std::string_view key() const override { return from_overlay_ ? std::string_view(overlay_->first) : DiskKey(); }
  std::string_view value() const override {
    return from_overlay_ ? std::string_view(*overlay_->second) : ToView(disk_->value());
  }
  void Next() override {
    if (from_overlay_) {
      ++overlay_;
    } else {
      disk_->Next();
    }
    Settle();
  }
  absl::Status status() const override { return FromRocks(disk_->status(), "scanning the state"); }

 private:
  std::string_view DiskKey() const { return ToView(disk_->key()).substr(prefix_bytes_); }

  // Finds the next key that is visible, from where both sides stand.
  void Settle() {
    while (overlay_ != overlay_end_ && disk_->status().ok()) {
      const int order = disk_->Valid() ? std::string_view(overlay_->first).compare(DiskKey()) : -1;
      if (order > 0) break;
      if (order == 0) disk_->Next();
      if (overlay_->second.has_value()) {
        valid_ = from_overlay_ = true;
        return;
      }
      ++overlay_;
    }
    from_overlay_ = false;
    valid_ = disk_->Valid();
  }

  const size_t prefix_bytes_;
  const std::string upper_;
  const rocksdb::Slice upper_slice_;
  const std::unique_ptr<rocksdb::Iterator> disk_;
  StepStore::Overlay::const_iterator overlay_;
  const StepStore::Overlay::const_iterator overlay_end_;
  bool valid_ = false;
  bool from_overlay_ = false;
};

}  // namespace

std::string BehindPrefix(std::string prefix) {
  while (!prefix.empty() && prefix.back() == '\xff') prefix.pop_back();
  if (!prefix.empty()) prefix.back() = static_cast<char>(prefix.back() + 1);
  return prefix;
}

StepStore::StepStore(std::string_view step, TaskDb* db) : prefix_(PrefixOf(step)), db_(db) {}

absl::StatusOr<std::optional<std::string>> StepStore::Get(std::string_view key) {
  if (!overlay_.empty()) {
    const auto it = overlay_.find(key);
    if (it != overlay_.end()) return it->second;
  }
  key_.assign(prefix_).append(key);
  return db_->Get(key_);
}

std::optional<std::string>& StepStore::Slot(std::string_view key) {
  auto it = overlay_.lower_bound(key);
  if (it == overlay_.end() || it->first != key) {
    it = overlay_.emplace_hint(it, std::string(key), std::nullopt);
    overlay_bytes_ += static_cast<int64_t>(key.size());
  } else if (it->second.has_value()) {
    overlay_bytes_ -= static_cast<int64_t>(it->second->size());
  }
  return it->second;
}

void StepStore::Put(std::string_view key, std::string_view value) {
  if (value.size() > kMaxValueBytes || prefix_.size() + key.size() > kMaxKeyBytes) {
    put_status_.Update(absl::InternalError(absl::StrCat(
        "a key of ", key.size(), " bytes with a value of ", value.size(),
        " bytes was put into state; a changelog record holds at most ", kMaxKeyBytes, " and ", kMaxValueBytes)));
    return;
  }
  std::optional<std::string>& slot = Slot(key);
  if (slot.has_value()) {
    slot->assign(value);
  } else {
    slot.emplace(value);
  }
  overlay_bytes_ += static_cast<int64_t>(value.size());
}

void StepStore::Delete(std::string_view key) { Slot(key).reset(); }

std::unique_ptr<StateIterator> StepStore::Scan(std::string_view begin, std::string_view end) {
  const auto last = end.empty() ? overlay_.end() : overlay_.lower_bound(end);
  const auto first = !end.empty() && end < begin ? last : overlay_.lower_bound(begin);
  return std::make_unique<MergedIterator>(db_, prefix_, begin, end, first, last);
}

void StepStore::DropOverlay() {
  overlay_.clear();
  overlay_bytes_ = 0;
  put_status_ = absl::OkStatus();
}

}  // namespace tidemark
