#include "operators/join/table_rows.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "src/base/big_endian.h"
#include "src/base/status.h"
#include "src/base/varint.h"

namespace tidemark {
namespace {

constexpr uint64_t kPageBytes = 4096;  // that a page has on average, at most
constexpr uint64_t kPagesAtOnce = 256;

absl::Status Damaged() { return absl::DataLossError("rows of a joined table in the state can't be read"); }

std::string PageKey(std::string_view group, uint64_t number) {
  std::string key(group);
  AppendBigEndian(number, 4, &key);
  return key;
}

// The page of a key among so many: those before the one that is parted next are told apart by a bit more.
uint64_t PageOf(std::string_view key, uint64_t pages) {
  const uint64_t hash = KeyedRuns::Hash(key), half = std::bit_floor(pages);
  const uint64_t page = hash & (half - 1);
  return page < pages - half ? hash & (2 * half - 1) : page;
}

bool TakeEntry(std::string_view* entries, TableRows::Row* row) {
  if (!TakeBytes(entries, &row->key) || !TakeBytes(entries, &row->row) || entries->size() < 8) return false;
  row->time = ReadOrdered(entries->substr(0, 8));
  entries->remove_prefix(8);
  return true;
}

void AppendEntry(const TableRows::Row& row, std::string* out) {
  AppendVarint(row.key.size(), out);
  out->append(row.key);
  AppendVarint(row.row.size(), out);
  out->append(row.row);
  AppendOrdered(row.time, out);
}

}  // namespace

absl::Status TableRows::Fetch(absl::Span<const std::string_view> groups) {
  return rows_.all_in_memory() ? absl::OkStatus() : rows_.Fetch(groups);
}

absl::Status TableRows::Read(std::string_view group, Group* out) {
  *out = Group();
  const std::optional<std::string_view> record = rows_.Get(group);
  if (!record) return absl::OkStatus();
  out->entries = *record;
  const bool read = TakeVarint(&out->entries, &out->rows) && TakeVarint(&out->entries, &out->bytes) &&
                    TakeVarint(&out->entries, &out->pages);
  return read && (out->pages == 0 || out->entries.empty()) ? absl::OkStatus() : Damaged();
}

void TableRows::Write(std::string_view group, const Group& from) {
  if (from.rows == 0) {
    rows_.Delete(group);
    return;
  }
  written_.clear();
  AppendVarint(from.rows, &written_);
  AppendVarint(from.bytes, &written_);
  AppendVarint(from.pages, &written_);
  if (from.pages == 0) written_.append(from.entries);
  rows_.Put(group, written_);
}

absl::StatusOr<std::string_view> TableRows::Page(std::string_view group, uint64_t number) {
  const std::string key = PageKey(group, number);
  const std::string_view keys[] = {key};
  TM_RETURN_IF_ERROR(Fetch(keys));
  return rows_.Get(key).value_or(std::string_view());
}

void TableRows::WritePage(std::string_view group, uint64_t number, std::string_view entries) {
  const std::string key = PageKey(group, number);
  if (entries.empty()) {
    rows_.Delete(key);
  } else {
    rows_.Put(key, entries);
  }
}

absl::StatusOr<int64_t> TableRows::Count(std::string_view group) {
  Group of;
  TM_RETURN_IF_ERROR(Read(group, &of));
  return static_cast<int64_t>(of.rows);
}

absl::StatusOr<bool> TableRows::Find(std::string_view group, std::string_view key, Row* row) {
  Group of;
  TM_RETURN_IF_ERROR(Read(group, &of));
  std::string_view entries = of.entries;
  if (of.pages > 0) {
    TM_ASSIGN_OR_RETURN(entries, Page(group, PageOf(key, of.pages)));
  }
  while (!entries.empty()) {
    if (!TakeEntry(&entries, row)) return Damaged();
    if (row->key == key) return true;
  }
  return false;
}

absl::Status TableRows::Visit(std::string_view group, Visitor visit) {
  Group of;
  TM_RETURN_IF_ERROR(Read(group, &of));
  const auto visit_all = [&](std::string_view entries) -> absl::Status {
    Row row;
    while (!entries.empty()) {
      if (!TakeEntry(&entries, &row)) return Damaged();
      TM_RETURN_IF_ERROR(visit(row));
    }
    return absl::OkStatus();
  };
  if (of.pages == 0) return visit_all(of.entries);
  for (uint64_t from = 0; from < of.pages; from += kPagesAtOnce) {
    std::vector<std::string> keys;
    for (uint64_t i = from; i < std::min(of.pages, from + kPagesAtOnce); ++i) keys.push_back(PageKey(group, i));
    TM_RETURN_IF_ERROR(Fetch(std::vector<std::string_view>(keys.begin(), keys.end())));
    for (const std::string& key : keys) {
      TM_RETURN_IF_ERROR(visit_all(rows_.Get(key).value_or(std::string_view())));
    }
  }
  return absl::OkStatus();
}

absl::Status TableRows::Put(std::string_view group, const Row& row) { return Replace(group, row.key, &row); }
absl::Status TableRows::Erase(std::string_view group, std::string_view key) { return Replace(group, key, nullptr); }

absl::Status TableRows::Replace(std::string_view group, std::string_view key, const Row* row) {
  Group of;
  TM_RETURN_IF_ERROR(Read(group, &of));
  const uint64_t page = of.pages == 0 ? 0 : PageOf(key, of.pages);
  std::string_view entries = of.entries;
  if (of.pages > 0) {
    TM_ASSIGN_OR_RETURN(entries, Page(group, page));
  }
  kept_.clear();
  of.bytes -= std::min<uint64_t>(of.bytes, entries.size());
  for (Row other; !entries.empty();) {
    const std::string_view before = entries;
    if (!TakeEntry(&entries, &other)) return Damaged();
    if (other.key == key) {
      --of.rows;
    } else {
      kept_.append(before.substr(0, before.size() - entries.size()));
    }
  }
  if (row != nullptr) {
    AppendEntry(*row, &kept_);
    ++of.rows;
  }
  of.bytes += kept_.size();
  if (of.pages > 0) {
    WritePage(group, page, kept_);
  } else {
    of.entries = kept_;
  }
  TM_RETURN_IF_ERROR(row != nullptr ? Grow(group, &of) : Shrink(group, &of));
  Write(group, of);
  return absl::OkStatus();
}

absl::Status TableRows::Grow(std::string_view group, Group* of) {
  if (of->pages == 0) {
    if (of->bytes <= kPageBytes || of->rows < 2) return absl::OkStatus();
    of->pages = 1;
    WritePage(group, 0, of->entries);
  }
  // Rows that are larger than a page have one each.
  while (of->bytes > of->pages * kPageBytes && of->pages < of->rows) {
    const uint64_t parted = of->pages - std::bit_floor(of->pages);
    TM_ASSIGN_OR_RETURN(std::string_view entries, Page(group, parted));
    page_.clear();
    moved_.clear();
    for (Row row; !entries.empty();) {
      if (!TakeEntry(&entries, &row)) return Damaged();
      AppendEntry(row, PageOf(row.key, of->pages + 1) == parted ? &page_ : &moved_);
    }
    WritePage(group, parted, page_);
    WritePage(group, of->pages++, moved_);
  }
  return absl::OkStatus();
}

absl::Status TableRows::Shrink(std::string_view group, Group* of) {
  if (of->pages == 0) return absl::OkStatus();
  while (of->pages > 1 && (of->bytes < of->pages * kPageBytes / 4 || of->rows == 0)) {
    const uint64_t last = --of->pages, into = last - std::bit_floor(last);
    TM_ASSIGN_OR_RETURN(const std::string_view moved, Page(group, last));
    TM_ASSIGN_OR_RETURN(const std::string_view stay, Page(group, into));
    page_.assign(stay);
    page_.append(moved);
    WritePage(group, into, page_);
    WritePage(group, last, "");
  }
  if (of->pages > 1 || of->bytes > kPageBytes / 2) return absl::OkStatus();
  TM_ASSIGN_OR_RETURN(const std::string_view entries, Page(group, 0));
  page_.assign(entries);
  WritePage(group, 0, "");
  of->pages = 0;
  of->entries = page_;
  return absl::OkStatus();
}

}  // namespace tidemark
