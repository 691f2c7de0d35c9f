#include "operators/window/group_set.h"

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include "tests/unit/operators/harness.h"

namespace tidemark {
namespace {

// As many rows, each of a group of its own, in the window that starts there.
void AddGroups(int64_t start_us, int groups, GroupSet* set) {
  std::vector<TestRow> rows;
  WindowPairs pairs;
  for (int i = 0; i < groups; ++i) {
    rows.push_back({.cells = {absl::StrCat("place", i)}});
    pairs.rows.push_back(i);
    pairs.starts.push_back(start_us);
  }
  const Batch batch = ToBatch(Columns("place string null"), HiddenSet(), rows);
  ASSERT_TRUE(set->Locate(*batch, &pairs).ok());
}

// Event times far apart open many windows at once: what a large one needed says nothing about them.
TEST(GroupSet, AWindowOfOneGroupIsSmallWhateverTheOneBeforeItWas) {
  GroupSet set({}, RowCodec::Key(Columns("place string null"), {0}));
  AddGroups(0, 50'000, &set);
  GroupSet::Window* const large = &set.windows().begin()->second;
  set.Close(large);
  for (const uint32_t slot : std::vector<uint32_t>(large->slots)) set.Free(slot);
  set.Drop(large);
  const int64_t before = set.MemoryBytes();
  for (int64_t window = 1; window <= 1000; ++window) AddGroups(window, 1, &set);
  EXPECT_LT(set.MemoryBytes() - before, 1000 * 2048);
}

TEST(GroupSet, TheNextWindowGetsTheSlotsInTheSameOrder) {
  GroupSet set({}, RowCodec::Key(Columns("place string null"), {0}));
  AddGroups(0, 100, &set);
  GroupSet::Window* window = &set.windows().begin()->second;
  const std::vector<uint32_t> slots = window->slots;
  set.Close(window);
  for (auto slot = slots.rbegin(); slot != slots.rend(); ++slot) set.Free(*slot);
  set.Drop(window);
  AddGroups(1, 100, &set);
  EXPECT_EQ(set.windows().begin()->second.slots, slots);
}

}  // namespace
}  // namespace tidemark
