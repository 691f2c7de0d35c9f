#include "src/codec/avro/format.h"

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>
#include <arrow/util/utf8.h>

#include "src/base/status.h"
#include "src/base/whole_file.h"
#include "src/codec/avro/columns.h"
#include "src/codec/avro/key_reader.h"
#include "src/codec/avro/scan_plan.h"
#include "src/codec/avro/value_reader.h"
#include "src/codec/avro/value_writer.h"
#include "src/codec/values_as_keys.h"

namespace tidemark {
namespace {

constexpr char kSchemaFile[] = "schema_file", kSchemaId[] = "schema_id", kSubject[] = "subject", kRecord[] = "record",
               kNested[] = "nested";

// Where records say their schema, unless it is stated: nowhere where one is given for all.
SchemaPlace PlaceOf(const FormatSpec& spec) {
  const std::string place = spec.Option(kSchemaId, spec.options.contains(kSchemaFile) ? "none" : "prefix");
  return place == "none" ? SchemaPlace::kNowhere : place == "header" ? SchemaPlace::kHeader : SchemaPlace::kPrefix;
}

absl::StatusOr<std::unique_ptr<const AvroSchema>> ReadSchemaFile(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadWholeFile(path);
  if (!text.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("schema file ", path, " can't be read: ", std::string(text.status().message())));
  }
  absl::StatusOr<std::unique_ptr<const AvroSchema>> schema = AvroSchema::Parse(*text);
  if (!schema.ok()) return Annotate(schema.status(), "schema file " + path);
  return schema;
}

bool IsWritten(FormatUse use) { return use == FormatUse::kWriteValue || use == FormatUse::kWriteKey; }

bool Reads(AvroOp op) { return op >= AvroOp::kBool && op <= AvroOp::kVariableDecimal; }

// Why nothing that this schema writes is ever a value of the column; "": something is.
std::string WhyNever(const AvroSchema& schema, const FormatColumn& column) {
  const std::vector<std::string> path = column.path.empty() ? std::vector{column.column.name} : column.path;
  const absl::StatusOr<AvroScanPlan> plan = CompileAvro(schema, {{path, 0, column.column.type}});
  if (!plan.ok()) return std::string(plan.status().message());
  std::string why = "the schema has no field of that name, or none on its path";
  for (const AvroStep& step : plan->steps) {
    if (Reads(step.op)) return "";
    if (step.op == AvroOp::kUnfit) why = plan->texts[step.arg];
  }
  return why;
}

class Avro final : public Format {
 public:
  explicit Avro(SchemaLookup* lookup, TakeSchema take = nullptr) : lookup_(lookup), take_(std::move(take)) {
    arrow::util::InitializeUTF8();
  }

  std::string_view name() const override { return "avro"; }
  std::vector<std::string_view> options() const override {
    return {kSchemaFile, kSchemaId, kSubject, kRecord, kNested};
  }
  bool holds_names() const override { return true; }
  bool coerces() const override { return false; }
  std::string Types(FormatUse) const override { return "any type"; }
  bool Holds(const Type&, FormatUse) const override { return true; }
  bool NeedsRegistry(const FormatSpec& spec, FormatUse use) const override {
    if (IsWritten(use)) return PlaceOf(spec) != SchemaPlace::kNowhere;
    return !spec.options.contains(kSchemaFile);
  }

  void Complete(const std::string& topic, FormatUse use, FormatSpec* spec) const override {
    if (!IsWritten(use)) return;
    if (PlaceOf(*spec) != SchemaPlace::kNowhere)
      spec->options.emplace(kSubject, topic + (IsKey(use) ? "-key" : "-value"));
    std::string record = IsKey(use) ? topic + "_key" : topic;
    std::replace_if(record.begin(), record.end(), [](char c) { return c == '-' || c == '.'; }, '_');
    if (!IsAvroName(record)) record = absl::StrCat("_", record);
    spec->options.emplace(kRecord, record);
  }

  absl::StatusOr<std::vector<TakenColumn>> Columns(const FormatSpec& spec, const std::string& topic,
                                                   const RegistrySpec& registry) const override {
    const bool nested = spec.Option(kNested, "none") == "json";
    if (spec.options.contains(kSchemaFile)) {
      TM_ASSIGN_OR_RETURN(const auto schema, ReadSchemaFile(spec.Option(kSchemaFile)));
      return ColumnsOfAvro(*schema, nested);
    }
    if (registry.none()) return absl::InvalidArgumentError("neither schema_registry nor schema_file says a schema");
    if (take_ == nullptr) return absl::InvalidArgumentError("there is nobody to ask the registry");
    TM_ASSIGN_OR_RETURN(const WrittenSchema written, take_(registry, topic + "-value"));
    if (written.type != "AVRO") return absl::InvalidArgumentError("the schema there is one of " + written.type);
    std::vector<std::string> references;
    for (const auto& reference : written.references) references.push_back(reference.text);
    TM_ASSIGN_OR_RETURN(const auto schema, AvroSchema::Parse(written.text, references));
    return ColumnsOfAvro(*schema, nested);
  }

  bool Check(FormatCheck& check) const override {
    if (IsKey(check.use()) && PlaceOf(check.spec()) == SchemaPlace::kHeader) {
      return check.OptionError(kSchemaId,
                               "`schema_id: header` is for values; a key has the number in front of it (prefix)");
    }
    if (check.use() != FormatUse::kReadValue && check.spec().options.contains(kNested)) {
      return check.OptionError(kNested, "nested is for values that are read, with `columns: from_schema`");
    }
    return IsWritten(check.use()) ? CheckWrite(check) : CheckRead(check);
  }

