// A view's topic, written by tasks and read by a worker that answers: whole commits, the view's time, what a reader
// does when its log goes away, its memory, and what is told to whom.
#include <deque>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/runtime/metrics.h"
#include "src/runtime/view_gate.h"
#include "src/runtime/view_output.h"
#include "src/runtime/view_reader.h"
#include "src/views/records.h"
#include "tests/unit/runtime/fakes.h"

namespace tidemark {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int64_t kInterval = 100 * kMillisecond;

SinkPlan PlacesView(int64_t keep_us = 0) {
  KafkaSinkSpec kafka;
  kafka.topic = "town.places.view";
  kafka.key = {0};
  kafka.key_format = kJsonFormat;
  kafka.upsert = true;
  SinkPlan plan;
  plan.name = "places";
  plan.from = "counted";
  plan.spec = std::move(kafka);
  plan.view = ViewSpec{.indexes = {{1}}, .keep_us = keep_us, .tokens = "", .audit = ""};
  plan.schema = PlaceSchema();
  return plan;
}

// Records with keys and headers, as a producer has written them.
class ProducedFetch final : public Fetch {
 public:
  ProducedFetch(std::vector<ProducedRecord> records, Offset first) : produced_(std::move(records)) {
    for (const ProducedRecord& record : produced_) {
      records_.push_back(
          {first++, 0, record.key ? Bytes(*record.key) : Bytes(), record.value ? Bytes(*record.value) : Bytes()});
    }
  }
  const TopicPartition& source() const override { return source_; }
  std::span<const RecordView> records() const override { return records_; }
  HeaderList Headers(size_t i) const override { return produced_[i].headers; }

 private:
  const TopicPartition source_{"town.places.view", 0};
  const std::vector<ProducedRecord> produced_;
  std::vector<RecordView> records_;
};

// One partition, whose records are what the test has let tasks produce.
class ViewKafka final : public SilentKafka, public SilentAdmin {
 public:
  absl::StatusOr<std::unique_ptr<Consumer>> NewConsumer(const ConsumerOptions& options) override {
    EXPECT_EQ(options.isolation, Isolation::kReadCommitted);
    EXPECT_EQ(options.group, "");
    ++consumers;
    return std::make_unique<Reader>(this);
  }
  Admin& admin() override { return *this; }
  absl::StatusOr<Offset> LogStart(const TopicPartition&) override { return start; }
  absl::StatusOr<Offset> LogEnd(const TopicPartition&, Isolation isolation) override {
    EXPECT_EQ(isolation, Isolation::kReadCommitted);
    return static_cast<Offset>(log.size());
  }

  absl::StatusOr<std::map<std::string, TopicInfo>> Describe(const std::vector<std::string>& topics) override {
    EXPECT_THAT(topics, ElementsAre("town.places.view"));
    return std::map<std::string, TopicInfo>{{topics[0], {1, id}}};
  }

  int consumers = 0;
  Offset start = 0;
  std::string id = "first";  // the topic's
  std::vector<ProducedRecord> log;
  size_t at_once = 1'000;  // records a poll
  std::deque<absl::Status> fails;

 private:
  class Reader final : public SilentConsumer {
   public:
    explicit Reader(ViewKafka* kafka) : kafka_(*kafka) {}
    absl::Status Assign(const std::vector<std::pair<TopicPartition, Offset>>& positions) override {
      at_ = static_cast<size_t>(positions[0].second);
      return absl::OkStatus();
    }
    absl::StatusOr<PollResult> Poll(int64_t, size_t) override {
      if (!kafka_.fails.empty()) {
        const absl::Status failed = kafka_.fails.front();
        kafka_.fails.pop_front();
        return failed;
      }
      PollResult result;
      const size_t end = std::min(kafka_.log.size(), at_ + kafka_.at_once);
      if (at_ < end) {
        result.fetches.push_back(std::make_unique<ProducedFetch>(
            std::vector<ProducedRecord>(kafka_.log.begin() + static_cast<std::ptrdiff_t>(at_),
                                        kafka_.log.begin() + static_cast<std::ptrdiff_t>(end)),
            static_cast<Offset>(at_)));
        at_ = end;
      }
      if (at_ == kafka_.log.size())
        result.ends.emplace_back(TopicPartition{"town.places.view", 0}, static_cast<Offset>(at_));
      return result;
    }

