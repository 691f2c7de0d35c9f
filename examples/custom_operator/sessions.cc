#include "sessions.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <utility>

#include <arrow/array.h>

#include "operators/custom/custom_operator.h"
#include "operators/operator.h"
#include "operators/step.h"
#include "src/base/status.h"
#include "src/codec/cells.h"

namespace {

using namespace tidemark;

constexpr int64_t kRowsABatch = 4096;

struct Session {
  int64_t first = 0, last = 0, rows = 0;
};

class Sessions final : public Operator {
 public:
  Sessions(const Node& node, const CustomSpec& spec)
      : shape_(node), by_(static_cast<int>(spec.by[0])), gap_us_(*DurationParameter(spec, "gap")) {}

  std::string_view name() const override { return shape_.name; }

  // What is kept in memory comes from the state as of the last commit, and from nowhere else.
  absl::Status Open(const OperatorContext& context) override {
    state_ = context.state;
    ledger_ = context.ledger;
    const auto all = state_->Scan("", "");
    for (; all->Valid(); all->Next()) {
      int64_t key = 0;
      std::memcpy(&key, all->key().data(), sizeof key);
      std::vector<Session>& sessions = open_[key];
      sessions.resize(all->value().size() / sizeof(Session));
      std::memcpy(sessions.data(), all->value().data(), all->value().size());
      for (const Session& session : sessions) due_.emplace(session.last + gap_us_, key);
    }
    return all->status();
  }

  // Late is decided by the row's own watermark alone, so that it depends on offsets and not on what came in between.
  absl::Status ProcessBatch(int /*input*/, const Batch& batch, Emitter& /*emitter*/) override {
    const Cells<int64_t> keys(*batch->column_data(by_));
    const int64_t* times = HiddenInt64(*batch, Hidden::kTime);
    const int64_t* watermarks = HiddenInt64(*batch, Hidden::kWatermark);
    for (int64_t row = 0; row < batch->num_rows(); ++row) {
      const bool late = times[row] < watermarks[row];
      ++ledger_->in;
      ++(late ? ledger_->late : ledger_->absorbed);
      if (!late) Add(keys[row], times[row]);
    }
    return absl::OkStatus();
  }

  // In the order of event time, so that where it has to stop a time is complete.
  absl::StatusOr<EventTime> AdvanceWatermark(EventTime time, Emitter& emitter) override {
    while (!due_.empty() && due_.begin()->first < time.us) {
      if (emitter.Full()) return EventTime{due_.begin()->first - 1};
      TM_RETURN_IF_ERROR(CloseSome(time, emitter));
    }
    return time;
  }

  // Writes what has changed, a value a key.
  absl::Status PrepareCommit(uint64_t /*commit*/, Emitter& /*emitter*/) override {
    for (const int64_t key : changed_) {
      const std::string_view name(reinterpret_cast<const char*>(&key), sizeof key);
      const auto it = open_.find(key);
      if (it == open_.end()) {
        state_->Delete(name);
      } else {
        state_->Put(name, {reinterpret_cast<const char*>(it->second.data()), it->second.size() * sizeof(Session)});
      }
    }
    changed_.clear();
    return absl::OkStatus();
  }

  int64_t MemoryBytes() const override { return static_cast<int64_t>(due_.size()) * 200; }

 private:
  // Joins the sessions that the row lies within a gap of.
  void Add(int64_t key, int64_t time) {
    std::vector<Session>& sessions = open_[key];
    Session joined{time, time, 1};
    std::erase_if(sessions, [&](const Session& session) {
      if (time + gap_us_ < session.first || session.last + gap_us_ < time) return false;
      joined = {std::min(joined.first, session.first), std::max(joined.last, session.last), joined.rows + session.rows};
      due_.erase({session.last + gap_us_, key});
      return true;
    });
    sessions.push_back(joined);
    due_.emplace(joined.last + gap_us_, key);
    changed_.insert(key);
  }

  absl::Status CloseSome(EventTime time, Emitter& emitter) {
    CellWriter<int64_t> keys(kRowsABatch), starts(kRowsABatch), ends(kRowsABatch), rows(kRowsABatch);
    HiddenValues hidden;
    for (int64_t n = 0; n < kRowsABatch && !due_.empty() && due_.begin()->first < time.us; ++n) {
      const auto [due, key] = *due_.begin();
      std::vector<Session>& sessions = open_[key];
      const auto session = std::find_if(sessions.begin(), sessions.end(),
                                        [&, last = due - gap_us_](const Session& s) { return s.last == last; });
      keys.Append(key);
      starts.Append(session->first);
      ends.Append(session->last);
      rows.Append(session->rows);
      hidden.times.push_back(due);
      sessions.erase(session);
      if (sessions.empty()) open_.erase(key);
      due_.erase(due_.begin());
      changed_.insert(key);
    }
    ledger_->out += static_cast<int64_t>(hidden.times.size());
    std::vector<std::shared_ptr<arrow::Array>> columns;
    for (CellWriter<int64_t>* writer : {&keys, &starts, &ends, &rows}) {
      TM_ASSIGN_OR_RETURN(auto column, writer->Finish(ArrowType(shape_.output[columns.size()].type)));
      columns.push_back(std::move(column));
    }
    return emitter.Emit(MakeBatch(shape_, std::move(columns), hidden));
  }

  const StepShape shape_;
  const int by_;
  const int64_t gap_us_;
  StateStore* state_ = nullptr;
  StepLedger* ledger_ = nullptr;
  std::map<int64_t, std::vector<Session>> open_;  // by key; more than a gap apart from each other
  std::set<std::pair<int64_t, int64_t>> due_;     // (last + gap, key) of each
  std::set<int64_t> changed_;                     // keys since the last commit
};

absl::StatusOr<CustomShape> PlanSessions(const CustomInput& input) {
  const Column& key = input.columns[input.spec.by[0]];
  if (input.spec.by.size() != 1 || key.type.kind != Kind::kInt64 || key.nullable) {
    return absl::InvalidArgumentError("sessions go by one int64 column that isn't nullable");
  }
  if (*DurationParameter(input.spec, "gap") <= 0) return absl::InvalidArgumentError("gap must be longer than nothing");
  const Type time{.kind = Kind::kTimestamp, .form = input.time_form};
  CustomShape shape;
  shape.Keep(input.columns, input.spec.by[0]);
  shape.Add({"session_start", time, false});
  shape.Add({"session_end", time, false});
  shape.Add({"rows", {.kind = Kind::kInt64}, false});
  shape.reads = shape.reads.With(Hidden::kWatermark);
  return shape;
}

}  // namespace

absl::Status RegisterSessions() {
  CustomOperator sessions;
  sessions.name = "sessions";
  sessions.by = CustomOperator::By::kRequired;
  sessions.parameters = {{"gap", CustomParameter::Kind::kDuration, /*required=*/true}};
  sessions.plan = PlanSessions;
  sessions.make = [](const Node& node, const CustomSpec& spec) -> absl::StatusOr<std::unique_ptr<Operator>> {
    return std::make_unique<Sessions>(node, spec);
  };
  sessions.holds_us = [](const CustomSpec& spec) { return *DurationParameter(spec, "gap"); };
  return RegisterOperator(std::move(sessions));
}
