#include "src/landing/record_check.h"

#include <optional>
#include <span>
#include <utility>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include "src/base/intake_names.h"
#include "src/base/json_text.h"
#include "src/base/status.h"

namespace tidemark {
namespace {

// Records as if they had come from a topic, for the decoder.
class RecordsOfOutside final : public Fetch {
 public:
  RecordsOfOutside(const std::string& name, const HeaderList& place, int64_t timestamp_ms,
                   const std::vector<FileRecord>& records)
      : source_{name, 0}, place_(place), records_(records) {
    for (const FileRecord& record : records) {
      views_.push_back({record.line, timestamp_ms, std::nullopt, record.value});
    }
  }

  const TopicPartition& source() const override { return source_; }
  std::span<const RecordView> records() const override { return views_; }
  HeaderList Headers(size_t i) const override {
    HeaderList headers = place_;
    headers.emplace_back(kIntakeLineHeader, absl::StrCat(records_[i].line));
    return headers;
  }

 private:
  const TopicPartition source_;
  const HeaderList& place_;
  const std::vector<FileRecord>& records_;
  std::vector<RecordView> views_;
};

// Where the value at the path begins, if it is there.
std::optional<size_t> Find(const std::string& json, const std::vector<std::string>& path) {
  JsonText text(json);
  for (size_t depth = 0; depth < path.size(); ++depth) {
    if (!text.Take('{')) return std::nullopt;
    while (true) {
      std::string_view name;
      bool escaped = false;
      if (text.Peek() != '"' || !text.ReadString(&name, &escaped) || !text.Take(':')) return std::nullopt;
      if (name == path[depth]) break;
      if (!text.SkipValue(static_cast<int>(depth) + 1) || !text.Take(',')) return std::nullopt;
    }
  }
  text.Peek();
  return static_cast<size_t>(text.position() - json.data());
}

}  // namespace

absl::StatusOr<std::unique_ptr<RecordCheck>> RecordCheck::Make(const SourcePlan& plan, const Formats& formats) {
  std::unique_ptr<RecordCheck> check(new RecordCheck(plan));
  TM_ASSIGN_OR_RETURN(check->decoder_, SourceDecoder::Make(plan, formats));
  return check;
}

absl::Status RecordCheck::Check(const HeaderList& place, int64_t timestamp_ms, const std::vector<FileRecord>& records,
                                std::vector<std::string>* reasons) {
  reasons->assign(records.size(), "");
  const RecordsOfOutside fetch(plan_.name, place, timestamp_ms, records);
  for (size_t first = 0; first < records.size();) {
    SourceTime time;
    TM_ASSIGN_OR_RETURN(const DecodedRows decoded, decoder_->Decode(fetch, first, 0, &time));
    if (decoded.next == first) return absl::UnavailableError(absl::StrCat("waits for ", decoded.waits_for));
    for (const DecodeError& error : decoded.errors) (*reasons)[error.record] = error.reason;
    first = decoded.next;
  }
  for (size_t i = 0; i < records.size(); ++i) {
    if (!records[i].reason.empty()) (*reasons)[i] = records[i].reason;
  }
  return absl::OkStatus();
}

size_t PlaceOfReason(const SourcePlan& plan, const std::string& json, const std::string& reason) {
  JsonText text(json);
  if (!text.SkipValue(0)) return static_cast<size_t>(text.failed_at() - json.data());
  if (!text.AtEnd()) return static_cast<size_t>(text.position() - json.data());
  for (const SourceColumn& column : plan.columns) {
    if (column.from != SourceColumn::From::kValue) continue;
    if (!absl::StartsWith(reason, absl::StrCat("column ", column.column.name, ":"))) continue;
    return Find(json, column.path).value_or(0);
  }
  return 0;
}

}  // namespace tidemark
