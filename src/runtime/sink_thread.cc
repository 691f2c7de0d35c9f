#include "src/runtime/sink_thread.h"

#include <algorithm>

#include <absl/strings/str_cat.h>
#include <glog/logging.h>

#include "src/base/action.h"
#include "src/base/status.h"

namespace tidemark {
namespace {

// Of packed records that the client reads ahead. With the unpacked rows that are handed over at once
// (FeedSink::piece_bytes) they bound what a sink that catches up holds.
constexpr int64_t kReadAheadBytes = 3 << 20;
constexpr int64_t kLongestPauseUs = 5 * kSecond;
// Then the group is heard, and what was polled waits.
constexpr int64_t kLongestWorkUs = 10 * kSecond;
// Whoever fenced this sink is left alone for so long: where it is a newer process of the same name, the group says so
// meanwhile.
constexpr int64_t kFencedPauseUs = 4 * kSecond;

}  // namespace

const Edge& FeedOf(const Plan& plan, int sink) {
  return *std::find_if(plan.edges.begin(), plan.edges.end(), [&](const Edge& edge) { return edge.to_sink == sink; });
}

SinkThread::SinkThread(const Runtime& runtime, int sink, std::unique_ptr<FeedSink> feed_sink)
    : runtime_(runtime),
      plan_(runtime.plan->sinks[static_cast<size_t>(sink)]),
      edge_(FeedOf(*runtime.plan, sink)),
      schema_(BatchSchema(edge_.schema, edge_.hidden)),
      whole_commits_(ShowsBatchesWhole(*runtime.plan, sink)),
      feed_sink_(std::move(feed_sink)) {
  Publish();
}

absl::Status SinkThread::Start() {
  TM_RETURN_IF_ERROR(ActOn(Outside([&] { return feed_sink_->Open(); })));
  ConsumerOptions options;
  options.group = runtime_.plan->application.SinkGroup(plan_.kept_as());
  options.instance_id = runtime_.options.instance_id;
  options.client_id = absl::StrCat(options.group, "-", runtime_.options.instance_id);
  options.queue_bytes = kReadAheadBytes;
  TM_ASSIGN_OR_RETURN(consumer_, runtime_.kafka->NewConsumer(options));
  TM_RETURN_IF_ERROR(consumer_->Subscribe({edge_.topic}));
  Publish();
  return absl::OkStatus();
}

// Gives the membership up and takes another: the group assigns anew.
absl::Status SinkThread::Rejoin() {
  LOG(INFO) << "sink " << plan_.name << ": leaves the group to join it again";
  TM_RETURN_IF_ERROR(OnRebalance({Rebalance::Kind::kRevoked, assigned_}));
  const absl::Status closed = consumer_->Close(/*leave_group=*/true);
  if (!closed.ok()) LOG(WARNING) << "sink " << plan_.name << ": leaving the group: " << closed;
  return Start();
}

absl::Status SinkThread::Step(int64_t max_wait_us) {
  if (rejoin_.exchange(false, std::memory_order_relaxed)) TM_RETURN_IF_ERROR(ActOn(Rejoin()));
  const int64_t now = runtime_.clock->MonotonicUs();
  const bool works_on = state_ == State::kWaiting && retry_at_us_ <= now;
  const int64_t wait = works_on ? 0 : retry_at_us_ > now ? std::min(max_wait_us, retry_at_us_ - now) : max_wait_us;
  feed_sink_->spent().Switch(FeedSink::kAwaitsRows);
  absl::StatusOr<PollResult> polled = consumer_->Poll(wait, runtime_.options.poll_records);
  feed_sink_->spent().Switch(FeedSink::kReadsRows);
  absl::Status status;
  if (ActionFor(polled.status()) == Action::kRetry) {
    LOG_EVERY_N(WARNING, 100) << "sink " << plan_.name << ": " << polled.status().message();
  } else if (!polled.ok()) {
    status = polled.status();
  } else if (polled->rebalance) {
    status = OnRebalance(*polled->rebalance);
  } else {
    if (owns()) {
      for (std::unique_ptr<Fetch>& fetch : polled->fetches) pending_.push_back({std::move(fetch)});
      for (const auto& [partition, end] : polled->ends) ends_[partition.partition] = end;
    }
    status = Turn();
  }
  status = ActOn(status);
  Publish();
  feed_sink_->spent().Switch(FeedSink::kAwaitsRows);
  return status;
}

absl::Status SinkThread::Turn() {
  const bool paused = runtime_.clock->MonotonicUs() < retry_at_us_;
  switch (state_) {
    case State::kUnassigned:
      // A worker without partitions has to know as well whether it could take some.
      if (paused) return absl::OkStatus();
      TM_RETURN_IF_ERROR(Outside([&] { return feed_sink_->Open(); }));
      TM_RETURN_IF_ERROR(LookOutside());
      if (failures_ > 0) Succeeded();
      return absl::OkStatus();
    case State::kTakingOver:
      return paused ? absl::OkStatus() : TakeOver();
    case State::kWaiting:
      return paused ? absl::OkStatus() : Work();
    case State::kRunning:
      return Work();
    case State::kFailed:
      break;
  }
  return absl::InternalError(absl::StrCat("sink ", plan_.name, ": a step after a final error"));
}

absl::Status SinkThread::OnRebalance(const Rebalance& rebalance) {
  GiveUp(rebalance.kind == Rebalance::Kind::kLost);
  state_ = State::kUnassigned;
  assigned_.clear();
  group_.reset();
  if (rebalance.kind != Rebalance::Kind::kAssigned) return consumer_->Unassign();
  std::shared_ptr<const GroupMetadata> group = consumer_->Group();
  if (!group->valid()) return consumer_->Unassign();
  group_ = std::move(group);
  assigned_ = rebalance.partitions;
  if (!assigned_.empty()) state_ = State::kTakingOver;
  return consumer_->AssignPaused(assigned_);
}

void SinkThread::GiveUp(bool lost) {
  pending_.clear();
  whole_.clear();
  ends_.clear();
  positions_.clear();
  if (!owns()) return;
  const absl::Status status = Outside([&] { return feed_sink_->Dropped(lost); });
  if (!status.ok()) {
    LOG(WARNING) << "sink " << plan_.name << ": giving up partitions: " << status << "; the feed still has their rows";
  }
}

absl::Status SinkThread::TakeOver() {
  std::vector<int32_t> partitions;
  for (const TopicPartition& partition : assigned_) partitions.push_back(partition.partition);
  std::map<int32_t, FeedPosition> starts;
  TM_RETURN_IF_ERROR(Outside([&]() -> absl::Status {
    TM_ASSIGN_OR_RETURN(starts, feed_sink_->Assigned(partitions, consumer_.get(), group_));
    return absl::OkStatus();
  }));
  std::vector<std::pair<TopicPartition, Offset>> positions;
  positions_.clear();
  whole_.clear();
  for (auto& [partition, start] : starts) {
    const TopicPartition feed{edge_.topic, partition};
    const bool from_the_beginning = start.next < 0;
    if (from_the_beginning) {
      TM_ASSIGN_OR_RETURN(start.next, runtime_.kafka->admin().LogStart(feed));
    }
    readers_.erase(partition);
    EdgeReader& reader = readers_.try_emplace(partition, feed, schema_).first->second;
    if (from_the_beginning) {
      start.heard = reader.ToText();
    } else {
      TM_RETURN_IF_ERROR(reader.RestoreText(start.heard));
    }
    positions.emplace_back(feed, start.next);
    positions_[partition] = std::move(start);
  }
  TM_RETURN_IF_ERROR(consumer_->Assign(positions));
  state_ = State::kRunning;
  return absl::OkStatus();
}

// Goes on until all that was polled is with the sink, a few megabytes at a time. A stop doesn't wait for that, nor does
// the group, where the outside is slow.
absl::Status SinkThread::Work() {
  const int64_t until = runtime_.clock->MonotonicUs() + kLongestWorkUs;
  TM_RETURN_IF_ERROR(LookOutside());
  do {
    TM_RETURN_IF_ERROR(TakeSome());
    const bool flush = runtime_.control->flush_sinks.load(std::memory_order_relaxed);
    TM_RETURN_IF_ERROR(Outside([&] { return feed_sink_->Progress(positions_, flush); }));
    if (!feed_sink_->Holds() || feed_sink_->decisions() != decisions_) Succeeded();
  } while (!pending_.empty() && runtime_.clock->MonotonicUs() < until &&
           !runtime_.control->stop.load(std::memory_order_relaxed));
  if (!pending_.empty() && state_ == State::kRunning) {
    state_ = State::kWaiting;
    return consumer_->Pause(assigned_);
  }
  if (!pending_.empty() || state_ != State::kWaiting) return absl::OkStatus();
  state_ = State::kRunning;
  return consumer_->Resume(assigned_);
}

// A sink that is to be fresh has to notice that the outside is away before there is something to write.
absl::Status SinkThread::LookOutside() {
  if (!plan_.freshness) return absl::OkStatus();
  const int64_t now = runtime_.clock->MonotonicUs();
  if (now - looked_us_ < std::clamp(plan_.freshness->warn_us / 4, kSecond, 10 * kSecond)) return absl::OkStatus();
  TM_RETURN_IF_ERROR(Outside([&] { return feed_sink_->Look(); }));
  looked_us_ = now;
  return absl::OkStatus();
}

absl::Status SinkThread::TakeSome() {
  while (!pending_.empty() && !feed_sink_->Full()) {
    TM_RETURN_IF_ERROR(whole_commits_ ? TakeCommit(&pending_.front()) : TakePiece(&pending_.front()));
    if (pending_.front().next == pending_.front().fetch->records().size()) pending_.pop_front();
  }
  if (!pending_.empty()) return absl::OkStatus();
  for (const auto& [partition, end] : ends_) {
    const auto whole = whole_.find(partition);
    if (whole != whole_.end() && whole->second.within()) continue;
    if (whole != whole_.end()) whole->second.SkipTo(std::max(whole->second.next(), end));
    FeedPosition& position = positions_[partition];
    position.next = std::max(position.next, end);
    position.read = position.ended = true;
  }
  ends_.clear();
  return absl::OkStatus();
}

absl::Status SinkThread::TakePiece(Pending* pending) {
  const TopicPartition& source = pending->fetch->source();
  const std::span<const RecordView> records = pending->fetch->records();
  FeedPosition& position = positions_[source.partition];
  EdgeReader& reader = readers_.at(source.partition);
  FeedRows rows;
  rows.partition = source.partition;
  rows.first = position.next;
  absl::Status failed;  // at a record: what stands before it is taken all the same, as the position says
  for (int64_t bytes = 0; pending->next < records.size() && bytes < feed_sink_->piece_bytes(); ++pending->next) {
    const RecordView& record = records[pending->next];
    if (record.offset < position.next) {
      failed = absl::InternalError(
          absl::StrCat(ToString(source), "@", record.offset, " was read again, after ", position.next - 1));
      break;
    }
    absl::StatusOr<UnpackedRows> unpacked = reader.Read(record);
    if (!unpacked.ok()) {
      failed = unpacked.status();
      break;
    }
    position.next = record.offset + 1;
    position.read = true;
    if (unpacked->rows == nullptr || unpacked->rows->num_rows() == 0) continue;
    bytes += BatchBytes(*unpacked->rows);
    rows.batches.push_back(std::move(unpacked->rows));
  }
  rows.next = position.next;
  rows.heard = position.heard = reader.ToText();
  if (rows.next > rows.first) feed_sink_->Take(std::move(rows));
  return failed;
}

// Up to the end of a commit, which may lie in what is polled later.
absl::Status SinkThread::TakeCommit(Pending* pending) {
  const TopicPartition& source = pending->fetch->source();
  const std::span<const RecordView> records = pending->fetch->records();
  FeedPosition& position = positions_[source.partition];
  EdgeReader& reader = readers_.at(source.partition);
  WholeCommits& whole = whole_.try_emplace(source.partition, source.partition, position.next).first->second;
  while (pending->next < records.size()) {
    const RecordView& record = records[pending->next];
    if (record.offset < whole.next()) {
      return absl::InternalError(
          absl::StrCat(ToString(source), "@", record.offset, " was read again, after ", whole.next() - 1));
    }
    TM_ASSIGN_OR_RETURN(UnpackedRows unpacked, reader.Read(record));
    ++pending->next;
    if (!whole.Add(record.offset, std::move(unpacked))) continue;
    FeedRows rows = whole.Take(reader.ToText());
    position = {rows.next, rows.heard, true, position.ended};
    feed_sink_->Take(std::move(rows));
    break;
  }
  return absl::OkStatus();
}

// The same again after a pause, or take over anew, or the end: as the table of errors has it (src/base/action.h). The
// pause grows with the failures in a row; meanwhile nothing more is fetched, and the group goes on being polled.
absl::Status SinkThread::ActOn(const absl::Status& status) {
  if (status.ok()) return status;
  const Action action = ActionFor(status);
  const auto failed = [&](const absl::Status& final) {
    if (!final.ok()) state_ = State::kFailed;
    return final;
  };
  if (!Recoverable(status)) return failed(status);
  const int64_t now = runtime_.clock->MonotonicUs();
  if (feed_sink_->decisions() != decisions_) {  // some of it was done
    decisions_ = feed_sink_->decisions();
    last_success_us_ = now;
    failures_ = 0;
    failing_since_us_ = 0;
  }
  ++failures_;
  const int64_t pause = std::min<int64_t>(kLongestPauseUs, 20 * kMillisecond << std::min(failures_, 10));
  retry_at_us_ = now + (action == Action::kAwaitMembership ? std::max(kFencedPauseUs, pause) : pause);
  if (failing_since_us_ == 0) failing_since_us_ = now;
  if (last_error_ != status.message()) {
    LOG(WARNING) << "sink " << plan_.name << ": " << status.message() << "; trying again";
  }
  last_error_ = std::string(status.message());
  if (action != Action::kRetry && owns()) {
    GiveUp(/*lost=*/true);
    state_ = State::kTakingOver;
    return failed(consumer_->AssignPaused(assigned_));
  }
  if (state_ != State::kRunning) return absl::OkStatus();
  state_ = State::kWaiting;
  return failed(consumer_->Pause(assigned_));
}

void SinkThread::Succeeded() {
  const bool something = feed_sink_->decisions() != decisions_ || failures_ > 0 || last_success_us_ == 0;
  if (something) last_success_us_ = runtime_.clock->MonotonicUs();
  decisions_ = feed_sink_->decisions();
  last_error_.clear();
  failing_since_us_ = 0;
  failures_ = 0;
}

absl::Status SinkThread::Stop(bool leave_group) {
  GiveUp(/*lost=*/false);
  return consumer_ == nullptr ? absl::OkStatus() : consumer_->Close(leave_group);
}

// A call to the outside takes as long as its own deadlines allow, which is no sign that the thread is dead.
absl::Status SinkThread::Outside(absl::FunctionRef<absl::Status()> call) {
  const auto tell = [&](int64_t since_us) {
    const absl::MutexLock lock(&mutex_);
    status_.outside_since_us = since_us;
    status_.last_step_us = runtime_.clock->MonotonicUs();
  };
  tell(runtime_.clock->MonotonicUs());
  const TimeSpent::Doing doing(&feed_sink_->spent(), FeedSink::kOwn);
  const absl::Status status = call();
  tell(0);
  return status;
}

void SinkThread::Publish() {
  const absl::MutexLock lock(&mutex_);
  status_.sink = plan_.name;
  status_.group = runtime_.plan->application.SinkGroup(plan_.kept_as());
  // A member that got no partition has nothing to wait for.
  owns_nothing_ = group_ != nullptr && assigned_.empty();
  status_.assigned = owns() || owns_nothing_;
  status_.rows = feed_sink_->rows_written();
  status_.refused = feed_sink_->rows_refused();
  status_.last_success_us = last_success_us_;
  status_.last_step_us = runtime_.clock->MonotonicUs();
  status_.last_error = last_error_.empty() && consumer_ != nullptr ? consumer_->Trouble() : last_error_;
  status_.failing_since_us = failing_since_us_;
  status_.positions.clear();
  for (const auto& [partition, position] : positions_) status_.positions[{edge_.topic, partition}] = position.next;
  status_.trims = feed_sink_->Trims();
}

SinkStatus SinkThread::status() const {
  std::vector<TimeSpent::Share> spent = feed_sink_->spent().Get();
  const absl::MutexLock lock(&mutex_);
  SinkStatus status = status_;
  status.spent = std::move(spent);
  return status;
}

bool SinkThread::settled() const {
  if (feed_sink_->Settled()) return true;
  const absl::MutexLock lock(&mutex_);
  return owns_nothing_;
}

}  // namespace tidemark
