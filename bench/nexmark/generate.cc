// bench_nexmark: fills a topic with Nexmark's events, in turn into each partition, without keys; the record's timestamp
// is the event's time.
#include <gflags/gflags.h>

#include "bench/load/client.h"
#include "bench/nexmark/events.h"

DEFINE_string(brokers, "localhost:9092", "bootstrap servers");
DEFINE_string(topic, "nexmark", "topic to write to; it exists");
DEFINE_int64(events, 1'000'000, "how many");
DEFINE_uint64(seed, 1, "seed of the data");
DEFINE_double(events_per_second, 10'000, "how fast event time goes by");

int main(int argc, char** argv) {
  using namespace tidemark::bench;
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  const auto client = NewClient(RD_KAFKA_PRODUCER, {{"bootstrap.servers", FLAGS_brokers},
                                                    {"enable.idempotence", "true"},
                                                    {"linger.ms", "20"},
                                                    {"batch.num.messages", "100000"},
                                                    {"batch.size", "900000"},
                                                    {"compression.codec", "lz4"}});
  const Owned<rd_kafka_topic_t> topic(rd_kafka_topic_new(client.get(), FLAGS_topic.c_str(), nullptr));
  const int32_t partitions = PartitionCount(client.get(), FLAGS_topic);
  NexmarkEvents events(FLAGS_seed, FLAGS_events_per_second);
  for (int64_t i = 0; i < FLAGS_events; ++i) {
    const std::string& json = events.Next();
    while (true) {
      const auto error = rd_kafka_producev(
          client.get(), RD_KAFKA_V_RKT(topic.get()), RD_KAFKA_V_PARTITION(static_cast<int32_t>(i % partitions)),
          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_VALUE(const_cast<char*>(json.data()), json.size()),
          RD_KAFKA_V_TIMESTAMP(events.time_ms()), RD_KAFKA_V_END);
      if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        Check(error, "writing to " + FLAGS_topic);
        break;
      }
      rd_kafka_poll(client.get(), 10);
    }
  }
  Check(rd_kafka_flush(client.get(), 120'000), "flush");
  std::printf(R"({"events":%ld})"
              "\n",
              FLAGS_events);
}
