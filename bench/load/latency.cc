// bench_latency: how old records are when a read_committed consumer gets them: the wall clock at that moment minus a
// time in milliseconds that stands in the JSON record (--field) and --offset_ms.
//
// The field counts whole milliseconds, so up to 1 ms of each figure is rounding. Reads from the end the topic has at
// start, says "ready" when it does, and leaves out what arrives in the warm-up, which begins with the first record.
#include <gflags/gflags.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstring>
#include <string>

#include "bench/load/client.h"

DEFINE_string(brokers, "localhost:9092", "bootstrap servers");
DEFINE_string(topic, "enriched", "topic to read");
DEFINE_string(field, "timestamp_detected", "name of a number in each record: a time in ms");
DEFINE_int64(offset_ms, 0,
             "taken off each age: when the record could be written at the earliest, after the field's time");
DEFINE_double(warmup, 15, "seconds left out, from the first record on");
DEFINE_double(seconds, 60, "seconds measured after that");
DEFINE_double(patience, 120, "give up if nothing comes for so many seconds");

namespace tidemark::bench {
namespace {

volatile std::sig_atomic_t stopped = 0;

class Reader {
 public:
  Reader()
      : client_(NewClient(RD_KAFKA_CONSUMER, {{"bootstrap.servers", FLAGS_brokers},
                                              {"group.id", "bench-latency"},  // asked for, never joined
                                              {"enable.auto.commit", "false"},
                                              {"isolation.level", "read_committed"},
                                              {"fetch.wait.max.ms", "100"},
                                              {"fetch.min.bytes", "1"},
                                              {"fetch.error.backoff.ms", "1"},
                                              {"check.crcs", "false"},
                                              {"socket.nagle.disable", "true"}})),
        needle_('"' + FLAGS_field + "\":"),
        messages_(2'000) {
    rd_kafka_poll_set_consumer(client_.get());
    queue_.reset(rd_kafka_queue_get_consumer(client_.get()));
    const int32_t partitions = PartitionCount(client_.get(), FLAGS_topic);
    const Owned<rd_kafka_topic_partition_list_t> from(rd_kafka_topic_partition_list_new(partitions));
    for (int32_t p = 0; p < partitions; ++p) {
      // Asked for now: "the end" as a position is only looked up when the first fetch is due.
      int64_t low = 0, high = 0;
      Check(rd_kafka_query_watermark_offsets(client_.get(), FLAGS_topic.c_str(), p, &low, &high, 20'000), FLAGS_topic);
      rd_kafka_topic_partition_list_add(from.get(), FLAGS_topic.c_str(), p)->offset = high;
    }
    Check(rd_kafka_assign(client_.get(), from.get()), "assign");
  }

  void Run() {
    std::printf("ready\n");
    std::fflush(stdout);
    int64_t heard_us = SteadyUs(), warm_us = -1, end_us = -1;
    while (stopped == 0) {
      const size_t count = ConsumeBatch(queue_.get(), 100, messages_);
      const int64_t now_us = SteadyUs(), wall_us = WallUs();
      if (count > 0) heard_us = now_us;
      if (count > 0 && warm_us < 0) {
        warm_us = now_us + static_cast<int64_t>(FLAGS_warmup * 1e6);
        end_us = warm_us + static_cast<int64_t>(FLAGS_seconds * 1e6);
      }
      const bool measured = warm_us >= 0 && now_us >= warm_us;
      for (size_t i = 0; i < count; ++i) {
        Check(messages_[i]->err, "reading");
        if (measured) Add(*messages_[i], wall_us);
        rd_kafka_message_destroy(messages_[i]);
      }
      if (end_us >= 0 && now_us >= end_us) break;
      if (static_cast<double>(now_us - heard_us) > FLAGS_patience * 1e6) Die("no record for too long, see --patience");
    }
    Print();
  }

 private:
  void Add(const rd_kafka_message_t& message, int64_t wall_us) {
    const auto* begin = static_cast<const char*>(message.payload);
    const char* end = begin + message.len;
    const auto* at = static_cast<const char*>(memmem(begin, message.len, needle_.data(), needle_.size()));
    int64_t time_ms = 0;
    if (at == nullptr || std::from_chars(at + needle_.size(), end, time_ms).ec != std::errc()) {
      Die("a record without " + FLAGS_field + ": " + std::string(begin, end));
    }
    ages_us_.push_back(wall_us - (time_ms + FLAGS_offset_ms) * 1000);
  }

  void Print() {
    std::sort(ages_us_.begin(), ages_us_.end());
    const auto ms = [&](double share) {  // nearest rank
      if (ages_us_.empty()) return 0.0;
      const auto rank = static_cast<size_t>(share * static_cast<double>(ages_us_.size()));
      return static_cast<double>(ages_us_[std::min(rank, ages_us_.size() - 1)]) / 1e3;
    };
    std::printf(R"({"records":%zu,"p50_ms":%.2f,"p90_ms":%.2f,"p99_ms":%.2f,"p999_ms":%.2f,"max_ms":%.2f,"cpu_s":%.2f})"
                "\n",
                ages_us_.size(), ms(0.5), ms(0.9), ms(0.99), ms(0.999), ms(1), CpuSeconds());
  }

  Owned<rd_kafka_t> client_;
  Owned<rd_kafka_queue_t> queue_;
  const std::string needle_;
  std::vector<rd_kafka_message_t*> messages_;
  std::vector<int64_t> ages_us_;
};

}  // namespace
}  // namespace tidemark::bench

int main(int argc, char** argv) {
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  std::signal(SIGTERM, [](int) { tidemark::bench::stopped = 1; });
  tidemark::bench::Reader().Run();
}
