#include "operators/window/slot_array.h"

#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

namespace tidemark {
namespace {

TEST(SlotArray, ElementsStayWhereTheyAreWhileItGrows) {
  SlotArray<int64_t> array;
  std::vector<int64_t*> places;
  for (int64_t i = 0; i < 5'000; ++i) {
    ASSERT_EQ(array.Grow(), static_cast<size_t>(i));
    array[i] = i;
    places.push_back(&array[i]);
  }
  for (int64_t i = 0; i < 5'000; ++i) {
    EXPECT_EQ(&array[i], places[i]);
    EXPECT_EQ(array[i], i);
  }
}

TEST(SlotArray, WhatWasClearedComesBackAsNew) {
  struct Slot {
    int64_t value = 7;
  };
  SlotArray<Slot> array;
  for (int i = 0; i < 2'000; ++i) array[array.Grow()].value = 1;
  const size_t bytes = array.MemoryBytes();
  array.Clear();
  EXPECT_EQ(array.size(), 0);
  for (int i = 0; i < 2'000; ++i) EXPECT_EQ(array[array.Grow()].value, 7);
  EXPECT_EQ(array.MemoryBytes(), bytes);
}

}  // namespace
}  // namespace tidemark
