#include "src/runtime/generations/view_comparison.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <arrow/array.h>
#include <arrow/record_batch.h>

#include "src/base/status.h"
#include "src/codec/table_decoder.h"
#include "src/runtime/generations/compared_rows.h"
#include "src/runtime/generations/row_tally.h"
#include "src/runtime/generations/topic_comparison.h"
#include "src/runtime/log_range.h"
#include "src/runtime/view_log.h"
#include "src/views/records.h"

namespace tidemark {
namespace {

constexpr char kClientId[] = "tidemark-switch";

// One of the two: its log, and how its rows are read.
class ViewSide {
 public:
  ViewSide(const SinkPlan& view, RowTally::Side side, const ViewComparisonTarget& target)
      : log_{std::get<KafkaSinkSpec>(view.spec).topic, 0},
        table_(ViewTable(view)),
        keep_us_(view.view->keep_us),
        side_(side) {
    for (const std::string& name : target.key) {
      key_.push_back(*target.columns.Find(name));
      key_places_.push_back(PlaceOf(name, view));
    }
    for (const ComparedColumn& column : target.columns.columns) {
      const bool here = side == RowTally::Side::kBefore ? column.before : column.after;
      columns_.push_back(column);
      places_.push_back(here ? PlaceOf(column.name, view) : -1);
    }
  }

  const TopicPartition& log() const { return log_; }

  // Finds up to where its log is compared, and the time of the view there.
  absl::Status Look(KafkaClient& kafka, Clock& clock, const CompareTime& time) {
    TM_ASSIGN_OR_RETURN(end_, ComparedEnd(kafka, log_, time.at_cut));
    as_of_.reset();
    if (keep_us_ == 0) return absl::OkStatus();
    ViewTime told;
    return Walk(
        kafka, clock, time, [](const Fetch&) { return absl::OkStatus(); },
        [&](int32_t writer, const packed::ViewMark& mark, Offset offset) {
          told.Tell(writer, mark, offset);
          as_of_ = told.AsOf();
        });
  }
  // As Look has found it. Nothing: no row is over, or no time is needed.
  std::optional<EventTime> as_of() const { return as_of_; }

  // The rows up to there, but those that are over at `as_of`.
  absl::Status Take(KafkaClient& kafka, Clock& clock, const CompareTime& time, std::optional<EventTime> as_of,
                    RowTally* tally) {
    TM_ASSIGN_OR_RETURN(decoder_, TableDecoder::Make(table_));
    return Walk(
        kafka, clock, time, [&](const Fetch& rows) { return TakeRows(rows, as_of, tally); },
        [](int32_t, const packed::ViewMark&, Offset) {});
  }

 private:
  static int PlaceOf(const std::string& name, const SinkPlan& view) {
    const auto place = view.schema.Find(name);
    return place ? static_cast<int>(*place) : -1;
  }

  // From where the log begins now: with `keep` it is trimmed between the one time and the next.
  absl::Status Walk(KafkaClient& kafka, Clock& clock, const CompareTime& time,
                    absl::FunctionRef<absl::Status(const Fetch&)> rows,
                    absl::FunctionRef<void(int32_t, const packed::ViewMark&, Offset)> mark) {
    TM_ASSIGN_OR_RETURN(const Offset start, kafka.admin().LogStart(log_));
    const auto take = [&](const Fetch& fetch, size_t i) -> absl::Status {
      if (i > 0) return absl::OkStatus();
      TM_RETURN_IF_ERROR(time.go_on());
      return WalkViewLog(FetchPart(fetch, 0, Before(fetch, end_)), rows,
                         [&](int32_t writer, const RecordView& record) -> absl::Status {
                           TM_ASSIGN_OR_RETURN(const packed::ViewMark told, ReadViewMark(log_, record));
                           mark(writer, told, record.offset);
                           return absl::OkStatus();
                         });
    };
    return ReadLogRange(kafka, clock, kClientId, log_, start, end_, take);
  }

  // How many of its records lie before an offset.
  static size_t Before(const Fetch& fetch, Offset end) {
    size_t count = fetch.records().size();
    while (count > 0 && fetch.records()[count - 1].offset >= end) --count;
    return count;
  }

