// Records whose value is one JSON object, a row each; or, where it is said, an array of them, a row an object. JSON is
// parsed straight into columns (text.h says why not with simdjson): no row objects. Used by one thread.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <absl/status/status.h>

#include "src/codec/json/object_reader.h"
#include "src/codec/value_reader.h"

namespace tidemark {

class JsonValueReader final : public ValueReader {
 public:
  explicit JsonValueReader(const std::vector<ReadTarget>& targets, bool array = false)
      : object_(targets), array_(array) {}

  absl::Status Read(const Fetch& fetch, size_t first, size_t last, RecordRows* rows) override;

 private:
  void ReadObjects(std::span<const RecordView> records, size_t first, size_t last, RecordRows* rows);
  void ReadArrays(std::span<const RecordView> records, size_t first, size_t last, RecordRows* rows);

  JsonObjectReader object_;
  const bool array_;
};

}  // namespace tidemark
