#include "operators/sinks/postgres/sink.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include <absl/container/flat_hash_map.h>
#include <absl/functional/function_ref.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <glog/logging.h>

#include "operators/sinks/postgres/libpq.h"
#include "src/base/failpoint.h"
#include "src/base/mutation.h"
#include "src/base/status.h"
#include "src/codec/json/value_writer.h"
#include "src/codec/key_encoder.h"

namespace tidemark {
namespace {

// Of one statement; a batch may have more. What a statement takes is held three times, here, on its way and there.
constexpr int64_t kStatementRows = 32 << 10;
// Of the rows of a refused batch that are handed over at once.
constexpr size_t kRefusedBytes = 4 << 20;

bool IsSubset(const std::vector<size_t>& inner, const std::vector<size_t>& outer) {
  return std::all_of(inner.begin(), inner.end(),
                     [&](size_t column) { return std::find(outer.begin(), outer.end(), column) != outer.end(); });
}

// The row keeps what was heard behind the offset it belongs to, since a version that doesn't know the column moves the
// offset alone.
std::string HeardRow(int64_t next_offset, std::string_view heard) {
  return absl::StrCat(next_offset, " ", std::string(heard));
}
std::string HeardAt(const PostgresFence& fence) {
  const std::string prefix = HeardRow(fence.next_offset, "");
  return absl::StartsWith(fence.heard, prefix) ? fence.heard.substr(prefix.size()) : "";
}

absl::StatusOr<Batch> Concatenate(const std::vector<Batch>& batches) {
  if (batches.size() == 1) return batches[0];
  return FromArrow(arrow::ConcatenateRecordBatches(batches), "joining the batches of a write");
}

}  // namespace

// The rows of one write, and what is left to do after folding: of several operations on one key the last.
struct PostgresSink::FoldedRows {
  Batch rows;  // all of them; null: none
  std::vector<int32_t> writes, deletes;
  // Upsert: for each row the one before it with the same key, -1: none. Where the last operation on a key is refused,
  // the one before it stands, as if the rows had been written one by one.
  std::vector<int32_t> previous;
  std::vector<bool> is_delete;
};

absl::StatusOr<std::unique_ptr<PostgresSink>> PostgresSink::Open(const PostgresSinkSpec& spec,
                                                                 std::string_view application, std::string_view sink,
                                                                 const Schema& schema, const StepMode& mode,
                                                                 const std::atomic<bool>* interrupted) {
  TM_ASSIGN_OR_RETURN(auto session, MakeLibpqSession(spec, application, sink, schema, mode, interrupted));
  return Over(std::move(session), spec, sink, schema, mode);
}

absl::StatusOr<std::unique_ptr<PostgresSink>> PostgresSink::Over(std::unique_ptr<PostgresSession> session,
                                                                 const PostgresSinkSpec& spec, std::string_view sink,
                                                                 const Schema& schema, const StepMode& mode) {
  if (mode.update && !spec.upsert) {
    return absl::InvalidArgumentError(absl::StrCat(
        "sink ", std::string(sink), ": its step updates rows, which mode: insert can't; use mode: upsert"));
  }
  if (spec.upsert && spec.key.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("sink ", std::string(sink), ": mode: upsert needs a key"));
  }
  TM_RETURN_IF_ERROR(session->Connect());
  return std::unique_ptr<PostgresSink>(new PostgresSink(std::move(session), spec, sink, schema, mode));
}

PostgresSink::PostgresSink(std::unique_ptr<PostgresSession> session, const PostgresSinkSpec& spec,
                           std::string_view sink, const Schema& schema, const StepMode& mode)
    : session_(std::move(session)),
      sink_(sink),
      schema_(schema),
      key_(spec.key),
      upsert_(spec.upsert),
      update_may_change_key_(mode.update && !IsSubset(spec.key, mode.key)) {}

// Once a sink has been open, what Open calls the user's mistake (a changed password, a dropped column) is waited out:
// the data is safe in the feed, and stopping would stop every other sink of the process too.
absl::Status PostgresSink::Reconnect() {
  absl::Status status = session_->Connect();
  if (absl::IsInvalidArgument(status)) return absl::UnavailableError(status.message());
  return status;
}

absl::StatusOr<PostgresFence> PostgresSink::Acquire(int32_t partition) {
  TM_RETURN_IF_ERROR(Reconnect());
  TM_ASSIGN_OR_RETURN(PostgresFence fence, session_->BumpFence(partition));
  epochs_[partition] = fence.epoch;
  fence.heard = HeardAt(fence);
  return fence;
}

absl::Status PostgresSink::Look() {
  TM_RETURN_IF_ERROR(Reconnect());
  const absl::Status begun = session_->Begin();
  session_->Rollback();
  return begun;
}

void PostgresSink::Release(int32_t partition) { epochs_.erase(partition); }

