#include "src/cli/generate_data.h"

#include <algorithm>
#include <map>
#include <vector>

#include <gtest/gtest.h>

namespace tidemark {
namespace {

constexpr auto kAnyOid = [](int64_t) { return true; };

std::vector<Detection> Take(const HtxShape& shape, int64_t n) {
  HtxData data(shape);
  std::vector<Detection> taken;
  for (int64_t i = 0; i < n; ++i) taken.push_back(data.Next(kAnyOid));
  return taken;
}

bool Same(const Detection& a, const Detection& b) {
  return a.location == b.location && a.camera == b.camera && a.oid == b.oid && a.item == b.item &&
         a.time_ms == b.time_ms;
}

TEST(GenerateData, TheSameSeedGivesTheSameRecordsAndAnotherSeedOthers) {
  const auto first = Take(HtxShape{.seed = 7}, 1000), second = Take(HtxShape{.seed = 7}, 1000);
  const auto other = Take(HtxShape{.seed = 8}, 1000);
  EXPECT_TRUE(std::equal(first.begin(), first.end(), second.begin(), Same));
  EXPECT_FALSE(std::equal(first.begin(), first.end(), other.begin(), Same));
}

TEST(GenerateData, SplitMix64GivesItsPublishedSequence) {
  SplitMix64 random(1234567);
  EXPECT_EQ(random.Next(), 6457827717110365317u);
  EXPECT_EQ(random.Next(), 3203168211198807973u);
  EXPECT_EQ(random.Next(), 9817491932198370423u);
}

TEST(GenerateData, TheAskedShareRepeatsARecordAsItWasOfAtMost20000Before) {
  const auto records = Take(HtxShape{.duplicates = 0.05}, 200'000);
  std::map<int64_t, int64_t> newest;  // by oid
  int64_t repeats = 0;
  for (int64_t i = 0; i < static_cast<int64_t>(records.size()); ++i) {
    const auto [it, fresh] = newest.emplace(records[i].oid, i);
    if (fresh) continue;
    ++repeats;
    EXPECT_TRUE(Same(records[i], records[it->second]));
    EXPECT_LE(i - it->second, 20'000);
    it->second = i;
  }
  EXPECT_NEAR(static_cast<double>(repeats) / static_cast<double>(records.size()), 0.05, 0.005);
}

TEST(GenerateData, WithoutLateRecordsNoneIsFurtherBehindThanTheDisorder) {
  const HtxShape shape{.duplicates = 0};
  int64_t newest = 0;
  for (const Detection& d : Take(shape, 100'000)) {
    newest = std::max(newest, d.time_ms);
    EXPECT_GE(d.time_ms, newest - shape.out_of_orderness_ms);
  }
  // 100,000 records at 10,000 a second.
  EXPECT_NEAR(static_cast<double>(newest - shape.start_ms), 10'000, 100);
}

TEST(GenerateData, TheAskedShareIsLateAndATenthOfItByHours) {
  const HtxShape shape{.duplicates = 0, .late = 0.1};
  int64_t newest = 0, late = 0, by_hours = 0;
  for (const Detection& d : Take(shape, 200'000)) {
    newest = std::max(newest, d.time_ms);
    late += d.time_ms < newest - 5'000;
    by_hours += d.time_ms < newest - 3'600'000;
  }
  EXPECT_NEAR(static_cast<double>(late), 20'000, 600);
  EXPECT_NEAR(static_cast<double>(by_hours), 2'000, 200);
}

TEST(GenerateData, LocationsFollowZipfsLaw) {
  std::map<int64_t, int64_t> count;
  for (const Detection& d : Take(HtxShape{.duplicates = 0}, 500'000)) ++count[d.location];
  // The harmonic number of 10,000 is 9.7876.
  EXPECT_NEAR(static_cast<double>(count[1]), 500'000 / 9.7876, 800);
  EXPECT_NEAR(static_cast<double>(count[2]), 500'000 / 9.7876 / 2, 600);
  EXPECT_NEAR(static_cast<double>(count[100]), 500'000 / 9.7876 / 100, 100);
  EXPECT_GE(count.begin()->first, 1);
  EXPECT_LE(count.rbegin()->first, 10'000);
}

TEST(GenerateData, AHotLocationTakesItsShareFromTheOthers) {
  int64_t hot = 0;
  for (const Detection& d : Take(HtxShape{.duplicates = 0, .hot_location = 0.5}, 100'000)) hot += d.location == 1;
  EXPECT_NEAR(static_cast<double>(hot), 100'000 * (0.5 + 0.5 / 9.7876), 1'000);
}

TEST(GenerateData, AnOidThatIsRefusedIsLeftOut) {
  HtxData data(HtxShape{.duplicates = 0});
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(data.Next([](int64_t oid) { return oid % 2 == 0; }).oid, 2 * (i + 1));
}

TEST(GenerateData, AShapeOutOfRangeIsTheUsersMistake) {
  EXPECT_TRUE(HtxShape{}.Check().ok());
  for (const HtxShape& shape :
       {HtxShape{.duplicates = 1.5}, HtxShape{.late = -0.1}, HtxShape{.locations = 0}, HtxShape{.items = 0},
        HtxShape{.events_per_second = 0}, HtxShape{.out_of_orderness_ms = -1}}) {
    EXPECT_TRUE(absl::IsInvalidArgument(shape.Check()));
  }
}

}  // namespace
}  // namespace tidemark
