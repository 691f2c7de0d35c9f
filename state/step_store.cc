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

// A part of an overlay, from its iterator on.
struct OverlayRange {
  StepStore::Overlay::const_iterator at, end;

  bool Done() const { return at == end; }
  std::string_view key() const { return at->first; }
};

OverlayRange RangeOf(const StepStore::Overlay& overlay, std::string_view begin, std::string_view end) {
  const auto last = end.empty() ? overlay.end() : overlay.lower_bound(end);
  return {!end.empty() && end < begin ? last : overlay.lower_bound(begin), last};
}

// Sorted sequences as one: the overlay hides what is sealed under the same key, and both hide what the disk has.
class MergedIterator : public StateIterator {
 public:
  MergedIterator(TaskDb* db, std::string_view prefix, std::string_view begin, std::string_view end,
                 OverlayRange overlay, OverlayRange sealed)
      : prefix_bytes_(prefix.size()),
        upper_(end.empty() ? BehindPrefix(std::string(prefix)) : std::string(prefix).append(end)),
        upper_slice_(upper_),
        disk_(db->NewIterator(upper_.empty() ? nullptr : &upper_slice_, true)),
        overlay_(overlay),
        sealed_(sealed) {
    disk_->Seek(std::string(prefix).append(begin));
    Settle();
  }

  bool Valid() const override { return valid_; }
  std::string_view key() const override { return from_ != nullptr ? from_->key() : DiskKey(); }
  std::string_view value() const override {
    return from_ != nullptr ? std::string_view(*from_->at->second) : ToView(disk_->value());
  }
  void Next() override {
    if (from_ != nullptr) {
      ++from_->at;
    } else {
      disk_->Next();
    }
    Settle();
  }
  absl::Status status() const override { return FromRocks(disk_->status(), "scanning the state"); }

 private:
  std::string_view DiskKey() const { return ToView(disk_->key()).substr(prefix_bytes_); }

  // The overlay whose next key comes first; a sealed write of that same key is passed over. Null: both are at their
  // end.
  OverlayRange* FirstOverlay() {
    if (sealed_.Done()) return overlay_.Done() ? nullptr : &overlay_;
    if (overlay_.Done()) return &sealed_;
    const int order = overlay_.key().compare(sealed_.key());
    if (order == 0) ++sealed_.at;
    return order <= 0 ? &overlay_ : &sealed_;
  }

  // Finds the next key that is visible, from where all sides stand.
  void Settle() {
    while (disk_->status().ok()) {
      from_ = FirstOverlay();
      if (from_ == nullptr) break;
      const int order = disk_->Valid() ? from_->key().compare(DiskKey()) : -1;
      if (order > 0) break;
      if (order == 0) disk_->Next();
      if (from_->at->second.has_value()) {
        valid_ = true;
        return;
      }
      ++from_->at;
    }
    from_ = nullptr;
    valid_ = disk_->Valid();
  }

  const size_t prefix_bytes_;
  const std::string upper_;
  const rocksdb::Slice upper_slice_;
  const std::unique_ptr<rocksdb::Iterator> disk_;
  OverlayRange overlay_, sealed_;
  bool valid_ = false;
  OverlayRange* from_ = nullptr;  // where the current key comes from; null: the disk
};

}  // namespace

std::string BehindPrefix(std::string prefix) {
  while (!prefix.empty() && prefix.back() == '\xff') prefix.pop_back();
  if (!prefix.empty()) prefix.back() = static_cast<char>(prefix.back() + 1);
  return prefix;
}

StepStore::StepStore(std::string_view step, TaskDb* db) : prefix_(PrefixOf(step)), db_(db) {}

absl::StatusOr<std::optional<std::string>> StepStore::Get(std::string_view key) {
  for (const Overlay* overlay : {&overlay_, &sealed_}) {
    if (overlay->empty()) continue;
    const auto it = overlay->find(key);
    if (it != overlay->end()) return it->second;
  }
  key_.assign(prefix_).append(key);
  return db_->Get(key_);
}

absl::StatusOr<bool> StepStore::Read(std::string_view key, absl::FunctionRef<void(std::string_view value)> visit) {
  for (const Overlay* overlay : {&overlay_, &sealed_}) {
    if (overlay->empty()) continue;
    const auto it = overlay->find(key);
    if (it == overlay->end()) continue;
    if (it->second.has_value()) visit(*it->second);
    return it->second.has_value();
  }
  key_.assign(prefix_).append(key);
  return db_->Read(key_, visit);
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
  return std::make_unique<MergedIterator>(db_, prefix_, begin, end, RangeOf(overlay_, begin, end),
                                          RangeOf(sealed_, begin, end));
}

void StepStore::Seal() {
  sealed_ = std::exchange(overlay_, {});
  sealed_bytes_ = std::exchange(overlay_bytes_, 0);
}

void StepStore::DropSealed() {
  sealed_.clear();
  sealed_bytes_ = 0;
}

void StepStore::Unseal() {
  overlay_.merge(sealed_);
  overlay_bytes_ += sealed_bytes_;
  DropSealed();
}

void StepStore::DropUncommitted() {
  DropSealed();
  overlay_.clear();
  overlay_bytes_ = 0;
  put_status_ = absl::OkStatus();
}

}  // namespace tidemark
