#include "src/views/changes.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <string_view>
#include <utility>

#include <absl/strings/ascii.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <glog/logging.h>

#include "src/base/status.h"
#include "src/codec/column_text.h"
#include "src/codec/formats.h"

namespace tidemark {
namespace {

constexpr int64_t kEntryBytes = 128, kChangeBytes = 32;
constexpr int64_t kWakeEveryUs = 5 * kSecond;
constexpr size_t kLogLetters = 8;  // of 22 random ones

// The rows as the elements of an array, on one line: line breaks between the tokens of json columns are blanks.
absl::StatusOr<std::string> Elements(const ViewShape& shape, const std::vector<ViewRowPtr>& rows,
                                     const std::vector<size_t>& columns) {
  if (rows.empty()) return "";
  TM_ASSIGN_OR_RETURN(const Batch batch, shape.Decode(rows));
  TM_ASSIGN_OR_RETURN(const auto writer, OwnFormats().MakeWriter(kJsonFormat, shape.schema(), columns));
  std::vector<int32_t> all(rows.size());
  std::iota(all.begin(), all.end(), 0);
  std::string text, out;
  std::vector<size_t> ends;
  TextBuffer buffer(&text);
  TM_RETURN_IF_ERROR(writer->Write(ViewColumns(shape.schema(), *batch), all, &buffer, &ends));
  for (size_t i = 0, begin = 0; i < ends.size(); begin = ends[i++]) {
    if (i > 0) out += ',';
    out += buffer.View(begin, ends[i]);
  }
  for (char& c : out) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  return out;
}

}  // namespace

std::string ViewPlace::Id() const { return absl::StrCat(position, log.empty() ? "" : "-", log); }

std::optional<ViewPlace> ViewPlace::Parse(std::string_view id) {
  const absl::string_view text(id.data(), id.size());
  const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(text, absl::MaxSplits('-', 1));
  ViewPlace place{0, std::string(parts.second)};
  if (!absl::SimpleAtoi(parts.first, &place.position) || place.position < 0) return std::nullopt;
  return place;
}

std::string ViewPlace::LogOf(const std::string& topic_id) {
  std::string log;
  for (const char c : topic_id) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c)) && log.size() < kLogLetters) log += c;
  }
  return log;
}

void ViewChanges::Begin(const ViewMoment& moment, const std::string& log) {
  const absl::MutexLock lock(&mutex_);
  open_ = true;
  log_ = log;
  begins_ = moment.position;
  now_ = moment;
}

void ViewChanges::Add(const std::vector<ViewChange>& changes, const ViewMoment& moment) {
  bool told = false;
  {
    const absl::MutexLock lock(&mutex_);
    if (!open_) return;
    now_ = moment;
    if (changes.empty()) return;
    Entry entry{moment, {}, nullptr, kEntryBytes};
    std::set<std::string_view> keys;
    for (auto it = changes.rbegin(); it != changes.rend(); ++it) {
      if (!keys.insert(it->key).second) continue;
      const ViewRowPtr& row = it->row != nullptr ? it->row : it->gone;
      entry.bytes += row->bytes() + kChangeBytes;
      entry.changes.push_back({row, it->row == nullptr});
    }
    std::reverse(entry.changes.begin(), entry.changes.end());
    bytes_ += entry.bytes;
    entries_.push_back(std::move(entry));
    ++last_;
    Trim();
    if (!followers_.empty()) RenderAll();
    told = true;
  }
  if (told) WakeAll();
}

void ViewChanges::Tick(int64_t now_us) {
  {
    const absl::MutexLock lock(&mutex_);
    if (!std::exchange(wanted_, false)) {
      if (now_us - woken_us_ < kWakeEveryUs) return;
    } else {
      RenderAll();
    }
  }
  woken_us_ = now_us;
  WakeAll();
}

void ViewChanges::End() {
  {
    const absl::MutexLock lock(&mutex_);
    open_ = false;
    ++last_;  // so that nobody goes on behind an entry of this history in the next one
    entries_.clear();
    bytes_ = 0;
  }
  WakeAll();
}

std::optional<int64_t> ViewChanges::Find(Offset position) const {
  const absl::MutexLock lock(&mutex_);
  if (!open_ || position < begins_) return std::nullopt;
  const int64_t first = last_ - static_cast<int64_t>(entries_.size()) + 1;
  const auto [from, to] = std::equal_range(entries_.begin(), entries_.end(), position, ByPosition());
  return first - 1 + (to - from == 1 ? to - entries_.begin() : from - entries_.begin());
}

