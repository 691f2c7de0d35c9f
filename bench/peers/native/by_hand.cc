// bench_by_hand: what W1 costs on this client library with no product around it, step by step. Each step has all those
// before it:
//
//   consume   read the topic
//   pass      write every record as it is, in transactions with the offsets
//   parse     read the JSON; key by location
//   dedup     drop repeated ids: a hash set, and for each partition and commit one packed RocksDB value and one packed
//             changelog record
//   join      append the location's name, drop unknown locations: W1
//
// A limit to compare with, not a product: it never restores, never expires an id, keeps partitions where they are, and
// ends the process on any error. Its threads share nothing; each has its consumer, producer and database.
#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#include <gflags/gflags.h>
#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <thread>

#include "bench/load/client.h"
#include "bench/peers/native/detection.h"

DEFINE_string(step, "join", "consume, pass, parse, dedup or join");
DEFINE_string(brokers, "localhost:9092", "bootstrap servers");
DEFINE_string(detections, "detections", "input topic");
DEFINE_string(locations, "locations", "topic of the reference table");
DEFINE_string(output, "enriched", "output topic; it exists");
DEFINE_string(changelog, "by-hand-changelog", "changelog topic, as many partitions as the input; it exists");
DEFINE_string(group, "by-hand", "group of the offsets, and prefix of the transactional ids");
DEFINE_string(state, "by-hand-state", "folder of the databases; what it holds is deleted");
DEFINE_int32(threads, 2, "stream threads");
DEFINE_int64(commit_ms, 100, "time between commits");

namespace tidemark::bench {
namespace {

enum class Step { kConsume, kPass, kParse, kDedup, kJoin };

Step StepOf(const std::string& name) {
  constexpr std::array kNames = {"consume", "pass", "parse", "dedup", "join"};
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (name == kNames[i]) return static_cast<Step>(i);
  }
  Die("--step: no such step: " + name);
}

constexpr int kWaitMs = 20;
constexpr int kKafkaMs = 60'000;
constexpr size_t kChangelogBytes = 800'000;  // brokers take records of 1 MB by default

// The tail of the output by location: what stands between the detection's last field and the end of the object.
using Locations = absl::flat_hash_map<int64_t, std::string>;

Owned<rd_kafka_t> NewConsumer() {
  return NewClient(RD_KAFKA_CONSUMER, {{"bootstrap.servers", FLAGS_brokers},
                                       {"group.id", FLAGS_group},
                                       {"enable.auto.commit", "false"},
                                       {"enable.auto.offset.store", "false"},
                                       {"isolation.level", "read_committed"},
                                       {"enable.partition.eof", "true"},
                                       {"check.crcs", "false"},
                                       {"queued.min.messages", "500000"},
                                       {"queued.max.messages.kbytes", "131072"},
                                       {"fetch.message.max.bytes", "4194304"},
                                       {"fetch.wait.max.ms", "50"}});
}

Locations ReadLocations() {
  Locations locations;
  const auto client = NewConsumer();
  rd_kafka_poll_set_consumer(client.get());
  const Owned<rd_kafka_topic_partition_list_t> from(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(from.get(), FLAGS_locations.c_str(), 0)->offset = RD_KAFKA_OFFSET_BEGINNING;
  Check(rd_kafka_assign(client.get(), from.get()), "assign");
  constexpr std::string_view kName = R"("geographical_location":)";
  while (true) {
    rd_kafka_message_t* message = rd_kafka_consumer_poll(client.get(), kKafkaMs);
    if (message == nullptr) Die("no answer from " + FLAGS_locations);
    const auto error = message->err;
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR && message->payload != nullptr) {
      const std::string_view json(static_cast<char*>(message->payload), message->len);
      const std::string key(static_cast<char*>(message->key), message->key_len);
      const size_t at = json.find(kName);
      if (at == json.npos) Die("a location without a name: " + std::string(json));
      locations[std::stoll(key)] = ',' + std::string(json.substr(at));
    }
    rd_kafka_message_destroy(message);
    if (error == RD_KAFKA_RESP_ERR__PARTITION_EOF) return locations;
    Check(error, FLAGS_locations);
  }
}

struct Partition {
  int64_t next = 0;  // offset behind the last record taken
  int64_t end = 0;   // where the input ended when the process began
  absl::flat_hash_set<int64_t> seen;
  std::string packed;  // time and id of the new ones since the last commit, 16 bytes each
};

// A part of the partitions, from their beginnings to their ends.
class Worker {
 public:
  Worker(int id, Step step, const Locations& locations) : step_(step), locations_(locations), messages_(5'000) {
    name_ = FLAGS_group + "-" + std::to_string(id);
    consumer_ = NewConsumer();
    rd_kafka_poll_set_consumer(consumer_.get());
    queue_.reset(rd_kafka_queue_get_consumer(consumer_.get()));
    const int32_t count = PartitionCount(consumer_.get(), FLAGS_detections);
    for (int32_t p = id; p < count; p += FLAGS_threads) {
      int64_t low = 0;
      Partition& partition = partitions_[p];
      Check(rd_kafka_query_watermark_offsets(consumer_.get(), FLAGS_detections.c_str(), p, &low, &partition.end,
                                             kKafkaMs),
            FLAGS_detections);
    }
    if (step_ >= Step::kPass) MakeProducer();
    if (step_ >= Step::kDedup) OpenDatabase();
  }

