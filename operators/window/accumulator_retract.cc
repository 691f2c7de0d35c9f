// Aggregates over rows that change: what is taken back is gone exactly. Sums and averages add up in numbers that lose
// nothing; min, max, first and last keep every value with how often it is there. Variance and stddev add up so for rows
// that stand too: in floating point, small differences between large values would be lost. count(distinct), mode,
// string_agg, array_agg and approx_percentile are made of all values, whatever the rows.
//
// A partial is one column of bytes, what Save writes: of rows taken back that were added in an earlier commit, it holds
// negative numbers. So does what is noted of a large group's values since they were saved (large_groups.h).
#include <algorithm>
#include <bit>
#include <iterator>
#include <limits>
#include <type_traits>
#include <utility>

#include <absl/container/btree_map.h>

#include "operators/window/accumulator_groups.h"
#include "operators/window/arguments.h"
#include "operators/window/exact_spread.h"
#include "operators/window/sums.h"
#include "src/base/signed_varint.h"

namespace tidemark {
namespace {

using namespace accumulators;

// ---- What is kept of a group. `times` is 1 for a row that is added, -1 for one that is taken back. ------------------

// T: how the argument is held. N: what it is added up in.
template <typename T, typename N>
class Sum {
 public:
  using Cell = T;

  explicit Sum(const Aggregate&) {}

  void Count(const Cells<T>& cells, const OrderColumns&, int32_t row, int times) {
    if (cells.IsNull(row)) return;
    times > 0 ? sum.Add(cells[row]) : sum.Take(cells[row]);
    count += times;
  }
  void Merge(const Sum& other) {
    sum.Merge(other.sum);
    count += other.count;
  }
  bool Takes() const { return true; }
  void Take(const Sum& other) {
    sum.Take(other.sum);
    count -= other.count;
  }
  void CopyResult(const Sum& from) { *this = from; }
  void Save(std::string* out) const {
    sum.Save(out);
    AppendSigned(count, out);
  }
  bool Load(std::string_view* from) { return sum.Load(from) && TakeSigned(from, &count); }
  int64_t Bytes() const { return 0; }
  void MovePart(Sum* to, int64_t /*bytes*/) {
    to->Merge(*this);
    sum.Clear();
    count = 0;
  }

  static absl::Status AppendResults(const std::vector<Sum>& sums, const Aggregate& aggregate, Slots slots, Columns* out,
                                    std::vector<ResultError>* errors) {
    return AppendSums(sums, aggregate.function == AggregateFunction::kAvg, aggregate.type, slots, out, errors);
  }

  N sum;
  int64_t count = 0;  // of values that aren't null
};

// Variance and what follows from it: the sums of the values and of their squares, exactly.
template <typename T>
class Spread {
 public:
  using Cell = T;

  explicit Spread(const Aggregate&) {}

  void Count(const Cells<T>& cells, const OrderColumns&, int32_t row, int times) {
    if (!cells.IsNull(row)) spread.Count(cells[row], times);
  }
  void Merge(const Spread& other) { spread.Merge(other.spread); }
  bool Takes() const { return true; }
  void Take(const Spread& other) { spread.Take(other.spread); }
  void MovePart(Spread* to, int64_t /*bytes*/) {
    to->Merge(*this);
    spread.Clear();
  }
  void CopyResult(const Spread& from) { *this = from; }
  void Save(std::string* out) const { spread.Save(out); }
  bool Load(std::string_view* from) { return spread.Load(from); }
  int64_t Bytes() const { return 0; }

  static absl::Status AppendResults(const std::vector<Spread>& groups, const Aggregate& aggregate, Slots slots,
                                    Columns* out, std::vector<ResultError>* errors) {
    const AggregateFunction function = aggregate.function;
    const bool sample = function == AggregateFunction::kVarSamp || function == AggregateFunction::kStddevSamp;
    const bool root = function == AggregateFunction::kStddevSamp || function == AggregateFunction::kStddevPop;
    return AppendColumn<double>(slots, arrow::float64(), out, [&](auto* w, size_t position, uint32_t slot) {
      const ExactSpread& spread = groups[slot].spread;
      if (spread.count() <= (sample ? 1 : 0)) return w->AppendNull();
      const double variance = spread.Variance(sample);
      if (std::isinf(variance)) {
        errors->push_back({position, "value out of range: overflow"});
        return w->AppendNull();
      }
      w->Append(root ? std::sqrt(variance) : variance);
    });
  }

