#include "bench/shuffle/operators.h"

#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/base/const_init.h>
#include <absl/container/flat_hash_map.h>
#include <absl/strings/numbers.h>
#include <absl/synchronization/mutex.h>
#include <arrow/array.h>

#include "bench/shuffle/rules.h"
#include "operators/custom/custom_operator.h"
#include "operators/operator.h"
#include "operators/step.h"
#include "src/base/status.h"
#include "src/codec/cells.h"
#include "state/state_log.h"

namespace {

using namespace tidemark;

constexpr int64_t kMostRules = 100'000'000;

std::optional<double> Selectivity(const CustomSpec& spec) {
  double value = 0;
  if (!absl::SimpleAtod(*TextParameter(spec, "selectivity"), &value) || value < 0 || value >= 1) return std::nullopt;
  return value;
}

// The rules of all tasks of a step: a million take 24 MB, and a tenth of a second to sort.
std::shared_ptr<const MatchingRules> SharedRules(int64_t rules, double selectivity) {
  static absl::Mutex mutex(absl::kConstInit);
  static auto& made = *new std::map<std::pair<int64_t, double>, std::weak_ptr<const MatchingRules>>();
  const absl::MutexLock lock(&mutex);
  std::weak_ptr<const MatchingRules>& last = made[{rules, selectivity}];
  std::shared_ptr<const MatchingRules> shared = last.lock();
  if (shared == nullptr) last = shared = std::make_shared<const MatchingRules>(rules, selectivity);
  return shared;
}

class Match final : public Operator {
 public:
  Match(const Node& node, const CustomSpec& spec)
      : shape_(node), rules_(SharedRules(*IntegerParameter(spec, "rules"), *Selectivity(spec))) {}

  std::string_view name() const override { return shape_.name; }

  absl::Status Open(const OperatorContext& context) override {
    ledger_ = context.ledger;
    return absl::OkStatus();
  }

  absl::Status ProcessBatch(int /*input*/, const Batch& batch, Emitter& emitter) override {
    const Cells<std::string_view> records(*batch->column_data(0));
    const int64_t* times = HiddenInt64(*batch, Hidden::kTime);
    matches_.clear();
    int64_t bytes = 0;
    for (int64_t row = 0; row < batch->num_rows(); ++row) {
      ++ledger_->in;
      const std::string_view record = records[row];
      const size_t before = matches_.size();
      if (record.size() >= sizeof(uint64_t)) {
        rules_->ForEachMatch(PositionOf(record), [&](int64_t rule) {
          matches_.push_back({row, rule});
          bytes += static_cast<int64_t>(record.size());
        });
      }
      ++(matches_.size() > before ? ledger_->passed : ledger_->filtered);
    }
    if (matches_.empty()) return absl::OkStatus();

    const auto count = static_cast<int64_t>(matches_.size());
    CellWriter<int64_t> consumers(count);
    CellWriter<std::string_view> matched(count);
    matched.ReserveText(bytes);
    HiddenValues hidden;
    hidden.times.reserve(matches_.size());
    for (const auto [row, rule] : matches_) {
      consumers.Append(rule);
      matched.Append(records[row]);
      hidden.times.push_back(times[row]);
    }
    ledger_->out += count;
    TM_ASSIGN_OR_RETURN(auto first, consumers.Finish(ArrowType(shape_.output[0].type)));
    TM_ASSIGN_OR_RETURN(auto second, matched.Finish(ArrowType(shape_.output[1].type)));
    return emitter.Emit(MakeBatch(shape_, {std::move(first), std::move(second)}, hidden));
  }

 private:
  struct Found {
    int64_t row, rule;
  };

