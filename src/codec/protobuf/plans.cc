#include "src/codec/protobuf/plans.h"

#include <limits>

#include <absl/strings/str_cat.h>

#include "src/base/varint.h"

namespace tidemark {
namespace {

// Messages within each other.
constexpr int64_t kMostIndexes = 64;

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

ProtobufPlans::Found ProtobufPlans::Find(int32_t id, const std::vector<int64_t>& indexes) {
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
const ProtobufPlans::Schema* ProtobufPlans::FindSchema(int32_t id, Found* found) {
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
