// The columns of a source or a table as a whole, and the formats of the values and keys that hold them. A Yaml is a
// topology::Source or a topology::Table, which say this in equal fields.
#pragma once

#include <string>
#include <vector>

#include "proto/topology.pb.h"
#include "src/plan/columns.h"
#include "src/plan/diagnostics.h"
#include "src/plan/format_syntax.h"
#include "src/plan/plan.h"

namespace tidemark {

// The values' format; null: there is none of that name.
template <typename Yaml>
const FormatSyntax* FormatOf(const Yaml& yaml, const FormatList& formats) {
  return FindFormat(formats, yaml.has_format() ? yaml.format().type() : kJsonFormat);
}

// The columns as they are declared; none where they come from a schema, as CheckValueFormat then adds them.
std::vector<SourceColumn> CheckColumns(const google::protobuf::RepeatedPtrField<topology::Column>& yaml,
                                       const FormatSyntax* format, const Reading& reading, const std::string& path,
                                       bool table, Diagnostics* diagnostics);

// The values' form, and whether their columns can stand in it. Sets what the format decides of the columns.
template <typename Yaml>
FormatSpec CheckValueFormat(const Yaml& yaml, const FormatList& formats, const std::string& path,
                            const RegistrySpec& registry, Diagnostics* diagnostics, std::vector<SourceColumn>* columns);

// The record key's form: as stated, else what the columns that come from it suggest.
template <typename Yaml>
FormatSpec CheckKeyFormat(const Yaml& yaml, const FormatList& formats, const std::string& path,
                          Diagnostics* diagnostics, std::vector<SourceColumn>* columns);

}  // namespace tidemark
