// The PostgreSQL sink on its feed: each piece that was taken is one database transaction, fenced by the sink's row
// there (operators/sinks/postgres/sink.h). The feed's offsets in Kafka are only a hint for lag metrics; the row is the
// truth to seek to.
//
// A transaction that has failed is gone with all it held; the piece itself stays in memory and goes into a new one,
// whose fence tells whether the failed one was committed after all.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "operators/sinks/postgres/sink.h"
#include "src/runtime/feed_sink.h"
#include "src/runtime/runtime.h"
#include "src/runtime/sink_letters.h"

namespace tidemark {

class PostgresFeedSink final : public FeedSink {
 public:
  // Makes the connected sink; called again after it failed.
  using Connector = std::function<absl::StatusOr<std::unique_ptr<PostgresSink>>()>;

  PostgresFeedSink(const Runtime& runtime, int sink);
  // The same over another connection: the simulator.
  PostgresFeedSink(const Runtime& runtime, int sink, Connector connect);

  absl::Status Open() override;
  absl::StatusOr<std::map<int32_t, FeedPosition>> Assigned(const std::vector<int32_t>& partitions, Consumer* consumer,
                                                           std::shared_ptr<const GroupMetadata> group) override;
  absl::Status Look() override { return sink_ == nullptr ? Open() : sink_->Look(); }
  absl::Status Dropped(bool lost) override;
  void Take(FeedRows rows) override;
  bool Full() const override;
  absl::Status Progress(const std::map<int32_t, FeedPosition>& positions, bool flush) override;
  bool Holds() const override { return !taken_.empty(); }
  // Its decision is the database's, which shows at once; but where that stands is known only when the feed has been
  // read to an end: a database that was restored has less than the group has been told of.
  bool Settled() const override { return settled_; }
  void Interrupt() override { interrupted_ = true; }
  std::map<TopicPartition, Offset> Trims() const override;
  int64_t decisions() const override { return decisions_; }
  int64_t rows_written() const override { return rows_; }
  int64_t rows_refused() const override { return refused_; }

 private:
  absl::Status Write(const FeedRows& rows);
  absl::Status Tell(const std::map<int32_t, Offset>& positions);
  void Drop();

  const Runtime& runtime_;
  const SinkPlan& plan_;
  const Edge& edge_;
  const bool whole_;                      // what it takes is a batch
  std::atomic<bool> interrupted_{false};  // before what looks at it
  const Connector connect_;
  std::unique_ptr<PostgresSink> sink_;
  SinkLetters letters_;
  Consumer* consumer_ = nullptr;
  std::deque<FeedRows> taken_;  // not written yet; the first may have been tried
  int64_t taken_bytes_ = 0;
  std::map<int32_t, int64_t> next_;  // as the sink's row has it: -1 or the next offset
  // Written since the partition came, behind its last row. The position that a predecessor told may be greater, as it
  // counts the end of the transaction: one that lies before it isn't told.
  std::map<int32_t, Offset> written_;
  std::map<int32_t, Offset> committed_;  // told to Kafka; absent: nothing was
  int64_t told_at_us_ = 0;
  std::atomic<bool> settled_{false};
  int64_t decisions_ = 0, rows_ = 0, refused_ = 0;
};

}  // namespace tidemark
