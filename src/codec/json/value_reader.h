// Records whose value is one JSON object, a row each. JSON is parsed straight into columns (text.h says why not with
// simdjson): no row objects. Used by one thread.
#pragma once

#include <cstddef>
#include <vector>

#include <absl/status/status.h>

#include "src/codec/json/object_reader.h"
#include "src/codec/value_reader.h"

namespace tidemark {

class JsonValueReader final : public ValueReader {
 public:
  explicit JsonValueReader(const std::vector<ReadTarget>& targets) : object_(targets) {}

  absl::Status Read(const Fetch& fetch, size_t first, size_t last, RecordRows* rows) override;

 private:
  JsonObjectReader object_;
};

}  // namespace tidemark
