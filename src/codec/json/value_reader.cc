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
  const std::span<const RecordView> records = fetch.records();
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
  return absl::OkStatus();
}

}  // namespace tidemark
