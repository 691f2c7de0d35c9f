// What many groups cost in memory, CPU and disk: count(*) and sum(v) by a bigint, over all time (memory_run.h).
//
//     bench_group_memory --groups 30000000 --tasks 4 --memory_mib 512 --folder DIR
//
// Five rows in a hundred are of a group drawn from all before (--repeats N: N in a hundred; --recent N: from the last
// N).
//
// The results are checked: every row emitted is hashed, what is taken back is subtracted, and the sum must be that of a
// table which the program adds up itself at the end, from the same rows by plain arrays: `right`.
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <random>
#include <utility>
#include <vector>

#include <arrow/api.h>

#include "bench/memory_run.h"
#include "operators/step.h"
#include "operators/window/spec.h"
#include "src/cli/malloc_conf.h"

extern "C" {
const char* malloc_conf = tidemark::kMallocConf;
}

namespace tidemark {
namespace {

constexpr int64_t kBatchRows = 8192;

uint64_t HashRow(int64_t key, int64_t count, int64_t sum) {
  const std::array<int64_t, 3> row = {key, count, sum};
  return XXH3_64bits(row.data(), sizeof(row));
}

// Adds up the hashes of the rows that stand.
class HashingEmitter final : public Emitter {
 public:
  absl::Status Emit(Batch batch) override {
    const int64_t before = CpuNs(CLOCK_THREAD_CPUTIME_ID);
    const auto column = [&](int c) { return batch->column_data(c)->GetValues<int64_t>(1); };
    const int64_t *keys = column(0), *counts = column(1), *sums = column(2);
    const int8_t* const ops = HiddenOps(*batch);
    for (int64_t i = 0; i < batch->num_rows(); ++i) {
      const uint64_t hash = HashRow(keys[i], counts[i], sums[i]);
      stands += IsRetraction(ops, i) ? -hash : hash;
    }
    ns += CpuNs(CLOCK_THREAD_CPUTIME_ID) - before;
    return absl::OkStatus();
  }
  absl::Status EmitSide(std::string_view, Batch) override { return absl::OkStatus(); }
  absl::Status DeadLetter(RowFailure) override { return absl::OkStatus(); }
  bool Full() const override { return false; }

  uint64_t stands = 0;
  int64_t ns = 0;
};

Node MakeNode() {
  WindowSpec spec;
  spec.on_update = true;
  spec.group_by = {0};
  spec.aggregates = {{"n", "count(*)"}, {"s", "sum(v)"}};
  spec.rows = Schema({{"key", {.kind = Kind::kInt64}, false}, {"v", {.kind = Kind::kInt64}, false}});
  Node node;
  node.step = "sums";
  node.inputs = {{.schema = spec.rows, .hidden = HiddenSet().With(Hidden::kWatermark)}};
  node.output = Schema({{"key", {.kind = Kind::kInt64}, false},
                        {"n", {.kind = Kind::kInt64}, false},
                        {"s", {.kind = Kind::kInt64}, true}});
  node.hidden = HiddenSet().With(Hidden::kOp);
  node.mode.update = true;
  node.spec = std::move(spec);
  return node;
}

// Groups are numbered in the order of their first row; keys are scattered over all bigints.
class Rows {
 public:
  Rows(int32_t task, int64_t repeats, int64_t recent) : repeats_(repeats), recent_(recent), random_(task + 1) {}
  // Replaces `groups` and `values`.
  void Next(std::vector<int64_t>* groups, std::vector<int64_t>* values) {
    groups->resize(kBatchRows);
    values->resize(kBatchRows);
    for (int64_t i = 0; i < kBatchRows; ++i) {
      const int64_t range = recent_ > 0 && recent_ < next_ ? recent_ : next_;
      const bool repeats = range > 0 && static_cast<int64_t>(random_() % 100) < repeats_;
      (*groups)[i] = repeats ? next_ - 1 - static_cast<int64_t>(random_() % static_cast<uint64_t>(range)) : next_++;
      (*values)[i] = static_cast<int64_t>(random_() % 2000) - 1000;
    }
  }
  static int64_t Key(int64_t group) { return static_cast<int64_t>(static_cast<uint64_t>(group) * 0x9E3779B97F4A7C15); }
  int64_t groups() const { return next_; }

 private:
  const int64_t repeats_, recent_;
  std::mt19937_64 random_;
  int64_t next_ = 0;
};

Batch ToBatch(const std::shared_ptr<arrow::Schema>& schema, const std::vector<int64_t>& groups,
              const std::vector<int64_t>& values, int64_t time) {
  std::vector<int64_t> keys(groups.size()), times(groups.size(), time);
  std::transform(groups.begin(), groups.end(), keys.begin(), Rows::Key);
  std::vector<std::shared_ptr<arrow::Array>> columns;
  for (std::vector<int64_t>* column : {&keys, const_cast<std::vector<int64_t>*>(&values), &times, &times}) {
    columns.push_back(std::make_shared<arrow::Int64Array>(kBatchRows, arrow::Buffer::FromVector(std::vector(*column))));
  }
  return arrow::RecordBatch::Make(schema, kBatchRows, std::move(columns));
}

// The same rows again, added up by group number.
uint64_t Expected(Rows rows, int64_t batches) {
  std::vector<int64_t> groups, values, counts, sums;
  for (int64_t batch = 0; batch < batches; ++batch) {
    rows.Next(&groups, &values);
    counts.resize(rows.groups());
    sums.resize(rows.groups());
    for (int64_t i = 0; i < kBatchRows; ++i) {
      ++counts[groups[i]];
      sums[groups[i]] += values[i];
    }
  }
  uint64_t stands = 0;
  for (size_t g = 0; g < counts.size(); ++g) {
    stands += HashRow(Rows::Key(static_cast<int64_t>(g)), counts[g], sums[g]);
  }
  return stands;
}

int Run(const Arguments& arguments) {
  const int64_t groups_wanted = arguments.Int("groups", 30'000'000);
  HashingEmitter emitter;
  MemoryRun run(arguments, "group", groups_wanted, MakeNode(), &emitter);
  std::vector<Rows> rows;
  for (int32_t t = 0; t < run.tasks(); ++t) {
    rows.emplace_back(t, arguments.Int("repeats", 5), arguments.Int("recent", 0) / run.tasks());
  }
  const std::vector<Rows> first = rows;
  std::vector<int64_t> groups, values;
  int64_t batches = 0;
  for (int64_t made = 0; made < groups_wanted;) {
    ++batches;
    made = 0;
    for (int32_t t = 0; t < run.tasks(); ++t) {
      const int64_t before = CpuNs(CLOCK_THREAD_CPUTIME_ID);
      rows[t].Next(&groups, &values);
      const Batch batch = ToBatch(run.schema(), groups, values, batches * kSecond);
      run.Leave(CpuNs(CLOCK_THREAD_CPUTIME_ID) - before);
      run.Process(t, batch, EventTime{batches * kSecond});
      made += rows[t].groups();
    }
    run.EndRound();
    run.Leave(std::exchange(emitter.ns, 0));
    if (run.LineIsDue(made)) run.Line(made);
  }
  run.Reopen();
  uint64_t expected = 0;
  for (const Rows& of : first) expected += Expected(of, batches);
  std::printf("{\"rows\": %lld, \"right\": %s}\n", static_cast<long long>(run.rows()),
              expected == emitter.stands ? "true" : "false");
  return expected == emitter.stands ? 0 : 1;
}

}  // namespace
}  // namespace tidemark

int main(int argc, char** argv) { return tidemark::Run(tidemark::Arguments(argc, argv)); }
