#include "src/codec/debezium/format.h"

#include <absl/strings/str_cat.h>

#include "src/codec/debezium/reader.h"

namespace tidemark {
namespace {

constexpr char kSchemaPart[] = "schema_part", kOnTruncate[] = "on_truncate";

bool NeedsSchema(const FormatSpec& spec) { return spec.Option(kSchemaPart, "required") == "required"; }

class Debezium final : public Format {
 public:
  std::string_view name() const override { return "debezium"; }
  std::vector<std::string_view> options() const override {
    return {"encoding", kSchemaPart, kOnTruncate, "partitioner"};
  }
  bool Serves(FormatUse use) const override { return use == FormatUse::kReadValue; }
  bool holds_names() const override { return true; }
  bool coerces() const override { return false; }
  bool takes_timestamp_format() const override { return false; }
  std::string Types(FormatUse) const override { return "any type but json"; }
  // A jsonb column is a string; arrays are refused as values.
  bool Holds(const Type& type, FormatUse) const override { return TypeName(type) != "json"; }
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
    for (const FormatColumn& column : check.columns()) good = CheckColumn(check, column) && good;
    return good;
  }

  absl::StatusOr<std::unique_ptr<ValueReader>> MakeReader(const FormatSpec& spec,
                                                          const std::vector<ReadTarget>& targets) const override {
    debezium::Reader::Options options;
    options.schema_in_values = NeedsSchema(spec);
    options.stop_on_truncate = spec.Option(kOnTruncate, "stop") == "stop";
    return std::make_unique<debezium::Reader>(options, targets);
  }

 private:
  static bool CheckColumn(FormatCheck& check, const FormatColumn& column) {
    if (column.path.size() != 1) {
      return check.ColumnError(column, "`path` is the name of a column of the table: rows are flat");
    }
    const std::string words = debezium::AsFor(column.column.type);
    if (NeedsSchema(check.spec())) {
      if (column.as.empty()) return true;
      return check.ColumnError(column, "`as` goes with `schema_part: none`: with it the record says how it is written");
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
};

}  // namespace

const Format& DebeziumFormat() {
  static const auto& format = *new Debezium();
  return format;
}

}  // namespace tidemark