absl::Status PostgresSink::Write(int32_t partition, int64_t expected_next, int64_t new_next, std::string_view heard,
                                 const std::vector<Batch>& batches, SinkFailures failures) {
  const auto epoch = epochs_.find(partition);
  if (epoch == epochs_.end()) {
    return absl::InternalError(absl::StrCat("sink ", sink_, ": partition ", partition, " was not acquired"));
  }
  if (new_next <= expected_next) {
    return new_next == expected_next
               ? absl::OkStatus()
               : absl::InternalError(absl::StrCat("sink ", sink_, ": a write that goes back from offset ",
                                                  expected_next, " to ", new_next));
  }
  TM_ASSIGN_OR_RETURN(const FoldedRows rows, Fold(batches));
  TM_RETURN_IF_ERROR(Reconnect());
  const PostgresFence fence{epoch->second, expected_next, ""};
  const PostgresFence next{epoch->second, new_next, HeardRow(new_next, heard)};
  absl::Status status = TryWrite(partition, fence, next, rows, false, failures);
  if (absl::IsOutOfRange(status) && refuse_whole_) {
    TM_RETURN_IF_ERROR(RefuseAll(rows, status, failures));
    status = TryWrite(partition, fence, next, FoldedRows(), false, failures);
  } else if (absl::IsOutOfRange(status)) {
    status = TryWrite(partition, fence, next, rows, true, failures);
  }
  // Refused as a whole, by something that no single row shows (a trigger at the commit): nothing else can be done than
  // to wait for somebody to look at the message.
  if (absl::IsOutOfRange(status)) return absl::UnavailableError(status.message());
  return status;
}

// One transaction. The order: the fence, which also locks out everybody else until the end; the rows; the dead letters,
// so that none can be lost; the commit, which decides. `bisect`: the attempt before this one ended with a refused row.
absl::Status PostgresSink::TryWrite(int32_t partition, const PostgresFence& fence, const PostgresFence& next,
                                    const FoldedRows& rows, bool bisect, SinkFailures failures) {
  TM_RETURN_IF_ERROR(session_->Begin());
  bool fenced = false;
  absl::Status status = [&]() -> absl::Status {
    TM_ASSIGN_OR_RETURN(const bool mine, session_->MoveFence(partition, fence, next.next_offset, next.heard));
    fenced = !mine && !MutationActive(Mutation::kPostgresWithoutFence);
    if (fenced) return absl::CancelledError("fenced");
    if (!bisect) {
      TM_RETURN_IF_ERROR(WriteRows(rows));
    } else {
      std::vector<SinkRowFailure> failed;
      TM_RETURN_IF_ERROR(WriteBisecting(rows, &failed));
      if (!failed.empty()) TM_RETURN_IF_ERROR(failures(failed));
    }
    TM_RETURN_IF_ERROR(Failpoint("sink_postgres.before_commit"));
    const TimeSpent::Doing doing(spent_, committing_);
    return session_->Commit();
  }();
  if (status.ok()) return Failpoint("sink_postgres.after_commit");
  session_->Rollback();
  return fenced ? ExplainFence(partition, fence, next.next_offset) : status;
}

// The fence row wasn't as expected: somebody else's, or this write was committed by an attempt whose answer got lost.
// (An attempt whose outcome was still open has been waited for by the UPDATE that found no row.)
absl::Status PostgresSink::ExplainFence(int32_t partition, const PostgresFence& fence, int64_t new_next) {
  TM_ASSIGN_OR_RETURN(const PostgresFence now, session_->ReadFence(partition));
  if (now.epoch == fence.epoch && now.next_offset == new_next) return absl::OkStatus();
  if (now.epoch != fence.epoch) {
    return absl::CancelledError(absl::StrCat("fenced: sink ", sink_, " partition ", partition,
                                             " has been taken over (epoch ", now.epoch, ", this worker's is ",
                                             fence.epoch, ")"));
  }
  return absl::AbortedError(absl::StrCat("sink ", sink_, " partition ", partition, ": the database is at offset ",
                                         now.next_offset, ", expected ", fence.next_offset));
}

absl::Status PostgresSink::WriteRows(const FoldedRows& rows) {
  if (rows.rows == nullptr) return absl::OkStatus();
  if (!rows.deletes.empty()) TM_RETURN_IF_ERROR(session_->Delete(*TakeRows(rows.rows, rows.deletes)));
  if (rows.writes.empty()) return absl::OkStatus();
  const bool all = static_cast<int64_t>(rows.writes.size()) == rows.rows->num_rows();
  const Batch writes = all ? rows.rows : TakeRows(rows.rows, rows.writes);
  for (int64_t at = 0; at < writes->num_rows(); at += kStatementRows) {
    TM_RETURN_IF_ERROR(
        session_->Write(writes->num_rows() <= kStatementRows ? *writes : *writes->Slice(at, kStatementRows)));
  }
  return absl::OkStatus();
}

