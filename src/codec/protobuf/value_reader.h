// Records whose value is one message, a row each: of a type in a file, or each naming its schema by a number and its
// type by its place in that (Confluent's framing: a byte 0, the number in four bytes, how many indexes follow and
// these, as zigzag varints; the first message of a schema is written 0 or 1, 0). A plan is compiled for each type when
// its first record comes, so that a batch may hold records of many. Used by one thread.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <absl/status/status.h>

#include "src/codec/protobuf/plans.h"

namespace tidemark {

class ProtobufValueReader final : public ValueReader {
 public:
  ProtobufValueReader(ProtobufReaderOptions options, std::vector<ReadTarget> targets)
      : place_(options.place), plans_(std::move(options), std::move(targets)) {}

  absl::Status Read(const Fetch& fetch, size_t first, size_t last, RecordRows* rows) override;

 private:
  ProtobufScanPlan* Frame(const Fetch& fetch, size_t record, size_t* begin, ProtobufPlans::Found* found);

  const SchemaPlace place_;
  ProtobufPlans plans_;
  std::string last_names_;
  ProtobufScanPlan* last_ = nullptr;
};

}  // namespace tidemark
