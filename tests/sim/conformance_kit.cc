#include "tests/sim/conformance_kit.h"

#include <absl/strings/str_replace.h>

namespace tidemark::sim {
namespace {

constexpr int64_t kPatienceUs = 40'000'000;
constexpr int64_t kPollUs = 20'000;

}  // namespace

bool Kit::Must(const absl::Status& status, const char* what) {
  if (!status.ok()) Line(what, " failed: ", status.ToString());
  return status.ok();
}

std::string Kit::Trace() const { return absl::StrReplaceAll(trace_, {{world_.prefix, ""}}); }

std::string Kit::Topic(const std::string& name, int32_t partitions) {
  TopicToCreate topic;
  topic.topic = Name(name);
  topic.partitions = partitions;
  Must(admin().CreateTopics({topic}), "creating a topic");
  return topic.topic;
}

std::unique_ptr<Producer> Kit::NewProducer(const std::string& id, int process,
                                           const std::vector<std::string>& written_topics) {
  ProducerOptions options;
  options.transactional_id = Name(id);
  options.client_id = id;
  options.written_topics = written_topics;
  auto producer = client(process).NewProducer(options);
  if (!Must(producer.status(), "a new producer")) return nullptr;
  Must((*producer)->InitTransactions(), "InitTransactions");
  return *std::move(producer);
}

void Kit::Write(Producer* producer, const TopicPartition& to, const std::vector<std::string>& values) {
  std::vector<OutRecord> records;
  for (const std::string& value : values) records.push_back({to.partition, "k", value, nullptr});
  Must(producer->Begin(), "Begin");
  Must(producer->Produce(to.topic, records), "Produce");
  Must(producer->Flush(), "Flush");
  std::string error;
  if (producer->Commit(&error) != CommitOutcome::kCommitted) Line("Commit failed: ", error);
}

void AppendRecords(const Fetch& fetch, std::string* text) {
  for (const RecordView& r : fetch.records()) {
    absl::StrAppend(text, text->empty() ? "" : " ", r.offset, "=", r.value ? std::string(*r.value) : "null");
  }
}

std::string Kit::ReadAll(const TopicPartition& tp, Isolation isolation, Offset from) {
  ConsumerOptions options;
  options.client_id = "reader";
  options.isolation = isolation;
  auto reader = client(0).NewConsumer(options);
  if (!reader.ok()) return reader.status().ToString();
  if (auto status = (*reader)->Assign({{tp, from}}); !status.ok()) return status.ToString();
  std::string text;
  Until("reading to the end", [&] {
    auto result = (*reader)->Poll(kPollUs, 100);
    if (!result.ok()) {
      absl::StrAppend(&text, text.empty() ? "" : " ", absl::StatusCodeToString(result.status().code()));
      return !absl::IsUnavailable(result.status());
    }
    for (const auto& fetch : result->fetches) AppendRecords(*fetch, &text);
    for (const auto& [p, end] : result->ends) absl::StrAppend(&text, text.empty() ? "" : " ", "end ", end);
    return !result->ends.empty();
  });
  Must((*reader)->Close(false), "closing the reader");
  return text;
}

std::string Kit::Range(const TopicPartition& tp) {
  const auto start = admin().LogStart(tp);
  const auto stable = admin().LogEnd(tp, Isolation::kReadCommitted);
  const auto high = admin().LogEnd(tp, Isolation::kReadUncommitted);
  return absl::StrCat("start ", start.value_or(-9), " stable ", stable.value_or(-9), " high ", high.value_or(-9));
}

bool Kit::Until(const char* what, const std::function<bool()>& step) {
  const int64_t deadline = world_.now_us() + kPatienceUs;
  while (!step()) {
    if (world_.now_us() < deadline) continue;
    Line("waited in vain for ", what);
    return false;
  }
  return true;
}

std::vector<OffsetToCommit> Position(const TopicPartition& tp, Offset offset, const std::string& metadata) {
  OffsetToCommit position;
  position.partition = tp;
  position.offset = offset;
  position.metadata = metadata;
  return std::vector<OffsetToCommit>(1, position);
}

const char* OutcomeName(CommitOutcome outcome) {
  switch (outcome) {
    case CommitOutcome::kCommitted:
      return "committed";
    case CommitOutcome::kAborted:
      return "aborted";
    case CommitOutcome::kUnknown:
      return "unknown";
    case CommitOutcome::kFenced:
      return "fenced";
  }
  return "?";
}

TestMember::TestMember(Kit* kit, const std::string& group, const std::string& instance_id,
                       const std::vector<std::string>& topics, int process)
    : kit_(kit) {
  ConsumerOptions options;
  options.group = group;
  options.instance_id = instance_id;
  options.client_id = instance_id;
  auto consumer = kit->client(process).NewConsumer(options);
  if (!kit->Must(consumer.status(), "a new member")) return;
  consumer_ = *std::move(consumer);
  group_ = consumer_->Group();
  kit->Must(consumer_->Subscribe(topics), "Subscribe");
}

void TestMember::Step() {
  auto result = consumer_->Poll(kPollUs, 100);
  if (!result.ok()) {
    error = result.status();
    return;
  }
  for (const auto& fetch : result->fetches) AppendRecords(*fetch, &read[fetch->source()]);
  if (result->rebalance.has_value()) Answer(*result->rebalance);
}

void TestMember::Answer(const Rebalance& rebalance) {
  if (rebalance.kind != Rebalance::Kind::kAssigned) {
    ++(rebalance.kind == Rebalance::Kind::kLost ? losses : revocations);
    assigned_.clear();
    kit_->Must(consumer_->Unassign(), "Unassign");
    return;
  }
  ++assignments;
  assigned_ = rebalance.partitions;
  group_ = consumer_->Group();
  kit_->Must(consumer_->AssignPaused(assigned_), "AssignPaused");
  if (assigned_.empty()) return;
  const auto committed = consumer_->Committed(assigned_);
  if (!kit_->Must(committed.status(), "Committed")) return;
  std::vector<std::pair<TopicPartition, Offset>> positions;
  for (const auto& [tp, c] : *committed) positions.emplace_back(tp, c.offset < 0 ? 0 : c.offset);
  kit_->Must(consumer_->Seek(positions), "Seek");
  kit_->Must(consumer_->Resume(assigned_), "Resume");
}

std::string TestMember::Assigned() const {
  std::string text;
  for (const TopicPartition& tp : assigned_) absl::StrAppend(&text, text.empty() ? "" : " ", tp.partition);
  return text;
}

}  // namespace tidemark::sim
