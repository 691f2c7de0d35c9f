// What appended records say of who wrote them, and what is told of those that no broker acknowledges.
#include "src/kafka/appender.h"

#include <string>
#include <vector>

#include <absl/synchronization/mutex.h>
#include <gtest/gtest.h>

#include "src/base/clock.h"
#include "src/base/time.h"

namespace tidemark {
namespace {

// What became of each record.
class Told {
 public:
  Appender::Done Note() {
    return [this](const Appended& what) {
      const absl::MutexLock lock(&mutex_);
      all_.push_back(what);
    };
  }
  std::vector<Appended> Await(size_t count) {
    const auto there = [this, count] { return all_.size() >= count; };
    const absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&there));
    return all_;
  }

 private:
  absl::Mutex mutex_;
  std::vector<Appended> all_;
};

std::unique_ptr<Appender> AppenderWithoutBrokers(int64_t patience_us) {
  KafkaSettings settings;
  settings.brokers = "127.0.0.1:1";  // nobody listens there
  auto appender = NewRdAppender(settings, "posts", patience_us, [](int, std::string_view) {});
  EXPECT_TRUE(appender.ok()) << appender.status();
  return *std::move(appender);
}

// What the client library calls not persisted may be in, if it was tried before.
TEST(RdAppender, OfARecordThatHasWaitedTooLongNobodyKnows) {
  Told told;
  const auto appender = AppenderWithoutBrokers(kSecond / 5);
  appender->Append("topic", 0, "value", told.Note());
  EXPECT_EQ(told.Await(1)[0].outcome, Appended::Outcome::kUnknown);
  EXPECT_EQ(told.Await(1)[0].status.code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(RdAppender, WhatIsLeftAtTheEndIsToldOnceAndNothingIsTakenAfterIt) {
  Told told;
  const auto appender = AppenderWithoutBrokers(600 * kSecond);
  for (int i = 0; i < 3; ++i) appender->Append("topic", i, "value", told.Note());
  const int64_t began = SystemClock()->MonotonicUs();
  appender->Close(kSecond / 5);
  EXPECT_LT(SystemClock()->MonotonicUs() - began, 30 * kSecond);
  EXPECT_EQ(told.Await(3).size(), 3u);
  for (const Appended& what : told.Await(3)) EXPECT_EQ(what.outcome, Appended::Outcome::kUnknown) << what.status;
  appender->Append("topic", 0, "value", told.Note());
  EXPECT_EQ(told.Await(4)[3].outcome, Appended::Outcome::kNotIn);
}

TEST(RdAppender, WhatIsNotEvenQueuedIsCertainlyNotIn) {
  Told told;
  const auto appender = AppenderWithoutBrokers(600 * kSecond);
  appender->Append("topic", 0, std::string(size_t{19} << 20, 'x'), told.Note());
  EXPECT_EQ(told.Await(1)[0].outcome, Appended::Outcome::kNotIn);
  EXPECT_EQ(told.Await(1)[0].status.code(), absl::StatusCode::kInvalidArgument);
}

TEST(AppendedBy, AHeaderNamesItsWriterAndTheRecordsNumber) {
  const std::optional<AppendedBy> by = ParseAppendedBy("1f:0c:17");
  ASSERT_TRUE(by);
  EXPECT_EQ(by->writer, "1f:0c");
  EXPECT_EQ(by->number, 17);
}

TEST(AppendedBy, WhatIsNoneIsNone) {
  for (const char* text : {"", ":", ":17", "17", "w:", "w:x", "w:1.5"}) EXPECT_FALSE(ParseAppendedBy(text)) << text;
}

}  // namespace
}  // namespace tidemark
