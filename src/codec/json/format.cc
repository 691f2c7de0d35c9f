#include "src/codec/json/format.h"

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>

#include "src/base/status.h"
#include "src/base/whole_file.h"
#include "src/codec/json/framed_reader.h"
#include "src/codec/json/framed_writer.h"
#include "src/codec/json/object_reader.h"
#include "src/codec/json/schema.h"
#include "src/codec/json/schema_columns.h"
#include "src/codec/json/value_reader.h"
#include "src/codec/json/value_writer.h"
#include "src/codec/schema_id.h"

namespace tidemark {
namespace {

constexpr char kArray[] = "array", kSchemaId[] = "schema_id", kSubject[] = "subject", kSchemaFile[] = "schema_file";

SchemaPlace PlaceOf(const FormatSpec& spec) {
  const std::string place = spec.Option(kSchemaId, "none");
  return place == "prefix" ? SchemaPlace::kPrefix : place == "header" ? SchemaPlace::kHeader : SchemaPlace::kNowhere;
}

class JsonKeyReader final : public KeyReader {
 public:
  explicit JsonKeyReader(const std::vector<ReadTarget>& targets) : object_(targets) {}

  std::optional<std::string> Read(std::string_view key, ColumnSet* columns) override {
    return object_.Read(key, columns);
  }

 private:
  JsonObjectReader object_;
};

class JsonKeyWriter final : public KeyWriter {
 public:
  JsonKeyWriter(const Schema& schema, const std::vector<size_t>& key) : object_(schema, key) {}

  absl::Status Write(const std::vector<ColumnView>& columns, int64_t rows, TextBuffer* out,
                     std::vector<KeyEnd>* keys) override {
    keys->resize(static_cast<size_t>(rows));
    for (int64_t row = 0; row < rows; ++row) {
      object_.Write(columns, row, out);
      (*keys)[static_cast<size_t>(row)] = {out->size(), true};
    }
    return absl::OkStatus();
  }

 private:
  const JsonObjectWriter object_;
};

class Json final : public Format {
 public:
  explicit Json(SchemaLookup* lookup, TakeSchema take = nullptr) : lookup_(lookup), take_(std::move(take)) {}

  std::string_view name() const override { return kJsonFormat; }
  std::vector<std::string_view> options() const override { return {kArray, kSchemaId, kSubject, kSchemaFile}; }
  bool holds_names() const override { return true; }
  bool ManyRows(const FormatSpec& spec) const override { return spec.Is(kArray); }
  std::string Types(FormatUse) const override { return "any type"; }
  bool Holds(const Type&, FormatUse) const override { return true; }

  bool NeedsRegistry(const FormatSpec& spec, FormatUse) const override {
    return PlaceOf(spec) != SchemaPlace::kNowhere;
  }
  void Complete(const std::string& topic, FormatUse use, FormatSpec* spec) const override {
    if (use != FormatUse::kWriteValue || PlaceOf(*spec) == SchemaPlace::kNowhere) return;
    spec->options.emplace(kSubject, topic + "-value");
  }

  absl::StatusOr<std::vector<TakenColumn>> Columns(const FormatSpec& spec, const std::string& topic,
                                                   const RegistrySpec& registry) const override {
    if (spec.options.contains(kSchemaFile)) return ColumnsOfFile(spec.Option(kSchemaFile));
    if (registry.none()) return absl::InvalidArgumentError("neither schema_registry nor schema_file says a schema");
    if (take_ == nullptr) return absl::InvalidArgumentError("there is nobody to ask the registry");
    TM_ASSIGN_OR_RETURN(const WrittenSchema written, take_(registry, topic + "-value"));
    if (written.type != "JSON") return absl::InvalidArgumentError("the schema there is one of " + written.type);
    return ColumnsOfJsonSchema(written.text, written.references);
  }

  bool Check(FormatCheck& check) const override {
    if (check.spec().options.contains(kSchemaFile) && !CheckFile(check)) return false;
    if (IsKey(check.use()) && check.spec().options.contains(kSchemaId)) {
      return check.OptionError(kSchemaId, "schema_id is for values: keys that name a schema aren't implemented");
    }
    if (check.use() != FormatUse::kWriteValue && check.spec().options.contains(kSubject)) {
      return check.OptionError(kSubject, "subject is for values that are written");
    }
    if (check.use() == FormatUse::kWriteValue && PlaceOf(check.spec()) == SchemaPlace::kHeader) {
      return check.OptionError(kSchemaId, "`schema_id: header` isn't implemented for sinks; prefix or none");
    }
    if (check.spec().options.contains(kSubject) && PlaceOf(check.spec()) == SchemaPlace::kNowhere) {
      return check.OptionError(kSubject, "without `schema_id: prefix` no schema is registered");
    }
    if (check.spec().options.contains(kArray) && check.use() != FormatUse::kReadValue) {
      return check.OptionError(kArray, "array is for values that are read: a row is written as an object of its own");
    }
    return true;
  }

