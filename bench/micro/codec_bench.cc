// Decode, encode and pack of a record of the usual size, the time of one record beside it ("per_record").
#include <filesystem>
#include <fstream>
#include <numeric>
#include <random>
#include <string>

#include <absl/strings/str_cat.h>
#include <arrow/record_batch.h>
#include <benchmark/benchmark.h>

#include "src/base/varint.h"
#include "src/codec/column_set.h"
#include "src/codec/key_encoder.h"
#include "src/codec/packed_rows.h"
#include "src/codec/row_encoder.h"
#include "src/codec/rows_reader.h"
#include "src/codec/source_decoder.h"

namespace tidemark {
namespace {

// Numbers and names of many lengths: a decoder that could guess where they end would be too fast.
class Detections : public Fetch {
 public:
  explicit Detections(int count) {
    values_.reserve(static_cast<size_t>(count));
    std::mt19937_64 random(1);
    const auto number = [&](int digits) {
      int64_t limit = 10;
      for (auto more = static_cast<int>(random() % static_cast<uint64_t>(digits)); more > 0; --more) limit *= 10;
      return static_cast<int64_t>(random() % static_cast<uint64_t>(limit));
    };
    for (int i = 0; i < count; ++i) {
      values_.push_back(absl::StrCat(R"({"geographical_location_oid":)", number(4), R"(,"video_camera_oid":)",
                                     number(5), R"(,"detection_oid":)", number(7), R"(,"item_name":")",
                                     std::string(3 + random() % 10, 'x'), "_", number(3), R"(","timestamp_detected":)",
                                     1767225600123 + i, "}"));
      views_.push_back({i, 1767225600123 + i, std::nullopt, values_.back()});
    }
  }
  const TopicPartition& source() const override { return source_; }
  std::span<const RecordView> records() const override { return views_; }
  HeaderList Headers(size_t) const override { return {}; }

 private:
  TopicPartition source_{"detections", 0};
  std::vector<std::string> values_;
  std::vector<RecordView> views_;
};

SourcePlan DetectionsPlan() {
  SourcePlan plan;
  plan.name = "detections";
  const std::pair<const char*, const char*> columns[] = {{"geographical_location_oid", "int64"},
                                                         {"video_camera_oid", "int64"},
                                                         {"detection_oid", "int64"},
                                                         {"item_name", "string"},
                                                         {"timestamp_detected", "timestamp_ms"}};
  for (const auto& [name, type] : columns) {
    SourceColumn column;
    column.column = {name, *ParseType(type), false};
    column.path = {name};
    plan.columns.push_back(column);
  }
  plan.event_time.column = 4;
  plan.hidden = HiddenSet().With(Hidden::kWatermark);
  return plan;
}

constexpr int kRows = 4096;

Batch DecodedRows() {
  SourceTime time;
  const Detections fetch(kRows);
  return SourceDecoder::Make(DetectionsPlan()).value()->Decode(fetch, 0, 1, &time).value().rows;
}

Schema VisibleSchema() {
  Schema schema;
  for (const SourceColumn& column : DetectionsPlan().columns) schema.Add(column.column);
  return schema;
}

