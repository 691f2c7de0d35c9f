// A format that is one column as a whole: its name, the types it holds, and how a value is read and written; all else
// is here. `Codec` has
//
//     static constexpr char kName[];
//     static bool Serves(FormatUse use);
//     static std::string Types(FormatUse use);
//     static bool Holds(const Type& type, FormatUse use);
//     static constexpr bool kReadsText = true;  // only where what is read is text, which can be coerced
//     static std::optional<std::string> Set(std::string_view bytes, size_t column, ColumnSet* columns);  // the reason
//     static void Put(const ColumnView& column, int64_t row, TextBuffer* out);                           // not of NULL
//
// which are called in loops of their own, so that nothing goes through a pointer for each record. Values can't be NULL
// (the planner sees to it); a NULL key is no key.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>

#include "src/codec/format.h"
#include "src/codec/record_rows.h"

namespace tidemark {

template <typename Codec>
class OneColumnReader final : public ValueReader {
 public:
  explicit OneColumnReader(std::vector<ReadTarget> targets) : targets_(std::move(targets)) {}

  absl::Status Read(const Fetch& fetch, size_t first, size_t last, RecordRows* rows) override {
    const std::span<const RecordView> records = fetch.records();
    for (size_t i = first; i < last; ++i) {
      rows->BeginRecord(i);
      if (!records[i].value) {
        rows->Tombstone();
        continue;
      }
      ColumnSet& columns = rows->BeginRow();
      std::optional<std::string> reason;
      for (const ReadTarget& target : targets_) {
        if (!reason) reason = Codec::Set(*records[i].value, target.column, &columns);
      }
      if (reason) {
        rows->Reject(*std::move(reason));
      } else {
        rows->EndRow();
      }
    }
    return absl::OkStatus();
  }

 private:
  const std::vector<ReadTarget> targets_;
};

template <typename Codec>
class OneColumnKeyReader final : public KeyReader {
 public:
  explicit OneColumnKeyReader(std::vector<ReadTarget> targets) : targets_(std::move(targets)) {}

  std::optional<std::string> Read(std::string_view key, ColumnSet* columns) override {
    for (const ReadTarget& target : targets_) {
      if (std::optional<std::string> reason = Codec::Set(key, target.column, columns)) return reason;
    }
    return std::nullopt;
  }

 private:
  const std::vector<ReadTarget> targets_;
};

template <typename Codec>
class OneColumnWriter final : public ValueWriter {
 public:
  OneColumnWriter(std::string name, size_t column) : name_(std::move(name)), column_(column) {}

  absl::Status Write(const std::vector<ColumnView>& columns, absl::Span<const int32_t> rows, TextBuffer* out,
                     std::vector<size_t>* ends) override {
    const ColumnView& column = columns[column_];
    ends->resize(rows.size());
    for (size_t i = 0; i < rows.size(); ++i) {
      if (column.IsNull(rows[i])) {
        return absl::InternalError(absl::StrCat("column ", name_, " is null, which a ", Codec::kName, " value isn't"));
      }
      Codec::Put(column, rows[i], out);
      (*ends)[i] = out->size();
    }
    return absl::OkStatus();
  }

 private:
  const std::string name_;
  const size_t column_;
};

template <typename Codec>
class OneColumnKeyWriter final : public KeyWriter {
 public:
  explicit OneColumnKeyWriter(size_t column) : column_(column) {}

  absl::Status Write(const std::vector<ColumnView>& columns, int64_t rows, TextBuffer* out,
                     std::vector<KeyEnd>* keys) override {
    const ColumnView& column = columns[column_];
    keys->resize(static_cast<size_t>(rows));
    for (int64_t row = 0; row < rows; ++row) {
      const bool present = !column.IsNull(row);
      if (present) Codec::Put(column, row, out);
      (*keys)[static_cast<size_t>(row)] = {out->size(), present};
    }
    return absl::OkStatus();
  }

 private:
  const size_t column_;
};

template <typename Codec>
class OneColumnFormat final : public Format {
 public:
  std::string_view name() const override { return Codec::kName; }
  bool Serves(FormatUse use) const override { return Codec::Serves(use); }
  bool holds_names() const override { return false; }
  bool coerces() const override {
    return requires { Codec::kReadsText; };
  }
  std::string Types(FormatUse use) const override { return Codec::Types(use); }
  bool Holds(const Type& type, FormatUse use) const override { return Codec::Holds(type, use); }

  absl::StatusOr<std::unique_ptr<ValueReader>> MakeReader(const FormatSpec&,
                                                          const std::vector<ReadTarget>& targets) const override {
    return std::make_unique<OneColumnReader<Codec>>(targets);
  }
  absl::StatusOr<std::unique_ptr<KeyReader>> MakeKeyReader(const FormatSpec&,
                                                           const std::vector<ReadTarget>& targets) const override {
    return std::make_unique<OneColumnKeyReader<Codec>>(targets);
  }
  absl::StatusOr<std::unique_ptr<ValueWriter>> MakeWriter(const FormatSpec&, const Schema& schema,
                                                          const std::vector<size_t>& columns) const override {
    if (columns.size() != 1) return absl::InvalidArgumentError(absl::StrCat(Codec::kName, " holds one column"));
    return std::make_unique<OneColumnWriter<Codec>>(schema[columns[0]].name, columns[0]);
  }
  absl::StatusOr<std::unique_ptr<KeyWriter>> MakeKeyWriter(const FormatSpec&, const Schema&,
                                                           const std::vector<size_t>& columns) const override {
    if (columns.size() != 1) return absl::InvalidArgumentError(absl::StrCat(Codec::kName, " holds one column"));
    return std::make_unique<OneColumnKeyWriter<Codec>>(columns[0]);
  }
};

}  // namespace tidemark
