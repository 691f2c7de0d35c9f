#include "tests/sim/sink_world.h"

#include <utility>

#include <arrow/api.h>
#include <glog/logging.h>

#include "operators/operators.h"
#include "src/base/status.h"
#include "src/codec/formats.h"
#include "src/codec/packed_rows.h"
#include "src/plan/planner.h"
#include "src/runtime/topics.h"

namespace tidemark::sim {
namespace {

Plan PlanWith(const std::string& sink, const std::string& step) {
  const std::string yaml = absl::StrCat(
      "name: app\nkafka: { brokers: simulated }\nsources:\n  events: { topic: events, format: json, "
      "columns: { id: int64 } }\n",
      step.empty() ? "" : absl::StrCat("steps:\n  between: { from: events, ", step, " }\n"),
      "sinks:\n  out: { from: ", step.empty() ? "events" : "between", ", ", sink, " }\n");
  absl::StatusOr<Plan> plan =
      PlanFromYaml(yaml, "sim.yaml", Operators(), OwnFormats().list(), [](std::string_view) { return std::nullopt; });
  CHECK(plan.ok()) << plan.status();
  return *std::move(plan);
}

// A batch of the feed's schema; hidden columns, if there are any, are 0.
Batch RowsOf(const std::shared_ptr<arrow::Schema>& schema, int64_t first, int count) {
  arrow::Int64Builder ids;
  for (int i = 0; i < count; ++i) CHECK(ids.Append(first + i).ok());
  arrow::ArrayVector columns = {ids.Finish().ValueOrDie()};
  for (int c = 1; c < schema->num_fields(); ++c) {
    const auto zero = arrow::MakeScalar(schema->field(c)->type(), 0).ValueOrDie();
    columns.push_back(arrow::MakeArrayFromScalar(*zero, count).ValueOrDie());
  }
  return arrow::RecordBatch::Make(schema, count, columns);
}

}  // namespace

SinkWorld::SinkWorld(const std::string& sink, SinkMaker make, const std::string& step)
    : plan_(PlanWith(sink, step)), make_(std::move(make)) {
  cluster_.CreateTopic("events", 2);
}

absl::Status SinkWorld::Boot() {
  thread_.reset();
  kafka_ = cluster_.NewClient(0);
  control_ = std::make_unique<RunControl>();
  runtime_ = Runtime();
  runtime_.plan = &plan_;
  runtime_.kafka = kafka_.get();
  runtime_.clock = &clock_;
  runtime_.control = control_.get();
  runtime_.new_identity = [this] { return std::string(16, static_cast<char>('a' + identities_++ % 26)); };
  runtime_.options.instance_id = "w0";
  TM_ASSIGN_OR_RETURN(runtime_.partitions, ResolveTopics(plan_, kafka_->admin(), true));
  thread_ = std::make_unique<SinkThread>(runtime_, 0, make_(runtime_));
  return thread_->Start();
}

void SinkWorld::Feed(int32_t partition, int count) {
  const Edge& edge = FeedOf(plan_, 0);
  const auto schema = BatchSchema(edge.schema, edge.hidden);
  std::vector<int32_t> all;
  for (int32_t row = 0; row < count; ++row) all.push_back(row);
  RowsPacker packer(schema);
  CHECK(packer.Append(*RowsOf(schema, fed_, count), all).ok());
  std::vector<std::string> records;
  packed::RowsHeader header;
  header.set_sequence(sequences_[partition] + 1);
  packer.Finish(header, &records);
  sequences_[partition] += records.size();
  if (upstream_ == nullptr) {
    upstream_kafka_ = cluster_.NewClient(1);
    upstream_ = upstream_kafka_->NewProducer({.transactional_id = "upstream"}).value();
    CHECK(upstream_->InitTransactions().ok());
  }
  CHECK(upstream_->Begin().ok());
  for (const std::string& record : records) {
    CHECK(upstream_->Produce(edge.topic, {{partition, std::nullopt, record}}).ok());
  }
  std::string error;
  CHECK(upstream_->Commit(&error) == CommitOutcome::kCommitted) << error;
  fed_ += count;
}

absl::Status SinkWorld::Turns(int turns) {
  for (int i = 0; i < turns; ++i) {
    TM_RETURN_IF_ERROR(thread_->Step(kStepUs));
    clock_.Advance(kStepUs);
  }
  return absl::OkStatus();
}

std::vector<int64_t> SinkWorld::fed() const {
  std::vector<int64_t> all;
  for (int64_t id = 0; id < fed_; ++id) all.push_back(id);
  return all;
}

}  // namespace tidemark::sim
