#include "src/runtime/webhook_feed_sink.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>

#include "src/base/json_text.h"
#include "src/base/sha256.h"
#include "src/base/status.h"
#include "src/runtime/sink_thread.h"

namespace tidemark {
namespace {

constexpr int64_t kTakenBytes = 1 << 20;
// A Progress posts for so long: the group wants to be heard of in between.
constexpr int64_t kLongestTurnUs = 2 * kSecond;
constexpr int64_t kCommitEveryUs = kSecond;
// Brokers refuse offset.metadata.max.bytes, 4,096 by default.
constexpr size_t kMostMetadata = 4'000;

std::vector<std::string> Texts(const std::string& buffer, const std::vector<size_t>& ends) {
  std::vector<std::string> texts;
  for (size_t i = 0, begin = 0; i < ends.size(); begin = ends[i++]) {
    texts.push_back(buffer.substr(begin, ends[i] - begin));
  }
  return texts;
}

}  // namespace

WebhookFeedSink::WebhookFeedSink(const Runtime& runtime, int sink)
    : WebhookFeedSink(runtime, sink, [this] { return NewWebhook(spec_); }) {}

WebhookFeedSink::WebhookFeedSink(const Runtime& runtime, int sink, Connector connect)
    : FeedSink(runtime.clock, {"posting to the webhook"}),
      runtime_(runtime),
      plan_(runtime.plan->sinks[static_cast<size_t>(sink)]),
      spec_(std::get<WebhookSpec>(plan_.spec)),
      edge_(FeedOf(*runtime.plan, sink)),
      connect_(std::move(connect)),
      letters_(runtime, plan_, edge_.topic) {}

absl::Status WebhookFeedSink::Open() {
  if (webhook_ != nullptr) return absl::OkStatus();
  std::vector<size_t> all(plan_.schema.size());
  std::iota(all.begin(), all.end(), 0);
  TM_ASSIGN_OR_RETURN(rows_writer_, runtime_.formats->MakeWriter(kJsonFormat, plan_.schema, all));
  TM_ASSIGN_OR_RETURN(id_writer_,
                      runtime_.formats->MakeWriter(kJsonFormat, plan_.schema, spec_.id.empty() ? all : spec_.id));
  absl::StatusOr<std::unique_ptr<Webhook>> made = connect_();
  if (!made.ok()) return Annotate(made.status(), absl::StrCat("sink ", plan_.name));
  webhook_ = *std::move(made);
  calls_ = webhook_.get();
  if (interrupted_) webhook_->Interrupt();
  return absl::OkStatus();
}

void WebhookFeedSink::Interrupt() {
  interrupted_ = true;
  if (Webhook* const webhook = calls_) webhook->Interrupt();
}

absl::StatusOr<std::map<int32_t, FeedPosition>> WebhookFeedSink::Assigned(const std::vector<int32_t>& partitions,
                                                                          Consumer* consumer,
                                                                          std::shared_ptr<const GroupMetadata>) {
  Drop();
  consumer_ = consumer;
  TM_RETURN_IF_ERROR(Open());
  std::vector<TopicPartition> feed;
  for (const int32_t partition : partitions) feed.push_back({edge_.topic, partition});
  TM_ASSIGN_OR_RETURN(const auto committed, consumer->Committed(feed));
  for (const TopicPartition& partition : feed) {
    const auto found = committed.find(partition);
    const bool known = found != committed.end() && found->second.offset >= 0;
    posted_[partition.partition] = known ? FeedPosition{found->second.offset, found->second.metadata} : FeedPosition{};
    committed_[partition.partition] = known ? found->second.offset : -1;
  }
  return posted_;
}

void WebhookFeedSink::Drop() {
  taken_.clear();
  taken_bytes_ = 0;
  posted_.clear();
  committed_.clear();
}

absl::Status WebhookFeedSink::Dropped(bool lost) {
  const absl::Status status = lost ? absl::OkStatus() : Commit(posted_);
  Drop();
  return status;
}

void WebhookFeedSink::Take(FeedRows rows) {
  if (rows.batches.empty()) return;
  for (const Batch& batch : rows.batches) taken_bytes_ += BatchBytes(*batch);
  taken_.push_back({std::move(rows), 0, 0, {}, {}});
}

bool WebhookFeedSink::Full() const { return taken_bytes_ >= kTakenBytes; }

absl::Status WebhookFeedSink::Progress(const std::map<int32_t, FeedPosition>& positions, bool flush) {
  const int64_t until = runtime_.clock->MonotonicUs() + kLongestTurnUs;
  absl::Status status;
  while (!taken_.empty()) {
    Piece& piece = taken_.front();
    status = PostSome(&piece, until);
    if (!status.ok() || piece.batch < piece.rows.batches.size()) break;
    posted_[piece.rows.partition] = {piece.rows.next, piece.rows.heard};
    for (const Batch& batch : piece.rows.batches) taken_bytes_ -= BatchBytes(*batch);
    taken_.pop_front();
  }
  std::map<int32_t, FeedPosition> reached = positions;
  for (const Piece& piece : taken_) reached[piece.rows.partition] = posted_[piece.rows.partition];
  const int64_t now = runtime_.clock->MonotonicUs();
  const bool due = flush || runtime_.control->until_end || now - committed_at_us_ >= kCommitEveryUs;
  if (due || !status.ok()) TM_RETURN_IF_ERROR(Commit(reached));
  return status;
}

// Until all is posted, one isn't, or the time is over.
absl::Status WebhookFeedSink::PostSome(Piece* piece, int64_t until_us) {
  while (piece->batch < piece->rows.batches.size()) {
    if (piece->texts.empty()) TM_RETURN_IF_ERROR(Render(piece));
    for (; piece->row < piece->texts.size(); ++piece->row) {
      if (runtime_.clock->MonotonicUs() > until_us) return absl::OkStatus();
      const std::string& id = piece->ids[piece->row];
      const std::string& text = piece->texts[piece->row];
      const std::string body =
          absl::StrCat("{\"id\":", JsonQuoted(id), ",\"application\":", JsonQuoted(runtime_.plan->application.Key()),
                       ",\"sink\":", JsonQuoted(plan_.name), ",\"row\":", text, "}");
      const absl::Status posted = webhook_->Post(id, body, runtime_.clock->WallUs());
      if (absl::IsInvalidArgument(posted)) {
        TM_RETURN_IF_ERROR(letters_.Send(piece->rows.partition, {{text, std::string(posted.message())}}));
        ++refused_;
      } else if (!posted.ok()) {
        return posted;
      } else {
        ++rows_;
      }
      ++decisions_;
    }
    piece->texts.clear();
    piece->ids.clear();
    piece->row = 0;
    ++piece->batch;
  }
  return absl::OkStatus();
}

absl::Status WebhookFeedSink::Render(Piece* piece) {
  const arrow::RecordBatch& rows = *piece->rows.batches[piece->batch];
  const std::vector<ColumnView> columns = ViewColumns(plan_.schema, rows);
  std::vector<int32_t> all(static_cast<size_t>(rows.num_rows()));
  std::iota(all.begin(), all.end(), 0);
  const auto write = [&](ValueWriter* writer, std::vector<std::string>* out) -> absl::Status {
    std::string text;
    std::vector<size_t> ends;
    TextBuffer buffer(&text);
    TM_RETURN_IF_ERROR(writer->Write(columns, all, &buffer, &ends));
    *out = Texts(text, ends);
    return absl::OkStatus();
  };
  TM_RETURN_IF_ERROR(write(id_writer_.get(), &piece->ids));
  TM_RETURN_IF_ERROR(write(rows_writer_.get(), &piece->texts));
  for (std::string& id : piece->ids) {
    const std::string hash = Sha256(absl::StrCat(runtime_.plan->application.Key(), "/", plan_.kept_as(), "/", id));
    id = absl::BytesToHexString(absl::string_view(hash).substr(0, 16));
  }
  return absl::OkStatus();
}

// A member that was cut off for longer than its session is called fenced here, by the echo of its former self; whether
// it is, the next poll tells. What isn't committed is posted again.
absl::Status WebhookFeedSink::Commit(const std::map<int32_t, FeedPosition>& positions) {
  std::vector<OffsetToCommit> offsets;
  for (const auto& [partition, position] : positions) {
    const Offset before = committed_.try_emplace(partition, -1).first->second;
    if (position.next < 0 || position.next <= before) continue;
    offsets.push_back({{edge_.topic, partition},
                       position.next,
                       position.heard.size() <= kMostMetadata ? position.heard : std::string()});
  }
  committed_at_us_ = runtime_.clock->MonotonicUs();
  if (offsets.empty()) return absl::OkStatus();
  const absl::Status committed = consumer_->CommitOffsets(offsets);
  if (absl::IsPermissionDenied(committed)) return absl::OkStatus();
  TM_RETURN_IF_ERROR(committed);
  for (const OffsetToCommit& offset : offsets) committed_[offset.partition.partition] = offset.offset;
  return absl::OkStatus();
}

std::map<TopicPartition, Offset> WebhookFeedSink::Trims() const {
  std::map<TopicPartition, Offset> trims;
  for (const auto& [partition, offset] : committed_) {
    if (offset > 0) trims[{edge_.topic, partition}] = offset;
  }
  return trims;
}

}  // namespace tidemark
