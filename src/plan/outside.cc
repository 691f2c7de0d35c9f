// Sources from outside Kafka: files that land in a folder, bodies that clients post, and tables (outside_postgres.cc).
#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "src/base/suggest.h"
#include "src/plan/logical.h"
#include "src/plan/xml_path.h"

namespace tidemark {
namespace {

constexpr int64_t kLargestBody = int64_t{16} << 20;

// By iconv's names.
constexpr const char* kEncodings[] = {"utf-8",        "iso-8859-1",   "iso-8859-15",  "windows-1250",
                                      "windows-1251", "windows-1252", "windows-1256", "utf-16"};

// All files are of the format: it is stated, or the name that all of them have ends so.
bool IsFormat(const FilesSpec& files, FilesSpec::Format format, const char* end) {
  return files.format ? *files.format == format : absl::EndsWith(absl::AsciiStrToLower(files.path), end);
}

// What a file's name alone tells is left to the files.
std::optional<FilesSpec::Format> CheckFilesFormat(const topology::Files& yaml, const std::string& path,
                                                  Diagnostics* diagnostics) {
  static const std::map<std::string, FilesSpec::Format> kFormats = {{"csv", FilesSpec::Format::kCsv},
                                                                    {"jsonl", FilesSpec::Format::kJsonLines},
                                                                    {"json", FilesSpec::Format::kJson},
                                                                    {"xml", FilesSpec::Format::kXml},
                                                                    {"parquet", FilesSpec::Format::kParquet}};
  if (!yaml.has_format()) return std::nullopt;
  const auto found = kFormats.find(yaml.format());
  if (found != kFormats.end()) return found->second;
  const std::string& name = yaml.format();
  const bool known = name == "avro" || name == "xlsx" || name == "orc";
  diagnostics->Error(path, known ? absl::StrCat("files of format '", name, "' aren't read yet")
                                 : absl::StrCat("unknown format '", name, "'",
                                                DidYouMean(name, {"csv", "jsonl", "json", "xml", "parquet"})));
  return std::nullopt;
}

// What files and bodies have in common.
template <typename Yaml, typename Spec>
void CheckParts(const Yaml& yaml, const std::string& path, Diagnostics* diagnostics, Spec* spec) {
  if (yaml.has_delimiter()) {
    const std::string& delimiter = yaml.delimiter();
    if (delimiter.size() != 1 || delimiter.find_first_of("\"\r\n") != std::string::npos) {
      diagnostics->Error(path + "/delimiter", "one character is expected, such as \";\" or \"\\t\"");
    } else {
      spec->delimiter = delimiter[0];
    }
  }
  if (yaml.has_partitions()) spec->partitions = yaml.partitions();
  if (spec->partitions < 1 || spec->partitions > 1000) diagnostics->Error(path + "/partitions", "1 to 1000");
}

// What only some formats have. Where none is stated, files of any may come.
void CheckFormatParts(const topology::Files& yaml, const std::string& path, Diagnostics* diagnostics, FilesSpec* spec) {
  using Format = FilesSpec::Format;
  if (yaml.has_delimiter() && spec->format && *spec->format != Format::kCsv) {
    diagnostics->Error(path + "/delimiter", "only csv has delimiters");
  }
  if (yaml.has_encoding()) {
    const auto found = std::find_if(std::begin(kEncodings), std::end(kEncodings),
                                    [&](const char* name) { return absl::EqualsIgnoreCase(name, yaml.encoding()); });
    if (found == std::end(kEncodings)) {
      const std::vector<std::string> names(std::begin(kEncodings), std::end(kEncodings));
      diagnostics->Error(path + "/encoding",
                         absl::StrCat("unknown encoding '", yaml.encoding(), "'", DidYouMean(yaml.encoding(), names)));
    } else if (spec->format && (*spec->format == Format::kXml || *spec->format == Format::kParquet)) {
      diagnostics->Error(path + "/encoding", absl::StrCat("files of format ", yaml.format(), " say themselves ",
                                                          "how they are written: leave it out"));
    }
    // UTF-16 shows by its mark, and the others are what iconv calls so.
    spec->encoding = absl::EqualsIgnoreCase(yaml.encoding(), kEncodings[0]) ? "" : yaml.encoding();
  }
  if (!yaml.has_row()) {
    if (IsFormat(*spec, Format::kXml, ".xml")) {
      diagnostics->Error(path,
                         "files of format xml want `row`: the path of the elements that are rows, "
                         "such as /surveys/survey");
    }
    return;
  }
  if (spec->format && *spec->format != Format::kXml) diagnostics->Error(path + "/row", "only xml has such rows");
  if (const auto row = XmlPath::ParseRow(yaml.row())) {
    spec->row = *row;
  } else {
    diagnostics->Error(path + "/row",
                       absl::StrCat("the names of elements from the root to the rows are expected, such ",
                                    "as /surveys/survey, found '", yaml.row(), "'"));
  }
}

void CheckManifest(const topology::Files& yaml, const std::string& path, Diagnostics* diagnostics, FilesSpec* spec) {
  spec->manifest = yaml.manifest().name();
  spec->manifest_deadline_us = yaml.manifest().deadline();
  const std::string at = path + "/manifest";
  if (spec->manifest.find('/') != std::string::npos || spec->manifest.empty()) {
    diagnostics->Error(at + "/name",
                       "the name of a file is expected, such as *.manifest: a manifest lies in the folder of the files "
                       "that it names, or above them");
  }
  if (spec->manifest_deadline_us <= 0) diagnostics->Error(at + "/deadline", "must be longer than nothing");
  if (yaml.order() == "by_name") {
    diagnostics->Error(path + "/order",
                       "a set is read when it is whole, and one behind it may be whole before: say unordered");
  }
  for (const auto& [key, stated] : {std::pair("/raw", yaml.has_raw()), std::pair("/archive", yaml.has_archive())}) {
    if (!stated) continue;
    diagnostics->Error(path + key, "copies of sets aren't made yet: `processed` keeps their files, leave it out");
  }
}

void CheckDecrypt(const topology::Decrypt& yaml, const std::string& path, Diagnostics* diagnostics,
                  FilesSpec::Decrypt* decrypt) {
  if (!yaml.has_openpgp() && !yaml.has_zip()) diagnostics->Error(path, "'openpgp' or 'zip' is expected");
  const auto file = [&](const std::string& name, const char* key, std::string* out) {
    if (diagnostics->Present(path + key) && name.empty()) diagnostics->Error(path + key, "a file is expected");
    *out = name;
  };
  file(yaml.openpgp().secret_keys(), "/openpgp/secret_keys", &decrypt->secret_keys);
  file(yaml.openpgp().passphrase_file(), "/openpgp/passphrase_file", &decrypt->secret_keys_passphrase);
  file(yaml.openpgp().signed_by(), "/openpgp/signed_by", &decrypt->signed_by);
  file(yaml.zip().passphrase_file(), "/zip/passphrase_file", &decrypt->zip_passphrase);
}

// s3://bucket, with whatever stands behind it.
bool IsS3(const std::string& place) {
  const size_t bucket = std::string_view("s3://").size();
  if (!absl::StartsWith(place, "s3://") || place.size() == bucket) return false;
  const std::string name = place.substr(bucket, place.find('/', bucket) - bucket);
  return !name.empty() && name.find_first_of("*?") == std::string::npos;
}

// Files are moved within what holds them: a folder or S3. Copies may go to either.
void CheckFolders(const topology::Files& yaml, const std::string& path, Diagnostics* diagnostics,
                  const FilesSpec& spec) {
  struct Place {
    const char* key;
    bool stated;
    const std::string& where;
    bool moved_to;
  };
  for (const Place& place :
       {Place{"/path", true, spec.path, false}, Place{"/processed", yaml.has_processed(), spec.processed, true},
        Place{"/rejected", yaml.has_rejected(), spec.rejected, true}, Place{"/raw", yaml.has_raw(), spec.raw, false},
        Place{"/archive", yaml.has_archive(), spec.archive, false}}) {
    if (!place.stated) continue;
    const bool in_s3 = IsS3(place.where);
    if (place.where.empty() || (!in_s3 && absl::StrContains(place.where, "://"))) {
      diagnostics->Error(path + place.key,
                         absl::StrCat("a folder or s3://bucket/prefix is expected, found '", place.where, "'"));
    } else if (place.key != std::string_view("/path") && place.where.find_first_of("*?") != std::string::npos) {
      diagnostics->Error(path + place.key, "a folder is expected");
    } else if (place.moved_to && in_s3 != spec.in_s3()) {
      diagnostics->Error(path + place.key,
                         spec.in_s3() ? "files that land in S3 are moved within S3: s3://bucket/prefix is expected"
                                      : "files that land in a folder are moved to another one; a copy in S3 is made by "
                                        "'archive'");
    }
  }
  if (!spec.in_s3() && !yaml.has_whole()) {
    diagnostics->Error(path,
                       "files in a folder want `whole`, which says how a file shows that nothing more of it "
                       "comes: renamed, done_mark or unchanged");
  }
  if (spec.in_s3() && yaml.has_whole()) {
    diagnostics->Error(path + "/whole", "an object in S3 appears whole: leave it out");
  }
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
  spec.raw = yaml.raw();
  spec.archive = yaml.archive();
  CheckFolders(yaml, path, diagnostics, spec);
  if (yaml.has_look_every()) spec.look_every_us = yaml.look_every();
  if (spec.look_every_us < 10 * kMillisecond) diagnostics->Error(path + "/look_every", "at least 10ms");
  CheckParts(yaml, path, diagnostics, &spec);
  CheckFormatParts(yaml, path, diagnostics, &spec);
  spec.members = yaml.members();
  if (yaml.has_members() && spec.members.empty()) {
    diagnostics->Error(path + "/members", "names are expected, such as **/*.csv");
  }
  if (yaml.has_manifest()) CheckManifest(yaml, path, diagnostics, &spec);
  if (yaml.has_decrypt()) CheckDecrypt(yaml.decrypt(), path + "/decrypt", diagnostics, &spec.decrypt);
  if (!spec.raw.empty() && !spec.decrypt.zip_passphrase.empty()) {
    diagnostics->Error(path + "/raw",
                       "a raw copy of an encrypted zip archive would still be encrypted, and isn't made yet: keep the "
                       "files as they come with 'archive'");
  }
  return spec;
}

HttpSpec CheckHttp(const topology::Http& yaml, const std::string& path, Diagnostics* diagnostics) {
  HttpSpec spec;
  spec.path = yaml.path();
  spec.tokens = yaml.tokens();
  static constexpr const char* kTaken[] = {"/metrics", "/healthz", "/readyz"};
  const bool plain = !spec.path.empty() && spec.path[0] == '/' && spec.path.size() > 1 &&
                     std::all_of(spec.path.begin(), spec.path.end(), [](char c) {
                       return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains("/-_.~", c);
                     });
  if (!plain) {
    diagnostics->Error(path + "/path", "a path is expected, such as /v1/ingest/surveys: letters, digits and / - _ . ~");
  }
  if (std::find(std::begin(kTaken), std::end(kTaken), spec.path) != std::end(kTaken)) {
    diagnostics->Error(path + "/path", absl::StrCat("'", spec.path, "' is the worker's own"));
  }
  if (absl::StartsWith(spec.path, "/v1/views/")) {
    diagnostics->Error(path + "/path", "paths below /v1/views/ are the views': choose another");
  }
  if (yaml.has_tokens() && spec.tokens.empty()) diagnostics->Error(path + "/tokens", "a file is expected");
  if (yaml.has_max_body()) spec.max_body_bytes = yaml.max_body();
  if (spec.max_body_bytes < 1 || spec.max_body_bytes > kLargestBody) {
    diagnostics->Error(path + "/max_body", "at most 16MiB: a body is one record of a log");
  }
  CheckParts(yaml, path, diagnostics, &spec);
  return spec;
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

void CheckColumnsOfFiles(const std::string& path, Diagnostics* diagnostics, SourcePlan* source) {
  using Format = FilesSpec::Format;
  const std::optional<Format> format = source->files->format;
  if (format == Format::kJson || format == Format::kJsonLines) return;
  if (IsFormat(*source->files, Format::kParquet, ".parquet")) {
    RefuseTimestampFormats(source->columns, path, diagnostics);
  }
  const bool xml = IsFormat(*source->files, Format::kXml, ".xml");
  for (SourceColumn& column : source->columns) {
    const std::string at = absl::StrCat(path, "/columns/", column.column.name);
    if (column.from == SourceColumn::From::kRaw) {
      diagnostics->Error(at + "/from",
                         "rows of csv, xml and parquet files have no value of their own; of lines of JSON they "
                         "have: say `format: jsonl` or `json` in 'files'");
    }
    if (xml && column.from == SourceColumn::From::kValue) {
      // A dot is a character of names like others, and the path is one name in what the file's records become.
      column.path = {absl::StrJoin(column.path, ".")};
      if (!XmlPath::Parse(column.path.front())) {
        diagnostics->Error(at + "/path", absl::StrCat("names of elements are expected, such as city, address/city, ",
                                                      "address/@type or text(), found '", column.path.front(), "'"));
      }
    }
    if (column.from == SourceColumn::From::kValue && column.path.size() > 1) {
      diagnostics->Error(at + "/path", "a path of several names works in files of format jsonl and json only");
    }
    if (column.from == SourceColumn::From::kValue && column.column.type.kind == Kind::kJson) {
      diagnostics->Error(at, "a column of type json works in files of format jsonl and json only");
    }
  }
}

}  // namespace

// A source that isn't from a topic: what has a meaning for topics alone, or not yet, is refused.
void CheckOutside(const topology::Source& yaml, const std::string& path, Diagnostics* diagnostics, SourcePlan* source) {
  const char* const what = yaml.has_files() ? "files" : yaml.has_http() ? "http" : "postgres";
  const std::string rows = yaml.has_files()  ? "rows of files"
                           : yaml.has_http() ? "rows that are posted"
                                             : "rows of a table";
  if (yaml.has_files()) source->files = CheckFiles(yaml.files(), path + "/files", diagnostics);
  if (yaml.has_http()) source->http = CheckHttp(yaml.http(), path + "/http", diagnostics);
  if (yaml.has_postgres()) source->postgres = CheckPostgresTable(yaml.postgres(), path + "/postgres", diagnostics);
  const auto refuse = [&](bool stated, const char* key, const std::string& why) {
    if (stated) diagnostics->Error(absl::StrCat(path, "/", key), why);
  };
  refuse(yaml.has_topic(), "topic", absl::StrCat("a source has either 'topic' or '", what, "'"));
  refuse(yaml.has_topics(), "topics", absl::StrCat("a source has either 'topics' or '", what, "'"));
  refuse(yaml.has_files() && yaml.has_http(), "http", "a source has either 'files' or 'http'");
  refuse(yaml.has_postgres() && (yaml.has_files() || yaml.has_http()), "postgres",
         absl::StrCat("a source has either '", what, "' or 'postgres'"));
  refuse(yaml.has_start(), "start",
         yaml.has_files()  ? "files are read from the first one on"
         : yaml.has_http() ? "what is posted is read from the first one on"
                           : "a table is read as a whole, then its changes");
  if (yaml.has_postgres()) {
    refuse(yaml.on_data_loss() == "skip", "on_data_loss",
           "without the changes that are lost, rows of a table would be wrong for ever: there is nothing to skip");
  } else {
    refuse(yaml.has_format(), "format",
           yaml.has_files() ? "the format of files stands in 'files'" : "what a body is its Content-Type says");
    refuse(yaml.has_key_format(), "key_format", rows + " have no key");
    refuse(!yaml.partitioned_by().empty(), "partitioned_by",
           yaml.has_files() ? "rows lie by their files" : "rows lie by their requests");
  }
  for (const SourceColumn& column : source->columns) {
    if (column.from == SourceColumn::From::kKey) {
      diagnostics->Error(absl::StrCat(path, "/columns/", column.column.name, "/from"), rows + " have no key");
    }
  }
  if (source->files) CheckColumnsOfFiles(path, diagnostics, source);
}

}  // namespace tidemark
