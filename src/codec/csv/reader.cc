#include "src/codec/csv/reader.h"

#include <algorithm>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <arrow/util/utf8.h>

#include "src/codec/record_rows.h"

namespace tidemark {
namespace {

constexpr size_t kNone = ~size_t{0};
constexpr int kMostFields = 10'000;

}  // namespace

std::optional<size_t> CsvPlace(const std::vector<std::string>& path) {
  int number = 0;
  if (path.size() != 1 || !absl::SimpleAtoi(path[0], &number) || number < 1 || number > kMostFields) {
    return std::nullopt;
  }
  return static_cast<size_t>(number - 1);
}

CsvReader::CsvReader(const CsvDialect& dialect, const std::vector<ReadTarget>& targets)
    : dialect_(dialect), targets_(targets), scanner_(dialect) {
  arrow::util::InitializeUTF8();
  if (dialect_.header) return;
  exactly_ = true;
  for (size_t t = 0; t < targets_.size(); ++t) {
    const std::optional<size_t> place = CsvPlace(targets_[t].path);
    if (place) exactly_ = false;
    places_.push_back(place.value_or(t));
    fields_ = std::max(fields_, places_.back() + 1);
  }
}

absl::Status CsvReader::Read(const Fetch& fetch, size_t first, size_t last, RecordRows* rows) {
  const std::span<const RecordView> records = fetch.records();
  for (size_t i = first; i < last; ++i) {
    rows->BeginRecord(i);
    if (!records[i].value) {
      rows->Tombstone();
    } else if (std::optional<std::string> reason = ReadRecord(*records[i].value, rows)) {
      rows->Reject(*std::move(reason));
    }
  }
  return absl::OkStatus();
}

std::optional<std::string> CsvReader::ReadRecord(std::string_view value, RecordRows* rows) {
  // A byte order mark, which spreadsheets write, isn't text.
  if (value.starts_with("\xef\xbb\xbf")) value.remove_prefix(3);
  scanner_.Start(value);
  bool header = dialect_.header;
  while (true) {
    switch (scanner_.Read()) {
      case CsvScanner::Next::kEnd:
        if (header) return "value is empty, and the header is missing";
        return std::nullopt;
      case CsvScanner::Next::kBad:
        return InLine(scanner_.reason());
      case CsvScanner::Next::kCut:
        return InLine("a quoted field isn't closed");
      case CsvScanner::Next::kLine:
        break;
    }
    if (scanner_.blank()) continue;
    if (header) {
      if (std::optional<std::string> reason = ReadHeader()) return InLine(*reason);
      header = false;
      continue;
    }
    if (std::optional<std::string> reason = SetRow(&rows->BeginRow())) return InLine(*reason);
    if (!rows->EndRow()) return std::nullopt;  // rejected, with its reason
  }
}

// A name that the header lacks is a value that is missing.
std::optional<std::string> CsvReader::ReadHeader() {
  const std::vector<CsvField>& names = scanner_.fields();
  places_.clear();
  for (const ReadTarget& target : targets_) {
    const auto named = [&](const CsvField& field) { return field.text == target.path[0]; };
    const auto found = std::find_if(names.begin(), names.end(), named);
    places_.push_back(found == names.end() ? kNone : static_cast<size_t>(found - names.begin()));
    if (found != names.end() && std::any_of(found + 1, names.end(), named)) {
      return absl::StrCat("there are several columns ", target.path[0]);
    }
  }
  fields_ = names.size();
  exactly_ = true;
  return std::nullopt;
}

std::optional<std::string> CsvReader::SetRow(ColumnSet* columns) {
  const std::vector<CsvField>& fields = scanner_.fields();
  if (fields.size() < fields_ || (exactly_ && fields.size() > fields_)) {
    return absl::StrCat("expected ", fields_, fields_ == 1 ? " field" : " fields", exactly_ ? "" : " or more",
                        ", found ", fields.size());
  }
  for (size_t t = 0; t < targets_.size(); ++t) {
    if (places_[t] == kNone) continue;
    const CsvField& field = fields[places_[t]];
    if (!field.quoted && field.text == dialect_.null) continue;
    if (std::optional<std::string> reason = SetPlainText(targets_[t].column, field.text, columns)) return reason;
  }
  return std::nullopt;
}

std::string CsvReader::InLine(std::string_view reason) const {
  return absl::StrCat("line ", std::max(scanner_.line(), 1), ": ", std::string(reason));
}

}  // namespace tidemark
