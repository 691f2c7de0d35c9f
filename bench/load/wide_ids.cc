// bench_wide_ids: detections with more ids than any memory budget holds: `--ids` different ones, and repeats drawn from
// all those before, however long ago. And the check of what W1 makes of them, in a bit an id.
//
// Everything about a detection follows from its number alone, so that a repeat needs no memory of the first and the
// check no oracle: --check reads the output topic and says how many detections are missing, twice there, or have a
// wrong location.
#include <gflags/gflags.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <vector>

#include "bench/load/client.h"
#include "src/cli/generate_data.h"

DEFINE_string(brokers, "localhost:9092", "bootstrap servers");
DEFINE_string(topic, "detections", "topic to write to, or with --check the output to read; it exists");
DEFINE_int64(ids, 100'000'000, "different detections");
DEFINE_double(duplicates, 0.05, "share of records that repeat any earlier one");
DEFINE_uint64(seed, 1, "seed of the data");
DEFINE_double(events_per_second, 50'000,
              "how fast event time goes by; all ids must come within dedup's hour to stay alive");
DEFINE_bool(check, false, "check the output of W1 instead of writing its input");

namespace tidemark::bench {
namespace {

constexpr int64_t kDisorderMs = 2'000;

class Detections {
 public:
  Detections() : locations_(shape_.locations, 1.0), items_(shape_.items, 1.1) {}

  Detection Number(int64_t oid) const {
    SplitMix64 random(FLAGS_seed ^ static_cast<uint64_t>(oid) * 0x9e3779b97f4a7c15);
    Detection d;
    d.oid = oid;
    d.location = 1 + locations_.Draw(random);
    d.camera = 1 + random.Below(shape_.cameras);
    d.item = items_.Draw(random);
    d.time_ms = shape_.start_ms + static_cast<int64_t>(static_cast<double>(oid) * 1000 / FLAGS_events_per_second) -
                random.Below(kDisorderMs + 1);
    return d;
  }

 private:
  const HtxShape shape_;
  const Zipf locations_, items_;
};

class Writer {
 public:
  Writer()
      : client_(NewClient(RD_KAFKA_PRODUCER, {{"bootstrap.servers", FLAGS_brokers},
                                              {"enable.idempotence", "true"},
                                              {"linger.ms", "20"},
                                              {"batch.num.messages", "100000"},
                                              {"batch.size", "900000"},
                                              {"queue.buffering.max.messages", "1000000"},
                                              {"compression.codec", "lz4"}})),
        topic_(rd_kafka_topic_new(client_.get(), FLAGS_topic.c_str(), nullptr)),
        partitions_(PartitionCount(client_.get(), FLAGS_topic)) {
    for (int64_t item = 0; item < HtxShape().items; ++item) items_.push_back(HtxItemName(item));
  }

  void Run() {
    SplitMix64 random(FLAGS_seed);
    int64_t records = 0;
    for (int64_t next = 1; next <= FLAGS_ids; ++records) {
      const bool repeat = next > 1 && random.Unit() < FLAGS_duplicates;
      Write(detections_.Number(repeat ? 1 + random.Below(next - 1) : next++));
    }
    Check(rd_kafka_flush(client_.get(), 120'000), "flush");
    std::printf(R"({"records":%ld,"ids":%ld})"
                "\n",
                records, FLAGS_ids);
  }

 private:
  void Write(const Detection& d) {
    key_ = std::to_string(d.oid);
    value_ = R"({"geographical_location_oid":)";
    value_ += std::to_string(d.location);
    value_ += R"(,"video_camera_oid":)";
    value_ += std::to_string(d.camera);
    value_ += R"(,"detection_oid":)";
    value_ += key_;
    value_ += R"(,"item_name":")";
    value_ += items_[static_cast<size_t>(d.item)];
    value_ += R"(","timestamp_detected":)";
    value_ += std::to_string(d.time_ms);
    value_ += '}';
    while (true) {
      const auto error = rd_kafka_producev(
          client_.get(), RD_KAFKA_V_RKT(topic_.get()),
          RD_KAFKA_V_PARTITION(PartitionOf(topic_.get(), key_, partitions_)), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
          RD_KAFKA_V_KEY(key_.data(), key_.size()), RD_KAFKA_V_VALUE(value_.data(), value_.size()),
          RD_KAFKA_V_TIMESTAMP(d.time_ms), RD_KAFKA_V_END);
      if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) return Check(error, "writing to " + FLAGS_topic);
      rd_kafka_poll(client_.get(), 10);
    }
  }