  absl::StatusOr<std::unique_ptr<ValueReader>> MakeReader(const FormatSpec& spec,
                                                          const std::vector<ReadTarget>& targets) const override {
    if (PlaceOf(spec) == SchemaPlace::kNowhere) return std::make_unique<JsonValueReader>(targets, spec.Is(kArray));
    if (lookup_ == nullptr) return absl::InvalidArgumentError("format json with schema_id has no registry");
    return std::make_unique<FramedJsonReader>(targets, spec.Is(kArray), PlaceOf(spec), lookup_);
  }
  absl::StatusOr<std::unique_ptr<KeyReader>> MakeKeyReader(const FormatSpec&,
                                                           const std::vector<ReadTarget>& targets) const override {
    return std::make_unique<JsonKeyReader>(targets);
  }
  absl::StatusOr<std::unique_ptr<ValueWriter>> MakeWriter(const FormatSpec& spec, const Schema& schema,
                                                          const std::vector<size_t>& columns) const override {
    const std::optional<SchemaToRegister> own = Registers(spec, schema, columns);
    if (!own) return std::make_unique<JsonValueWriter>(schema, columns);
    if (lookup_ == nullptr) return absl::InvalidArgumentError("format json with schema_id has no registry");
    int32_t id = 0;
    const SchemaLookup::Answer answer = lookup_->Registered(own->subject, own->schema, &id);
    if (!answer.what.empty()) return absl::FailedPreconditionError(answer.what);
    return std::make_unique<FramedJsonWriter>(schema, columns, SchemaIdPrefix(id));
  }
  std::optional<SchemaToRegister> Registers(const FormatSpec& spec, const Schema& schema,
                                            const std::vector<size_t>& columns) const override {
    if (PlaceOf(spec) != SchemaPlace::kPrefix) return std::nullopt;
    const std::string subject = spec.Option(kSubject);
    return SchemaToRegister{subject, {"JSON", JsonSchemaOf(schema, columns, subject), {}}};
  }
  absl::StatusOr<std::unique_ptr<KeyWriter>> MakeKeyWriter(const FormatSpec&, const Schema& schema,
                                                           const std::vector<size_t>& columns) const override {
    return std::make_unique<JsonKeyWriter>(schema, columns);
  }

 private:
  static absl::StatusOr<std::vector<TakenColumn>> ColumnsOfFile(const std::string& path) {
    const absl::StatusOr<std::string> text = ReadWholeFile(path);
    if (!text.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("schema file ", path, " can't be read: ", std::string(text.status().message())));
    }
    absl::StatusOr<std::vector<TakenColumn>> columns = ColumnsOfJsonSchema(*text, {});
    if (!columns.ok()) return Annotate(columns.status(), "schema file " + path);
    return columns;
  }

  // Columns that are written out are held against it: each of them, or something on its path, is a property.
  static bool CheckFile(FormatCheck& check) {
    if (check.use() != FormatUse::kReadValue) {
      return check.OptionError(kSchemaFile, "schema_file is for values that are read");
    }
    const auto columns = ColumnsOfFile(check.spec().Option(kSchemaFile));
    if (!columns.ok()) return check.OptionError(kSchemaFile, std::string(columns.status().message()));
    bool good = true;
    for (const FormatColumn& column : check.columns()) {
      const std::vector<std::string> path = column.path.empty() ? std::vector{column.column.name} : column.path;
      const auto leads_there = [&](const TakenColumn& taken) {
        const size_t common = std::min(path.size(), taken.path.size());
        return std::equal(path.begin(), path.begin() + static_cast<ptrdiff_t>(common), taken.path.begin()) &&
               (taken.path.size() >= path.size() || taken.column.type.kind == Kind::kJson);
      };
      if (std::any_of(columns->begin(), columns->end(), leads_there)) continue;
      good = check.ColumnError(column, absl::StrCat("column ", column.column.name,
                                                    ": the schema has no property of that name, or none on its path"));
    }
    return good;
  }

  SchemaLookup* const lookup_;
  const TakeSchema take_;
};

}  // namespace

const Format& JsonFormat() {
  static const auto& format = *new Json(nullptr);
  return format;
}

std::unique_ptr<const Format> MakeJsonFormat(SchemaLookup* lookup) { return std::make_unique<Json>(lookup); }
std::unique_ptr<const Format> MakeJsonFormat(TakeSchema take) {
  return std::make_unique<Json>(nullptr, std::move(take));
}

}  // namespace tidemark
