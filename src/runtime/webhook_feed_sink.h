// A sink that posts each row of its feed (src/webhook/webhook.h), at least once: alerts to whoever must hear of them.
// The feed's position is committed for the sink's group only behind what the receiver has answered with 2xx: record by
// record of the feed, of which each has the rows that a task wrote to it at once. Whoever takes the partition over goes
// on from there, so what was posted and not committed comes again, with the id it had.
//
// The id is a function of the application, the sink and the row's columns (WebhookSpec::id; all where none are named):
// the same before and after a crash, a rebalance and a reset, whatever place the row has in the feed. A row that the
// receiver refuses for what it is becomes a dead letter; anything else is tried again until it is taken, and holds up
// what is behind it in this sink alone.
//
// What had been heard of the feed's writers is kept in the offset's metadata, which brokers bound: a longer text is
// left out, and the reader takes any first number then.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "src/codec/value_writer.h"
#include "src/runtime/feed_sink.h"
#include "src/runtime/runtime.h"
#include "src/runtime/sink_letters.h"
#include "src/webhook/webhook.h"

namespace tidemark {

class WebhookFeedSink final : public FeedSink {
 public:
  // Makes the client. InvalidArgument: the user's mistake.
  using Connector = std::function<absl::StatusOr<std::unique_ptr<Webhook>>()>;

  WebhookFeedSink(const Runtime& runtime, int sink);
  // Over another client: tests.
  WebhookFeedSink(const Runtime& runtime, int sink, Connector connect);

  absl::Status Open() override;
  absl::StatusOr<std::map<int32_t, FeedPosition>> Assigned(const std::vector<int32_t>& partitions, Consumer* consumer,
                                                           std::shared_ptr<const GroupMetadata> group) override;
  absl::Status Dropped(bool lost) override;
  void Take(FeedRows rows) override;
  // A record each: the position moves behind whole pieces, and what is posted twice is what of one wasn't behind it.
  int64_t piece_bytes() const override { return 1; }
  bool Full() const override;
  absl::Status Progress(const std::map<int32_t, FeedPosition>& positions, bool flush) override;
  bool Holds() const override { return !taken_.empty(); }
  bool Settled() const override { return true; }  // a position is committed behind what was answered
  void Interrupt() override;
  std::map<TopicPartition, Offset> Trims() const override;
  int64_t decisions() const override { return decisions_; }
  int64_t rows_written() const override { return rows_; }
  int64_t rows_refused() const override { return refused_; }

 private:
  // Rows that were taken, and how far they are posted.
  struct Piece {
    FeedRows rows;
    size_t batch = 0, row = 0;            // to post next
    std::vector<std::string> ids, texts;  // of the rows of `batch`; none: not made yet
  };

  absl::Status PostSome(Piece* piece, int64_t until_us);
  absl::Status Render(Piece* piece);
  absl::Status Commit(const std::map<int32_t, FeedPosition>& positions);
  void Drop();

  const Runtime& runtime_;
  const SinkPlan& plan_;
  const WebhookSpec& spec_;
  const Edge& edge_;
  const Connector connect_;
  SinkLetters letters_;
  std::unique_ptr<ValueWriter> rows_writer_, id_writer_;
  std::atomic<bool> interrupted_{false};
  std::unique_ptr<Webhook> webhook_;  // made by Open, then kept: Interrupt may call it
  std::atomic<Webhook*> calls_{nullptr};
  Consumer* consumer_ = nullptr;
  std::deque<Piece> taken_;
  int64_t taken_bytes_ = 0;
  std::map<int32_t, FeedPosition> posted_;  // behind what was answered
  std::map<int32_t, Offset> committed_;
  int64_t committed_at_us_ = 0;
  int64_t decisions_ = 0, rows_ = 0, refused_ = 0;
};

}  // namespace tidemark
