#include "src/codec/zero_packing.h"

#include <random>

#include <gtest/gtest.h>

namespace tidemark {
namespace {

TEST(ZeroPacking, WhateverIsPackedComesBack) {
  std::mt19937 random(1);
  for (size_t size = 0; size < 200; ++size) {
    std::string bytes(size, 0), packed, back = "what was there before";
    for (char& c : bytes) {
      if (random() % 3 == 0) c = static_cast<char>(random());
    }
    PackZeros(bytes, &packed);
    EXPECT_TRUE(UnpackZeros(packed, &back));
    EXPECT_EQ(back, bytes);
    EXPECT_FALSE(UnpackZeros(std::string_view(packed).substr(0, packed.size() - 1), &back)) << size;
    EXPECT_FALSE(UnpackZeros(packed + "x", &back));
  }
}

TEST(ZeroPacking, SmallNumbersAreSmall) {
  std::string packed;
  PackZeros(std::string("\x05\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16), &packed);
  EXPECT_EQ(packed, std::string("\x10\x01\x05\0", 4));
}

TEST(ZeroPacking, DamageIsNoticedOrHarmless) {
  std::mt19937 random(2);
  std::string back;
  for (int i = 0; i < 10'000; ++i) {
    std::string bytes(random() % 20, 0);
    for (char& c : bytes) c = static_cast<char>(random());
    if (UnpackZeros(bytes, &back)) {
      EXPECT_LE(back.size(), 8 * bytes.size());
    }
  }
}

}  // namespace
}  // namespace tidemark
