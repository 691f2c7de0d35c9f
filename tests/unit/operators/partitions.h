// An operator of several inputs fed from partitions, as the runtime does it: in some order, a batch at a time, with
// commits and crashes. For tests against models, whose outcome must depend on the rows of the partitions alone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/operators/harness.h"

namespace tidemark {

struct Partition {
  size_t port = 0;
  int64_t newest = kMinTime.us;
  std::vector<TestRow> rows;
  // How far the partition's time has come with each row, where rows don't say so by their own watermark.
  std::vector<int64_t> reached;

  int64_t TimeAt(size_t row) const { return reached.empty() ? rows[row].watermark : reached[row]; }
};

// Feeds the partitions in some order; after every batch time is the smallest of all of them. Commits, and crashes after
// which what came since the last commit comes again, in another order if it happens so. Of each row that comes out,
// `judged` is the time by which later steps judge it: never behind what the operator had let through before.
class Driver {
 public:
  using Judged = int64_t (*)(const TestRow& row);
  static int64_t ByTime(const TestRow& row) { return row.time; }

  Driver(const std::vector<Partition>& partitions, const Node& node, size_t batch, uint64_t seed, bool crashes,
         MemoryBudget* memory = nullptr, Judged judged = ByTime)
      : partitions_(partitions),
        harness_(node, {}, memory),
        batch_(batch),
        random_(seed),
        crashes_(crashes),
        judged_(judged),
        at_(partitions.size()),
        committed_(partitions.size()) {}

  void Run() {
    const uint64_t ahead = random_() % 5;  // this partition runs ahead of the others, or none does
    while (true) {
      std::vector<size_t> open;
      for (size_t p = 0; p < partitions_.size(); ++p) {
        if (at_[p] < partitions_[p].rows.size()) open.push_back(p);
      }
      if (open.empty()) break;
      const bool far = std::count(open.begin(), open.end(), ahead) > 0 && random_() % 2 == 0;
      Feed(far ? ahead : open[random_() % open.size()]);
      if (!crashes_) continue;
      if (random_() % 8 == 0) Commit();
      if (random_() % 25 == 0) {
        harness_.Crash(random_() % 2 == 0);
        at_ = committed_;
        checked_ = harness_.out().rows.size();
        promised_ = kMinTime.us;
        ++crashes_made;
      }
    }
    harness_.Advance(kMaxTime.us - 1);
    Commit();
  }

  Harness& harness() { return harness_; }
  int crashes_made = 0;

 private:
  void Feed(size_t p) {
    const std::vector<TestRow>& rows = partitions_[p].rows;
    const size_t end = std::min(rows.size(), at_[p] + batch_);
    const uint64_t commit = harness_.commit();
    harness_.Process({rows.begin() + static_cast<int64_t>(at_[p]), rows.begin() + static_cast<int64_t>(end)},
                     partitions_[p].port);
    at_[p] = end;
    if (harness_.commit() != commit) committed_ = at_;  // it was full
    int64_t time = kMaxTime.us;
    for (size_t q = 0; q < partitions_.size(); ++q) {
      // One that has been read to its end is closed, as by --close_windows.
      if (at_[q] < partitions_[q].rows.size())
        time = std::min(time, at_[q] == 0 ? kMinTime.us : partitions_[q].TimeAt(at_[q] - 1));
    }
    if (time == kMaxTime.us || time == kMinTime.us) return;
    const uint64_t processed = harness_.commit();
    const EventTime out = harness_.Advance(time);
    EXPECT_LE(out.us, time);
    if (harness_.commit() != processed) committed_ = at_;  // likewise
    // What is still to come isn't behind the output's watermark.
    const std::vector<TestRow>& emitted = harness_.out().rows;
    for (; checked_ < emitted.size(); ++checked_) EXPECT_GE(judged_(emitted[checked_]), promised_);
    promised_ = std::max(promised_, out.us);
  }

  void Commit() {
    harness_.Commit();
    committed_ = at_;
  }

  const std::vector<Partition>& partitions_;
  Harness harness_;
  const size_t batch_;
  std::mt19937_64 random_;
  const bool crashes_;
  const Judged judged_;
  std::vector<size_t> at_, committed_;
  size_t checked_ = 0;
  int64_t promised_ = kMinTime.us;
};

inline std::vector<std::string> Texts(const std::vector<TestRow>& rows) {
  std::vector<std::string> out;
  for (const TestRow& row : rows) out.push_back(ToString(row));
  return out;
}

}  // namespace tidemark
