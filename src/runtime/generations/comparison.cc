#include "src/runtime/generations/comparison.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <variant>

#include <absl/strings/ascii.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>
#include <absl/strings/strip.h>

#include "operators/sinks/postgres/compare.h"
#include "src/base/compared_columns.h"
#include "src/base/status.h"
#include "src/base/suggest.h"
#include "src/runtime/generations/folder_comparison.h"
#include "src/runtime/generations/shadow.h"
#include "src/runtime/generations/topic_comparison.h"
#include "src/runtime/generations/view_comparison.h"
#include "src/runtime/reset_sinks.h"

namespace tidemark {
namespace {

constexpr int kFractionDigits = 6;
constexpr int64_t kWhole = 100'000'000;  // millionths of 100 %

class TableUnit final : public TargetComparison {
 public:
  explicit TableUnit(TableComparisonSpec spec) : spec_(std::move(spec)), comparison_(spec_) {}

  absl::Status Prepare() override { return comparison_.Check(); }
  absl::StatusOr<TargetDifference> Compare(const CompareTime& time) override {
    TM_ASSIGN_OR_RETURN(const TableDifference found, comparison_.Run(time.go_on));
    return TargetDifference{found.only_before, found.only_after, found.differing, found.of};
  }
  std::string Describe() const override {
    const std::string& schema = spec_.sink_spec.schema;
    return absl::StrCat("sink ", spec_.sink, ": table ", schema, ".", spec_.before, " with ", schema, ".", spec_.after,
                        spec_.key.empty() ? ", row by row" : ", by " + absl::StrJoin(spec_.key, ", "));
  }
  bool by_key() const override { return !spec_.key.empty(); }

 private:
  const TableComparisonSpec spec_;
  TableComparison comparison_;
};

std::vector<std::string> NamesOf(const Schema& schema, const std::vector<size_t>& columns) {
  std::vector<std::string> names;
  for (const size_t c : columns) names.push_back(schema[c].name);
  return names;
}

// The columns that the values of a topic hold.
Schema InValue(const SinkPlan& sink) {
  const auto& value = std::get<KafkaSinkSpec>(sink.spec).value;
  return value.empty() ? sink.schema : sink.schema.Select(value);
}

std::string Keys(const std::vector<std::string>& names) {
  return names.empty() ? "no key" : "key " + absl::StrJoin(names, ", ");
}

// One sink of the two: what its comparison is made of, or why it can't be.
class Maker {
 public:
  Maker(const ComparisonRequest& request, const SinkPlan& before, const SinkPlan& after, KafkaClient* kafka,
        Clock* clock)
      : request_(request),
        before_(before),
        after_(after),
        kafka_(kafka),
        clock_(clock),
        who_(absl::StrCat(after.view ? "view " : "sink ", after.name)),
        columns_(CompareColumns(before.schema, after.schema, request.all_columns)),
        left_out_(columns_.left_out) {}

  std::unique_ptr<TargetComparison> Make() {
    if (after_.view) return MakeView();
    if (std::holds_alternative<PostgresSinkSpec>(after_.spec)) return MakeTable();
    if (std::holds_alternative<ParquetSinkSpec>(after_.spec)) return MakeLake();
    if (std::holds_alternative<KafkaSinkSpec>(after_.spec)) return MakeTopic();
    return No("what is posted stands nowhere");
  }
  const std::string& refused() const { return refused_; }
  // Columns that aren't compared, of what was made; "": all are.
  std::string left_out() const {
    if (left_out_.empty()) return "";
    return absl::StrCat(who_, ": columns that aren't compared: ", absl::StrJoin(left_out_, ", "));
  }

 private:
  std::unique_ptr<TargetComparison> No(const std::string& why) {
    refused_ = absl::StrCat(who_, ": ", why);
    return nullptr;
  }

  // Keys of the two by which the same row would have the same one.
  bool SameKey(const std::vector<std::string>& before, const std::vector<std::string>& after) {
    if (std::set(before.begin(), before.end()) != std::set(after.begin(), after.end())) {
      No(absl::StrCat("it has ", Keys(before), " in generation ", request_.before->application.generation, " and ",
                      Keys(after), " in ", request_.after->application.generation,
                      ", so its rows have no counterparts"));
      return false;
    }
    for (const std::string& name : after) {
      const ComparedColumn* const column = columns_.Find(name);
      if (column != nullptr && column->before && column->after) continue;
      No(absl::StrCat("column ", name, " of its key has another type, so its rows have no counterparts"));
      return false;
    }
    return true;
  }

  std::unique_ptr<TargetComparison> MakeTable() {
    const auto &before = std::get<PostgresSinkSpec>(before_.spec), &after = std::get<PostgresSinkSpec>(after_.spec);
    TableComparisonSpec spec;
    if (before.upsert != after.upsert)
      return No("its rows replace each other in one generation and don't in the other");
    const auto key = NamesOf(after_.schema, after.key);
    if (!SameKey(NamesOf(before_.schema, before.key), key)) return nullptr;
    spec.key = key;
    spec.sink_spec = before;
    spec.sink = after_.name;
    spec.before = before.table;
    spec.after = ShadowTable(after.table, request_.after->application.generation);
    spec.columns = columns_;
    return std::make_unique<TableUnit>(std::move(spec));
  }

