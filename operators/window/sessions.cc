#include "operators/window/sessions.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <arrow/record_batch.h>

#include "operators/step.h"
#include "operators/window/clock.h"
#include "operators/window/open_sessions.h"
#include "operators/window/result_rows.h"
#include "operators/window/rows.h"
#include "src/base/status.h"

namespace tidemark {
namespace {

constexpr size_t kEmitRows = 2048;
// What a group takes that a commit deals with, until then, as the commit's bound counts it: 64k groups fill 32 MiB.
constexpr int64_t kGroupBytes = 512;

class SessionResults final : public Operator {
 public:
  SessionResults(const Node& node, const WindowSpec& spec, WindowRows rows)
      : shape_(node),
        spec_(spec),
        codec_(RowCodec::Key(spec.rows, spec.group_by)),
        rows_(std::move(rows)),
        groups_(rows_.aggregates(), codec_),
        results_(&shape_, &spec_, &groups_) {}

  std::string_view name() const override { return shape_.name; }
  absl::Status Open(const OperatorContext& context) override;
  absl::Status ProcessBatch(int input, const Batch& batch, Emitter& emitter) override;
  absl::StatusOr<EventTime> AdvanceWatermark(EventTime time, Emitter& emitter) override;
  absl::Status PrepareCommit(uint64_t commit, Emitter& emitter) override;
  int64_t MemoryBytes() const override { return open_ ? open_->MemoryBytes() : 0; }

 private:
  using Session = OpenSessions::Session;
  // Results that are gathered until they are enough to be emitted.
  struct Gathered {
    std::vector<uint32_t> slots, borrowed;
    ResultRows::Rows rows;
  };

  void Gather(const Session& session, std::optional<Op> op, Gathered* gathered) const;
  absl::Status Emit(Gathered* gathered, Emitter& emitter);
  absl::Status EmitDue(absl::Span<const OpenSessions::Due> due, Emitter& emitter);
  absl::Status EmitUpdates(absl::Span<const uint32_t> numbers, Emitter& emitter);
  absl::Status GatherUpdates(uint32_t number, Gathered* gathered);
  EventTime OutputWatermark() const;
  void CountGroups(Emitter& emitter);