void CountRecords(benchmark::State& state, int64_t rows) {
  state.SetItemsProcessed(state.iterations() * rows);
  state.counters["per_record"] = benchmark::Counter(static_cast<double>(state.iterations() * rows),
                                                    benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void BM_Decode(benchmark::State& state) {
  const Detections fetch(static_cast<int>(state.range(0)));
  const auto decoder = SourceDecoder::Make(DetectionsPlan()).value();
  SourceTime time;
  for (auto _ : state) {
    auto batch = decoder->Decode(fetch, 0, 1, &time);
    if (!batch.ok() || !batch->errors.empty()) state.SkipWithError("decode failed");
    benchmark::DoNotOptimize(batch);
  }
  CountRecords(state, state.range(0));
}
BENCHMARK(BM_Decode)->Arg(1)->Arg(100)->Arg(kRows)->Arg(16 * kRows);

// The same six fields in each format, so that they can be compared in one run.
class Sightings : public Fetch {
 public:
  Sightings(int count, std::string_view format) {
    std::mt19937_64 random(1);
    const auto number = [&](int64_t limit) { return static_cast<int64_t>(random() % static_cast<uint64_t>(limit)); };
    for (int i = 0; i < count; ++i) {
      const int64_t numbers[] = {number(10'000), number(100'000), number(10'000'000), 1767225600123 + i};
      const std::string item = absl::StrCat(std::string(3 + random() % 10, 'x'), "_", number(1000));
      const double confidence = static_cast<double>(number(1000)) / 1000;
      std::string& value = values_.emplace_back();
      if (format == "json") {
        value = absl::StrCat(R"({"location":)", numbers[0], R"(,"camera":)", numbers[1], R"(,"id":)", numbers[2],
                             R"(,"item":")", item, R"(","confidence":)", confidence, R"(,"seen":)", numbers[3], "}");
        continue;
      }
      if (format == "protobuf") {
        const auto tag = [&](uint64_t field, uint64_t wire) { AppendVarint(field << 3 | wire, &value); };
        for (int n = 0; n < 3; ++n) {
          tag(static_cast<uint64_t>(n) + 1, 0);
          AppendVarint(static_cast<uint64_t>(numbers[n]), &value);
        }
        tag(4, 2);
        AppendVarint(item.size(), &value);
        value += item;
        tag(5, 1);
        value.append(reinterpret_cast<const char*>(&confidence), 8);
        tag(6, 0);
        AppendVarint(static_cast<uint64_t>(numbers[3]), &value);
        continue;
      }
      for (int n = 0; n < 3; ++n) AppendVarint(static_cast<uint64_t>(numbers[n]) * 2, &value);
      AppendVarint(item.size() * 2, &value);
      value += item;
      value.append(reinterpret_cast<const char*>(&confidence), 8);
      AppendVarint(static_cast<uint64_t>(numbers[3]) * 2, &value);
    }
    for (int i = 0; i < count; ++i)
      views_.push_back({i, 1767225600123 + i, std::nullopt, values_[static_cast<size_t>(i)]});
  }
  const TopicPartition& source() const override { return source_; }
  std::span<const RecordView> records() const override { return views_; }
  HeaderList Headers(size_t) const override { return {}; }

 private:
  TopicPartition source_{"sightings", 0};
  std::vector<std::string> values_;
  std::vector<RecordView> views_;
};

SourcePlan SightingsPlan(const std::string& format) {
  SourcePlan plan;
  plan.name = "sightings";
  const std::pair<const char*, const char*> columns[] = {{"location", "int64"},    {"camera", "int64"},
                                                         {"id", "int64"},          {"item", "string"},
                                                         {"confidence", "double"}, {"seen", "timestamp_ms"}};
  for (const auto& [name, type] : columns) {
    SourceColumn column;
    column.column = {name, *ParseType(type), false};
    column.path = {name};
    plan.columns.push_back(column);
  }
  plan.event_time.column = 5;
  plan.hidden = HiddenSet().With(Hidden::kWatermark);
  if (format == "json") return plan;
  if (format == "protobuf") {
    const std::string file = std::filesystem::temp_directory_path() / "tidemark-sighting.proto";
    std::ofstream(file) << R"(syntax = "proto3"; message Sighting { int64 location = 1; int64 camera = 2; int64 id = 3;
        string item = 4; double confidence = 5; int64 seen = 6; })";
    plan.format = FormatSpec("protobuf");
    plan.format.options["schema_file"] = file;
    return plan;
  }
  const std::string file = std::filesystem::temp_directory_path() / "tidemark-sighting.avsc";
  std::ofstream(file) << R"({"type": "record", "name": "Sighting", "fields": [
      {"name": "location", "type": "long"}, {"name": "camera", "type": "long"}, {"name": "id", "type": "long"},
      {"name": "item", "type": "string"}, {"name": "confidence", "type": "double"},
      {"name": "seen", "type": {"type": "long", "logicalType": "timestamp-millis"}}]})";
  plan.format = FormatSpec("avro");
  plan.format.options["schema_file"] = file;
  return plan;
}

void DecodeSightings(benchmark::State& state, const std::string& format) {
  const Sightings fetch(kRows, format);
  auto decoder = SourceDecoder::Make(SightingsPlan(format));
  if (!decoder.ok()) return state.SkipWithError(std::string(decoder.status().message()).c_str());
  SourceTime time;
  for (auto _ : state) {
    auto batch = (*decoder)->Decode(fetch, 0, 1, &time);
    if (!batch.ok() || !batch->errors.empty()) state.SkipWithError("decode failed");
    benchmark::DoNotOptimize(batch);
  }
  CountRecords(state, kRows);
}

void EncodeSightings(benchmark::State& state, const std::string& format) {
  SourceTime time;
  const Sightings fetch(kRows, "json");
  const Batch rows = SourceDecoder::Make(SightingsPlan("json")).value()->Decode(fetch, 0, 1, &time).value().rows;
  RowEncoderOptions options{.schema = ColumnsSchema(SightingsPlan("json").columns)};
  if (format != "json") {
    options.format = FormatSpec(format);
    options.format.options = {{"schema_id", "none"}, {format == "avro" ? "record" : "message", "Sighting"}};
  }
  const auto encoder = RowEncoder::Make(options).value();
  EncodedRecords out;
  for (auto _ : state) {
    if (!encoder->Encode(*rows, 8, 0, &out).ok()) state.SkipWithError("encode failed");
    benchmark::DoNotOptimize(out.records.data());
  }
  CountRecords(state, kRows);
}
BENCHMARK_CAPTURE(DecodeSightings, json, "json");
BENCHMARK_CAPTURE(DecodeSightings, avro, "avro");
BENCHMARK_CAPTURE(DecodeSightings, protobuf, "protobuf");
BENCHMARK_CAPTURE(EncodeSightings, json, "json");
BENCHMARK_CAPTURE(EncodeSightings, avro, "avro");
BENCHMARK_CAPTURE(EncodeSightings, protobuf, "protobuf");

