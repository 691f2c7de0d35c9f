#include "src/codec/json/format.h"

#include <absl/strings/str_cat.h>

#include "src/codec/json/object_reader.h"
#include "src/codec/json/value_reader.h"
#include "src/codec/json/value_writer.h"

namespace tidemark {
namespace {

constexpr char kArray[] = "array";

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

  void Write(const std::vector<ColumnView>& columns, int64_t rows, TextBuffer* out,
             std::vector<KeyEnd>* keys) override {
    keys->resize(static_cast<size_t>(rows));
    for (int64_t row = 0; row < rows; ++row) {
      object_.Write(columns, row, out);
      (*keys)[static_cast<size_t>(row)] = {out->size(), true};
    }
  }

 private:
  const JsonObjectWriter object_;
};

class Json final : public Format {
 public:
  std::string_view name() const override { return kJsonFormat; }
  std::vector<std::string_view> options() const override { return {kArray}; }
  bool holds_names() const override { return true; }
  bool ManyRows(const FormatSpec& spec) const override { return spec.Is(kArray); }
  std::string Types(FormatUse) const override { return "any type"; }
  bool Holds(const Type&, FormatUse) const override { return true; }

  bool Check(FormatCheck& check) const override {
    if (check.spec().options.contains(kArray) && check.use() != FormatUse::kReadValue) {
      return check.OptionError(kArray, "array is for values that are read: a row is written as an object of its own");
    }
    return true;
  }

  absl::StatusOr<std::unique_ptr<ValueReader>> MakeReader(const FormatSpec& spec,
                                                          const std::vector<ReadTarget>& targets) const override {
    return std::make_unique<JsonValueReader>(targets, spec.Is(kArray));
  }
  absl::StatusOr<std::unique_ptr<KeyReader>> MakeKeyReader(const FormatSpec&,
                                                           const std::vector<ReadTarget>& targets) const override {
    return std::make_unique<JsonKeyReader>(targets);
  }
  absl::StatusOr<std::unique_ptr<ValueWriter>> MakeWriter(const FormatSpec&, const Schema& schema,
                                                          const std::vector<size_t>& columns) const override {
    return std::make_unique<JsonValueWriter>(schema, columns);
  }
  absl::StatusOr<std::unique_ptr<KeyWriter>> MakeKeyWriter(const FormatSpec&, const Schema& schema,
                                                           const std::vector<size_t>& columns) const override {
    return std::make_unique<JsonKeyWriter>(schema, columns);
  }
};

}  // namespace

const Format& JsonFormat() {
  static const auto& format = *new Json();
  return format;
}

}  // namespace tidemark
