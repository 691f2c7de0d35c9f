#include "src/cli/generate_data.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

namespace tidemark {
namespace {

constexpr std::array<const char*, 20> kThings = {
    "backpack", "bicycle", "suitcase", "umbrella", "handbag", "car",   "bus",    "truck",     "person", "dog",
    "cat",      "bottle",  "stroller", "scooter",  "parcel",  "chair", "laptop", "cellphone", "hat",    "skateboard"};

constexpr double kLateForDedup = 0.1;  // of the late ones

absl::Status CheckShare(const char* name, double share) {
  if (share >= 0 && share <= 1) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--", name, ": expected a share from 0 to 1, found ", share));
}

absl::Status CheckPositive(const char* name, double number) {
  if (number > 0 && std::isfinite(number)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--", name, ": expected a positive number, found ", number));
}

}  // namespace

absl::Status HtxShape::Check() const {
  for (const absl::Status& status :
       {CheckShare("duplicates", duplicates), CheckShare("late", late), CheckShare("hot_location", hot_location),
        CheckPositive("locations", static_cast<double>(locations)),
        CheckPositive("cameras", static_cast<double>(cameras)), CheckPositive("items", static_cast<double>(items)),
        CheckPositive("events_per_second", events_per_second)}) {
    if (!status.ok()) return status;
  }
  if (locations > 10'000'000 || items > 10'000'000) {
    return absl::InvalidArgumentError("--locations, --items: at most 10,000,000");
  }
  if (out_of_orderness_ms < 0) return absl::InvalidArgumentError("--out_of_orderness_ms: expected 0 or more");
  return absl::OkStatus();
}

Zipf::Zipf(int64_t n, double exponent) : slots_(static_cast<size_t>(n)) {
  std::vector<double> weight(slots_.size());
  double sum = 0;
  for (size_t r = 0; r < weight.size(); ++r) sum += weight[r] = std::pow(static_cast<double>(r + 1), -exponent);
  for (double& w : weight) w *= static_cast<double>(weight.size()) / sum;  // the mean is 1
  // Each slot that is less than full is topped up by one that is more.
  std::vector<size_t> poor, rich;
  for (size_t r = 0; r < weight.size(); ++r) (weight[r] < 1 ? poor : rich).push_back(r);
  while (!poor.empty() && !rich.empty()) {
    const size_t p = poor.back(), r = rich.back();
    poor.pop_back();
    slots_[p] = {weight[p], static_cast<int64_t>(r)};
    weight[r] -= 1 - weight[p];
    if (weight[r] < 1) {
      rich.pop_back();
      poor.push_back(r);
    }
  }
}

int64_t Zipf::Draw(SplitMix64& random) const {
  const int64_t at = random.Below(static_cast<int64_t>(slots_.size()));
  const Slot& slot = slots_[static_cast<size_t>(at)];
  return random.Unit() < slot.keep ? at : slot.other;
}

HtxData::HtxData(const HtxShape& shape)
    : shape_(shape),
      random_(shape.seed),
      locations_(shape.locations, 1.0),
      items_(shape.items, 1.1),
      recent_(static_cast<size_t>(kReach)) {}

bool HtxData::Repeat(Detection* slot) {
  if (random_.Unit() >= shape_.duplicates || position_ == 0) return false;
  const int64_t gap = 1 + random_.Below(std::min(position_, kReach));
  *slot = recent_[static_cast<size_t>((position_ - gap) % kReach)];
  return true;
}

void HtxData::Draw(Detection* slot) {
  const bool hot = shape_.hot_location > 0 && random_.Unit() < shape_.hot_location;
  slot->location = hot ? 1 : 1 + locations_.Draw(random_);
  slot->camera = 1 + random_.Below(shape_.cameras);
  slot->item = items_.Draw(random_);
  const int64_t paced_ms =
      shape_.start_ms + static_cast<int64_t>(static_cast<double>(position_) * 1000.0 / shape_.events_per_second);
  slot->time_ms = (now_ms_ >= 0 ? now_ms_ : paced_ms) - Delay();
}

int64_t HtxData::Delay() {
  const int64_t disorder = random_.Below(shape_.out_of_orderness_ms + 1);
  if (shape_.late == 0 || random_.Unit() >= shape_.late) return disorder;
  const int64_t behind = 10'000 + random_.Below(90'001);
  if (random_.Unit() >= kLateForDedup) return disorder + behind;
  return disorder + 3'600'000 + random_.Below(3'600'001);
}

std::string HtxItemName(int64_t item) {
  return absl::StrCat(kThings[static_cast<size_t>(item) % kThings.size()], "_", item);
}

std::string HtxLocationName(int64_t oid) { return absl::StrFormat("Town-%05d / District-%d", oid, oid % 10); }

}  // namespace tidemark
