#include "operators/window/hyper_log_log.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "src/base/varint.h"

namespace tidemark {
namespace {

constexpr int kBits = 12;  // of a hash that choose the register
constexpr size_t kRegisters = size_t{1} << kBits;
constexpr int kRanks = 64 - kBits;  // ranks are 1 to kRanks + 1; 0: an empty register
constexpr char kVersion = 1;
constexpr uint64_t kAreRegisters = std::numeric_limits<uint64_t>::max();

double Sigma(double x) {
  if (x == 1) return std::numeric_limits<double>::infinity();
  double y = 1, z = x, before = 0;
  do {
    x *= x;
    before = z;
    z += x * y;
    y += y;
  } while (z != before);
  return z;
}

double Tau(double x) {
  if (x == 0 || x == 1) return 0;
  double y = 1, z = 1 - x, before = 0;
  do {
    x = std::sqrt(x);
    before = z;
    y *= 0.5;
    z -= (1 - x) * (1 - x) * y;
  } while (z != before);
  return z / 3;
}

}  // namespace

void HyperLogLog::AddToRegisters(uint64_t hash) {
  const uint64_t rest = hash << kBits;
  const auto rank = static_cast<uint8_t>(std::min(std::countl_zero(rest), kRanks) + 1);
  uint8_t& kept = registers_[hash >> (64 - kBits)];
  kept = std::max(kept, rank);
}

void HyperLogLog::GoOver() {
  registers_.assign(kRegisters, 0);
  for (const uint64_t hash : hashes_) AddToRegisters(hash);
  hashes_ = {};
}

void HyperLogLog::Add(uint64_t hash) {
  if (!registers_.empty()) return AddToRegisters(hash);
  const auto at = std::lower_bound(hashes_.begin(), hashes_.end(), hash);
  if (at != hashes_.end() && *at == hash) return;
  hashes_.insert(at, hash);
  if (hashes_.size() > kExact) GoOver();
}

void HyperLogLog::Merge(const HyperLogLog& other) {
  if (other.registers_.empty()) {
    for (const uint64_t hash : other.hashes_) Add(hash);
    return;
  }
  if (registers_.empty()) GoOver();
  for (size_t i = 0; i < kRegisters; ++i) registers_[i] = std::max(registers_[i], other.registers_[i]);
}

int64_t HyperLogLog::Estimate() const {
  if (registers_.empty()) return static_cast<int64_t>(hashes_.size());
  std::array<int, kRanks + 2> count{};
  for (const uint8_t rank : registers_) ++count[rank];
  constexpr double m = kRegisters;
  double z = m * Tau(1 - count[kRanks + 1] / m);
  for (int rank = kRanks; rank >= 1; --rank) z = 0.5 * (z + count[static_cast<size_t>(rank)]);
  z += m * Sigma(count[0] / m);
  return std::llround(m * m / (2 * std::log(2.0) * z));
}

void HyperLogLog::Save(std::string* out) const {
  out->push_back(kVersion);
  AppendVarint(registers_.empty() ? hashes_.size() : kAreRegisters, out);
  out->append(reinterpret_cast<const char*>(hashes_.data()), hashes_.size() * sizeof(uint64_t));
  out->append(reinterpret_cast<const char*>(registers_.data()), registers_.size());
}

bool HyperLogLog::Load(std::string_view* from) {
  Clear();
  uint64_t count = 0;
  if (from->empty() || from->front() != kVersion) return false;
  from->remove_prefix(1);
  if (!TakeVarint(from, &count)) return false;
  if (count == kAreRegisters) {
    if (from->size() < kRegisters) return false;
    registers_.assign(from->begin(), from->begin() + kRegisters);
    from->remove_prefix(kRegisters);
    return std::all_of(registers_.begin(), registers_.end(), [](uint8_t rank) { return rank <= kRanks + 1; });
  }
  if (count > kExact || from->size() < count * sizeof(uint64_t)) return false;
  hashes_.resize(count);
  if (count > 0) std::memcpy(hashes_.data(), from->data(), count * sizeof(uint64_t));
  from->remove_prefix(count * sizeof(uint64_t));
  return true;
}

}  // namespace tidemark
