// Keys that are written as a format's values are: every row has one. Used by one thread.
#pragma once

#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "src/base/status.h"
#include "src/codec/key_writer.h"
#include "src/codec/value_writer.h"

namespace tidemark {

class ValuesAsKeys final : public KeyWriter {
 public:
  explicit ValuesAsKeys(std::unique_ptr<ValueWriter> values) : values_(std::move(values)) {}

  absl::Status Write(const std::vector<ColumnView>& columns, int64_t rows, TextBuffer* out,
                     std::vector<KeyEnd>* keys) override {
    if (static_cast<int64_t>(all_.size()) < rows) {
      all_.resize(static_cast<size_t>(rows));
      std::iota(all_.begin(), all_.end(), 0);
    }
    const auto count = static_cast<size_t>(rows);
    TM_RETURN_IF_ERROR(values_->Write(columns, absl::MakeConstSpan(all_.data(), count), out, &ends_));
    keys->resize(count);
    for (size_t i = 0; i < count; ++i) (*keys)[i] = {ends_[i], true};
    return absl::OkStatus();
  }

 private:
  const std::unique_ptr<ValueWriter> values_;
  std::vector<int32_t> all_;  // 0, 1, 2, ...
  std::vector<size_t> ends_;
};

}  // namespace tidemark