   private:
    ViewKafka& kafka_;
    size_t at_ = 0;
  };
};

class ViewsTest : public ::testing::Test {
 protected:
  explicit ViewsTest(int64_t keep_us = 0) : view_(PlacesView(keep_us)) {
    plan_.application.name = "town";
    plan_.sinks.push_back(view_);
    runtime_.plan = &plan_;
    runtime_.kafka = &kafka_;
    runtime_.clock = &clock_;
  }

  // A task of the step that writes the view.
  struct Writer {
    Writer(const SinkPlan& view, int32_t number, int32_t count)
        : transaction(&producer, 1 << 20),
          output(view, number, count, *RowEncoder::Make(ViewEncoderOptions(view)), kInterval, &transaction, {}) {}
    FakeProducer producer;
    Transaction transaction;
    ViewOutput output;
  };

  std::unique_ptr<Writer> MakeWriter(int32_t number, int32_t count) {
    return std::make_unique<Writer>(view_, number, count);
  }
  void Write(Writer& writer, const std::vector<std::pair<std::string, int64_t>>& rows) {
    ASSERT_TRUE(writer.output.Write(PlaceRows(rows)).ok());
  }
  void Mark_(Writer& writer, int64_t seconds, bool idle = false) {
    ASSERT_TRUE(writer.output.PrepareCommit(1, {EventTime{seconds * kSecond}, idle}, clock_.monotonic_us).ok());
  }
  // What it has produced since is in the log.
  void Flush(Writer& writer) {
    kafka_.log.insert(kafka_.log.end(), writer.producer.records.begin(), writer.producer.records.end());
    writer.producer.records.clear();
  }