// The same rows in another format.
class Encoded : public Fetch {
 public:
  explicit Encoded(const FormatSpec& format) {
    EncodedRecords out;
    const auto encoder = RowEncoder::Make({.schema = VisibleSchema(), .format = format}).value();
    if (!encoder->Encode(*DecodedRows(), 1, 0, &out).ok()) return;
    for (const OutRecord& record : out.records) values_.emplace_back(*record.value);
    for (size_t i = 0; i < values_.size(); ++i) {
      const auto number = static_cast<int64_t>(i);
      views_.push_back({number, 1767225600123 + number, std::nullopt, values_[i]});
    }
  }
  const TopicPartition& source() const override { return source_; }
  std::span<const RecordView> records() const override { return views_; }
  HeaderList Headers(size_t) const override { return {}; }

 private:
  TopicPartition source_{"detections", 0};
  std::vector<std::string> values_;
  std::vector<RecordView> views_;
};

void BM_DecodeFormat(benchmark::State& state, const FormatSpec& format) {
  const Encoded fetch(format);
  SourcePlan plan = DetectionsPlan();
  plan.format = format;
  const auto decoder = SourceDecoder::Make(plan).value();
  SourceTime time;
  for (auto _ : state) {
    auto batch = decoder->Decode(fetch, 0, 1, &time);
    if (!batch.ok() || batch->rows->num_rows() != kRows) state.SkipWithError("decode failed");
    benchmark::DoNotOptimize(batch);
  }
  CountRecords(state, kRows);
}
BENCHMARK_CAPTURE(BM_DecodeFormat, csv, FormatSpec("csv"));

void BM_EncodeFormat(benchmark::State& state, const FormatSpec& format) {
  const Batch rows = DecodedRows();
  const auto encoder = RowEncoder::Make({.schema = VisibleSchema(), .key = {2}, .format = format}).value();
  EncodedRecords out;
  for (auto _ : state) {
    if (!encoder->Encode(*rows, 8, 0, &out).ok()) state.SkipWithError("encode failed");
    benchmark::DoNotOptimize(out.records.data());
  }
  CountRecords(state, kRows);
}
BENCHMARK_CAPTURE(BM_EncodeFormat, csv, FormatSpec("csv"));

void BM_Encode(benchmark::State& state) {
  const Batch rows = DecodedRows();
  const auto encoder = RowEncoder::Make({.schema = VisibleSchema(), .key = {2}}).value();
  EncodedRecords out;
  for (auto _ : state) {
    if (!encoder->Encode(*rows, 8, 0, &out).ok()) state.SkipWithError("encode failed");
    benchmark::DoNotOptimize(out.records.data());
  }
  CountRecords(state, kRows);
}
BENCHMARK(BM_Encode);

void BM_HashAndSplit(benchmark::State& state) {
  const Batch rows = DecodedRows();
  std::vector<uint64_t> hashes;
  std::vector<int32_t> targets(kRows);
  RowsByTarget split;
  for (auto _ : state) {
    if (!HashKeys(*rows, {2}, &hashes).ok()) state.SkipWithError("hash failed");
    for (size_t i = 0; i < targets.size(); ++i) targets[i] = static_cast<int32_t>(hashes[i] % 8);
    SplitByTarget(targets, 8, &split);
    benchmark::DoNotOptimize(split.rows.data());
  }
  CountRecords(state, kRows);
}
BENCHMARK(BM_HashAndSplit);

// All rows but every twentieth, as dedup takes them.
void BM_TakeRows(benchmark::State& state) {
  const Batch rows = DecodedRows();
  std::vector<int32_t> some;
  for (int32_t i = 0; i < kRows; ++i) {
    if (i % 20 != 7) some.push_back(i);
  }
  for (auto _ : state) benchmark::DoNotOptimize(TakeRows(rows, some));
  CountRecords(state, kRows);
}
BENCHMARK(BM_TakeRows);

void BM_PackAndUnpack(benchmark::State& state) {
  const Batch rows = DecodedRows();
  std::vector<int32_t> all(kRows);
  std::iota(all.begin(), all.end(), 0);
  RowsPacker packer(rows->schema());
  for (auto _ : state) {
    std::vector<std::string> values;
    if (!packer.Append(*rows, all).ok()) state.SkipWithError("pack failed");
    packer.Finish(packed::RowsHeader(), &values);
    for (const std::string& value : values) {
      auto unpacked = RowsReader(rows->schema()).Read(value);
      if (!unpacked.ok()) state.SkipWithError("unpack failed");
      benchmark::DoNotOptimize(unpacked);
    }
  }
  CountRecords(state, kRows);
}
BENCHMARK(BM_PackAndUnpack);

void BM_EncodeKeys(benchmark::State& state) {
  const Batch rows = DecodedRows();
  EncodedKeys keys;
  for (auto _ : state) {
    if (!EncodeKeys(*rows, {2, 3}, &keys).ok()) state.SkipWithError("encode failed");
    benchmark::DoNotOptimize(keys.arena.data());
  }
  CountRecords(state, kRows);
}
BENCHMARK(BM_EncodeKeys);

}  // namespace
}  // namespace tidemark
