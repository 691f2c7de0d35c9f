#include "src/codec/protobuf/format.h"

#include <algorithm>
#include <utility>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <arrow/util/utf8.h>
#include <google/protobuf/stubs/logging.h>

#include "src/base/status.h"
#include "src/codec/protobuf/columns.h"
#include "src/codec/protobuf/key_reader.h"
#include "src/codec/protobuf/known_imports.h"
#include "src/codec/protobuf/scan_plan.h"
#include "src/codec/protobuf/schema.h"
#include "src/codec/protobuf/value_reader.h"
#include "src/codec/protobuf/value_writer.h"
#include "src/codec/values_as_keys.h"

namespace tidemark {
namespace {

using google::protobuf::Descriptor;
using SharedSchema = std::shared_ptr<const ProtobufSchema>;

constexpr char kSchemaFile[] = "schema_file", kSchemaId[] = "schema_id", kSubject[] = "subject", kMessage[] = "message";

// Where records say their schema, unless it is stated: what is read has none where a file has it.
SchemaPlace PlaceOf(const FormatSpec& spec, bool written) {
  const std::string place = spec.Option(kSchemaId, !written && spec.options.contains(kSchemaFile) ? "none" : "prefix");
  return place == "none" ? SchemaPlace::kNowhere : place == "header" ? SchemaPlace::kHeader : SchemaPlace::kPrefix;
}

// Why nothing that this message says is ever a value of the column; "": something is.
std::string WhyNever(const Descriptor& message, const SharedSchema& schema, const FormatColumn& column) {
  const std::vector<std::string> path = column.path.empty() ? std::vector{column.column.name} : column.path;
  const absl::StatusOr<ProtobufScanPlan> plan = CompileProtobuf(message, {{path, 0, column.column.type}}, schema);
  if (!plan.ok()) return std::string(plan.status().message());
  return plan->never.empty() ? "" : plan->never.front().second;
}

bool IsWritten(FormatUse use) { return use == FormatUse::kWriteValue || use == FormatUse::kWriteKey; }

// What a sink writes.
struct Written {
  SharedSchema schema;
  const Descriptor* message = nullptr;
};

class Protobuf final : public Format {
 public:
  explicit Protobuf(SchemaLookup* lookup, TakeSchema take = nullptr) : lookup_(lookup), take_(std::move(take)) {
    arrow::util::InitializeUTF8();
    // What the library finds wrong is said where it is found; it would write every bad record to stderr too.
    google::protobuf::SetLogHandler(nullptr);
  }

  std::string_view name() const override { return "protobuf"; }
  std::vector<std::string_view> options() const override { return {kSchemaFile, kSchemaId, kSubject, kMessage}; }
  bool holds_names() const override { return true; }
  std::string Types(FormatUse) const override { return "any type"; }
  bool Holds(const Type&, FormatUse) const override { return true; }
  bool coerces() const override { return false; }
  bool NeedsRegistry(const FormatSpec& spec, FormatUse use) const override {
    if (IsWritten(use)) return PlaceOf(spec, true) != SchemaPlace::kNowhere;
    return !spec.options.contains(kSchemaFile);
  }

  void Complete(const std::string& topic, FormatUse use, FormatSpec* spec) const override {
    if (!IsWritten(use)) return;
    if (PlaceOf(*spec, true) != SchemaPlace::kNowhere) {
      spec->options.emplace(kSubject, topic + (IsKey(use) ? "-key" : "-value"));
    }
    if (spec->options.contains(kSchemaFile)) return;
    std::string message = IsKey(use) ? topic + "_key" : topic;
    std::replace_if(message.begin(), message.end(), [](char c) { return c == '-' || c == '.'; }, '_');
    if (!IsProtobufName(message)) message = absl::StrCat("_", message);
    spec->options.emplace(kMessage, message);
  }

  absl::StatusOr<std::vector<TakenColumn>> Columns(const FormatSpec& spec, const std::string& topic,
                                                   const RegistrySpec& registry) const override {
    SharedSchema schema;
    if (spec.options.contains(kSchemaFile)) {
      TM_ASSIGN_OR_RETURN(schema, ProtobufSchema::ReadFile(spec.Option(kSchemaFile)));
    } else {
      if (registry.none()) return absl::InvalidArgumentError("neither schema_registry nor schema_file says a schema");
      if (take_ == nullptr) return absl::InvalidArgumentError("there is nobody to ask the registry");
      TM_ASSIGN_OR_RETURN(const WrittenSchema written, take_(registry, topic + "-value"));
      if (written.type != "PROTOBUF") return absl::InvalidArgumentError("the schema there is one of " + written.type);
      TM_ASSIGN_OR_RETURN(schema, ProtobufSchema::Parse(written.text, written.references));
    }
    TM_ASSIGN_OR_RETURN(const Descriptor* const message, schema->NamedOrFirst(spec.Option(kMessage)));
    return ColumnsOfProtobuf(*message);
  }

