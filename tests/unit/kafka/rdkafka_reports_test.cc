#include "src/kafka/rdkafka_reports.h"

#include <gtest/gtest.h>

namespace tidemark::rdkafka {
namespace {

TEST(WrittenOffsets, AreTheFirstAndTheOneBehindTheLastOfEachPartition) {
  WrittenOffsets written;
  EXPECT_FALSE(written.Get(0).has_value());
  for (const Offset offset : {7, 5, 9}) written.Add(0, offset);
  written.Add(3, 0);
  EXPECT_EQ(written.Get(0), std::pair(Offset{5}, Offset{10}));
  EXPECT_EQ(written.Get(3), std::pair(Offset{0}, Offset{1}));
  EXPECT_FALSE(written.Get(1).has_value());
  EXPECT_TRUE(written.complete());
  written.Clear();
  EXPECT_FALSE(written.Get(0).has_value());
}

// A batch without offsets is reported as -1001, -1000 and so on.
TEST(WrittenOffsets, ARecordWithoutOffsetIsNotPassedOver) {
  WrittenOffsets written;
  for (Offset offset = -1001; offset < 3; ++offset) written.Add(0, offset);
  written.Add(0, 8);
  EXPECT_FALSE(written.complete());
  written.Clear();
  EXPECT_TRUE(written.complete());
}

}  // namespace
}  // namespace tidemark::rdkafka
