#include "src/codec/json/value_reader.h"

#include <optional>
#include <string>
#include <utility>

#include "src/codec/record_rows.h"

namespace tidemark {
namespace {

// The client has written records on another processor: their first bytes are asked for some records ahead, the others
// follow by themselves.
constexpr size_t kAhead = 8;

void Prefetch(const RecordView& record) {
  if (!record.value) return;
  for (int line = 0; line < 3; ++line) __builtin_prefetch(record.value->data() + 64 * line);
}

}  // namespace

absl::Status JsonValueReader::Read(const Fetch& fetch, size_t first, size_t last, RecordRows* rows) {
  if (array_) {
    ReadArrays(fetch.records(), first, last, rows);
  } else {
    ReadObjects(fetch.records(), first, last, rows);
  }
  return absl::OkStatus();
}

void JsonValueReader::ReadObjects(std::span<const RecordView> records, size_t first, size_t last, RecordRows* rows) {
  for (size_t i = first; i < last; ++i) {
    if (i + kAhead < last) Prefetch(records[i + kAhead]);
    rows->BeginRecord(i);
    if (!records[i].value) [[unlikely]] {
      rows->Tombstone();
      continue;
    }
    std::optional<std::string> reason = object_.Read(*records[i].value, &rows->BeginRow());
    if (reason) [[unlikely]] {
      rows->Reject(*std::move(reason));
    } else {
      rows->EndRow();
    }
  }
}

void JsonValueReader::ReadArrays(std::span<const RecordView> records, size_t first, size_t last, RecordRows* rows) {
  for (size_t i = first; i < last; ++i) {
    rows->BeginRecord(i);
    if (!records[i].value) {
      rows->Tombstone();
    } else if (std::optional<std::string> reason = object_.ReadArray(*records[i].value, rows)) {
      rows->Reject(*std::move(reason));
    }
  }
}

}  // namespace tidemark