  bool Check(FormatCheck& check) const override {
    const bool written = IsWritten(check.use());
    if (IsKey(check.use()) && PlaceOf(check.spec(), written) == SchemaPlace::kHeader) {
      return check.OptionError(kSchemaId,
                               "`schema_id: header` is for values; a key has the number in front of it (prefix)");
    }
    return written ? CheckWrite(check) : CheckRead(check);
  }

  absl::StatusOr<std::unique_ptr<ValueReader>> MakeReader(const FormatSpec& spec,
                                                          const std::vector<ReadTarget>& targets) const override {
    TM_ASSIGN_OR_RETURN(ProtobufReaderOptions options, ReaderOptions(spec));
    return std::make_unique<ProtobufValueReader>(std::move(options), targets);
  }
  absl::StatusOr<std::unique_ptr<KeyReader>> MakeKeyReader(const FormatSpec& spec,
                                                           const std::vector<ReadTarget>& targets) const override {
    TM_ASSIGN_OR_RETURN(ProtobufReaderOptions options, ReaderOptions(spec));
    return std::make_unique<ProtobufKeyReader>(std::move(options), targets);
  }
  absl::StatusOr<std::unique_ptr<KeyWriter>> MakeKeyWriter(const FormatSpec& spec, const Schema& schema,
                                                           const std::vector<size_t>& columns) const override {
    TM_ASSIGN_OR_RETURN(auto writer, MakeWriter(spec, schema, columns));
    return std::make_unique<ValuesAsKeys>(std::move(writer));
  }

  absl::StatusOr<std::unique_ptr<ValueWriter>> MakeWriter(const FormatSpec& spec, const Schema& schema,
                                                          const std::vector<size_t>& columns) const override {
    TM_ASSIGN_OR_RETURN(const Written written, WrittenBy(spec, schema, columns));
    std::string prefix;
    if (PlaceOf(spec, true) == SchemaPlace::kPrefix) {
      if (lookup_ == nullptr) return absl::InvalidArgumentError("format protobuf has no registry");
      int32_t id = 0;
      const WrittenSchema own{"PROTOBUF", written.schema->text(), {}};
      const SchemaLookup::Answer answer = lookup_->Registered(spec.Option(kSubject), own, &id);
      if (!answer.what.empty()) return absl::FailedPreconditionError(answer.what);
      prefix = SchemaIdPrefix(id) + MessageIndexes(written.schema->IndexesOf(*written.message));
    }
    TM_ASSIGN_OR_RETURN(auto writer, ProtobufValueWriter::Make(*written.message, schema, columns, std::move(prefix)));
    return writer;
  }

  std::optional<SchemaToRegister> Registers(const FormatSpec& spec, const Schema& schema,
                                            const std::vector<size_t>& columns) const override {
    if (PlaceOf(spec, true) != SchemaPlace::kPrefix) return std::nullopt;
    const absl::StatusOr<Written> written = WrittenBy(spec, schema, columns);
    // The check of the topology has said so before.
    if (!written.ok()) return std::nullopt;
    return SchemaToRegister{spec.Option(kSubject), {"PROTOBUF", written->schema->text(), {}}};
  }

 private:
  absl::StatusOr<ProtobufReaderOptions> ReaderOptions(const FormatSpec& spec) const {
    ProtobufReaderOptions options{
        .place = PlaceOf(spec, false), .schema = nullptr, .message = spec.Option(kMessage), .lookup = lookup_};
    if (spec.options.contains(kSchemaFile)) {
      TM_ASSIGN_OR_RETURN(options.schema, ProtobufSchema::ReadFile(spec.Option(kSchemaFile)));
      TM_RETURN_IF_ERROR(options.schema->NamedOrFirst(options.message).status());
    } else if (lookup_ == nullptr) {
      return absl::InvalidArgumentError("format protobuf has neither a registry nor a schema_file");
    }
    return options;
  }

  static absl::StatusOr<Written> WrittenBy(const FormatSpec& spec, const Schema& schema,
                                           const std::vector<size_t>& columns) {
    Written written;
    if (spec.options.contains(kSchemaFile)) {
      TM_ASSIGN_OR_RETURN(written.schema, ProtobufSchema::ReadFile(spec.Option(kSchemaFile)));
      TM_ASSIGN_OR_RETURN(written.message, written.schema->NamedOrFirst(spec.Option(kMessage)));
    } else {
      TM_ASSIGN_OR_RETURN(written.schema,
                          ProtobufSchema::Parse(ProtobufSchemaOf(schema, columns, spec.Option(kMessage))));
      written.message = written.schema->file().message_type(0);
    }
    return written;
  }

