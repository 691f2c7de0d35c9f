// The formats that values of records may have, by name: how each is read and written. Which names a topology may say,
// the planner knows (proto/topology.proto); until it knows a second one, plans don't carry any. Immutable once built;
// any thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "src/base/schema.h"
#include "src/codec/value_reader.h"
#include "src/codec/value_writer.h"

namespace tidemark {

inline constexpr char kJsonFormat[] = "json";

struct ValueFormat {
  // `targets`: where the columns stand in a value. Null: the format isn't read.
  std::function<std::unique_ptr<ValueReader>(const std::vector<ReadTarget>& targets)> reader;
  // `schema`: the columns that make a value. Null: the format isn't written.
  std::function<std::unique_ptr<ValueWriter>(const Schema& schema)> writer;
};

class Formats {
 public:
  // Those that Tidemark has.
  Formats();
  // One more, or another one under a name that is there.
  void Set(const std::string& name, ValueFormat format) { formats_[name] = std::move(format); }

  // InvalidArgument: there is no such format, or it isn't read, or written.
  absl::StatusOr<std::unique_ptr<ValueReader>> MakeReader(std::string_view name,
                                                          const std::vector<ReadTarget>& targets) const;
  absl::StatusOr<std::unique_ptr<ValueWriter>> MakeWriter(std::string_view name, const Schema& schema) const;

 private:
  absl::Status Unknown(std::string_view name, std::string_view use) const;

  std::map<std::string, ValueFormat, std::less<>> formats_;
};

// Those that Tidemark has.
const Formats& OwnFormats();

}  // namespace tidemark
