// An operator under test: rows in, rows out, commits and crashes, without a runtime. Rows are plain values here, so
// that models in the tests can be written row by row.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "operators/dedup/spec.h"
#include "operators/join/spec.h"
#include "operators/join/streams_spec.h"
#include "operators/operator.h"
#include "operators/rows/spec.h"
#include "operators/top/spec.h"
#include "operators/window/spec.h"
#include "src/base/batch.h"
#include "src/base/schema.h"
#include "src/plan/plan.h"
#include "tests/unit/state/fake_store.h"

namespace tidemark {

using Cell = std::variant<std::monostate, int64_t, double, std::string>;  // monostate: NULL

struct TestRow {
  std::vector<Cell> cells;
  int64_t time = 0;
  int64_t watermark = kMinTime.us;
  int32_t source = 0, partition = 0;
  int64_t offset = 0;
  Op op = Op::kInsert;

  friend bool operator==(const TestRow&, const TestRow&) = default;
};

std::string ToString(const TestRow& row);
inline void PrintTo(const TestRow& row, std::ostream* os) { *os << ToString(row); }
// "1|a|NULL": the visible cells only.
std::string CellsText(const TestRow& row);
std::vector<std::string> CellsText(const std::vector<TestRow>& rows);

Batch ToBatch(const Schema& schema, HiddenSet hidden, const std::vector<TestRow>& rows);
std::vector<TestRow> ToRows(const Schema& schema, HiddenSet hidden, const arrow::RecordBatch& batch);

// "a int64, b string null": columns for tests.
Schema Columns(std::string_view text);
// A node of an operator; the hidden columns of the output are those of the input unless said otherwise.
Node MakeNode(OperatorSpec spec, Schema input, HiddenSet input_hidden, Schema output);
HiddenSet AllHidden();     // of source rows
HiddenSet UpdateHidden();  // kTime and kOp

class CollectingEmitter final : public Emitter {
 public:
  explicit CollectingEmitter(const Node& node) : node_(node) {}

  absl::Status Emit(Batch batch) override;
  absl::Status EmitSide(std::string_view side, Batch batch) override;
  absl::Status DeadLetter(RowFailure failure) override;
  bool Full() const override {
    return (full_after_ >= 0 && emitted_since_commit >= full_after_) || pending_since_commit >= full_after_pending_;
  }
  void AddPending(int64_t bytes) override { pending_since_commit += bytes; }

  void set_node(const Node& node) { node_ = node; }
  void set_full_after(int64_t rows) { full_after_ = rows; }
  void set_full_after_pending(int64_t bytes) { full_after_pending_ = bytes; }

  std::vector<TestRow> rows, late, unmatched;
  std::vector<std::string> failures;  // "expression: reason: cells"
  int64_t emitted_since_commit = 0, pending_since_commit = 0;
  int64_t batches = 0;

 private:
  Node node_;
  int64_t full_after_ = -1;
  int64_t full_after_pending_ = std::numeric_limits<int64_t>::max();
};

class Harness {
 public:
  explicit Harness(Node node, std::map<std::string, std::shared_ptr<const TableSnapshot>> tables = {},
                   MemoryBudget* memory = nullptr);

  // One batch, and where it makes the commit full, the commit; then time runs on to `watermark`, which never goes back.
  // As the runtime does, tells the operator of time only where it has moved, or where a commit was full.
  void Process(const std::vector<TestRow>& rows, size_t port = 0);
  EventTime Advance(int64_t watermark);
  // Batches of `batch_size` rows; after each, time runs on to the largest watermark of its rows.
  void Feed(const std::vector<TestRow>& rows, size_t batch_size);
  // The same, with commits, and crashes after which the rows since the last commit come again: about one of each in so
  // many rows. The last rows may be uncommitted.
  void FeedWithCrashes(const std::vector<TestRow>& rows, size_t batch_size, uint64_t seed, uint64_t rows_a_commit,
                       uint64_t rows_a_crash);
  void Commit();
  // A new operator object on the state of the last commit; output and ledger since then are forgotten. As the runtime
  // does, tells it at once how far time had come, unless told not to.
  void Crash(bool advance = true);
  // The same with another topology's node; of other columns, rows from then on have those.
  void GoOnWith(Node node);

  Operator& op() { return *operator_; }
  CollectingEmitter& out() { return emitter_; }
  const StepLedger& ledger() const { return ledger_; }
  FakeStore& store() { return store_; }
  uint64_t commit() const { return commit_; }
  const Node& node() const { return node_; }

  // in = passed + ... and pairs = late_pairs + ...
  void CheckLedger() const;

 private:
  void Open();

  Node node_;
  const std::map<std::string, std::shared_ptr<const TableSnapshot>> tables_;
  MemoryBudget* const memory_;
  FakeStore store_;
  CollectingEmitter emitter_;
  struct Sizes {
    size_t rows = 0, late = 0, unmatched = 0, failures = 0;
  } committed_;
  StepLedger ledger_, committed_ledger_;
  std::unique_ptr<Operator> operator_;
  EventTime watermark_ = kMinTime, committed_watermark_ = kMinTime;
  EventTime told_ = kMinTime, output_watermark_ = kMinTime;  // since it was opened
  bool advance_again_ = true;
  bool grown_ = false;  // gone on with another node
  uint64_t commit_ = 0;
};

// Applies the changes of an update step to what stands, checking that every row taken back is exactly the row that
// stands under its key (positions among the cells). Returns what stands at the end: key text -> cells text.
std::map<std::string, std::string> Fold(const std::vector<TestRow>& changes, const std::vector<size_t>& key);

}  // namespace tidemark
