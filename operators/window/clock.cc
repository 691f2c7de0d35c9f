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
  TM_ASSIGN_OR_RETURN(stored_time_, LoadWatermark(store_));
  horizon_.Advance(stored_time_);
  if (!windows_) return absl::OkStatus();
  TM_ASSIGN_OR_RETURN(const std::optional<std::string> value, store_->Get(kGrace));
  if (!value) return absl::OkStatus();
  if (value->size() != 8) return absl::DataLossError("the grace of windows in the state can't be read");
  stored_grace_us_ = ReadOrdered(*value);
  horizon_.Restore(stored_time_, stored_grace_us_);
  return absl::OkStatus();
}

void WindowClock::Save() {
  StoreWatermark(horizon_.time(), &stored_time_, store_);
  const int64_t grace_us = horizon_.under_grace_us();
  if (!windows_ || std::exchange(stored_grace_us_, grace_us) == grace_us) return;
  std::string grace;
  AppendOrdered(grace_us, &grace);
  store_->Put(kGrace, grace);
}

}  // namespace tidemark
