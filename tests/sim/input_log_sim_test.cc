// What the brokers say of inputs' logs (src/runtime/input_log.h), over the simulated Kafka.
#include <gtest/gtest.h>

#include "src/runtime/input_log.h"
#include "src/sim/sim_kafka.h"

namespace tidemark::sim {
namespace {

class InputLogs : public testing::Test {
 protected:
  InputLogs() : cluster_(Options(), &clock_), client_(cluster_.NewClient(0)) { cluster_.CreateTopic("t", 2); }
  static SimCluster::Options Options() {
    SimCluster::Options options;
    options.seed = 1;
    return options;
  }
  void Append(int count) {
    for (int i = 0; i < count; ++i) cluster_.AppendInput({"t", 0}, "k", "v", 0);
  }
  tidemark::InputLogs Ask() { return AskInputLogs(client_->admin(), {{"t", 0}, {"t", 1}}).value(); }

  SimClock clock_;
  SimCluster cluster_;
  std::unique_ptr<KafkaClient> client_;
};

TEST_F(InputLogs, AreToldWithTheirExtentAndTheirTopicsId) {
  Append(3);
  ASSERT_TRUE(client_->admin().DeleteRecords({{{"t", 0}, 2}}).ok());
  const auto logs = Ask();
  EXPECT_EQ(logs.at({"t", 0}).start, 2);
  EXPECT_EQ(logs.at({"t", 0}).end, 3);
  EXPECT_EQ(logs.at({"t", 1}).end, 0);
  EXPECT_NE(logs.at({"t", 0}).topic_id, "");
}

TEST_F(InputLogs, AreRefusedWhereATopicIsGone) {
  EXPECT_TRUE(absl::IsFailedPrecondition(AskInputLogs(client_->admin(), {{"t", 0}, {"gone", 0}}).status()));
}

TEST_F(InputLogs, ShowATopicThatWasMadeAgain) {
  const std::string id = Ask().at({"t", 0}).topic_id;
  EXPECT_FALSE(TopicsMadeAgain(client_->admin(), {{"t", id}, {"unknown", ""}}));
  cluster_.RemakeTopic("t", 2);
  Append(100);
  EXPECT_TRUE(TopicsMadeAgain(client_->admin(), {{"t", id}}));
  SourcePlan source;
  source.name = "s";
  source.topic = "t";
  const absl::Status stop = ContinueSource(source, 0, 50, id, Ask().at({"t", 0})).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(stop)) << stop;
}

}  // namespace
}  // namespace tidemark::sim
