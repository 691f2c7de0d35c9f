// A schema registry that speaks Confluent's REST API. Schemas by their numbers are kept for good, as a number never
// means another one; those that aren't here are fetched by a thread of its own, with growing pauses while the registry
// is away. A number that the registry doesn't know is asked for again after half a minute: it may be a copy that lags.
//
// Find answers at once; everything else waits for the registry and is for the start. Any thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include "src/codec/json/tree.h"
#include "src/codec/schema_lookup.h"
#include "src/plan/registry_spec.h"
#include "src/registry/http.h"

namespace tidemark {

class RegistryClient final : public SchemaLookup {
 public:
  explicit RegistryClient(const RegistrySpec& spec, std::unique_ptr<RegistryHttp> http = nullptr);
  ~RegistryClient() override;

  Answer Find(int32_t id) override;
  Answer Registered(const std::string& subject, const WrittenSchema& schema, int32_t* id) override;

  // The newest version. NotFound: there is no such subject. Unavailable: the registry is away, or refuses to answer.
  absl::StatusOr<WrittenSchema> Latest(const std::string& subject);
  // Whether the schema may follow what the subject has, by the rule that the registry keeps for it; a subject that
  // isn't there takes anything. FailedPrecondition: it may not, in the registry's words.
  absl::Status CheckCompatible(const std::string& subject, const WrittenSchema& schema);
  // Registers it, where it isn't yet, after that check; Registered knows it from then on.
  absl::Status Register(const std::string& subject, const WrittenSchema& schema);

  const std::string& name() const { return name_; }

 private:
  // A number that was asked for.
  struct Entry {
    Answer answer;
    int64_t ask_at_us = 0;  // monotonic; while there is no schema
    int failures = 0;       // in a row
    bool wanted = true;     // asked for since it was last fetched
  };

  void Loop();
  // The number to fetch next, or how long there is none to fetch. False: it is time to end.
  bool Next(int32_t* id, int64_t* wait_us) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Answer Fetch(int32_t id);
  std::string Named(int32_t id) const;
  // NotFound: the registry says that there is no such thing. Unavailable: it is away, or refuses to say.
  absl::StatusOr<JsonTree> Call(const std::string& path, const std::string& body = "");
  absl::StatusOr<WrittenSchema> ReadSchema(const JsonTree& answer);
  absl::Status AddReferences(const JsonTree& answer, int depth, WrittenSchema* schema);

  const std::string name_;  // for people: its addresses
  const std::unique_ptr<RegistryHttp> http_;

  absl::Mutex mutex_;
  absl::CondVar work_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<int32_t, Entry> entries_ ABSL_GUARDED_BY(mutex_);
  std::map<std::pair<std::string, std::string>, int32_t> registered_ ABSL_GUARDED_BY(mutex_);  // by subject and text
  std::thread thread_ ABSL_GUARDED_BY(mutex_);  // since the first number was asked for
};

}  // namespace tidemark
