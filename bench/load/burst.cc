// bench_burst: rows that are ready, written exactly once at a moment: what a window that closes can't be faster than.
// In each round every producer has its share of the rows as bytes, waits for a moment that is the same for all, and
// writes them in one transaction or, so that a consumer has the first while others are written, in several. The moment,
// in milliseconds, stands in each row as window_end, for bench_latency.
#include <gflags/gflags.h>

#include <string>
#include <thread>
#include <vector>

#include "bench/load/client.h"

DEFINE_string(brokers, "localhost:9092", "bootstrap servers");
DEFINE_string(topic, "item_counts", "topic to write to");
DEFINE_int32(rows, 144'000, "rows of a round, of all producers together");
DEFINE_int32(producers, 2, "transactional producers, each with a thread of its own");
DEFINE_int32(transactions, 1, "transactions of each producer in a round, one after the other");
DEFINE_int32(rounds, 6, "moments at which rows are written");
DEFINE_int32(every_ms, 3'000, "time from one moment to the next");
DEFINE_int32(first_ms, 3'000, "time until the first one");

namespace tidemark::bench {
namespace {

constexpr int kItemsALocation = 15;
constexpr int kTimeoutMs = 20'000;

class Burst {
 public:
  Burst(int number, int64_t first_ms)
      : number_(number),
        first_ms_(first_ms),
        client_(NewClient(RD_KAFKA_PRODUCER, {{"bootstrap.servers", FLAGS_brokers},
                                              {"transactional.id", FLAGS_topic + "-" + std::to_string(number)},
                                              {"linger.ms", "5"},
                                              {"compression.codec", "lz4"},
                                              {"batch.num.messages", "100000"},
                                              {"queue.buffering.max.messages", "0"},
                                              {"socket.nagle.disable", "true"}})),
        topic_(rd_kafka_topic_new(client_.get(), FLAGS_topic.c_str(), nullptr)),
        rows_(static_cast<size_t>(PartitionCount(client_.get(), FLAGS_topic))),
        messages_(rows_.size()) {
    Check(rd_kafka_init_transactions(client_.get(), kTimeoutMs), "init_transactions");
  }

  void Run() {
    for (int round = 0; round < FLAGS_rounds; ++round) {
      const int64_t moment_ms = first_ms_ + int64_t{round} * FLAGS_every_ms;
      Prepare(moment_ms);
      Check(rd_kafka_begin_transaction(client_.get()), "begin_transaction");
      const int64_t left_us = moment_ms * 1'000 - WallUs();
      if (left_us < 0) Die("the rows weren't ready in time, see --every_ms");
      std::this_thread::sleep_for(std::chrono::microseconds(left_us));
      for (int part = 0; part < FLAGS_transactions; ++part) {
        if (part > 0) Check(rd_kafka_begin_transaction(client_.get()), "begin_transaction");
        Write(part);
      }
    }
  }

 private:
  struct Row {
    std::string key, value;
  };

  // Locations are spread over partitions and, within one, over the producers.
  void Prepare(int64_t moment_ms) {
    const auto partitions = static_cast<int>(rows_.size());
    for (auto& rows : rows_) rows.clear();
    for (int i = number_; i < FLAGS_rows; i += FLAGS_producers) {
      const int location = i / (kItemsALocation * FLAGS_producers) + 1;
      Row& row = rows_[static_cast<size_t>(location % partitions)].emplace_back();
      row.key = std::to_string(location);
      row.value = R"({"geographical_location_oid":)" + row.key + R"(,"geographical_location":"Town-)" + row.key +
                  " / District-" + std::to_string(location % 10) + R"(","item_name":"item_)" +
                  std::to_string(int64_t{i} * 7'919 % 500) + R"(","window_start":)" +
                  std::to_string(moment_ms - 60'000) + R"(,"window_end":)" + std::to_string(moment_ms) +
                  R"(,"detections":)" + std::to_string(i % 9 + 1) + "}";
    }
    for (size_t p = 0; p < rows_.size(); ++p) {
      messages_[p].clear();
      for (Row& row : rows_[p]) {
        rd_kafka_message_t& m = messages_[p].emplace_back();
        m.key = row.key.data();
        m.key_len = row.key.size();
        m.payload = row.value.data();
        m.len = row.value.size();
      }
    }
  }

  // One of the transactions, which share each partition's rows evenly.
  void Write(int part) {
    for (size_t p = 0; p < messages_.size(); ++p) {
      const auto share = [&](int parts) { return messages_[p].size() * parts / FLAGS_transactions; };
      const auto count = static_cast<int>(share(part + 1) - share(part));
      const int taken = rd_kafka_produce_batch(topic_.get(), static_cast<int32_t>(p), RD_KAFKA_MSG_F_COPY,
                                               messages_[p].data() + share(part), count);
      if (taken != count) Die("the client didn't take all rows");
    }
    Check(rd_kafka_flush(client_.get(), kTimeoutMs), "flush");
    Check(rd_kafka_commit_transaction(client_.get(), kTimeoutMs), "commit_transaction");
  }

  const int number_;
  const int64_t first_ms_;
  Owned<rd_kafka_t> client_;
  Owned<rd_kafka_topic_t> topic_;
  std::vector<std::vector<Row>> rows_;                     // by partition
  std::vector<std::vector<rd_kafka_message_t>> messages_;  // of rows_
};

}  // namespace
}  // namespace tidemark::bench

int main(int argc, char** argv) {
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  const int64_t first_ms = tidemark::bench::WallUs() / 1'000 + FLAGS_first_ms;
  std::vector<std::thread> threads;
  for (int i = 0; i < FLAGS_producers; ++i) {
    threads.emplace_back([i, first_ms] { tidemark::bench::Burst(i, first_ms).Run(); });
  }
  for (std::thread& thread : threads) thread.join();
}
