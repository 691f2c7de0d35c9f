// The rules of ShuffleBench's matcher (Henning et al., ICPE 2024): each rule takes an equal share of all records by
// what their first eight bytes are, so that some records meet several rules and most meet none. The rules are numbers
// from 0; which range of positions a rule takes is SplitMix64 of its number, so that bench/peers and
// bench/lib/shuffle.py have the same.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

// Positions are numbers below 2^63, and go round.
inline constexpr uint64_t kPositions = uint64_t{1} << 63;

inline uint64_t SplitMix64(uint64_t number) {
  uint64_t z = number + 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

// Of a record, at least eight bytes long: they are read big-endian.
inline uint64_t PositionOf(std::string_view record) {
  uint64_t bytes = 0;
  std::memcpy(&bytes, record.data(), sizeof bytes);
  return __builtin_bswap64(bytes) % kPositions;
}

class MatchingRules {
 public:
  // A record meets `selectivity` (in [0, 1)) of the rules' sum on average.
  MatchingRules(int64_t rules, double selectivity)
      : width_(static_cast<uint64_t>(selectivity / static_cast<double>(rules) * static_cast<double>(kPositions))) {
    for (int64_t rule = 0; rule < rules; ++rule) {
      sorted_.push_back({SplitMix64(static_cast<uint64_t>(rule)) % kPositions, rule});
    }
    std::sort(sorted_.begin(), sorted_.end(), [](const Rule& a, const Rule& b) { return a.begin < b.begin; });
    first_.resize((size_t{1} << kSlotBits) + 1, sorted_.size());
    for (size_t i = sorted_.size(); i-- > 0;) first_[sorted_[i].begin >> kSlotShift] = i;
    for (size_t slot = first_.size() - 1; slot-- > 0;) first_[slot] = std::min(first_[slot], first_[slot + 1]);
  }

  // Calls f(rule) for each whose range holds the position: those that begin at most a width before it.
  template <typename F>
  void ForEachMatch(uint64_t position, F&& f) const {
    if (position < width_) Find(position + kPositions - width_ + 1, kPositions - 1, f);
    Find(position < width_ ? 0 : position - width_ + 1, position, f);
  }

 private:
  struct Rule {
    uint64_t begin;
    int64_t number;
  };
  static constexpr int kSlotBits = 20, kSlotShift = 63 - kSlotBits;

  template <typename F>
  void Find(uint64_t from, uint64_t to, F&& f) const {
    for (size_t i = first_[from >> kSlotShift]; i < sorted_.size() && sorted_[i].begin <= to; ++i) {
      if (sorted_[i].begin >= from) f(sorted_[i].number);
    }
  }

  uint64_t width_;
  std::vector<Rule> sorted_;   // by where their ranges begin
  std::vector<size_t> first_;  // of each slot of positions: the first rule that begins in it or behind it
};
