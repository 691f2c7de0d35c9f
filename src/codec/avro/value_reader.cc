#include "src/codec/avro/value_reader.h"

#include <optional>
#include <utility>

#include <absl/strings/str_cat.h>

#include "src/codec/record_rows.h"

namespace tidemark {
namespace {

// As in json/value_reader.cc.
constexpr size_t kAhead = 8;

void Prefetch(const RecordView& record) {
  if (!record.value) return;
  for (int line = 0; line < 2; ++line) __builtin_prefetch(record.value->data() + 64 * line);
}

}  // namespace

absl::Status AvroValueReader::Read(const Fetch& fetch, size_t first, size_t last, RecordRows* rows) {
  const std::span<const RecordView> records = fetch.records();
  for (size_t i = first; i < last; ++i) {
    if (i + kAhead < last) Prefetch(records[i + kAhead]);
    rows->BeginRecord(i);
    if (!records[i].value) [[unlikely]] {
      rows->Tombstone();
      continue;
    }
    ColumnSet& columns = rows->BeginRow();
    int32_t id = 0;
    size_t begin = 0;
    std::optional<std::string> reason;
    if (place_ == SchemaPlace::kPrefix && ReadSchemaId(*records[i].value, &id)) [[likely]] {
      begin = kSchemaIdBytes;
      if (std::string named = NamedInHeader(fetch, i, SchemaOf::kValue); !named.empty()) [[unlikely]] {
        rows->Reject(std::move(named));
        continue;
      }
    } else if (reason = FindSchemaId(place_, fetch, i, &id, &begin); reason) {
      rows->Reject(*std::move(reason));
      continue;
    }
    if (last_ == nullptr || id != last_id_) [[unlikely]] {
      SchemaLookup::Answer answer;
      last_ = writers_.Find(id, &answer);
      last_id_ = id;
      if (last_ == nullptr && answer.later) {
        rows->Later(std::move(answer.what));
        return absl::OkStatus();
      }
      if (last_ == nullptr) {
        rows->Reject(absl::StrCat(answer.what, place_ == SchemaPlace::kPrefix ? AnotherFraming(fetch, i) : ""));
        continue;
      }
    }
    reason = last_->refused.empty() ? ScanAvro(last_->plan, *records[i].value, begin, &columns) : last_->refused;
    if (reason) [[unlikely]] {
      rows->Reject(*std::move(reason));
    } else {
      rows->EndRow();
    }
  }
  return absl::OkStatus();
}

}  // namespace tidemark
