#include "src/runtime/global_tables.h"

#include <glog/logging.h>

#include <arrow/array/concatenate.h>
#include <arrow/table.h>

#include "src/base/status.h"
#include "src/codec/json_decoder.h"

namespace tidemark {

// A table that lives in a topic: its reader, and all rows read so far.
struct GlobalTables::TopicTable {
  const TablePlan* plan = nullptr;
  std::unique_ptr<Consumer> reader;
  std::map<TopicPartition, Offset> target;  // partitions still to be read to their end at start
  std::vector<Batch> rows;                  // in the order they were read; the first is the last snapshot's
  std::vector<uint8_t> deleted;
  bool changed = false;
  int64_t bad = 0;
};

GlobalTables::GlobalTables(const Plan& plan, KafkaClient* kafka) : plan_(plan), kafka_(kafka) {}
GlobalTables::~GlobalTables() = default;

namespace {

absl::StatusOr<Batch> Concatenate(const std::vector<Batch>& batches) {
  if (batches.size() == 1) return batches.front();
  TM_ASSIGN_OR_RETURN(const std::shared_ptr<arrow::Table> table,
                      FromArrow(arrow::Table::FromRecordBatches(batches), "table rows"));
  TM_ASSIGN_OR_RETURN(Batch joined, FromArrow(table->CombineChunksToBatch(), "table rows"));
  return joined;
}

}  // namespace

absl::Status GlobalTables::Load(const std::map<std::string, int32_t>& partitions) {
  for (const TablePlan& table : plan_.tables) {
    if (table.topic.empty()) {
      TM_ASSIGN_OR_RETURN(const Batch rows, ReadTableFile(table));
      TM_ASSIGN_OR_RETURN(auto snapshot, TableSnapshot::Build(table, rows, {}));
      Set(table.name, std::move(snapshot));
      continue;
    }
    auto topic = std::make_unique<TopicTable>();
    topic->plan = &table;
    TM_ASSIGN_OR_RETURN(topic->reader, kafka_->NewConsumer({.client_id = plan_.name + "-table-" + table.name}));
    std::vector<std::pair<TopicPartition, Offset>> positions;
    for (int32_t p = 0; p < partitions.at(table.topic); ++p) {
      const TopicPartition partition{table.topic, p};
      TM_ASSIGN_OR_RETURN(const Offset end, kafka_->admin().LogEnd(partition, Isolation::kReadCommitted));
      TM_ASSIGN_OR_RETURN(const Offset start, kafka_->admin().LogStart(partition));
      if (end > start) topic->target[partition] = end;
      positions.emplace_back(partition, start);
    }
    TM_RETURN_IF_ERROR(topic->reader->Assign(positions));
    TM_RETURN_IF_ERROR(Annotate(ReadToEnd(*topic), "loading table " + table.name));
    topic->changed = true;
    TM_RETURN_IF_ERROR(Annotate(Publish(*topic), "loading table " + table.name));
    topic_tables_.push_back(std::move(topic));
  }
  return absl::OkStatus();
}

absl::Status GlobalTables::ReadToEnd(TopicTable& table) {
  while (!table.target.empty()) {
    TM_ASSIGN_OR_RETURN(PollResult polled, table.reader->Poll(kSecond / 10, 50'000));
    TM_RETURN_IF_ERROR(Take(table, std::move(polled)));
  }
  return absl::OkStatus();
}

absl::Status GlobalTables::Take(TopicTable& table, PollResult polled) {
  const auto reached = [&](const TopicPartition& partition, Offset position) {
    const auto it = table.target.find(partition);
    if (it != table.target.end() && position >= it->second) table.target.erase(it);
  };
  for (const std::unique_ptr<Fetch>& fetch : polled.fetches) {
    if (fetch->records().empty()) continue;
    std::vector<uint8_t> deleted;
    std::vector<DecodeError> errors;
    TM_ASSIGN_OR_RETURN(Batch rows, DecodeTableRecords(*table.plan, *fetch, &deleted, &errors));
    for (const DecodeError& error : errors) {
      if (table.bad++ < 10) {
        LOG(WARNING) << "table " << table.plan->name << ": record " << ToString(fetch->source()) << "@"
                     << fetch->records()[error.record].offset << " is skipped: " << error.reason;
      }
    }
    if (rows->num_rows() > 0) {
      table.deleted.insert(table.deleted.end(), deleted.begin(), deleted.end());
      table.rows.push_back(std::move(rows));
      table.changed = true;
    }
    reached(fetch->source(), fetch->records().back().offset + 1);
  }
  for (const auto& [partition, end] : polled.ends) reached(partition, end);
  return absl::OkStatus();
}

absl::Status GlobalTables::Publish(TopicTable& table) {
  if (!table.changed) return absl::OkStatus();
  table.changed = false;
  if (table.rows.empty()) {
    TM_ASSIGN_OR_RETURN(
        Batch none,
        FromArrow(arrow::RecordBatch::MakeEmpty(BatchSchema(table.plan->schema(), HiddenSet().Without(Hidden::kTime))),
                  "table rows"));
    table.rows.push_back(std::move(none));
  }
  TM_ASSIGN_OR_RETURN(const Batch all, Concatenate(table.rows));
  TM_ASSIGN_OR_RETURN(auto snapshot, TableSnapshot::Build(*table.plan, all, table.deleted));
  // What is superseded is let go: the snapshot has one row a key.
  table.rows = {snapshot->rows()};
  table.deleted.assign(static_cast<size_t>(snapshot->rows()->num_rows()), 0);
  Set(table.plan->name, std::move(snapshot));
  const absl::MutexLock lock(&mutex_);
  bad_records_[table.plan->name] = table.bad;
  return absl::OkStatus();
}

absl::Status GlobalTables::Follow(int64_t max_wait_us) {
  for (const std::unique_ptr<TopicTable>& table : topic_tables_) {
    absl::StatusOr<PollResult> polled = table->reader->Poll(max_wait_us, 50'000);
    if (absl::IsUnavailable(polled.status())) continue;  // the brokers are away: the version there is stands
    if (!polled.ok()) return polled.status();
    TM_RETURN_IF_ERROR(Take(*table, *std::move(polled)));
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
    all.push_back({name, snapshot->size(), bad == bad_records_.end() ? 0 : bad->second});
  }
  return all;
}

}  // namespace tidemark
