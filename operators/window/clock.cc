#include "operators/window/clock.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "src/base/big_endian.h"
#include "src/base/status.h"
#include "state/stored_watermark.h"

namespace tidemark {
namespace {

constexpr std::string_view kGrace = "e";

}  // namespace

absl::Status WindowClock::Load() {
  TM_ASSIGN_OR_RETURN(time_, LoadWatermark(store_));
  stored_time_ = time_;
  if (grace_us_ < 0) return absl::OkStatus();
  TM_ASSIGN_OR_RETURN(const std::optional<std::string> value, store_->Get(kGrace));
  if (!value) return absl::OkStatus();
  if (value->size() != 8) return absl::DataLossError("the grace of windows in the state can't be read");
  stored_grace_us_ = ReadOrdered(*value);
  time_ = UnderGrace(time_, stored_grace_us_, grace_us_);
  return absl::OkStatus();
}

void WindowClock::Save() {
  StoreWatermark(time_, &stored_time_, store_);
  if (grace_us_ < 0 || std::exchange(stored_grace_us_, grace_us_) == grace_us_) return;
  std::string grace;
  AppendOrdered(grace_us_, &grace);
  store_->Put(kGrace, grace);
}

}  // namespace tidemark
