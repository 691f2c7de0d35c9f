// What a join with versions costs a row as there is more of one time, or of one key: rows that wait for one time and go
// out over many commits, and a key that changes all the time. ns/row should stay what it is however many there are.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <arrow/api.h>
#include <arrow/compute/initialize.h>
#include <benchmark/benchmark.h>

#include "bench/micro/map_store.h"
#include "operators/join/table_versions.h"
#include "operators/join/versioned_spec.h"
#include "operators/operator.h"
#include "src/base/batch.h"

namespace tidemark {
namespace {

constexpr int64_t kBatchRows = 8192;

// A commit takes one batch of results.
class SmallCommits final : public Emitter {
 public:
  absl::Status Emit(Batch batch) override {
    rows += batch->num_rows();
    full = true;
    return absl::OkStatus();
  }
  absl::Status EmitSide(std::string_view, Batch) override { return absl::OkStatus(); }
  absl::Status DeadLetter(RowFailure) override { return absl::OkStatus(); }
  bool Full() const override { return full; }
  int64_t rows = 0;
  bool full = false;
};

HiddenSet SourceHidden() {
  return HiddenSet().With(Hidden::kWatermark).With(Hidden::kSource).With(Hidden::kPartition).With(Hidden::kOffset);
}

Node JoinNode() {
  VersionedJoinSpec spec;
  spec.on = {ColumnList{0}, ColumnList{0}};
  spec.left = true;
  spec.columns = {1};
  spec.keep_us = 3600 * kSecond;
  const Schema rows({{"key", {.kind = Kind::kInt64}, false}, {"v", {.kind = Kind::kInt64}, false}});
  Node node;
  node.step = "join";
  node.spec = std::move(spec);
  node.inputs = {{.schema = rows, .hidden = SourceHidden()}, {.schema = rows, .hidden = SourceHidden()}};
  node.output = rows;
  node.output.Add({"w", {.kind = Kind::kInt64}, true});
  node.hidden = SourceHidden();
  return node;
}

Batch RowsOf(const Node& node, int64_t first, int64_t time) {
  std::vector<int64_t> numbers, times(kBatchRows, time), watermarks(kBatchRows, 0);
  for (int64_t i = 0; i < kBatchRows; ++i) numbers.push_back(first + i);
  const auto int64s = [](std::vector<int64_t> values) {
    return std::make_shared<arrow::Int64Array>(kBatchRows, arrow::Buffer::FromVector(std::move(values)));
  };
  const auto none =
      std::make_shared<arrow::Int32Array>(kBatchRows, arrow::Buffer::FromVector(std::vector<int32_t>(kBatchRows)));
  return arrow::RecordBatch::Make(
      BatchSchema(node.in().schema, node.in().hidden), kBatchRows,
      {int64s(numbers), int64s(numbers), int64s(times), int64s(watermarks), none, none, int64s(numbers)});
}

void PerRow(benchmark::State& state) {
  const auto all = static_cast<double>(state.iterations() * state.range(0));
  state.counters["ns/row"] = benchmark::Counter(all / 1e9, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

// The argument: rows that wait for one time.
void BM_RowsThatWaitForOneTime(benchmark::State& state) {
  (void)arrow::compute::Initialize();
  const Node node = JoinNode();
  for (auto _ : state) {
    state.PauseTiming();
    MapStore store;
    StepLedger ledger;
    OperatorContext context;
    context.state = &store;
    context.ledger = &ledger;
    auto op = node.spec.kind().Make(node).value();
    if (!op->Open(context).ok()) return state.SkipWithError("open");
    SmallCommits emitter;
    for (int64_t i = 0; i < state.range(0); i += kBatchRows) {
      if (!op->ProcessBatch(0, RowsOf(node, i, kSecond), emitter).ok()) return state.SkipWithError("rows");
    }
    uint64_t commit = 1;
    if (!op->PrepareCommit(commit, emitter).ok()) return state.SkipWithError("commit");
    state.ResumeTiming();
    while (emitter.rows < state.range(0)) {
      emitter.full = false;
      if (!op->AdvanceWatermark(EventTime{2 * kSecond}, emitter).ok()) return state.SkipWithError("time");
      if (!op->PrepareCommit(++commit, emitter).ok()) return state.SkipWithError("commit");
    }
    state.PauseTiming();
    op.reset();
    state.ResumeTiming();
  }
  PerRow(state);
}
BENCHMARK(BM_RowsThatWaitForOneTime)->RangeMultiplier(4)->Range(1 << 15, 1 << 19)->Unit(benchmark::kMillisecond);

// The argument: versions of one key, of which each is asked for once.
void BM_VersionsOfOneKey(benchmark::State& state) {
  const std::string key = "key", row(40, 'r');
  for (auto _ : state) {
    MapStore store;
    TableVersions versions(&store, nullptr, 60 * kSecond);
    if (!versions.Load().ok()) return state.SkipWithError("load");
    uint64_t commit = 0;
    std::vector<TableVersions::Change> changes;
    std::vector<TableVersions::Question> questions;
    for (int64_t i = 0; i < state.range(0);) {
      changes.clear();
      questions.clear();
      for (int64_t n = 0; n < 1024; ++n, ++i) {
        changes.push_back({key, {.time = i * kSecond, .offset = i, .row = row}});
        questions.push_back({.key = key, .time = i * kSecond / 2});
      }
      if (!versions.Add(changes).ok() || !versions.Find(absl::MakeSpan(questions)).ok()) {
        return state.SkipWithError("versions");
      }
      if (i % (16 * 1024) == 0 && !versions.Commit(++commit).ok()) return state.SkipWithError("commit");
    }
  }
  PerRow(state);
}
BENCHMARK(BM_VersionsOfOneKey)->RangeMultiplier(4)->Range(1 << 12, 1 << 18)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tidemark