// What is refused of a batch refuses the batch. Its rows are handed over in pieces, each made durable by itself, while
// no transaction of the database waits for them: that may take longer than one is given.
absl::Status PostgresSink::RefuseAll(const FoldedRows& rows, const absl::Status& why, SinkFailures failures) const {
  const int64_t count = rows.rows == nullptr ? 0 : rows.rows->num_rows();
  LOG(WARNING) << "sink " << sink_ << ": a batch of " << count
               << " rows is rejected, as the database refuses one: " << why.message();
  const std::string reason = absl::StrCat(
      "the batch is rejected, ", count,
      " rows, as the database refuses one of them: ", absl::string_view(why.message().data(), why.message().size()));
  std::vector<SinkRowFailure> piece;
  size_t bytes = 0;
  for (int64_t row = 0; row < count; ++row) {
    piece.push_back({RowToJson(schema_, *rows.rows, row), reason});
    bytes += piece.back().row_json.size() + reason.size();
    if (bytes < kRefusedBytes && row + 1 < count) continue;
    TM_RETURN_IF_ERROR(failures(piece));
    piece.clear();
    bytes = 0;
  }
  return absl::OkStatus();
}

namespace {

// Applies `rows[begin, end)` in pieces that `apply` accepts, halving a refused piece until single rows are left.
absl::Status Bisect(PostgresSession& session, const std::vector<int32_t>& rows, size_t begin, size_t end,
                    absl::FunctionRef<absl::Status(const std::vector<int32_t>&)> apply,
                    absl::FunctionRef<absl::Status(int32_t, const absl::Status&)> refused) {
  if (begin == end) return absl::OkStatus();
  TM_RETURN_IF_ERROR(session.Savepoint());
  const absl::Status status = apply(std::vector<int32_t>(rows.begin() + begin, rows.begin() + end));
  if (!absl::IsOutOfRange(status)) return status;
  TM_RETURN_IF_ERROR(session.RollbackToSavepoint());
  if (end - begin == 1) return refused(rows[begin], status);
  const size_t middle = begin + (end - begin) / 2;
  TM_RETURN_IF_ERROR(Bisect(session, rows, begin, middle, apply, refused));
  return Bisect(session, rows, middle, end, apply, refused);
}

}  // namespace

absl::Status PostgresSink::WriteBisecting(const FoldedRows& rows, std::vector<SinkRowFailure>* failures) {
  if (rows.rows == nullptr) return absl::OkStatus();
  const auto write = [&](const std::vector<int32_t>& some) { return session_->Write(*TakeRows(rows.rows, some)); };
  const auto erase = [&](const std::vector<int32_t>& some) { return session_->Delete(*TakeRows(rows.rows, some)); };
  // Reports the row; then the operation before it on the same key is the last one that counts, and so on back.
  const auto refused = [&](int32_t row, const absl::Status& why) -> absl::Status {
    absl::Status reason = why;
    while (true) {
      failures->push_back({RowToJson(schema_, *rows.rows, row), std::string(reason.message())});
      row = upsert_ ? rows.previous[row] : -1;
      if (row < 0) return absl::OkStatus();
      TM_RETURN_IF_ERROR(session_->Savepoint());
      reason = rows.is_delete[row] ? erase({row}) : write({row});
      if (!absl::IsOutOfRange(reason)) return reason;
      TM_RETURN_IF_ERROR(session_->RollbackToSavepoint());
    }
  };
  TM_RETURN_IF_ERROR(Bisect(*session_, rows.deletes, 0, rows.deletes.size(), erase, refused));
  return Bisect(*session_, rows.writes, 0, rows.writes.size(), write, refused);
}

absl::StatusOr<PostgresSink::FoldedRows> PostgresSink::Fold(const std::vector<Batch>& batches) const {
  FoldedRows folded;
  std::vector<Batch> filled;
  for (const Batch& batch : batches) {
    if (batch != nullptr && batch->num_rows() > 0) filled.push_back(batch);
  }
  if (filled.empty()) return folded;
  TM_ASSIGN_OR_RETURN(folded.rows, Concatenate(filled));
  const int32_t count = static_cast<int32_t>(folded.rows->num_rows());
  if (!upsert_) {
    folded.writes.resize(count);
    for (int32_t i = 0; i < count; ++i) folded.writes[i] = i;
    return folded;
  }

  EncodedKeys keys;
  TM_RETURN_IF_ERROR(EncodeKeys(*folded.rows, key_, &keys));
  const int8_t* ops = HiddenOps(*folded.rows);
  folded.previous.assign(count, -1);
  folded.is_delete.assign(count, false);
  std::vector<bool> superseded(count, false);
  absl::flat_hash_map<std::string_view, int32_t> last;
  last.reserve(count);
  for (int32_t i = 0; i < count; ++i) {
    const Op op = ops == nullptr ? Op::kInsert : static_cast<Op>(ops[i]);
    // The row before an update only matters where the row after it may stand under another key.
    if (op == Op::kUpdateBefore && !update_may_change_key_) {
      superseded[i] = true;
      continue;
    }
    folded.is_delete[i] = op == Op::kDelete || op == Op::kUpdateBefore;
    const auto [entry, fresh] = last.try_emplace(keys[i], i);
    if (!fresh) {
      folded.previous[i] = entry->second;
      superseded[entry->second] = true;
      entry->second = i;
    }
  }
  for (int32_t i = 0; i < count; ++i) {
    if (!superseded[i]) (folded.is_delete[i] ? folded.deletes : folded.writes).push_back(i);
  }
  return folded;
}

}  // namespace tidemark