  std::unique_ptr<TargetComparison> MakeLake() {
    const auto &before = std::get<ParquetSinkSpec>(before_.spec), &after = std::get<ParquetSinkSpec>(after_.spec);
    if (before.changes != after.changes) return No("it holds changes in one generation and rows in the other");
    FolderComparisonTarget target;
    target.sink = who_;
    target.before = before.path;
    target.after = ShadowFolder(after.path, request_.after->application.generation);
    target.changes = after.changes;
    target.columns = columns_;
    SinkPlan shadow = after_;
    std::get<ParquetSinkSpec>(shadow.spec).path = target.after;
    target.settle = [kafka = kafka_, before_plan = request_.before, after_plan = request_.after, live = before_,
                     shadow = std::move(shadow)] {
      TM_RETURN_IF_ERROR(SettleLake(*before_plan, live, /*complete=*/false, *kafka));
      return SettleLake(*after_plan, shadow, /*complete=*/false, *kafka);
    };
    return MakeFolderComparison(std::move(target));
  }

  TopicComparisonTarget::Side SideOf(const SinkPlan& sink, const Formats* formats) const {
    const auto& spec = std::get<KafkaSinkSpec>(sink.spec);
    return {spec.topic, spec, sink.schema, formats};
  }

  std::unique_ptr<TargetComparison> MakeTopic() {
    const auto &before = std::get<KafkaSinkSpec>(before_.spec), &after = std::get<KafkaSinkSpec>(after_.spec);
    if (before.upsert != after.upsert)
      return No("its rows replace each other in one generation and don't in the other");
    TopicComparisonTarget target;
    target.sink = who_;
    target.before = SideOf(before_, request_.before_formats);
    target.after = SideOf(after_, request_.after_formats);
    target.by_key = after.upsert;
    target.after.topic = ShadowTopic(after.topic, request_.after->application.generation);
    if (target.by_key) {
      if (!SameKey(NamesOf(before_.schema, before.key), NamesOf(after_.schema, after.key))) return nullptr;
      if (before.key_format.ToString() != after.key_format.ToString()) {
        return No(absl::StrCat("its keys are written as ", before.key_format.ToString(), " and as ",
                               after.key_format.ToString(), ", so its rows have no counterparts"));
      }
    } else if (!request_.built_first) {
      return No(absl::StrCat("generation ", request_.after->application.generation, " has been active before, so ",
                             target.after.topic,
                             " hasn't all that it has made, and can't be compared with a topic that appends"));
    }
    target.with_keys = NamesOf(before_.schema, before.key) == NamesOf(after_.schema, after.key) &&
                       before.key_format.ToString() == after.key_format.ToString();
    // Of what isn't in the values, keys say the same.
    target.columns = CompareColumns(InValue(before_), InValue(after_), request_.all_columns);
    left_out_ = target.columns.left_out;
    return MakeTopicComparison(std::move(target), kafka_, clock_);
  }

  // Both write to topics of their own, under their generation's name.
  std::unique_ptr<TargetComparison> MakeView() {
    const auto &before = std::get<KafkaSinkSpec>(before_.spec), &after = std::get<KafkaSinkSpec>(after_.spec);
    const auto key = NamesOf(after_.schema, after.key);
    if (!SameKey(NamesOf(before_.schema, before.key), key)) return nullptr;
    return MakeViewComparison({.view = who_,
                               .before_generation = request_.before->application.generation,
                               .after_generation = request_.after->application.generation,
                               .before = before_,
                               .after = after_,
                               .columns = columns_,
                               .key = key},
                              kafka_, clock_);
  }

  const ComparisonRequest& request_;
  const SinkPlan &before_, &after_;
  KafkaClient* const kafka_;
  Clock* const clock_;
  const std::string who_;
  const ComparedColumns columns_;
  std::vector<std::string> left_out_;
  std::string refused_;
};

absl::Status CheckNames(const ComparisonRequest& request) {
  std::vector<std::string> names;
  for (const SinkPlan& sink : request.after->sinks) names.push_back(sink.name);
  for (const std::string& name : request.sinks) {
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("--verify_sinks: there is no sink or view '", name, "'", DidYouMean(name, names)));
  }
  return absl::OkStatus();
}

}  // namespace

void TargetDifference::Add(const TargetDifference& other) {
  only_before += other.only_before;
  only_after += other.only_after;
  differing += other.differing;
  of += other.of;
}

bool VerifyBound::Holds(const TargetDifference& difference) const {
  return static_cast<__int128>(difference.rows()) * kWhole <= static_cast<__int128>(millionths) * difference.of;
}

std::string VerifyBound::ToString() const {
  std::string fraction = absl::StrFormat("%06d", millionths % 1'000'000);
  while (!fraction.empty() && fraction.back() == '0') fraction.pop_back();
  return absl::StrCat("diff <= ", millionths / 1'000'000, fraction.empty() ? "" : ".", fraction, "%",
                      all_columns ? " in all columns" : "");
}

