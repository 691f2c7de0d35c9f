// What a stream-table join costs in memory, CPU and disk where the table has many rows: a table that changes
// (`global: false`, or `table: { from: STEP }` over a source of changes), of a bigint key and a bigint, in a join with
// versions (memory_run.h).
//
//     bench_table_memory --rows 20000000 --tasks 4 --memory_mib 512 --folder DIR
//
// Rounds of one second of event time. In each, a task gets 8,192 rows of the table and half as many of the stream:
//
//   the table   7 of 8 are new keys, scattered over all bigints; the others, once `--lag` rows have come (an eighth of
//   all
//               unless said otherwise), replace the oldest ones, each once
//   the stream  asks for the row of its own time of any key that there is, all equally likely (`--near N`: of the last
//   N
//               rows of its task), so that most of what it asks for has left memory
//
// Versions are kept for ten seconds. A row's answer is arithmetic: the number of its key, and whether that has been
// replaced by its time. `right` says that the sum of the hashes of all answers is that of those there should be.
#include <xxhash.h>

#include <array>
#include <utility>
#include <vector>

#include <arrow/api.h>

#include "bench/memory_run.h"
#include "operators/join/versioned_spec.h"
#include "src/cli/malloc_conf.h"

extern "C" {
const char* malloc_conf = tidemark::kMallocConf;
}

namespace tidemark {
namespace {

constexpr int64_t kNewRows = 7 * 1024, kReplaced = 1024, kAsked = 4 * 1024;  // of a task in a round
constexpr int64_t kReplacement = int64_t{1} << 40;                           // what is added to a row's value by it

uint64_t HashAnswer(int64_t key, int64_t asked, int64_t value) {
  const std::array<int64_t, 3> row = {key, asked, value};
  return XXH3_64bits(row.data(), sizeof(row));
}

class HashingEmitter final : public Emitter {
 public:
  absl::Status Emit(Batch batch) override {
    const auto column = [&](int c) { return batch->column_data(c)->GetValues<int64_t>(1); };
    const int64_t *keys = column(0), *asked = column(1), *values = column(2);
    for (int64_t i = 0; i < batch->num_rows(); ++i) sum += HashAnswer(keys[i], asked[i], values[i]);
    answers += batch->num_rows();
    return absl::OkStatus();
  }
  absl::Status EmitSide(std::string_view, Batch) override { return absl::OkStatus(); }
  absl::Status DeadLetter(RowFailure failure) override { return absl::InternalError(failure.reason); }
  bool Full() const override { return false; }

  uint64_t sum = 0;
  int64_t answers = 0;
};

Schema Columns(const char* value) {
  return Schema({{"key", {.kind = Kind::kInt64}, false}, {value, {.kind = Kind::kInt64}, false}});
}

Node MakeNode() {
  VersionedJoinSpec spec;
  spec.on = {ColumnList{0}, ColumnList{0}};
  spec.changes = true;
  spec.columns = {1};
  spec.keep_us = 10 * kSecond;
  HiddenSet hidden;
  for (const Hidden h : {Hidden::kWatermark, Hidden::kSource, Hidden::kPartition, Hidden::kOffset}) {
    hidden = hidden.With(h);
  }
  Node node;
  node.step = "join";
  node.inputs = {{.schema = Columns("asked"), .hidden = hidden},
                 {.schema = Columns("value"), .hidden = hidden.With(Hidden::kOp), .mode = {true, {0}}}};
  node.output = Columns("asked");
  node.output.Add({"value", {.kind = Kind::kInt64}, false});
  node.hidden = hidden;
  node.spec = std::move(spec);
  return node;
}

// Rows of one task at one time, as its source has them.
class Rows {
 public:
  Rows(const Port& port, int32_t task, int64_t time, int64_t offset)
      : schema_(BatchSchema(port.schema, port.hidden)),
        update_(port.hidden.Has(Hidden::kOp)),
        task_(task),
        time_(time),
        offset_(offset) {}

  void Add(int64_t key, int64_t value, Op op = Op::kInsert) {
    keys_.push_back(key);
    values_.push_back(value);
    ops_.push_back(static_cast<int8_t>(op));
  }

  Batch Make() const {
    const auto rows = static_cast<int64_t>(keys_.size());
    std::vector<int64_t> times(keys_.size(), time_), offsets(keys_.size());
    for (size_t i = 0; i < offsets.size(); ++i) offsets[i] = offset_ + static_cast<int64_t>(i);
    const std::vector<int32_t> sources(keys_.size(), update_ ? 1 : 0), partitions(keys_.size(), task_);
    std::vector<std::shared_ptr<arrow::Array>> columns;
    const auto int64s = [&](const std::vector<int64_t>& of) {
      columns.push_back(std::make_shared<arrow::Int64Array>(rows, arrow::Buffer::FromVector(std::vector(of))));
    };
    const auto int32s = [&](const std::vector<int32_t>& of) {
      columns.push_back(std::make_shared<arrow::Int32Array>(rows, arrow::Buffer::FromVector(std::vector(of))));
    };
    for (const std::vector<int64_t>* of : {&keys_, &values_, &std::as_const(times), &std::as_const(times)}) int64s(*of);
    int32s(sources);
    int32s(partitions);
    int64s(offsets);
    if (update_) {
      columns.push_back(std::make_shared<arrow::Int8Array>(rows, arrow::Buffer::FromVector(std::vector(ops_))));
    }
    return arrow::RecordBatch::Make(schema_, rows, std::move(columns));
  }

