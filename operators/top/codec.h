// What the kinds of top share: rows as the bytes by which they are grouped, ranked and kept, batches of ranked rows
// made from them, and how lists that change are put out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/types/span.h>

#include "operators/step.h"
#include "operators/top/spec.h"
#include "src/codec/row_codec.h"

namespace tidemark {

// By row of a batch.
struct TopKeys {
  EncodedKeys groups, ranks, rows, keys;  // keys: of update steps
};

// Immutable.
class TopCodec {
 public:
  TopCodec(const Node& node, const TopSpec& spec);

  absl::Status Encode(const arrow::RecordBatch& batch, TopKeys* out) const;
  // Rows as a batch of the input's visible columns.
  absl::StatusOr<Batch> DecodeInput(const std::vector<std::string_view>& rows) const;
  // Records of rows (TopRecord) as the state holds them. DataLoss: they aren't.
  absl::Status Load(absl::Span<const std::string_view> records, std::vector<int64_t>* times, TopKeys* out) const;
  // Rows and their ranks as a batch of the output.
  absl::StatusOr<Batch> Ranked(const std::vector<std::string_view>& rows, const std::vector<int64_t>& ranks,
                               const HiddenValues& hidden) const;

 private:
  const StepShape shape_;
  const bool has_rank_;
  RowCodec group_, rank_, row_, key_;
};

// A row in state, where a list changes: its time and its bytes.
std::string TopRecord(int64_t time, std::string_view row);

// How lists have changed, gathered from list to list. Points to the rows until the next Flush.
class TopChanges {
 public:
  struct Listed {
    std::string_view row;
    int64_t time = 0;
  };

  TopChanges(const TopCodec& codec, StepLedger* ledger, Emitter& emitter)
      : codec_(codec), ledger_(*ledger), emitter_(emitter) {}

  void Add(Op op, const Listed& row, size_t position);
  // Every place in a list whose row is another one now, or is there no more or for the first time.
  void CompareByRank(const std::vector<Listed>& before, const std::vector<Listed>& after);
  // Enough for a batch.
  bool Full() const { return rows_.size() >= kEmitRows; }
  absl::Status Flush();

 private:
  static constexpr size_t kEmitRows = 4096;

  const TopCodec& codec_;
  StepLedger& ledger_;
  Emitter& emitter_;
  std::vector<std::string_view> rows_;
  std::vector<int64_t> ranks_;
  HiddenValues hidden_;
};

}  // namespace tidemark
