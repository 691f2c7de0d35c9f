// What dedup of many ids costs in memory, CPU and disk reads (memory_run.h).
//
//     bench_dedup_memory --ids 100000000 --tasks 4 --memory_mib 512 --folder DIR
//
// --last 1: keep the last row instead, so that every row waits until its key's time is over.
//
// Five rows in a hundred repeat an id drawn from all before (--recent N: from the last N). `wrong` is the number of
// rows that passed beyond one an id, and must be 0.
#include <memory>
#include <random>
#include <vector>

#include <absl/strings/str_cat.h>
#include <arrow/api.h>

#include "bench/memory_run.h"
#include "operators/dedup/spec.h"
#include "src/cli/malloc_conf.h"

extern "C" {
const char* malloc_conf = tidemark::kMallocConf;
}

namespace tidemark {
namespace {

constexpr int64_t kBatchRows = 8192;
constexpr int64_t kRowUs = 10;  // of event time

Node MakeNode(int64_t within_us, bool keep_last) {
  Node node;
  node.step = "unique";
  node.spec = DedupSpec{.by = {0}, .within_us = within_us, .grace_us = 10 * kSecond, .keep_last = keep_last};
  node.output = Schema({{"id", {.kind = Kind::kInt64}, false}});
  node.hidden = HiddenSet().With(Hidden::kWatermark);
  node.inputs = {{.schema = node.output, .hidden = node.hidden}};
  return node;
}

// Rows in the order of time; ids are numbers in the order of their first row.
class Rows {
 public:
  Rows(int64_t recent, std::shared_ptr<arrow::Schema> schema) : recent_(recent), schema_(std::move(schema)) {}
  Batch Next() {
    std::vector<int64_t> ids(kBatchRows), times(kBatchRows), watermarks(kBatchRows);
    for (int64_t i = 0; i < kBatchRows; ++i) {
      const int64_t range = recent_ > 0 && recent_ < next_id_ ? recent_ : next_id_;
      const bool repeats = range > 0 && random_() % 20 == 0;
      ids[i] = repeats ? next_id_ - 1 - static_cast<int64_t>(random_() % static_cast<uint64_t>(range)) : next_id_++;
      times[i] = time_ += kRowUs;
      watermarks[i] = time_ - kSecond;
    }
    std::vector<std::shared_ptr<arrow::Array>> columns;
    for (auto* values : {&ids, &times, &watermarks}) {
      columns.push_back(std::make_shared<arrow::Int64Array>(kBatchRows, arrow::Buffer::FromVector(std::move(*values))));
    }
    return arrow::RecordBatch::Make(schema_, kBatchRows, std::move(columns));
  }
  int64_t next_id() const { return next_id_; }
  EventTime watermark() const { return EventTime{time_ - kSecond}; }

 private:
  const int64_t recent_;
  const std::shared_ptr<arrow::Schema> schema_;
  std::mt19937_64 random_{1};
  int64_t next_id_ = 0, time_ = 0;
};

int Run(const Arguments& arguments) {
  const int64_t ids = arguments.Int("ids", 100'000'000), tasks = arguments.Int("tasks", 4);
  const int64_t within_us = arguments.Int("live", 2 * ids) / tasks * kRowUs;
  MemoryRun run(arguments, "id", ids, MakeNode(within_us, arguments.Int("last", 0) != 0));
  std::vector<Rows> rows(static_cast<size_t>(tasks), Rows(arguments.Int("recent", 0) / tasks, run.schema()));
  for (int64_t made = 0; made < ids;) {
    made = 0;
    for (int32_t t = 0; t < run.tasks(); ++t) {
      Rows& of = rows[static_cast<size_t>(t)];
      const int64_t before = CpuNs(CLOCK_THREAD_CPUTIME_ID);
      const Batch batch = of.Next();
      run.Leave(CpuNs(CLOCK_THREAD_CPUTIME_ID) - before);
      run.Process(t, batch, of.watermark());
      made += of.next_id();
    }
    run.EndRound();
    if (!run.LineIsDue(made)) continue;
    const int64_t passed = run.Total([](const OperatorTask& task) { return task.ledger().passed; });
    run.Line(made, absl::StrCat(", \"wrong\": ", passed - made));
  }
  run.Reopen();
  return 0;
}

}  // namespace
}  // namespace tidemark

int main(int argc, char** argv) { return tidemark::Run(tidemark::Arguments(argc, argv)); }
