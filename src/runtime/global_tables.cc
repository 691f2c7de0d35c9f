#include "src/runtime/global_tables.h"

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <arrow/record_batch.h>
#include <glog/logging.h>

#include "src/base/action.h"
#include "src/base/clock.h"
#include "src/base/status.h"
#include "src/codec/table_decoder.h"
#include "src/runtime/table_files.h"

namespace tidemark {

// Making a version takes this share of the time at most.
constexpr int64_t kPublishShare = 10;
// A record that has to wait for something is tried again this often.
constexpr int64_t kRetryUs = 20 * kMillisecond;

// A table that lives in a topic, with all rows read so far.
struct GlobalTables::TopicTable {
  const TablePlan* plan = nullptr;
  std::vector<Batch> rows;  // in the order they were read; the first is the last snapshot's
  std::vector<uint8_t> deleted;
  bool changed = false;
  int64_t publish_at_us = 0;  // monotonic; the next version is made then at the earliest
  int64_t bad = 0;
  std::unique_ptr<TableDecoder> decoder;
};

// A table of files that are looked at again.
struct GlobalTables::FileTable {
  const TablePlan* plan = nullptr;
  std::unique_ptr<TableFiles> files;
  int64_t look_at_us = 0;  // monotonic
};

GlobalTables::GlobalTables(const Plan& plan, KafkaClient* kafka, const Formats& formats)
    : plan_(plan), kafka_(kafka), formats_(formats) {}
GlobalTables::~GlobalTables() = default;

absl::Status GlobalTables::Load(const std::map<std::string, int32_t>& partitions, const std::function<bool()>& stopped,
                                const std::function<void(std::string)>& say) {
  say_ = say;
  for (const TablePlan& table : plan_.tables) {
    if (stopped()) return absl::CancelledError("told to stop while loading tables");
    if (table.topic.empty()) {
      TM_RETURN_IF_ERROR(LoadFiles(table));
    } else {
      TM_RETURN_IF_ERROR(Annotate(Begin(table, partitions.at(table.topic)), "loading table " + table.name));
    }
  }
  if (topic_tables_.empty()) return absl::OkStatus();
  TM_ASSIGN_OR_RETURN(reader_, kafka_->NewConsumer({.client_id = plan_.application.name + "-tables"}));
  TM_RETURN_IF_ERROR(reader_->Assign({starts_.begin(), starts_.end()}));
  TM_RETURN_IF_ERROR(ReadToEnd(stopped));
  say_ = nullptr;
  for (const std::unique_ptr<TopicTable>& table : topic_tables_) {
    table->changed = true;
    TM_RETURN_IF_ERROR(Annotate(Publish(*table), "loading table " + table->plan->name));
  }
  return absl::OkStatus();
}

absl::Status GlobalTables::LoadFiles(const TablePlan& plan) {
  auto table = std::make_unique<FileTable>();
  table->plan = &plan;
  table->files = std::make_unique<TableFiles>(plan);
  TM_ASSIGN_OR_RETURN(auto snapshot, table->files->Look());
  Set(plan.name, std::move(snapshot));
  if (plan.reload_us == 0) return absl::OkStatus();
  table->look_at_us = SystemClock()->MonotonicUs() + plan.reload_us;
  file_tables_.push_back(std::move(table));
  reloads_ = true;
  return absl::OkStatus();
}

// Another version of the files, if there is one that can be read; else the former stands, and it is said why.
void GlobalTables::Reload(FileTable& table) {
  const std::string& name = table.plan->name;
  absl::StatusOr<std::shared_ptr<const TableSnapshot>> snapshot = table.files->Look();
  table.look_at_us = SystemClock()->MonotonicUs() + table.plan->reload_us;
  const std::string why(snapshot.status().message());
  bool said;
  {
    const absl::MutexLock lock(&mutex_);
    std::string& unread = unread_[name];
    said = unread == why;
    unread = why;
  }
  if (!snapshot.ok() && !said) {
    LOG(WARNING) << "table " << name << ": what its files hold now can't be read, and it stands as it was: " << why;
  }
  if (!snapshot.ok() || *snapshot == nullptr) return;
  LOG(INFO) << "table " << name << ": " << table.plan->file << " has changed; " << (*snapshot)->size() << " rows";
  Set(name, *std::move(snapshot));
}

absl::Status GlobalTables::Begin(const TablePlan& plan, int32_t partitions) {
  topic_tables_.push_back(std::make_unique<TopicTable>());
  topic_tables_.back()->plan = &plan;
  TM_ASSIGN_OR_RETURN(topic_tables_.back()->decoder, TableDecoder::Make(plan, formats_));
  std::vector<TopicPartition> all;
  for (int32_t p = 0; p < partitions; ++p) all.push_back({plan.topic, p});
  TM_ASSIGN_OR_RETURN(const auto ends, kafka_->admin().LogEnds(all, Isolation::kReadCommitted));
  TM_ASSIGN_OR_RETURN(const auto starts, kafka_->admin().LogStarts(all));
  for (const TopicPartition& partition : all) {
    const auto end = ends.find(partition), start = starts.find(partition);
    if (end == ends.end() || start == starts.end()) {
      return absl::UnavailableError("nobody tells the range of " + ToString(partition));
    }
    starts_[partition] = start->second;
    if (end->second > start->second) target_[partition] = end->second;
  }
  return absl::OkStatus();
}

absl::Status GlobalTables::ReadToEnd(const std::function<bool()>& stopped) {
  while (!target_.empty()) {
    if (stopped()) return absl::CancelledError("told to stop while loading tables");
    absl::StatusOr<PollResult> polled = Poll(kSecond / 10);
    // A log that was trimmed meanwhile has another beginning.
    if (absl::IsOutOfRange(polled.status())) return absl::UnavailableError(polled.status().message());
    if (!polled.ok()) return Annotate(polled.status(), "loading tables");
    TM_RETURN_IF_ERROR(Take(*std::move(polled)));
  }
  return absl::OkStatus();
}

absl::StatusOr<PollResult> GlobalTables::Poll(int64_t max_wait_us) {
  return reader_->Poll(kept_.empty() ? max_wait_us : std::min(max_wait_us, kRetryUs), 50'000);
}

absl::Status GlobalTables::Take(PollResult polled) {
  for (std::unique_ptr<Fetch>& fetch : polled.fetches) {
    if (!fetch->records().empty()) kept_[fetch->source()].fetches.push_back(std::move(fetch));
  }
  for (const auto& [partition, end] : polled.ends) {
    const auto kept = kept_.find(partition);
    if (kept == kept_.end()) {
      Reached(partition, end);
    } else {
      kept->second.end = end;
    }
  }
  return TakeKept();
}

absl::Status GlobalTables::TakeKept() {
  std::vector<TopicPartition> hold, release;
  for (auto it = kept_.begin(); it != kept_.end();) {
    TM_ASSIGN_OR_RETURN(const bool all, TakeFrom(it->first, it->second));
    if (!all && held_.insert(it->first).second) hold.push_back(it->first);
    if (all && held_.erase(it->first) > 0) release.push_back(it->first);
    it = all ? kept_.erase(it) : std::next(it);
  }
  NoteWaits();
  if (!hold.empty()) TM_RETURN_IF_ERROR(reader_->Hold(hold));
  return release.empty() ? absl::OkStatus() : reader_->Release(release);
}

absl::StatusOr<bool> GlobalTables::TakeFrom(const TopicPartition& partition, Kept& kept) {
  for (; !kept.fetches.empty(); kept.fetches.pop_front(), kept.table = 0) {
    const Fetch& fetch = *kept.fetches.front();
    for (; kept.table < topic_tables_.size(); ++kept.table, kept.next = 0) {
      TopicTable& table = *topic_tables_[kept.table];
      if (table.plan->topic != partition.topic) continue;
      const size_t before = kept.next;
      TM_RETURN_IF_ERROR(Annotate(TakeRows(table, &kept), "table " + table.plan->name));
      SayWait(partition, table, kept.next > before, kept);
      if (kept.next < fetch.records().size()) return false;
    }
    Reached(partition, fetch.records().back().offset + 1);
  }
  if (kept.end) Reached(partition, *kept.end);
  return true;
}

void GlobalTables::NoteWaits() {
  if (kept_.empty() && !waits_noted_) return;
  waits_noted_ = !kept_.empty();
  const absl::MutexLock lock(&mutex_);
  waits_for_.clear();
  for (const auto& [partition, kept] : kept_) {
    waits_for_[topic_tables_[kept.table]->plan->name] = absl::StrCat(kept.waits_for, ", at ", ToString(partition));
  }
}

// Of a wait that lasts, once, and of its end.
void GlobalTables::SayWait(const TopicPartition& partition, const TopicTable& table, bool over, Kept& kept) {
  const int64_t now = SystemClock()->MonotonicUs();
  if (over || kept.since_us == 0) {
    if (std::exchange(kept.said, false)) {
      LOG(INFO) << "table " << table.plan->name << ": " << ToString(partition) << " goes on";
      if (say_) say_("");
    }
    kept.since_us = now;
  } else if (!kept.said && now - kept.since_us > kSecond) {
    kept.said = true;
    const std::string what =
        absl::StrCat("table ", table.plan->name, ": ", ToString(partition), "@",
                     kept.fetches.front()->records()[kept.next].offset, " waits for ", kept.waits_for);
    LOG(WARNING) << what << "; other partitions go on";
    if (say_) say_(what);
  }
}

void GlobalTables::Reached(const TopicPartition& partition, Offset position) {
  const auto it = target_.find(partition);
  if (it != target_.end() && position >= it->second) target_.erase(it);
}

absl::Status GlobalTables::TakeRows(TopicTable& table, Kept* kept) {
  const Fetch& fetch = *kept->fetches.front();
  TM_ASSIGN_OR_RETURN(DecodedTableRows decoded, table.decoder->Decode(fetch, kept->next));
  for (const DecodeError& error : decoded.errors) {
    if (table.bad++ < 10) {
      LOG(WARNING) << "table " << table.plan->name << ": record " << ToString(fetch.source()) << "@"
                   << fetch.records()[error.record].offset << " is skipped: " << error.reason;
    }
  }
  kept->next = decoded.next;
  kept->waits_for = std::move(decoded.waits_for);
  if (decoded.rows->num_rows() == 0) return absl::OkStatus();
  table.deleted.insert(table.deleted.end(), decoded.deleted.begin(), decoded.deleted.end());
  table.rows.push_back(std::move(decoded.rows));
  table.changed = true;
  return absl::OkStatus();
}

absl::Status GlobalTables::Publish(TopicTable& table) {
  const int64_t began = SystemClock()->MonotonicUs();
  if (!table.changed || began < table.publish_at_us) return absl::OkStatus();
  table.changed = false;
  if (table.rows.empty()) {
    TM_ASSIGN_OR_RETURN(
        Batch none,
        FromArrow(arrow::RecordBatch::MakeEmpty(BatchSchema(table.plan->schema(), HiddenSet().Without(Hidden::kTime))),
                  "table rows"));
    table.rows.push_back(std::move(none));
  }
  TM_ASSIGN_OR_RETURN(auto snapshot, TableSnapshot::Build(*table.plan, table.rows, table.deleted));
  // What is superseded is let go: the snapshot has one row a key.
  table.rows = {snapshot->rows()};
  table.deleted.assign(static_cast<size_t>(snapshot->rows()->num_rows()), 0);
  Set(table.plan->name, std::move(snapshot));
  const int64_t ended = SystemClock()->MonotonicUs();
  table.publish_at_us = ended + (ended - began) * kPublishShare;
  const absl::MutexLock lock(&mutex_);
  bad_records_[table.plan->name] = table.bad;
  return absl::OkStatus();
}

absl::Status GlobalTables::Follow(int64_t max_wait_us) {
  int64_t wait_us = max_wait_us;
  for (const std::unique_ptr<FileTable>& table : file_tables_) {
    const int64_t now = SystemClock()->MonotonicUs();
    if (now >= table->look_at_us) Reload(*table);
    wait_us = std::clamp<int64_t>(table->look_at_us - now, 0, wait_us);
  }
  if (!topic_tables_.empty()) return FollowTopics(wait_us);
  absl::SleepFor(absl::Microseconds(wait_us));
  return absl::OkStatus();
}

absl::Status GlobalTables::FollowTopics(int64_t max_wait_us) {
  absl::StatusOr<PollResult> polled = Poll(max_wait_us);
  if (ActionFor(polled.status()) == Action::kRetry) {
    LOG_EVERY_N(WARNING, 100) << "following tables, which stand as they are: " << polled.status().message();
    return absl::OkStatus();
  }
  if (absl::IsOutOfRange(polled.status())) {
    return absl::UnknownError(absl::StrCat("following tables: ", polled.status().message(),
                                           ": the worker is to be started again, to read all of them"));
  }
  if (!polled.ok()) return Annotate(polled.status(), "following tables");
  TM_RETURN_IF_ERROR(Take(*std::move(polled)));
  for (const std::unique_ptr<TopicTable>& table : topic_tables_) {
    TM_RETURN_IF_ERROR(Annotate(Publish(*table), "table " + table->plan->name));
  }
  return absl::OkStatus();
}

void GlobalTables::Set(const std::string& name, std::shared_ptr<const TableSnapshot> snapshot) {
  const absl::MutexLock lock(&mutex_);
  current_[name] = std::move(snapshot);
}

std::shared_ptr<const TableSnapshot> GlobalTables::Get(std::string_view name) const {
  const absl::MutexLock lock(&mutex_);
  const auto it = current_.find(name);
  return it == current_.end() ? nullptr : it->second;
}

std::vector<GlobalTables::Status> GlobalTables::Describe() const {
  const absl::MutexLock lock(&mutex_);
  std::vector<Status> all;
  for (const auto& [name, snapshot] : current_) {
    const auto bad = bad_records_.find(name);
    const auto waits = waits_for_.find(name);
    const auto unread = unread_.find(name);
    std::string waits_for = waits == waits_for_.end() ? "" : waits->second;
    if (unread != unread_.end() && !unread->second.empty()) {
      waits_for = absl::StrCat("files that can be read: ", unread->second);
    }
    all.push_back({name, snapshot->size(), bad == bad_records_.end() ? 0 : bad->second, std::move(waits_for)});
  }
  return all;
}

}  // namespace tidemark
