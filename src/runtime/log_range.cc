#include "src/runtime/log_range.h"

#include <algorithm>

#include "src/base/status.h"

namespace tidemark {
namespace {

constexpr int64_t kPatienceUs = 20 * kSecond;

}  // namespace

absl::Status ReadLogRange(KafkaClient& kafka, Clock& clock, const std::string& client_id, const TopicPartition& log,
                          Offset from, Offset end, absl::FunctionRef<absl::Status(const Fetch&, size_t record)> take) {
  if (from >= end) return absl::OkStatus();
  TM_ASSIGN_OR_RETURN(const auto reader, kafka.NewConsumer({.client_id = client_id}));
  TM_RETURN_IF_ERROR(reader->Assign({{log, from}}));
  int64_t deadline = clock.MonotonicUs() + kPatienceUs;
  for (Offset reached = from; reached < end;) {
    const absl::StatusOr<PollResult> polled = reader->Poll(kSecond / 10, 1'000);
    if (absl::IsOutOfRange(polled.status())) return absl::UnavailableError(polled.status().message());
    TM_RETURN_IF_ERROR(polled.status());
    const Offset before = reached;
    for (const std::unique_ptr<Fetch>& fetch : polled->fetches) {
      for (size_t i = 0; i < fetch->records().size(); ++i) {
        const Offset offset = fetch->records()[i].offset;
        if (offset >= end) return reader->Close(false);
        TM_RETURN_IF_ERROR(Annotate(take(*fetch, i), absl::StrCat(ToString(log), "@", offset)));
        reached = offset + 1;
      }
    }
    for (const auto& [partition, offset] : polled->ends) reached = std::max(reached, offset);
    const int64_t now = clock.MonotonicUs();
    if (reached > before) deadline = now + kPatienceUs;
    if (now > deadline) {
      return absl::UnavailableError(absl::StrCat(ToString(log), ": nothing more came behind offset ", reached));
    }
  }
  return reader->Close(false);
}

absl::Status ReadLogRange(const Runtime& runtime, const std::string& client_id, const TopicPartition& log, Offset from,
                          Offset end, absl::FunctionRef<absl::Status(const RecordView&)> take) {
  return ReadLogRange(*runtime.kafka, *runtime.clock, client_id, log, from, end,
                      [&](const Fetch& fetch, size_t record) { return take(fetch.records()[record]); });
}

}  // namespace tidemark
