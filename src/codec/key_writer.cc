#include "src/codec/key_writer.h"

#include "src/codec/json/value_writer.h"

namespace tidemark {
namespace {

class NoKeys final : public KeyWriter {
 public:
  void Write(const std::vector<ColumnView>&, int64_t rows, TextBuffer*, std::vector<KeyEnd>* keys) override {
    keys->assign(static_cast<size_t>(rows), KeyEnd());
  }
};

class JsonKeys final : public KeyWriter {
 public:
  JsonKeys(const Schema& schema, const std::vector<size_t>& key) : object_(schema, key) {}

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

// The value as text; `raw`: bytes as they are.
class PlainKeys final : public KeyWriter {
 public:
  PlainKeys(size_t column, bool raw) : column_(column), raw_(raw) {}

  void Write(const std::vector<ColumnView>& columns, int64_t rows, TextBuffer* out,
             std::vector<KeyEnd>* keys) override {
    const ColumnView& column = columns[column_];
    keys->resize(static_cast<size_t>(rows));
    for (int64_t row = 0; row < rows; ++row) {
      const bool present = !column.IsNull(row);
      if (present && raw_) {
        out->Append(column.Text(row));
      } else if (present) {
        WritePlainText(column, row, out);
      }
      (*keys)[static_cast<size_t>(row)] = {out->size(), present};
    }
  }

 private:
  const size_t column_;
  const bool raw_;
};

}  // namespace

std::unique_ptr<KeyWriter> MakeKeyWriter(KeyFormat format, const Schema& schema, const std::vector<size_t>& key) {
  if (key.empty()) return std::make_unique<NoKeys>();
  if (format == KeyFormat::kJson || key.size() > 1) return std::make_unique<JsonKeys>(schema, key);
  return std::make_unique<PlainKeys>(key[0], format == KeyFormat::kBytes && schema[key[0]].type.kind == Kind::kBytes);
}

}  // namespace tidemark
