#include "src/codec/formats.h"

#include <algorithm>

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include "src/base/status.h"
#include "src/codec/avro/format.h"
#include "src/codec/bytes/format.h"
#include "src/codec/csv/format.h"
#include "src/codec/debezium/format.h"
#include "src/codec/json/format.h"
#include "src/codec/primitive/format.h"
#include "src/codec/protobuf/format.h"
#include "src/codec/text/format.h"

namespace tidemark {

Formats::Formats()
    : formats_{
          &JsonFormat(),      // src/codec/json
          &TextFormat(),      // src/codec/text
          &BytesFormat(),     // src/codec/bytes
          &CsvFormat(),       // src/codec/csv
          &DebeziumFormat(),  // src/codec/debezium
          &AvroFormat(),      // src/codec/avro
          &ProtobufFormat(),  // src/codec/protobuf
      } {
  for (const Format* format : PrimitiveFormats()) formats_.push_back(format);  // src/codec/primitive
}

void Formats::Set(const Format* format) {
  const auto same = [&](const Format* other) { return other->name() == format->name(); };
  const auto found = std::find_if(formats_.begin(), formats_.end(), same);
  if (found == formats_.end()) {
    formats_.push_back(format);
  } else {
    *found = format;
  }
}

absl::StatusOr<const Format*> Formats::Find(std::string_view name) const {
  std::string known;
  for (const Format* format : formats_) {
    if (format->name() == name) return format;
    absl::StrAppend(&known, known.empty() ? "" : ", ", std::string(format->name()));
  }
  return absl::InvalidArgumentError(absl::StrCat("there is no format '", std::string(name), "'; there are: ", known));
}

absl::StatusOr<std::unique_ptr<ValueReader>> Formats::MakeReader(const FormatSpec& spec,
                                                                 const std::vector<ReadTarget>& targets) const {
  TM_ASSIGN_OR_RETURN(const Format* const format, Find(spec.name));
  return format->MakeReader(spec, targets);
}

absl::StatusOr<std::unique_ptr<KeyReader>> Formats::MakeKeyReader(const FormatSpec& spec,
                                                                  const std::vector<ReadTarget>& targets) const {
  if (targets.empty()) return nullptr;
  TM_ASSIGN_OR_RETURN(const Format* const format, Find(spec.name));
  return format->MakeKeyReader(spec, targets);
}

absl::StatusOr<std::unique_ptr<ValueWriter>> Formats::MakeWriter(const FormatSpec& spec, const Schema& schema,
                                                                 const std::vector<size_t>& columns) const {
  TM_ASSIGN_OR_RETURN(const Format* const format, Find(spec.name));
  return format->MakeWriter(spec, schema, columns);
}

absl::StatusOr<std::optional<SchemaToRegister>> Formats::Registers(const FormatSpec& spec, const Schema& schema,
                                                                   const std::vector<size_t>& columns) const {
  TM_ASSIGN_OR_RETURN(const Format* const format, Find(spec.name));
  return format->Registers(spec, schema, columns);
}

absl::StatusOr<std::unique_ptr<KeyWriter>> Formats::MakeKeyWriter(const FormatSpec& spec, const Schema& schema,
                                                                  const std::vector<size_t>& columns) const {
  if (columns.empty()) return std::make_unique<NoKeys>();
  TM_ASSIGN_OR_RETURN(const Format* const format, Find(spec.name));
  return format->MakeKeyWriter(spec, schema, columns);
}

absl::Status Format::Not(std::string_view use) const {
  return absl::InvalidArgumentError(
      absl::StrCat("format '", std::string(name()), "' isn't one that ", std::string(use)));
}

absl::StatusOr<std::unique_ptr<ValueReader>> Format::MakeReader(const FormatSpec&,
                                                                const std::vector<ReadTarget>&) const {
  return Not("values are read in");
}
absl::StatusOr<std::unique_ptr<KeyReader>> Format::MakeKeyReader(const FormatSpec&,
                                                                 const std::vector<ReadTarget>&) const {
  return Not("keys are read in");
}
absl::StatusOr<std::unique_ptr<ValueWriter>> Format::MakeWriter(const FormatSpec&, const Schema&,
                                                                const std::vector<size_t>&) const {
  return Not("values are written in");
}
absl::StatusOr<std::unique_ptr<KeyWriter>> Format::MakeKeyWriter(const FormatSpec&, const Schema&,
                                                                 const std::vector<size_t>&) const {
  return Not("keys are written in");
}

// Never destroyed: decoders may be made until the very end.
const Formats& OwnFormats() {
  static const auto& formats = *new Formats();
  return formats;
}

}  // namespace tidemark