  const StepShape shape_;
  const std::shared_ptr<const MatchingRules> rules_;
  StepLedger* ledger_ = nullptr;
  std::vector<Found> matches_;  // of the batch at hand
};

// What is kept of a consumer: 32 bytes.
struct Counted {
  int64_t count = 0, sum = 0, first_us = 0, last_us = 0;
};

// All consumers are in memory, and in state by the numbers that they got as they came: those that have changed are
// written in one piece a commit, not each by itself (state/state_log.h).
class Consume final : public Operator {
 public:
  Consume(const Node& node, const CustomSpec& spec)
      : shape_(node),
        consumer_(static_cast<int>(spec.by[0])),
        record_(1 - consumer_),
        every_(*IntegerParameter(spec, "every")) {}

  std::string_view name() const override { return shape_.name; }

  absl::Status Open(const OperatorContext& context) override {
    ledger_ = context.ledger;
    log_.emplace(context.state, "c");
    return log_->Load([this](uint32_t number, const std::string_view* record) {
      if (record == nullptr || record->size() != sizeof(Kept)) return absl::DataLossError("a consumer can't be read");
      if (number >= consumers_.size()) consumers_.resize(number + 1);
      Kept& kept = consumers_[number].kept;
      std::memcpy(&kept, record->data(), sizeof kept);
      number_of_[kept.consumer] = number;
      return absl::OkStatus();
    });
  }

  absl::Status ProcessBatch(int /*input*/, const Batch& batch, Emitter& emitter) override {
    const Cells<int64_t> numbers(*batch->column_data(consumer_));
    const Cells<std::string_view> records(*batch->column_data(record_));
    const int64_t* times = HiddenInt64(*batch, Hidden::kTime);
    done_.clear();
    for (int64_t row = 0; row < batch->num_rows(); ++row) {
      const uint32_t number = NumberOf(numbers[row]);
      Consumer& consumer = consumers_[number];
      Counted& kept = consumer.kept.counted;
      if (kept.first_us == 0) kept.first_us = times[row];
      uint64_t bytes = 0;
      std::memcpy(&bytes, records[row].data(), sizeof bytes);
      kept.sum = static_cast<int64_t>(static_cast<uint64_t>(kept.sum) + __builtin_bswap64(bytes));
      kept.last_us = times[row];
      if (!std::exchange(consumer.changed, true)) changed_.push_back(number);
      if (++kept.count >= every_) done_.push_back({consumer.kept.consumer, std::exchange(kept, {})});
    }
    ledger_->in += batch->num_rows();
    ledger_->absorbed += batch->num_rows();
    return done_.empty() ? absl::OkStatus() : EmitDone(emitter);
  }

  absl::Status PrepareCommit(uint64_t commit, Emitter& /*emitter*/) override {
    log_->Begin(commit);
    for (const uint32_t number : changed_) {
      Consumer& consumer = consumers_[number];
      consumer.changed = false;
      log_->Put(number, {reinterpret_cast<const char*>(&consumer.kept), sizeof consumer.kept});
    }
    changed_.clear();
    return log_->Commit();
  }

  int64_t MemoryBytes() const override {
    return static_cast<int64_t>(consumers_.capacity() * sizeof(Consumer) +
                                number_of_.capacity() * (sizeof(int64_t) + sizeof(uint32_t) + 5)) +
           (log_ ? log_->MemoryBytes() : 0);
  }

 private:
  // As it is in state.
  struct Kept {
    int64_t consumer = 0;
    Counted counted;
  };
  struct Consumer {
    Kept kept;
    bool changed = false;  // since the last commit
  };

  uint32_t NumberOf(int64_t consumer) {
    const auto [it, is_new] = number_of_.try_emplace(consumer, static_cast<uint32_t>(consumers_.size()));
    if (!is_new) return it->second;
    const uint64_t first = SplitMix64(~static_cast<uint64_t>(consumer)) % static_cast<uint64_t>(every_);
    consumers_.push_back({{consumer, {.count = static_cast<int64_t>(first)}}});
    return it->second;
  }

