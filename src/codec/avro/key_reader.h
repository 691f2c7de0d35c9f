// Record keys in Avro: a record whose fields are the columns, or a value by itself, which is the one column. Used by
// one thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/codec/avro/writers.h"
#include "src/codec/key_reader.h"

namespace tidemark {

class AvroKeyReader final : public KeyReader {
 public:
  // Schemas stand in front of the keys, or nowhere.
  AvroKeyReader(AvroReaderOptions options, std::vector<ReadTarget> targets)
      : framed_(options.place == SchemaPlace::kPrefix), writers_(std::move(options), std::move(targets)) {}

  std::optional<std::string> Read(std::string_view key, ColumnSet* columns) override {
    waits_for_.clear();
    int32_t id = 0;
    if (framed_ && !ReadSchemaId(key, &id)) {
      return "it doesn't begin with the number of a schema (a byte 0 and four more)";
    }
    if (last_ == nullptr || id != last_id_) [[unlikely]] {
      SchemaLookup::Answer answer;
      last_ = writers_.Find(id, &answer);
      last_id_ = id;
      if (last_ == nullptr && answer.later) waits_for_ = answer.what;
      if (last_ == nullptr) return answer.what;
    }
    if (!last_->refused.empty()) return last_->refused;
    return ScanAvro(last_->plan, key, framed_ ? kSchemaIdBytes : 0, columns);
  }
  bool numbered() const override { return framed_; }
  std::string_view waits_for() const override { return waits_for_; }

 private:
  const bool framed_;
  AvroWriters writers_;
  int32_t last_id_ = 0;
  AvroWriters::Writer* last_ = nullptr;
  std::string waits_for_;
};

}  // namespace tidemark
