#include "operators/over/history.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <tuple>

#include "src/base/big_endian.h"
#include "src/base/mutation.h"
#include "src/base/signed_varint.h"
#include "src/base/status.h"
#include "src/base/varint.h"

namespace tidemark {
namespace {

constexpr char kVersion = 1;  // the version of a page
constexpr int64_t kPagesOfRange = 8;
constexpr int64_t kRowsOfPage = 64;
constexpr size_t kPieceBytes = 16 << 10;
constexpr size_t kForgetPages = 8192;
constexpr size_t kPageKeyBytes = 12;  // in front of the key
constexpr int64_t kKeyBytes = sizeof(KeptKey) + 64;

int64_t Bytes(const KeptRow& row) { return static_cast<int64_t>(sizeof(KeptRow) + row.cells.size()); }

absl::Status Unreadable() { return absl::DataLossError("the rows of a key in the state can't be read"); }

}  // namespace

History::History(StateStore* store, std::string prefix, MemoryBudget* memory, int64_t range_us, int64_t rows)
    : range_us_(range_us),
      rows_(rows),
      width_us_(std::max<int64_t>(range_us / kPagesOfRange, 1)),
      pages_(store, std::move(prefix), memory, KeyedRows::Options{.ordered = range_us > 0}),
      memory_(memory) {}

std::string History::PageKey(int64_t page, uint32_t piece, std::string_view key) const {
  std::string bytes;
  range_us_ > 0 ? AppendOrdered(page, &bytes) : AppendBigEndian(static_cast<uint64_t>(page), 8, &bytes);
  AppendBigEndian(piece, 4, &bytes);
  bytes.append(key);
  return bytes;
}

std::string History::RecordKey(std::string_view key) {
  std::string bytes;
  AppendBigEndian(std::numeric_limits<uint64_t>::max(), 8, &bytes);
  AppendBigEndian(0, 4, &bytes);
  bytes.append(key);
  return bytes;
}

absl::Status History::Fetch(absl::Span<const Wanted> wanted) {
  std::vector<std::string_view> keys;
  for (const Wanted& each : wanted) keys.push_back(each.bytes);
  return pages_.Fetch(keys);
}

absl::Status History::Find(absl::Span<const std::string_view> keys, absl::Span<const int64_t> times,
                           std::vector<KeptKey*>* found, std::vector<KeptKey*>* read) {
  found->clear();
  read->clear();
  std::vector<int64_t> since;
  for (size_t i = 0; i < keys.size(); ++i) {
    const auto known = keys_.find(absl::string_view(keys[i].data(), keys[i].size()));
    if (known != keys_.end()) {
      found->push_back(&known->second);
      continue;
    }
    KeptKey& key = keys_[std::string(keys[i])];
    found->push_back(&key);
    key.key.assign(keys[i]);
    if (free_.empty()) {
      key.slot = slots_++;
    } else {
      key.slot = free_.back();
      free_.pop_back();
    }
    bytes_ += kKeyBytes + static_cast<int64_t>(2 * key.key.size());
    read->push_back(&key);
    since.push_back(times[i]);
  }
  if (read->empty()) return absl::OkStatus();
  TM_RETURN_IF_ERROR(range_us_ > 0 ? ReadTimes(*read, since) : ReadLast(*read));
  for (KeptKey* key : *read) {
    for (KeptRow& row : key->rows) {
      row.number = key->next_number++;
      bytes_ += Bytes(row);
    }
  }
  return absl::OkStatus();
}

// Piece by piece of each page, as long as there is a next one.
absl::Status History::ReadTimes(absl::Span<KeptKey* const> keys, absl::Span<const int64_t> times) {
  std::vector<Wanted> wanted, found;
  for (size_t i = 0; i < keys.size(); ++i) {
    const int64_t last = PageOf(times[i]);
    for (int64_t page = PageOf((EventTime{times[i]} - range_us_).us); page <= last; page += width_us_) {
      wanted.push_back({keys[i], page, 0, PageKey(page, 0, keys[i]->key)});
      if (page > std::numeric_limits<int64_t>::max() - width_us_) break;
    }
  }
  while (!wanted.empty()) {
    TM_RETURN_IF_ERROR(Fetch(wanted));
    std::vector<Wanted> next;
    for (Wanted& each : wanted) {
      if (!pages_.Get(each.bytes)) continue;
      next.push_back({each.key, each.page, each.piece + 1, PageKey(each.page, each.piece + 1, each.key->key)});
      found.push_back(std::move(each));
    }
    wanted = std::move(next);
  }
  // Of one key, in their order; which key comes first doesn't matter.
  std::sort(found.begin(), found.end(),
            [](const Wanted& a, const Wanted& b) { return std::tie(a.page, a.piece) < std::tie(b.page, b.piece); });
  for (const Wanted& each : found) TM_RETURN_IF_ERROR(ReadPage(*pages_.Get(each.bytes), each, each.key));
  return absl::OkStatus();
}

absl::Status History::ReadLast(absl::Span<KeptKey* const> keys) {
  std::vector<Wanted> wanted;
  for (KeptKey* key : keys) wanted.push_back({key, 0, 0, RecordKey(key->key)});
  TM_RETURN_IF_ERROR(Fetch(wanted));
  std::vector<Wanted> pages;
  for (const Wanted& each : wanted) {
    std::optional<std::string_view> record = pages_.Get(each.bytes);
    if (!record) continue;
    uint64_t next = 0, first = 0;
    if (!TakeVarint(&*record, &next) || !TakeVarint(&*record, &first) || next == 0) return Unreadable();
    each.key->next_number = static_cast<int64_t>(next);
    each.key->first_page = static_cast<int64_t>(first);
    for (int64_t page = each.key->first_page; page * kRowsOfPage < each.key->next_number; ++page) {
      pages.push_back({each.key, page, 0, PageKey(page, 0, each.key->key)});
    }
  }
  TM_RETURN_IF_ERROR(Fetch(pages));
  for (const Wanted& each : pages) {
    const auto page = pages_.Get(each.bytes);
    if (page) TM_RETURN_IF_ERROR(ReadPage(*page, each, each.key));
  }
  for (KeptKey* key : keys) {
    while (std::cmp_greater(key->rows.size(), rows_)) key->rows.pop_front();
    key->next_number -= static_cast<int64_t>(key->rows.size());  // Find numbers them again
  }
  return absl::OkStatus();
}

absl::Status History::ReadPage(std::string_view page, const Wanted& from, KeptKey* key) {
  if (page.empty() || page.front() != kVersion) return Unreadable();
  page.remove_prefix(1);
  key->piece_bytes = 0;
  while (!page.empty()) {
    KeptRow row{.page = from.page, .piece = from.piece};
    std::string_view cells;
    if (!TakeSigned(&page, &row.time) || !TakeBytes(&page, &cells)) return Unreadable();
    row.cells.assign(cells);
    key->piece_bytes += row.cells.size();
    key->rows.push_back(std::move(row));
  }
  return absl::OkStatus();
}

void History::Add(KeptKey* key, KeptRow row) {
  row.number = key->next_number++;
  if (range_us_ > 0) {
    row.page = PageOf(row.time);
    const bool same = !key->rows.empty() && key->rows.back().page == row.page;
    row.piece = same ? key->rows.back().piece : 0;
    if (!same) key->piece_bytes = 0;
    if (key->piece_bytes > kPieceBytes) {
      ++row.piece;
      key->piece_bytes = 0;
    }
    key->piece_bytes += row.cells.size();
  } else {
    row.page = row.number / kRowsOfPage;
  }
  bytes_ += Bytes(row);
  key->rows.push_back(std::move(row));
  if (key->added++ == 0) changed_.push_back(key);
}

void History::RemoveFirst(KeptKey* key) {
  bytes_ -= Bytes(key->rows.front());
  key->rows.pop_front();
}

// The pages that rows were added to, with the rows that are still there, and where they go.
void History::PlanPages(KeptKey* key, std::vector<Wanted>* wanted, std::vector<std::string>* rows) {
  size_t at = key->rows.size() - std::min(key->added, key->rows.size());
  const auto same_page = [&](size_t a, size_t b) {
    return key->rows[a].page == key->rows[b].page && key->rows[a].piece == key->rows[b].piece;
  };
  while (at > 0 && same_page(at - 1, at)) --at;
  while (range_us_ > 0 && key->rows[at].page < forgotten_) ++at;
  while (at < key->rows.size()) {
    const KeptRow& first = key->rows[at];
    wanted->push_back({key, first.page, first.piece, PageKey(first.page, first.piece, key->key)});
    std::string& page = rows->emplace_back(1, kVersion);
    for (const size_t begin = at; at < key->rows.size() && same_page(begin, at); ++at) {
      AppendSigned(key->rows[at].time, &page);
      AppendVarint(key->rows[at].cells.size(), &page);
      page.append(key->rows[at].cells);
    }
  }
  key->added = 0;
}

absl::Status History::Commit(uint64_t commit) {
  std::vector<Wanted> wanted, gone, before;
  std::vector<std::string> rows;
  for (KeptKey* key : changed_) {
    if (range_us_ > 0 && PageOf(key->rows.back().time) < forgotten_) {
      Erase(key);
      continue;
    }
    const size_t first = wanted.size();
    PlanPages(key, &wanted, &rows);
    // Whoever reads goes from piece to piece.
    for (uint32_t piece = 0; range_us_ > 0 && first < wanted.size() && piece < wanted[first].piece; ++piece) {
      before.push_back({key, wanted[first].page, piece, PageKey(wanted[first].page, piece, key->key)});
    }
    if (range_us_ > 0) continue;
    const int64_t from = key->rows.front().page;
    for (; key->first_page < from; ++key->first_page) {
      gone.push_back({key, key->first_page, 0, PageKey(key->first_page, 0, key->key)});
    }
    wanted.push_back({key, 0, 0, RecordKey(key->key)});
    std::string& record = rows.emplace_back();
    AppendVarint(static_cast<uint64_t>(key->next_number), &record);
    AppendVarint(static_cast<uint64_t>(key->first_page), &record);
  }
  changed_.clear();
  for (const auto* part : {&wanted, &gone, &before}) TM_RETURN_IF_ERROR(Fetch(*part));
  if (MutationActive(Mutation::kOverRowsNotWritten)) return pages_.Commit(commit);
  for (size_t i = 0; i < wanted.size(); ++i) pages_.Put(wanted[i].bytes, rows[i]);
  for (const Wanted& each : gone) pages_.Delete(each.bytes);
  for (const Wanted& each : before) {
    if (!pages_.Get(each.bytes)) pages_.Put(each.bytes, std::string(1, kVersion));
  }
  return pages_.Commit(commit);
}

void History::Erase(KeptKey* key) {
  for (const KeptRow& row : key->rows) bytes_ -= Bytes(row);
  bytes_ -= kKeyBytes + static_cast<int64_t>(2 * key->key.size());
  free_.push_back(key->slot);
  freed_.push_back(key->slot);
  keys_.erase(keys_.find(key->key));
}

absl::Status History::Forget(EventTime before) {
  if (range_us_ <= 0) return absl::OkStatus();
  forgotten_ = std::max(forgotten_, PageOf(before.us));
  const uint64_t end = KeyedRows::HeadOf(forgotten_);
  if (pages_.FirstHead() >= end) return absl::OkStatus();
  TM_ASSIGN_OR_RETURN(const uint64_t recalled, pages_.Recall(end, kForgetPages));
  std::vector<std::string> keys;
  pages_.VisitBelow(recalled, kForgetPages, [&](std::string_view key, std::string_view) { keys.emplace_back(key); });
  for (const std::string& key : keys) {
    pages_.Delete(key);
    const auto at = keys_.find(key.substr(kPageKeyBytes));
    if (at == keys_.end() || at->second.added > 0) continue;
    if (at->second.rows.empty() || PageOf(at->second.rows.back().time) < forgotten_) Erase(&at->second);
  }
  return absl::OkStatus();
}

bool History::Shrink(int64_t more_bytes) {
  memory_.Update(bytes_ + more_bytes);
  if (keys_.empty() || memory_.Excess(0) == 0) return false;
  keys_.clear();
  free_.clear();
  freed_.clear();
  slots_ = 0;
  bytes_ = 0;
  memory_.Update(0);
  return true;
}

}  // namespace tidemark
