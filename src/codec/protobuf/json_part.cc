#include "src/codec/protobuf/json_part.h"

#include <set>
#include <utility>
#include <vector>

#include <absl/container/flat_hash_map.h>
#include <absl/strings/str_cat.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/type_resolver_util.h>

namespace tidemark {
namespace {

namespace pb = google::protobuf;

constexpr char kTypes[] = "type.googleapis.com", kName[] = "tidemark_part", kMessage[] = "TidemarkPart";
constexpr std::string_view kBefore = R"({"v":)", kBehind = "}";

// A file with one message that has just this field, under its number.
pb::FileDescriptorProto FileFor(const pb::FieldDescriptor& field) {
  pb::FileDescriptorProto file;
  file.set_name(kName);
  file.set_package(kName);
  if (field.file()->syntax() == pb::FileDescriptor::SYNTAX_PROTO3) file.set_syntax("proto3");
  pb::DescriptorProto* const message = file.add_message_type();
  message->set_name(kMessage);
  pb::FieldDescriptorProto* const only = message->add_field();
  field.CopyTo(only);
  only->set_name("v");
  only->clear_json_name();
  only->clear_oneof_index();
  only->clear_proto3_optional();
  only->clear_extendee();
  only->clear_default_value();
  if (only->label() == pb::FieldDescriptorProto::LABEL_REQUIRED) {
    only->set_label(pb::FieldDescriptorProto::LABEL_OPTIONAL);
  }
  // Its options may be a schema's own; none changes what stands on the wire, which says itself what is packed.
  only->clear_options();
  if (field.is_map()) {
    // A map's entries are a message within the one that has the map, and named after it.
    pb::DescriptorProto* const entry = message->add_nested_type();
    field.message_type()->CopyTo(entry);
    entry->set_name("VEntry");
    only->set_type_name(absl::StrCat(".", kName, ".", kMessage, ".VEntry"));
    const pb::FieldDescriptor* const value = field.message_type()->map_value();
    if (value->message_type() != nullptr) file.add_dependency(value->message_type()->file()->name());
    if (value->enum_type() != nullptr) file.add_dependency(value->enum_type()->file()->name());
  } else if (field.message_type() != nullptr) {
    file.add_dependency(field.message_type()->file()->name());
  } else if (field.enum_type() != nullptr) {
    file.add_dependency(field.enum_type()->file()->name());
  }
  return file;
}

bool HasMaps(const pb::Descriptor& message, std::set<const pb::Descriptor*>* seen) {
  if (!seen->insert(&message).second) return false;
  for (int i = 0; i < message.field_count(); ++i) {
    if (message.field(i)->is_map()) return true;
    const pb::Descriptor* const below = message.field(i)->message_type();
    if (below != nullptr && HasMaps(*below, seen)) return true;
  }
  return false;
}

// Of a key that comes again the last value counts; the library's messages without code of their own keep all of them.
void KeepLastOfKeys(const pb::FieldDescriptor& map, pb::Message* message) {
  const pb::Reflection& what = *message->GetReflection();
  const int size = what.FieldSize(*message, &map);
  std::vector<std::string> keys(static_cast<size_t>(size));
  absl::flat_hash_map<std::string, int> last;
  for (int i = 0; i < size; ++i) {
    std::string& key = keys[static_cast<size_t>(i)];
    pb::TextFormat::PrintFieldValueToString(what.GetRepeatedMessage(*message, &map, i), map.message_type()->map_key(),
                                            -1, &key);
    last[key] = i;
  }
  int kept = 0;
  for (int i = 0; i < size; ++i) {
    if (last[keys[static_cast<size_t>(i)]] != i) continue;
    if (kept != i) what.SwapElements(message, &map, kept, i);
    ++kept;
  }
  for (int i = kept; i < size; ++i) what.RemoveLast(message, &map);
}

// As deep as the message was parsed.
void KeepLastOfAllKeys(pb::Message* message) {
  const pb::Reflection& what = *message->GetReflection();
  std::vector<const pb::FieldDescriptor*> fields;
  what.ListFields(*message, &fields);
  for (const pb::FieldDescriptor* field : fields) {
    if (field->cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!field->is_repeated()) {
      KeepLastOfAllKeys(what.MutableMessage(message, field));
      continue;
    }
    if (field->is_map()) KeepLastOfKeys(*field, message);
    for (int i = 0; i < what.FieldSize(*message, field); ++i) {
      KeepLastOfAllKeys(what.MutableRepeatedMessage(message, field, i));
    }
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<ProtobufPart>> ProtobufPart::Make(const pb::FieldDescriptor& field) {
  std::unique_ptr<ProtobufPart> part(new ProtobufPart(field.file()->pool()));
  const pb::FileDescriptor* const file = part->pool_.BuildFile(FileFor(field));
  if (file == nullptr) return absl::InternalError(absl::StrCat(field.full_name(), " can't stand by itself"));
  const pb::Descriptor* const type = file->message_type(0);
  std::set<const pb::Descriptor*> seen;
  part->has_maps_ = HasMaps(*type, &seen);
  part->message_.reset(part->factory_.GetPrototype(type)->New());
  part->types_.reset(pb::util::NewTypeResolverForDescriptorPool(kTypes, &part->pool_));
  part->url_ = absl::StrCat(kTypes, "/", type->full_name());
  return part;
}

absl::StatusOr<std::string_view> ProtobufPart::Render(const std::string& occurrences) {
  if (!message_->ParsePartialFromString(occurrences)) {
    return absl::InvalidArgumentError("malformed Protobuf, or text that isn't UTF-8");
  }
  if (has_maps_) KeepLastOfAllKeys(message_.get());
  wire_.clear();
  {
    pb::io::StringOutputStream bytes(&wire_);
    pb::io::CodedOutputStream out(&bytes);
    // Maps in the order of their keys: the text depends on the record alone.
    out.SetSerializationDeterministic(true);
    if (!message_->SerializePartialToCodedStream(&out)) return absl::InvalidArgumentError("malformed Protobuf");
  }
  pb::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  json_.clear();
  const auto status = pb::util::BinaryToJsonString(types_.get(), url_, wire_, &json_, options);
  if (!status.ok()) return absl::InvalidArgumentError(absl::StrCat("it can't be JSON: ", status.message().ToString()));
  std::string_view json = json_;
  if (!json.starts_with(kBefore) || !json.ends_with(kBehind)) {
    return absl::InternalError("JSON of another form");
  }
  json.remove_prefix(kBefore.size());
  json.remove_suffix(kBehind.size());
  return json;
}

}  // namespace tidemark
