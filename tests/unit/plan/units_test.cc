#include "src/plan/units.h"

#include <gtest/gtest.h>

namespace tidemark {
namespace {

TEST(UnitsTest, ADurationIsANumberWithAUnit) {
  EXPECT_EQ(ParseDuration("100ms"), 100'000);
  EXPECT_EQ(ParseDuration("5s"), 5'000'000);
  EXPECT_EQ(ParseDuration("10m"), 600'000'000);
  EXPECT_EQ(ParseDuration("1h"), 3'600'000'000);
  EXPECT_EQ(ParseDuration("1d"), 86'400'000'000);
  EXPECT_EQ(ParseDuration("0"), 0);
  EXPECT_EQ(ParseDuration("0s"), 0);
}

TEST(UnitsTest, WhatIsNotADurationIsRefused) {
  for (const char* text : {"", "5", "s", "5 s", "1.5h", "-1s", "5sec", "1h30m", "5us", "99999999999999d", "5S"}) {
    EXPECT_EQ(ParseDuration(text), std::nullopt) << text;
  }
}

TEST(UnitsTest, ASizeIsANumberOfBytesWithOrWithoutUnit) {
  EXPECT_EQ(ParseSize("512"), 512);
  EXPECT_EQ(ParseSize("64KiB"), 65'536);
  EXPECT_EQ(ParseSize("128MiB"), 134'217'728);
  EXPECT_EQ(ParseSize("2GiB"), int64_t{2} << 30);
  EXPECT_EQ(ParseSize("1MB"), 1'000'000);
  for (const char* text : {"", "MiB", "1.5GiB", "-1", "1 MiB", "1mib", "99999999999TiB"}) {
    EXPECT_EQ(ParseSize(text), std::nullopt) << text;
  }
}

TEST(UnitsTest, FormattingIsTheShortestExactForm) {
  EXPECT_EQ(FormatDuration(0), "0s");
  EXPECT_EQ(FormatDuration(90'000'000), "90s");
  EXPECT_EQ(FormatDuration(86'400'000'000), "1d");
  EXPECT_EQ(FormatDuration(1'500'000), "1500ms");
  EXPECT_EQ(FormatSize(int64_t{2} << 30), "2GiB");
  EXPECT_EQ(FormatSize(1000), "1000");
  for (const int64_t us : {int64_t{1'000}, int64_t{90'000'000}, int64_t{3'600'000'000}}) {
    EXPECT_EQ(ParseDuration(FormatDuration(us)), us);
  }
}

}  // namespace
}  // namespace tidemark
