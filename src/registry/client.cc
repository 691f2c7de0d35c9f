#include "src/registry/client.h"

#include <algorithm>
#include <utility>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/time/time.h>
#include <glog/logging.h>

#include "src/base/clock.h"
#include "src/base/status.h"
#include "src/base/time.h"
#include "src/codec/column_text.h"

namespace tidemark {
namespace {

constexpr int64_t kFirstPauseUs = 100 * kMillisecond, kLongestPauseUs = 5 * kSecond;
constexpr int64_t kUnknownForUs = 30 * kSecond;
// Numbers without a schema are forgotten beyond so many: records may name any.
constexpr size_t kMostEntries = 10'000;
constexpr int kDeepestReference = 32;

std::string Escaped(const std::string& part) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : part) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.' || c == '~') {
      out.push_back(c);
    } else {
      out.push_back('%');
      out.push_back(kHex[static_cast<unsigned char>(c) >> 4]);
      out.push_back(kHex[static_cast<unsigned char>(c) & 15]);
    }
  }
  return out;
}

std::string Quoted(const std::string& text) {
  std::string json;
  TextBuffer out(&json);
  WriteJsonString(text, &out);
  json.resize(out.size());
  return json;
}

std::string AsBody(const WrittenSchema& schema) {
  const std::string type = schema.type == "AVRO" ? "" : absl::StrCat(R"("schemaType":)", Quoted(schema.type), ",");
  return absl::StrCat("{", type, R"("schema":)", Quoted(schema.text), "}");
}

int32_t Number(const JsonTree& answer, std::string_view name) {
  const JsonTree* const found = answer.Find(name);
  int32_t number = 0;
  return found != nullptr && absl::SimpleAtoi(found->text, &number) ? number : 0;
}

}  // namespace

RegistryClient::RegistryClient(const RegistrySpec& spec, std::unique_ptr<RegistryHttp> http)
    : name_(absl::StrJoin(spec.urls, ", ")), http_(http != nullptr ? std::move(http) : NewRegistryHttp(spec)) {}

RegistryClient::~RegistryClient() {
  std::thread thread;
  {
    const absl::MutexLock lock(&mutex_);
    stopping_ = true;
    work_.SignalAll();
    thread = std::move(thread_);
  }
  http_->Interrupt();
  if (thread.joinable()) thread.join();
}

std::string RegistryClient::Named(int32_t id) const { return absl::StrCat("schema ", id, " of ", name_); }

SchemaLookup::Answer RegistryClient::Find(int32_t id) {
  const absl::MutexLock lock(&mutex_);
  const auto known = entries_.find(id);
  if (known != entries_.end()) {
    if (known->second.answer.schema == nullptr && !std::exchange(known->second.wanted, true)) work_.SignalAll();
    return known->second.answer;
  }
  if (entries_.size() >= kMostEntries) {
    std::erase_if(entries_, [](const auto& entry) { return entry.second.answer.schema == nullptr; });
  }
  Entry& entry = entries_[id];
  entry.answer.later = true;
  entry.answer.what = Named(id);
  if (!thread_.joinable()) thread_ = std::thread([this] { Loop(); });
  work_.SignalAll();
  return entry.answer;
}

bool RegistryClient::Next(int32_t* id, int64_t* wait_us) {
  const int64_t now = SystemClock()->MonotonicUs();
  int64_t first = now + kUnknownForUs;
  for (const auto& [number, entry] : entries_) {
    if (!entry.wanted || entry.answer.schema != nullptr || entry.ask_at_us > first) continue;
    first = entry.ask_at_us;
    *id = number;
  }
  *wait_us = first - now;
  return *wait_us <= 0;
}

void RegistryClient::Loop() {
  mutex_.Lock();
  while (!stopping_) {
    int32_t id = 0;
    int64_t wait_us = 0;
    if (!Next(&id, &wait_us)) {
      work_.WaitWithTimeout(&mutex_, absl::Microseconds(wait_us));
      continue;
    }
    mutex_.Unlock();
    Answer answer = Fetch(id);
    mutex_.Lock();
    const auto found = entries_.find(id);
    if (found == entries_.end()) continue;
    Entry& entry = found->second;
    const int64_t pause =
        answer.later ? std::min(kLongestPauseUs, kFirstPauseUs << std::min(entry.failures, 10)) : kUnknownForUs;
    entry.failures = answer.later ? entry.failures + 1 : 0;
    entry.wanted = false;
    entry.ask_at_us = SystemClock()->MonotonicUs() + pause;
    entry.answer = std::move(answer);
  }
  mutex_.Unlock();
}

SchemaLookup::Answer RegistryClient::Fetch(int32_t id) {
  Answer answer;
  absl::StatusOr<WrittenSchema> schema = absl::UnknownError("");
  absl::StatusOr<JsonTree> found = Call(absl::StrCat("/schemas/ids/", id));
  if (found.ok()) {
    schema = ReadSchema(*found);
  } else {
    schema = found.status();
  }
  if (schema.ok()) {
    answer.schema = std::make_shared<const WrittenSchema>(*std::move(schema));
    LOG(INFO) << Named(id) << " is here";
    return answer;
  }
  answer.later = !absl::IsNotFound(schema.status());
  answer.what = answer.later ? absl::StrCat(Named(id), " (", std::string(schema.status().message()), ")")
                             : absl::StrCat("the registry ", name_, " knows no schema ", id, ": ",
                                            std::string(schema.status().message()));
  return answer;
}