  // "a 1, b 2" in the order of the key.
  std::string Rows(const ViewReader& reader, std::string* why = nullptr) {
    std::string none;
    const auto store = reader.store(why == nullptr ? &none : why);
    if (store == nullptr) return "none";
    std::vector<ViewRowPtr> rows;
    store->Collect({0, {{"", "\xff"}}, false}, 1'000, &rows);
    const Batch batch = *reader.shape().Decode(rows);
    std::string out;
    for (int64_t i = 0; i < batch->num_rows(); ++i) {
      absl::StrAppend(&out, i > 0 ? ", " : "",
                      std::string(std::static_pointer_cast<arrow::StringArray>(batch->column(0))->GetView(i)), " ",
                      std::static_pointer_cast<arrow::Int64Array>(batch->column(1))->Value(i));
    }
    return out;
  }

  void Steps(ViewReader& reader, int count) {
    for (int i = 0; i < count; ++i) ASSERT_TRUE(reader.Step(0).ok());
  }

  const SinkPlan view_;
  Plan plan_;
  FakeClock clock_;
  ViewKafka kafka_;
  Runtime runtime_;
  MemoryBudget memory_{64 << 20};
};

TEST_F(ViewsTest, ACommitOfATaskShowsWhenItsMarkIsThereAndNotBefore) {
  ViewReader reader(runtime_, view_, &memory_);
  const auto a = MakeWriter(0, 2), b = MakeWriter(1, 2);
  Write(*a, {{"x", 1}, {"y", 1}});
  Flush(*a);
  Write(*b, {{"z", 1}});
  Mark_(*b, 5);
  Flush(*b);
  kafka_.at_once = 1;
  Steps(reader, 3);
  EXPECT_EQ(Rows(reader), "none") << "the log's end isn't reached";
  Mark_(*a, 7);
  Flush(*a);
  Steps(reader, 4);
  EXPECT_EQ(Rows(reader), "x 1, y 1, z 1");
  EXPECT_EQ(reader.status().as_of, EventTime{5 * kSecond}) << "the slowest task's";
  // Of the next commit half is there: a question still sees the one before.
  Write(*a, {{"x", 2}});
  Flush(*a);
  Steps(reader, 3);
  EXPECT_EQ(Rows(reader), "x 1, y 1, z 1");
  EXPECT_EQ(reader.status().position, 5);
  Write(*a, {{"y", 2}});
  Mark_(*a, 9);
  Flush(*a);
  Steps(reader, 4);
  EXPECT_EQ(Rows(reader), "x 2, y 2, z 1");
  EXPECT_EQ(reader.status().position, 8);
}

TEST_F(ViewsTest, AMarkIsOwedForRowsAndForTimeThatHasMoved) {
  const auto writer = MakeWriter(0, 1);
  EXPECT_TRUE(writer->output.Untold({kMinTime, false})) << "readers wait for every task's word";
  Mark_(*writer, 5);
  EXPECT_EQ(writer->producer.records.size(), 1u);
  EXPECT_FALSE(writer->output.Untold({EventTime{5 * kSecond}, false}));
  Mark_(*writer, 6);
  EXPECT_EQ(writer->producer.records.size(), 1u) << "the interval hasn't passed, and there are no rows";
  EXPECT_TRUE(writer->output.Untold({EventTime{6 * kSecond}, false}));
  EXPECT_FALSE(writer->output.OwesMark({EventTime{6 * kSecond}, false}, clock_.monotonic_us));
  Write(*writer, {{"x", 1}});
  Mark_(*writer, 6);
  EXPECT_EQ(writer->producer.records.size(), 3u);
  clock_.monotonic_us += kInterval;
  EXPECT_TRUE(writer->output.OwesMark({EventTime{7 * kSecond}, false}, clock_.monotonic_us));
}

TEST_F(ViewsTest, TheViewsTimeIsKnownOnceEveryTaskHasSaidItsOwnAndIdleOnesHoldNothingUp) {
  ViewReader reader(runtime_, view_, &memory_);
  const auto a = MakeWriter(0, 2), b = MakeWriter(1, 2);
  Mark_(*a, 7);
  Flush(*a);
  Steps(reader, 2);
  EXPECT_EQ(reader.status().as_of, std::nullopt);
  Mark_(*b, 3);
  Flush(*b);
  Steps(reader, 1);
  EXPECT_EQ(reader.status().as_of, EventTime{3 * kSecond});
  clock_.monotonic_us += kSecond;
  Mark_(*b, 3, /*idle=*/true);
  Flush(*b);
  Steps(reader, 1);
  EXPECT_EQ(reader.status().as_of, EventTime{7 * kSecond});
  // The step was moved to one task: what the former ones said holds no more, and time doesn't go back.
  const auto c = MakeWriter(0, 1);
  Mark_(*c, 4);
  Flush(*c);
  Steps(reader, 1);
  EXPECT_EQ(reader.status().as_of, EventTime{7 * kSecond});
}

class KeptViewsTest : public ViewsTest {
 protected:
  KeptViewsTest() : ViewsTest(10 * kSecond) {}
};

TEST_F(KeptViewsTest, WhatNobodyNeedsAnyMoreIsTrimmedAndNeverALiveRowOrMark) {
  ViewReader reader(runtime_, view_, &memory_);
  const auto writer = MakeWriter(0, 1);
  Write(*writer, {{"old", 1}, {"new", 30}});  // their n is their event time in seconds
  Mark_(*writer, 11 + 20);
  Write(*writer, {{"newer", 31}});
  Mark_(*writer, 31);
  Flush(*writer);
  clock_.monotonic_us += 61 * kSecond;
  Steps(reader, 2);
  EXPECT_EQ(Rows(reader), "new 30, newer 31") << "the first is over at 11 s";
  ASSERT_TRUE(reader.status().trim.has_value());
  EXPECT_EQ(reader.status().trim->second, 1);
}

TEST_F(ViewsTest, ALogThatWasTrimmedUnderTheReaderIsReadAnewAndNothingIsToldMeanwhile) {
  ViewReader reader(runtime_, view_, &memory_);
  const auto writer = MakeWriter(0, 1);
  Write(*writer, {{"x", 1}, {"y", 1}});
  Mark_(*writer, 1);
  Flush(*writer);
  Steps(reader, 2);
  EXPECT_EQ(Rows(reader), "x 1, y 1");
  kafka_.fails = {absl::UnavailableError("brokers are away")};
  Steps(reader, 1);
  EXPECT_EQ(Rows(reader), "x 1, y 1") << "what is there stands";
  kafka_.log[0].value.reset();  // x was deleted, and what said so is trimmed: a record stands in its place
  kafka_.fails = {absl::OutOfRangeError("trimmed")};
  Steps(reader, 1);
  std::string why;
  EXPECT_EQ(Rows(reader, &why), "none");
  EXPECT_THAT(why, HasSubstr("reads the view"));
  clock_.monotonic_us += 2 * kSecond;
  Steps(reader, 2);
  EXPECT_EQ(Rows(reader), "y 1");
  EXPECT_EQ(kafka_.consumers, 2);
}

TEST_F(KeptViewsTest, ATopicThatWasMadeAgainUnderTheReaderIsReadAnewAndIsntTrimmedByWhatWasBefore) {
  ViewReader reader(runtime_, view_, &memory_);
  const auto writer = MakeWriter(0, 1);
  Write(*writer, {{"old", 1}, {"x", 30}});
  Mark_(*writer, 31);
  Flush(*writer);
  clock_.monotonic_us += 61 * kSecond;
  Steps(reader, 2);
  ASSERT_TRUE(reader.status().trim.has_value());
  EXPECT_EQ(reader.status().topic_id, "first");
  // The new log is longer than the one before: its reader sees nothing but records that come.
  kafka_.log.clear();
  kafka_.id = "second";
  const auto again = MakeWriter(0, 1);
  Write(*again, {{"y", 30}, {"z", 30}, {"z", 31}});
  Mark_(*again, 31);
  Flush(*again);
  reader.Confirm(4, clock_.monotonic_us, "second");
  Steps(reader, 1);
  EXPECT_EQ(Rows(reader), "none");
  EXPECT_FALSE(reader.status().trim.has_value());
  clock_.monotonic_us += 2 * kSecond;
  Steps(reader, 2);
  EXPECT_EQ(Rows(reader), "y 30, z 31");
  EXPECT_EQ(reader.status().topic_id, "second");
  reader.Confirm(4, clock_.monotonic_us, "second");
  Steps(reader, 1);
  EXPECT_EQ(kafka_.consumers, 2);
}

TEST_F(ViewsTest, AReaderThatHasntBeenAtTheEndForHalfADayReadsAnew) {
  ViewReader reader(runtime_, view_, &memory_);
  const auto writer = MakeWriter(0, 1);
  Write(*writer, {{"x", 1}});
  Mark_(*writer, 1);
  Flush(*writer);
  Steps(reader, 2);
  EXPECT_EQ(reader.age_us(), 0);
  clock_.monotonic_us += kViewDeletionsKeptUs / 2 + kSecond;
  EXPECT_EQ(reader.age_us(), kViewDeletionsKeptUs / 2 + kSecond);
  Steps(reader, 1);
  EXPECT_EQ(Rows(reader), "none");
  clock_.monotonic_us += 2 * kSecond;
  Steps(reader, 2);
  EXPECT_EQ(Rows(reader), "x 1");
}

TEST_F(ViewsTest, AnAnswersAgeIsThatOfTheEndThatWasAskedFor) {
  ViewReader reader(runtime_, view_, &memory_);
  const auto writer = MakeWriter(0, 1);
  Mark_(*writer, 1);
  Flush(*writer);
  Steps(reader, 2);
  const int64_t asked = clock_.monotonic_us += 5 * kSecond;
  clock_.monotonic_us += 40;
  reader.Confirm(1, asked, "first");
  EXPECT_EQ(reader.age_us(), 40);
  clock_.monotonic_us += 60;
  reader.Confirm(9, clock_.monotonic_us, "first");
  EXPECT_EQ(reader.age_us(), 100) << "more is committed than is in";
  EXPECT_EQ(reader.status().lag, 8);
}

TEST_F(ViewsTest, AViewThatDoesntFitIsntServedAndItsMemoryIsGivenBack) {
  MemoryBudget small(1 << 20, 1 << 10);
  ViewReader reader(runtime_, view_, &small);
  const auto writer = MakeWriter(0, 1);
  std::vector<std::pair<std::string, int64_t>> rows;
  for (int i = 0; i < 10'000; ++i) rows.emplace_back(absl::StrCat("place ", i), i);
  Write(*writer, rows);
  Mark_(*writer, 1);
  Flush(*writer);
  kafka_.at_once = 3'000;
  Steps(reader, 6);
  std::string why;
  EXPECT_EQ(Rows(reader, &why), "none");
  EXPECT_THAT(why, AllOf(HasSubstr("more memory than there is"), HasSubstr("`keep`")));
  EXPECT_EQ(small.used(), 0);
  WorkerStatus status;
  status.ownership.known = true;
  status.views = {reader.status()};
  EXPECT_TRUE(CheckReadiness(status).ok) << "another start won't help, and the tasks go on";
}

TEST_F(ViewsTest, AWorkerIsReadyOnceItsViewsHaveBeenRead) {
  ViewReader reader(runtime_, view_, &memory_);
  const auto writer = MakeWriter(0, 1);
  Write(*writer, {{"x", 1}});
  Mark_(*writer, 1);
  Flush(*writer);
  kafka_.at_once = 1;
  Steps(reader, 1);
  WorkerStatus status;
  status.ownership.known = true;
  status.views = {reader.status()};
  EXPECT_FALSE(CheckReadiness(status).ok);
  EXPECT_THAT(CheckReadiness(status).text, HasSubstr("view places: the worker reads the view, "));
  Steps(reader, 2);
  status.views = {reader.status()};
  EXPECT_TRUE(CheckReadiness(status).ok);
  EXPECT_THAT(RenderMetrics(status), HasSubstr("tidemark_view_rows{application=\"\",view=\"places\"} 1"));
}

class ViewGateTest : public ViewsTest {
 protected:
  ViewGateTest()
      : reader_(std::make_shared<ViewReader>(runtime_, plan_.sinks[0], &memory_)),
        gate_(plan_, &clock_, [](std::function<void()> task) { task(); }) {}

  // The answer; nothing where none has come yet.
  std::optional<HttpResponse> Ask(const std::vector<std::pair<std::string, std::string>>& query,
                                  const std::string& accept = "") {
    const HttpEntrance entry = gate_.Entrances().at("/v1/views/places");
    EXPECT_EQ(entry.method, "GET");
    HttpRequest request{"/v1/views/places", query, {{"Accept", accept}}, ""};
    if (auto refused = entry.begin(request)) return refused;
    later_.reset();
    entry.take(request, [this](HttpResponse response) { later_ = std::move(response); });
    return later_;
  }
  HttpResponse Post(const std::string& body) {
    const HttpEntrance entry = gate_.Entrances().at("/v1/views/places/query");
    HttpRequest request{"/v1/views/places/query", {}, {}, body};
    if (auto refused = entry.begin(request)) return *refused;
    entry.take(request, [this](HttpResponse response) { later_ = std::move(response); });
    return *later_;
  }

  std::shared_ptr<ViewReader> reader_;
  std::optional<HttpResponse> later_;
  ViewGate gate_;
};

TEST_F(ViewGateTest, AnAnswerSaysWhatItIsOf) {
  EXPECT_EQ(Ask({})->status, 503) << "it isn't open";
  gate_.Open({reader_});
  EXPECT_EQ(Ask({})->status, 503) << "it hasn't been read";
  EXPECT_THAT(Ask({})->body, HasSubstr("reads the view"));
  const auto writer = MakeWriter(0, 1);
  Write(*writer, {{"x", 1}, {"y", 2}});
  Mark_(*writer, 1);
  Flush(*writer);
  Steps(*reader_, 2);
  clock_.monotonic_us += 7 * kMillisecond;
  const HttpResponse answer = *Ask({{"limit", "1"}});
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body,
              AllOf(HasSubstr(R"({"view":"places","as_of":"1970-01-01T00:00:01Z","position":3,"age_ms":7,"next":")"),
                    HasSubstr(R"("rows":[{"place":"x","n":1}]})")));
  EXPECT_EQ(Ask({}, "text/csv")->body, "place,n\nx,1\ny,2\n");
  EXPECT_EQ(Ask({}, "text/html")->status, 406);
  EXPECT_EQ(Ask({{"m", "1"}})->status, 400);
  EXPECT_THAT(Post(R"({"n":{"from":2},"columns":["n"]})").body, HasSubstr(R"("rows":[{"n":2}])"));
  EXPECT_EQ(Post("{").status, 400);
  EXPECT_EQ(gate_.status()[0].answers.at(200), 3);
  gate_.Close();
  EXPECT_EQ(Ask({})->status, 503);
}

TEST_F(ViewGateTest, APositionIsWaitedForUntilItIsReachedOrTheTimeIsOver) {
  gate_.Open({reader_});
  const auto writer = MakeWriter(0, 1);
  Mark_(*writer, 1);
  Flush(*writer);
  Steps(*reader_, 2);
  EXPECT_EQ(Ask({{"min_position", "1"}})->status, 200);
  EXPECT_EQ(Ask({{"min_position", "3"}}), std::nullopt);
  Steps(*reader_, 1);
  EXPECT_FALSE(later_.has_value());
  Write(*writer, {{"x", 1}});
  Mark_(*writer, 2);
  Flush(*writer);
  Steps(*reader_, 1);
  ASSERT_TRUE(later_.has_value());
  EXPECT_THAT(later_->body, AllOf(HasSubstr("\"position\":3"), HasSubstr("\"place\":\"x\"")));
  EXPECT_EQ(Ask({{"min_position", "4"}, {"max_wait_ms", "50"}}), std::nullopt);
  clock_.monotonic_us += 50 * kMillisecond;
  Steps(*reader_, 1);
  ASSERT_TRUE(later_.has_value());
  EXPECT_EQ(later_->status, 504);
  EXPECT_EQ(Ask({{"min_position", "4"}}), std::nullopt);
  gate_.Close();
  EXPECT_EQ(later_->status, 504);
}

// What a client hears that comes back with a position.
class ViewStreamTest : public ViewGateTest {
 protected:
  ViewStreamTest() { gate_.Open({reader_}); }