  ExactSpread spread;
};

// min and max: what can be the result. NULL can't.
template <typename T>
struct ByValue {
  using Key = Kept<T>;

  explicit ByValue(const Aggregate& aggregate) : max(TakesLargest(aggregate.function)) {}
  static bool Counts(const Cells<T>& cells, int32_t row) { return !cells.IsNull(row); }
  static Key Of(const Cells<T>& cells, const OrderColumns&, int32_t row) { return Key(cells[row]); }
  bool operator()(const Key& a, const Key& b) const { return IsBetter(max, a, b); }
  static const Key* Value(const Key& key) { return &key; }
  static int64_t TextBytes(const Key& key) { return HeapBytes(key); }
  static void Save(const Key& key, std::string* out) { SaveValue(key, out); }
  static bool Load(std::string_view* from, Key* key) { return LoadValue(from, key); }

  bool max;
};

// count(distinct) and mode: what is equal, 0 and -0 too.
template <typename T>
struct ByEqual : ByValue<T> {
  using ByValue<T>::ByValue;
  static Kept<T> Of(const Cells<T>& cells, const OrderColumns&, int32_t row) {
    if constexpr (std::is_same_v<T, double>) return cells[row] + 0.0;
    return Kept<T>(cells[row]);
  }
};

// array_agg and string_agg in an order of their own: values in which that stands in front (arguments.h).
struct BySortKey : ByValue<std::string_view> {
  using ByValue<std::string_view>::ByValue;
};

// approx_percentile: values that are next to each other count as one, the middle of all those. A bucket is a double's
// sign, exponent and 6 bits of its mantissa, rounded, so its middle is at most 1/128 away, and whole numbers up to 128
// are their own. That is DDSketch (Masson, Rim, Lee, VLDB 2019) with the logarithm that stands in the exponent: buckets
// are a function of the value alone, on every machine, and their counts add up and are taken back exactly.
struct ByBucket {
  using Key = int32_t;

  explicit ByBucket(const Aggregate&) {}
  static bool Counts(const Cells<double>& cells, int32_t row) { return !cells.IsNull(row); }
  static Key Of(const Cells<double>& cells, const OrderColumns&, int32_t row) { return Of(cells[row]); }
  static Key Of(double value) {
    if (std::isnan(value)) return std::numeric_limits<Key>::max();
    if (value == 0) return 0;
    uint64_t bits = std::bit_cast<uint64_t>(std::fabs(value));
    if (!std::isinf(value)) bits = std::min(bits + (uint64_t{1} << (kDropped - 1)), kLargest);
    const auto bucket = static_cast<Key>(bits >> kDropped) + 1;
    return value < 0 ? -bucket : bucket;
  }
  static double Middle(Key bucket) {
    if (bucket == std::numeric_limits<Key>::max()) return std::numeric_limits<double>::quiet_NaN();
    if (bucket == 0) return 0;
    const double middle = std::bit_cast<double>(static_cast<uint64_t>(std::abs(bucket) - 1) << kDropped);
    return bucket < 0 ? -middle : middle;
  }
  bool operator()(Key a, Key b) const { return a < b; }
  static const Key* Value(const Key& key) { return &key; }
  static int64_t TextBytes(Key) { return 0; }
  static void Save(Key key, std::string* out) { AppendSigned(key, out); }
  static bool Load(std::string_view* from, Key* key) {
    int64_t bucket = 0;
    if (!TakeSigned(from, &bucket) || bucket < std::numeric_limits<Key>::min() ||
        bucket > std::numeric_limits<Key>::max()) {
      return false;
    }
    *key = static_cast<Key>(bucket);
    return true;
  }

 private:
  static constexpr int kDropped = 52 - 6;  // bits of the mantissa
  static constexpr uint64_t kLargest = std::bit_cast<uint64_t>(std::numeric_limits<double>::max());
};

// first and last: the row that comes first, with its value, which may be NULL.
template <typename T>
struct ByOrder {
  struct Key {
    RowOrder order;
    uint8_t valid = 0;
    Kept<T> value{};
  };

