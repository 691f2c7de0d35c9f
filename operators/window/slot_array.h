// An array that grows at its end and never moves what is in it: in pieces, so that growing neither copies nor needs the
// old and the new memory at once. Indexing costs one load more than a vector's, from a table that stays in the cache.
// What GroupSet keeps its groups in. Not thread-safe.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace tidemark {

template <typename T>
class SlotArray {
 public:
  T& operator[](size_t i) { return pieces_[i / kPiece][i % kPiece]; }
  const T& operator[](size_t i) const { return pieces_[i / kPiece][i % kPiece]; }
  size_t size() const { return size_; }
  size_t MemoryBytes() const { return pieces_.size() * kPiece * sizeof(T); }

  // Returns the index of a new element, T().
  size_t Grow() {
    if (size_ == pieces_.size() * kPiece) pieces_.push_back(std::make_unique<T[]>(kPiece));
    (*this)[size_] = T();
    return size_++;
  }
  // Keeps the memory.
  void Clear() { size_ = 0; }

 private:
  static constexpr size_t kPiece = 512;  // a power of two

  std::vector<std::unique_ptr<T[]>> pieces_;
  size_t size_ = 0;
};

}  // namespace tidemark
