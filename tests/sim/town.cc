#include "tests/sim/town.h"

#include <map>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>

#include "operators/operators.h"
#include "src/base/status.h"
#include "src/codec/formats.h"
#include "src/plan/planner.h"

namespace tidemark::sim {
namespace {

constexpr char kTopology[] = R"yaml(
name: sim
commit_interval: 20ms
memory: 512MiB
kafka: { brokers: simulated }
sources:
  events:
    topic: events
    format: json
    partitioned_by: [id]
    columns: { id: int64, place: int64, at: timestamp_ms }
    event_time: { column: at, max_out_of_orderness: 1h, max_ahead: 100d }
steps:
  unique: { from: events, dedup: { by: [id], within: 10h, grace: 10h } }
  counts: { from: unique, window: { tumbling: 1m, grace: 5s }, group_by: [place], aggregates: { n: "count(*)" } }
sinks:
  unique_topic: { from: unique, topic: unique, key: [id], create: {} }
  counts_topic: { from: counts, topic: counts, key: [place], create: {} }
  table: { from: unique, postgres: { url: "postgresql://simulated", table: t, mode: insert } }
  lake: { from: unique, parquet: { path: /simulated, max_age: 1s } }
)yaml";
// What the next version has besides.
constexpr char kMoreSource[] = R"yaml(  more:
    topic: more
    format: json
    partitioned_by: [id]
    columns: { id: int64, place: int64, at: timestamp_ms }
    event_time: { column: at, max_out_of_orderness: 1h, max_ahead: 100d }
)yaml";
constexpr char kMoreStep[] = "  more_unique: { from: more, dedup: { by: [id], within: 10h, grace: 10h } }\n";
constexpr char kMoreSink[] = "  more_topic: { from: more_unique, topic: more_unique, key: [id], create: {} }\n";
constexpr char kTotals[] = "  totals: { from: unique, group_by: [place], aggregates: { n: \"count(*)\" } }\n";
constexpr char kTotalsSink[] = "  totals_topic: { from: totals, topic: totals, key: [place], create: {} }\n";
constexpr char kFollower[] = "  follower: { from: totals, group_by: [n], aggregates: { places: \"count(*)\" } }\n";
constexpr char kFollowerSink[] = "  follower_topic: { from: follower, topic: follower, key: [n], create: {} }\n";
constexpr int64_t kStartMs = 1'700'000'000'000;

// Rows and how often each must stand, or stands, somewhere.
using Rows = std::map<std::string, int>;

absl::Status Same(const std::string& what, const Rows& expected, const Rows& found) {
  std::string differences;
  int count = 0;
  const auto differ = [&](const std::string& row, int want, int have) {
    if (want != have && count++ < 5) absl::StrAppend(&differences, "\n  ", row, ": ", have, " times, not ", want);
  };
  for (const auto& [row, n] : expected) {
    const auto it = found.find(row);
    differ(row, n, it == found.end() ? 0 : it->second);
  }
  for (const auto& [row, n] : found) {
    if (!expected.contains(row)) differ(row, 0, n);
  }
  if (count == 0) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(what, ": ", count, " rows differ", differences));
}

}  // namespace

std::string Town::Event::Json() const {
  return absl::StrCat("{\"id\":", id, ",\"place\":", place, ",\"at\":", at, "}");
}

absl::StatusOr<Plan> Town::MakePlan(const std::string& on_data_loss) {
  const std::string yaml = absl::StrReplaceAll(
      kTopology, {{"    topic: events\n", absl::StrCat("    topic: events\n    on_data_loss: ", on_data_loss, "\n")}});
  return PlanFromYaml(yaml, "sim.yaml", Operators(), OwnFormats().list(),
                      [](std::string_view) { return std::nullopt; });
}

absl::StatusOr<Plan> Town::MakeNextPlan() {
  const std::string yaml = absl::StrReplaceAll(kTopology, {{"sources:\n", absl::StrCat("sources:\n", kMoreSource)},
                                                           {"steps:\n", absl::StrCat("steps:\n", kMoreStep)},
                                                           {"sinks:\n", absl::StrCat("sinks:\n", kMoreSink)}});
  return PlanFromYaml(yaml, "sim.yaml", Operators(), OwnFormats().list(),
                      [](std::string_view) { return std::nullopt; });
}

