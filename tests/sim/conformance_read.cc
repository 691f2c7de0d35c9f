// Scripts about positions: seeks, pauses, ends.
#include "tests/sim/conformance_scripts.h"

namespace tidemark::sim {
namespace {

std::unique_ptr<Consumer> NewReader(Kit* kit) {
  ConsumerOptions options;
  options.client_id = "reader";
  auto reader = kit->client(0).NewConsumer(options);
  return kit->Must(reader.status(), "a new reader") ? *std::move(reader) : nullptr;
}

// Polls until the end of `partitions` partitions has been told.
std::string ReadToEnds(Kit* kit, Consumer* reader, size_t partitions) {
  std::map<TopicPartition, std::string> read;
  size_t ends = 0;
  kit->Until("the ends", [&] {
    auto result = reader->Poll(20'000, 100);
    if (!kit->Must(result.status(), "Poll")) return true;
    for (const auto& fetch : result->fetches) AppendRecords(*fetch, &read[fetch->source()]);
    for (const auto& [tp, end] : result->ends) {
      absl::StrAppend(&read[tp], read[tp].empty() ? "" : " ", "end ", end);
      ++ends;
    }
    return ends >= partitions;
  });
  std::string text;
  for (const auto& [tp, records] : read) absl::StrAppend(&text, text.empty() ? "" : ", ", tp.partition, ": ", records);
  return text;
}

// What comes within `polls` polls that may well come back empty.
std::string Glance(Kit* kit, Consumer* reader, int polls) {
  std::string text;
  for (int i = 0; i < polls; ++i) {
    auto result = reader->Poll(20'000, 100);
    if (!kit->Must(result.status(), "Poll")) break;
    for (const auto& fetch : result->fetches) AppendRecords(*fetch, &text);
    for (const auto& [tp, end] : result->ends) absl::StrAppend(&text, " end ", end);
  }
  return text.empty() ? "nothing" : text;
}

}  // namespace

std::string AnEndIsToldOncePerArrival(const ConformanceWorld& world) {
  Kit kit(world);
  const TopicPartition tp{kit.Topic("t", 1), 0};
  auto producer = kit.NewProducer("p");
  auto reader = NewReader(&kit);
  kit.Must(reader->Assign({{tp, 0}}), "Assign");
  kit.Line("empty: ", ReadToEnds(&kit, reader.get(), 1));
  kit.Line("then: ", Glance(&kit, reader.get(), 10));
  kit.Write(producer.get(), tp, {"a"});
  std::string records;
  kit.Until("the end behind the marker", [&] {
    absl::StrAppend(&records, records.empty() ? "" : " ", ReadToEnds(&kit, reader.get(), 1));
    return records.find("end 2") != std::string::npos;
  });
  kit.Line(records.find("0=a") != std::string::npos ? "the record and its end" : records);
  kit.Line("then: ", Glance(&kit, reader.get(), 10));
  kit.Must(reader->Close(false), "Close");
  return kit.Trace();
}

std::string TheEndIsKnownFromFetches(const ConformanceWorld& world) {
  Kit kit(world);
  const TopicPartition tp{kit.Topic("t", 1), 0};
  auto producer = kit.NewProducer("p");
  kit.Write(producer.get(), tp, {"a", "b"});
  kit.Must(producer->Begin(), "Begin");
  kit.Must(producer->Produce(tp.topic, {{0, "k", "c", nullptr}}), "Produce");
  kit.Must(producer->Flush(), "Flush");
  auto reader = NewReader(&kit);
  kit.Line("before anything is read: ", reader->KnownEnd(tp));
  kit.Must(reader->Assign({{tp, 0}}), "Assign");
  kit.Until("the end behind the open transaction", [&] {
    kit.Must(reader->Poll(20'000, 100).status(), "Poll");
    return reader->KnownEnd(tp) == 4;
  });
  kit.Line("then: ", reader->KnownEnd(tp));
  kit.Must(producer->Abort(), "Abort");
  kit.Must(reader->Close(false), "Close");
  return kit.Trace();
}

std::string ASeekMovesAndNothingOldComes(const ConformanceWorld& world) {
  Kit kit(world);
  const std::string topic = kit.Topic("t", 2);
  auto producer = kit.NewProducer("p");
  kit.Write(producer.get(), {topic, 0}, {"a", "b", "c", "d"});
  kit.Write(producer.get(), {topic, 1}, {"w", "x", "y", "z"});
  kit.Until("the markers", [&] {
    return kit.admin().LogEnd({topic, 0}, Isolation::kReadCommitted).value_or(0) == 5 &&
           kit.admin().LogEnd({topic, 1}, Isolation::kReadCommitted).value_or(0) == 5;
  });
  auto reader = NewReader(&kit);
  kit.Must(reader->Assign({{{topic, 0}, 0}, {{topic, 1}, 2}}), "Assign");
  kit.Line(ReadToEnds(&kit, reader.get(), 2));
  kit.Must(reader->Seek({{{topic, 0}, 2}, {{topic, 1}, 3}}), "Seek");
  kit.Line(ReadToEnds(&kit, reader.get(), 2));
  kit.Must(reader->Seek({{{topic, 0}, 0}}), "Seek");
  kit.Must(reader->Seek({{{topic, 0}, 3}}), "Seek");
  kit.Line(ReadToEnds(&kit, reader.get(), 1));
  kit.Must(reader->Assign({{{topic, 1}, -2}}), "Assign");
  kit.Line(ReadToEnds(&kit, reader.get(), 1));
  kit.Must(reader->Unassign(), "Unassign");
  kit.Line("unassigned: ", Glance(&kit, reader.get(), 5));
  kit.Line("seek in what isn't assigned", reader->Seek({{{topic, 0}, 0}}));
  kit.Must(reader->Close(false), "Close");
  return kit.Trace();
}

std::string APausedPartitionIsSilent(const ConformanceWorld& world) {
  Kit kit(world);
  const std::string topic = kit.Topic("t", 2);
  auto producer = kit.NewProducer("p");
  kit.Write(producer.get(), {topic, 0}, {"a", "b"});
  kit.Write(producer.get(), {topic, 1}, {"x"});
  kit.Until("the markers", [&] {
    return kit.admin().LogEnd({topic, 0}, Isolation::kReadCommitted).value_or(0) == 3 &&
           kit.admin().LogEnd({topic, 1}, Isolation::kReadCommitted).value_or(0) == 2;
  });
  auto reader = NewReader(&kit);
  kit.Must(reader->AssignPaused({{topic, 0}, {topic, 1}}), "AssignPaused");
  kit.Line("assigned paused: ", Glance(&kit, reader.get(), 5));
  kit.Line("resume without a position", reader->Resume({{topic, 0}}));
  kit.Must(reader->Seek({{{topic, 0}, 1}, {{topic, 1}, 0}}), "Seek");
  kit.Line("with positions: ", Glance(&kit, reader.get(), 5));
  kit.Must(reader->Resume({{topic, 0}}), "Resume");
  kit.Line(ReadToEnds(&kit, reader.get(), 1));
  kit.Must(reader->Pause({{topic, 0}}), "Pause");
  kit.Must(reader->Resume({{topic, 1}}), "Resume");
  kit.Write(producer.get(), {topic, 0}, {"c"});
  kit.Line(ReadToEnds(&kit, reader.get(), 1));
  kit.Line("still paused: ", Glance(&kit, reader.get(), 5));
  kit.Must(reader->Resume({{topic, 0}}), "Resume");
  std::string records;
  kit.Until("the record behind the pause", [&] {
    records = Glance(&kit, reader.get(), 1);
    return records.find('=') != std::string::npos;
  });
  kit.Line("resumed: ", records.substr(0, 3));
  // A new assignment starts unpaused.
  kit.Must(reader->Pause({{topic, 0}}), "Pause");
  kit.Must(reader->Assign({{{topic, 0}, 1}}), "Assign");
  kit.Until("the first record", [&] {
    records = Glance(&kit, reader.get(), 1);
    return records.find('=') != std::string::npos;
  });
  kit.Line("assigned anew: ", records.substr(0, 3));
  kit.Must(reader->Close(false), "Close");
  return kit.Trace();
}

std::string WhatCameDuringAHoldIsReadOnceAndItsEndToldOnce(const ConformanceWorld& world) {
  Kit kit(world);
  const std::string topic = kit.Topic("t", 2);
  const TopicPartition held{topic, 0}, other{topic, 1};
  auto producer = kit.NewProducer("p");
  const auto write = [&](const TopicPartition& to, const std::string& value, Offset end) {
    kit.Write(producer.get(), to, {value});
    kit.Until("the marker", [&] { return kit.admin().LogEnd(to, Isolation::kReadCommitted).value_or(0) == end; });
  };
  write(held, "a", 2);
  write(other, "x", 2);
  auto reader = NewReader(&kit);
  kit.Must(reader->Assign({{held, 0}, {other, 0}}), "Assign");
  kit.Line(ReadToEnds(&kit, reader.get(), 2));
  kit.Must(reader->Hold({held}), "Hold");
  write(held, "b", 4);
  write(other, "y", 4);
  kit.Line("held: ", ReadToEnds(&kit, reader.get(), 1));
  // The other's fetcher is started anew, and with it all there are.
  kit.Must(reader->Seek({{other, 0}}), "Seek");
  kit.Line("the other anew: ", ReadToEnds(&kit, reader.get(), 1));
  write(held, "c", 6);
  kit.Line("still held: ", Glance(&kit, reader.get(), 5));
  kit.Must(reader->Release({held}), "Release");
  kit.Line("released: ", ReadToEnds(&kit, reader.get(), 1));
  kit.Must(reader->Hold({held}), "Hold");
  kit.Must(reader->Seek({{other, 4}}), "Seek");
  kit.Line("the other at its end: ", ReadToEnds(&kit, reader.get(), 1));
  kit.Must(reader->Release({held}), "Release");
  kit.Line("without anything new: ", Glance(&kit, reader.get(), 10));
  kit.Must(reader->Close(false), "Close");
  return kit.Trace();
}

}  // namespace tidemark::sim