  // Returns the records taken.
  int64_t Run() {
    const Owned<rd_kafka_topic_partition_list_t> from(rd_kafka_topic_partition_list_new(1));
    for (const auto& [p, partition] : partitions_) {
      rd_kafka_topic_partition_list_add(from.get(), FLAGS_detections.c_str(), p)->offset = RD_KAFKA_OFFSET_BEGINNING;
    }
    Check(rd_kafka_assign(consumer_.get(), from.get()), "assign");
    while (!AtEnd()) {
      Take(ConsumeBatch(queue_.get(), kWaitMs, messages_));
      if (open_ && (SteadyUs() >= commit_at_us_ || AtEnd())) Commit();
    }
    return taken_;
  }

 private:
  void MakeProducer() {
    producer_ = NewClient(RD_KAFKA_PRODUCER, {{"bootstrap.servers", FLAGS_brokers},
                                              {"transactional.id", name_},
                                              {"linger.ms", "5"},
                                              {"batch.size", "1000000"},
                                              {"batch.num.messages", "10000"},
                                              {"queue.buffering.max.messages", "1000000"},
                                              {"queue.buffering.max.kbytes", "262144"},
                                              {"compression.codec", "lz4"},
                                              {"retry.backoff.ms", "5"},
                                              {"socket.nagle.disable", "true"}});
    Check(rd_kafka_init_transactions(producer_.get(), kKafkaMs), "init_transactions");
    output_.reset(rd_kafka_topic_new(producer_.get(), FLAGS_output.c_str(), nullptr));
    output_partitions_ = PartitionCount(producer_.get(), FLAGS_output);
    if (step_ >= Step::kDedup) changelog_.reset(rd_kafka_topic_new(producer_.get(), FLAGS_changelog.c_str(), nullptr));
  }

  void OpenDatabase() {
    const auto folder = std::filesystem::path(FLAGS_state) / name_;
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    rocksdb::Options options;
    options.create_if_missing = true;
    options.compression = rocksdb::kLZ4Compression;
    rocksdb::DB* database = nullptr;
    const auto status = rocksdb::DB::Open(options, folder.string(), &database);
    if (!status.ok()) Die(status.ToString());
    database_.reset(database);
  }

  bool AtEnd() const {
    return std::all_of(partitions_.begin(), partitions_.end(),
                       [](const auto& p) { return p.second.next >= p.second.end; });
  }

  void Take(size_t count) {
    out_.clear();
    values_.clear();
    for (size_t i = 0; i < count; ++i) {
      const rd_kafka_message_t& message = *messages_[i];
      if (message.err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        // Where transaction markers end the partition, this is how its end is known.
        partitions_[message.partition].next = std::max(partitions_[message.partition].next, message.offset);
        continue;
      }
      Check(message.err, FLAGS_detections);
      Partition& partition = partitions_[message.partition];
      partition.next = message.offset + 1;
      ++taken_;
      TakeOne(message, partition);
    }
    Produce(output_.get());
    for (size_t i = 0; i < count; ++i) rd_kafka_message_destroy(messages_[i]);
  }

  void TakeOne(const rd_kafka_message_t& message, Partition& partition) {
    if (step_ == Step::kConsume) return;
    if (!open_) Begin();
    const std::string_view value(static_cast<char*>(message.payload), message.len);
    const std::string_view key(static_cast<char*>(message.key), message.key_len);
    if (step_ == Step::kPass) return Add(key, value);
    ParsedDetection d;
    if (!Parse(value, &d)) Die("not a detection: " + std::string(value));
    if (step_ >= Step::kDedup) {
      if (!partition.seen.insert(d.oid).second) return;
      partition.packed.append(reinterpret_cast<const char*>(&d.time_ms), sizeof d.time_ms);
      partition.packed.append(reinterpret_cast<const char*>(&d.oid), sizeof d.oid);
    }
    if (step_ < Step::kJoin) return Add(d.location_text, value);
    const auto location = locations_.find(d.location);
    if (location == locations_.end()) return;
    std::string& joined = NextValue();
    joined.assign(value.substr(0, value.size() - 1));
    joined += location->second;
    Add(d.location_text, joined);
  }

  // Values that don't stand in a message, kept until the batch is produced; strings and their memory are used again.
  std::string& NextValue() {
    if (values_.size() == spare_.size()) spare_.push_back(std::make_unique<std::string>());
    values_.push_back(spare_[values_.size()].get());
    return *values_.back();
  }

  void Add(std::string_view key, std::string_view value) {
    rd_kafka_message_t& message = out_.emplace_back();
    message = {};
    message.key = const_cast<char*>(key.data());
    message.key_len = key.size();
    message.payload = const_cast<char*>(value.data());
    message.len = value.size();
    message.partition = PartitionOf(output_.get(), key, output_partitions_);
  }