  absl::Status EmitDone(Emitter& emitter) {
    const auto count = static_cast<int64_t>(done_.size());
    CellWriter<int64_t> numbers(count), counts(count), sums(count), firsts(count), lasts(count);
    HiddenValues hidden;
    for (const auto& [number, counted] : done_) {
      numbers.Append(number);
      counts.Append(counted.count);
      sums.Append(counted.sum);
      firsts.Append(counted.first_us);
      lasts.Append(counted.last_us);
      hidden.times.push_back(counted.last_us);
    }
    ledger_->out += count;
    std::vector<std::shared_ptr<arrow::Array>> columns;
    for (CellWriter<int64_t>* writer : {&numbers, &counts, &sums, &firsts, &lasts}) {
      TM_ASSIGN_OR_RETURN(auto column, writer->Finish(ArrowType(shape_.output[columns.size()].type)));
      columns.push_back(std::move(column));
    }
    return emitter.Emit(MakeBatch(shape_, std::move(columns), hidden));
  }

  const StepShape shape_;
  const int consumer_, record_;
  const int64_t every_;
  StepLedger* ledger_ = nullptr;
  std::vector<Consumer> consumers_;
  absl::flat_hash_map<int64_t, uint32_t> number_of_;  // of each in consumers_
  std::optional<StateLog> log_;
  std::vector<uint32_t> changed_;                  // consumers since the last commit
  std::vector<std::pair<int64_t, Counted>> done_;  // of the batch at hand
};

absl::StatusOr<CustomShape> PlanMatch(const CustomInput& input) {
  if (input.columns.size() != 1 || input.columns[0].type.kind != Kind::kBytes || input.columns[0].nullable) {
    return absl::InvalidArgumentError("match takes one column of bytes that isn't nullable");
  }
  const int64_t rules = *IntegerParameter(input.spec, "rules");
  if (rules < 1 || rules > kMostRules || !Selectivity(input.spec)) {
    return absl::InvalidArgumentError("expected 1 to 100000000 rules and a selectivity of at least 0 and less than 1");
  }
  CustomShape shape;
  shape.Add({"consumer", {.kind = Kind::kInt64}, false});
  shape.Add({"record", {.kind = Kind::kBytes}, false});
  return shape;
}

absl::StatusOr<CustomShape> PlanConsume(const CustomInput& input) {
  const std::vector<size_t>& by = input.spec.by;
  if (input.columns.size() != 2 || by.size() != 1 || input.columns[by[0]].type.kind != Kind::kInt64 ||
      input.columns[1 - by[0]].type.kind != Kind::kBytes) {
    return absl::InvalidArgumentError("consume takes what match gives, by the consumer");
  }
  if (*IntegerParameter(input.spec, "every") < 1) return absl::InvalidArgumentError("every must be at least 1");
  const Type time{.kind = Kind::kTimestamp, .form = input.time_form};
  CustomShape shape;
  shape.Keep(input.columns, by[0]);
  shape.Add({"count", {.kind = Kind::kInt64}, false});
  shape.Add({"sum", {.kind = Kind::kInt64}, false});
  shape.Add({"first_at", time, false});
  shape.Add({"last_at", time, false});
  return shape;
}

template <typename T>
absl::StatusOr<std::unique_ptr<Operator>> Make(const Node& node, const CustomSpec& spec) {
  return std::make_unique<T>(node, spec);
}

}  // namespace

absl::Status RegisterShuffleOperators() {
  CustomOperator match;
  match.name = "match";
  match.by = CustomOperator::By::kNone;
  match.parameters = {{"rules", CustomParameter::Kind::kInteger, /*required=*/true},
                      {"selectivity", CustomParameter::Kind::kText, /*required=*/true}};
  match.plan = PlanMatch;
  match.make = Make<Match>;
  TM_RETURN_IF_ERROR(RegisterOperator(std::move(match)));

  CustomOperator consume;
  consume.name = "consume";
  consume.by = CustomOperator::By::kRequired;
  consume.parameters = {{"every", CustomParameter::Kind::kInteger, /*required=*/true}};
  consume.plan = PlanConsume;
  consume.make = Make<Consume>;
  return RegisterOperator(std::move(consume));
}
