#include "operators/dedup/last.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <tuple>
#include <vector>

#include "operators/dedup/seen_keys.h"
#include "operators/step.h"
#include "src/base/big_endian.h"
#include "src/base/status.h"
#include "src/codec/row_codec.h"
#include "state/keyed_rows.h"

namespace tidemark {
namespace {

constexpr size_t kEmitRows = 1024;
constexpr size_t kRecallRows = 8192;  // looked at for emission at once
constexpr char kRows[] = "k", kSerial[] = "n", kFormerRows[] = "e";

// The order of rows.
struct RowOrder {
  int64_t time = 0;
  int32_t source = 0, partition = 0;
  int64_t offset = 0;
  friend auto operator<=>(const RowOrder&, const RowOrder&) = default;
};

// An accepted key's row that is still to be emitted, found by the time it was accepted at and the key (WaitingKey). In
// state this stands in front of the row.
struct Waiting {
  int64_t due_us = 0;  // when it could be emitted first: equal entries come out in this order, then as they were opened
  int64_t serial = 0;  // counts entries
  RowOrder order;      // of the row
};

// What earlier versions wrote in front of the row, in a log of its own.
template <typename Key>
struct FormerWaiting {
  Key key;
  int64_t accepted_us = 0;
  Waiting waiting;
};

// Keys sort by the accepted time, and so by the deadline.
template <typename Key>
void WaitingKey(const Key& key, int64_t accepted_us, std::string* out) {
  out->clear();
  AppendOrdered(accepted_us, out);
  out->append(reinterpret_cast<const char*>(&key), sizeof(key));
}

EventTime AcceptedAt(uint64_t head) { return EventTime{KeyedRows::OrderedOf(head)}; }

void WaitingRow(const Waiting& waiting, std::string_view row, std::string* out) {
  out->assign(reinterpret_cast<const char*>(&waiting), sizeof(waiting));
  out->append(row);
}

Waiting ReadWaiting(std::string_view stored) {
  Waiting waiting;
  std::memcpy(&waiting, stored.data(), sizeof(waiting));
  return waiting;
}

template <typename Key>
class DedupLast final : public Operator {
 public:
  DedupLast(const Node& node, const DedupSpec& spec)
      : shape_(node), spec_(spec), seen_(spec, node.in().schema), codec_(RowCodec::Rows(node.in().schema)) {}

  std::string_view name() const override { return shape_.name; }
  absl::Status Open(const OperatorContext& context) override;
  absl::Status ProcessBatch(int input, const Batch& batch, Emitter& emitter) override;
  absl::StatusOr<EventTime> AdvanceWatermark(EventTime time, Emitter& emitter) override;
  absl::Status PrepareCommit(uint64_t commit, Emitter& emitter) override;
  int64_t MemoryBytes() const override;

 private:
  // A row that is due. The views are into `rows_`.
  struct Due {
    Waiting waiting;
    std::string_view key, row;
  };
  enum class Verdict : uint8_t { kLate, kAccepted, kDuplicate };

  EventTime Deadline(int64_t accepted_us) const { return EventTime{accepted_us} + spec_.within_us; }
  absl::Status OpenRows(const OperatorContext& context);
  void Judge(int64_t rows, const int64_t* times, const int64_t* watermarks);
  absl::Status FetchDuplicates();
  absl::Status EmitDue(uint64_t end, Emitter& emitter);
  absl::Status EmitRows(absl::Span<const Due> due, Emitter& emitter);

