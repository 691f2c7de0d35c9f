// One budget of memory for many holders: those that can put what they hold elsewhere ask how much they may keep. Nobody
// is limited while the sum fits; where it doesn't, whoever holds more than an equal part has to give some back, so
// that a busy task may use what idle ones leave. Holders come and go with the assignment.
//
// Thread-safe; a Share is touched by its holder's thread only.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>

namespace tidemark {

class MemoryBudget {
 public:
  // Every holder may keep `least_bytes`, whatever their number.
  explicit MemoryBudget(int64_t bytes, int64_t least_bytes = int64_t{4} << 20)
      : bytes_(bytes), least_bytes_(least_bytes) {}

  class Share {
   public:
    // Without a budget nothing is limited.
    explicit Share(MemoryBudget* budget = nullptr) : budget_(budget) {
      if (budget_ != nullptr) ++budget_->holders_;
    }
    ~Share() {
      Update(0);
      if (budget_ != nullptr) --budget_->holders_;
    }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

    // What the holder keeps now.
    void Update(int64_t bytes) {
      if (budget_ != nullptr) budget_->used_ += bytes - used_;
      used_ = bytes;
    }
    // What it may keep at this moment.
    int64_t allowance() const {
      if (budget_ == nullptr || budget_->used_ <= budget_->bytes_) return std::numeric_limits<int64_t>::max();
      return std::max(budget_->bytes_ / budget_->holders_, budget_->least_bytes_);
    }
    // What it should give back if it is to take `more`: what is beyond the budget then, as far as it is the holder's
    // own to give.
    int64_t Excess(int64_t more) const {
      if (budget_ == nullptr) return 0;
      const int64_t part = std::max(budget_->bytes_ / budget_->holders_, budget_->least_bytes_);
      return std::max<int64_t>(0, std::min(budget_->used_ + more - budget_->bytes_, used_ + more - part));
    }
    bool limited() const { return budget_ != nullptr; }
    int64_t least_bytes() const { return budget_ == nullptr ? 0 : budget_->least_bytes_; }

   private:
    MemoryBudget* const budget_;
    int64_t used_ = 0;
  };

  int64_t bytes() const { return bytes_; }
  int64_t used() const { return used_; }

 private:
  const int64_t bytes_, least_bytes_;
  std::atomic<int64_t> used_{0}, holders_{0};
};

}  // namespace tidemark
