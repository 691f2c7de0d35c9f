// Nexmark's stream: people who join an auction house, auctions they open, bids they make, 1 : 3 : 46. A pure function
// of seed and number, after the benchmark's specification (proportions, ids, hot auctions and bidders, prices, sizes);
// one thread.
#pragma once

#include <cstdint>
#include <string>

#include "src/cli/generate_data.h"

namespace tidemark::bench {

class NexmarkEvents {
 public:
  NexmarkEvents(uint64_t seed, double events_per_second) : random_(seed), events_per_second_(events_per_second) {}

  // The next event as JSON: {"event_type":0|1|2,"person"|"auction"|"bid":{...}}. Valid until the next call.
  const std::string& Next();
  // Its time in ms since the epoch.
  int64_t time_ms() const { return time_ms_; }

 private:
  int64_t LastPerson() const;
  int64_t LastAuction() const;
  int64_t AnyPerson();
  int64_t AnyAuction();
  int64_t Price();
  void Person();
  void Auction();
  void Bid();
  void Text(size_t min, size_t max);
  void Extra(size_t before, size_t wanted);
  void Number(const char* before, int64_t number);

  SplitMix64 random_;
  const double events_per_second_;
  int64_t number_ = -1, time_ms_ = 0;
  std::string json_;
};

}  // namespace tidemark::bench