  const StepShape shape_;
  const DedupSpec spec_;
  SeenKeys<Key> seen_;
  const RowCodec codec_;
  StepLedger* ledger_ = nullptr;
  StateStore* store_ = nullptr;
  std::unique_ptr<KeyedRows> rows_;
  int64_t next_serial_ = 0, stored_serial_ = 0;
  EventTime output_watermark_ = kMinTime;
  // Scratch, by row of the batch.
  std::vector<Key> keys_;
  std::vector<Verdict> verdicts_;
  std::vector<int64_t> accepted_;
};

template <typename Key>
absl::Status DedupLast<Key>::Open(const OperatorContext& context) {
  ledger_ = context.ledger;
  store_ = context.state;
  TM_RETURN_IF_ERROR(seen_.Open(context.state, context.memory));
  return OpenRows(context);
}

template <typename Key>
absl::Status DedupLast<Key>::OpenRows(const OperatorContext& context) {
  rows_ = std::make_unique<KeyedRows>(context.state, kRows, context.memory, KeyedRows::Options{.ordered = true});
  TM_RETURN_IF_ERROR(rows_->Load());
  TM_ASSIGN_OR_RETURN(const std::optional<std::string> serial, store_->Get(kSerial));
  if (serial) next_serial_ = stored_serial_ = static_cast<int64_t>(ReadBigEndian(*serial));
  return rows_->LoadFormer(kFormerRows, [&](std::string_view record, std::string* key, std::string* row) {
    FormerWaiting<Key> former;
    if (record.size() < sizeof(former)) return absl::DataLossError("a waiting row in the state can't be read");
    std::memcpy(&former, record.data(), sizeof(former));
    WaitingKey(former.key, former.accepted_us, key);
    WaitingRow(former.waiting, record.substr(sizeof(former)), row);
    next_serial_ = std::max(next_serial_, former.waiting.serial + 1);
    return absl::OkStatus();
  });
}

template <typename Key>
absl::Status DedupLast<Key>::ProcessBatch(int /*input*/, const Batch& batch, Emitter& /*emitter*/) {
  const int64_t n = batch->num_rows();
  if (n == 0) return absl::OkStatus();
  TM_RETURN_IF_ERROR(seen_.KeysOf(*batch, &keys_));
  EncodedKeys rows;
  TM_RETURN_IF_ERROR(codec_.Encode(*batch, &rows));
  const int64_t* times = HiddenInt64(*batch, Hidden::kTime);
  const int64_t* watermarks = HiddenInt64(*batch, Hidden::kWatermark);
  const int32_t* sources = HiddenInt32(*batch, Hidden::kSource);
  const int32_t* partitions = HiddenInt32(*batch, Hidden::kPartition);
  const int64_t* offsets = HiddenInt64(*batch, Hidden::kOffset);
  ledger_->in += n;
  Judge(n, times, watermarks);
  TM_RETURN_IF_ERROR(seen_.status());
  if (!rows_->all_in_memory()) TM_RETURN_IF_ERROR(FetchDuplicates());
  std::string key, stored;
  for (int64_t i = 0; i < n; ++i) {
    if (verdicts_[i] == Verdict::kLate) continue;
    const EventTime watermark{watermarks ? watermarks[i] : kMinTime.us};
    const RowOrder order{times[i], sources ? sources[i] : 0, partitions ? partitions[i] : 0, offsets ? offsets[i] : 0};
    const EventTime deadline = Deadline(accepted_[i]);
    WaitingKey(keys_[i], accepted_[i], &key);
    Waiting waiting{std::max(deadline, watermark).us, next_serial_, order};
    if (verdicts_[i] == Verdict::kAccepted) {
      ++next_serial_;
    } else {
      const std::optional<std::string_view> before = rows_->Get(key);
      if (!before) continue;  // emitted already
      waiting = ReadWaiting(*before);
      // Rows of one record have one order: of those the last one counts.
      if (watermark >= deadline || order < waiting.order) continue;
      waiting.order = order;
    }
    WaitingRow(waiting, rows[i], &stored);
    rows_->Put(key, stored);
  }
  return absl::OkStatus();
}

// Row by row, in their order: what becomes of each, and the accepted time of its entry.
template <typename Key>
void DedupLast<Key>::Judge(int64_t rows, const int64_t* times, const int64_t* watermarks) {
  verdicts_.resize(rows);
  accepted_.resize(rows);
  for (int64_t i = 0; i < rows; ++i) {
    if (seen_.IsLate(times[i], watermarks ? watermarks[i] : kMinTime.us)) {
      verdicts_[i] = Verdict::kLate;
      ++ledger_->late;
    } else if (seen_.IsDuplicate(keys_[i], times[i], &accepted_[i])) {
      verdicts_[i] = Verdict::kDuplicate;
      ++ledger_->duplicate;
    } else {
      verdicts_[i] = Verdict::kAccepted;
      accepted_[i] = std::max(times[i], SeenTable<Key>::kFree + 1);
      ++ledger_->passed;
    }
  }
}

template <typename Key>
absl::Status DedupLast<Key>::FetchDuplicates() {
  constexpr size_t kKeyBytes = sizeof(int64_t) + sizeof(Key);
  std::string bytes, key;
  for (size_t i = 0; i < verdicts_.size(); ++i) {
    if (verdicts_[i] != Verdict::kDuplicate) continue;
    WaitingKey(keys_[i], accepted_[i], &key);
    bytes.append(key);
  }
  std::vector<std::string_view> keys;
  for (size_t at = 0; at < bytes.size(); at += kKeyBytes) keys.push_back(std::string_view(bytes).substr(at, kKeyBytes));
  return rows_->Fetch(keys);
}

// Rows that were accepted below the head `end` are due. They are looked at a part at a time, in the order of that time:
// of a part, those are emitted that nothing behind it can come before, as whatever is accepted later is due later.
template <typename Key>
absl::Status DedupLast<Key>::EmitDue(uint64_t end, Emitter& emitter) {
  size_t most = kRecallRows;
  while (!emitter.Full() && rows_->FirstHead() < end) {
    TM_ASSIGN_OR_RETURN(const uint64_t recalled, rows_->Recall(end, most));
    std::vector<Due> due;
    const uint64_t seen = rows_->VisitBelow(recalled, most, [&](std::string_view key, std::string_view stored) {
      due.push_back({ReadWaiting(stored), key, stored.substr(sizeof(Waiting))});
    });
    if (seen < end) {
      const int64_t before = Deadline(AcceptedAt(seen).us).us;
      std::erase_if(due, [&](const Due& d) { return d.waiting.due_us >= before; });
    }
    std::sort(due.begin(), due.end(), [](const Due& a, const Due& b) {
      return std::tie(a.waiting.due_us, a.waiting.serial) < std::tie(b.waiting.due_us, b.waiting.serial);
    });
    for (size_t at = 0; at < due.size() && !emitter.Full(); at += kEmitRows) {
      TM_RETURN_IF_ERROR(EmitRows(absl::MakeConstSpan(due).subspan(at, kEmitRows), emitter));
    }
    if (due.empty()) most *= 2;  // rows that came when they were due already wait for their turn
  }
  return absl::OkStatus();
}

template <typename Key>
absl::Status DedupLast<Key>::EmitRows(absl::Span<const Due> due, Emitter& emitter) {
  std::vector<std::string_view> rows;
  HiddenValues hidden;
  for (const Due& d : due) {
    rows.push_back(d.row);
    hidden.times.push_back(d.waiting.order.time);
    hidden.sources.push_back(d.waiting.order.source);
    hidden.partitions.push_back(d.waiting.order.partition);
    hidden.offsets.push_back(d.waiting.order.offset);
  }
  std::vector<std::shared_ptr<arrow::Array>> columns;
  TM_RETURN_IF_ERROR(codec_.Decode(rows, &columns));
  ledger_->out += static_cast<int64_t>(due.size());
  TM_RETURN_IF_ERROR(emitter.Emit(MakeBatch(shape_, std::move(columns), hidden)));
  for (const Due& d : due) rows_->Delete(d.key);
  return absl::OkStatus();
}

template <typename Key>
absl::StatusOr<EventTime> DedupLast<Key>::AdvanceWatermark(EventTime time, Emitter& emitter) {
  const uint64_t end = time == kMaxTime ? KeyedRows::kNoHead : KeyedRows::HeadOf((time - spec_.within_us).us) + 1;
  TM_RETURN_IF_ERROR(EmitDue(end, emitter));
  TM_RETURN_IF_ERROR(seen_.Advance(time));
  // A row waiting isn't older than the accepted one.
  EventTime hold = time - spec_.grace_us - 1;
  if (const uint64_t first = rows_->FirstHead(); first != KeyedRows::kNoHead) {
    hold = std::min(hold, AcceptedAt(first) - 1);
  }
  output_watermark_ = std::max(output_watermark_, hold);
  return output_watermark_;
}

template <typename Key>
absl::Status DedupLast<Key>::PrepareCommit(uint64_t commit, Emitter& /*emitter*/) {
  TM_RETURN_IF_ERROR(seen_.Commit(commit));
  if (next_serial_ != stored_serial_) {
    std::string serial;
    AppendBigEndian(static_cast<uint64_t>(next_serial_), 8, &serial);
    store_->Put(kSerial, serial);
    stored_serial_ = next_serial_;
  }
  return rows_->Commit(commit);
}

template <typename Key>
int64_t DedupLast<Key>::MemoryBytes() const {
  return seen_.MemoryBytes() + (rows_ ? rows_->MemoryBytes() : 0);
}

}  // namespace

std::unique_ptr<Operator> MakeDedupLast(const Node& node, const DedupSpec& spec) {
  if (HasIntKey(spec, node.in().schema)) return std::make_unique<DedupLast<IntKey>>(node, spec);
  return std::make_unique<DedupLast<HashedKey>>(node, spec);
}

}  // namespace tidemark
