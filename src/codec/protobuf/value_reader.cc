#include "src/codec/protobuf/value_reader.h"

#include <utility>

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

absl::Status ProtobufValueReader::Read(const Fetch& fetch, size_t first, size_t last, RecordRows* rows) {
  const std::span<const RecordView> records = fetch.records();
  for (size_t i = first; i < last; ++i) {
    if (i + kAhead < last) Prefetch(records[i + kAhead]);
    rows->BeginRecord(i);
    if (!records[i].value) [[unlikely]] {
      rows->Tombstone();
      continue;
    }
    const std::string_view value = *records[i].value;
    ColumnSet& columns = rows->BeginRow();
    size_t begin = 0;
    ProtobufScanPlan* plan = nullptr;
    // Most records say what the one before them said.
    if (place_ != SchemaPlace::kHeader && last_ != nullptr && value.starts_with(last_names_)) [[likely]] {
      plan = last_;
      begin = last_names_.size();
    } else {
      ProtobufPlans::Found found;
      plan = Frame(fetch, i, &begin, &found);
      if (!found.later.empty()) {
        rows->Later(std::move(found.later));
        return absl::OkStatus();
      }
      if (plan == nullptr) {
        rows->Reject(std::move(found.refused));
        continue;
      }
    }
    if (std::optional<std::string> reason = ScanProtobuf(plan, value, begin, &columns); reason) [[unlikely]] {
      rows->Reject(*std::move(reason));
    } else {
      rows->EndRow();
    }
  }
  return absl::OkStatus();
}

ProtobufScanPlan* ProtobufValueReader::Frame(const Fetch& fetch, size_t record, size_t* begin,
                                             ProtobufPlans::Found* found) {
  int32_t id = 0;
  std::string in_header;
  const auto fail = [&](std::string why) {
    found->refused = std::move(why);
    return nullptr;
  };
  if (auto reason = FindSchemaId(place_, fetch, record, &id, begin, &in_header)) return fail(*std::move(reason));
  std::vector<int64_t> indexes;
  if (place_ != SchemaPlace::kNowhere) {
    const bool header = place_ == SchemaPlace::kHeader;
    const std::string_view value = *fetch.records()[record].value;
    const std::string_view all = header ? std::string_view(in_header) : value.substr(*begin);
    std::string_view rest = all;
    if (!TakeMessageIndexes(&rest, &indexes)) {
      return fail("the number of its schema isn't followed by the indexes of its message");
    }
    if (!header) *begin = value.size() - rest.size();
  }
  *found = plans_.Find(id, indexes);
  if (found->plan == nullptr) return nullptr;
  if (place_ != SchemaPlace::kHeader) {
    last_names_ = fetch.records()[record].value->substr(0, *begin);
    last_ = found->plan;
  }
  return found->plan;
}

}  // namespace tidemark
