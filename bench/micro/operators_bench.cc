// What a row costs in dedup, join, window and top, and as bytes, on data like HTX detections: ids with 5% duplicates, a
// hot location, some hundred items. The figure to read is ns/row.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <arrow/api.h>
#include <arrow/compute/initialize.h>
#include <benchmark/benchmark.h>

#include "bench/micro/map_store.h"
#include "operators/dedup/spec.h"
#include "operators/join/spec.h"
#include "operators/join/streams_spec.h"
#include "operators/join/table_snapshot.h"
#include "operators/operator.h"
#include "operators/top/spec.h"
#include "operators/window/spec.h"
#include "src/base/batch.h"
#include "src/codec/row_codec.h"

namespace tidemark {
namespace {

constexpr int64_t kRows = 8192;

class NullEmitter final : public Emitter {
 public:
  absl::Status Emit(Batch batch) override {
    rows += batch->num_rows();
    return absl::OkStatus();
  }
  absl::Status EmitSide(std::string_view, Batch) override { return absl::OkStatus(); }
  absl::Status DeadLetter(RowFailure) override { return absl::OkStatus(); }
  bool Full() const override { return false; }
  int64_t rows = 0;
};

const Schema& Detections() {
  static const Schema* const schema = new Schema({{"detection_oid", {.kind = Kind::kInt64}, false},
                                                  {"location_oid", {.kind = Kind::kInt64}, false},
                                                  {"item_name", {.kind = Kind::kString}, false}});
  return *schema;
}

HiddenSet SourceHidden() {
  return HiddenSet().With(Hidden::kWatermark).With(Hidden::kSource).With(Hidden::kPartition).With(Hidden::kOffset);
}

// Makes batches; ids and times go on from one to the next.
class Generator {
 public:
  explicit Generator(int64_t row_us = 20) : row_us_(row_us) {}

