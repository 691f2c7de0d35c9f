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

#include <absl/strings/escaping.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <google/protobuf/compiler/parser.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include "src/base/status.h"
#include "src/codec/protobuf/known_imports.h"

namespace tidemark {
namespace {

namespace pb = google::protobuf;

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

// What stands there as `map<>` has entries that say at once that they are; `option map_entry` in a text is still to be
// interpreted.
void NoteMade(const pb::DescriptorProto& message, const std::string& scope, absl::flat_hash_set<std::string>* made) {
  const std::string name = scope.empty() ? message.name() : absl::StrCat(scope, ".", message.name());
  for (const auto& field : message.field()) {
    if (field.type() == pb::FieldDescriptorProto::TYPE_GROUP) made->insert(absl::StrCat(name, ".", field.type_name()));
  }
  for (const auto& below : message.nested_type()) {
    if (below.options().map_entry()) made->insert(absl::StrCat(name, ".", below.name()));
    NoteMade(below, name, made);
  }
}

// A compiled file in base64, which Confluent's library for Python registers; registries that don't make text of it give
// it back as it is. No text of a schema looks like one. What the compiler made stands in it, and counts.
bool IsCompiled(const std::string& text, pb::FileDescriptorProto* file) {
  std::string bytes;
  return absl::Base64Unescape(text, &bytes) && file->ParseFromString(bytes);
}

// Builds files into a pool, each behind what it imports.
class Linker {
 public:
  Linker(Source source, pb::DescriptorPool* pool) : source_(std::move(source)), pool_(*pool) {}

  // `made`: gets the messages that the parser makes of what isn't written as one.
  absl::StatusOr<const pb::FileDescriptor*> Add(const std::string& name, const std::string& text,
                                                absl::flat_hash_set<std::string>* made = nullptr) {
    pb::FileDescriptorProto file;
    if (IsCompiled(text, &file)) {
      file.set_name(name);
      return Build(file);
    }
    pb::io::ArrayInputStream bytes(text.data(), static_cast<int>(text.size()));
    FirstError errors(name);
    pb::io::Tokenizer tokenizer(&bytes, &errors);
    pb::compiler::Parser parser;
    parser.RecordErrorsTo(&errors);
    if (!parser.Parse(&tokenizer, &file)) return errors.status();
    file.set_name(name);
    if (made != nullptr) {
      for (const auto& message : file.message_type()) NoteMade(message, file.package(), made);
    }
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
    if (const char* known = KnownImport(name)) return Add(name, known).status();
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
  TM_ASSIGN_OR_RETURN(schema->file_, Linker(source, &schema->pool_).Add(kOwnName, text, &schema->made_));
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
  absl::StatusOr<const pb::FileDescriptor*> file = Linker(source, &schema->pool_).Add(path, *text, &schema->made_);
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

const pb::Descriptor* ProtobufSchema::Find(absl::Span<const int64_t> indexes, bool compiled) const {
  const pb::Descriptor* message = nullptr;
  for (const int64_t index : indexes) {
    const int count = message == nullptr ? file_->message_type_count() : message->nested_type_count();
    const pb::Descriptor* found = nullptr;
    int64_t left = index;
    for (int i = 0; i < count && left >= 0 && found == nullptr; ++i) {
      const pb::Descriptor* const next = message == nullptr ? file_->message_type(i) : message->nested_type(i);
      if ((compiled || !made_.contains(next->full_name())) && left-- == 0) found = next;
    }
    if (found == nullptr) return nullptr;
    message = found;
  }
  return message;
}

const pb::Descriptor* ProtobufSchema::At(absl::Span<const int64_t> indexes) const { return Find(indexes, false); }
const pb::Descriptor* ProtobufSchema::AtCompiled(absl::Span<const int64_t> indexes) const {
  return Find(indexes, true);
}

std::vector<int64_t> ProtobufSchema::IndexesOf(const pb::Descriptor& message) const {
  std::vector<int64_t> indexes;
  for (const pb::Descriptor* at = &message; at != nullptr; at = at->containing_type()) {
    int64_t before = 0;
    for (int i = 0; i < at->index(); ++i) {
      const bool counts =
          at->containing_type() == nullptr || !made_.contains(at->containing_type()->nested_type(i)->full_name());
      before += counts ? 1 : 0;
    }
    indexes.push_back(before);
  }
  std::reverse(indexes.begin(), indexes.end());
  return indexes;
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

}  // namespace tidemark
