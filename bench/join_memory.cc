// What a join of streams costs in memory, CPU and disk where it keeps many rows: an inner join by a bigint over an
// interval so long that none of them is ever over (memory_run.h).
//
//     bench_join_memory --rows 50000000 --tasks 4 --memory_mib 512 --folder DIR
//
// Half of the rows are of the left, each of a key of its own; the other half are of the right, each of the key of a
// left row that came `--lag` rows earlier (of the right as of the left; 10% of all rows unless said otherwise), so that
// it meets exactly that one.
//
// The results are checked: every pair is hashed, and the sum must be that of the pairs there should be: `right`.
#include <xxhash.h>

#include <array>
#include <vector>

#include <arrow/api.h>

#include "bench/memory_run.h"
#include "operators/join/streams_spec.h"
#include "src/cli/malloc_conf.h"

extern "C" {
const char* malloc_conf = tidemark::kMallocConf;
}

namespace tidemark {
namespace {

constexpr int64_t kBatchRows = 8192;

uint64_t HashPair(int64_t key, int64_t left, int64_t right) {
  const std::array<int64_t, 3> row = {key, left, right};
  return XXH3_64bits(row.data(), sizeof(row));
}

class HashingEmitter final : public Emitter {
 public:
  absl::Status Emit(Batch batch) override {
    const auto column = [&](int c) { return batch->column_data(c)->GetValues<int64_t>(1); };
    const int64_t *keys = column(0), *left = column(1), *right = column(2);
    for (int64_t i = 0; i < batch->num_rows(); ++i) sum += HashPair(keys[i], left[i], right[i]);
    pairs += batch->num_rows();
    return absl::OkStatus();
  }
  absl::Status EmitSide(std::string_view, Batch) override { return absl::OkStatus(); }
  absl::Status DeadLetter(RowFailure) override { return absl::OkStatus(); }
  bool Full() const override { return false; }

  uint64_t sum = 0;
  int64_t pairs = 0;
};

Node MakeNode() {
  StreamJoinSpec spec;
  spec.on = {ColumnList{0}, ColumnList{0}};
  spec.before_us = spec.after_us = int64_t{3'000'000} * kSecond;
  spec.columns = {1};
  Node node;
  node.step = "join";
  const Schema rows = Schema({{"key", {.kind = Kind::kInt64}, false}, {"v", {.kind = Kind::kInt64}, false}});
  node.inputs = {{.schema = rows, .hidden = HiddenSet().With(Hidden::kWatermark)},
                 {.schema = rows, .hidden = HiddenSet().With(Hidden::kWatermark)}};
  node.output = Schema({{"key", {.kind = Kind::kInt64}, false},
                        {"v", {.kind = Kind::kInt64}, false},
                        {"w", {.kind = Kind::kInt64}, false}});
  node.spec = std::move(spec);
  return node;
}

// Keys are scattered over all bigints.
int64_t Key(int32_t task, int64_t number) {
  return static_cast<int64_t>((static_cast<uint64_t>(number) * 64 + static_cast<uint64_t>(task)) * 0x9E3779B97F4A7C15);
}

// Rows of the numbers from `first` on; negative ones meet nothing.
Batch ToBatch(const std::shared_ptr<arrow::Schema>& schema, int32_t task, int64_t first, int64_t value, int64_t time) {
  std::vector<int64_t> keys(kBatchRows), values(kBatchRows), times(kBatchRows, time);
  for (int64_t i = 0; i < kBatchRows; ++i) {
    keys[i] = Key(task, first + i);
    values[i] = first + i + value;
  }
  std::vector<std::shared_ptr<arrow::Array>> columns;
  for (std::vector<int64_t>* column : {&keys, &values, &times, &times}) {
    columns.push_back(std::make_shared<arrow::Int64Array>(kBatchRows, arrow::Buffer::FromVector(std::vector(*column))));
  }
  return arrow::RecordBatch::Make(schema, kBatchRows, std::move(columns));
}

int Run(const Arguments& arguments) {
  const int64_t rows_wanted = arguments.Int("rows", 50'000'000);
  HashingEmitter emitter;
  MemoryRun run(arguments, "row", rows_wanted, MakeNode(), &emitter);
  const int64_t lag = arguments.Int("lag", rows_wanted / 10) / (2 * run.tasks()) / kBatchRows * kBatchRows;
  const auto schema = run.schema();
  int64_t batches = 0;
  while (run.rows() < rows_wanted) {
    const int64_t first = batches++ * kBatchRows;
    for (int32_t t = 0; t < run.tasks(); ++t) {
      const int64_t before = CpuNs(CLOCK_THREAD_CPUTIME_ID);
      const Batch left = ToBatch(schema, t, first, 0, batches * kSecond);
      const Batch right = ToBatch(schema, t, first - lag, 7, batches * kSecond);
      run.Leave(CpuNs(CLOCK_THREAD_CPUTIME_ID) - before);
      run.Process(t, left, EventTime{batches * kSecond}, 0);
      run.Process(t, right, EventTime{batches * kSecond}, 1);
    }
    run.EndRound();
    if (run.LineIsDue(run.rows())) run.Line(run.rows());
  }
  run.Reopen();
  uint64_t expected = 0;
  int64_t pairs = 0;
  for (int32_t t = 0; t < run.tasks(); ++t) {
    for (int64_t number = 0; number < batches * kBatchRows - lag; ++number, ++pairs) {
      expected += HashPair(Key(t, number), number, number + 7);
    }
  }
  const bool right = expected == emitter.sum && pairs == emitter.pairs;
  std::printf("{\"rows\": %lld, \"pairs\": %lld, \"right\": %s}\n", static_cast<long long>(run.rows()),
              static_cast<long long>(emitter.pairs), right ? "true" : "false");
  return right ? 0 : 1;
}

}  // namespace
}  // namespace tidemark

int main(int argc, char** argv) { return tidemark::Run(tidemark::Arguments(argc, argv)); }
