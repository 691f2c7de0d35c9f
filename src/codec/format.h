// A format of record values and keys: how it is written in a topology (FormatSyntax), and the readers and writers that
// are made of a checked spec.
//
// A format is added by a folder src/codec/<name>/ with a Format of its own, a line in the list in formats.cc and, for
// options, a field each in topology.Format (proto/topology.proto, docs/topology.md). One that is a single column as a
// whole is a few lines on top of one_column.h; one of columns by name writes a ValueReader and a ValueWriter, whose
// headers say what they owe. Of the four Makes it overrides those it says it Serves. What a format knows stands in its
// folder and nowhere else: nothing outside asks for it by name, but for the defaults.
//
// Stateless objects that live for ever; any thread may ask. Asked once a task, nothing while rows flow.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "src/base/schema.h"
#include "src/codec/key_reader.h"
#include "src/codec/key_writer.h"
#include "src/codec/schema_lookup.h"
#include "src/codec/value_reader.h"
#include "src/codec/value_writer.h"
#include "src/plan/format_syntax.h"

namespace tidemark {

// What a sink registers before its first record.
struct SchemaToRegister {
  std::string subject;
  WrittenSchema schema;
};

// Asks a registry for the newest schema of a subject.
using TakeSchema = std::function<absl::StatusOr<WrittenSchema>(const RegistrySpec&, const std::string& subject)>;

class Format : public FormatSyntax {
 public:
  // `targets`: where the columns stand in a value, at least one.
  virtual absl::StatusOr<std::unique_ptr<ValueReader>> MakeReader(const FormatSpec& spec,
                                                                  const std::vector<ReadTarget>& targets) const;
  // Of records' keys.
  virtual absl::StatusOr<std::unique_ptr<KeyReader>> MakeKeyReader(const FormatSpec& spec,
                                                                   const std::vector<ReadTarget>& targets) const;
  // `columns`: those of the schema that make a value, in their order.
  virtual absl::StatusOr<std::unique_ptr<ValueWriter>> MakeWriter(const FormatSpec& spec, const Schema& schema,
                                                                  const std::vector<size_t>& columns) const;
  // `columns`: the key's, at least one.
  virtual absl::StatusOr<std::unique_ptr<KeyWriter>> MakeKeyWriter(const FormatSpec& spec, const Schema& schema,
                                                                   const std::vector<size_t>& columns) const;

  // The schema of these columns, where records name it by the number that a registry gives it.
  virtual std::optional<SchemaToRegister> Registers(const FormatSpec& /*spec*/, const Schema& /*schema*/,
                                                    const std::vector<size_t>& /*columns*/) const {
    return std::nullopt;
  }

 protected:
  // What a Make that isn't overridden answers.
  absl::Status Not(std::string_view use) const;
};

}  // namespace tidemark
