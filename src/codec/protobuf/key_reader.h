// Record keys in Protobuf: a message whose fields are the columns. Used by one thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/codec/key_reader.h"
#include "src/codec/protobuf/plans.h"

namespace tidemark {

class ProtobufKeyReader final : public KeyReader {
 public:
  // Schemas and messages stand in front of the keys, or nowhere.
  ProtobufKeyReader(ProtobufReaderOptions options, std::vector<ReadTarget> targets)
      : framed_(options.place == SchemaPlace::kPrefix), plans_(std::move(options), std::move(targets)) {}

  std::optional<std::string> Read(std::string_view key, ColumnSet* columns) override {
    waits_for_.clear();
    if (last_ == nullptr || !key.starts_with(last_names_)) [[unlikely]] {
      if (auto reason = Find(key)) return reason;
    }
    return ScanProtobuf(last_, key, last_names_.size(), columns);
  }
  std::string_view waits_for() const override { return waits_for_; }

 private:
  std::optional<std::string> Find(std::string_view key) {
    last_ = nullptr;
    int32_t id = 0;
    std::vector<int64_t> indexes;
    std::string_view rest = key;
    if (framed_ && !ReadSchemaId(key, &id)) {
      return "it doesn't begin with the number of a schema (a byte 0 and four more)";
    }
    if (framed_) rest.remove_prefix(kSchemaIdBytes);
    if (framed_ && !TakeMessageIndexes(&rest, &indexes)) {
      return "the number of its schema isn't followed by the indexes of its message";
    }
    ProtobufPlans::Found found = plans_.Find(id, indexes);
    if (!found.later.empty()) return waits_for_ = std::move(found.later);
    if (found.plan == nullptr) return std::move(found.refused);
    last_names_ = key.substr(0, key.size() - rest.size());
    last_ = found.plan;
    return std::nullopt;
  }

  const bool framed_;
  ProtobufPlans plans_;
  std::string last_names_;
  ProtobufScanPlan* last_ = nullptr;
  std::string waits_for_;
};

}  // namespace tidemark