  // So many rows, each with its mark, in the log and in the reader.
  void Fill(int commits) {
    const auto writer = MakeWriter(0, 1);
    for (int i = 0; i < commits; ++i) {
      Write(*writer, {{"x", i}});
      Mark_(*writer, i + 1);
      clock_.monotonic_us += kInterval;
    }
    Flush(*writer);
    Steps(*reader_, 2);
  }
  std::shared_ptr<HttpStream> Follow(const std::string& last_event_id) {
    const HttpEntrance entry = gate_.Entrances().at("/v1/views/places/changes");
    HttpRequest request{"/v1/views/places/changes", {}, {{"Last-Event-ID", last_event_id}}, ""};
    EXPECT_FALSE(entry.begin(request).has_value());
    entry.take(request, [this](HttpResponse response) { later_ = std::move(response); });
    if (later_->stream != nullptr) later_->stream->Begin([] {});
    return later_->stream;
  }
  // All that there is now; "(end)" where that was all.
  static std::string Read(HttpStream& stream) {
    std::string all;
    while (true) {
      std::string out;
      const bool goes_on = stream.Next(1 << 16, &out);
      all += out;
      if (!goes_on) return all + "(end)";
      if (out.empty()) return all;
    }
  }
};

TEST_F(ViewStreamTest, APositionBehindTheLogsEndIsOfALogThatIsNoMore) {
  Fill(2);
  const auto stream = Follow("5120");
  EXPECT_THAT(Read(*stream), Not(HasSubstr("event:"))) << "another worker may be ahead of this one";
  reader_->Confirm(4, clock_.monotonic_us - 1, "first");
  EXPECT_THAT(Read(*stream), Not(HasSubstr("event:"))) << "of before it came";
  clock_.monotonic_us += 10;
  reader_->Confirm(4, clock_.monotonic_us, "first");
  EXPECT_THAT(Read(*stream), AllOf(HasSubstr("id: 4-first\nevent: reset\ndata: {\"position\":4,"),
                                   HasSubstr("made anew"), EndsWith("(end)")));
}

TEST_F(ViewStreamTest, AnEventsIdTellsOfWhichLogItIsHoweverLongThatHasGrown) {
  Fill(2);
  const auto before = Follow("");
  const std::string told = Read(*before);
  EXPECT_THAT(told, HasSubstr("id: 4-first\nevent: position\n"));
  EXPECT_THAT(Read(*Follow("4-first")), Not(HasSubstr("event:")));
  kafka_.log.clear();
  kafka_.id = "se/co+nd";
  reader_->Confirm(8, clock_.monotonic_us, kafka_.id);
  Steps(*reader_, 1);
  EXPECT_THAT(Read(*before), HasSubstr("event: reset"));
  clock_.monotonic_us += 2 * kSecond;
  Fill(4);
  EXPECT_THAT(Read(*Follow("4-first")), AllOf(HasSubstr("id: 8-second\nevent: reset\n"), EndsWith("(end)")));
  EXPECT_THAT(Read(*Follow("8-second")), Not(HasSubstr("event:")));
}

TEST_F(ViewStreamTest, APositionThatAnotherWorkerHasToldIsWaitedFor) {
  Fill(2);
  const auto stream = Follow("6");
  clock_.monotonic_us += 10;
  reader_->Confirm(8, clock_.monotonic_us, "first");
  EXPECT_THAT(Read(*stream), Not(HasSubstr("event:")));
  kafka_.at_once = 2;
  Fill(2);
  reader_->changes()->Tick(clock_.monotonic_us);
  const std::string told = Read(*stream);
  EXPECT_THAT(told, AllOf(HasSubstr("event: changes\ndata: {\"position\":8,"), Not(HasSubstr("reset"))));
}

// Records of what was asked, as they would stand in the audit topic.
class AuditTopic final : public Appender {
 public:
  explicit AuditTopic(std::vector<std::string>* records) : records_(*records) {}
  void Append(const std::string& topic, int32_t, std::string_view value, Done) override {
    EXPECT_EQ(topic, "asked");
    records_.emplace_back(value);
  }
  void Close(int64_t) override {}