  const Detections detections_;
  std::vector<std::string> items_;
  Owned<rd_kafka_t> client_;
  Owned<rd_kafka_topic_t> topic_;
  const int32_t partitions_;
  std::string key_, value_;
};

// Reads the whole output, read_committed.
class Checker {
 public:
  Checker() : seen_(static_cast<size_t>(FLAGS_ids) + 1), messages_(10'000) {}

  bool Run() {
    const auto client = NewClient(RD_KAFKA_CONSUMER, {{"bootstrap.servers", FLAGS_brokers},
                                                      {"group.id", "bench-check"},  // asked for, never joined
                                                      {"enable.auto.commit", "false"},
                                                      {"enable.partition.eof", "true"},
                                                      {"isolation.level", "read_committed"}});
    rd_kafka_poll_set_consumer(client.get());
    const Owned<rd_kafka_queue_t> queue(rd_kafka_queue_get_consumer(client.get()));
    int32_t open = PartitionCount(client.get(), FLAGS_topic);
    const Owned<rd_kafka_topic_partition_list_t> from(rd_kafka_topic_partition_list_new(open));
    for (int32_t p = 0; p < open; ++p) {
      rd_kafka_topic_partition_list_add(from.get(), FLAGS_topic.c_str(), p)->offset = RD_KAFKA_OFFSET_BEGINNING;
    }
    Check(rd_kafka_assign(client.get(), from.get()), "assign");
    while (open > 0) {
      const size_t count = ConsumeBatch(queue.get(), 60'000, messages_);
      if (count == 0) Die("nothing in 60 s from " + FLAGS_topic);
      for (size_t i = 0; i < count; ++i) {
        if (messages_[i]->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
          --open;
        } else {
          Check(messages_[i]->err, FLAGS_topic);
          Add({static_cast<char*>(messages_[i]->payload), messages_[i]->len});
        }
        rd_kafka_message_destroy(messages_[i]);
      }
    }
    return Report();
  }

 private:
  static std::optional<int64_t> NumberAfter(std::string_view json, std::string_view name) {
    const size_t at = json.find(name);
    int64_t number = 0;
    if (at == json.npos) return std::nullopt;
    const char* digits = json.data() + at + name.size();
    return std::from_chars(digits, json.data() + json.size(), number).ec == std::errc() ? std::optional(number)
                                                                                        : std::nullopt;
  }

  void Add(std::string_view json) {
    ++rows_;
    const auto oid = NumberAfter(json, R"("detection_oid":)");
    if (!oid || *oid < 1 || *oid > FLAGS_ids) {
      ++foreign_;
      return;
    }
    std::vector<bool>::reference seen = seen_[static_cast<size_t>(*oid)];
    if (seen) ++twice_;
    seen = true;
    const Detection d = detections_.Number(*oid);
    const bool right = HtxLocationKnown(d.location) &&
                       json.find('"' + HtxLocationName(d.location) + '"') != json.npos &&
                       NumberAfter(json, R"("timestamp_detected":)") == d.time_ms;
    if (!right) ++wrong_;
  }

  bool Report() const {
    int64_t missing = 0;
    for (int64_t oid = 1; oid <= FLAGS_ids; ++oid) {
      if (!seen_[static_cast<size_t>(oid)] && HtxLocationKnown(detections_.Number(oid).location)) ++missing;
    }
    std::printf(R"({"rows":%ld,"missing":%ld,"twice":%ld,"wrong":%ld,"foreign":%ld})"
                "\n",
                rows_, missing, twice_, wrong_, foreign_);
    return missing + twice_ + wrong_ + foreign_ == 0;
  }

  const Detections detections_;
  std::vector<bool> seen_;
  std::vector<rd_kafka_message_t*> messages_;
  int64_t rows_ = 0, twice_ = 0, wrong_ = 0, foreign_ = 0;
};

}  // namespace
}  // namespace tidemark::bench

int main(int argc, char** argv) {
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  if (FLAGS_check) return tidemark::bench::Checker().Run() ? 0 : 1;
  tidemark::bench::Writer().Run();
}
