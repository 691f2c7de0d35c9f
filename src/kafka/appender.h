// Appends single records to topics, and says of each what became of it: for what has no transaction to be part of. A
// record is one batch or a part of one, so it is in as a whole or not at all; acks=all, so what is in stays in.
//
// An idempotent producer keeps the order and sends again what wasn't acknowledged, but not each record once for good:
// where one has waited too long and is given up, the client renumbers those behind it, and what it sends again then may
// stand there twice, acknowledged. So each record has a number of ours in the header kAppendedHeader, which grows by
// writer and partition: a reader passes over a number that isn't above the last one of its writer.
//
// What isn't acknowledged may be in, and the client library doesn't know better: to it a leader that answers that it is
// none, or that its disk has failed, has written nothing, and with acks=all that may be said of what was appended. So
// only two things are certain: what wasn't even queued isn't in, and what the brokers refuse for what it is.
//
// Thread-safe. Nothing waits for brokers: a queue that is full is an outcome, too. An Append behind a client that has
// failed for good closes it, about a tenth of a second and a second at most, and makes another.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/base/record.h"
#include "src/kafka/rdkafka_client.h"
#include "src/plan/plan.h"

namespace tidemark {

// Who has written the record, a random name for each client instance, and the record's number: "1f0c...:17".
inline constexpr char kAppendedHeader[] = "tidemark.appended";

struct AppendedBy {
  std::string writer;
  int64_t number = 0;
};
// Of a kAppendedHeader's value; nothing: it isn't one.
std::optional<AppendedBy> ParseAppendedBy(std::string_view text);

struct Appended {
  // kNotIn: it certainly isn't and won't be. kUnknown: it was queued, and nobody said more in time, or nothing certain.
  enum class Outcome { kIn, kNotIn, kUnknown };
  Outcome outcome = Outcome::kIn;
  Offset offset = -1;   // of kIn; -1: in, but nobody knows where
  absl::Status status;  // why not; InvalidArgument: it would be the same again, as it is too large for the topic
};

class Appender {
 public:
  // Called once for each record, on a thread of the appender's, or by Append where the record isn't even queued.
  using Done = std::function<void(const Appended&)>;

  virtual ~Appender() = default;  // Close, and what isn't acknowledged by then is kUnknown

  virtual void Append(const std::string& topic, int32_t partition, std::string_view value, Done done) = 0;
  // Waits for what is under way, for at most so long and a second more where the client library doesn't let go. Then
  // every Done has been called. Nothing may be appended any more.
  virtual void Close(int64_t max_wait_us) = 0;
};

// `patience_us`: how long a record may wait for its acknowledgement.
absl::StatusOr<std::unique_ptr<Appender>> NewRdAppender(const KafkaSettings& settings, const std::string& client_id,
                                                        int64_t patience_us, KafkaLog log);

}  // namespace tidemark
