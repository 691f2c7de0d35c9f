#include "src/trial/record.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <vector>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <arrow/util/utf8.h>

#include "src/base/json_text.h"
#include "src/base/status.h"
#include "src/codec/column_text.h"
#include "src/runtime/log_range.h"

namespace tidemark::trial {
namespace {

constexpr char kIndent[] = "        ";

// ${X} without default; $${ is no variable.
std::set<std::string> VariablesOf(const std::string& yaml) {
  std::set<std::string> names;
  for (size_t at = yaml.find("${"); at != std::string::npos; at = yaml.find("${", at + 2)) {
    if (at > 0 && yaml[at - 1] == '$') continue;
    const size_t end = yaml.find_first_of(":}", at);
    if (end != std::string::npos && yaml[end] == '}') names.insert(yaml.substr(at + 2, end - at - 2));
  }
  return names;
}

class Recorder {
 public:
  Recorder(KafkaClient& kafka, Clock& clock) : kafka_(kafka), clock_(clock) {}

  absl::StatusOr<std::string> Rows(const std::string& what, const std::string& topic,
                                   const std::vector<SourceColumn>& columns, int64_t most, bool refuse_more) {
    TM_ASSIGN_OR_RETURN(const auto topics, kafka_.admin().Describe({topic}));
    const auto found = topics.find(topic);
    if (found == topics.end()) {
      return absl::InvalidArgumentError(absl::StrCat(what, ": there is no topic '", topic, "'"));
    }
    partitions_[topic] = found->second.partitions;
    headers_.clear();
    for (const SourceColumn& column : columns) {
      if (column.from == SourceColumn::From::kHeader) headers_.insert(column.header);
    }
    const int64_t each = std::max<int64_t>(1, most / std::max(1, found->second.partitions));
    std::string rows;
    for (int32_t p = 0; p < found->second.partitions; ++p) {
      const TopicPartition log{topic, p};
      TM_ASSIGN_OR_RETURN(const Offset start, kafka_.admin().LogStart(log));
      TM_ASSIGN_OR_RETURN(const Offset end, kafka_.admin().LogEnd(log, Isolation::kReadCommitted));
      if (refuse_more && end - start > most) {
        return absl::InvalidArgumentError(
            absl::StrCat(what, " has more than ", most, " records: a test of so many is none that a person reads"));
      }
      const Offset first = refuse_more ? start : std::max(start, end - each);
      if (first >= end) continue;
      TM_RETURN_IF_ERROR(ReadLogRange(kafka_, clock_, "test-record", log, first, end,
                                      [&](const Fetch& fetch, size_t i) { return Append(what, p, fetch, i, &rows); }));
    }
    return rows;
  }
  const std::map<std::string, int32_t>& partitions() const { return partitions_; }

 private:
  absl::Status Append(const std::string& what, int32_t partition, const Fetch& fetch, size_t i, std::string* rows) {
    const RecordView& record = fetch.records()[i];
    std::string row = absl::StrCat(kIndent, "- { __partition: ", partition);
    if (record.timestamp_ms >= 0) {
      absl::StrAppend(&row,
                      ", __timestamp: ", TimestampText(record.timestamp_ms * kMillisecond, TimestampForm::kRfc3339));
    }
    TM_RETURN_IF_ERROR(AppendText(what, "__key", record.key, record.offset, &row));
    if (!headers_.empty()) {
      std::vector<std::string> said;
      for (const auto& [name, value] : fetch.Headers(i)) {
        if (headers_.contains(name) && value) said.push_back(absl::StrCat(JsonQuoted(name), ": ", JsonQuoted(*value)));
      }
      absl::StrAppend(&row, ", __headers: { ", absl::StrJoin(said, ", "), " }");
    }
    if (!record.value) absl::StrAppend(&row, ", __value: null");
    TM_RETURN_IF_ERROR(AppendText(what, "__value", record.value, record.offset, &row));
    absl::StrAppend(rows, row, " }\n");
    return absl::OkStatus();
  }

  static absl::Status AppendText(const std::string& what, const char* cell, Bytes bytes, Offset offset,
                                 std::string* row) {
    if (!bytes) return absl::OkStatus();
    if (!arrow::util::ValidateUTF8(*bytes)) {
      return absl::InvalidArgumentError(absl::StrCat(what, ": the record at offset ", offset, " isn't UTF-8: such ",
                                                     "records can't be written into a test"));
    }
    absl::StrAppend(row, ", ", cell, ": ", JsonQuoted(*bytes));
    return absl::OkStatus();
  }

  KafkaClient& kafka_;
  Clock& clock_;
  std::map<std::string, int32_t> partitions_;
  std::set<std::string> headers_;
};

}  // namespace

absl::StatusOr<std::string> RecordTest(const Plan& plan, const std::string& topology, const std::string& path,
                                       const std::string& yaml, int64_t records, KafkaClient& kafka, Clock& clock) {
  arrow::util::InitializeUTF8();
  const auto folder = std::filesystem::absolute(path).parent_path();
  std::string text = absl::StrCat(
      "topology: ", JsonQuoted(std::filesystem::absolute(topology).lexically_relative(folder).string()), "\n");
  if (const auto variables = VariablesOf(yaml); !variables.empty()) {
    absl::StrAppend(&text,
                    "# What the topology needs and has no default for: state what the test is to have.\nvars:\n");
    for (const std::string& variable : variables)
      absl::StrAppend(&text, "  ", variable, ": postgresql://simulated/x\n");
  }
  Recorder recorder(kafka, clock);
  std::string given;
  std::set<int32_t> counts;
  for (const SourcePlan& source : plan.sources) {
    if (source.of_pattern()) {
      return absl::InvalidArgumentError(absl::StrCat("source ", source.declared(),
                                                     " reads all topics of a pattern, and in a test one stands for ",
                                                     "them: a test of it is written by hand"));
    }
    TM_ASSIGN_OR_RETURN(const std::string rows,
                        recorder.Rows("source " + source.name, source.topic, source.columns, records, false));
    absl::StrAppend(&given, "      ", source.name, ":", rows.empty() ? " []" : "", "\n", rows);
    counts.insert(recorder.partitions().at(source.topic));
  }
  if (counts.size() > 1) {
    return absl::InvalidArgumentError(
        "the sources' topics have different numbers of partitions, and a test has one for all: a test of them is "
        "written "
        "by hand");
  }
  for (const TablePlan& table : plan.tables) {
    if (table.topic.empty()) continue;
    TM_ASSIGN_OR_RETURN(const std::string rows,
                        recorder.Rows("table " + table.name, table.topic, {}, kMostTableRecords, true));
    absl::StrAppend(&given, "      ", table.name, ":", rows.empty() ? " []" : "", "\n", rows);
  }
  absl::StrAppend(&text, "tests:\n  - name: recorded\n    partitions: ", counts.empty() ? 1 : *counts.begin(),
                  "\n    given:\n", given, "    expect:\n");
  for (const SinkPlan& sink : plan.sinks) {
    if (!sink.view) absl::StrAppend(&text, "      ", sink.name, ": []\n");
  }
  return absl::StrCat(text, "    dead_letters: []\n");
}

}  // namespace tidemark::trial