 private:
  const std::shared_ptr<arrow::Schema> schema_;
  const bool update_;
  const int32_t task_;
  const int64_t time_, offset_;
  std::vector<int64_t> keys_, values_;
  std::vector<int8_t> ops_;
};

// Keys are scattered over all bigints.
int64_t Key(int32_t task, int64_t number) {
  return static_cast<int64_t>((static_cast<uint64_t>(number) * 64 + static_cast<uint64_t>(task)) * 0x9E3779B97F4A7C15);
}

int Run(const Arguments& arguments) {
  const int64_t rows_wanted = arguments.Int("rows", 20'000'000);
  const int64_t near = arguments.Int("near", 0);
  const Node node = MakeNode();
  HashingEmitter emitter;
  MemoryRun run(arguments, "row", rows_wanted, node, &emitter);
  const int64_t lag = arguments.Int("lag", rows_wanted / 8) / run.tasks();
  uint64_t expected = 0, random = 0x2545F4914F6CDD1D;
  int64_t rounds = 0, table_rows = 0, asked = 0;
  const int64_t began = CpuNs(CLOCK_MONOTONIC);
  while (table_rows < rows_wanted) {
    const int64_t first = rounds * kNewRows, there = first + kNewRows;
    // The first `replaced` numbers have been replaced, those from `replaced_before` on in this round.
    const auto replaced_by = [&](int64_t round) { return std::max<int64_t>(0, round * kReplaced - lag / 7); };
    const int64_t replaced_before = replaced_by(rounds), replaced = replaced_by(rounds + 1);
    const int64_t time = ++rounds * kSecond;
    for (int32_t t = 0; t < run.tasks(); ++t) {
      const int64_t before = CpuNs(CLOCK_THREAD_CPUTIME_ID);
      Rows table(node.in(1), t, time, rounds * (kNewRows + 2 * kReplaced));
      for (int64_t number = first; number < there; ++number) table.Add(Key(t, number), number);
      for (int64_t number = replaced_before; number < replaced; ++number) {
        table.Add(Key(t, number), number, Op::kUpdateBefore);
        table.Add(Key(t, number), number + kReplacement, Op::kUpdateAfter);
      }
      Rows stream(node.in(0), t, time, rounds * kAsked);
      for (int64_t i = 0; i < kAsked; ++i, ++asked) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        const int64_t among = near > 0 ? std::min(near, there) : there;
        const int64_t number = there - 1 - static_cast<int64_t>(random % static_cast<uint64_t>(among));
        stream.Add(Key(t, number), asked);
        expected += HashAnswer(Key(t, number), asked, number + (number < replaced ? kReplacement : 0));
      }
      const Batch changes = table.Make(), questions = stream.Make();
      run.Leave(CpuNs(CLOCK_THREAD_CPUTIME_ID) - before);
      table_rows += kNewRows + replaced - replaced_before;
      run.Process(t, changes, EventTime{time}, 1);
      run.Process(t, questions, EventTime{time}, 0);
    }
    run.EndRound();
    if (run.LineIsDue(table_rows)) run.Line(table_rows);
  }
  const double seconds = static_cast<double>(CpuNs(CLOCK_MONOTONIC) - began) / 1e9;
  run.Reopen();
  // Those that have asked as of the last second still wait.
  for (int32_t t = 0; t < run.tasks(); ++t) {
    run.Process(t, Rows(node.in(0), t, 0, 0).Make(), EventTime{(rounds + 1) * kSecond}, 0);
  }
  const bool right = expected == emitter.sum && asked == emitter.answers;
  std::printf(
      "{\"rows\": %lld, \"answers\": %lld, \"rows_s\": %.0f, \"answers_s\": %.0f, \"vm_hwm_mib\": %lld, \"right\": "
      "%s}\n",
      static_cast<long long>(table_rows), static_cast<long long>(emitter.answers),
      static_cast<double>(table_rows) / seconds, static_cast<double>(emitter.answers) / seconds,
      static_cast<long long>(Proc("/proc/self/status", "VmHWM") >> 10), right ? "true" : "false");
  return right ? 0 : 1;
}

}  // namespace
}  // namespace tidemark

int main(int argc, char** argv) { return tidemark::Run(tidemark::Arguments(argc, argv)); }
