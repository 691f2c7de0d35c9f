#include "src/cli/generate.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <string_view>
#include <thread>
#include <vector>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include "src/base/clock.h"
#include "src/base/status.h"
#include "src/codec/murmur2.h"
#include "src/kafka/bulk_producer.h"
#include "src/kafka/client.h"

namespace tidemark {
namespace {

constexpr size_t kChunk = 5'000;           // records handed over at once
constexpr int64_t kPaceUs = 5'000;         // how long a paced chunk is at least
constexpr int64_t kLeaderUs = 10'000'000;  // how long a new topic may take to be led

absl::Status Check(const GenerateHtxOptions& options) {
  TM_RETURN_IF_ERROR(options.shape.Check());
  if (options.kafka.brokers.empty()) return absl::InvalidArgumentError("--brokers: expected host:port");
  if (options.records < 0) return absl::InvalidArgumentError("--records: expected 0 or more");
  if (options.skip < 0) return absl::InvalidArgumentError("--skip: expected 0 or more");
  if (!(options.rate >= 0)) return absl::InvalidArgumentError("--rate: expected 0 (no pace) or more");
  if (options.partitions < 1) return absl::InvalidArgumentError("--partitions: expected 1 or more");
  if (options.idle_from < 0 || options.idle_from > 1) {
    return absl::InvalidArgumentError("--idle_from: expected a share from 0 to 1");
  }
  if (options.idle_partition < -1 || options.idle_partition >= options.partitions) {
    return absl::InvalidArgumentError(absl::StrCat("--idle_partition: expected 0 to ", options.partitions - 1));
  }
  if (options.idle_partition >= 0 && options.partitions == 1) {
    return absl::InvalidArgumentError("--idle_partition: the only partition can't be idle");
  }
  return absl::OkStatus();
}

absl::Status PrepareTopics(const GenerateHtxOptions& options, Admin& admin) {
  TopicToCreate detections{options.topic,
                           options.partitions,
                           options.replication_factor,
                           {{"retention.ms", "-1"}, {"retention.bytes", "-1"}}};
  TopicToCreate locations{options.table_topic, 1, options.replication_factor, {{"cleanup.policy", "compact"}}};
  TM_RETURN_IF_ERROR(admin.CreateTopics({detections, locations}));
  TM_ASSIGN_OR_RETURN(const auto topics, admin.Describe({options.topic}));
  const auto found = topics.find(options.topic);
  const int32_t partitions = found == topics.end() ? 0 : found->second.partitions;
  if (partitions == options.partitions) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("topic '", options.topic, "' has ", partitions,
                                                 " partitions: give --partitions ", partitions,
                                                 ", or another topic with --topic"));
}

// The end of the table's log. Right after a topic was made, the broker may say for a moment that it doesn't lead it.
absl::StatusOr<Offset> TableEnd(const GenerateHtxOptions& options, Admin& admin) {
  const int64_t deadline_us = SystemClock()->MonotonicUs() + kLeaderUs;
  while (true) {
    absl::StatusOr<Offset> end = admin.LogEnd({options.table_topic, 0}, Isolation::kReadUncommitted);
    if (!absl::IsUnavailable(end.status()) || SystemClock()->MonotonicUs() > deadline_us) return end;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

// Keys and values of a chunk, which outlive its records.
class Chunk {
 public:
  Chunk() {
    text_.reserve(kChunk * 256);
    records_.reserve(kChunk);
  }

  void Clear() {
    text_.clear();
    records_.clear();
    ends_.clear();
  }
  size_t size() const { return ends_.size(); }
  // Appends a record: the key, then the value, are what `write` adds to the text.
  template <typename WriteKey, typename WriteValue>
  void Add(int64_t timestamp_ms, WriteKey key, WriteValue value) {
    key(&text_);
    const size_t key_end = text_.size();
    value(&text_);
    ends_.push_back({key_end, text_.size(), timestamp_ms});
  }
  // Valid until the next Clear or Add.
  const std::vector<BulkRecord>& Records(int32_t partitions) {
    records_.clear();
    size_t begin = 0;
    for (const End& end : ends_) {
      const std::string_view key(text_.data() + begin, end.key - begin);
      records_.push_back({JavaPartition(key, partitions), end.timestamp_ms, key,
                          std::string_view(text_.data() + end.key, end.value - end.key)});
      begin = end.value;
    }
    return records_;
  }

 private:
  struct End {
    size_t key, value;
    int64_t timestamp_ms;
  };
  std::string text_;
  std::vector<End> ends_;
  std::vector<BulkRecord> records_;
};

absl::Status WriteLocations(const GenerateHtxOptions& options, BulkProducer& producer, std::ostream& out) {
  const int64_t now_ms = SystemClock()->WallUs() / kMillisecond;
  Chunk chunk;
  int64_t written = 0;
  for (int64_t oid = 1; oid <= options.shape.locations; ++oid) {
    if (HtxLocationKnown(oid)) {
      ++written;
      chunk.Add(
          now_ms, [&](std::string* text) { absl::StrAppend(text, oid); },
          [&](std::string* text) {
            absl::StrAppend(text, R"({"geographical_location_oid":)", oid, R"(,"geographical_location":")",
                            HtxLocationName(oid), R"("})");
          });
    }
    if (chunk.size() < kChunk && oid < options.shape.locations) continue;
    TM_RETURN_IF_ERROR(producer.Produce(options.table_topic, chunk.Records(1)));
    chunk.Clear();
  }
  TM_RETURN_IF_ERROR(producer.Flush());
  out << options.table_topic << ": " << written << " locations, 1 in 100 left out" << std::endl;
  return absl::OkStatus();
}

// Where the wall clock says how many records are due.
class Pace {
 public:
  explicit Pace(double rate) : rate_(rate), began_us_(SystemClock()->MonotonicUs()) {}

