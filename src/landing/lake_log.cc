#include "src/landing/lake_log.h"

#include <algorithm>
#include <limits>
#include <utility>

#include <absl/strings/str_cat.h>
#include <arrow/array.h>
#include <arrow/compute/cast.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/schema.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <parquet/statistics.h>

#include "src/base/status.h"

namespace tidemark {
namespace {

std::shared_ptr<arrow::DataType> Numbers() { return arrow::int64(); }
std::shared_ptr<arrow::DataType> Times() { return arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"); }
std::shared_ptr<arrow::DataType> Texts() { return arrow::large_binary(); }

struct Wanted {
  std::string name;
  std::shared_ptr<arrow::DataType> as;
};

// These columns of a row group, in this order, each as one array of the type.
absl::StatusOr<arrow::ArrayVector> ReadColumns(parquet::arrow::FileReader& reader, const std::string& file,
                                               int row_group, const std::vector<Wanted>& wanted) {
  arrow::ArrayVector arrays;
  TM_RETURN_IF_ERROR(GuardedLake(file, [&]() -> arrow::Status {
    const parquet::SchemaDescriptor* const schema = reader.parquet_reader()->metadata()->schema();
    for (const Wanted& column : wanted) {
      const int at = schema->ColumnIndex(column.name);
      if (at < 0) {
        return arrow::Status::Invalid("it has no column '", column.name,
                                      "', by which the source knows its records: was it written by another step?");
      }
      ARROW_ASSIGN_OR_RAISE(const auto table, reader.ReadRowGroup(row_group, std::vector<int>{at}));
      ARROW_ASSIGN_OR_RAISE(const arrow::Datum cast,
                            arrow::compute::Cast(table->column(0), arrow::compute::CastOptions::Safe(column.as)));
      ARROW_ASSIGN_OR_RAISE(auto whole, arrow::Concatenate(cast.chunked_array()->chunks()));
      arrays.push_back(std::move(whole));
    }
    return arrow::Status::OK();
  }));
  return arrays;
}

const arrow::Int64Array& AsNumbers(const arrow::ArrayVector& arrays, size_t i) {
  return static_cast<const arrow::Int64Array&>(*arrays[i]);
}

int64_t MillisAt(const arrow::ArrayVector& arrays, size_t i, int64_t row) {
  const auto& times = static_cast<const arrow::TimestampArray&>(*arrays[i]);
  return times.IsNull(row) ? -1 : times.Value(row) / kMillisecond;
}

// Smallest and largest value of a column of numbers, where the footer tells them.
std::optional<std::pair<int64_t, int64_t>> RangeOfColumn(const parquet::RowGroupMetaData& group, int column) {
  const auto chunk = group.ColumnChunk(column);
  if (!chunk->is_stats_set()) return std::nullopt;
  const auto statistics = chunk->statistics();
  if (statistics == nullptr || !statistics->HasMinMax()) return std::nullopt;
  if (!statistics->HasNullCount() || statistics->null_count() > 0) return std::nullopt;
  if (statistics->physical_type() == parquet::Type::INT32) {
    const auto& typed = static_cast<const parquet::Int32Statistics&>(*statistics);
    return std::pair<int64_t, int64_t>(typed.min(), typed.max());
  }
  if (statistics->physical_type() != parquet::Type::INT64) return std::nullopt;
  const auto& typed = static_cast<const parquet::Int64Statistics&>(*statistics);
  return std::pair<int64_t, int64_t>(typed.min(), typed.max());
}

}  // namespace

// ---- What there is -------------------------------------------------------------------------------------------------

class LakeIndexer {
 public:
  explicit LakeIndexer(LakeLog* log) : log_(*log), spec_(log->spec_) {}

