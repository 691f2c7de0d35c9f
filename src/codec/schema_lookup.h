// Where formats whose records name their schema by a number find it: a registry (src/registry/client.h), or a test. The
// answer comes at once, for whatever isn't here is fetched by somebody else and asked for again. Any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace tidemark {

// A schema as it was registered.
struct WrittenSchema {
  std::string type;  // AVRO, PROTOBUF, JSON
  std::string text;
  // Those that it refers to, each behind those that it refers to itself.
  struct Reference {
    std::string name;
    std::string text;
  };
  std::vector<Reference> references;
};

class SchemaLookup {
 public:
  struct Answer {
    std::shared_ptr<const WrittenSchema> schema;  // null: it isn't here
    bool later = false;                           // but may come
    std::string what;  // for people: what is waited for, "schema 7 of http://registry:8081"; or why there is none
  };

  virtual ~SchemaLookup() = default;

  virtual Answer Find(int32_t id) = 0;
  // The number under which a sink's schema was registered at the start; `what` says why, where it wasn't.
  virtual Answer Registered(const std::string& subject, const WrittenSchema& schema, int32_t* id) = 0;
};

}  // namespace tidemark
