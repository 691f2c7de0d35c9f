#include "src/codec/json/framed_reader.h"

#include <optional>
#include <utility>

#include <absl/strings/str_cat.h>

#include "src/codec/record_rows.h"

namespace tidemark {

absl::Status FramedJsonReader::Read(const Fetch& fetch, size_t first, size_t last, RecordRows* rows) {
  const std::span<const RecordView> records = fetch.records();
  std::optional<int32_t> good;  // the number of the record before
  for (size_t i = first; i < last; ++i) {
    rows->BeginRecord(i);
    if (!records[i].value) [[unlikely]] {
      rows->Tombstone();
      continue;
    }
    int32_t id = 0;
    size_t begin = 0;
    std::optional<std::string> reason = FindSchemaId(place_, fetch, i, &id, &begin);
    if (!reason && good != id) {
      SchemaLookup::Answer answer;
      const std::string* const refused = Find(id, &answer);
      if (refused == nullptr && answer.later) {
        rows->Later(std::move(answer.what));
        return absl::OkStatus();
      }
      if (refused == nullptr) {
        reason = std::move(answer.what);
      } else if (!refused->empty()) {
        reason = *refused;
      } else {
        good = id;
      }
    }
    if (!reason) {
      const std::string_view json = records[i].value->substr(begin);
      reason = array_ ? object_.ReadArray(json, rows) : object_.Read(json, &rows->BeginRow());
    }
    if (reason) [[unlikely]] {
      rows->Reject(*std::move(reason));
    } else if (!array_) {
      rows->EndRow();
    }
  }
  return absl::OkStatus();
}

const std::string* FramedJsonReader::Find(int32_t id, SchemaLookup::Answer* answer) {
  if (const auto known = refused_.find(id); known != refused_.end()) return &known->second;
  *answer = lookup_.Find(id);
  if (answer->schema == nullptr) return nullptr;
  std::string refused;
  if (answer->schema->type != "JSON") {
    refused = absl::StrCat("schema ", id, " is one of ", answer->schema->type, ", not of JSON");
  }
  return &(refused_[id] = std::move(refused));
}

}  // namespace tidemark