  absl::Status Run() {
    TM_ASSIGN_OR_RETURN(log_.folder_, LakeFolder::Reach(spec_.path));
    absl::StatusOr<std::vector<std::string>> files = log_.folder_->List();
    if (absl::IsNotFound(files.status())) {
      return absl::FailedPreconditionError(files.status().message());
    }
    TM_ASSIGN_OR_RETURN(log_.files_, std::move(files));
    for (size_t file = 0; file < log_.files_.size(); ++file) TM_RETURN_IF_ERROR(AddFile(file));
    for (auto& [partition, groups] : log_.groups_) {
      std::sort(groups.begin(), groups.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    }
    return absl::OkStatus();
  }

 private:
  absl::Status AddFile(size_t file) {
    const std::string& name = log_.files_[file];
    TM_ASSIGN_OR_RETURN(const auto reader, log_.folder_->Open(name));
    for (int group = 0; group < reader->num_row_groups(); ++group) {
      if (!AddByFooter(*reader, file, group)) TM_RETURN_IF_ERROR(AddByRows(*reader, file, group));
    }
    return absl::OkStatus();
  }

  // Of a group of one partition the footer tells all.
  bool AddByFooter(parquet::arrow::FileReader& reader, size_t file, int row_group) {
    const auto metadata = reader.parquet_reader()->metadata();
    const auto group = metadata->RowGroup(row_group);
    if (group->num_rows() == 0) return true;
    const auto range = [&](const std::string& name) -> std::optional<std::pair<int64_t, int64_t>> {
      const int at = metadata->schema()->ColumnIndex(name);
      return at < 0 ? std::nullopt : RangeOfColumn(*group, at);
    };
    const auto partition = range(spec_.partition), offset = range(spec_.offset);
    if (!partition || !offset || partition->first != partition->second) return false;
    log_.groups_[static_cast<int32_t>(partition->first)].push_back(
        {file, row_group, offset->first, offset->second, NewestByFooter(reader, *group)});
    return true;
  }

  // What a time's number means the file's schema says; where it isn't microseconds, whoever asks reads the times.
  int64_t NewestByFooter(parquet::arrow::FileReader& reader, const parquet::RowGroupMetaData& group) const {
    constexpr int64_t kUnknown = std::numeric_limits<int64_t>::max();
    std::shared_ptr<arrow::Schema> schema;
    if (!reader.GetSchema(&schema).ok()) return kUnknown;
    const auto field = schema->GetFieldByName(spec_.timestamp);
    if (field == nullptr || field->type()->id() != arrow::Type::TIMESTAMP) return kUnknown;
    if (static_cast<const arrow::TimestampType&>(*field->type()).unit() != arrow::TimeUnit::MICRO) return kUnknown;
    const auto range = RangeOfColumn(group, group.schema()->ColumnIndex(spec_.timestamp));
    return range ? range->second / kMillisecond : kUnknown;
  }

  absl::Status AddByRows(parquet::arrow::FileReader& reader, size_t file, int row_group) {
    const std::string& name = log_.files_[file];
    TM_ASSIGN_OR_RETURN(
        const arrow::ArrayVector columns,
        ReadColumns(reader, name, row_group,
                    {{spec_.partition, Numbers()}, {spec_.offset, Numbers()}, {spec_.timestamp, Times()}}));
    std::map<int32_t, LakeLog::Group> found;
    const arrow::Int64Array &partitions = AsNumbers(columns, 0), &offsets = AsNumbers(columns, 1);
    for (int64_t row = 0; row < partitions.length(); ++row) {
      if (partitions.IsNull(row) || offsets.IsNull(row)) {
        return absl::FailedPreconditionError(
            absl::StrCat("lake file ", name, " has a row without partition or offset"));
      }
      const Offset offset = offsets.Value(row);
      const int64_t ms = MillisAt(columns, 2, row);
      const auto [it, fresh] = found.try_emplace(static_cast<int32_t>(partitions.Value(row)),
                                                 LakeLog::Group{file, row_group, offset, offset, ms});
      if (fresh) continue;
      it->second.first = std::min(it->second.first, offset);
      it->second.last = std::max(it->second.last, offset);
      it->second.newest_ms = std::max(it->second.newest_ms, ms);
    }
    for (const auto& [partition, group] : found) log_.groups_[partition].push_back(group);
    return absl::OkStatus();
  }

  LakeLog& log_;
  const LakeSpec& spec_;
};

absl::StatusOr<std::shared_ptr<const LakeLog>> LakeLog::Open(const LakeSpec& spec) {
  std::shared_ptr<LakeLog> log(new LakeLog(spec));
  TM_RETURN_IF_ERROR(LakeIndexer(log.get()).Run());
  return std::shared_ptr<const LakeLog>(std::move(log));
}

std::optional<std::pair<Offset, Offset>> LakeLog::RangeOf(int32_t partition) const {
  const auto found = groups_.find(partition);
  if (found == groups_.end()) return std::nullopt;
  Offset last = 0;
  for (const Group& group : found->second) last = std::max(last, group.last);
  return std::pair(found->second.front().first, last + 1);
}

absl::StatusOr<std::optional<Offset>> LakeLog::FirstNotOlder(int32_t partition, int64_t timestamp_ms) const {
  std::optional<Offset> first;
  const auto found = groups_.find(partition);
  if (found == groups_.end()) return first;
  for (const Group& group : found->second) {
    if (first && group.first > *first) break;
    if (group.newest_ms < timestamp_ms) continue;
    const std::string& name = files_[group.file];
    TM_ASSIGN_OR_RETURN(const auto reader, folder_->Open(name));
    TM_ASSIGN_OR_RETURN(
        const arrow::ArrayVector columns,
        ReadColumns(*reader, name, group.row_group,
                    {{spec_.partition, Numbers()}, {spec_.offset, Numbers()}, {spec_.timestamp, Times()}}));
    for (int64_t row = 0; row < columns[0]->length(); ++row) {
      if (AsNumbers(columns, 0).Value(row) != partition || MillisAt(columns, 2, row) < timestamp_ms) continue;
      const Offset offset = AsNumbers(columns, 1).Value(row);
      first = std::min(first.value_or(offset), offset);
    }
  }
  return first;
}

absl::StatusOr<std::optional<Offset>> LakeLog::EndBefore(int32_t partition, Offset offset) const {
  std::optional<Offset> end;
  const auto found = groups_.find(partition);
  if (found == groups_.end()) return end;
  for (const Group& group : found->second) {
    if (group.first >= offset) break;
    if (end && group.last < *end) continue;
    if (group.last < offset) {
      end = group.last + 1;
      continue;
    }
    const std::string& name = files_[group.file];
    TM_ASSIGN_OR_RETURN(const auto reader, folder_->Open(name));
    TM_ASSIGN_OR_RETURN(
        const arrow::ArrayVector columns,
        ReadColumns(*reader, name, group.row_group, {{spec_.partition, Numbers()}, {spec_.offset, Numbers()}}));
    for (int64_t row = 0; row < columns[0]->length(); ++row) {
      const Offset each = AsNumbers(columns, 1).Value(row);
      if (AsNumbers(columns, 0).Value(row) != partition || each >= offset) continue;
      end = std::max(end.value_or(0), each + 1);
    }
  }
  return end;
}

// ---- Reading in order ----------------------------------------------------------------------------------------------

// A merge of the groups of one partition: those are open whose first offset has been reached.
class LakeReaderImpl final : public LakeReader {
 public:
  LakeReaderImpl(const LakeLog& log, int32_t partition, Offset from) : log_(log), partition_(partition), next_(from) {
    const auto found = log.groups_.find(partition);
    if (found == log.groups_.end()) return;
    for (const LakeLog::Group& group : found->second) {
      if (group.last >= from) waiting_.push_back(&group);
    }
  }

