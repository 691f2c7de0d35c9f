#include "operators/window/exact_double.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "src/base/signed_varint.h"

namespace tidemark {
namespace {

constexpr int kDigitBits = 32, kMantissaBits = 53, kLowest = -1074;
constexpr int kMostDigits = 80;  // the largest double, 2^30 times, needs fewer

}  // namespace

void ExactDouble::CountBeyond(double value, int sign) {
  (std::isnan(value) ? nans_ : value > 0 ? above_ : below_) += sign;
}

void ExactDouble::Count(double value, int sign) {
  const auto bits = std::bit_cast<uint64_t>(value);
  const auto exponent = static_cast<int>(bits >> 52 & 0x7FF);
  if (exponent == 0x7FF) [[unlikely]]
    return CountBeyond(value, sign);
  const uint64_t fraction = bits & ((uint64_t{1} << 52) - 1);
  const uint64_t mantissa = exponent > 0 ? fraction | uint64_t{1} << 52 : fraction;
  if (mantissa == 0) return;
  const int at = exponent > 0 ? exponent - 1 : 0;  // of the mantissa's last bit, from 2^-1074
  if (bits >> 63) sign = -sign;
  const int low = at / kDigitBits;
  const unsigned __int128 wide = static_cast<unsigned __int128>(mantissa) << (at % kDigitBits);
  if (digits_.empty() || low < first_ || low + 3 > first_ + static_cast<int>(digits_.size())) Cover(low, low + 3);
  int64_t* const digits = &digits_[static_cast<size_t>(low - first_)];
  for (int i = 0; i < 3; ++i) digits[i] += sign * static_cast<int64_t>(static_cast<uint32_t>(wide >> (kDigitBits * i)));
  if (++unsettled_ == kSettleAfter) Settle();
}

void ExactDouble::Cover(int low, int high) {
  if (digits_.empty()) first_ = low;
  if (low < first_) {
    digits_.insert(digits_.begin(), static_cast<size_t>(first_ - low), 0);
    first_ = low;
  }
  if (high > first_ + static_cast<int>(digits_.size())) digits_.resize(static_cast<size_t>(high - first_));
}

void ExactDouble::Settle() {
  int64_t carry = 0;
  for (int64_t& digit : digits_) {
    const int64_t sum = digit + carry;
    digit = static_cast<int32_t>(static_cast<uint32_t>(static_cast<uint64_t>(sum)));
    carry = (sum - digit) >> kDigitBits;
  }
  for (; carry != 0; carry = (carry - digits_.back()) >> kDigitBits) {
    digits_.push_back(static_cast<int32_t>(static_cast<uint32_t>(static_cast<uint64_t>(carry))));
  }
  while (!digits_.empty() && digits_.back() == 0) digits_.pop_back();
  const auto low = std::find_if(digits_.begin(), digits_.end(), [](int64_t digit) { return digit != 0; });
  first_ = digits_.empty() ? 0 : first_ + static_cast<int32_t>(low - digits_.begin());
  digits_.erase(digits_.begin(), low);
  unsettled_ = 0;
}

void ExactDouble::Combine(ExactDouble other, int sign) {
  nans_ += sign * other.nans_;
  above_ += sign * other.above_;
  below_ += sign * other.below_;
  other.Settle();
  if (other.digits_.empty()) return;
  Cover(other.first_, other.first_ + static_cast<int>(other.digits_.size()));
  for (size_t i = 0; i < other.digits_.size(); ++i) {
    digits_[i + static_cast<size_t>(other.first_ - first_)] += sign * other.digits_[i];
  }
  if (++unsettled_ == kSettleAfter) Settle();
}

void ExactDouble::Clear() {
  digits_.clear();
  first_ = 0;
  unsettled_ = 0;
  nans_ = above_ = below_ = 0;
}

double ExactDouble::Total() const {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (nans_ != 0 || (above_ != 0 && below_ != 0)) return std::numeric_limits<double>::quiet_NaN();
  if (above_ != 0 || below_ != 0) return above_ != 0 ? kInfinity : -kInfinity;
  ExactDouble sum = *this;
  sum.Settle();
  if (sum.digits_.empty()) return 0;
  // The highest digit has the sum's sign. Of its absolute value, every digit into [0, 2^32).
  const bool negative = sum.digits_.back() < 0;
  int64_t carry = 0;
  for (int64_t& digit : sum.digits_) {
    const int64_t value = (negative ? -digit : digit) + carry;
    digit = static_cast<uint32_t>(static_cast<uint64_t>(value));
    carry = (value - digit) >> kDigitBits;
  }
  while (sum.digits_.back() == 0) sum.digits_.pop_back();
  // The upper 53 bits, the bit behind them, and whether there is anything behind that. The upper three digits, which
  // may be fewer, have at least 65 bits.
  using Head = unsigned __int128;
  const auto digits = static_cast<int>(sum.digits_.size());
  const auto digit = [&](int i) { return i < 0 ? Head{0} : static_cast<Head>(sum.digits_[static_cast<size_t>(i)]); };
  const Head head = digit(digits - 1) << 2 * kDigitBits | digit(digits - 2) << kDigitBits | digit(digits - 3);
  const int begin = kDigitBits * (sum.first_ + digits - 3);  // of its last bit
  const int top = begin + 2 * kDigitBits + std::bit_width(static_cast<uint64_t>(sum.digits_.back())) - 1;
  const int last = std::max(top - kMantissaBits + 1, 0);
  const int behind = last - begin;  // bits, at least 12
  const Head half = Head{1} << (behind - 1);
  auto mantissa = static_cast<uint64_t>(head >> behind);
  if ((head & half) != 0) {
    bool more = (head & (half - 1)) != 0;
    for (int i = 0; i < digits - 3 && !more; ++i) more = digit(i) != 0;
    if (more || (mantissa & 1) != 0) ++mantissa;
  }
  const double total = std::ldexp(static_cast<double>(mantissa), last + kLowest);
  return negative ? -total : total;
}

bool ExactDouble::Beyond(double total) const { return std::isinf(total) && above_ == 0 && below_ == 0; }

void ExactDouble::Save(std::string* out) const {
  ExactDouble sum = *this;
  sum.Settle();
  for (const int64_t count : {nans_, above_, below_}) AppendSigned(count, out);
  AppendVarint(sum.digits_.size(), out);
  if (sum.digits_.empty()) return;
  AppendVarint(static_cast<uint64_t>(sum.first_), out);
  for (const int64_t digit : sum.digits_) {
    const auto word = static_cast<int32_t>(digit);
    out->append(reinterpret_cast<const char*>(&word), sizeof(word));
  }
}

bool ExactDouble::Load(std::string_view* from) {
  Clear();
  uint64_t digits = 0, first = 0;
  for (int64_t* count : {&nans_, &above_, &below_}) {
    if (!TakeSigned(from, count)) return false;
  }
  if (!TakeVarint(from, &digits) || digits > kMostDigits) return false;
  if (digits == 0) return true;
  if (!TakeVarint(from, &first) || first > kMostDigits || from->size() < digits * sizeof(int32_t)) return false;
  first_ = static_cast<int32_t>(first);
  for (uint64_t i = 0; i < digits; ++i) {
    int32_t word = 0;
    std::memcpy(&word, from->data() + i * sizeof(word), sizeof(word));
    digits_.push_back(word);
  }
  from->remove_prefix(digits * sizeof(int32_t));
  return true;
}

}  // namespace tidemark