 private:
  std::vector<std::string>& records_;
};

TEST_F(ViewStreamTest, WhatTheServerRefusesAndAnswersToFollowersAreAudited) {
  Fill(1);
  plan_.sinks[0].view->audit = "asked";
  std::vector<std::string> records;
  gate_.Open({reader_}, std::make_unique<AuditTopic>(&records));
  const HttpEntrances entrances = gate_.Entrances();
  const HttpRequest head{"/v1/views/places", {{"place", "x"}}, {}, ""};
  EXPECT_EQ(entrances.at("/v1/views/places").refuse(&head, 429, "too many").status, 429);
  EXPECT_EQ(entrances.at("/v1/views/places/query").refuse(&head, 413, "too large").status, 413);
  EXPECT_EQ(entrances.at("/v1/views/places/changes").refuse(&head, 429, "too many follow").status, 429);
  entrances.at("/v1/views/places").refuse(nullptr, 504, "whoever answers it notes it");
  EXPECT_EQ(Follow("seven"), nullptr);
  EXPECT_EQ(later_->status, 400);
  EXPECT_NE(Follow("2"), nullptr);
  EXPECT_THAT(records,
              ElementsAre(HasSubstr(R"("what":"GET place=x","status":429)"), HasSubstr(R"("what":"POST","status":413)"),
                          HasSubstr(R"("what":"follow: GET place=x","status":429)"),
                          HasSubstr(R"("what":"follow: GET","status":400)"),
                          HasSubstr(R"("what":"follow: GET","status":200)")));
}

TEST_F(ViewGateTest, WithoutTokensOnlyThisMachineMayAsk) {
  EXPECT_TRUE(gate_.Prepare("127.0.0.1:0").ok());
  EXPECT_THAT(std::string(gate_.Prepare("0.0.0.0:80").message()), HasSubstr("view places is asked without tokens"));
}

}  // namespace
}  // namespace tidemark
