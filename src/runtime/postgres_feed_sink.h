// The PostgreSQL sink on its feed: each polled piece is one database transaction, fenced by the sink's row there
// (operators/sink_postgres.h). The feed's offsets in Kafka are only a hint for lag metrics; the row is the truth to
// seek to.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "operators/sink_postgres.h"
#include "src/runtime/dead_letter.h"
#include "src/runtime/feed_sink.h"
#include "src/runtime/runtime.h"

namespace tidemark {

class PostgresFeedSink final : public FeedSink {
 public:
  // Makes the connected sink; called again after it failed.
  using Connector = std::function<absl::StatusOr<std::unique_ptr<PostgresSink>>()>;

  PostgresFeedSink(const Runtime& runtime, int sink);
  // The same over another connection: the simulator.
  PostgresFeedSink(const Runtime& runtime, int sink, Connector connect);

  absl::StatusOr<std::map<int32_t, Offset>> Assigned(const std::vector<int32_t>& partitions, Consumer* consumer,
                                                     std::shared_ptr<const GroupMetadata> group) override;
  absl::Status Dropped(bool lost) override;
  absl::Status Write(const FeedRows& rows) override;
  absl::Status Tick(const std::map<int32_t, Offset>& positions, bool flush) override;
  void Interrupt() override { interrupted_ = true; }
  std::map<TopicPartition, Offset> Trims() const override;
  int64_t rows_written() const override { return rows_; }
  int64_t rows_refused() const override { return refused_; }

 private:
  absl::Status Connect();
  absl::Status SendDeadLetters(int32_t partition, const std::vector<SinkRowFailure>& failures);

  const Runtime& runtime_;
  const SinkPlan& plan_;
  const Edge& edge_;
  std::atomic<bool> interrupted_{false};  // before what looks at it
  const Connector connect_;
  std::unique_ptr<PostgresSink> sink_;
  std::unique_ptr<Producer> producer_;  // for dead letters, made when the first is written
  Consumer* consumer_ = nullptr;
  std::map<int32_t, int64_t> next_;               // as the sink's row has it: -1 or the next offset
  std::map<int32_t, Offset> committed_;           // told to Kafka
  int64_t told_at_us_ = 0;
  int64_t rows_ = 0, refused_ = 0;
};

}  // namespace tidemark