  absl::StatusOr<std::optional<Offset>> Peek() override {
    TM_ASSIGN_OR_RETURN(const Loaded* const first, First());
    return first == nullptr ? std::optional<Offset>() : first->offset();
  }

  absl::StatusOr<LakeRecords> Next(size_t most, Offset end) override {
    LakeRecords result;
    while (result.records.size() < most) {
      TM_ASSIGN_OR_RETURN(Loaded* const first, First());
      if (first == nullptr || first->offset() >= end) break;
      const RecordView record = first->record();
      if (result.kept.empty() || result.kept.back() != first->arrays) result.kept.push_back(first->arrays);
      ++first->at;
      TM_RETURN_IF_ERROR(PassTwins(record, *first));
      next_ = record.offset + 1;
      result.records.push_back(record);
    }
    return result;
  }

 private:
  struct Loaded {
    const std::string* file = nullptr;
    std::shared_ptr<const arrow::ArrayVector> arrays;  // offset, timestamp, value, key
    std::vector<int64_t> rows;                         // of the partition, in the order of their offsets
    size_t at = 0;

    Offset offset() const { return AsNumbers(*arrays, 0).Value(rows[at]); }
    RecordView record() const {
      return {offset(), MillisAt(*arrays, 1, rows[at]), arrays->size() > 3 ? BytesAt(3) : Bytes(), BytesAt(2)};
    }
    Bytes BytesAt(size_t column) const {
      const auto& texts = static_cast<const arrow::LargeBinaryArray&>(*(*arrays)[column]);
      return texts.IsNull(rows[at]) ? Bytes() : Bytes(texts.GetView(rows[at]));
    }
  };