  static bool CheckRead(FormatCheck& check) {
    const FormatSpec& spec = check.spec();
    if (spec.options.contains(kSubject)) return check.OptionError(kSubject, "subject is for what is written");
    const bool file = spec.options.contains(kSchemaFile);
    if (!file && PlaceOf(spec, false) == SchemaPlace::kNowhere) {
      return check.OptionError(kSchemaId, "records that name no schema need a schema_file, which they all have");
    }
    if (!file) return true;
    const auto schema = ProtobufSchema::ReadFile(spec.Option(kSchemaFile));
    if (!schema.ok()) return check.OptionError(kSchemaFile, std::string(schema.status().message()));
    const auto message = (*schema)->NamedOrFirst(spec.Option(kMessage));
    if (!message.ok()) {
      return check.OptionError(spec.options.contains(kMessage) ? kMessage : kSchemaFile,
                               std::string(message.status().message()));
    }
    // Where each record says which message it is, the columns may be another's.
    if (PlaceOf(spec, false) != SchemaPlace::kNowhere && !spec.options.contains(kMessage)) return true;
    bool good = true;
    for (const FormatColumn& column : check.columns()) {
      const std::string why = WhyNever(**message, *schema, column);
      if (!why.empty()) good = check.ColumnError(column, absl::StrCat("column ", column.column.name, ": ", why));
    }
    return good;
  }

  static bool CheckWrite(FormatCheck& check) {
    const FormatSpec& spec = check.spec();
    if (PlaceOf(spec, true) == SchemaPlace::kHeader) {
      return check.OptionError(kSchemaId, "`schema_id: header` isn't implemented for sinks; prefix or none");
    }
    if (spec.options.contains(kSubject) && PlaceOf(spec, true) == SchemaPlace::kNowhere) {
      return check.OptionError(kSubject, "without `schema_id: prefix` no schema is registered");
    }
    return spec.options.contains(kSchemaFile) ? CheckFile(check) : CheckNames(check);
  }

  static bool CheckFile(FormatCheck& check) {
    const FormatSpec& spec = check.spec();
    const auto schema = ProtobufSchema::ReadFile(spec.Option(kSchemaFile));
    if (!schema.ok()) return check.OptionError(kSchemaFile, std::string(schema.status().message()));
    for (int i = 0; i < (*schema)->file().dependency_count() && PlaceOf(spec, true) == SchemaPlace::kPrefix; ++i) {
      const std::string& import = (*schema)->file().dependency(i)->name();
      if (absl::StartsWith(import, "google/protobuf/") || KnownImport(import) != nullptr) continue;
      return check.OptionError(kSchemaFile, absl::StrCat("it imports ", import,
                                                         ", and references can't be registered for a sink: "
                                                         "write a file of its own, or `schema_id: none`"));
    }
    const auto message = (*schema)->NamedOrFirst(spec.Option(kMessage));
    if (!message.ok()) {
      return check.OptionError(spec.options.contains(kMessage) ? kMessage : kSchemaFile,
                               std::string(message.status().message()));
    }
    Schema columns;
    std::vector<size_t> all;
    bool good = true;
    for (const FormatColumn& column : check.columns()) {
      all.push_back(columns.size());
      columns.Add(column.column);
      const auto* field = (*message)->FindFieldByName(column.column.name);
      ProtobufValueWriter::Put put{};
      const std::string why = field == nullptr ? absl::StrCat("message ", (*message)->full_name(), " has no such field")
                                               : ProtobufValueWriter::WhyNot(column.column, *field, &put);
      if (!why.empty()) good = check.ColumnError(column, absl::StrCat("column ", column.column.name, ": ", why));
    }
    if (!good) return false;
    const auto writer = ProtobufValueWriter::Make(**message, columns, all, "");
    return writer.ok() || check.OptionError(kSchemaFile, std::string(writer.status().message()));
  }

  static bool CheckNames(FormatCheck& check) {
    const std::string message = check.spec().Option(kMessage);
    if (!IsProtobufName(message)) {
      return check.OptionError(kMessage, absl::StrCat("'", message,
                                                      "' isn't a name of Protobuf: letters, digits and _, with dots "
                                                      "between those of packages"));
    }
    Schema columns;
    std::vector<size_t> all;
    bool good = true;
    for (const FormatColumn& column : check.columns()) {
      const std::string& name = column.column.name;
      all.push_back(columns.size());
      columns.Add(column.column);
      if (IsProtobufName(name) && name.find('.') == std::string::npos) continue;
      good = check.ColumnError(column, absl::StrCat("column '", name,
                                                    "' can't be a field of Protobuf, whose names are letters, digits "
                                                    "and _: rename it in a project step"));
    }
    if (!good) return false;
    // Names that are too alike, for instance.
    const auto schema = ProtobufSchema::Parse(ProtobufSchemaOf(columns, all, message));
    return schema.ok() ||
           check.Error(absl::StrCat("the columns make no schema: ", std::string(schema.status().message())));
  }

  SchemaLookup* const lookup_;
  const TakeSchema take_;
};

}  // namespace

const Format& ProtobufFormat() {
  static const auto& format = *new Protobuf(nullptr);
  return format;
}

std::unique_ptr<const Format> MakeProtobufFormat(SchemaLookup* lookup) { return std::make_unique<Protobuf>(lookup); }
std::unique_ptr<const Format> MakeProtobufFormat(TakeSchema take) {
  return std::make_unique<Protobuf>(nullptr, std::move(take));
}

}  // namespace tidemark
