// Tables: reference data that joins look up.
#include <algorithm>

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include "src/plan/input_formats.h"
#include "src/plan/logical.h"

namespace tidemark {

void CheckTables(const topology::Topology& topology, const FormatList& formats, Diagnostics* diagnostics, Plan* plan) {
  for (const topology::Table& yaml : topology.tables()) {
    const std::string path = "tables/" + yaml.name();
    TablePlan table;
    table.name = yaml.name();
    CheckName(yaml.name(), path, "table", diagnostics);
    table.topic = yaml.topic();
    table.file = yaml.file();
    if (yaml.has_topic() == yaml.has_file()) diagnostics->Error(path, "a table has either 'topic' or 'file'");
    if (yaml.has_topic()) CheckTopicName(yaml.topic(), path + "/topic", diagnostics);
    if (yaml.has_reload()) {
      table.reload_us = yaml.reload();
      if (yaml.has_topic()) diagnostics->Error(path + "/reload", "a table of a topic is followed anyhow: leave it out");
      if (table.reload_us < kSecond / 10) diagnostics->Error(path + "/reload", "at least 100ms");
    }
    table.columns = CheckColumns(yaml.columns(), FormatOf(yaml, formats), {}, path + "/columns", true, diagnostics);
    table.format = CheckValueFormat(yaml, formats, path, plan->registry, diagnostics, &table.columns);
    if (yaml.format().has_partitioner()) {
      diagnostics->Error(path + "/format/partitioner", "'partitioner' goes with a source that has a `key`");
    }
    if (diagnostics->incomplete()) continue;
    table.key_format = CheckKeyFormat(yaml, formats, path, diagnostics, &table.columns);
    if (yaml.has_global() && !yaml.global()) {
      diagnostics->Error(
          path + "/global",
          "`global: false` goes with a topic, by whose partitions the table is shared: a file is read as "
          "a whole by every worker");
    }
    const auto key = FindKeyColumns(yaml.key(), table.schema(), path + "/key", "table " + yaml.name(), diagnostics);
    if (key) table.key = *key;
    if (key && key->empty() && diagnostics->Present(path + "/key")) {
      diagnostics->Error(path + "/key", "a table needs at least one key column");
    }
    for (const size_t column : table.key) {
      if (table.columns[column].column.nullable) {
        diagnostics->Error(absl::StrCat(path, "/columns/", table.columns[column].column.name),
                           "a key column can't be nullable");
      }
    }
    if (yaml.has_file()) {
      const std::string lower = absl::AsciiStrToLower(yaml.file());
      if (absl::EndsWith(lower, ".parquet")) {
        table.file_format = TablePlan::FileFormat::kParquet;
      } else if (absl::EndsWith(lower, ".csv")) {
        table.file_format = TablePlan::FileFormat::kCsv;
      } else if (!absl::EndsWith(lower, ".jsonl")) {
        diagnostics->Error(path + "/file",
                           absl::StrCat("expected a file .parquet, .csv or .jsonl, or names such as items/*.csv, ",
                                        "found '", yaml.file(), "'"));
      }
      const size_t scheme = yaml.file().find("://");
      if (scheme != std::string::npos && !absl::StartsWith(yaml.file(), "s3://")) {
        diagnostics->Error(path + "/file",
                           absl::StrCat("expected a local file or s3://bucket/..., found '", yaml.file(), "'"));
      }
      for (const char* field : {"format", "key_format"}) {
        if (!diagnostics->Present(absl::StrCat(path, "/", field))) continue;
        diagnostics->Error(absl::StrCat(path, "/", field), "a table file's format follows from its name");
      }
      for (const SourceColumn& c : table.columns) {
        const std::string at = absl::StrCat(path, "/columns/", c.column.name);
        if (c.from == SourceColumn::From::kKey) diagnostics->Error(at + "/from", "a table file has no record key");
        if (c.path.size() > 1 && table.file_format != TablePlan::FileFormat::kJsonLines) {
          diagnostics->Error(at + "/path", "a nested path works in JSON only");
        }
      }
    } else if (table.key_format.none() && !table.key.empty()) {
      // Tombstones have no value: their key columns come from the record key.
      table.key_format = table.key.size() > 1 ? kJsonFormat : kTextFormat;
    }
    plan->tables.push_back(std::move(table));
  }
  std::sort(plan->tables.begin(), plan->tables.end(),
            [](const TablePlan& a, const TablePlan& b) { return a.name < b.name; });
}

}  // namespace tidemark
