#include "src/codec/csv/format.h"

#include <absl/strings/str_cat.h>

#include "src/codec/csv/dialect.h"
#include "src/codec/csv/reader.h"
#include "src/codec/csv/writer.h"

namespace tidemark {
namespace {

class Csv final : public Format {
 public:
  std::string_view name() const override { return "csv"; }
  std::vector<std::string_view> options() const override { return CsvOptions(); }
  bool Serves(FormatUse use) const override { return !IsKey(use); }
  bool holds_names() const override { return true; }
  bool by_place(const FormatSpec& spec) const override { return !spec.Is("header"); }
  bool ManyRows(const FormatSpec&) const override { return true; }
  std::string Types(FormatUse) const override { return "any type"; }
  bool Holds(const Type&, FormatUse) const override { return true; }

  bool Check(FormatCheck& check) const override {
    CsvDialect dialect;
    if (const auto mistake = ReadDialect(check.spec(), &dialect)) {
      return check.OptionError(mistake->option, mistake->reason);
    }
    if (check.use() == FormatUse::kWriteValue) {
      if (!dialect.quote) return check.OptionError("quote", "a sink can't do without: texts may hold anything");
      if (check.columns().size() == 1 && check.columns()[0].column.nullable && dialect.null.empty()) {
        return check.OptionError("null_text",
                                 absl::StrCat("column ", check.columns()[0].column.name,
                                              " stands alone and can be null, which would be a line without "
                                              "anything: say how null is written, e.g. null_text: NULL"));
      }
      return true;
    }
    bool good = true;
    for (const FormatColumn& column : check.columns()) {
      if (column.path.size() > 1) good = check.ColumnError(column, "a csv value has no nested paths");
      const bool renamed = column.path[0] != column.column.name;
      if (!dialect.header && renamed && !CsvPlace(column.path)) {
        good = check.ColumnError(column, "without a header a path is the field's place, a number from 1");
      }
    }
    return good;
  }

  absl::StatusOr<std::unique_ptr<ValueReader>> MakeReader(const FormatSpec& spec,
                                                          const std::vector<ReadTarget>& targets) const override {
    CsvDialect dialect;
    if (const auto mistake = ReadDialect(spec, &dialect)) return absl::InvalidArgumentError(mistake->reason);
    return std::make_unique<CsvReader>(dialect, targets);
  }
  absl::StatusOr<std::unique_ptr<ValueWriter>> MakeWriter(const FormatSpec& spec, const Schema& schema,
                                                          const std::vector<size_t>& columns) const override {
    CsvDialect dialect;
    if (const auto mistake = ReadDialect(spec, &dialect)) return absl::InvalidArgumentError(mistake->reason);
    return std::make_unique<CsvWriter>(dialect, schema, columns);
  }
};

}  // namespace

const Format& CsvFormat() {
  static const auto& format = *new Csv();
  return format;
}

}  // namespace tidemark
