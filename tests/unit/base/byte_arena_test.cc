#include "src/base/byte_arena.h"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace tidemark {
namespace {

TEST(ByteArena, KeepsBytesWhereTheyAre) {
  ByteArena arena;
  std::vector<std::pair<const char*, std::string>> kept;
  for (size_t i = 0; i < 3000; ++i) {
    const std::string bytes(i % 251, static_cast<char>('a' + i % 26));
    kept.emplace_back(arena.Add(bytes), bytes);
  }
  const std::string large(200'000, 'x');
  kept.emplace_back(arena.Add(large), large);
  for (const auto& [at, bytes] : kept) EXPECT_EQ(std::string_view(at, bytes.size()), bytes);
}

}  // namespace
}  // namespace tidemark
