// Memory for byte strings that all end together: many small keys or values without an allocation each. Not thread-safe.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace tidemark {

// Keeps bytes where they are until it ends.
class ByteArena {
 public:
  const char* Add(std::string_view bytes) {
    if (bytes.size() > left_ || chunks_.empty()) NewChunk(bytes.size());
    char* const to = at_;
    std::memcpy(to, bytes.data(), bytes.size());
    at_ += bytes.size();
    left_ -= bytes.size();
    return to;
  }
  size_t MemoryBytes() const { return bytes_; }

 private:
  static constexpr size_t kFirstChunk = 256, kLargestChunk = 64 << 10;

  void NewChunk(size_t least) {
    left_ = std::max(least, std::clamp(bytes_, kFirstChunk, kLargestChunk));
    chunks_.push_back(std::make_unique_for_overwrite<char[]>(left_));
    at_ = chunks_.back().get();
    bytes_ += left_;
  }

  std::vector<std::unique_ptr<char[]>> chunks_;
  char* at_ = nullptr;
  size_t left_ = 0, bytes_ = 0;
};

}  // namespace tidemark
