#include "operators/dedup/first.h"

#include <vector>

#include "operators/dedup/seen_keys.h"
#include "operators/step.h"
#include "src/base/status.h"

namespace tidemark {
namespace {

constexpr int64_t kPrefetchRows = 16;

template <typename Key>
class DedupFirst final : public Operator {
 public:
  DedupFirst(const Node& node, const DedupSpec& spec) : shape_(node), seen_(spec, node.in().schema) {}

  std::string_view name() const override { return shape_.name; }

  absl::Status Open(const OperatorContext& context) override {
    ledger_ = context.ledger;
    return seen_.Open(context.state, context.memory);
  }

  absl::Status ProcessBatch(int /*input*/, const Batch& batch, Emitter& emitter) override {
    const int64_t n = batch->num_rows();
    if (n == 0) return absl::OkStatus();
    TM_RETURN_IF_ERROR(seen_.KeysOf(*batch, &keys_));
    Judge(*batch);
    TM_RETURN_IF_ERROR(seen_.status());
    const auto passed = static_cast<int64_t>(rows_.size());
    ledger_->in += n;
    ledger_->passed += passed;
    ledger_->out += passed;
    if (passed == 0) return absl::OkStatus();
    const Batch out = shape_.PassThrough(batch);
    return emitter.Emit(passed == n ? out : TakeRows(out, rows_));
  }

  absl::StatusOr<EventTime> AdvanceWatermark(EventTime time, Emitter& /*emitter*/) override {
    TM_RETURN_IF_ERROR(seen_.Advance(time));
    return time;
  }

  absl::Status PrepareCommit(uint64_t commit, Emitter& /*emitter*/) override { return seen_.Commit(commit); }

  int64_t MemoryBytes() const override { return seen_.MemoryBytes(); }

 private:
  // Fills rows_ with the rows that pass.
  void Judge(const arrow::RecordBatch& batch) {
    const auto n = static_cast<int64_t>(keys_.size());
    const int64_t* times = HiddenInt64(batch, Hidden::kTime);
    const int64_t* watermarks = HiddenInt64(batch, Hidden::kWatermark);
    int64_t accepted_us = 0;
    rows_.clear();
    for (int64_t i = 0; i < std::min(kPrefetchRows, n); ++i) seen_.Prefetch(keys_[i]);
    for (int64_t i = 0; i < n; ++i) {
      if (i + kPrefetchRows < n) seen_.Prefetch(keys_[i + kPrefetchRows]);
      if (seen_.IsLate(times[i], watermarks ? watermarks[i] : kMinTime.us)) {
        ++ledger_->late;
      } else if (seen_.IsDuplicate(keys_[i], times[i], &accepted_us)) {
        ++ledger_->duplicate;
      } else {
        rows_.push_back(static_cast<int32_t>(i));
      }
    }
  }

  const StepShape shape_;
  SeenKeys<Key> seen_;
  StepLedger* ledger_ = nullptr;
  std::vector<Key> keys_;      // scratch
  std::vector<int32_t> rows_;  // scratch
};

}  // namespace

std::unique_ptr<Operator> MakeDedupFirst(const Node& node, const DedupSpec& spec) {
  if (HasIntKey(spec, node.in().schema)) return std::make_unique<DedupFirst<IntKey>>(node, spec);
  return std::make_unique<DedupFirst<HashedKey>>(node, spec);
}

}  // namespace tidemark
