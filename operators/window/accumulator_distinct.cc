// approx_count_distinct: a HyperLogLog a group, of the hashes that arguments.h makes.
#include "operators/window/accumulator_groups.h"
#include "operators/window/hyper_log_log.h"

namespace tidemark {
namespace {

using namespace accumulators;

class Distinct {
 public:
  using Cell = int64_t;

  explicit Distinct(const Aggregate&) {}

  // Rows are only added: the accumulator refuses to take any back.
  void Count(const Cells<int64_t>& hashes, const OrderColumns&, int32_t row, int /*times*/) {
    if (!hashes.IsNull(row)) sketch_.Add(static_cast<uint64_t>(hashes[row]));
  }
  void Merge(const Distinct& other) { sketch_.Merge(other.sketch_); }
  bool Takes() const { return false; }
  void CopyResult(const Distinct& from) { *this = from; }
  void MovePart(Distinct* to, int64_t /*bytes*/) {
    to->Merge(*this);
    sketch_.Clear();
  }
  void Save(std::string* out) const { sketch_.Save(out); }
  bool Load(std::string_view* from) { return sketch_.Load(from); }
  int64_t Bytes() const { return sketch_.Bytes(); }

  static absl::Status AppendResults(const std::vector<Distinct>& groups, const Aggregate&, Slots slots, Columns* out,
                                    std::vector<ResultError>*) {
    return AppendColumn<int64_t>(slots, arrow::int64(), out,
                                 [&](auto* w, size_t, uint32_t slot) { w->Append(groups[slot].sketch_.Estimate()); });
  }

 private:
  HyperLogLog sketch_;
};

}  // namespace

std::unique_ptr<Accumulator> MakeApproxDistinctAccumulator(const Aggregate& aggregate) {
  return std::make_unique<GroupAccumulator<Distinct>>(aggregate, InputRows::kStand);
}

}  // namespace tidemark
