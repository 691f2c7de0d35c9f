#include "src/runtime/resnapshot.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include <absl/strings/str_cat.h>

#include "src/base/clock.h"
#include "src/base/status.h"
#include "src/base/suggest.h"
#include "src/plan/intakes.h"
#include "src/runtime/postgres_tables.h"
#include "src/runtime/record_limits.h"
#include "src/runtime/runtime.h"
#include "src/runtime/split_intake.h"
#include "src/runtime/start_check.h"
#include "src/runtime/topics.h"

namespace tidemark {
namespace {

constexpr int64_t kPatienceUs = 60 * kSecond;
constexpr int64_t kStepUs = 50 * kMillisecond;

// What one owner has asked for; outlives the sources that are made of it.
struct Asked {
  std::set<std::string> sources;
  bool committed = false;
  std::string report;
};

// Gives no rows, and one position: the one that was found, without what it says of the tables that were asked for.
class Resnapshot final : public IntakeSource {
 public:
  Resnapshot(const IntakePlan& intake, Asked* asked) : intake_(intake), tables_(intake), asked_(*asked) {}

  std::string Of(const std::string& position) const override {
    return PostgresPositionsOf(*intake_.sources.front()->postgres, position);
  }
  absl::Status Open(const std::string& position, IntakeNotes /*notes*/) override {
    if (position.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          intake_.name, ": nothing was read yet under this name, so the next worker begins with a snapshot anyway"));
    }
    TM_RETURN_IF_ERROR(tables_.Read(position));
    asked_.report.clear();
    for (PostgresTables::Table& table : tables_.all()) {
      const std::string& source = table.rows.source().name;
      if (!asked_.sources.contains(source)) continue;
      const packed::PostgresPosition before = std::exchange(table.rows.position(), {});
      table.rows.position().set_resnapshot(before.resnapshot() + 1);
      const PostgresTableSpec& spec = *table.rows.source().postgres;
      absl::StrAppend(&asked_.report, "source ", source, ": snapshot ", before.resnapshot() + 1, " of ", spec.schema,
                      ".", spec.table, " is asked for; it was read up to ", LsnText(before.lsn()), "\n");
    }
    return absl::OkStatus();
  }
  absl::StatusOr<std::optional<IntakeRows>> Poll(int64_t /*max_wait_us*/, int64_t /*max_bytes*/) override {
    if (std::exchange(given_, true)) return std::nullopt;
    IntakeRows rows;
    rows.next = tables_.Write();
    return rows;
  }
  absl::Status Committed(const std::string& /*position*/) override {
    asked_.committed = given_;  // what was there before is told too
    return absl::OkStatus();
  }
  void Interrupt() override {}

 private:
  const IntakePlan intake_;
  PostgresTables tables_;
  Asked& asked_;
  bool given_ = false;
};

absl::Status CheckSources(const Plan& plan, const std::vector<std::string>& sources) {
  if (sources.empty()) {
    return absl::InvalidArgumentError("tidemark resnapshot takes the names of sources, tables of PostgreSQL");
  }
  std::vector<std::string> tables;
  for (const SourcePlan& source : plan.sources) {
    if (source.postgres) tables.push_back(source.name);
  }
  for (const std::string& name : sources) {
    if (std::find(tables.begin(), tables.end(), name) != tables.end()) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("'", name, "' is no source that is a table of PostgreSQL",
                     tables.empty() ? ": the topology has none" : DidYouMean(name, tables)));
  }
  return absl::OkStatus();
}

absl::Status Ask(const Runtime& runtime, const IntakePlan& intake, Asked* asked) {
  SplitIntake::Split split{intake.name, 0, intake.splits};
  for (const SourcePlan* source : intake.sources) split.sources.push_back(source->name);
  SplitIntake owner(runtime, std::move(split), [&](int32_t) { return std::make_unique<Resnapshot>(intake, asked); });
  const int64_t until = runtime.clock->MonotonicUs() + kPatienceUs;
  while (!asked->committed) {
    TM_RETURN_IF_ERROR(owner.Step(kStepUs));
    if (asked->committed || runtime.clock->MonotonicUs() < until) continue;
    return absl::UnavailableError(absl::StrCat(
        intake.name, ": ", owner.status().last_error.empty() ? "Kafka doesn't answer" : owner.status().last_error,
        "; whether the snapshot is asked for isn't known, ask again"));
  }
  return owner.Stop();
}

}  // namespace

absl::StatusOr<std::string> AskForSnapshots(const Plan& plan, const std::vector<std::string>& sources,
                                            KafkaClient& kafka) {
  TM_RETURN_IF_ERROR(CheckSources(plan, sources));
  TM_RETURN_IF_ERROR(CheckStart(plan, kafka));
  TM_ASSIGN_OR_RETURN(const FoundTopics found, FindTopics(plan, kafka.admin()));
  RunControl control;
  RecordLimits limits(plan);
  TM_RETURN_IF_ERROR(limits.Read(kafka.admin()));
  Runtime runtime;
  runtime.plan = &plan;
  runtime.partitions = found.counts;
  runtime.kafka = &kafka;
  runtime.limits = &limits;
  runtime.clock = SystemClock();
  runtime.control = &control;
  std::string report;
  for (const IntakePlan& intake : IntakesOf(plan)) {
    Asked asked;
    for (const SourcePlan* source : intake.sources) {
      if (std::find(sources.begin(), sources.end(), source->name) != sources.end()) asked.sources.insert(source->name);
    }
    if (asked.sources.empty()) continue;
    const std::string positions = IntakeNames{plan.application, intake.name}.PositionsTopic();
    for (const TopicToCreate& missing : found.missing) {
      if (missing.topic != positions) continue;
      return absl::InvalidArgumentError(absl::StrCat(
          intake.name, ": nothing was read yet under this name, so the next worker begins with a snapshot anyway"));
    }
    TM_RETURN_IF_ERROR(Ask(runtime, intake, &asked));
    report += asked.report;
  }
  return absl::StrCat(
      report,
      "A worker that runs takes it up within 15 seconds, others when they start. Rows that the table has "
      "no more are deleted when it is in.\n");
}

}  // namespace tidemark
