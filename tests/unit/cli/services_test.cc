// examples/services: a further service is the one small file of its README, and nothing of the others changes by it.
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

#include <absl/strings/match.h>
#include <absl/strings/str_split.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/operators.h"
#include "src/base/whole_file.h"
#include "src/cli/describe.h"
#include "src/codec/formats.h"
#include "src/plan/planner.h"
#include "src/runtime/step_identity.h"

namespace tidemark {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// The example in a folder of its own.
class ServicesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(::testing::TempDir()) /
              (std::string("services-") + ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::copy("examples/services", folder_, std::filesystem::copy_options::recursive);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  absl::StatusOr<Plan> Load(const std::string& name = "topology.yaml") {
    return LoadPlan((folder_ / name).string(), Operators(), OwnFormats().list(), &text_);
  }
  void Write(const std::string& name, const std::string& text) const { std::ofstream(folder_ / name) << text; }

  std::filesystem::path folder_;
  TopologyText text_;  // of what was loaded last
};

// The fourth service of the README.
std::string Fourth() {
  const std::string readme = ReadWholeFile("examples/services/README.md").value();
  const size_t begin = readme.find("```yaml\n") + 8;
  return readme.substr(begin, readme.find("```", begin) - begin);
}

// What state and internal topics of a stage belong to.
std::map<std::string, std::string> Identities(const Plan& plan) {
  std::map<std::string, std::string> out;
  for (size_t s = 0; s < plan.stages.size(); ++s) {
    std::string& text = out[plan.application.ChangelogTopic(plan.stages[s].name)];
    for (const packed::StepIdentity& step : StepIdentities(plan, static_cast<int>(s))) text += step.DebugString();
  }
  for (const Edge& edge : plan.edges) out[edge.topic] = edge.schema.ToString();
  return out;
}

TEST_F(ServicesTest, AFourthIsOneSmallFileThatLeavesTheStateOfTheOthersAlone) {
  const auto before = Load();
  ASSERT_TRUE(before.ok()) << before.status();
  ASSERT_EQ(before->sources.size(), 3u);
  const std::vector<std::string> lines = absl::StrSplit(Fourth(), '\n');
  EXPECT_LE(lines.size(), 9u);
  Write("services/returns.yaml", Fourth());
  const auto after = Load();
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(after->sources.size(), 4u);
  EXPECT_EQ(after->sinks.size(), before->sinks.size() + 2);
  const auto had = Identities(*before), has = Identities(*after);
  EXPECT_EQ(has.size(), had.size() / 3 * 4);
  for (const auto& [topic, identity] : had) {
    ASSERT_TRUE(has.contains(topic)) << topic;
    EXPECT_EQ(has.at(topic), identity) << topic;
  }
}

TEST_F(ServicesTest, AMistakeInItTellsTheLineInItAndTheLineInTheTemplate) {
  std::string text = Fourth();
  text.replace(text.find("[reason]"), 8, "[raison]");
  Write("services/returns.yaml", text);
  const std::string folder = folder_.string() + "/";
  std::string message(Load().status().message());
  for (size_t at = 0; (at = message.find(folder, at)) != std::string::npos;) message.erase(at, folder.size());
  EXPECT_THAT(ReadWholeFile("examples/services/README.md").value(), HasSubstr("    " + message + "\n"))
      << "as the README shows it";
}

TEST_F(ServicesTest, WhatCameOutOfAllItsFilesIsTheSamePlanAgain) {
  const auto plan = Load();
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(text_.files.size(), 5u);
  Write("all.yaml", *DescribePlan(*plan, text_, "yaml"));
  const TopologyText text = text_;
  const auto again = Load("all.yaml");
  ASSERT_TRUE(again.ok()) << again.status();
  for (const char* format : {"text", "svg", "dot", "json", "kafka", "yaml"}) {
    EXPECT_EQ(*DescribePlan(*again, text_, format), *DescribePlan(*plan, text, format)) << format;
  }
  EXPECT_EQ(Identities(*again), Identities(*plan));
}

TEST_F(ServicesTest, WhoOwnsWhatIsInEveryFormatAndInNoIdentity) {
  const auto plan = Load();
  ASSERT_TRUE(plan.ok()) << plan.status();
  const std::map<std::string, std::string> says = {
      {"text",
       "      about: Every order, at each change of its state.; owner team-shop\n"
       "      about customer_email: personal data\n"},
      {"dot", "\\nEvery order, at each change of its state.; owner team-shop\"]"},
      {"json", "\"description\": \"Every order, at each change of its state.\", \"owner\": \"team-shop\""},
      {"kafka", "# sources/orders: Every order, at each change of its state.; owner team-shop\n"},
      {"yaml", "    owner: team-shop\n"}};
  for (const auto& [format, text] : says) EXPECT_THAT(*DescribePlan(*plan, text_, format), HasSubstr(text)) << format;
  EXPECT_THAT(*DescribePlan(*plan, text_, "json"),
              HasSubstr("{\"name\": \"customer_email\", \"type\": \"string\", \"nullable\": true, \"pii\": true}"));
  std::string yaml = text_.yaml;
  for (const char* about : {"owner: team-shop", "pii: true"}) {
    for (size_t at = 0; (at = yaml.find(about)) != std::string::npos;)
      yaml.replace(at, std::strlen(about), "tags: changed");
  }
  Write("all.yaml", yaml);
  const auto changed = Load("all.yaml");
  ASSERT_TRUE(changed.ok()) << changed.status();
  EXPECT_EQ(Identities(*changed), Identities(*plan));
}

}  // namespace
}  // namespace tidemark
