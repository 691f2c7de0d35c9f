// The registry's client, against answers as Confluent's API gives them.
#include "src/registry/client.h"

#include <map>
#include <mutex>

#include <absl/time/clock.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// What is answered, by path; anything else is the registry's own 404.
struct World {
  std::mutex mutex;
  std::map<std::string, RegistryAnswer> answers;
  std::vector<std::string> calls, bodies;
  bool away = false;
};

class FakeHttp final : public RegistryHttp {
 public:
  explicit FakeHttp(World* world) : world_(*world) {}
  RegistryAnswer Call(const std::string& path, const std::string& body) override {
    const std::lock_guard lock(world_.mutex);
    world_.calls.push_back(path);
    world_.bodies.push_back(body);
    if (world_.away) return {0, "", "Connection refused"};
    const auto found = world_.answers.find(path);
    if (found != world_.answers.end()) return found->second;
    return {404, R"({"error_code":40403,"message":"Schema not found"})", ""};
  }

 private:
  World& world_;
};

class RegistryClientTest : public ::testing::Test {
 protected:
  RegistryClientTest() : client_(Spec(), std::make_unique<FakeHttp>(&world_)) {}
  static RegistrySpec Spec() {
    RegistrySpec spec;
    spec.urls = {"http://registry:8081"};
    return spec;
  }
  void Answer(const std::string& path, int status, std::string body) {
    const std::lock_guard lock(world_.mutex);
    world_.answers[path] = {status, std::move(body), ""};
  }
  void Away(bool away) {
    const std::lock_guard lock(world_.mutex);
    world_.away = away;
  }
  // The first answer that isn't "later", or the last one after ten seconds.
  SchemaLookup::Answer Await(int32_t id) {
    SchemaLookup::Answer answer = client_.Find(id);
    for (int i = 0; i < 1000 && answer.later; ++i) {
      absl::SleepFor(absl::Milliseconds(10));
      answer = client_.Find(id);
    }
    return answer;
  }

  World world_;
  RegistryClient client_;
};

TEST_F(RegistryClientTest, ASchemaComesLaterAndIsAskedForOnce) {
  Answer("/schemas/ids/7", 200, R"({"schema":"\"string\""})");
  const SchemaLookup::Answer first = client_.Find(7);
  EXPECT_TRUE(first.later);
  EXPECT_EQ(first.what, "schema 7 of http://registry:8081");
  const SchemaLookup::Answer found = Await(7);
  ASSERT_NE(found.schema, nullptr);
  EXPECT_EQ(found.schema->text, "\"string\"");
  EXPECT_EQ(found.schema->type, "AVRO");
  EXPECT_EQ(Await(7).schema, found.schema);
  const std::lock_guard lock(world_.mutex);
  EXPECT_THAT(world_.calls, ElementsAre("/schemas/ids/7"));
}

TEST_F(RegistryClientTest, WhileItIsAwayItIsAskedAgainAndWhyIsSaid) {
  Answer("/schemas/ids/7", 200, R"({"schema":"\"string\""})");
  Away(true);
  SchemaLookup::Answer answer = client_.Find(7);
  for (int i = 0; i < 1000 && answer.what.find("refused") == std::string::npos; ++i) {
    absl::SleepFor(absl::Milliseconds(10));
    answer = client_.Find(7);
  }
  EXPECT_TRUE(answer.later);
  EXPECT_EQ(answer.what, "schema 7 of http://registry:8081 (no answer: Connection refused)");
  Away(false);
  EXPECT_NE(Await(7).schema, nullptr);
}

TEST_F(RegistryClientTest, AnUnknownNumberIsKnownToBeUnknownWhatStandsInBetweenIsNot) {
  const SchemaLookup::Answer unknown = Await(8);
  EXPECT_FALSE(unknown.later);
  EXPECT_EQ(unknown.schema, nullptr);
  EXPECT_THAT(unknown.what, HasSubstr("knows no schema 8"));
  Answer("/schemas/ids/9", 404, "<html>no such page</html>");
  Answer("/schemas/ids/10", 401, R"({"error_code":401,"message":"Unauthorized"})");
  client_.Find(9);
  client_.Find(10);
  absl::SleepFor(absl::Milliseconds(100));
  EXPECT_TRUE(client_.Find(9).later);
  EXPECT_TRUE(client_.Find(10).later);
}

TEST_F(RegistryClientTest, ReferencesComeEachBehindWhatItNeeds) {
  Answer(
      "/schemas/ids/1", 200,
      R"({"schema":"c","references":[{"name":"b","subject":"b-subject","version":2},{"name":"a","subject":"a/x","version":1}]})");
  Answer("/subjects/b-subject/versions/2", 200,
         R"({"schema":"b","references":[{"name":"a","subject":"a/x","version":1}]})");
  Answer("/subjects/a%2Fx/versions/1", 200, R"({"schema":"a"})");
  const SchemaLookup::Answer found = Await(1);
  ASSERT_NE(found.schema, nullptr);
  ASSERT_EQ(found.schema->references.size(), 2u);
  EXPECT_EQ(found.schema->references[0].text, "a");
  EXPECT_EQ(found.schema->references[1].text, "b");
}

TEST_F(RegistryClientTest, ASchemaIsRegisteredAfterItsCheckAndARefusalIsInTheRegistrysWords) {
  int32_t id = 0;
  EXPECT_NE(client_.Registered("out-value", {"AVRO", "\"long\"", {}}, &id).what, "");
  Answer("/subjects/out-value/versions", 200, R"({"id":42})");
  ASSERT_TRUE(client_.Register("out-value", {"AVRO", "\"long\"", {}}).ok());
  EXPECT_EQ(client_.Registered("out-value", {"AVRO", "\"long\"", {}}, &id).what, "");
  EXPECT_EQ(id, 42);
  EXPECT_NE(client_.Registered("out-value", {"AVRO", "\"int\"", {}}, &id).what, "") << "another schema";
  EXPECT_EQ(world_.bodies.back(), R"({"schema":"\"long\""})");
  Answer("/compatibility/subjects/out-value/versions/latest?verbose=true", 200,
         R"({"is_compatible":false,"messages":["READER_FIELD_MISSING_DEFAULT_VALUE: new"]})");
  const absl::Status refused = client_.Register("out-value", {"AVRO", "\"int\"", {}});
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("READER_FIELD_MISSING_DEFAULT_VALUE: new"));
  Away(true);
  EXPECT_EQ(client_.Register("out-value", {"AVRO", "\"int\"", {}}).code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace tidemark
