// The data of `tidemark generate htx`: detections of items by cameras at locations, some of them repeated, out of order
// or late. A pure function of its shape and seed, so that the same call fills the same topic anywhere; no input, no
// output. One thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <absl/status/status.h>

namespace tidemark {

struct HtxShape {
  uint64_t seed = 1;
  double duplicates = 0.05;    // share of the records that repeat one of the 20,000 before them, payload and time
  double late = 0;             // share of the records that lie 10 to 100 s behind; every tenth of those 1 to 2 h
  double hot_location = 0;     // share of the records that fall to location 1 whatever else is drawn
  int64_t locations = 10'000;  // Zipf(1.0)
  int64_t cameras = 20'000;
  int64_t items = 500;                   // Zipf(1.1)
  double events_per_second = 10'000;     // how fast event time goes by: one record each
  int64_t out_of_orderness_ms = 2'000;   // taken off each time, uniformly from 0 to this
  int64_t start_ms = 1'767'225'600'000;  // event time of the first record: 2026-01-01T00:00:00Z

  absl::Status Check() const;
};

struct Detection {
  int64_t location = 0;
  int64_t camera = 0;
  int64_t oid = 0;
  int64_t item = 0;
  int64_t time_ms = 0;
};

// Pseudo-random numbers: splitmix64, whose state is a counter.
class SplitMix64 {
 public:
  explicit SplitMix64(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }
  // In [0, 1).
  double Unit() { return static_cast<double>(Next() >> 11) * 0x1p-53; }
  // In [0, bound), bound > 0.
  int64_t Below(int64_t bound) {
    return static_cast<int64_t>(static_cast<unsigned __int128>(Next()) * static_cast<uint64_t>(bound) >> 64);
  }

 private:
  uint64_t state_;
};

// Draws 0 .. n-1, rank r with a probability in proportion to 1 / (r + 1)^exponent, in constant time (Walker's alias
// method).
class Zipf {
 public:
  Zipf(int64_t n, double exponent);
  int64_t Draw(SplitMix64& random) const;

 private:
  struct Slot {
    double keep = 1;  // with this probability the slot's own rank, else `other`
    int64_t other = 0;
  };
  std::vector<Slot> slots_;
};

class HtxData {
 public:
  explicit HtxData(const HtxShape& shape);

  // The next detection; `may_have` says which oids may be given to a new one (an idle partition takes none).
  template <typename MayHave>
  const Detection& Next(MayHave may_have) {
    Detection& slot = recent_[static_cast<size_t>(position_ % kReach)];
    if (!Repeat(&slot)) {
      Draw(&slot);
      while (!may_have(next_oid_)) ++next_oid_;
      slot.oid = next_oid_++;
    }
    ++position_;
    return slot;
  }
  // Detections from here on happen at `now_ms` (minus disorder) instead of the shape's own pace.
  void SetNow(int64_t now_ms) { now_ms_ = now_ms; }

 private:
  static constexpr int64_t kReach = 20'000;

  bool Repeat(Detection* slot);
  void Draw(Detection* slot);
  int64_t Delay();

  const HtxShape shape_;
  SplitMix64 random_;
  Zipf locations_, items_;
  std::vector<Detection> recent_;  // the last kReach, by position
  int64_t position_ = 0;
  int64_t next_oid_ = 1;
  int64_t now_ms_ = -1;
};

// "backpack_17"
std::string HtxItemName(int64_t item);
// "Town-00123 / District-3"
std::string HtxLocationName(int64_t oid);
// One in a hundred locations is missing from the table.
inline bool HtxLocationKnown(int64_t oid) { return oid % 100 != 0; }

}  // namespace tidemark
