// What conformance scripts are written with: a trace, topics, writers, readers and group members that answer
// rebalances.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>

#include "tests/sim/conformance.h"

namespace tidemark::sim {

class Kit {
 public:
  explicit Kit(const ConformanceWorld& world) : world_(world) {}

  template <typename... Args>
    requires(!(std::is_same_v<Args, absl::Status> || ...))
  void Line(const Args&... args) {
    absl::StrAppend(&trace_, args..., "\n");
  }
  // A call's result: its code alone, as texts differ.
  void Line(const std::string& what, const absl::Status& status) {
    absl::StrAppend(&trace_, what, ": ", absl::StatusCodeToString(status.code()), "\n");
  }
  // Says so in the trace where something failed that the script relies on.
  bool Must(const absl::Status& status, const char* what);
  std::string Trace() const;

  std::string Name(const std::string& name) const { return absl::StrCat(world_.prefix, name); }
  // Creates a topic and gives its name.
  std::string Topic(const std::string& name, int32_t partitions);
  KafkaClient& client(int process) { return world_.client(process); }
  Admin& admin() { return client(0).admin(); }

  // Null where it can't be made. Ready to begin a transaction.
  std::unique_ptr<Producer> NewProducer(const std::string& id, int process = 0,
                                        const std::vector<std::string>& written_topics = {});
  // One transaction with these values (key "k"), in order, committed.
  void Write(Producer* producer, const TopicPartition& to, const std::vector<std::string>& values);
  // "0=a 2=b end 4": what a reader without group finds from `from` to the end.
  std::string ReadAll(const TopicPartition& tp, Isolation isolation, Offset from = -2);
  // "start 0 stable 3 high 5"
  std::string Range(const TopicPartition& tp);

  // Calls `step` until it is true; false, and a line in the trace, after 40 seconds.
  bool Until(const char* what, const std::function<bool()>& step);

 private:
  const ConformanceWorld& world_;
  std::string trace_;
};

const char* OutcomeName(CommitOutcome outcome);

// A member of a group that answers every rebalance: assigned partitions start at their committed offset, else at 0.
class TestMember {
 public:
  TestMember(Kit* kit, const std::string& group, const std::string& instance_id, const std::vector<std::string>& topics,
             int process);

  // Polls once; keeps what came.
  void Step();
  // Lets go without a word, as a process that dies does.
  void Die() { consumer_.reset(); }

  Consumer* consumer() { return consumer_.get(); }
  const GroupMetadata& group() const { return *group_; }
  const std::vector<TopicPartition>& assigned() const { return assigned_; }
  std::string Assigned() const;  // "0 1"
  int assignments = 0, revocations = 0, losses = 0;
  absl::Status error;                          // the last
  std::map<TopicPartition, std::string> read;  // "0=a 2=b"

 private:
  void Answer(const Rebalance& rebalance);

  Kit* const kit_;
  std::unique_ptr<Consumer> consumer_;
  std::shared_ptr<const GroupMetadata> group_;
  std::vector<TopicPartition> assigned_;
};

// One position to be sent or committed.
std::vector<OffsetToCommit> Position(const TopicPartition& tp, Offset offset, const std::string& metadata = "");

// The records of a fetch as "0=a 2=b", appended to `text`.
void AppendRecords(const Fetch& fetch, std::string* text);

}  // namespace tidemark::sim
