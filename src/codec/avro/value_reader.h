// Records whose value is one Avro record, a row each: all written with one schema, or each naming its own by the number
// in front of it (Confluent's framing: a byte 0, the number in four bytes, big-endian). A batch may hold records of
// many schemas. Used by one thread.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include <absl/status/status.h>

#include "src/codec/avro/writers.h"

namespace tidemark {

class AvroValueReader final : public ValueReader {
 public:
  AvroValueReader(AvroReaderOptions options, std::vector<ReadTarget> targets)
      : place_(options.place), writers_(std::move(options), std::move(targets)) {}

  absl::Status Read(const Fetch& fetch, size_t first, size_t last, RecordRows* rows) override;

 private:
  const SchemaPlace place_;
  AvroWriters writers_;
  int32_t last_id_ = 0;
  AvroWriters::Writer* last_ = nullptr;
};

}  // namespace tidemark
