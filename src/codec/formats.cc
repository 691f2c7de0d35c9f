#include "src/codec/formats.h"

#include <utility>

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include "src/codec/json/value_reader.h"
#include "src/codec/json/value_writer.h"

namespace tidemark {

Formats::Formats() {
  Set(kJsonFormat, {[](const std::vector<ReadTarget>& targets) { return std::make_unique<JsonValueReader>(targets); },
                    [](const Schema& schema) { return std::make_unique<JsonValueWriter>(schema); }});
}

absl::StatusOr<std::unique_ptr<ValueReader>> Formats::MakeReader(std::string_view name,
                                                                 const std::vector<ReadTarget>& targets) const {
  const auto found = formats_.find(name);
  if (found == formats_.end() || !found->second.reader) return Unknown(name, "read");
  return found->second.reader(targets);
}

absl::StatusOr<std::unique_ptr<ValueWriter>> Formats::MakeWriter(std::string_view name, const Schema& schema) const {
  const auto found = formats_.find(name);
  if (found == formats_.end() || !found->second.writer) return Unknown(name, "written");
  return found->second.writer(schema);
}

absl::Status Formats::Unknown(std::string_view name, std::string_view use) const {
  std::string known;
  for (const auto& [other, format] : formats_) absl::StrAppend(&known, known.empty() ? "" : ", ", other);
  return absl::InvalidArgumentError(absl::StrCat("format '", std::string(name), "' isn't one that can be ",
                                                 std::string(use), "; there are: ", known));
}

// Never destroyed: decoders may be made until the very end.
const Formats& OwnFormats() {
  static const auto& formats = *new Formats();
  return formats;
}

}  // namespace tidemark