absl::StatusOr<VerifyBound> ParseVerifyBound(std::string_view text) {
  const auto wrong = [&](const char* what) {
    return absl::InvalidArgumentError(absl::StrCat("--verify: expected ", what, ", such as \"diff <= 0.1%\" or ",
                                                   "\"diff <= 0.1% in all columns\", found '",
                                                   absl::string_view(text.data(), text.size()), "'"));
  };
  VerifyBound bound;
  absl::string_view rest = absl::StripAsciiWhitespace(absl::string_view(text.data(), text.size()));
  const bool diff = absl::ConsumePrefix(&rest, "diff");
  rest = absl::StripLeadingAsciiWhitespace(rest);
  if (!diff || !absl::ConsumePrefix(&rest, "<=")) return wrong("a bound");
  rest = absl::StripLeadingAsciiWhitespace(rest);
  const size_t percent = rest.find('%');
  if (percent == absl::string_view::npos) return wrong("a share with a % sign");
  const std::pair<absl::string_view, absl::string_view> number =
      absl::StrSplit(absl::StripAsciiWhitespace(rest.substr(0, percent)), absl::MaxSplits('.', 1));
  const auto digits = [](absl::string_view part) {
    return std::all_of(part.begin(), part.end(), [](char c) { return absl::ascii_isdigit(c); });
  };
  int64_t whole = 0, fraction = 0;
  std::string millionths(number.second);
  const bool short_enough = millionths.size() <= kFractionDigits;
  millionths.resize(kFractionDigits, '0');
  if (number.first.empty() || !digits(number.first) || !digits(number.second) || !short_enough ||
      !absl::SimpleAtoi(number.first, &whole) || !absl::SimpleAtoi(millionths, &fraction) || whole > 100) {
    return wrong("a share from 0% to 100%, with up to six digits behind the point");
  }
  bound.millionths = whole * 1'000'000 + fraction;
  if (bound.millionths > kWhole) return wrong("a share from 0% to 100%, with up to six digits behind the point");
  rest = absl::StripAsciiWhitespace(rest.substr(percent + 1));
  if (rest == "in all columns") {
    bound.all_columns = true;
  } else if (!rest.empty()) {
    return wrong("nothing more, or \"in all columns\"");
  }
  return bound;
}

std::string DifferenceText(const TargetDifference& difference, bool by_key) {
  std::string text = absl::StrCat(difference.only_before, " only before, ", difference.only_after, " only after, ");
  if (by_key) absl::StrAppend(&text, difference.differing, difference.differing == 1 ? " differs, " : " differ, ");
  const double percent = difference.of == 0 ? 0 : 100.0 * difference.rows() / static_cast<double>(difference.of);
  return absl::StrCat(text, "of ", difference.of, by_key ? " keys" : " rows", ": ", percent, "%");
}

absl::StatusOr<Comparisons> ComparisonsOf(const ComparisonRequest& request, KafkaClient* kafka, Clock* clock) {
  TM_RETURN_IF_ERROR(CheckNames(request));
  Comparisons comparisons;
  std::vector<std::string> refused, good;
  for (const SinkPlan& sink : request.after->sinks) {
    const bool named = std::find(request.sinks.begin(), request.sinks.end(), sink.name) != request.sinks.end();
    if (!request.sinks.empty() && !named) continue;
    const SinkPlan* const former = FormerSink(*request.before, sink);
    if (former == nullptr) {
      const std::string fresh = absl::StrCat(sink.view ? "view " : "sink ", sink.name, " is new");
      if (named) refused.push_back(fresh + ": there is nothing to compare it with");
      comparisons.notes.push_back("isn't compared: " + fresh);
      continue;
    }
    Maker maker(request, *former, sink, kafka, clock);
    std::unique_ptr<TargetComparison> unit = maker.Make();
    if (unit == nullptr) {
      refused.push_back(maker.refused());
      continue;
    }
    good.push_back(sink.name);
    comparisons.units.push_back(std::move(unit));
    if (!maker.left_out().empty()) comparisons.notes.push_back(maker.left_out());
  }
  for (const SinkPlan& former : request.before->sinks) {
    // Seen from there it is the same relation.
    if (!request.sinks.empty() || FormerSink(*request.after, former) != nullptr) continue;
    comparisons.notes.push_back(absl::StrCat("isn't compared: ", former.view ? "view " : "sink ", former.name,
                                             " of generation ", request.before->application.generation,
                                             " has no successor"));
  }
  if (!refused.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--verify: not everything can be compared:\n", absl::StrJoin(refused, "\n"),
        good.empty() ? ""
                     : absl::StrCat("\n`--verify_sinks ", absl::StrJoin(good, ","), "` compares the others alone")));
  }
  if (comparisons.units.empty()) return absl::InvalidArgumentError("--verify: there is nothing to compare");
  return comparisons;
}

}  // namespace tidemark
