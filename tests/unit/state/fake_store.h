// A StateStore in memory with commits: what was written since the last Commit vanishes with Rollback.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "state/store.h"

namespace tidemark {

class FakeStore final : public StateStore {
 public:
  using Map = std::map<std::string, std::string, std::less<>>;

  absl::StatusOr<std::optional<std::string>> Get(std::string_view key) override {
    const auto it = live_.find(key);
    if (it == live_.end()) return std::nullopt;
    return it->second;
  }
  void Put(std::string_view key, std::string_view value) override {
    EXPECT_LE(value.size(), kMaxValueBytes);
    written_bytes_ += static_cast<int64_t>(key.size() + value.size());
    live_.insert_or_assign(std::string(key), std::string(value));
  }
  void Delete(std::string_view key) override {
    const auto it = live_.find(key);
    if (it != live_.end()) live_.erase(it);
  }
  void NeedFormat(uint32_t format) override { needs_format_ = format; }
  uint32_t needs_format() const { return needs_format_; }
  std::unique_ptr<StateIterator> Scan(std::string_view begin, std::string_view end) override {
    return std::make_unique<Iterator>(live_.lower_bound(begin), end.empty() ? live_.end() : live_.lower_bound(end));
  }

  void Commit() { committed_ = live_; }
  void Rollback() { live_ = committed_; }

  const Map& live() const { return live_; }
  int64_t written_bytes() const { return written_bytes_; }
  // Keys that begin with `prefix`.
  int64_t Count(std::string_view prefix) const {
    int64_t count = 0;
    for (const auto& [key, value] : live_) count += key.starts_with(prefix);
    return count;
  }

 private:
  class Iterator final : public StateIterator {
   public:
    Iterator(Map::const_iterator at, Map::const_iterator end) : at_(at), end_(end) {}
    bool Valid() const override { return at_ != end_; }
    std::string_view key() const override { return at_->first; }
    std::string_view value() const override { return at_->second; }
    void Next() override { ++at_; }
    absl::Status status() const override { return absl::OkStatus(); }

   private:
    Map::const_iterator at_, end_;
  };

  Map live_, committed_;
  int64_t written_bytes_ = 0;
  uint32_t needs_format_ = 0;
};

}  // namespace tidemark
