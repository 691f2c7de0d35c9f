// Sources from outside Kafka: files that land in a folder.
#include <map>
#include <optional>
#include <string>
#include <utility>

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include "src/base/suggest.h"
#include "src/plan/logical.h"

namespace tidemark {
namespace {

// What a file's name alone tells is left to the files.
std::optional<FilesSpec::Format> CheckFilesFormat(const topology::Files& yaml, const std::string& path,
                                                  Diagnostics* diagnostics) {
  static const std::map<std::string, FilesSpec::Format> kFormats = {{"csv", FilesSpec::Format::kCsv},
                                                                    {"jsonl", FilesSpec::Format::kJsonLines},
                                                                    {"json", FilesSpec::Format::kJson},
                                                                    {"parquet", FilesSpec::Format::kParquet}};
  if (!yaml.has_format()) return std::nullopt;
  const auto found = kFormats.find(yaml.format());
  if (found != kFormats.end()) return found->second;
  const std::string& name = yaml.format();
  const bool known = name == "xml" || name == "avro" || name == "xlsx" || name == "orc";
  diagnostics->Error(
      path, known ? absl::StrCat("files of format '", name, "' aren't read yet")
                  : absl::StrCat("unknown format '", name, "'", DidYouMean(name, {"csv", "jsonl", "json", "parquet"})));
  return std::nullopt;
}

FilesSpec CheckFiles(const topology::Files& yaml, const std::string& path, Diagnostics* diagnostics) {
  FilesSpec spec;
  spec.path = yaml.path();
  spec.format = CheckFilesFormat(yaml, path + "/format", diagnostics);
  spec.whole = yaml.whole() == "done_mark"   ? FilesSpec::Whole::kDoneMark
               : yaml.whole() == "unchanged" ? FilesSpec::Whole::kUnchanged
                                             : FilesSpec::Whole::kRenamed;
  spec.ordered = yaml.order() == "by_name";
  spec.reject_file = yaml.on_error() == "reject_file";
  spec.processed = yaml.processed();
  spec.rejected = yaml.rejected();
  for (const auto& [key, folder] : {std::make_pair("/path", spec.path), std::make_pair("/processed", spec.processed),
                                    std::make_pair("/rejected", spec.rejected)}) {
    if (absl::StrContains(folder, "://")) {
      diagnostics->Error(path + key, absl::StrCat("files are read from local folders; '", folder, "' isn't one"));
    }
    if (key != std::string_view("/path") && folder.find_first_of("*?") != std::string::npos) {
      diagnostics->Error(path + key, "a folder is expected");
    }
  }
  if (yaml.has_look_every()) spec.look_every_us = yaml.look_every();
  if (spec.look_every_us < 10 * kMillisecond) diagnostics->Error(path + "/look_every", "at least 10ms");
  if (yaml.has_delimiter()) {
    const std::string& delimiter = yaml.delimiter();
    if (delimiter.size() != 1 || delimiter.find_first_of("\"\r\n") != std::string::npos) {
      diagnostics->Error(path + "/delimiter", "one character is expected, such as \";\" or \"\\t\"");
    } else {
      spec.delimiter = delimiter[0];
    }
    if (spec.format && *spec.format != FilesSpec::Format::kCsv) {
      diagnostics->Error(path + "/delimiter", "only csv has delimiters");
    }
  }
  if (yaml.has_partitions()) spec.partitions = yaml.partitions();
  if (spec.partitions < 1 || spec.partitions > 1000) diagnostics->Error(path + "/partitions", "1 to 1000");
  return spec;
}

bool IsParquet(const FilesSpec& files) {
  return files.format ? *files.format == FilesSpec::Format::kParquet
                      : absl::EndsWith(absl::AsciiStrToLower(files.path), ".parquet");
}

// Times in Parquet are numbers with their unit: to read them as texts of a form would refuse every row.
void RefuseTimestampFormats(const std::vector<SourceColumn>& columns, const std::string& path,
                            Diagnostics* diagnostics) {
  bool of_source = false;
  for (const SourceColumn& column : columns) {
    if (column.from != SourceColumn::From::kValue || column.timestamp_format.empty()) continue;
    std::string at = path;
    for (const char* field : {"/time_zone", "/timestamp_format"}) {
      const std::string stated = absl::StrCat(path, "/columns/", column.column.name, field);
      if (diagnostics->Present(stated)) at = stated;
    }
    if (at == path && std::exchange(of_source, true)) continue;  // once for all columns
    diagnostics->Error(at == path ? path + "/timestamp_format" : at,
                       "files of format parquet say themselves how times are written: leave it out");
  }
}

}  // namespace

// A source that isn't from a topic: what has a meaning for topics alone, or not yet, is refused.
void CheckOutside(const topology::Source& yaml, const std::string& path, Diagnostics* diagnostics, SourcePlan* source) {
  source->files = CheckFiles(yaml.files(), path + "/files", diagnostics);
  const auto refuse = [&](bool stated, const char* key, const char* why) {
    if (stated) diagnostics->Error(absl::StrCat(path, "/", key), why);
  };
  refuse(yaml.has_topic(), "topic", "a source has either 'topic' or 'files'");
  refuse(yaml.has_start(), "start", "files are read from the first one on");
  refuse(yaml.has_format(), "format", "the format of files stands in 'files'");
  refuse(yaml.has_key_format(), "key_format", "rows of files have no key");
  refuse(!yaml.partitioned_by().empty(), "partitioned_by", "rows lie by their files");
  const bool flat = !source->files->format || *source->files->format == FilesSpec::Format::kCsv ||
                    *source->files->format == FilesSpec::Format::kParquet;
  if (IsParquet(*source->files)) RefuseTimestampFormats(source->columns, path, diagnostics);
  for (const SourceColumn& column : source->columns) {
    const std::string at = absl::StrCat(path, "/columns/", column.column.name);
    if (column.from == SourceColumn::From::kKey) diagnostics->Error(at + "/from", "rows of files have no key");
    if (column.from == SourceColumn::From::kRaw && flat) {
      diagnostics->Error(at + "/from",
                         "rows of csv and parquet files have no value of their own; of lines of JSON they "
                         "have: say `format: jsonl` or `json` in 'files'");
    }
    if (column.from == SourceColumn::From::kValue && flat && column.path.size() > 1) {
      diagnostics->Error(at + "/path", "a path of several names works in files of format jsonl and json only");
    }
    if (column.from == SourceColumn::From::kValue && flat && column.column.type.kind == Kind::kJson) {
      diagnostics->Error(at, "a column of type json works in files of format jsonl and json only");
    }
  }
}

}  // namespace tidemark
