// The formats that there are, by name: what the planner checks topologies with, and where readers and writers of a
// plan's specs are made. Immutable once built; any thread.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "src/codec/format.h"

namespace tidemark {

class Formats {
 public:
  // Those that Tidemark has.
  Formats();
  // One more, or another one in place of that of its name. It lives as long as this does.
  void Set(const Format* format);

  // For PlanFromYaml; in the order in which messages name them.
  FormatList list() const { return {formats_.begin(), formats_.end()}; }

  // InvalidArgument: there is no such format, or it isn't read, or written.
  absl::StatusOr<std::unique_ptr<ValueReader>> MakeReader(const FormatSpec& spec,
                                                          const std::vector<ReadTarget>& targets) const;
  // Null: no column comes from the key.
  absl::StatusOr<std::unique_ptr<KeyReader>> MakeKeyReader(const FormatSpec& spec,
                                                           const std::vector<ReadTarget>& targets) const;
  absl::StatusOr<std::unique_ptr<ValueWriter>> MakeWriter(const FormatSpec& spec, const Schema& schema,
                                                          const std::vector<size_t>& columns) const;
  absl::StatusOr<std::optional<SchemaToRegister>> Registers(const FormatSpec& spec, const Schema& schema,
                                                            const std::vector<size_t>& columns) const;
  // Of no columns: records without keys.
  absl::StatusOr<std::unique_ptr<KeyWriter>> MakeKeyWriter(const FormatSpec& spec, const Schema& schema,
                                                           const std::vector<size_t>& columns) const;

 private:
  absl::StatusOr<const Format*> Find(std::string_view name) const;

  std::vector<const Format*> formats_;
};

// Those that Tidemark has.
const Formats& OwnFormats();

}  // namespace tidemark