ViewChanges::Next ViewChanges::After(int64_t number) {
  const absl::MutexLock lock(&mutex_);
  const int64_t first = last_ - static_cast<int64_t>(entries_.size()) + 1;
  if (!open_ || number + 1 < first) return {Next::What::kGone, nullptr, 0, now_};
  if (number >= last_) return {Next::What::kNothing, nullptr, 0, now_};
  const Entry& entry = entries_[static_cast<size_t>(number + 1 - first)];
  if (entry.text != nullptr) return {Next::What::kEvent, entry.text, number + 1, entry.moment};
  wanted_ = true;
  return {Next::What::kNothing, nullptr, 0, now_};
}

std::optional<std::pair<ViewMoment, int64_t>> ViewChanges::Now() const {
  const absl::MutexLock lock(&mutex_);
  if (!open_) return std::nullopt;
  return std::make_pair(now_, last_);
}

std::string ViewChanges::log() const {
  const absl::MutexLock lock(&mutex_);
  return log_;
}

int64_t ViewChanges::Follow(std::function<void()> wake) {
  const absl::MutexLock lock(&mutex_);
  wanted_ = true;  // what it finds may have no text yet
  followers_.emplace(++last_follower_, std::move(wake));
  return last_follower_;
}

void ViewChanges::Unfollow(int64_t follower) {
  const absl::MutexLock lock(&mutex_);
  followers_.erase(follower);
}

int64_t ViewChanges::bytes() const {
  const absl::MutexLock lock(&mutex_);
  return bytes_;
}

int64_t ViewChanges::followers() const {
  const absl::MutexLock lock(&mutex_);
  return static_cast<int64_t>(followers_.size());
}

absl::StatusOr<std::string> ViewChanges::Render(const Entry& entry) const {
  std::vector<ViewRowPtr> rows, gone;
  std::vector<size_t> all(shape_.schema().size());
  std::iota(all.begin(), all.end(), 0);
  const auto over = [&](const ViewRow& row) {
    return shape_.keep_us() > 0 && entry.moment.as_of && *entry.moment.as_of >= row.time() + shape_.keep_us();
  };
  for (const Change& change : entry.changes) {
    if (change.gone) {
      gone.push_back(change.row);
    } else if (!over(*change.row)) {
      rows.push_back(change.row);
    }
  }
  TM_ASSIGN_OR_RETURN(const std::string told, Elements(shape_, rows, all));
  TM_ASSIGN_OR_RETURN(const std::string deleted, Elements(shape_, gone, shape_.key()));
  const std::string as_of =
      entry.moment.as_of ? absl::StrCat("\"", TimestampText(entry.moment.as_of->us, TimestampForm::kRfc3339), "\"")
                         : "null";
  const ViewPlace place{entry.moment.position, log_};
  return absl::StrCat("id: ", place.Id(), "\nevent: changes\ndata: {\"position\":", entry.moment.position,
                      ",\"as_of\":", as_of, ",\"rows\":[", told, "],\"deleted\":[", deleted, "]}\n\n");
}

void ViewChanges::RenderAll() {
  for (auto entry = entries_.rbegin(); entry != entries_.rend() && entry->text == nullptr; ++entry) {
    absl::StatusOr<std::string> text = Render(*entry);
    if (!text.ok()) {
      LOG_EVERY_T(ERROR, 10) << "changes that can't be told: " << text.status();
      text = absl::StrCat("event: error\ndata: {\"position\":", entry->moment.position, "}\n\n");
    }
    bytes_ -= entry->bytes;
    entry->bytes = kEntryBytes + static_cast<int64_t>(text->size());
    bytes_ += entry->bytes;
    entry->text = std::make_shared<const std::string>(*std::move(text));
    entry->changes = {};
  }
  Trim();
}

void ViewChanges::Trim() {
  while (bytes_ > most_bytes_ && !entries_.empty()) {
    bytes_ -= entries_.front().bytes;
    begins_ = entries_.front().moment.position;
    entries_.pop_front();
  }
}

void ViewChanges::WakeAll() {
  std::vector<std::function<void()>> wakes;
  {
    const absl::MutexLock lock(&mutex_);
    for (const auto& [follower, wake] : followers_) wakes.push_back(wake);
  }
  for (const std::function<void()>& wake : wakes) wake();
}

}  // namespace tidemark
