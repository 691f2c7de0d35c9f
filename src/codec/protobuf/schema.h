// A schema as it is written in a .proto file, with all that it imports: what readers' and writers' plans are compiled
// from, and what `columns: from_schema` takes columns from. Parsed and linked by Google's library. Imports are the
// references that a registry has for the schema, or files: in the first file's folder, or in one above it on its path,
// nearest first. Those of google/protobuf are here, and so are those that registries take for granted and that
// schemas of converters have (known_imports.h). Immutable once made; any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/container/flat_hash_set.h>
#include <absl/status/statusor.h>
#include <absl/types/span.h>
#include <google/protobuf/descriptor.h>

#include "src/codec/schema_lookup.h"

namespace tidemark {

class ProtobufSchema {
 public:
  // InvalidArgument: it isn't a schema, or an import isn't there; says where.
  static absl::StatusOr<std::shared_ptr<const ProtobufSchema>> Parse(
      const std::string& text, const std::vector<WrittenSchema::Reference>& references = {});
  static absl::StatusOr<std::shared_ptr<const ProtobufSchema>> ReadFile(const std::string& path);

  // As it was written, without what it imports.
  const std::string& text() const { return text_; }
  const google::protobuf::FileDescriptor& file() const { return *file_; }
  // The message of that name, with the package or without; null: there is none.
  const google::protobuf::Descriptor* Named(const std::string& name) const;
  // The message at this place: that of such a number in the file, in it the one of such a number, and so on. Null:
  // there is none. Those count that stand in the text as messages, as in Confluent's Java library: the entries of a
  // `map<>` and groups don't, which the compiler makes messages of.
  const google::protobuf::Descriptor* At(absl::Span<const int64_t> indexes) const;
  // Where the compiler's messages count too, as in Confluent's library for Python.
  const google::protobuf::Descriptor* AtCompiled(absl::Span<const int64_t> indexes) const;
  // Where a message stands in its file, as At takes it.
  std::vector<int64_t> IndexesOf(const google::protobuf::Descriptor& message) const;
  // That of this name, "": the first one of the file. NotFound.
  absl::StatusOr<const google::protobuf::Descriptor*> NamedOrFirst(const std::string& name) const;

 private:
  ProtobufSchema() = default;

  const google::protobuf::Descriptor* Find(absl::Span<const int64_t> indexes, bool compiled) const;

  std::string text_;
  absl::flat_hash_set<std::string> made_;  // full names of messages that don't stand in the text
  google::protobuf::DescriptorPool pool_;
  const google::protobuf::FileDescriptor* file_ = nullptr;
};

}  // namespace tidemark