  // Waits for the moment at which the records up to number `done` + 1 are due; returns how many to write now.
  int64_t Due(int64_t done, int64_t left) const {
    if (rate_ == 0) return std::min<int64_t>(left, kChunk);
    const auto due_us = [&](int64_t n) {
      return began_us_ + static_cast<int64_t>(static_cast<double>(n) * 1e6 / rate_);
    };
    int64_t now_us = SystemClock()->MonotonicUs();
    const int64_t wake_us = due_us(done + 1);
    if (now_us < wake_us) {
      std::this_thread::sleep_for(std::chrono::microseconds(std::max(wake_us - now_us, kPaceUs)));
      now_us = SystemClock()->MonotonicUs();
    }
    const auto target = static_cast<int64_t>(static_cast<double>(now_us - began_us_) * rate_ / 1e6);
    return std::clamp<int64_t>(target - done, 1, std::min<int64_t>(left, kChunk));
  }

 private:
  const double rate_;
  const int64_t began_us_;
};

// The detections, chunk by chunk.
class DetectionWriter {
 public:
  explicit DetectionWriter(const GenerateHtxOptions& options) : options_(options), data_(options.shape) {
    for (int64_t item = 0; item < options.shape.items; ++item) items_.push_back(HtxItemName(item));
    idle_from_ = static_cast<int64_t>(options.idle_from * static_cast<double>(options.skip + options.records));
    for (int64_t i = 0; i < options.skip; ++i) Draw(i);
  }

  const std::vector<BulkRecord>& Write(int64_t first, int64_t count) {
    chunk_.Clear();
    if (options_.live) data_.SetNow(SystemClock()->WallUs() / kMillisecond);
    for (int64_t i = 0; i < count; ++i) Append(Draw(first + i));
    return chunk_.Records(options_.partitions);
  }

 private:
  const Detection& Draw(int64_t position) {
    if (options_.idle_partition < 0 || position < idle_from_) return data_.Next([](int64_t) { return true; });
    while (true) {
      const Detection& d = data_.Next([&](int64_t oid) { return PartitionOf(oid) != options_.idle_partition; });
      // A repetition of what the partition got before it fell idle.
      if (idle_from_ == 0 || PartitionOf(d.oid) != options_.idle_partition) return d;
    }
  }

  int32_t PartitionOf(int64_t oid) const {
    const absl::AlphaNum key(oid);
    return JavaPartition(std::string_view(key.data(), key.size()), options_.partitions);
  }

  void Append(const Detection& d) {
    chunk_.Add(
        d.time_ms, [&](std::string* text) { absl::StrAppend(text, d.oid); },
        [&](std::string* text) {
          absl::StrAppend(text, R"({"geographical_location_oid":)", d.location, R"(,"video_camera_oid":)", d.camera);
          absl::StrAppend(text, R"(,"detection_oid":)", d.oid, R"(,"item_name":")",
                          items_[static_cast<size_t>(d.item)]);
          absl::StrAppend(text, R"(","timestamp_detected":)", d.time_ms, "}");
        });
  }

  const GenerateHtxOptions& options_;
  HtxData data_;
  std::vector<std::string> items_;
  int64_t idle_from_ = 0;
  Chunk chunk_;
};

absl::Status WriteDetections(const GenerateHtxOptions& options, BulkProducer& producer, const std::atomic<bool>& stop,
                             std::ostream& out) {
  DetectionWriter writer(options);
  const int64_t began_us = SystemClock()->MonotonicUs();
  const Pace pace(options.rate);
  int64_t done = 0;
  while (done < options.records && !stop) {
    const int64_t count = pace.Due(done, options.records - done);
    TM_RETURN_IF_ERROR(producer.Produce(options.topic, writer.Write(options.skip + done, count)));
    done += count;
  }
  TM_RETURN_IF_ERROR(producer.Flush());
  const double seconds = static_cast<double>(SystemClock()->MonotonicUs() - began_us) / 1e6;
  out << absl::StrFormat("%s: %d records in %.1f s, %.0f a second", options.topic, done, seconds,
                         static_cast<double>(done) / std::max(seconds, 1e-6))
      << std::endl;
  return absl::OkStatus();
}

}  // namespace

absl::Status GenerateHtx(const GenerateHtxOptions& options, KafkaLog log, const std::atomic<bool>& stop,
                         std::ostream& out) {
  TM_RETURN_IF_ERROR(Check(options));
  TM_ASSIGN_OR_RETURN(const auto client, NewRdKafkaClient(options.kafka, log));
  TM_RETURN_IF_ERROR(PrepareTopics(options, client->admin()));
  TM_ASSIGN_OR_RETURN(const auto producer, NewBulkProducer(options.kafka, log));
  TM_ASSIGN_OR_RETURN(const Offset end, TableEnd(options, client->admin()));
  if (end == 0) TM_RETURN_IF_ERROR(WriteLocations(options, *producer, out));
  return WriteDetections(options, *producer, stop, out);
}

}  // namespace tidemark
