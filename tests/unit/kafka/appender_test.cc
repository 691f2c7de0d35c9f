// What appended records say of who wrote them.
#include "src/kafka/appender.h"

#include <gtest/gtest.h>

namespace tidemark {
namespace {

TEST(AppendedBy, AHeaderNamesItsWriterAndTheRecordsNumber) {
  const std::optional<AppendedBy> by = ParseAppendedBy("1f:0c:17");
  ASSERT_TRUE(by);
  EXPECT_EQ(by->writer, "1f:0c");
  EXPECT_EQ(by->number, 17);
}

TEST(AppendedBy, WhatIsNoneIsNone) {
  for (const char* text : {"", ":", ":17", "17", "w:", "w:x", "w:1.5"}) EXPECT_FALSE(ParseAppendedBy(text)) << text;
}

}  // namespace
}  // namespace tidemark