  explicit ByOrder(const Aggregate& aggregate) : last(aggregate.function == AggregateFunction::kLast) {}
  static bool Counts(const Cells<T>&, int32_t) { return true; }
  static Key Of(const Cells<T>& cells, const OrderColumns& order, int32_t row) {
    if (cells.IsNull(row)) return {RowOrder::At(order, row), 0, {}};
    return {RowOrder::At(order, row), 1, Kept<T>(cells[row])};
  }
  bool operator()(const Key& a, const Key& b) const {
    if (a.order != b.order) return last ? b.order < a.order : a.order < b.order;
    return a.valid != b.valid ? a.valid < b.valid : IsBetter(false, a.value, b.value);
  }
  static const Kept<T>* Value(const Key& key) { return key.valid ? &key.value : nullptr; }
  static int64_t TextBytes(const Key& key) { return HeapBytes(key.value); }
  static void Save(const Key& key, std::string* out) {
    SaveValue(key.order, out);
    SaveValue(key.valid, out);
    SaveValue(key.value, out);
  }
  static bool Load(std::string_view* from, Key* key) {
    return LoadValue(from, &key->order) && LoadValue(from, &key->valid) && LoadValue(from, &key->value);
  }

  bool last;
};

// string_agg and array_agg: the values that there are, of rows of one record in their own order.
template <typename T>
struct ByOrderOfValues : ByOrder<T> {
  using ByOrder<T>::ByOrder;
  static bool Counts(const Cells<T>& cells, int32_t row) { return !cells.IsNull(row); }
};

// All values of a group. Of min, max, first and last the one in front is the result.
template <typename T, typename By>
class Values {
 public:
  using Cell = T;
  using Key = typename By::Key;

  Values(const Aggregate& aggregate, InputRows rows)
      : aggregate_(&aggregate),
        most_(rows == InputRows::kStand ? static_cast<size_t>(aggregate.limit) : 0),
        once_(rows == InputRows::kStand && aggregate.function == AggregateFunction::kCountDistinct),
        times_(By(aggregate)) {}

  void Count(const Cells<T>& cells, const OrderColumns& order, int32_t row, int times) {
    if (By::Counts(cells, row)) Count(By::Of(cells, order, row), times);
  }
  void Merge(const Values& other) {
    for (const auto& [key, times] : other.times_) Count(key, times);
  }
  // What was dropped behind a limit isn't there when it counts again.
  bool Takes() const { return most_ == 0; }
  void Take(const Values& other) {
    for (const auto& [key, times] : other.times_) Count(key, -times);
  }
  // One entry, whatever the result is made of: of count(distinct) with the count below 0, as no group has it, and so of
  // array_agg and string_agg with the whole result as its value.
  void CopyResult(const Values& from) {
    Clear();
    if (from.times_.empty()) return;
    switch (aggregate_->function) {
      case AggregateFunction::kCountDistinct:
        return Count(Key{}, -from.CountDistinct());
      case AggregateFunction::kMode:
        return Count(*from.MostFrequent(), 1);
      case AggregateFunction::kStringAgg:
      case AggregateFunction::kArrayAgg:
        if constexpr (kJoins) {
          Key joined{};
          Text(joined) = from.Joined();
          return Count(std::move(joined), -1);
        }
        break;
      case AggregateFunction::kApproxPercentile:
        if (const Key* bucket = from.Percentile()) Count(*bucket, 1);
        return;
      default:
        break;
    }
    Count(from.times_.begin()->first, 1);
  }
  // The first of them, at least one.
  void MovePart(Values* to, int64_t bytes) {
    noted_ = {};
    while (!times_.empty() && (to->times_.empty() || to->Bytes() + EntryBytes(times_.begin()->first) <= bytes)) {
      text_bytes_ -= By::TextBytes(times_.begin()->first);
      const int64_t times = times_.begin()->second;
      to->Count(std::move(times_.extract(times_.begin()).key()), times);
    }
  }
  void Save(std::string* out) const { Save(times_, out); }
  bool Load(std::string_view* from) {
    Clear();
    return Load(from, [&](Key key, int64_t times) {
      text_bytes_ += By::TextBytes(times_.emplace_hint(times_.end(), std::move(key), times)->first);
    });
  }
  // What a limit dropped would have to be noted too; such groups are small.
  bool CanNote() const { return most_ == 0; }
  void Note(bool on) { noted_.reset(on ? new Noted{Times(times_.key_comp())} : nullptr); }
  bool Notes() const { return noted_ != nullptr; }
  void SaveChanges(std::string* out) const { noted_ ? Save(noted_->times, out) : AppendVarint(0, out); }
  bool LoadChanges(std::string_view* from) {
    return Load(from, [&](Key key, int64_t times) { Count(std::move(key), times); });
  }
  // Outside of the object.
  int64_t Bytes() const {
    const auto bytes = static_cast<int64_t>(times_.size() * kEntryBytes) + text_bytes_;
    if (!noted_) return bytes;
    return bytes + static_cast<int64_t>(sizeof(Noted) + noted_->times.size() * kEntryBytes) + noted_->text_bytes;
  }

