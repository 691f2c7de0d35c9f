// A field as JSON text: what a json column takes from a message, a repeated field or a map. Google's library makes it,
// in its own JSON form (ProtoJSON) but for two things: fields stand under the names that the schema gives them, as in
// paths, and those without presence are there when they are zero. All occurrences of the field in a record make one
// value, by the library's rules for merging. Used by one thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/util/type_resolver.h>

namespace tidemark {

class ProtobufPart {
 public:
  // The schema outlives it.
  static absl::StatusOr<std::unique_ptr<ProtobufPart>> Make(const google::protobuf::FieldDescriptor& field);

  // `occurrences`: tags and values as they stood on the wire. InvalidArgument: they aren't what the field holds.
  absl::StatusOr<std::string_view> Render(const std::string& occurrences);

 private:
  explicit ProtobufPart(const google::protobuf::DescriptorPool* schema) : pool_(schema) {}

  google::protobuf::DescriptorPool pool_;  // of a message with just this field
  bool has_maps_ = false;                  // at any depth
  google::protobuf::DynamicMessageFactory factory_;
  std::unique_ptr<google::protobuf::Message> message_;
  std::unique_ptr<google::protobuf::util::TypeResolver> types_;
  std::string url_, wire_, json_;
};

}  // namespace tidemark