absl::StatusOr<Plan> Town::MakePlanWithTotals() {
  const std::string yaml = absl::StrReplaceAll(kTopology, {{"steps:\n", absl::StrCat("steps:\n", kTotals)},
                                                           {"sinks:\n", absl::StrCat("sinks:\n", kTotalsSink)}});
  return PlanFromYaml(yaml, "sim.yaml", Operators(), OwnFormats().list(),
                      [](std::string_view) { return std::nullopt; });
}

absl::StatusOr<Plan> Town::MakePlanWithFollower() {
  const std::string yaml =
      absl::StrReplaceAll(kTopology, {{"steps:\n", absl::StrCat("steps:\n", kTotals, kFollower)},
                                      {"sinks:\n", absl::StrCat("sinks:\n", kTotalsSink, kFollowerSink)}});
  return PlanFromYaml(yaml, "sim.yaml", Operators(), OwnFormats().list(),
                      [](std::string_view) { return std::nullopt; });
}

Town::Town(int records, SimRandom* random, SimCluster* cluster) : cluster_(cluster) {
  cluster_->CreateTopic(kSource, kPartitions);
  cluster_->CreateTopic(kMore, kMorePartitions);
  for (int i = 0; i < records; ++i) {
    if (!events_.empty() && random->Below(5) == 0) {
      input_.push_back(events_[random->Below(events_.size())]);
      continue;
    }
    const auto place = static_cast<int64_t>(random->Below(7));
    const Event event{i, place, kStartMs + i * 1'000 - static_cast<int64_t>(random->Below(60'000))};
    events_.push_back(event);
    input_.push_back(event);
  }
}

void Town::Append(size_t count) {
  for (; count > 0 && appended_ < input_.size(); --count, ++appended_) {
    const Event& event = input_[appended_];
    offsets_.push_back(cluster_->AppendInput({kSource, static_cast<int32_t>(event.id % kPartitions)},
                                             absl::StrCat(event.id), event.Json(), event.at));
    cluster_->AppendInput({kMore, static_cast<int32_t>(event.id % kMorePartitions)}, absl::StrCat(event.id),
                          event.Json(), event.at);
  }
}

void Town::Lose(size_t from, int32_t partition, Offset before) {
  for (size_t i = from; i < appended_; ++i) {
    if (input_[i].id % kPartitions == partition && offsets_[i] < before) lost_.insert(i);
  }
}

absl::Status Town::Compare(const Plan& plan, Deployment* deployment) const {
  Rows unique, counts, totals;
  std::map<int64_t, int> places;
  std::map<std::pair<int64_t, int64_t>, int> groups;
  std::set<int64_t> readable;
  for (size_t i = 0; i < input_.size(); ++i) {
    if (!lost_.contains(i)) readable.insert(input_[i].id);
  }
  for (const Event& event : events_) {
    if (!readable.contains(event.id)) continue;
    unique[event.Json()] = 1;
    ++groups[{event.place, event.at / 60'000 * 60'000}];
    ++places[event.place];
  }
  for (const auto& [place, n] : places) totals[absl::StrCat("{\"place\":", place, ",\"n\":", n, "}")] = 1;
  for (const auto& [group, n] : groups) {
    counts[absl::StrCat("{\"place\":", group.first, ",\"window_start\":", group.second,
                        ",\"window_end\":", group.second + 60'000, ",\"n\":", n, "}")] = 1;
  }
  for (const SinkPlan& sink : plan.sinks) {
    Rows found;
    if (const auto* topic = std::get_if<KafkaSinkSpec>(&sink.spec)) {
      std::map<std::string, std::string> stands;  // of an updating topic
      for (const auto& [partition, record] : deployment->Records(topic->topic)) {
        const std::string value = record.value.value_or("(null)");
        topic->upsert ? void(stands[record.key.value_or("")] = value) : void(++found[value]);
      }
      for (const auto& [key, value] : stands) ++found[value];
    } else {
      TM_ASSIGN_OR_RETURN(const std::vector<std::string> rows, deployment->RowsOf(sink));
      for (const std::string& row : rows) ++found[row];
    }
    const Rows& expected = sink.name == "counts_topic" ? counts : sink.name == "totals_topic" ? totals : unique;
    TM_RETURN_IF_ERROR(Same(sink.name, expected, found));
  }
  return absl::OkStatus();
}

}  // namespace tidemark::sim