  static absl::Status AppendResults(const std::vector<Values>& groups, const Aggregate& aggregate, Slots slots,
                                    Columns* out, std::vector<ResultError>*) {
    if (aggregate.function == AggregateFunction::kCountDistinct) {
      return AppendColumn<int64_t>(slots, arrow::int64(), out,
                                   [&](auto* w, size_t, uint32_t slot) { w->Append(groups[slot].CountDistinct()); });
    }
    return AppendColumn<T>(slots, ArrowType(ArgumentType(aggregate)), out, [&](auto* w, size_t, uint32_t slot) {
      const Values& group = groups[slot];
      if constexpr (kJoins) {
        group.times_.empty() ? w->AppendNull() : w->Append(group.Joined());
      } else if constexpr (std::is_same_v<By, ByBucket>) {
        const Key* bucket = group.Percentile();
        bucket != nullptr ? w->Append(By::Middle(*bucket)) : w->AppendNull();
      } else {
        const Key* key = aggregate.function == AggregateFunction::kMode ? group.MostFrequent() : group.Front();
        const Kept<T>* value = key == nullptr ? nullptr : By::Value(*key);
        value != nullptr ? w->Append(T(*value)) : w->AppendNull();
      }
    });
  }

 private:
  using Times = absl::btree_map<Key, int64_t, By>;
  struct Noted {
    Times times;  // how many came, less those that went
    int64_t text_bytes = 0;
  };

  static constexpr bool kJoins = std::is_same_v<By, ByOrderOfValues<std::string_view>> || std::is_same_v<By, BySortKey>;
  static constexpr size_t kEntryBytes = sizeof(Key) + sizeof(int64_t);
  static int64_t EntryBytes(const Key& key) { return static_cast<int64_t>(kEntryBytes) + By::TextBytes(key); }

  static void Save(const Times& values, std::string* out) {
    AppendVarint(values.size(), out);
    for (const auto& [key, times] : values) {
      By::Save(key, out);
      AppendSigned(times, out);
    }
  }
  template <typename F>
  static bool Load(std::string_view* from, F&& visit) {
    uint64_t size = 0;
    if (!TakeVarint(from, &size)) return false;
    for (uint64_t i = 0; i < size; ++i) {
      Key key{};
      int64_t times = 0;
      if (!By::Load(from, &key) || !TakeSigned(from, &times)) return false;
      visit(std::move(key), times);
    }
    return true;
  }

