#include "src/codec/debezium/format.h"

#include <absl/strings/str_cat.h>

#include "src/codec/debezium/avro_reader.h"
#include "src/codec/debezium/reader.h"

namespace tidemark {
namespace {

constexpr char kEncoding[] = "encoding", kSchemaPart[] = "schema_part", kOnTruncate[] = "on_truncate";

bool IsAvro(const FormatSpec& spec) { return spec.Option(kEncoding, "json") == "avro"; }
// Records say themselves how their values are written.
bool HasSchema(const FormatSpec& spec) { return IsAvro(spec) || spec.Option(kSchemaPart, "required") == "required"; }

class Debezium final : public Format {
 public:
  explicit Debezium(SchemaLookup* lookup) : lookup_(lookup) {}

  std::string_view name() const override { return "debezium"; }
  std::vector<std::string_view> options() const override {
    return {kEncoding, kSchemaPart, kOnTruncate, "partitioner"};
  }
  bool Serves(FormatUse use) const override { return use == FormatUse::kReadValue; }
  bool holds_names() const override { return true; }
  bool coerces() const override { return false; }
  bool takes_timestamp_format() const override { return false; }
  std::string Types(FormatUse) const override { return "any type"; }
  bool Holds(const Type&, FormatUse) const override { return true; }
  bool NeedsRegistry(const FormatSpec& spec, FormatUse) const override { return IsAvro(spec); }
  bool tells_changes() const override { return true; }
  bool takes_as() const override { return true; }
  std::string Beside() const override {
    return "op, ts_ms, ts_us, ts_ns, source.NAME and transaction.NAME beside the row";
  }
  bool HasBeside(const std::vector<std::string>& path) const override {
    if (path.size() == 2) return path[0] == "source" || path[0] == "transaction";
    return path.size() == 1 && (path[0] == "op" || path[0] == "ts_ms" || path[0] == "ts_us" || path[0] == "ts_ns");
  }

  bool Check(FormatCheck& check) const override {
    bool good = true;
    if (IsAvro(check.spec()) && check.spec().options.contains(kSchemaPart)) {
      good = check.OptionError(kSchemaPart, "records in Avro have no schema part: their schema is the registry's");
    }
    for (const FormatColumn& column : check.columns()) good = CheckColumn(check, column) && good;
    return good;
  }

  absl::StatusOr<std::unique_ptr<ValueReader>> MakeReader(const FormatSpec& spec,
                                                          const std::vector<ReadTarget>& targets) const override {
    const bool stop = spec.Option(kOnTruncate, "stop") == "stop";
    if (!IsAvro(spec)) {
      return std::make_unique<debezium::Reader>(debezium::Reader::Options{HasSchema(spec), stop}, targets);
    }
    if (lookup_ == nullptr) return absl::InvalidArgumentError("format debezium in Avro has no registry");
    return std::make_unique<debezium::AvroReader>(debezium::AvroReader::Options{stop, lookup_}, targets);
  }

 private:
  static bool CheckColumn(FormatCheck& check, const FormatColumn& column) {
    if (column.path.size() != 1) {
      return check.ColumnError(column, "`path` is the name of a column of the table: rows are flat");
    }
    const std::string words = debezium::AsFor(column.column.type);
    if (HasSchema(check.spec())) {
      if (column.as.empty()) return true;
      return check.ColumnError(column, IsAvro(check.spec())
                                           ? "the schema of the records says how they are written: leave `as` out"
                                           : "`as` goes with `schema_part: none`: with it the record says how it is "
                                             "written");
    }
    if (!column.as.empty() && debezium::ReadingAs(column.as, column.column.type)) return true;
    const std::string name = TypeName(column.column.type);
    if (!column.as.empty()) {
      return check.ColumnError(column, absl::StrCat("'", column.as, "' isn't how ", name, " is written",
                                                    words.empty() ? "" : "; there are: " + words));
    }
    if (words.empty()) return true;
    return check.ColumnError(column, absl::StrCat("with `schema_part: none` a column of type ", name,
                                                  " says how Debezium writes it, `as`: ", words));
  }

  SchemaLookup* const lookup_;  // null: there is no registry
};

}  // namespace

const Format& DebeziumFormat() {
  static const auto& format = *new Debezium(nullptr);
  return format;
}

std::unique_ptr<const Format> MakeDebeziumFormat(SchemaLookup* lookup) { return std::make_unique<Debezium>(lookup); }

}  // namespace tidemark