  // As readers have it, what can't be read is no row.
  absl::Status TakeRows(const Fetch& fetch, std::optional<EventTime> as_of, RowTally* tally) {
    TM_ASSIGN_OR_RETURN(const DecodedTableRows decoded, decoder_->Decode(fetch, 0));
    const auto pick = [&](const std::vector<int>& places) {
      arrow::ArrayVector arrays;
      for (const int place : places) arrays.push_back(place < 0 ? nullptr : decoded.rows->column(place));
      return arrays;
    };
    const int64_t rows = decoded.rows->num_rows();
    TM_RETURN_IF_ERROR(HashRows(key_, pick(key_places_), rows, &keys_));
    TM_RETURN_IF_ERROR(HashRows(columns_, pick(places_), rows, &values_));
    const auto* const times =
        decoded.rows->column(static_cast<int>(table_.columns.size()) - 1)->data()->GetValues<int64_t>(1);
    for (size_t row = 0; row < keys_.size(); ++row) {
      const bool over = keep_us_ > 0 && as_of && *as_of - keep_us_ >= EventTime{times[row]};
      if (decoded.deleted[row] != 0 || over) {
        tally->Remove(side_, keys_[row]);
      } else {
        tally->Put(side_, keys_[row], values_[row].low64);
      }
    }
    return absl::OkStatus();
  }

  const TopicPartition log_;
  const TablePlan table_;
  const int64_t keep_us_;
  const RowTally::Side side_;
  std::vector<ComparedColumn> key_, columns_;
  std::vector<int> key_places_, places_;  // in what is decoded; -1: nowhere
  std::unique_ptr<TableDecoder> decoder_;
  Offset end_ = 0;
  std::optional<EventTime> as_of_;
  std::vector<XXH128_hash_t> keys_, values_;  // of the rows that are looked at
};

class ViewComparison final : public TargetComparison {
 public:
  ViewComparison(ViewComparisonTarget target, KafkaClient* kafka, Clock* clock)
      : target_(std::move(target)),
        kafka_(kafka),
        clock_(clock),
        before_(target_.before, RowTally::Side::kBefore, target_),
        after_(target_.after, RowTally::Side::kAfter, target_) {}

  absl::Status Prepare() override {
    TM_ASSIGN_OR_RETURN(const auto topics, kafka_->admin().Describe({before_.log().topic, after_.log().topic}));
    for (const ViewSide* side : {&before_, &after_}) {
      if (topics.contains(side->log().topic)) continue;
      return absl::InvalidArgumentError(absl::StrCat(target_.view, ": topic ", side->log().topic, " doesn't exist"));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<TargetDifference> Compare(const CompareTime& time) override {
    TM_RETURN_IF_ERROR(Prepare());
    RowTally tally(RowTally::By::kKey, target_.most_entries);
    while (tally.Begin()) {
      for (ViewSide* side : {&before_, &after_}) {
        TM_RETURN_IF_ERROR(Annotate(side->Look(*kafka_, *clock_, time), Describe()));
      }
      // One time for both: which of them has said more of its own by its end is no difference of results.
      const std::optional<EventTime> as_of = std::max(before_.as_of(), after_.as_of());
      for (ViewSide* side : {&before_, &after_}) {
        TM_RETURN_IF_ERROR(Annotate(side->Take(*kafka_, *clock_, time, as_of, &tally), Describe()));
      }
      tally.End();
    }
    return tally.difference();
  }

  std::string Describe() const override {
    return absl::StrCat(target_.view, ": generation ", target_.before_generation, "'s with generation ",
                        target_.after_generation, "'s, by ", absl::StrJoin(target_.key, ", "));
  }
  bool by_key() const override { return true; }

 private:
  const ViewComparisonTarget target_;
  KafkaClient* const kafka_;
  Clock* const clock_;
  ViewSide before_, after_;
};

}  // namespace

std::unique_ptr<TargetComparison> MakeViewComparison(ViewComparisonTarget target, KafkaClient* kafka, Clock* clock) {
  return std::make_unique<ViewComparison>(std::move(target), kafka, clock);
}

}  // namespace tidemark
