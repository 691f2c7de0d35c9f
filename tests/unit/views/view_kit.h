// A view of a few shops' sales to ask, and what it answers as text. One thread.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include "src/codec/table_decoder.h"
#include "src/views/answer.h"
#include "src/views/changes.h"
#include "src/views/records.h"

namespace tidemark {

inline Schema SalesSchema() {
  return Schema({{"shop", {Kind::kString}, false},
                 {"day", {Kind::kDate}, true},
                 {"sale", {Kind::kInt64}, false},
                 {"price", {.kind = Kind::kDecimal, .precision = 10, .scale = 2}, true},
                 {"weight", {Kind::kDouble}, true},
                 {"at", {.kind = Kind::kTimestamp, .form = TimestampForm::kMillis}, true},
                 {"paid", {Kind::kBool}, true},
                 {"doc", {Kind::kJson}, true}});
}

// Records with these keys and values; an empty value is none.
class TextFetch final : public Fetch {
 public:
  TextFetch(std::vector<std::pair<std::string, std::string>> records, Offset first = 0) : texts_(std::move(records)) {
    for (const auto& [key, value] : texts_) {
      records_.push_back({first++, 0, key, value.empty() ? Bytes() : Bytes(value)});
    }
  }
  const TopicPartition& source() const override { return source_; }
  std::span<const RecordView> records() const override { return records_; }
  HeaderList Headers(size_t) const override { return {}; }

 private:
  const TopicPartition source_{"town.sales.view", 0};
  const std::vector<std::pair<std::string, std::string>> texts_;
  std::vector<RecordView> records_;
};

using Indexes = std::vector<std::vector<size_t>>;

class SalesView {
 public:
  explicit SalesView(Indexes indexes = {}, int64_t keep_us = 0, std::vector<size_t> key = {0, 2})
      : plan_(PlanOf(std::move(indexes), keep_us, std::move(key))), shape_(plan_), store_(shape_) {}

  static SinkPlan PlanOf(Indexes indexes, int64_t keep_us, std::vector<size_t> key) {
    KafkaSinkSpec kafka;
    kafka.topic = "town.sales.view";
    kafka.key = std::move(key);
    kafka.key_format = kJsonFormat;
    kafka.upsert = true;
    SinkPlan plan;
    plan.name = "sales";
    plan.from = "sold";
    plan.spec = std::move(kafka);
    plan.view = ViewSpec{.indexes = std::move(indexes), .keep_us = keep_us, .tokens = "", .audit = ""};
    plan.schema = SalesSchema();
    return plan;
  }

  // Values of records, one commit of them; `at` becomes the position.
  void Put(const std::vector<std::string>& rows, Offset at = 0, std::optional<EventTime> as_of = std::nullopt) {
    std::vector<std::pair<std::string, std::string>> records;
    for (const std::string& row : rows) records.emplace_back("{}", row);
    Take(TextFetch(std::move(records)), at, as_of);
  }
  void Delete(const std::string& key, Offset at = 0) { Take(TextFetch({{key, ""}}), at, std::nullopt); }

  absl::StatusOr<ViewPage> Page(const std::string& question, size_t most_scanned = kMostScanned) const {
    absl::StatusOr<ViewQuestion> asked = QuestionOfJson(question, plan_.schema);
    if (!asked.ok()) return asked.status();
    return Answer(*asked, shape_, store_, most_scanned);
  }

  // "a 1, a 2": shop and sale of the rows, in their order; or why there are none.
  std::string Sales(const std::string& question, size_t most_scanned = kMostScanned) const {
    const absl::StatusOr<ViewPage> page = Page(question, most_scanned);
    if (!page.ok()) return absl::StrCat(absl::StatusCodeToString(page.status().code()), ": ", page.status().message());
    return SalesOf(*page);
  }
  std::string SalesOf(const ViewPage& page) const {
    std::string csv = *RenderRows(page, plan_.schema, {0, 2}, ViewFormat::kCsv), out;
    for (size_t begin = csv.find('\n') + 1, end; (end = csv.find('\n', begin)) != std::string::npos; begin = end + 1) {
      std::string row = csv.substr(begin, end - begin);
      row[row.find(',')] = ' ';
      absl::StrAppend(&out, out.empty() ? "" : ", ", row);
    }
    return out;
  }

  const SinkPlan& plan() const { return plan_; }
  const ViewShape& shape() const { return shape_; }
  ViewStore& store() { return store_; }
  const ViewStore& store() const { return store_; }
  ViewChanges& changes() { return changes_; }

 private:
  void Take(const Fetch& fetch, Offset at, std::optional<EventTime> as_of) {
    auto decoder = TableDecoder::Make(ViewTable(plan_));
    ASSERT_TRUE(decoder.ok()) << decoder.status();
    const auto decoded = (*decoder)->Decode(fetch, 0);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    ASSERT_TRUE(decoded->errors.empty()) << decoded->errors[0].reason;
    EncodedKeys cells;
    ASSERT_TRUE(shape_.Encode(*decoded->rows, &cells).ok());
    const auto* times = decoded->rows->column(8)->data()->GetValues<int64_t>(1);
    std::vector<ViewChange> changes;
    for (size_t i = 0; i < cells.size(); ++i) {
      ViewChange& change = changes.emplace_back();
      change.key = *shape_.KeyOf(cells[i]);
      if (decoded->deleted[i] == 0) {
        change.row = *shape_.MakeRow(cells[i], EventTime{times[i]}, static_cast<Offset>(i));
      } else {
        change.gone = *shape_.MakeRow(cells[i], EventTime{times[i]}, static_cast<Offset>(i));
      }
    }
    changes_.Add(changes, {at, as_of});
    store_.Apply(std::move(changes), {at, as_of});
  }

  const SinkPlan plan_;
  const ViewShape shape_;
  ViewStore store_;
  ViewChanges changes_{shape_, 64 << 10};
};

// The value of a record: shop and sale, and further members.
inline std::string Sale(const std::string& shop, int64_t sale, const std::string& more = "", int64_t time_us = 0) {
  return absl::StrCat("{\"shop\":\"", shop, "\",\"sale\":", sale, more.empty() ? "" : ",", more,
                      ",\"__time\":", time_us, "}");
}

}  // namespace tidemark
