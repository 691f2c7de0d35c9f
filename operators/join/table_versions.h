// The rows that a table has had, by key and time: which row of a key counted at a time. Touched only by the stream
// thread, a batch at a time.
//
// A key has a root: its newest versions in one page (version.h), and the list of its further pages, each of which is a
// record of its own and holds the versions from its start to the next one's. A page that has become large is cut in
// two, larger ones where a key has many; the list is searched as it lies, and written once for all changes of a batch:
// so neither a change nor a question costs more as a row has changed more often. All records lie in KeyedRows, so they
// needn't fit in memory; the root of a row that never changes is one version.
//
// What nobody can ask for any more is forgotten: of a key all versions before the one that counted at the horizon. So
// that no key has to be looked for, each one that will have something to forget stands under the time of that in a list
// in the order of time. A key may stand there under several times; the one that its root names counts. What is kept
// longer than it must (pages are only dropped whole, times are rounded up) is never found by a question that may be
// asked.
//
// State keys: 'v' (KeyedRows): the key's bytes (RowCodec::Key, of which none begins with another): the root; behind
//             them a page's number (4 bytes): the page. A root: the time under which it is to be looked at (8, ordered;
//             the largest: never), varint the next page's number, varint how many further pages, of each its start (8)
//             and number (4), from the oldest on; where there are any, the start of the root's own page (8); that page.
//             The oldest page has all versions before the next one's start, whatever its own says.
// State keys: 'x' (KeyedRows, ordered): the time (8), the key: a key to be looked at.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/container/btree_map.h>
#include <absl/status/status.h>
#include <absl/types/span.h>

#include "operators/join/version.h"
#include "src/base/memory_budget.h"
#include "src/base/time.h"
#include "state/keyed_rows.h"
#include "state/store.h"

namespace tidemark {

class TableVersions {
 public:
  struct Change {
    std::string_view key;
    Version version;
    // Versions of the key come in the order in which they count: none from an earlier time on than the one before.
    bool in_order = false;
  };
  struct Question {
    std::string_view key;
    int64_t time = 0;
    // The answer: the key had a row at that time. The row is valid until the next call of anything but Find.
    bool found = false;
    std::string_view row;
  };

  // Versions are forgotten in steps of `forget_us`, of each key somewhere within a step. `memory` may be null: no
  // limit.
  TableVersions(StateStore* store, MemoryBudget* memory, int64_t forget_us);

  absl::Status Load();

  // In any order.
  absl::Status Add(absl::Span<const Change> changes);
  absl::Status Find(absl::Span<Question> questions);
  // No question will be about a time before `horizon`, whatever is still to be added. Each call does a bounded part of
  // what there is to do.
  absl::Status Forget(EventTime horizon);
  absl::Status Commit(uint64_t commit);

  int64_t MemoryBytes() const { return rows_.MemoryBytes() + due_.MemoryBytes(); }

 private:
  struct Page {
    int64_t start = 0;
    uint32_t number = 0;
  };
  // As it lies.
  struct RootView {
    int64_t due = 0;
    uint32_t next_number = 0;
    std::string_view pages;  // ascending
    int64_t start = 0;       // of the root's own page, where there are others
    std::string_view page;

    bool Parse(std::string_view bytes);
    size_t size() const;
    Page At(size_t i) const;
    // Of the pages that has versions of `time`; size(): the root's own.
    size_t PageOf(int64_t time) const;
  };
  // To be changed.
  struct Root {
    int64_t due = 0;
    uint32_t next_number = 0;
    std::vector<Page> pages;
    int64_t start = 0;
    std::string_view page;
    std::string own_page;  // of an open one: what `page` shows

    void Take(const RootView& view);
    void Write(std::string* bytes) const;
    size_t PageOf(int64_t time) const;
    size_t HeadBytes() const { return 16 + pages.size() * 12; }
  };

  static std::string PageKey(std::string_view key, uint32_t number);
  size_t LargestPage(const Root& root) const;
  int64_t SpreadOf(std::string_view key) const;
  absl::Status AddOne(const Change& change);
  absl::Status AddTo(const Change& change, bool open, Root* root);
  absl::Status AddToPage(std::string_view key, const Version& version, size_t at, bool open, Root* root);
  // Sees to it that the key is looked at when it has something to forget, and writes the root.
  absl::Status PutRoot(std::string_view key, Root* root);
  absl::Status ForgetOf(std::string_view key, int64_t due, EventTime horizon, std::vector<std::string>* pages);

  const int64_t forget_us_;
  KeyedRows rows_, due_;
  // Roots with further pages that a batch has changed: written at its end.
  absl::btree_map<std::string_view, std::unique_ptr<Root>> open_;
  // Scratch.
  Root root_;
  std::string page_, bytes_;
  std::string older_;
};

}  // namespace tidemark
