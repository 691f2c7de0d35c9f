// The join of two tables that change. Both inputs are updating steps; what stands in the output is, at every commit,
// the join of what stands in the two inputs there: of the rows that are equal in `on`, and for an outer side those that
// match nothing, with NULLs. So which rows stand in the end doesn't depend on how the inputs come interleaved.
//
// A row that comes, goes or is replaced changes just the rows of the output that it is part of:
//
//   One of a side with the row `old` before and `new` after, either may be missing. For each row `o` that the other
//   side has of that key: (old, o) goes and (new, o) comes. If there was no row of this side before, and the other side
//   is outer, (NULL, o) goes; if there is none after, it comes. If the other side has no row of the key and this one is
//   outer, (old, NULL) goes and (new, NULL) comes.
//
// What goes is made of the very bytes that what came was made of, so it is taken back exactly. What goes and what comes
// with the same key are an update's two halves; a row of which nothing changed that is kept changes nothing, not its
// time either. The time of a row is the later of the times of the two it is made of.
//
// Rows that move. A row whose `on` changes leaves its matches and meets others. Behind a shuffle by `on` these are two
// tasks, one with a delete and one with an insert, in no order to each other. Each of them has what it was sent, in
// order, and what takes a row back follows that row; so each makes of its own part the rows of its own part, and takes
// them back. No answer of one can overtake one of the other and be mistaken for it, as the columns of `on` are part of
// the output's key: a row that went at one place isn't the row that comes at the other, though both be of one left row.
// That is the rule of every repartition by columns that aren't a key's (operators/rows/pass_kind.cc), and what stands
// behind it.
//
// A key with a NULL matches nothing: such a row of an outer side passes with NULLs and isn't kept, else it is
// unmatched. What takes a row back that isn't known (the step is newer than the row) does nothing: nothing was made of
// it.
//
// State: of each side its rows (TableRows), 'l' and 'r'.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "operators/join/table_rows.h"
#include "operators/join/tables_spec.h"
#include "operators/operator.h"
#include "operators/step.h"
#include "src/base/byte_arena.h"
#include "src/codec/row_codec.h"

namespace tidemark {

class TableJoin final : public Operator {
 public:
  TableJoin(const Node& node, const TableJoinSpec& spec);

  std::string_view name() const override { return output_.name; }
  absl::Status Open(const OperatorContext& context) override;
  absl::Status ProcessBatch(int input, const Batch& batch, Emitter& emitter) override;
  absl::Status PrepareCommit(uint64_t commit, Emitter& emitter) override;
  int64_t MemoryBytes() const override;

 private:
  using Row = TableRows::Row;
  // One of the two inputs.
  struct Side {
    Side(const Node& node, const TableJoinSpec& spec, size_t port);

    const ColumnList columns;  // of the input, that are kept
    const Schema schema;       // of these
    const std::shared_ptr<arrow::Schema> batch_schema;
    const ColumnList on;  // of the input
    const ColumnList on_kept;
    const bool told_apart;  // by more than `on`
    const RowCodec groups, keys, codec;
    std::string none;  // a row of NULLs
    std::vector<std::string_view> none_cells;
    std::unique_ptr<TableRows> rows;
  };
  // A row of the output, by the rows it is made of; one of them may be missing.
  struct Joined {
    const Row *left = nullptr, *right = nullptr;
  };
  // What a row of a side is now in place of what it was.
  struct Exchange {
    size_t side = 0;
    const Row *old = nullptr, *now = nullptr;        // not both null
    bool alone_before = false, alone_after = false;  // the other side's rows stood alone, or will
  };
  // Rows of the output that are still to be emitted: the bytes of either side's row.
  struct Pending {
    std::array<std::vector<std::string_view>, 2> sides;
    std::vector<int8_t> ops;
    std::vector<int64_t> times;
    std::deque<std::string> made;  // that some of them point to

    void Shrink(size_t rows) {
      for (auto& side : sides) side.resize(rows);
      ops.resize(rows);
      times.resize(rows);
    }
  };

  static absl::Status MakeNone(Side* side);
  // A row that comes, in place of the one of its key if there is one, or goes; its group was fetched on both sides.
  absl::Status Change(size_t side, std::string_view group, bool comes, const Row& row, Emitter& emitter);
  // What becomes of the output's row with a row of the other side, and of that with none.
  absl::Status Meet(const Exchange& exchange, const Row& other, Emitter& emitter);
  absl::Status MeetNone(const Exchange& exchange, Emitter& emitter);
  absl::Status Replace(const std::optional<Joined>& goes, const std::optional<Joined>& comes, bool same_key,
                       Emitter& emitter);
  absl::Status Add(Op op, const Joined& row);
  bool LastTwoAreEqual();
  absl::Status Flush(Emitter& emitter);

  const TableJoinSpec spec_;
  const StepShape output_;
  std::array<Side, 2> sides_;
  OperatorContext context_;
  Pending pending_;
  // Scratch, of a batch.
  EncodedKeys groups_, keys_, encoded_;
  std::vector<uint8_t> nulls_;
  ByteArena gone_;  // rows that were kept when it came
  int64_t made_of_batch_ = 0;
  std::vector<std::string_view> cells_, other_cells_;
};

}  // namespace tidemark
