// The little that the programs of bench/ need of librdkafka: configuration, ownership, and an end with a message where
// something fails. They are tools of one run: the first error ends them.
#pragma once

#include <librdkafka/rdkafka.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tidemark::bench {

[[noreturn]] inline void Die(std::string_view what) {
  std::fprintf(stderr, "%.*s\n", static_cast<int>(what.size()), what.data());
  std::_Exit(1);  // clients still run; nothing they hold is wanted
}

inline void Check(rd_kafka_resp_err_t error, const std::string& what) {
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) Die(what + ": " + rd_kafka_err2str(error));
}

inline void Check(rd_kafka_error_t* error, const std::string& what) {
  if (error != nullptr) Die(what + ": " + rd_kafka_error_string(error));
}

struct Deleter {
  void operator()(rd_kafka_t* p) const { rd_kafka_destroy(p); }
  void operator()(rd_kafka_topic_t* p) const { rd_kafka_topic_destroy(p); }
  void operator()(rd_kafka_queue_t* p) const { rd_kafka_queue_destroy(p); }
  void operator()(rd_kafka_topic_partition_list_t* p) const { rd_kafka_topic_partition_list_destroy(p); }
  void operator()(rd_kafka_consumer_group_metadata_t* p) const { rd_kafka_consumer_group_metadata_destroy(p); }
  void operator()(const rd_kafka_metadata_t* p) const { rd_kafka_metadata_destroy(p); }
};
template <typename T>
using Owned = std::unique_ptr<T, Deleter>;
using Properties = std::vector<std::pair<std::string, std::string>>;

// A failed delivery ends the program; successful ones aren't reported at all.
inline Owned<rd_kafka_t> NewClient(rd_kafka_type_t type, const Properties& properties) {
  char text[512];
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  for (const auto& [name, value] : properties) {
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), text, sizeof text) != RD_KAFKA_CONF_OK) Die(text);
  }
  if (type == RD_KAFKA_PRODUCER) {
    rd_kafka_conf_set(conf, "delivery.report.only.error", "true", text, sizeof text);
    rd_kafka_conf_set_dr_msg_cb(
        conf, [](rd_kafka_t*, const rd_kafka_message_t* message, void*) { Check(message->err, "delivery"); });
  }
  Owned<rd_kafka_t> client(rd_kafka_new(type, conf, text, sizeof text));
  if (client == nullptr) Die(text);
  return client;
}

inline int32_t PartitionCount(rd_kafka_t* client, const std::string& topic) {
  const Owned<rd_kafka_topic_t> handle(rd_kafka_topic_new(client, topic.c_str(), nullptr));
  const rd_kafka_metadata_t* found = nullptr;
  Check(rd_kafka_metadata(client, 0, handle.get(), &found, 20'000), "metadata of " + topic);
  const Owned<const rd_kafka_metadata_t> metadata(found);
  if (metadata->topic_cnt != 1 || metadata->topics[0].partition_cnt == 0) Die("there is no topic " + topic);
  return metadata->topics[0].partition_cnt;
}

// Messages that are there, up to the size of `into`; waits at most `wait_ms` for the first one only. (With a time-out
// of its own rd_kafka_consume_batch_queue waits until all slots are full, which makes a slow stream late.)
inline size_t ConsumeBatch(rd_kafka_queue_t* queue, int wait_ms, std::vector<rd_kafka_message_t*>& into) {
  ssize_t count = rd_kafka_consume_batch_queue(queue, 0, into.data(), into.size());
  if (count > 0) return static_cast<size_t>(count);
  into[0] = rd_kafka_consume_queue(queue, wait_ms);
  if (into[0] == nullptr) return 0;
  count = rd_kafka_consume_batch_queue(queue, 0, into.data() + 1, into.size() - 1);
  return 1 + static_cast<size_t>(count > 0 ? count : 0);
}

// The partition that a Java client would choose; the hash is librdkafka's own.
inline int32_t PartitionOf(rd_kafka_topic_t* topic, std::string_view key, int32_t partitions) {
  return rd_kafka_msg_partitioner_murmur2(topic, key.data(), key.size(), partitions, nullptr, nullptr);
}

inline int64_t SteadyUs() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}
inline int64_t WallUs() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

inline double CpuSeconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

}  // namespace tidemark::bench