  const StepShape shape_;
  const WindowSpec spec_;
  const RowCodec codec_;
  WindowRows rows_;
  GroupSet groups_;  // of sessions that this commit deals with
  const ResultRows results_;
  StepLedger* ledger_ = nullptr;
  std::optional<WindowClock> clock_;
  std::optional<OpenSessions> open_;
  EventTime output_watermark_ = kMinTime;
  size_t counted_ = 0;  // of the groups that this commit deals with, those that the emitter has been told of
  WindowPairs pairs_;   // scratch
  EncodedKeys keys_;    // likewise
};

absl::Status SessionResults::Open(const OperatorContext& context) {
  ledger_ = context.ledger;
  groups_.set_grown(context.grown_groups);
  clock_.emplace(context.state, spec_.grace_us);
  TM_RETURN_IF_ERROR(clock_->Load());
  open_.emplace(context.state, &groups_, spec_.gap_us, context.memory);
  return open_->Load();
}

absl::Status SessionResults::ProcessBatch(int /*input*/, const Batch& batch, Emitter& emitter) {
  if (batch->num_rows() == 0) return absl::OkStatus();
  TM_RETURN_IF_ERROR(rows_.Pair(batch, clock_->judging(), ledger_, emitter, &pairs_));
  ledger_->open += static_cast<int64_t>(pairs_.rows.size());
  TM_RETURN_IF_ERROR(codec_.Encode(*batch, &keys_));
  TM_RETURN_IF_ERROR(open_->Locate(keys_, &pairs_));
  CountGroups(emitter);
  return rows_.Add(batch, pairs_, &groups_);
}

absl::StatusOr<EventTime> SessionResults::AdvanceWatermark(EventTime time, Emitter& emitter) {
  clock_->Advance(time);
  const EventTime until = clock_->over() - 1;  // over once the time has passed end + grace
  while (!emitter.Full()) {
    TM_ASSIGN_OR_RETURN(const bool some, open_->FindDue(until));
    if (!some) break;
    // What steps behind this one have of these groups is put right before its time passes.
    if (spec_.on_update) TM_RETURN_IF_ERROR(EmitUpdates(open_->visited(), emitter));
    for (size_t at = 0; at < open_->due().size(); at += kEmitRows) {
      if (!spec_.on_update && emitter.Full()) break;
      TM_RETURN_IF_ERROR(EmitDue(open_->due().subspan(at, kEmitRows), emitter));
    }
    open_->FinishDue();
    CountGroups(emitter);  // behind what goes out, so that every call gets on
  }
  output_watermark_ = std::max(output_watermark_, std::min(time, OutputWatermark()));
  return output_watermark_;
}

// Sessions may be over by the million without a word (on_update), each with its group in memory until the commit.
void SessionResults::CountGroups(Emitter& emitter) {
  emitter.AddPending(static_cast<int64_t>(open_->size() - counted_) * kGroupBytes);
  counted_ = open_->size();
}

// A row that isn't late yet lies at the horizon or behind, and its session ends a gap later at least.
EventTime SessionResults::OutputWatermark() const {
  const EventTime next = clock_->over() + (spec_.gap_us - kMillisecond - 1);
  return std::min({clock_->time(), next, open_->FirstEnd() - kMillisecond - 1});
}

absl::Status SessionResults::EmitDue(absl::Span<const OpenSessions::Due> due, Emitter& emitter) {
  Gathered gathered;
  for (const OpenSessions::Due& each : due) {
    const int64_t rows = groups_.rows(each.session.slot);
    ledger_->closed += rows;
    ledger_->open -= rows;
    if (!spec_.on_update) Gather(each.session, std::nullopt, &gathered);
  }
  TM_RETURN_IF_ERROR(Emit(&gathered, emitter));
  open_->Close(due);
  return absl::OkStatus();
}

absl::Status SessionResults::PrepareCommit(uint64_t commit, Emitter& emitter) {
  clock_->Save();
  if (spec_.on_update) {
    std::vector<uint32_t> all(open_->size());
    std::iota(all.begin(), all.end(), 0);
    TM_RETURN_IF_ERROR(EmitUpdates(all, emitter));
  }
  counted_ = 0;
  return open_->Commit(commit);
}

// Of the groups that have changed: what is stored of them is what was emitted, which is replaced by what they are now.
absl::Status SessionResults::EmitUpdates(absl::Span<const uint32_t> numbers, Emitter& emitter) {
  Gathered gathered;
  for (const uint32_t number : numbers) {
    if (!open_->group(number).changed) continue;
    TM_RETURN_IF_ERROR(GatherUpdates(number, &gathered));
    open_->Store(number);
    if (gathered.slots.size() >= kEmitRows) TM_RETURN_IF_ERROR(Emit(&gathered, emitter));
  }
  return Emit(&gathered, emitter);
}

// Both ascend by their starts, which tell sessions of a group apart.
absl::Status SessionResults::GatherUpdates(uint32_t number, Gathered* gathered) {
  const OpenSessions::Group& group = open_->group(number);
  auto now = group.sessions.begin();
  const auto insert_until = [&](std::optional<int64_t> first) {
    for (; now != group.sessions.end() && (!first || now->first < *first); ++now) Gather(*now, Op::kInsert, gathered);
  };
  std::string values, stands;
  TM_RETURN_IF_ERROR(open_->VisitStored(number, [&](int64_t first, std::string_view stored) -> absl::Status {
    insert_until(first);
    const bool stays = now != group.sessions.end() && now->first == first;
    if (stays) {
      values.clear();
      groups_.SaveValues(now->slot, &values);
      if (values == stored) {
        ++now;
        return absl::OkStatus();
      }
    }
    TM_ASSIGN_OR_RETURN(const uint32_t slot, groups_.Borrow(nullptr, group.key, stored));
    gathered->borrowed.push_back(slot);
    if (stays) {  // the same, but for the form of what was stored before an aggregate was added
      stands.clear();
      groups_.SaveValues(slot, &stands);
      if (values == stands) {
        ++now;
        return absl::OkStatus();
      }
    }
    Gather({first, groups_.time(slot), slot}, stays ? Op::kUpdateBefore : Op::kDelete, gathered);
    if (stays) Gather(*now++, Op::kUpdateAfter, gathered);
    return absl::OkStatus();
  }));
  insert_until(std::nullopt);
  return absl::OkStatus();
}

void SessionResults::Gather(const Session& session, std::optional<Op> op, Gathered* gathered) const {
  const EventTime end = open_->End(session);
  gathered->slots.push_back(session.slot);
  gathered->rows.starts.push_back(session.first);
  gathered->rows.ends.push_back(end.us);
  gathered->rows.times.push_back((end - kMillisecond).us);
  if (op) gathered->rows.ops.push_back(static_cast<int8_t>(*op));
}

absl::Status SessionResults::Emit(Gathered* gathered, Emitter& emitter) {
  Gathered out = std::exchange(*gathered, {});
  out.rows.slots = out.slots;
  TM_RETURN_IF_ERROR(results_.Emit(std::move(out.rows), ledger_, emitter));
  for (const uint32_t slot : out.borrowed) groups_.FreeCopy(slot);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Operator>> MakeSessionResults(const Node& node, const WindowSpec& spec) {
  TM_ASSIGN_OR_RETURN(WindowRows rows, WindowRows::Make(spec));
  return std::make_unique<SessionResults>(node, spec, std::move(rows));
}

}  // namespace tidemark
