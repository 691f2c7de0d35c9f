// Rows that are kept for who looks at a step, and who may look.
#include "src/runtime/row_samples.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <arrow/builder.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/sha256.h"
#include "src/runtime/node_gate.h"
#include "tests/unit/runtime/test_plan.h"

namespace tidemark {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

class StoppedClock final : public Clock {
 public:
  int64_t MonotonicUs() override { return now_us; }
  int64_t WallUs() override { return 1'700'000'000 * kSecond + now_us; }
  int64_t now_us = kSecond;
};

const Schema& Columns() {
  static const auto* const schema = new Schema({{"id", {Kind::kInt64}}, {"email", {Kind::kString}}});
  return *schema;
}

Batch Rows(int64_t first, int64_t count) {
  arrow::Int64Builder ids, times;
  arrow::StringBuilder emails;
  for (int64_t id = first; id < first + count; ++id) {
    EXPECT_TRUE(ids.Append(id).ok() && times.Append(id * kSecond).ok() &&
                emails.Append(absl::StrCat("u", id, "@example.org")).ok());
  }
  return arrow::RecordBatch::Make(BatchSchema(Columns(), HiddenSet()), count,
                                  {*ids.Finish(), *emails.Finish(), *times.Finish()});
}

arrow::Result<std::shared_ptr<arrow::Array>> Times(int64_t count) {
  arrow::Int64Builder times;
  for (int64_t i = 0; i < count; ++i) EXPECT_TRUE(times.Append(i * kSecond).ok());
  return times.Finish();
}

int64_t FirstId(const Batch& rows) { return rows->column(0)->data()->GetValues<int64_t>(1)[0]; }

TEST(RowSamplesTest, OnlyWhatSomebodyLooksAtIsKeptAndForAWhile) {
  StoppedClock clock;
  RowSamples samples(&clock);
  EXPECT_FALSE(samples.any());
  samples.Publish("a", {0, 1, 0, Columns(), Rows(0, 1)});
  EXPECT_THAT(samples.LookAt("a").samples, SizeIs(0)) << "what came before is not known";
  EXPECT_TRUE(samples.any() && samples.Wants("a") && !samples.Wants("b"));
  samples.Publish("a", {0, 2, 0, Columns(), Rows(1, 1)});
  clock.now_us += kSampledForUs;
  EXPECT_THAT(samples.LookAt("a").samples, SizeIs(1));
  clock.now_us += kSampledForUs + 1;
  EXPECT_FALSE(samples.Wants("a"));
  EXPECT_FALSE(samples.any());
}

TEST(RowSamplesTest, TheLastTenRowsOfACommitAreKeptAsCopies) {
  CommitSamples of_node;
  const Batch large = Rows(0, 5'000);
  of_node.Add(large);
  of_node.Add(Rows(5'000, 4));
  of_node.Seal();
  of_node.Add(Rows(9'000, 1));  // the next commit's
  const std::vector<Batch> sealed = of_node.TakeSealed();
  ASSERT_THAT(sealed, SizeIs(2));
  EXPECT_EQ(sealed[0]->num_rows(), kSampledRows);
  EXPECT_EQ(FirstId(sealed[0]), 4'990);
  EXPECT_LT(sealed[0]->column(0)->data()->buffers[1]->size(), 5'000) << "it holds the batch that it was part of";
  of_node.Seal();
  ASSERT_THAT(of_node.TakeSealed(), SizeIs(1));

  StoppedClock clock;
  RowSamples samples(&clock);
  samples.LookAt("a");
  for (const Batch& rows : sealed) samples.Publish("a", {0, 1, 0, Columns(), rows});
  for (int64_t commit = 2; commit < 8; ++commit)
    samples.Publish("a", {0, static_cast<uint64_t>(commit), 0, Columns(), Rows(commit, 1)});
  int64_t rows = 0;
  for (const RowSample& sample : samples.LookAt("a").samples) rows += sample.rows->num_rows();
  EXPECT_EQ(rows, kSampledRows);
}

TEST(RowSamplesTest, ARowOfMoreThan64KiBIsntKept) {
  arrow::Int64Builder ids;
  arrow::StringBuilder emails;
  for (int64_t id = 0; id < 4; ++id) {
    EXPECT_TRUE(ids.Append(id).ok() && emails.Append(std::string(id % 2 == 0 ? 100'000 : 100, 'x')).ok());
  }
  const Batch batch =
      arrow::RecordBatch::Make(BatchSchema(Columns(), HiddenSet()), 4, {*ids.Finish(), *emails.Finish(), *Times(4)});
  CommitSamples of_node;
  of_node.Add(batch);
  of_node.Add(batch->Slice(2, 1));
  of_node.Seal();
  const std::vector<Batch> sealed = of_node.TakeSealed();
  ASSERT_THAT(sealed, SizeIs(1));
  EXPECT_EQ(sealed[0]->num_rows(), 2);
  EXPECT_EQ(FirstId(sealed[0]), 1);
}

class NodeGateTest : public ::testing::Test {
 protected:
  NodeGateTest() {
    std::filesystem::create_directories(folder_);
    std::ofstream file(folder_ + "/tokens");
    for (const auto& [who, scopes] : std::map<std::string, std::string>{{"admin", "worker:admin"},
                                                                        {"oncall", "worker:status"},
                                                                        {"partner", "*"},
                                                                        {"analyst", "view:*"},
                                                                        {"some", "rows:plain"},
                                                                        {"all", "rows:*"}}) {
      file << absl::BytesToHexString(Sha256(who)) << " " << who << " " << scopes << "\n";
    }
  }
  ~NodeGateTest() override { std::filesystem::remove_all(folder_); }

  // With a token's file where `tokens`.
  void Open(bool tokens, const std::string& address = "127.0.0.1:0") {
    plan_ = TestPlan(
        "name: app\nsources: { people: { topic: people, columns: { id: int64, email: string } } }\n"
        "steps: { plain: { from: people, filter: \"id > 0\" } }\n"
        "sinks: { out: { from: plain, topic: out } }\n"
        "views: { last: { from: plain, key: [id]" +
        std::string(tokens ? ", tokens: " + folder_ + "/tokens" : "") + " } }\n");
    gate_.emplace(plan_, &clock_, &samples_, NodeGate::Personal{{"plain", {"email"}}}, "w-1",
                  [](const std::string&) { return std::vector<int32_t>{0, 2}; });
    ASSERT_TRUE(gate_->Prepare(address).ok());
    entrances_ = gate_->Entrances();
  }
  HttpResponse Get(const std::string& node, const std::string& who = "") {
    const HttpEntrance& entrance = entrances_.at("/v1/nodes/" + node + "/rows");
    EXPECT_FALSE(entrance.listed);
    HttpRequest request{"", {}, {}, ""};
    if (!who.empty()) request.headers.emplace_back("Authorization", "Bearer " + who);
    if (auto refused = entrance.begin(request)) return *refused;
    HttpResponse answer;
    entrance.take(request, [&](HttpResponse told) { answer = std::move(told); });
    return answer;
  }

  const std::string folder_ = absl::StrCat(::testing::TempDir(), "/rows-", getpid());
  StoppedClock clock_;
  RowSamples samples_{&clock_};
  Plan plan_;
  std::optional<NodeGate> gate_;
  HttpEntrances entrances_;
};

TEST_F(NodeGateTest, RowsAreForTheirOwnScopesAndPersonalDataForAdminsAlone) {
  Open(true);
  EXPECT_EQ(Get("plain").status, 401);
  EXPECT_EQ(Get("plain", "nobody").status, 401);
  for (const char* who : {"oncall", "partner", "analyst"}) EXPECT_EQ(Get("plain", who).status, 403) << who;
  EXPECT_EQ(Get("people", "some").status, 403);
  EXPECT_FALSE(samples_.any()) << "who may not look makes no work";
  EXPECT_EQ(Get("people", "all").status, 200);
  EXPECT_EQ(Get("plain", "some").status, 200);
  samples_.Publish("plain", {2, 7, 0, Columns(), Rows(40, 2)});
  const std::string some = Get("plain", "some").body, admin = Get("out", "admin").body;
  EXPECT_THAT(some, HasSubstr("\"hidden\":[\"email\"]"));
  EXPECT_THAT(some, Not(HasSubstr("example.org")));
  EXPECT_THAT(some, HasSubstr("\"partitions\":[0,2]"));
  EXPECT_THAT(some, HasSubstr("\"rows\":[{\"partition\":2,\"commit\":7,")) << "the newest first";
  EXPECT_LT(some.find("{\"id\":41}"), some.find("{\"id\":40}"));
  EXPECT_THAT(admin, HasSubstr("\"node\":\"out\",\"step\":\"plain\",\"worker\":\"w-1\""));
  EXPECT_THAT(admin, HasSubstr("\"row\":{\"id\":41,\"email\":\"u41@example.org\"}"));
}

TEST_F(NodeGateTest, WithoutAnyTokensOnlyThisMachineSeesRowsAndNobodyPersonalData) {
  Open(false);
  EXPECT_EQ(Get("last").status, 200);
  samples_.Publish("plain", {0, 1, 0, Columns(), Rows(1, 1)});
  EXPECT_THAT(Get("last").body, Not(HasSubstr("example.org")));
  Open(false, "0.0.0.0:9464");
  EXPECT_EQ(Get("last").status, 403);
}

}  // namespace
}  // namespace tidemark