absl::StatusOr<JsonTree> RegistryClient::Call(const std::string& path, const std::string& body) {
  const RegistryAnswer answer = http_->Call(path, body);
  if (answer.status == 0) return absl::UnavailableError(absl::StrCat("no answer: ", answer.error));
  absl::StatusOr<JsonTree> tree = ParseJson(answer.body);
  const std::string message = tree.ok() ? std::string(tree->Text("message")) : "";
  if (answer.status == 200) {
    if (!tree.ok()) return absl::UnavailableError("its answer isn't JSON: is this a registry's address?");
    return tree;
  }
  const std::string said = absl::StrCat("it answers ", answer.status, message.empty() ? "" : ": ", message);
  // What isn't there is said with a code of the registry's own; else something in between has answered.
  if (answer.status == 404 && tree.ok() && tree->Find("error_code") != nullptr) return absl::NotFoundError(said);
  if (answer.status == 409 || answer.status == 422) return absl::FailedPreconditionError(said);
  return absl::UnavailableError(said);
}

absl::StatusOr<WrittenSchema> RegistryClient::ReadSchema(const JsonTree& answer) {
  WrittenSchema schema;
  const JsonTree* const text = answer.Find("schema");
  if (text == nullptr || !text->is(JsonTree::Kind::kString)) {
    return absl::UnavailableError("its answer has no schema: is this a registry's address?");
  }
  schema.text = text->text;
  const std::string_view type = answer.Text("schemaType");
  schema.type = type.empty() ? "AVRO" : std::string(type);
  TM_RETURN_IF_ERROR(AddReferences(answer, 0, &schema));
  return schema;
}

// Depth first, so that each comes behind what it needs.
absl::Status RegistryClient::AddReferences(const JsonTree& answer, int depth, WrittenSchema* schema) {
  const JsonTree* const references = answer.Find("references");
  if (references == nullptr) return absl::OkStatus();
  if (depth > kDeepestReference) return absl::NotFoundError("its references refer to each other");
  for (const JsonTree& reference : references->items) {
    const std::string name(reference.Text("name")), subject(reference.Text("subject"));
    const auto has = [&](const WrittenSchema::Reference& other) { return other.name == name; };
    if (std::any_of(schema->references.begin(), schema->references.end(), has)) continue;
    TM_ASSIGN_OR_RETURN(const JsonTree found,
                        Call(absl::StrCat("/subjects/", Escaped(subject), "/versions/", Number(reference, "version"))));
    TM_RETURN_IF_ERROR(AddReferences(found, depth + 1, schema));
    schema->references.push_back({name, std::string(found.Text("schema"))});
  }
  return absl::OkStatus();
}

absl::StatusOr<WrittenSchema> RegistryClient::Latest(const std::string& subject) {
  const std::string what = absl::StrCat("subject ", subject, " of ", name_);
  const absl::StatusOr<JsonTree> answer = Call(absl::StrCat("/subjects/", Escaped(subject), "/versions/latest"));
  if (!answer.ok()) return Annotate(answer.status(), what);
  absl::StatusOr<WrittenSchema> schema = ReadSchema(*answer);
  if (!schema.ok()) return Annotate(schema.status(), what);
  return schema;
}

absl::Status RegistryClient::CheckCompatible(const std::string& subject, const WrittenSchema& schema) {
  const std::string what = absl::StrCat("subject ", subject, " of ", name_);
  const absl::StatusOr<JsonTree> answer =
      Call(absl::StrCat("/compatibility/subjects/", Escaped(subject), "/versions/latest?verbose=true"), AsBody(schema));
  if (absl::IsNotFound(answer.status())) return absl::OkStatus();
  if (!answer.ok()) return Annotate(answer.status(), what);
  const JsonTree* const fits = answer->Find("is_compatible");
  if (fits != nullptr && fits->is(JsonTree::Kind::kTrue)) return absl::OkStatus();
  std::vector<std::string> messages;
  if (const JsonTree* said = answer->Find("messages")) {
    for (const JsonTree& message : said->items) messages.push_back(message.text);
  }
  if (const std::string_view reason = answer->Text("reason"); !reason.empty()) messages.emplace_back(reason);
  return absl::FailedPreconditionError(
      absl::StrCat(what, ": the sink's schema can't follow the newest one there: ",
                   messages.empty() ? "it isn't compatible" : absl::StrJoin(messages, "; ")));
}

absl::Status RegistryClient::Register(const std::string& subject, const WrittenSchema& schema) {
  TM_RETURN_IF_ERROR(CheckCompatible(subject, schema));
  const absl::StatusOr<JsonTree> answer =
      Call(absl::StrCat("/subjects/", Escaped(subject), "/versions"), AsBody(schema));
  if (!answer.ok()) return Annotate(answer.status(), absl::StrCat("subject ", subject, " of ", name_));
  const absl::MutexLock lock(&mutex_);
  registered_[{subject, schema.text}] = Number(*answer, "id");
  return absl::OkStatus();
}

SchemaLookup::Answer RegistryClient::Registered(const std::string& subject, const WrittenSchema& schema, int32_t* id) {
  const absl::MutexLock lock(&mutex_);
  const auto found = registered_.find({subject, schema.text});
  if (found == registered_.end()) {
    return {nullptr, false, absl::StrCat("subject ", subject, " of ", name_, " isn't registered")};
  }
  *id = found->second;
  return {};
}

}  // namespace tidemark
