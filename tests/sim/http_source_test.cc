// Posts over the simulated Kafka: each row of each accepted request is in its topic exactly once, whoever dies when,
// and a key that was seen within a day brings nothing in.
#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/operators.h"
#include "proto/http.pb.h"
#include "src/kafka/appender.h"
#include "src/plan/planner.h"
#include "src/runtime/http_source.h"
#include "src/sim/sim_kafka.h"

namespace tidemark::sim {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kHour = 3600 * kSecond;

class PostsWorld {
 public:
  explicit PostsWorld(uint64_t seed, const std::string& more = "") : random_(seed), cluster_(Options(seed), &clock_) {
    absl::StatusOr<Plan> plan = PlanFromYaml(
        absl::StrCat("name: app\nkafka: { brokers: simulated }\nsources:\n  surveys:\n    http: { path: /in }\n"
                     "    columns: { id: int64 }\n",
                     more, "sinks:\n  out: { from: surveys, topic: out, create: {} }\n"),
        "sim.yaml", Operators(), OwnFormats().list(), [](std::string_view) { return std::nullopt; });
    EXPECT_TRUE(plan.ok()) << plan.status();
    plan_ = *std::move(plan);
    plan_.commit_interval_us = 20 * kMillisecond;
    for (const std::string& topic : names_.Topics()) cluster_.CreateTopic(topic, 1);
    cluster_.CreateTopic(plan_.dead_letter_topic, 1);
  }

  void Accept(const std::string& key, const std::string& body, int64_t number = 0, const std::string& writer = "w") {
    packed::HttpRequest request;
    request.set_format(packed::HttpRequest::JSON_LINES);
    request.set_body(body);
    request.set_client("partner");
    request.set_key(key);
    if (number == 0) number = ++appended_;
    last_ = {request.SerializeAsString(), absl::StrCat(writer, ":", number)};
    SendAgain();
  }
  // As the client library of a writer does that has given up a record before this one.
  void SendAgain() {
    cluster_.AppendInput({names_.RequestsTopic(), 0}, std::nullopt, last_.first, log_ms_,
                         {{kAppendedHeader, last_.second}});
  }
  // The time of records from now on, by the log's own clock; -1: as the clock says.
  void SetLogTime(int64_t ms) { log_ms_ = ms; }
  void AcceptFromAStranger() { cluster_.AppendInput({names_.RequestsTopic(), 0}, std::nullopt, last_.first); }

  void Boot(int worker) {
    Process& process = processes_[worker];
    process.split.reset();
    process.kafka = cluster_.NewClient(worker);
    process.runtime = Runtime();
    process.runtime.plan = &plan_;
    process.runtime.kafka = process.kafka.get();
    process.runtime.clock = &clock_;
    process.runtime.control = &control_;
    process.runtime.options.commit_bytes = 8 << 10;  // so that a commit has several pieces
    process.runtime.partitions = {{names_.Topic(), 1}, {plan_.dead_letter_topic, 1}};
    process.split = std::make_unique<SplitIntake>(process.runtime, SplitIntake::Split{"surveys", 0, 1},
                                                  HttpSourceMaker(process.runtime, plan_.sources[0]), [](int64_t) {});
  }
  // The source alone, for a process that was booted.
  std::unique_ptr<HttpSource> Source(int worker) {
    return std::make_unique<HttpSource>(processes_[worker].runtime, plan_.sources[0], 0);
  }
  bool Booted(int worker) const { return processes_.contains(worker) && processes_.at(worker).split != nullptr; }
  // False: the process is dead, or its split has ended.
  bool Step(int worker) {
    Process& process = processes_[worker];
    clock_.Advance(5 * kMillisecond);
    if (process.split == nullptr) return false;
    const absl::Status status = process.split->Step(10 * kMillisecond);
    if (status.ok() && cluster_.Alive(worker)) return true;
    if (cluster_.Alive(worker)) last_end_ = status;
    process.split.reset();
    return false;
  }
  void Run(int worker, int steps) {
    for (int i = 0; i < steps; ++i) ASSERT_TRUE(Step(worker)) << last_end_;
  }

  std::vector<std::string> Values() {
    std::vector<std::string> values;
    for (const SimRecord& record : cluster_.CommittedRecords({names_.Topic(), 0})) values.push_back(*record.value);
    return values;
  }
  std::vector<std::string> Letters() {
    std::vector<std::string> letters;
    for (const SimRecord& record : cluster_.CommittedRecords({plan_.dead_letter_topic, 0})) {
      letters.push_back(record.headers.front().second.value_or(""));
    }
    return letters;
  }
  Offset RequestsStart() { return cluster_.log().Find({names_.RequestsTopic(), 0})->start; }
  IntakeStatus status(int worker) { return processes_[worker].split->status(); }
  SimCluster& cluster() { return cluster_; }
  SimClock& clock() { return clock_; }
  SimRandom& random() { return random_; }
  const IntakeNames& names() const { return names_; }
  absl::Status last_end() const { return last_end_; }

