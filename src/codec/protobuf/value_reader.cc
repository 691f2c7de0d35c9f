#include "src/codec/protobuf/value_reader.h"

#include <limits>

#include <absl/strings/str_cat.h>

#include "src/base/varint.h"
#include "src/codec/record_rows.h"

namespace tidemark {
namespace {

// As in json/value_reader.cc.
constexpr size_t kAhead = 8;
// Messages within each other.
constexpr int64_t kMostIndexes = 64;

void Prefetch(const RecordView& record) {
  if (!record.value) return;
  for (int line = 0; line < 2; ++line) __builtin_prefetch(record.value->data() + 64 * line);
}

// A count or an index, zigzag: never below 0, nor of more than 31 bits.
bool TakeIndex(std::string_view* from, int64_t* out) {
  uint64_t bits = 0;
  if (!TakeVarint(from, &bits) || bits > std::numeric_limits<uint32_t>::max() || (bits & 1) != 0) return false;
  *out = static_cast<int64_t>(bits >> 1);
  return true;
}

}  // namespace

bool TakeMessageIndexes(std::string_view* from, std::vector<int64_t>* indexes) {
  indexes->clear();
  int64_t count = 0;
  if (!TakeIndex(from, &count) || count > kMostIndexes) return false;
  if (count == 0) indexes->push_back(0);
  for (; count > 0; --count) {
    if (!TakeIndex(from, &indexes->emplace_back())) return false;
  }
  return true;
}

std::string MessageIndexes(const std::vector<int64_t>& indexes) {
  if (indexes.size() == 1 && indexes[0] == 0) return std::string(1, '\0');
  std::string bytes;
  AppendVarint(indexes.size() * 2, &bytes);
  for (const int64_t index : indexes) AppendVarint(static_cast<uint64_t>(index) * 2, &bytes);
  return bytes;
}

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
    if (options_.place != SchemaPlace::kHeader && last_ != nullptr && value.starts_with(last_names_)) [[likely]] {
      plan = last_;
      begin = last_names_.size();
    } else {
      Found found;
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

ProtobufScanPlan* ProtobufValueReader::Frame(const Fetch& fetch, size_t record, size_t* begin, Found* found) {
  int32_t id = 0;
  std::string in_header;
  const auto fail = [&](std::string why) {
    found->refused = std::move(why);
    return nullptr;
  };
  if (auto reason = FindSchemaId(options_.place, fetch, record, &id, begin, &in_header))
    return fail(*std::move(reason));
  std::vector<int64_t> indexes;
  if (options_.place != SchemaPlace::kNowhere) {
    const bool header = options_.place == SchemaPlace::kHeader;
    const std::string_view value = *fetch.records()[record].value;
    const std::string_view all = header ? std::string_view(in_header) : value.substr(*begin);
    std::string_view rest = all;
    if (!TakeMessageIndexes(&rest, &indexes)) {
      return fail("the number of its schema isn't followed by the indexes of its message");
    }
    if (!header) *begin = value.size() - rest.size();
  }
  *found = Find(id, indexes);
  if (found->plan == nullptr) return nullptr;
  if (options_.place != SchemaPlace::kHeader) {
    last_names_ = fetch.records()[record].value->substr(0, *begin);
    last_ = found->plan;
  }
  return found->plan;
}

ProtobufValueReader::Found ProtobufValueReader::Find(int32_t id, const std::vector<int64_t>& indexes) {
  // Whatever number records name, a schema that was given is that of all.
  if (options_.schema != nullptr) id = 0;
  // Numbers have many spellings, and none of them is to take memory of its own.
  const std::string key = SchemaIdPrefix(id) + (indexes.empty() ? "" : MessageIndexes(indexes));
  Found found;
  if (const auto known = plans_.find(key); known != plans_.end()) {
    found.plan = known->second.get();
    return found;
  }
  const auto refuse = [&](const std::string& why) {
    found.refused = options_.schema != nullptr ? why : absl::StrCat("schema ", id, ": ", why);
    return found;
  };
  const Schema* const schema = FindSchema(id, &found);
  if (schema == nullptr) return found;
  if (schema->schema == nullptr) return refuse(schema->refused);
  const google::protobuf::Descriptor* message = nullptr;
  if (indexes.empty()) {
    const auto named = schema->schema->NamedOrFirst(options_.message);
    if (!named.ok()) return refuse(std::string(named.status().message()));
    message = *named;
  } else {
    message = schema->schema->At(indexes);
    if (!options_.message.empty()) {
      const auto* const compiled = schema->schema->AtCompiled(indexes);
      if (compiled != nullptr && compiled == schema->schema->Named(options_.message)) message = compiled;
    }
    if (message == nullptr) return refuse("it has no message at the place that the record names");
    if (!options_.message.empty() && schema->schema->Named(options_.message) != message) {
      return refuse(absl::StrCat("the record is a ", message->full_name(), ", not a ", options_.message));
    }
  }
  auto plan = CompileProtobuf(*message, targets_, schema->schema);
  if (!plan.ok()) return refuse(std::string(plan.status().message()));
  found.plan = (plans_[key] = std::make_unique<ProtobufScanPlan>(*std::move(plan))).get();
  return found;
}

// Null: it isn't here, and `found` says more.
const ProtobufValueReader::Schema* ProtobufValueReader::FindSchema(int32_t id, Found* found) {
  if (const auto known = schemas_.find(id); known != schemas_.end()) return &known->second;
  Schema schema;
  if (options_.schema != nullptr) {
    schema.schema = options_.schema;
  } else {
    SchemaLookup::Answer answer = options_.lookup->Find(id);
    if (answer.schema == nullptr) {
      (answer.later ? found->later : found->refused) = std::move(answer.what);
      return nullptr;
    }
    if (answer.schema->type != "PROTOBUF") {
      schema.refused = absl::StrCat("it is one of ", answer.schema->type, ", not of Protobuf");
    } else if (auto parsed = ProtobufSchema::Parse(answer.schema->text, answer.schema->references); parsed.ok()) {
      schema.schema = *std::move(parsed);
    } else {
      schema.refused = std::string(parsed.status().message());
    }
  }
  return &(schemas_[id] = std::move(schema));
}

}  // namespace tidemark