  absl::StatusOr<std::unique_ptr<ValueReader>> MakeReader(const FormatSpec& spec,
                                                          const std::vector<ReadTarget>& targets) const override {
    TM_ASSIGN_OR_RETURN(AvroReaderOptions options, ReaderOptions(spec));
    return std::make_unique<AvroValueReader>(std::move(options), targets);
  }
  absl::StatusOr<std::unique_ptr<KeyReader>> MakeKeyReader(const FormatSpec& spec,
                                                           const std::vector<ReadTarget>& targets) const override {
    TM_ASSIGN_OR_RETURN(AvroReaderOptions options, ReaderOptions(spec));
    return std::make_unique<AvroKeyReader>(std::move(options), targets);
  }
  absl::StatusOr<std::unique_ptr<KeyWriter>> MakeKeyWriter(const FormatSpec& spec, const Schema& schema,
                                                           const std::vector<size_t>& columns) const override {
    TM_ASSIGN_OR_RETURN(auto writer, MakeWriter(spec, schema, columns));
    return std::make_unique<ValuesAsKeys>(std::move(writer));
  }

  absl::StatusOr<std::unique_ptr<ValueWriter>> MakeWriter(const FormatSpec& spec, const Schema& schema,
                                                          const std::vector<size_t>& columns) const override {
    std::string prefix;
    if (PlaceOf(spec) == SchemaPlace::kPrefix) {
      if (lookup_ == nullptr) return absl::InvalidArgumentError("format avro has no registry");
      int32_t id = 0;
      const SchemaToRegister own = *Registers(spec, schema, columns);
      const SchemaLookup::Answer answer = lookup_->Registered(own.subject, own.schema, &id);
      if (!answer.what.empty()) return absl::FailedPreconditionError(answer.what);
      prefix = SchemaIdPrefix(id);
    }
    return std::make_unique<AvroValueWriter>(schema, columns, std::move(prefix));
  }

  std::optional<SchemaToRegister> Registers(const FormatSpec& spec, const Schema& schema,
                                            const std::vector<size_t>& columns) const override {
    if (PlaceOf(spec) != SchemaPlace::kPrefix) return std::nullopt;
    return SchemaToRegister{spec.Option(kSubject), {"AVRO", AvroSchemaOf(schema, columns, spec.Option(kRecord)), {}}};
  }

 private:
  absl::StatusOr<AvroReaderOptions> ReaderOptions(const FormatSpec& spec) const {
    AvroReaderOptions options{.place = PlaceOf(spec), .schema = nullptr, .lookup = lookup_};
    if (spec.options.contains(kSchemaFile)) {
      TM_ASSIGN_OR_RETURN(options.schema, ReadSchemaFile(spec.Option(kSchemaFile)));
    } else if (lookup_ == nullptr) {
      return absl::InvalidArgumentError("format avro has neither a registry nor a schema_file");
    }
    return options;
  }

  static bool CheckRead(FormatCheck& check) {
    for (const char* option : {kSubject, kRecord}) {
      if (check.spec().options.contains(option)) {
        return check.OptionError(option, absl::StrCat(option, " is for what is written"));
      }
    }
    const bool file = check.spec().options.contains(kSchemaFile);
    if (!file && PlaceOf(check.spec()) == SchemaPlace::kNowhere) {
      return check.OptionError(kSchemaId, "records that name no schema need a schema_file, which they all have");
    }
    if (!file) return true;
    const auto schema = ReadSchemaFile(check.spec().Option(kSchemaFile));
    if (!schema.ok()) return check.OptionError(kSchemaFile, std::string(schema.status().message()));
    bool good = true;
    for (const FormatColumn& column : check.columns()) {
      const std::string why = WhyNever(**schema, column);
      if (!why.empty()) good = check.ColumnError(column, absl::StrCat("column ", column.column.name, ": ", why));
    }
    return good;
  }

  static bool CheckWrite(FormatCheck& check) {
    if (check.spec().options.contains(kSchemaFile)) {
      return check.OptionError(kSchemaFile,
                               "schema_file is for what is read: what a sink writes has a schema "
                               "that follows from its columns");
    }
    if (PlaceOf(check.spec()) == SchemaPlace::kHeader) {
      return check.OptionError(kSchemaId, "`schema_id: header` isn't implemented for sinks; prefix or none");
    }
    if (check.spec().options.contains(kSubject) && PlaceOf(check.spec()) == SchemaPlace::kNowhere) {
      return check.OptionError(kSubject, "without `schema_id: prefix` no schema is registered");
    }
    if (const std::string record = check.spec().Option(kRecord); !IsAvroName(record)) {
      return check.OptionError(kRecord, absl::StrCat("'", record,
                                                     "' isn't a name of Avro: letters, digits and _, with "
                                                     "dots between those of namespaces"));
    }
    bool good = true;
    for (const FormatColumn& column : check.columns()) {
      const std::string& name = column.column.name;
      if (IsAvroName(name) && name.find('.') == std::string::npos) continue;
      good = check.ColumnError(column, absl::StrCat("column '", name,
                                                    "' can't be a field of Avro, whose names are "
                                                    "letters, digits and _: rename it in a project step"));
    }
    return good;
  }

  SchemaLookup* const lookup_;
  const TakeSchema take_;
};

}  // namespace

const Format& AvroFormat() {
  static const auto& format = *new Avro(nullptr);
  return format;
}

std::unique_ptr<const Format> MakeAvroFormat(SchemaLookup* lookup) { return std::make_unique<Avro>(lookup); }
std::unique_ptr<const Format> MakeAvroFormat(TakeSchema take) {
  return std::make_unique<Avro>(nullptr, std::move(take));
}

}  // namespace tidemark
