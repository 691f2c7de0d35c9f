#include "src/codec/protobuf/schema.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <utility>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <google/protobuf/compiler/parser.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include "src/base/status.h"

namespace tidemark {
namespace {

namespace pb = google::protobuf;

constexpr char kMeta[] = R"(syntax = "proto3";
package confluent;
import "google/protobuf/descriptor.proto";
message Meta { string doc = 1; map<string, string> params = 2; repeated string tags = 3; }
extend google.protobuf.FileOptions { Meta file_meta = 1088; }
extend google.protobuf.MessageOptions { Meta message_meta = 1088; }
extend google.protobuf.FieldOptions { Meta field_meta = 1088; }
extend google.protobuf.EnumOptions { Meta enum_meta = 1088; }
extend google.protobuf.EnumValueOptions { Meta enum_value_meta = 1088; }
)";
constexpr char kDecimal[] = R"(syntax = "proto3";
package confluent.type;
message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }
)";

// The first thing that the library has to say against a file.
class FirstError final : public pb::io::ErrorCollector, public pb::DescriptorPool::ErrorCollector {
 public:
  explicit FirstError(std::string file) : file_(std::move(file)) {}

  void AddError(int line, int column, const std::string& message) override {
    Note(absl::StrCat(file_, ":", line + 1, ":", column + 1, ": ", message));
  }
  void AddError(const std::string& file, const std::string& element, const pb::Message*, ErrorLocation,
                const std::string& message) override {
    Note(absl::StrCat(file, ": ", element, ": ", message));
  }
  absl::Status status() const {
    return absl::InvalidArgumentError(first_.empty() ? file_ + " isn't a Protobuf schema" : first_);
  }

 private:
  void Note(std::string what) {
    if (first_.empty()) first_ = std::move(what);
  }

  const std::string file_;
  std::string first_;
};

using Source = std::function<std::optional<std::string>(const std::string& name)>;

// Builds files into a pool, each behind what it imports.
class Linker {
 public:
  Linker(Source source, pb::DescriptorPool* pool) : source_(std::move(source)), pool_(*pool) {}

  absl::StatusOr<const pb::FileDescriptor*> Add(const std::string& name, const std::string& text) {
    pb::io::ArrayInputStream bytes(text.data(), static_cast<int>(text.size()));
    FirstError errors(name);
    pb::io::Tokenizer tokenizer(&bytes, &errors);
    pb::compiler::Parser parser;
    parser.RecordErrorsTo(&errors);
    pb::FileDescriptorProto file;
    if (!parser.Parse(&tokenizer, &file)) return errors.status();
    file.set_name(name);
    return Build(file);
  }

 private:
  absl::StatusOr<const pb::FileDescriptor*> Build(const pb::FileDescriptorProto& file) {
    begun_.insert(file.name());
    for (const std::string& import : file.dependency()) {
      if (pool_.FindFileByName(import) != nullptr) continue;
      if (begun_.contains(import)) return absl::InvalidArgumentError(import + " imports itself");
      TM_RETURN_IF_ERROR(Annotate(Import(import), file.name()));
    }
    FirstError errors(file.name());
    const pb::FileDescriptor* const built = pool_.BuildFileCollectingErrors(file, &errors);
    if (built == nullptr) return errors.status();
    return built;
  }

  absl::Status Import(const std::string& name) {
    if (const std::optional<std::string> text = source_(name)) return Add(name, *text).status();
    if (absl::StartsWith(name, "google/protobuf/")) {
      if (const pb::FileDescriptor* own = pb::DescriptorPool::generated_pool()->FindFileByName(name)) {
        pb::FileDescriptorProto file;
        own->CopyTo(&file);
        return Build(file).status();
      }
    }
    if (name == "confluent/meta.proto") return Add(name, kMeta).status();
    if (name == "confluent/type/decimal.proto") return Add(name, kDecimal).status();
    return absl::InvalidArgumentError(absl::StrCat("import ", name, " isn't there"));
  }

  const Source source_;
  pb::DescriptorPool& pool_;
  std::set<std::string> begun_;
};

std::optional<std::string> Contents(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) return std::nullopt;
  return text.str();
}

// A name that no import has.
constexpr char kOwnName[] = "schema";

}  // namespace

absl::StatusOr<std::shared_ptr<const ProtobufSchema>> ProtobufSchema::Parse(
    const std::string& text, const std::vector<WrittenSchema::Reference>& references) {
  std::shared_ptr<ProtobufSchema> schema(new ProtobufSchema());
  schema->text_ = text;
  const auto source = [&](const std::string& name) -> std::optional<std::string> {
    for (const auto& reference : references) {
      if (reference.name == name) return reference.text;
    }
    return std::nullopt;
  };
  TM_ASSIGN_OR_RETURN(schema->file_, Linker(source, &schema->pool_).Add(kOwnName, text));
  return schema;
}

absl::StatusOr<std::shared_ptr<const ProtobufSchema>> ProtobufSchema::ReadFile(const std::string& path) {
  const std::filesystem::path where(path);
  const std::optional<std::string> text = Contents(where);
  if (!text) return absl::InvalidArgumentError(absl::StrCat("schema file ", path, " can't be read"));
  std::shared_ptr<ProtobufSchema> schema(new ProtobufSchema());
  schema->text_ = *text;
  const auto source = [&](const std::string& name) -> std::optional<std::string> {
    for (std::filesystem::path folder = where.parent_path();; folder = folder.parent_path()) {
      if (std::optional<std::string> found = Contents(folder / name)) return found;
      if (folder.empty() || folder == folder.root_path()) return std::nullopt;
    }
  };
  absl::StatusOr<const pb::FileDescriptor*> file = Linker(source, &schema->pool_).Add(path, *text);
  if (!file.ok()) return Annotate(file.status(), "schema file");
  schema->file_ = *file;
  return schema;
}

const pb::Descriptor* ProtobufSchema::Named(const std::string& name) const {
  if (!file_->package().empty()) {
    if (const auto* found = pool_.FindMessageTypeByName(absl::StrCat(file_->package(), ".", name))) return found;
  }
  return pool_.FindMessageTypeByName(name);
}

const pb::Descriptor* ProtobufSchema::At(absl::Span<const int64_t> indexes) const {
  const pb::Descriptor* message = nullptr;
  for (const int64_t index : indexes) {
    const int count = message == nullptr ? file_->message_type_count() : message->nested_type_count();
    if (index < 0 || index >= count) return nullptr;
    message = message == nullptr ? file_->message_type(static_cast<int>(index))
                                 : message->nested_type(static_cast<int>(index));
  }
  return message;
}

absl::StatusOr<const pb::Descriptor*> ProtobufSchema::NamedOrFirst(const std::string& name) const {
  const pb::Descriptor* const found = !name.empty()                     ? Named(name)
                                      : file_->message_type_count() > 0 ? file_->message_type(0)
                                                                        : nullptr;
  if (found != nullptr) return found;
  std::string there;
  for (int i = 0; i < file_->message_type_count(); ++i) {
    absl::StrAppend(&there, i == 0 ? "; there are: " : ", ", file_->message_type(i)->full_name());
  }
  return absl::NotFoundError(name.empty() ? std::string("the schema has no message")
                                          : absl::StrCat("the schema has no message '", name, "'", there));
}

std::vector<int64_t> IndexesOf(const pb::Descriptor& message) {
  std::vector<int64_t> indexes;
  for (const pb::Descriptor* at = &message; at != nullptr; at = at->containing_type()) indexes.push_back(at->index());
  std::reverse(indexes.begin(), indexes.end());
  return indexes;
}

}  // namespace tidemark
