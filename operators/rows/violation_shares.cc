#include "operators/rows/violation_shares.h"

#include <algorithm>
#include <utility>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

#include "src/base/big_endian.h"
#include "src/base/status.h"
#include "src/base/varint.h"
#include "src/codec/column_text.h"
#include "src/plan/units.h"

namespace tidemark {
namespace {

constexpr int64_t kMillion = 1'000'000;
constexpr int kDigits = 4;  // behind the point of a percentage, so that a millionth is the least share
constexpr int64_t kShortestUs = kSecond;
constexpr size_t kOrderedBytes = 8;

// A percentage in millionths; nothing where it is none.
std::optional<int64_t> Millionths(std::string_view percent) {
  const size_t point = percent.find('.');
  std::string digits(percent.substr(0, point));
  std::string behind(point == std::string_view::npos ? "" : percent.substr(point + 1));
  if (digits.empty() || behind.size() > kDigits || (point != std::string_view::npos && behind.empty())) {
    return std::nullopt;
  }
  behind.resize(kDigits, '0');
  digits += behind;
  int64_t millionths = 0;
  const bool plain = std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!plain || !absl::SimpleAtoi(digits, &millionths)) return std::nullopt;
  return millionths;
}

std::string Percent(int64_t millionths) {
  std::string text = absl::StrCat(millionths / 10'000);
  std::string behind = absl::StrCat(millionths % 10'000 + 10'000).substr(1);
  while (!behind.empty() && behind.back() == '0') behind.pop_back();
  return behind.empty() ? text + "%" : absl::StrCat(text, ".", behind, "%");
}

std::string KeyOf(const std::string& prefix, int64_t begin) {
  std::string key = prefix;
  AppendOrdered(begin, &key);
  return key;
}

}  // namespace

std::optional<ExpectSpec::Rule::AtMost> ParseAtMost(std::string_view text) {
  const size_t sign = text.find('%');
  if (sign == std::string_view::npos) return std::nullopt;
  absl::string_view rest(text.data() + sign + 1, text.size() - sign - 1);
  rest = absl::StripLeadingAsciiWhitespace(rest);
  if (!absl::ConsumePrefix(&rest, "per ")) return std::nullopt;
  rest = absl::StripAsciiWhitespace(rest);
  const auto millionths = Millionths(text.substr(0, sign));
  const auto per_us = ParseDuration(std::string_view(rest.data(), rest.size()));
  if (!millionths || *millionths <= 0 || *millionths >= kMillion || !per_us || *per_us < kShortestUs) {
    return std::nullopt;
  }
  return ExpectSpec::Rule::AtMost{*millionths, *per_us};
}

std::string AtMostText(const ExpectSpec::Rule::AtMost& at_most) {
  return absl::StrCat(Percent(at_most.millionths), " per ", FormatDuration(at_most.per_us));
}

bool HasShares(const ExpectSpec& spec) {
  return std::any_of(spec.rules.begin(), spec.rules.end(), [](const auto& rule) { return rule.at_most.has_value(); });
}

ViolationShares::ViolationShares(const std::vector<ExpectSpec::Rule>& rules) {
  for (const ExpectSpec::Rule& rule : rules) {
    if (!rule.at_most) continue;
    Share& share = shares_.emplace_back();
    share.rule = rule;
    AppendVarint(rule.name.size(), &share.prefix);
    share.prefix += rule.name;
    AppendOrdered(rule.at_most->per_us, &share.prefix);
  }
  size_t next = 0;
  for (const ExpectSpec::Rule& rule : rules) by_rule_.push_back(rule.at_most ? &shares_[next++] : nullptr);
}

absl::Status ViolationShares::Open(StateStore* store) {
  store_ = store;
  const std::unique_ptr<StateIterator> kept = store->Scan("", "");
  for (; kept->Valid(); kept->Next()) {
    const std::string_view key = kept->key();
    const auto of = std::find_if(shares_.begin(), shares_.end(), [&](const Share& share) {
      const bool fits = key.size() == share.prefix.size() || key.size() == share.prefix.size() + kOrderedBytes;
      return fits && key.starts_with(share.prefix);
    });
    if (of == shares_.end()) {
      deleted_.emplace_back(key);  // of a rule that is gone, or had another length
      continue;
    }
    std::string_view value = kept->value();
    if (key.size() == of->prefix.size()) {
      if (value.size() != kOrderedBytes) {
        return absl::DataLossError(absl::StrCat("how far rule ", of->rule.name, " was judged can't be read"));
      }
      of->judged_until = of->kept_until = ReadOrdered(value);
      continue;
    }
    uint64_t rows = 0, broken = 0;
    if (!TakeVarint(&value, &rows) || !TakeVarint(&value, &broken)) {
      return absl::DataLossError(absl::StrCat("the counts of rule ", of->rule.name, " can't be read"));
    }
    of->stretches[ReadOrdered(key.substr(of->prefix.size()))] = {static_cast<int64_t>(rows),
                                                                 static_cast<int64_t>(broken)};
  }
  return kept->status();
}

void ViolationShares::Count(size_t rule, EventTime time, EventTime watermark, bool broken) {
  Share& share = *by_rule_[rule];
  const EventTime belongs = std::max(time, watermark);
  const int64_t begin = std::max(FloorTo(belongs, share.rule.at_most->per_us).us, share.judged_until);
  if (share.last == nullptr || begin != share.last_begin) {
    share.last = &share.stretches[begin];
    share.last_begin = begin;
    next_ = std::min(next_, EventTime{begin} + share.rule.at_most->per_us);
  }
  ++share.last->rows;
  share.last->broken += broken ? 1 : 0;
  share.last->changed = true;
}

absl::Status ViolationShares::Judge(EventTime time) {
  if (time == kMinTime) return absl::OkStatus();
  if (time >= next_) TM_RETURN_IF_ERROR(JudgeStretches(time));
  if (time == kMaxTime) return absl::OkStatus();
  for (Share& share : shares_) {
    share.judged_until = std::max(share.judged_until, FloorTo(time, share.rule.at_most->per_us).us);
  }
  return absl::OkStatus();
}

absl::Status ViolationShares::JudgeStretches(EventTime time) {
  next_ = kMaxTime;
  for (Share& share : shares_) {
    const int64_t per_us = share.rule.at_most->per_us;
    while (!share.stretches.empty()) {
      const auto& [begin, stretch] = *share.stretches.begin();
      const EventTime end = EventTime{begin} + per_us;
      if (time < end) {
        next_ = std::min(next_, end);
        break;
      }
      const auto allowed = static_cast<__int128>(stretch.rows) * share.rule.at_most->millionths;
      if (static_cast<__int128>(stretch.broken) * kMillion > allowed) {
        return absl::FailedPreconditionError(Excess(share, begin, stretch));
      }
      deleted_.push_back(KeyOf(share.prefix, begin));
      share.stretches.erase(share.stretches.begin());
      share.last = nullptr;
    }
  }
  return absl::OkStatus();
}

std::string ViolationShares::Excess(const Share& share, int64_t begin, const Stretch& stretch) const {
  const std::string from = TimestampText(begin, TimestampForm::kRfc3339);
  return absl::StrCat("rule ", share.rule.name, " is broken by ", stretch.broken, " of ", stretch.rows, " rows of the ",
                      FormatDuration(share.rule.at_most->per_us), " from ", from, " on (",
                      Percent(static_cast<int64_t>(static_cast<__int128>(stretch.broken) * kMillion / stretch.rows)),
                      "), and `at_most` allows ", AtMostText(*share.rule.at_most), ": it is not true that ",
                      share.rule.that,
                      ". Nothing behind them is processed. Mend the rows where they come from, or change the rule or "
                      "its `at_most`");
}

void ViolationShares::Commit() {
  for (const std::string& key : deleted_) store_->Delete(key);
  deleted_.clear();
  for (Share& share : shares_) {
    if (share.judged_until != std::exchange(share.kept_until, share.judged_until)) {
      std::string until;
      AppendOrdered(share.judged_until, &until);
      store_->Put(share.prefix, until);
    }
    for (auto& [begin, stretch] : share.stretches) {
      if (!std::exchange(stretch.changed, false)) continue;
      std::string value;
      AppendVarint(static_cast<uint64_t>(stretch.rows), &value);
      AppendVarint(static_cast<uint64_t>(stretch.broken), &value);
      store_->Put(KeyOf(share.prefix, begin), value);
    }
  }
}

}  // namespace tidemark