  void Count(Key key, int64_t times) {
    const auto [at, is_new] = times_.try_emplace(std::move(key), 0);
    if (is_new) text_bytes_ += By::TextBytes(at->first);
    if (once_ && !is_new) return;
    if (noted_) NoteTimes(at->first, times);
    at->second += times;
    // Of rows that stand: what comes behind so many others never counts.
    if (is_new && most_ != 0 && times > 0 && times_.size() > most_) return Drop(std::prev(times_.end()));
    if (at->second == 0) Drop(at);
  }
  void NoteTimes(const Key& key, int64_t times) {
    const auto [at, is_new] = noted_->times.try_emplace(key, 0);
    if (is_new) noted_->text_bytes += By::TextBytes(at->first);
    at->second += times;
    if (at->second != 0) return;
    noted_->text_bytes -= By::TextBytes(at->first);
    noted_->times.erase(at);
  }
  void Drop(typename Times::iterator at) {
    text_bytes_ -= By::TextBytes(at->first);
    times_.erase(at);
  }
  void Clear() {
    noted_ = {};
    times_.clear();
    text_bytes_ = 0;
  }
  const Key* Front() const { return times_.empty() ? nullptr : &times_.begin()->first; }
  // Of several the first in order.
  const Key* MostFrequent() const {
    const auto most = std::max_element(times_.begin(), times_.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    return most == times_.end() ? nullptr : &most->first;
  }
  int64_t CountDistinct() const {
    const bool is_copy = !times_.empty() && times_.begin()->second < 0;
    return is_copy ? -times_.begin()->second : static_cast<int64_t>(times_.size());
  }
  // The smallest value that is at least as large as this share of all, as percentile_disc has it.
  const Key* Percentile() const {
    int64_t count = 0;
    for (const auto& entry : times_) count += entry.second;
    int64_t rank = std::max<int64_t>(1, std::llround(std::ceil(aggregate_->fraction * static_cast<double>(count))));
    for (const auto& [key, times] : times_) {
      if ((rank -= times) <= 0) return &key;
    }
    return nullptr;
  }
  static std::string& Text(Key& key)
    requires(kJoins)
  {
    if constexpr (std::is_same_v<Key, std::string>) {
      return key;
    } else {
      return key.value;
    }
  }
  // Packed values follow each other, each behind its size.
  std::string Joined() const {
    const bool is_copy = !times_.empty() && times_.begin()->second < 0;
    if (is_copy) {
      Key whole = times_.begin()->first;
      return std::move(Text(whole));
    }
    const bool packed = IsPacked(*aggregate_);
    std::string text;
    int64_t left = aggregate_->limit == 0 ? std::numeric_limits<int64_t>::max() : aggregate_->limit;
    for (const auto& [key, times] : times_) {
      for (int64_t i = 0; i < times && left > 0; ++i, --left) {
        if (packed) {
          AppendVarint(By::Value(key)->size(), &text);
        } else if (i > 0 || &key != Front()) {
          text.append(aggregate_->separator);
        }
        text.append(*By::Value(key));
      }
    }
    return text;
  }

  const Aggregate* aggregate_;
  size_t most_ = 0;         // values that are kept; 0: all
  bool once_ = false;       // how often each is there doesn't count
  Times times_;             // how often each is there
  int64_t text_bytes_ = 0;  // what their texts hold outside of the map
  NotCopied<Noted> noted_;  // since they were saved; null: nobody asks
};

std::unique_ptr<Accumulator> MakeSum(const Aggregate& aggregate, InputRows rows) {
  switch (aggregate.argument->type().kind) {
    case Kind::kInt32:
      return std::make_unique<GroupAccumulator<Sum<int32_t, WideSum>>>(aggregate, rows);
    case Kind::kInt64:
      return std::make_unique<GroupAccumulator<Sum<int64_t, WideSum>>>(aggregate, rows);
    case Kind::kDecimal:
      return std::make_unique<GroupAccumulator<Sum<Int128, WideSum>>>(aggregate, rows);
    default:
      return std::make_unique<GroupAccumulator<Sum<double, ExactDouble>>>(aggregate, rows);
  }
}

}  // namespace

std::unique_ptr<Accumulator> MakeSpreadAccumulator(const Aggregate& aggregate, InputRows rows) {
  switch (aggregate.argument->type().kind) {
    case Kind::kInt32:
      return std::make_unique<GroupAccumulator<Spread<int32_t>>>(aggregate, rows);
    case Kind::kInt64:
      return std::make_unique<GroupAccumulator<Spread<int64_t>>>(aggregate, rows);
    default:
      return std::make_unique<GroupAccumulator<Spread<double>>>(aggregate, rows);
  }
}

std::unique_ptr<Accumulator> MakeRetractingAccumulator(const Aggregate& aggregate, InputRows rows) {
  if (aggregate.function == AggregateFunction::kSum || aggregate.function == AggregateFunction::kAvg) {
    return MakeSum(aggregate, rows);
  }
  if (IsSpread(aggregate.function)) return MakeSpreadAccumulator(aggregate, rows);
  const auto make = [&](auto group) -> std::unique_ptr<Accumulator> {
    return std::make_unique<GroupAccumulator<typename decltype(group)::type>>(aggregate, rows);
  };
  if (aggregate.function == AggregateFunction::kStringAgg || aggregate.function == AggregateFunction::kArrayAgg) {
    if (!aggregate.order.empty()) return make(std::type_identity<Values<std::string_view, BySortKey>>());
    return make(std::type_identity<Values<std::string_view, ByOrderOfValues<std::string_view>>>());
  }
  if (aggregate.function == AggregateFunction::kApproxPercentile) {
    return make(std::type_identity<Values<double, ByBucket>>());
  }
  return VisitKind(ArgumentType(aggregate).kind, [&](auto tag) -> std::unique_ptr<Accumulator> {
    using T = decltype(tag);
    switch (aggregate.function) {
      case AggregateFunction::kFirst:
      case AggregateFunction::kLast:
        return make(std::type_identity<Values<T, ByOrder<T>>>());
      case AggregateFunction::kCountDistinct:
      case AggregateFunction::kMode:
        return make(std::type_identity<Values<T, ByEqual<T>>>());
      default:
        return make(std::type_identity<Values<T, ByValue<T>>>());
    }
  });
}

}  // namespace tidemark