 private:
  struct Process {
    std::unique_ptr<KafkaClient> kafka;
    Runtime runtime;
    std::unique_ptr<SplitIntake> split;
  };
  static SimCluster::Options Options(uint64_t seed) {
    SimCluster::Options options;
    options.seed = seed;
    options.marker_delay_us = seed % 2 == 0 ? 3'000 : 0;
    return options;
  }

  int64_t appended_ = 0, log_ms_ = -1;
  std::pair<std::string, std::string> last_;  // value, header

  SimClock clock_;
  SimRandom random_;
  SimCluster cluster_;
  Plan plan_;
  const IntakeNames names_{{"app"}, "surveys"};
  RunControl control_;
  std::map<int, Process> processes_;
  absl::Status last_end_;
};

std::string Row(int64_t id) { return absl::StrCat("{\"id\":", id, "}"); }

TEST(HttpSource, AKeyThatComesAgainWithinADayBringsNothingIn) {
  PostsWorld world(1);
  world.Accept("a", Row(1) + "\n" + Row(2) + "\n");
  world.Accept("a", Row(1) + "\n" + Row(2) + "\n");
  world.Accept("", Row(3));
  world.Accept("", Row(3));
  world.Boot(0);
  world.Run(0, 300);
  EXPECT_THAT(world.Values(), ElementsAre(Row(1), Row(2), Row(3), Row(3)));
  EXPECT_EQ(world.status(0).counts()["requests"], 3);
  EXPECT_EQ(world.status(0).counts()["requests_again"], 1);
  // Another worker knows it, too: until the key is a day old, and no longer than an hour more.
  world.clock().Advance(24 * kHour - kSecond * 60);
  world.Accept("a", Row(1) + "\n" + Row(2) + "\n");
  world.Boot(1);
  world.Run(1, 900);
  EXPECT_EQ(world.Values().size(), 4u);
  world.clock().Advance(2 * kHour);
  world.Accept("a", Row(1));
  world.Boot(2);
  world.Run(2, 900);
  EXPECT_EQ(world.Values().back(), Row(1));
  EXPECT_EQ(world.Values().size(), 5u);
  EXPECT_EQ(world.status(2).counts()["requests_with_a_used_key"], 0);
}

// The newest record of a note isn't the one with the latest time where the log's clock has stepped back.
TEST(HttpSource, AKeyIsKnownForItsDayThoughTheLogsClockStepsBackAndAnotherWorkerReads) {
  PostsWorld world(8);
  const int64_t hour_ms = kHour / 1000, eleven = (world.clock().WallUs() / kHour + 1) * hour_ms;
  world.SetLogTime(eleven + 300'000);
  for (int i = 0; i < 600; ++i) {
    if (i == 100)  // among those of the first note that is made of many
      world.SetLogTime(eleven - 60'000);
    world.Accept(absl::StrCat("k", i), Row(i));
  }
  world.Boot(0);
  while (world.Values().size() < 600) ASSERT_TRUE(world.Step(0)) << world.last_end();
  world.SetLogTime(eleven + 24 * hour_ms + 180'000);
  for (int i = 0; i < 100; ++i) world.Accept(absl::StrCat("k", i), Row(i));
  world.Boot(1);
  world.Run(1, 900);
  EXPECT_EQ(world.Values().size(), 600u);
}

// Posts of two and a half days, most of them just before and behind the full hour, where keys go.
TEST(HttpSource, NoKeyIsForgottenWithinItsDayWhoeverDiesAndTakesOver) {
  int64_t again = 0, anew = 0;
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    PostsWorld world(seed);
    SimRandom& random = world.random();
    SimFaults& faults = world.cluster().faults();
    faults.commit_unknown = 0.02;
    faults.commit_aborted = 0.02;
    faults.crash = 0.002;
    constexpr int64_t kHourMs = kHour / 1000;
    const int64_t start = (world.clock().WallUs() / kHour + 1) * kHourMs;
    std::vector<int64_t> first;  // when each key came first, in milliseconds
    std::vector<std::string> expected;
    int64_t latest = 0;  // that the log's clock has shown
    const auto post = [&](size_t key, int64_t now) {
      latest = std::max(latest, now);
      const int64_t age = key < first.size() ? latest - first[key] : 0;
      if (age >= 24 * kHourMs && age < 30 * kHourMs) return;
      if (key == first.size()) {
        first.push_back(now);
      } else if (age < 24 * kHourMs) {
        ++again;
        world.SetLogTime(now);
        return world.Accept(absl::StrCat("k", key), Row(static_cast<int64_t>(key)));
      } else {
        ++anew;
        first[key] = now;
      }
      expected.push_back(Row(static_cast<int64_t>(key)));
      world.SetLogTime(now);
      world.Accept(absl::StrCat("k", key), Row(static_cast<int64_t>(key)));
    };
    for (int64_t hour = 0; hour < 60; ++hour) {
      for (int turn = 0; turn < 80; ++turn) {
        const int worker = static_cast<int>(random.Below(3));
        if (!world.Booted(worker) || random.Below(150) == 0) world.Boot(worker);
        // From three minutes before the hour to three behind it, and a minute back or forth.
        const int64_t now = start + hour * kHourMs + (turn - 40) * 4'500 + static_cast<int64_t>(random.Below(60'000));
        post(first.size(), now);
        post(random.Below(first.size()), now);
        for (size_t key = 0; key < first.size(); ++key) {  // whose day is over in a moment
          const int64_t age = now - first[key];
          if (age < 24 * kHourMs && age > 24 * kHourMs - 2'000) post(key, now);
        }
        world.Step(worker);
        ASSERT_TRUE(world.last_end().ok()) << world.last_end();
      }
    }
    faults = SimFaults();
    for (const int other : {1, 2}) world.cluster().Kill(other);
    world.Boot(0);
    world.Run(0, 3000);
    std::vector<std::string> values = world.Values();
    std::sort(values.begin(), values.end());
    std::sort(expected.begin(), expected.end());
    std::vector<std::string> twice, lost;
    std::set_difference(values.begin(), values.end(), expected.begin(), expected.end(), std::back_inserter(twice));
    std::set_difference(expected.begin(), expected.end(), values.begin(), values.end(), std::back_inserter(lost));
    EXPECT_THAT(twice, IsEmpty());
    EXPECT_THAT(lost, IsEmpty());
  }
  EXPECT_GT(again, 5000);
  EXPECT_GT(anew, 1000);
}

TEST(HttpSource, ARecordThatItsWriterHasSentTwiceBringsNothingIn) {
  PostsWorld world(5);
  world.Accept("", Row(1));
  world.Accept("", Row(2));
  world.Accept("", Row(1), 1);
  world.Accept("", Row(2), 2);
  world.Accept("", Row(3));
  world.Accept("", Row(4), 1, "another");
  world.Boot(0);
  world.Run(0, 300);
  EXPECT_THAT(world.Values(), ElementsAre(Row(1), Row(2), Row(3), Row(4)));
  EXPECT_EQ(world.status(0).counts()["requests_sent_twice"], 2);
  // Another worker knows it, too.
  world.SendAgain();
  world.Accept("", Row(5), 2, "another");
  world.Boot(1);
  world.Run(1, 900);
  EXPECT_THAT(world.Values(), ElementsAre(Row(1), Row(2), Row(3), Row(4), Row(5)));
  EXPECT_EQ(world.status(1).counts()["requests_sent_twice"], 3);
}

// A row is some bytes of a body and some hundred in memory.
TEST(HttpSource, SmallBodiesOfManyRowsDoNotComeAllAtOnce) {
  constexpr int64_t kRows = 100, kBodies = 50, kMaxBytes = 64 << 10;
  PostsWorld world(7);
  std::vector<std::string> expected, found;
  for (int64_t body = 0; body < kBodies; ++body) {
    std::string rows;
    for (int64_t i = 0; i < kRows; ++i) {
      expected.push_back(Row(body * kRows + i));
      absl::StrAppend(&rows, expected.back(), "\n");
    }
    world.Accept(absl::StrCat("k", body), rows);
  }
  world.Boot(0);
  std::string position;
  IntakeNotes notes;
  int64_t polls = 0;
  // What a Poll leaves of what was fetched comes with the next, or with another source behind the same position.
  for (int64_t reader = 0; reader < 100 && found.size() < expected.size(); ++reader) {
    const std::unique_ptr<HttpSource> source = world.Source(0);
    ASSERT_TRUE(source->Open(position, notes).ok());
    for (int i = 0; i < 3; ++i) {
      absl::StatusOr<std::optional<IntakeRows>> polled = source->Poll(kSecond, kMaxBytes);
      ASSERT_TRUE(polled.ok()) << polled.status();
      if (!*polled) continue;
      ++polls;
      EXPECT_LE((*polled)->records.size(), static_cast<size_t>(kMaxBytes / 400 + kRows));
      for (const IntakeRecord& record : (*polled)->records) found.push_back(record.value);
      for (const IntakeNote& note : (*polled)->notes) notes[note.key] = note.value.value_or("");
      position = (*polled)->next;
    }
  }
  EXPECT_EQ(found, expected);
  EXPECT_EQ(polls, kBodies / 2);
  world.Run(0, 900);
  EXPECT_EQ(world.Values(), expected);
}

TEST(HttpSource, WhatNoWorkerWroteEndsIt) {
  PostsWorld world(6);
  world.Accept("", Row(1));
  world.AcceptFromAStranger();
  world.Boot(0);
  while (world.Step(0)) {
  }
  EXPECT_EQ(world.last_end().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(world.last_end().message()), HasSubstr("who else writes to it?"));
}

TEST(HttpSource, AUsedKeyWithAnotherBodyIsADeadLetter) {
  PostsWorld world(2);
  world.Accept("a", Row(1));
  world.Accept("a", Row(2));
  world.Boot(0);
  world.Run(0, 300);
  EXPECT_THAT(world.Values(), ElementsAre(Row(1)));
  ASSERT_EQ(world.Letters().size(), 1u);
  EXPECT_THAT(world.Letters()[0], HasSubstr("the Idempotency-Key 'a' came before with another body"));
  EXPECT_EQ(world.status(0).refused(), 1);
}

TEST(HttpSource, TheLogIsTrimmedBehindWhatIsInAndNoFurther) {
  PostsWorld world(3);
  for (int i = 0; i < 10; ++i) world.Accept("", Row(i));
  world.Boot(0);
  world.Run(0, 300);
  EXPECT_EQ(world.RequestsStart(), 10);
  EXPECT_EQ(world.Values().size(), 10u);
}

TEST(HttpSource, RequestsThatAreGoneBeforeTheyWereReadEndIt) {
  PostsWorld world(4);
  world.Accept("", Row(1));
  world.Accept("", Row(2));
  world.cluster().Trim({world.names().RequestsTopic(), 0}, 1);
  world.Boot(0);
  while (world.Step(0)) {
  }
  EXPECT_EQ(world.last_end().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(world.last_end().message()),
              AllOf(HasSubstr("requests that were accepted are lost"), HasSubstr("on_data_loss: skip")));
  PostsWorld going_on(4, "    on_data_loss: skip\n");
  going_on.Accept("", Row(1));
  going_on.Accept("", Row(2));
  going_on.cluster().Trim({going_on.names().RequestsTopic(), 0}, 1);
  going_on.Boot(0);
  going_on.Run(0, 300);
  EXPECT_THAT(going_on.Values(), ElementsAre(Row(2)));
}

// Requests that come, and come again, before three workers of which each may believe to be the one that reads them.
TEST(HttpSource, EachRequestIsInExactlyOnceWhateverFails) {
  int64_t again = 0, sent_twice = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    PostsWorld world(seed);
    SimRandom& random = world.random();
    SimFaults& faults = world.cluster().faults();
    faults.unavailable = 0.02;
    faults.lost_answer = 0.01;
    faults.commit_unknown = 0.05;
    faults.commit_aborted = 0.05;
    faults.crash = 0.005;
    std::map<std::string, std::string> bodies;
    std::vector<std::string> expected;
    int64_t next_id = 0;
    for (int turn = 0; turn < 1200; ++turn) {
      const int worker = static_cast<int>(random.Below(3));
      if (!world.Booted(worker) || random.Below(150) == 0) world.Boot(worker);
      const std::string key = absl::StrCat("k", random.Below(100));
      if (turn % 5 == 0) {
        std::string& body = bodies[key];
        if (body.empty()) {
          for (int64_t i = 1 + static_cast<int64_t>(random.Below(30)); i > 0; --i) {
            expected.push_back(Row(next_id));
            absl::StrAppend(&body, Row(next_id++), "\n");
          }
        }
        world.Accept(key, body);
        if (random.Below(10) == 0) world.SendAgain();
      }
      if (random.Below(30) == 0) world.clock().Advance(static_cast<int64_t>(random.Below(12)) * kSecond);
      world.Step(worker);
      ASSERT_TRUE(world.last_end().ok()) << world.last_end();
    }
    faults = SimFaults();
    for (const int other : {1, 2}) world.cluster().Kill(other);
    world.Boot(0);
    world.Run(0, 3000);
    std::vector<std::string> values = world.Values();
    std::sort(values.begin(), values.end());
    std::sort(expected.begin(), expected.end());
    ASSERT_EQ(values, expected);
    EXPECT_EQ(world.Letters().size(), 0u);
    EXPECT_EQ(world.status(0).counts()["requests"], static_cast<int64_t>(bodies.size()));
    again += world.status(0).counts()["requests_again"];
    sent_twice += world.status(0).counts()["requests_sent_twice"];
  }
  EXPECT_GT(again, 1000);
  EXPECT_GT(sent_twice, 1000);
}

}  // namespace
}  // namespace tidemark::sim
