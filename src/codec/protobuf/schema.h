// A schema as it is written in a .proto file, with all that it imports: what readers' and writers' plans are compiled
// from, and what `columns: from_schema` takes columns from. Parsed and linked by Google's library. Imports are the
// references that a registry has for the schema, or files: in the first file's folder, or in one above it on its path,
// nearest first. Those of google/protobuf are here, and so are confluent/meta.proto and
// confluent/type/decimal.proto, which registries take for granted. Immutable once made; any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

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
  // there is none.
  const google::protobuf::Descriptor* At(absl::Span<const int64_t> indexes) const;
  // That of this name, "": the first one of the file. NotFound.
  absl::StatusOr<const google::protobuf::Descriptor*> NamedOrFirst(const std::string& name) const;

 private:
  ProtobufSchema() = default;

  std::string text_;
  google::protobuf::DescriptorPool pool_;
  const google::protobuf::FileDescriptor* file_ = nullptr;
};

// Where the message stands in its file, as At takes it.
std::vector<int64_t> IndexesOf(const google::protobuf::Descriptor& message);

}  // namespace tidemark