  // The open group with the smallest offset; null: nothing is left.
  absl::StatusOr<Loaded*> First() {
    while (true) {
      std::erase_if(open_, [](const Loaded& each) { return each.at == each.rows.size(); });
      Loaded* first = nullptr;
      for (Loaded& each : open_) {
        if (first == nullptr || each.offset() < first->offset()) first = &each;
      }
      if (opened_ == waiting_.size() || (first != nullptr && waiting_[opened_]->first > first->offset())) return first;
      TM_RETURN_IF_ERROR(Load(*waiting_[opened_]));
      ++opened_;
    }
  }

  absl::Status Load(const LakeLog::Group& group) {
    const LakeSpec& spec = log_.spec_;
    const std::string& name = log_.files_[group.file];
    if (reader_ == nullptr || reader_of_ != group.file) {
      TM_ASSIGN_OR_RETURN(reader_, log_.folder_->Open(name));
      reader_of_ = group.file;
    }
    std::vector<Wanted> wanted = {{spec.offset, Numbers()}, {spec.timestamp, Times()}, {spec.value, Texts()}};
    if (!spec.key.empty()) wanted.push_back({spec.key, Texts()});
    TM_ASSIGN_OR_RETURN(const arrow::ArrayVector partitions,
                        ReadColumns(*reader_, name, group.row_group, {{spec.partition, Numbers()}}));
    TM_ASSIGN_OR_RETURN(arrow::ArrayVector arrays, ReadColumns(*reader_, name, group.row_group, wanted));
    Loaded loaded{&name, std::make_shared<const arrow::ArrayVector>(std::move(arrays)), {}, 0};
    const arrow::Int64Array& offsets = AsNumbers(*loaded.arrays, 0);
    for (int64_t row = 0; row < offsets.length(); ++row) {
      if (AsNumbers(partitions, 0).Value(row) == partition_ && offsets.Value(row) >= next_) loaded.rows.push_back(row);
    }
    std::stable_sort(loaded.rows.begin(), loaded.rows.end(),
                     [&](int64_t a, int64_t b) { return offsets.Value(a) < offsets.Value(b); });
    open_.push_back(std::move(loaded));
    return absl::OkStatus();
  }

  // The same record again, in whichever file.
  absl::Status PassTwins(const RecordView& record, const Loaded& from) {
    const std::string file = *from.file;
    while (true) {
      TM_ASSIGN_OR_RETURN(Loaded* const first, First());
      if (first == nullptr || first->offset() != record.offset) return absl::OkStatus();
      const RecordView twin = first->record();
      if (twin.timestamp_ms != record.timestamp_ms || twin.key != record.key || twin.value != record.value) {
        return absl::FailedPreconditionError(absl::StrCat(
            "the lake has two records of partition ", partition_, " at offset ", record.offset, ", which differ, in ",
            file, " and ", *first->file, ": they are of two topics, one of which was deleted"));
      }
      ++first->at;
    }
  }

  const LakeLog& log_;
  const int32_t partition_;
  Offset next_;
  std::vector<const LakeLog::Group*> waiting_;
  size_t opened_ = 0;  // of these
  std::vector<Loaded> open_;
  std::unique_ptr<parquet::arrow::FileReader> reader_;
  size_t reader_of_ = 0;
};

std::unique_ptr<LakeReader> LakeLog::Read(int32_t partition, Offset from) const {
  return std::make_unique<LakeReaderImpl>(*this, partition, from);
}

}  // namespace tidemark
