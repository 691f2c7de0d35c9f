// bench_load: live detections at a steady rate, each with the wall clock of the moment it was written as its event time
// and record timestamp. What the latency measurements feed to every system alike.
//
// Paced by the clock: every few milliseconds it writes what has become due since. It says how far it ever fell behind,
// as a load that stalls would flatter whoever is measured.
#include <gflags/gflags.h>

#include <algorithm>
#include <csignal>
#include <string>
#include <thread>

#include "bench/load/client.h"
#include "src/cli/generate_data.h"

DEFINE_string(brokers, "localhost:9092", "bootstrap servers");
DEFINE_string(topic, "detections", "topic to write to; it exists");
DEFINE_double(rate, 10'000, "records a second");
DEFINE_double(seconds, 75, "how long");
DEFINE_uint64(seed, 1, "seed of the data");
DEFINE_double(duplicates, 0.05, "share of records that repeat an earlier one, its event time included");
DEFINE_int64(first_oid, 1, "number of the first detection");
DEFINE_int32(wake_us, 5'000, "pause between two looks at the clock");

namespace tidemark::bench {
namespace {

volatile std::sig_atomic_t stopped = 0;

class Load {
 public:
  Load()
      : data_(Shape()),
        client_(NewClient(RD_KAFKA_PRODUCER, {{"bootstrap.servers", FLAGS_brokers},
                                              {"enable.idempotence", "true"},
                                              // With 0 the client spins on a processor whenever the broker pauses.
                                              {"linger.ms", "0.5"},
                                              {"socket.nagle.disable", "true"},
                                              {"compression.codec", "none"}})),
        topic_(rd_kafka_topic_new(client_.get(), FLAGS_topic.c_str(), nullptr)),
        partitions_(PartitionCount(client_.get(), FLAGS_topic)) {
    for (int64_t item = 0; item < Shape().items; ++item) items_.push_back(HtxItemName(item));
  }

  void Run() {
    const int64_t began_us = SteadyUs();
    const auto end_us = static_cast<int64_t>(FLAGS_seconds * 1e6);
    int64_t written = 0, behind_us = 0;
    for (int64_t now_us = 0; now_us < end_us && stopped == 0; now_us = SteadyUs() - began_us) {
      const auto due = static_cast<int64_t>(static_cast<double>(now_us) * FLAGS_rate / 1e6);
      behind_us = std::max(behind_us, static_cast<int64_t>(static_cast<double>(due - written) * 1e6 / FLAGS_rate));
      while (written < due) {
        data_.SetNow(WallUs() / 1000);
        Write(data_.Next([](int64_t) { return true; }));
        ++written;
      }
      rd_kafka_poll(client_.get(), 0);
      std::this_thread::sleep_for(std::chrono::microseconds(FLAGS_wake_us));
    }
    Check(rd_kafka_flush(client_.get(), 30'000), "flush");
    std::printf(R"({"records":%ld,"worst_behind_ms":%.1f,"cpu_s":%.2f})"
                "\n",
                written, static_cast<double>(behind_us) / 1e3, CpuSeconds());
  }

 private:
  static HtxShape Shape() {
    HtxShape shape;
    shape.seed = FLAGS_seed;
    shape.duplicates = FLAGS_duplicates;
    shape.out_of_orderness_ms = 0;  // the event time is the time of writing
    return shape;
  }

  void Write(const Detection& d) {
    const std::string key = std::to_string(FLAGS_first_oid - 1 + d.oid);
    const std::string value = R"({"geographical_location_oid":)" + std::to_string(d.location) +
                              R"(,"video_camera_oid":)" + std::to_string(d.camera) + R"(,"detection_oid":)" + key +
                              R"(,"item_name":")" + items_[static_cast<size_t>(d.item)] + R"(","timestamp_detected":)" +
                              std::to_string(d.time_ms) + "}";
    const auto error = rd_kafka_producev(
        client_.get(), RD_KAFKA_V_RKT(topic_.get()), RD_KAFKA_V_PARTITION(PartitionOf(topic_.get(), key, partitions_)),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key.data(), key.size()),
        RD_KAFKA_V_VALUE(const_cast<char*>(value.data()), value.size()), RD_KAFKA_V_TIMESTAMP(d.time_ms),
        RD_KAFKA_V_END);
    Check(error, "writing to " + FLAGS_topic);
  }

  HtxData data_;
  std::vector<std::string> items_;
  Owned<rd_kafka_t> client_;
  Owned<rd_kafka_topic_t> topic_;
  const int32_t partitions_;
};

}  // namespace
}  // namespace tidemark::bench

int main(int argc, char** argv) {
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  std::signal(SIGTERM, [](int) { tidemark::bench::stopped = 1; });  // writes what it has, says how much, ends
  tidemark::bench::Load().Run();
}
