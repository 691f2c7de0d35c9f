#include "operators/join/table_versions.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "src/base/big_endian.h"
#include "src/base/status.h"
#include "src/base/varint.h"

namespace tidemark {
namespace {

constexpr size_t kPageBytes = 4096;  // and more where a key has many pages
constexpr size_t kPageEntryBytes = 12;
constexpr size_t kForgetKeys = 4096;
constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

absl::Status Damaged() { return absl::DataLossError("the versions of a table's row in the state can't be read"); }

std::string DueKey(int64_t due, std::string_view key) {
  std::string bytes;
  AppendOrdered(due, &bytes);
  bytes.append(key);
  return bytes;
}

}  // namespace

bool TableVersions::RootView::Parse(std::string_view bytes) {
  uint64_t number = 0, count = 0;
  pages = {};
  start = 0;
  if (bytes.size() < 8) return false;
  due = ReadOrdered(bytes.substr(0, 8));
  bytes.remove_prefix(8);
  if (!TakeVarint(&bytes, &number) || !TakeVarint(&bytes, &count)) return false;
  next_number = static_cast<uint32_t>(number);
  if (count > 0) {
    if (bytes.size() / kPageEntryBytes < count || bytes.size() < count * kPageEntryBytes + 8) return false;
    pages = bytes.substr(0, count * kPageEntryBytes);
    start = ReadOrdered(bytes.substr(pages.size(), 8));
    bytes.remove_prefix(pages.size() + 8);
  }
  page = bytes;
  return true;
}

size_t TableVersions::RootView::size() const { return pages.size() / kPageEntryBytes; }

TableVersions::Page TableVersions::RootView::At(size_t i) const {
  const std::string_view entry = pages.substr(i * kPageEntryBytes, kPageEntryBytes);
  return {ReadOrdered(entry.substr(0, 8)), static_cast<uint32_t>(ReadBigEndian(entry.substr(8)))};
}

// The oldest one has all that is before the second.
size_t TableVersions::RootView::PageOf(int64_t time) const {
  if (pages.empty() || time >= start) return size();
  size_t low = 0, high = size();
  while (high - low > 1) {
    const size_t middle = low + (high - low) / 2;
    (time < At(middle).start ? high : low) = middle;
  }
  return low;
}

void TableVersions::Root::Take(const RootView& view) {
  due = view.due;
  next_number = view.next_number;
  pages.clear();
  pages.reserve(view.size() + 1);
  for (size_t i = 0; i < view.size(); ++i) pages.push_back(view.At(i));
  start = view.start;
  page = view.page;
}

void TableVersions::Root::Write(std::string* bytes) const {
  bytes->clear();
  AppendOrdered(due, bytes);
  AppendVarint(next_number, bytes);
  AppendVarint(pages.size(), bytes);
  for (const Page& p : pages) {
    AppendOrdered(p.start, bytes);
    AppendBigEndian(p.number, 4, bytes);
  }
  if (!pages.empty()) AppendOrdered(start, bytes);
  bytes->append(page);
}

size_t TableVersions::Root::PageOf(int64_t time) const {
  if (pages.empty() || time >= start) return pages.size();
  const auto behind =
      std::upper_bound(pages.begin() + 1, pages.end(), time, [](int64_t t, const Page& p) { return t < p.start; });
  return static_cast<size_t>(behind - 1 - pages.begin());
}

TableVersions::TableVersions(StateStore* store, MemoryBudget* memory, int64_t forget_us)
    : forget_us_(forget_us), rows_(store, "v", memory), due_(store, "x", memory, KeyedRows::Options{.ordered = true}) {}

absl::Status TableVersions::Load() {
  TM_RETURN_IF_ERROR(rows_.Load());
  return due_.Load();
}

std::string TableVersions::PageKey(std::string_view key, uint32_t number) {
  std::string bytes(key);
  AppendBigEndian(number, 4, &bytes);
  return bytes;
}

// A list of pages that has become large is written again with every batch of changes: then pages are larger too.
size_t TableVersions::LargestPage(const Root& root) const { return std::max(kPageBytes, root.HeadBytes() / 8); }

// Keys that change at one time, as where a whole table is written anew, aren't all looked at at one time.
int64_t TableVersions::SpreadOf(std::string_view key) const {
  return static_cast<int64_t>(KeyedRuns::Hash(key) % static_cast<uint64_t>(forget_us_));
}

// ---- Changes

absl::Status TableVersions::Add(absl::Span<const Change> changes) {
  if (!rows_.all_in_memory()) {
    std::vector<std::string_view> keys;
    for (const Change& change : changes) keys.push_back(change.key);
    TM_RETURN_IF_ERROR(rows_.Fetch(keys));
  }
  for (const Change& change : changes) TM_RETURN_IF_ERROR(AddOne(change));
  for (auto& [key, root] : open_) TM_RETURN_IF_ERROR(PutRoot(key, root.get()));
  open_.clear();
  return absl::OkStatus();
}

absl::Status TableVersions::AddOne(const Change& change) {
  if (!open_.empty()) {
    const auto open = open_.find(change.key);
    if (open != open_.end()) return AddTo(change, true, open->second.get());
  }
  const std::optional<std::string_view> before = rows_.Get(change.key);
  RootView view;
  if (!before) {
    view.due = kNever;
  } else if (!view.Parse(*before)) {
    return Damaged();
  }
  if (view.pages.empty()) {
    root_.Take(view);
    return AddTo(change, false, &root_);
  }
  auto root = std::make_unique<Root>();
  root->Take(view);
  root->own_page = root->page;
  root->page = root->own_page;
  return AddTo(change, true, open_.emplace(change.key, std::move(root)).first->second.get());
}

absl::Status TableVersions::AddTo(const Change& change, bool open, Root* root) {
  Version version = change.version;
  if (change.in_order && !root->page.empty()) {
    std::string_view rest = root->page;
    Version newest;
    if (!TakeVersion(&rest, &newest)) return Damaged();
    version.time = std::max(version.time, newest.time);
  }
  if (const size_t page = root->PageOf(version.time); page < root->pages.size()) {
    return AddToPage(change.key, version, page, open, root);
  }
  if (!WithVersion(root->page, version, &page_)) return Damaged();
  if (open) root->own_page.swap(page_);
  root->page = open ? root->own_page : page_;
  int64_t start = 0;
  if (root->page.size() > LargestPage(*root)) {
    if (const size_t middle = MiddleOf(root->page, &start); middle > 0) {
      rows_.Put(PageKey(change.key, root->next_number), root->page.substr(middle));
      root->pages.push_back({root->start, root->next_number++});
      root->start = start;
      if (open) root->own_page.resize(middle);
      root->page = open ? std::string_view(root->own_page) : root->page.substr(0, middle);
    }
  }
  return open ? absl::OkStatus() : PutRoot(change.key, root);
}

absl::Status TableVersions::AddToPage(std::string_view key, const Version& version, size_t at, bool open, Root* root) {
  const std::string page_key = PageKey(key, root->pages[at].number);
  const std::string_view keys[] = {page_key};
  TM_RETURN_IF_ERROR(rows_.Fetch(keys));
  const std::optional<std::string_view> page = rows_.Get(page_key);
  if (!page || !WithVersion(*page, version, &page_)) return Damaged();
  int64_t start = 0;
  const size_t middle = page_.size() > LargestPage(*root) ? MiddleOf(page_, &start) : 0;
  if (middle == 0) {
    rows_.Put(page_key, page_);
    return absl::OkStatus();
  }
  rows_.Put(page_key, std::string_view(page_).substr(middle));
  rows_.Put(PageKey(key, root->next_number), std::string_view(page_).substr(0, middle));
  root->pages.insert(root->pages.begin() + static_cast<int64_t>(at) + 1, {start, root->next_number++});
  return open ? absl::OkStatus() : PutRoot(key, root);
}

absl::Status TableVersions::PutRoot(std::string_view key, Root* root) {
  int64_t due = kNever;
  if (root->pages.empty()) {
    if (!NextReplaced(root->page, &due)) return Damaged();
  } else {
    due = root->pages.size() == 1 ? root->start : root->pages[1].start;
  }
  if (due != kNever) due = (FloorTo(EventTime{due}, forget_us_) + (forget_us_ + SpreadOf(key))).us;
  if (due != root->due && due != kNever) {
    const std::string due_key = DueKey(due, key);
    const std::string_view keys[] = {due_key};
    TM_RETURN_IF_ERROR(due_.Fetch(keys));
    due_.Put(due_key, "");
  }
  root->due = due;
  root->Write(&bytes_);
  rows_.Put(key, bytes_);
  return absl::OkStatus();
}

// ---- Questions

absl::Status TableVersions::Find(absl::Span<Question> questions) {
  std::vector<std::string_view> keys;
  if (!rows_.all_in_memory()) {
    for (const Question& question : questions) keys.push_back(question.key);
    TM_RETURN_IF_ERROR(rows_.Fetch(keys));
  }
  const auto answer = [](Question* question, std::string_view page) {
    Version version;
    if (!VersionAt(page, question->time, &version, &question->found)) return false;
    question->found = question->found && !version.none;
    if (question->found) question->row = version.row;
    return true;
  };
  std::vector<std::pair<Question*, std::string>> further;  // those that one of the further pages answers
  for (Question& question : questions) {
    question.found = false;
    const std::optional<std::string_view> bytes = rows_.Get(question.key);
    if (!bytes) continue;
    RootView root;
    if (!root.Parse(*bytes)) return Damaged();
    if (const size_t page = root.PageOf(question.time); page < root.size()) {
      further.emplace_back(&question, PageKey(question.key, root.At(page).number));
    } else if (!answer(&question, root.page)) {
      return Damaged();
    }
  }
  if (further.empty()) return absl::OkStatus();
  keys.clear();
  for (const auto& [question, key] : further) keys.push_back(key);
  TM_RETURN_IF_ERROR(rows_.Fetch(keys));
  for (const auto& [question, key] : further) {
    const std::optional<std::string_view> page = rows_.Get(key);
    if (!page || !answer(question, *page)) return Damaged();
  }
  return absl::OkStatus();
}

// ---- Forgetting

absl::Status TableVersions::Forget(EventTime horizon) {
  if (horizon == kMinTime) return absl::OkStatus();
  const uint64_t end = horizon == kMaxTime ? KeyedRows::kNoHead : KeyedRows::HeadOf(horizon.us) + 1;
  if (due_.FirstHead() >= end) return absl::OkStatus();
  TM_ASSIGN_OR_RETURN(const uint64_t recalled, due_.Recall(end, kForgetKeys));
  std::vector<std::string> entries;
  due_.VisitBelow(recalled, kForgetKeys, [&](std::string_view key, std::string_view) { entries.emplace_back(key); });
  std::vector<std::string_view> keys;
  for (const std::string& entry : entries) keys.push_back(std::string_view(entry).substr(8));
  TM_RETURN_IF_ERROR(rows_.Fetch(keys));
  std::vector<std::string> pages;  // that go
  for (const std::string& entry : entries) {
    due_.Delete(entry);
    const std::string_view bytes = entry;
    TM_RETURN_IF_ERROR(ForgetOf(bytes.substr(8), ReadOrdered(bytes.substr(0, 8)), horizon, &pages));
  }
  // A row is only deleted once it is known whether the runs have it.
  keys.assign(pages.begin(), pages.end());
  TM_RETURN_IF_ERROR(rows_.Fetch(keys));
  for (const std::string& page : pages) rows_.Delete(page);
  return absl::OkStatus();
}

absl::Status TableVersions::ForgetOf(std::string_view key, int64_t due, EventTime horizon,
                                     std::vector<std::string>* pages) {
  const std::optional<std::string_view> bytes = rows_.Get(key);
  if (!bytes) return absl::OkStatus();
  RootView view;
  if (!view.Parse(*bytes)) return Damaged();
  if (view.due != due) return absl::OkStatus();
  Root& root = root_;
  root.Take(view);
  size_t gone = 0;
  for (; gone < root.pages.size(); ++gone) {
    if ((gone + 1 < root.pages.size() ? root.pages[gone + 1].start : root.start) > horizon.us) break;
    pages->push_back(PageKey(key, root.pages[gone].number));
  }
  root.pages.erase(root.pages.begin(), root.pages.begin() + static_cast<int64_t>(gone));
  if (root.pages.empty()) {
    std::string_view left;
    if (!WithoutReplaced(root.page, horizon.us, &left)) return Damaged();
    if (left.empty()) {
      rows_.Delete(key);
      return absl::OkStatus();
    }
    root.page = left;
  }
  root.due = kNever;
  return PutRoot(key, &root);
}

absl::Status TableVersions::Commit(uint64_t commit) {
  TM_RETURN_IF_ERROR(rows_.Commit(commit));
  return due_.Commit(commit);
}

}  // namespace tidemark