  Batch Next() {
    arrow::Int64Builder ids, locations, times, watermarks, offsets;
    arrow::StringBuilder items;
    arrow::Int32Builder sources, partitions;
    for (int64_t i = 0; i < kRows; ++i) {
      const bool duplicate = random_() % 20 == 0 && next_id_ > 0;
      const int64_t id =
          duplicate ? next_id_ - 1 -
                          static_cast<int64_t>(random_() % static_cast<uint64_t>(std::min<int64_t>(next_id_, 100'000)))
                    : next_id_++;
      (void)ids.Append(id);
      (void)locations.Append(random_() % 2 == 0 ? 0 : static_cast<int64_t>(random_() % 10'000));
      (void)items.Append("item-" + std::to_string(random_() % 400));
      time_ += row_us_;
      (void)times.Append(time_ - static_cast<int64_t>(random_() % 5'000'000));
      (void)watermarks.Append(time_ - 5'000'000);
      (void)sources.Append(0);
      (void)partitions.Append(0);
      (void)offsets.Append(offset_++);
    }
    std::vector<std::shared_ptr<arrow::Array>> columns;
    for (arrow::ArrayBuilder* b : std::initializer_list<arrow::ArrayBuilder*>{
             &ids, &locations, &items, &times, &watermarks, &sources, &partitions, &offsets}) {
      columns.push_back(b->Finish().ValueOrDie());
    }
    return arrow::RecordBatch::Make(BatchSchema(Detections(), SourceHidden()), kRows, std::move(columns));
  }
  int64_t watermark() const { return time_ - 5'000'000; }

 private:
  const int64_t row_us_;
  std::mt19937_64 random_{1};
  int64_t next_id_ = 0, time_ = 0, offset_ = 0;
};

Node MakeNode(OperatorSpec spec, const Schema& output) {
  Node node;
  node.step = "step";
  node.spec = std::move(spec);
  node.inputs = {{.schema = Detections(), .hidden = SourceHidden()}};
  node.output = output;
  node.hidden = SourceHidden();
  return node;
}

void PerRow(benchmark::State& state, int64_t rows) {
  const auto all = static_cast<double>(state.iterations() * rows);
  state.counters["ns/row"] = benchmark::Counter(all / 1e9, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void Run(benchmark::State& state, const Node& node, const OperatorContext& base, int64_t warm_batches, int commit_every,
         int64_t row_us = 20) {
  (void)arrow::compute::Initialize();
  MapStore store;
  StepLedger ledger;
  OperatorContext context = base;
  context.state = &store;
  context.ledger = &ledger;
  auto op = node.spec.kind().Make(node).value();
  if (!op->Open(context).ok()) return state.SkipWithError("open");
  NullEmitter emitter;
  Generator generator(row_us);
  uint64_t commit = 0;
  int64_t batches = 0;
  const auto step = [&](const Batch& batch) {
    benchmark::DoNotOptimize(op->ProcessBatch(0, batch, emitter).ok());
    benchmark::DoNotOptimize(op->AdvanceWatermark(EventTime{generator.watermark()}, emitter).ok());
    if (++batches % commit_every == 0) benchmark::DoNotOptimize(op->PrepareCommit(++commit, emitter).ok());
  };
  for (int64_t i = 0; i < warm_batches; ++i) step(generator.Next());
  for (auto _ : state) {
    state.PauseTiming();
    std::vector<Batch> input;
    for (int i = 0; i < 16; ++i) input.push_back(generator.Next());
    state.ResumeTiming();
    for (const Batch& batch : input) step(batch);
  }
  PerRow(state, 16 * kRows);
  state.counters["operator_MB"] = static_cast<double>(op->MemoryBytes()) / 1e6;
}

// The argument: keys alive, in thousands.
void BM_DedupFirst(benchmark::State& state) {
  const int64_t live = state.range(0) * 1000;
  // A row is 20 us of event time; a key lives for within + grace.
  const Node node = MakeNode(DedupSpec{.by = {0}, .within_us = live * 16, .grace_us = live * 4}, Detections());
  Run(state, node, {}, live / kRows * 5 / 4, 4);
}
BENCHMARK(BM_DedupFirst)->Arg(100)->Arg(5000)->Unit(benchmark::kMillisecond);

void BM_DedupFirstByString(benchmark::State& state) {
  Run(state, MakeNode(DedupSpec{.by = {2, 0}, .within_us = 16'000'000, .grace_us = 4'000'000}, Detections()), {}, 150,
      4);
}
BENCHMARK(BM_DedupFirstByString)->Unit(benchmark::kMillisecond);

void BM_Join(benchmark::State& state) {
  TablePlan plan;
  plan.name = "locations";
  plan.columns = {{.column = {"oid", {.kind = Kind::kInt64}, false}},
                  {.column = {"name", {.kind = Kind::kString}, false}}};
  plan.key = {0};
  arrow::Int64Builder oids;
  arrow::StringBuilder names;
  for (int64_t i = 0; i < 9'500; ++i) {
    (void)oids.Append(i);
    (void)names.Append("Location number " + std::to_string(i));
  }
  const Batch rows = arrow::RecordBatch::Make(
      arrow::schema({arrow::field("oid", arrow::int64()), arrow::field("name", arrow::utf8())}), 9'500,
      {oids.Finish().ValueOrDie(), names.Finish().ValueOrDie()});
  auto table = TableSnapshot::Build(plan, {rows}, {}).value();
  OperatorContext context;
  context.table = [](void* owner, std::string_view) {
    return *static_cast<std::shared_ptr<const TableSnapshot>*>(owner);
  };
  context.table_owner = &table;
  JoinSpec spec;
  spec.table = "locations";
  spec.on = {{1, 0}};
  spec.columns = {1};
  Schema output = Detections();
  output.Add({"name", {.kind = Kind::kString}, false});
  Run(state, MakeNode(spec, output), context, 0, 4);
}
BENCHMARK(BM_Join)->Unit(benchmark::kMillisecond);

// Two streams of the same ids, each of which meets about one of the other; 1 s is 50,000 rows a side. The argument:
// seconds before and after.
void BM_StreamJoin(benchmark::State& state) {
  (void)arrow::compute::Initialize();
  StreamJoinSpec spec;
  spec.on = {ColumnList{0}, ColumnList{0}};
  spec.before_us = spec.after_us = state.range(0) * 1'000'000;
  spec.columns = {2};
  Schema output = Detections();
  output.Add({"other", {.kind = Kind::kString}, true});
  Node node = MakeNode(spec, output);
  node.inputs.push_back(node.inputs[0]);
  node.hidden = HiddenSet();
  MapStore store;
  StepLedger ledger;
  OperatorContext context;
  context.state = &store;
  context.ledger = &ledger;
  auto op = node.spec.kind().Make(node).value();
  if (!op->Open(context).ok()) return state.SkipWithError("open");
  NullEmitter emitter;
  Generator left, right;
  uint64_t commit = 0;
  const auto step = [&](const Batch& of_left, const Batch& of_right, int64_t watermark) {
    benchmark::DoNotOptimize(op->ProcessBatch(0, of_left, emitter).ok());
    benchmark::DoNotOptimize(op->ProcessBatch(1, of_right, emitter).ok());
    benchmark::DoNotOptimize(op->AdvanceWatermark(EventTime{watermark}, emitter).ok());
    if (++commit % 2 == 0) benchmark::DoNotOptimize(op->PrepareCommit(commit / 2, emitter).ok());
  };
  const int64_t warm = state.range(0) * 50'000 * 3 / kRows + 100;
  for (int64_t i = 0; i < warm; ++i) {
    const Batch of_left = left.Next(), of_right = right.Next();
    step(of_left, of_right, left.watermark());
  }
  for (auto _ : state) {
    state.PauseTiming();
    std::vector<Batch> of_left, of_right;
    std::vector<int64_t> watermarks;
    for (int i = 0; i < 8; ++i) {
      of_left.push_back(left.Next());
      of_right.push_back(right.Next());
      watermarks.push_back(left.watermark());
    }
    state.ResumeTiming();
    for (size_t i = 0; i < 8; ++i) step(of_left[i], of_right[i], watermarks[i]);
  }
  PerRow(state, 16 * kRows);
  state.counters["operator_MB"] = static_cast<double>(op->MemoryBytes()) / 1e6;
  state.counters["pairs/row"] = static_cast<double>(emitter.rows) / static_cast<double>(ledger.in);
}
BENCHMARK(BM_StreamJoin)->Arg(1)->Arg(60)->Unit(benchmark::kMillisecond);

void BM_Window(benchmark::State& state) {
  WindowSpec spec;
  spec.size_us = 60'000'000;
  spec.every_us = state.range(0) * 1'000'000;
  spec.grace_us = 5'000'000;
  spec.group_by = {1, 2};
  spec.aggregates = {{"n", "count(*)"}, {"top_id", "max(detection_oid)"}};
  spec.rows = Detections();
  Node node = MakeNode(spec, Schema({Detections()[1],
                                     Detections()[2],
                                     {"window_start", {.kind = Kind::kTimestamp}, false},
                                     {"window_end", {.kind = Kind::kTimestamp}, false},
                                     {"n", {.kind = Kind::kInt64}, false},
                                     {"top_id", {.kind = Kind::kInt64}, true}}));
  node.hidden = HiddenSet().With(Hidden::kWatermark);
  Run(state, node, {}, 100, 16);
}
BENCHMARK(BM_Window)->Arg(60)->Arg(10)->Unit(benchmark::kMillisecond);

// Windows of so many seconds every ten, of 50,000 rows each: tumbling, and of an hour. By item: 125 rows of each of
// 400 in ten seconds; by location: half of the rows of one, and 2.5 of each of 10,000. With a commit for so many
// batches of 1.6 s: a window of ten seconds that begins and ends between two commits is never written, a pane is.
void BM_Hopping(benchmark::State& state) {
  constexpr int64_t kRowUs = 200, kSlideRows = 10'000'000 / kRowUs;
  WindowSpec spec;
  spec.size_us = state.range(0) * 1'000'000;
  spec.every_us = 10'000'000;
  spec.group_by = {static_cast<size_t>(state.range(1))};
  spec.aggregates = {{"n", "count(*)"}, {"top_id", "max(detection_oid)"}, {"mean", "avg(location_oid)"}};
  spec.rows = Detections();
  Node node = MakeNode(spec, Schema({Detections()[spec.group_by[0]],
                                     {"window_start", {.kind = Kind::kTimestamp}, false},
                                     {"window_end", {.kind = Kind::kTimestamp}, false},
                                     {"n", {.kind = Kind::kInt64}, false},
                                     {"top_id", {.kind = Kind::kInt64}, true},
                                     {"mean", {.kind = Kind::kDouble}, true}}));
  node.hidden = HiddenSet().With(Hidden::kWatermark);
  const int64_t windows = spec.size_us / spec.every_us;
  const auto commit_every = static_cast<int>(state.range(2));
  Run(state, node, {}, std::min<int64_t>(windows, 380) * kSlideRows / kRows + 20, commit_every, kRowUs);
}
BENCHMARK(BM_Hopping)
    ->ArgsProduct({{10, 60, 3600}, {2, 1}, {16, 2}})
    ->ArgNames({"seconds", "by", "commit"})
    ->Iterations(40)
    ->Unit(benchmark::kMillisecond);

// The lists of windows that are over: fifteen items of a location, one after the other, of which ten stay.
void BM_Top(benchmark::State& state) {
  (void)arrow::compute::Initialize();
  const Schema counts = Schema({{"location_oid", {.kind = Kind::kInt64}, false},
                                {"location", {.kind = Kind::kString}, false},
                                {"item_name", {.kind = Kind::kString}, false},
                                {"detections", {.kind = Kind::kInt64}, false}});
  Node node;
  node.step = "step";
  node.spec = TopSpec{.k = 10, .by = {0}, .order = {{3, true}, {2}, {0}, {1}}, .rank = "place"};
  node.output = counts;
  node.inputs = {{.schema = counts}};
  node.output.Add({"place", {.kind = Kind::kInt64}, false});
  constexpr int kLocations = 136, kItems = 15;
  std::mt19937_64 random(1);
  std::vector<Batch> batches;
  for (int64_t b = 0; b < 20; ++b) {
    arrow::Int64Builder oids, numbers, times;
    arrow::StringBuilder locations, items;
    for (int64_t i = 0; i < kLocations * kItems; ++i) {
      const int64_t oid = b * kLocations + i / kItems;
      (void)oids.Append(oid);
      (void)locations.Append("Town-" + std::to_string(oid) + " / District-" + std::to_string(oid % 7));
      (void)items.Append("item-" + std::to_string(random() % 400));
      (void)numbers.Append(static_cast<int64_t>(random() % 20));
      (void)times.Append(1);
    }
    batches.push_back(arrow::RecordBatch::Make(
        BatchSchema(counts, HiddenSet()), kLocations * kItems,
        {oids.Finish().ValueOrDie(), locations.Finish().ValueOrDie(), items.Finish().ValueOrDie(),
         numbers.Finish().ValueOrDie(), times.Finish().ValueOrDie()}));
  }
  MapStore store;
  StepLedger ledger;
  OperatorContext context;
  context.state = &store;
  context.ledger = &ledger;
  auto op = node.spec.kind().Make(node).value();
  if (!op->Open(context).ok()) return state.SkipWithError("open");
  NullEmitter emitter;
  uint64_t commit = 0;
  for (auto _ : state) {
    for (const Batch& batch : batches) benchmark::DoNotOptimize(op->ProcessBatch(0, batch, emitter).ok());
    benchmark::DoNotOptimize(op->AdvanceWatermark(EventTime{1}, emitter).ok());
    benchmark::DoNotOptimize(op->PrepareCommit(++commit, emitter).ok());
  }
  PerRow(state, static_cast<int64_t>(batches.size()) * kLocations * kItems);
}
BENCHMARK(BM_Top)->Unit(benchmark::kMillisecond);

// Rows of a group's key: what aggregations and lists turn every row into, and back.
struct GroupKeys {
  const Schema schema = Schema({{"location_oid", {.kind = Kind::kInt64}, false},
                                {"location", {.kind = Kind::kString}, false},
                                {"item_name", {.kind = Kind::kString}, false}});
  const RowCodec codec = RowCodec::Rows(schema);
  Batch rows;

  explicit GroupKeys(int64_t count) {
    std::mt19937_64 random(1);
    arrow::Int64Builder oids;
    arrow::StringBuilder locations, items;
    for (int64_t i = 0; i < count; ++i) {
      const auto oid = static_cast<int64_t>(random() % 10'000);
      (void)oids.Append(oid);
      (void)locations.Append("Town-" + std::to_string(oid) + " / District-" + std::to_string(oid % 7));
      (void)items.Append("item-" + std::to_string(random() % 400));
    }
    rows = arrow::RecordBatch::Make(
        arrow::schema({arrow::field("location_oid", arrow::int64()), arrow::field("location", arrow::utf8()),
                       arrow::field("item_name", arrow::utf8())}),
        count, {oids.Finish().ValueOrDie(), locations.Finish().ValueOrDie(), items.Finish().ValueOrDie()});
  }
};

void BM_RowsToBytes(benchmark::State& state) {
  const GroupKeys keys(kRows);
  EncodedKeys encoded;
  for (auto _ : state) {
    if (!keys.codec.Encode(*keys.rows, &encoded).ok()) return state.SkipWithError("encode");
  }
  PerRow(state, kRows);
}
BENCHMARK(BM_RowsToBytes);

void BM_BytesToRows(benchmark::State& state) {
  constexpr int64_t kEmitRows = 2048;
  const GroupKeys keys(kEmitRows);
  EncodedKeys encoded;
  if (!keys.codec.Encode(*keys.rows, &encoded).ok()) return state.SkipWithError("encode");
  std::vector<std::string_view> rows;
  for (int64_t i = 0; i < kEmitRows; ++i) rows.push_back(encoded[i]);
  for (auto _ : state) {
    std::vector<std::shared_ptr<arrow::Array>> columns;
    if (!keys.codec.Decode(rows, &columns).ok()) return state.SkipWithError("decode");
  }
  PerRow(state, kEmitRows);
}
BENCHMARK(BM_BytesToRows);

}  // namespace
}  // namespace tidemark
