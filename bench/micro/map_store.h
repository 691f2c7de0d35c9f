// A StateStore in memory, without commits: what operators cost by themselves.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "state/store.h"

namespace tidemark {

class MapStore final : public StateStore {
 public:
  absl::StatusOr<std::optional<std::string>> Get(std::string_view key) override {
    const auto it = map_.find(key);
    return it == map_.end() ? std::nullopt : std::optional<std::string>(it->second);
  }
  void Put(std::string_view key, std::string_view value) override {
    map_.insert_or_assign(std::string(key), std::string(value));
  }
  void Delete(std::string_view key) override { map_.erase(std::string(key)); }
  std::unique_ptr<StateIterator> Scan(std::string_view begin, std::string_view end) override {
    return std::make_unique<Iterator>(map_.lower_bound(begin), map_.lower_bound(end));
  }

 private:
  using Map = std::map<std::string, std::string, std::less<>>;
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
  Map map_;
};

}  // namespace tidemark