  // A call a partition: the client then looks it up once, not for every record. What doesn't fit into the client's
  // queue stays in out_, in order, and is tried again.
  void Produce(rd_kafka_topic_t* topic) {
    std::stable_sort(out_.begin(), out_.end(), [](const rd_kafka_message_t& a, const rd_kafka_message_t& b) {
      return a.partition < b.partition;
    });
    while (!out_.empty()) {
      for (size_t begin = 0, end = 0; begin < out_.size(); begin = end) {
        while (end < out_.size() && out_[end].partition == out_[begin].partition) ++end;
        rd_kafka_produce_batch(topic, out_[begin].partition, RD_KAFKA_MSG_F_COPY, &out_[begin],
                               static_cast<int>(end - begin));
      }
      std::erase_if(out_, [](const rd_kafka_message_t& m) { return m.err == RD_KAFKA_RESP_ERR_NO_ERROR; });
      for (const rd_kafka_message_t& m : out_) {
        if (m.err != RD_KAFKA_RESP_ERR__QUEUE_FULL) Check(m.err, "producing");
      }
      rd_kafka_poll(producer_.get(), out_.empty() ? 0 : 2);
    }
  }

  void Begin() {
    Check(rd_kafka_begin_transaction(producer_.get()), "begin_transaction");
    commit_at_us_ = SteadyUs() + FLAGS_commit_ms * 1000;
    open_ = true;
  }

  void Commit() {
    if (step_ >= Step::kDedup) WriteState();
    const Owned<rd_kafka_topic_partition_list_t> offsets(rd_kafka_topic_partition_list_new(1));
    for (const auto& [p, partition] : partitions_) {
      rd_kafka_topic_partition_list_add(offsets.get(), FLAGS_detections.c_str(), p)->offset = partition.next;
    }
    const Owned<rd_kafka_consumer_group_metadata_t> group(rd_kafka_consumer_group_metadata(consumer_.get()));
    Check(rd_kafka_send_offsets_to_transaction(producer_.get(), offsets.get(), group.get(), kKafkaMs), "send_offsets");
    Check(rd_kafka_commit_transaction(producer_.get(), kKafkaMs), "commit_transaction");
    open_ = false;
    if (step_ < Step::kDedup) return;
    rocksdb::WriteOptions options;
    options.disableWAL = true;
    const auto status = database_->Write(options, &batch_);
    if (!status.ok()) Die(status.ToString());
    batch_.Clear();
    for (auto& [p, partition] : partitions_) partition.packed.clear();
  }

  // The new ids of each partition: into the changelog now, into the batch for when the commit has succeeded.
  void WriteState() {
    for (auto& [p, partition] : partitions_) {
      if (partition.packed.empty()) continue;
      const std::string key = std::to_string(p) + "/" + std::to_string(partition.next);
      batch_.Put(key, partition.packed);
      for (size_t at = 0; at < partition.packed.size(); at += kChangelogBytes) {
        rd_kafka_message_t& message = out_.emplace_back();
        message = {};
        message.key = const_cast<char*>(key.data());
        message.key_len = key.size();
        message.payload = partition.packed.data() + at;
        message.len = std::min(kChangelogBytes, partition.packed.size() - at);
        message.partition = p;
      }
      Produce(changelog_.get());
    }
  }

  const Step step_;
  const Locations& locations_;
  std::string name_;
  Owned<rd_kafka_t> consumer_;
  Owned<rd_kafka_queue_t> queue_;
  Owned<rd_kafka_t> producer_;
  Owned<rd_kafka_topic_t> output_, changelog_;
  int32_t output_partitions_ = 0;
  std::unique_ptr<rocksdb::DB> database_;
  rocksdb::WriteBatch batch_;
  std::map<int32_t, Partition> partitions_;
  std::vector<rd_kafka_message_t*> messages_;
  std::vector<rd_kafka_message_t> out_;
  std::vector<std::string*> values_;
  std::vector<std::unique_ptr<std::string>> spare_;
  int64_t taken_ = 0, commit_at_us_ = 0;
  bool open_ = false;
};

int Main() {
  const Step step = StepOf(FLAGS_step);
  const Locations locations = step == Step::kJoin ? ReadLocations() : Locations();
  std::vector<std::thread> threads;
  std::vector<int64_t> taken(static_cast<size_t>(FLAGS_threads));
  for (int id = 0; id < FLAGS_threads; ++id) {
    threads.emplace_back([&, id] { taken[static_cast<size_t>(id)] = Worker(id, step, locations).Run(); });
  }
  int64_t sum = 0;
  for (int id = 0; id < FLAGS_threads; ++id) {
    threads[static_cast<size_t>(id)].join();
    sum += taken[static_cast<size_t>(id)];
  }
  std::printf("%ld records, %.2f CPU s\n", sum, CpuSeconds());
  return 0;
}

}  // namespace
}  // namespace tidemark::bench

int main(int argc, char** argv) {
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  return tidemark::bench::Main();
}
