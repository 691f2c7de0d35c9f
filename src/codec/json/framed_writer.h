// Rows as JSON objects behind the number of their schema, as Confluent's serializers write them. Used by one thread.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "src/codec/json/value_writer.h"

namespace tidemark {

class FramedJsonWriter final : public ValueWriter {
 public:
  // `prefix` stands in front of every value.
  FramedJsonWriter(const Schema& schema, const std::vector<size_t>& columns, std::string prefix)
      : prefix_(std::move(prefix)), object_(schema, columns) {}

  absl::Status Write(const std::vector<ColumnView>& columns, absl::Span<const int32_t> rows, TextBuffer* out,
                     std::vector<size_t>* ends) override {
    ends->resize(rows.size());
    for (size_t i = 0; i < rows.size(); ++i) {
      out->Append(prefix_);
      object_.Write(columns, rows[i], out);
      (*ends)[i] = out->size();
    }
    return absl::OkStatus();
  }

 private:
  const std::string prefix_;
  const JsonObjectWriter object_;
};

}  // namespace tidemark
