// Scripts about where a partition is read on: behind its end, behind a pause, behind control records. What the client
// library believes of its position must never show.
#include "tests/sim/conformance_scripts.h"

namespace tidemark::sim {
namespace {

std::unique_ptr<Consumer> NewReader(Kit* kit) {
  ConsumerOptions options;
  options.client_id = "reader";
  auto reader = kit->client(0).NewConsumer(options);
  return kit->Must(reader.status(), "a new reader") ? *std::move(reader) : nullptr;
}

// The records that come until the end of the partition is told to be `end`; earlier ends, as before a marker, don't
// show.
std::string ReadTo(Kit* kit, Consumer* reader, Offset end) {
  std::string text;
  const bool seen = kit->Until("the end", [&] {
    auto result = reader->Poll(20'000, 100);
    if (!kit->Must(result.status(), "Poll")) return true;
    for (const auto& fetch : result->fetches) AppendRecords(*fetch, &text);
    for (const auto& [tp, offset] : result->ends) {
      if (offset == end) return true;
    }
    return false;
  });
  if (!seen) return text + " and no end";
  return text.empty() ? "no record" : text;
}

void AbortOne(Kit* kit, Producer* producer, const TopicPartition& tp) {
  kit->Must(producer->Begin(), "Begin");
  kit->Must(producer->Produce(tp.topic, {{tp.partition, "k", "lost", nullptr}}), "Produce");
  kit->Must(producer->Flush(), "Flush");
  kit->Must(producer->Abort(), "Abort");
}

}  // namespace

std::string WhatCameDuringAPauseIsReadAfterIt(const ConformanceWorld& world) {
  Kit kit(world);
  const TopicPartition tp{kit.Topic("t", 1), 0};
  auto producer = kit.NewProducer("p");
  kit.Write(producer.get(), tp, {"a"});
  auto reader = NewReader(&kit);
  kit.Must(reader->Assign({{tp, 0}}), "Assign");
  kit.Line(ReadTo(&kit, reader.get(), 2));
  kit.Must(reader->Pause({tp}), "Pause");
  kit.Write(producer.get(), tp, {"b", "c"});
  kit.Must(reader->Resume({tp}), "Resume");
  kit.Line(ReadTo(&kit, reader.get(), 5));
  // Several pauses at one end, and one without anything new.
  kit.Must(reader->Pause({tp}), "Pause");
  kit.Must(reader->Resume({tp}), "Resume");
  kit.Line(ReadTo(&kit, reader.get(), 5));
  kit.Must(reader->Pause({tp}), "Pause");
  kit.Must(reader->Pause({tp}), "Pause");
  kit.Write(producer.get(), tp, {"d"});
  kit.Must(reader->Resume({tp}), "Resume");
  kit.Must(reader->Resume({tp}), "Resume");
  kit.Line(ReadTo(&kit, reader.get(), 7));
  kit.Must(reader->Close(false), "Close");
  return kit.Trace();
}

std::string AbortedRecordsAtTheEndHideNothingFromAResume(const ConformanceWorld& world) {
  Kit kit(world);
  const TopicPartition tp{kit.Topic("t", 1), 0};
  auto producer = kit.NewProducer("p");
  kit.Write(producer.get(), tp, {"a"});
  AbortOne(&kit, producer.get(), tp);
  auto reader = NewReader(&kit);
  kit.Must(reader->Assign({{tp, 0}}), "Assign");
  kit.Line(ReadTo(&kit, reader.get(), 4));
  kit.Must(reader->Pause({tp}), "Pause");
  kit.Write(producer.get(), tp, {"b"});
  kit.Must(reader->Resume({tp}), "Resume");
  kit.Line(ReadTo(&kit, reader.get(), 6));
  kit.Must(reader->Pause({tp}), "Pause");
  AbortOne(&kit, producer.get(), tp);
  kit.Must(reader->Resume({tp}), "Resume");
  kit.Line(ReadTo(&kit, reader.get(), 8));
  kit.Must(reader->Pause({tp}), "Pause");
  AbortOne(&kit, producer.get(), tp);
  kit.Write(producer.get(), tp, {"c"});
  kit.Must(reader->Resume({tp}), "Resume");
  kit.Line(ReadTo(&kit, reader.get(), 12));
  kit.Must(reader->Close(false), "Close");
  return kit.Trace();
}

std::string ASeekWhilePausedIsWhereTheResumeBegins(const ConformanceWorld& world) {
  Kit kit(world);
  const TopicPartition tp{kit.Topic("t", 1), 0};
  auto producer = kit.NewProducer("p");
  kit.Write(producer.get(), tp, {"a", "b", "c", "d"});
  auto reader = NewReader(&kit);
  kit.Must(reader->Assign({{tp, 2}}), "Assign");
  kit.Line(ReadTo(&kit, reader.get(), 5));
  kit.Must(reader->Pause({tp}), "Pause");
  kit.Must(reader->Seek({{tp, 1}}), "Seek");
  kit.Must(reader->Resume({tp}), "Resume");
  kit.Line(ReadTo(&kit, reader.get(), 5));
  kit.Must(reader->Pause({tp}), "Pause");
  kit.Must(reader->Seek({{tp, 0}}), "Seek");
  kit.Must(reader->Seek({{tp, 3}}), "Seek");
  kit.Must(reader->Resume({tp}), "Resume");
  kit.Line(ReadTo(&kit, reader.get(), 5));
  kit.Must(reader->Close(false), "Close");
  return kit.Trace();
}

std::string APauseBeforeTheFirstFetchKeepsThePosition(const ConformanceWorld& world) {
  Kit kit(world);
  const TopicPartition tp{kit.Topic("t", 1), 0};
  auto producer = kit.NewProducer("p");
  kit.Write(producer.get(), tp, {"a", "b", "c"});
  auto reader = NewReader(&kit);
  for (const Offset from : {Offset{1}, Offset{-2}}) {
    kit.Must(reader->Assign({{tp, from}}), "Assign");
    kit.Must(reader->Pause({tp}), "Pause");
    kit.Must(reader->Resume({tp}), "Resume");
    kit.Line(ReadTo(&kit, reader.get(), 4));
  }
  kit.Must(reader->Close(false), "Close");
  return kit.Trace();
}

std::string AResumeAfterANewAssignmentReadsFromThatOne(const ConformanceWorld& world) {
  Kit kit(world);
  const std::string topic = kit.Topic("t", 2);
  auto producer = kit.NewProducer("p");
  kit.Write(producer.get(), {topic, 0}, {"a", "b"});
  kit.Write(producer.get(), {topic, 1}, {"x"});
  auto reader = NewReader(&kit);
  kit.Must(reader->Assign({{{topic, 0}, 0}}), "Assign");
  kit.Line(ReadTo(&kit, reader.get(), 3));
  kit.Must(reader->Pause({{topic, 0}}), "Pause");
  kit.Write(producer.get(), {topic, 0}, {"c", "d"});
  kit.Must(reader->AssignPaused({{topic, 0}, {topic, 1}}), "AssignPaused");
  kit.Line("the position is forgotten", reader->Resume({{topic, 0}}));
  kit.Must(reader->Seek({{{topic, 0}, 3}}), "Seek");
  kit.Must(reader->Resume({{topic, 0}}), "Resume");
  kit.Line(ReadTo(&kit, reader.get(), 6));
  kit.Must(reader->Pause({{topic, 0}}), "Pause");
  kit.Must(reader->Assign({{{topic, 0}, 4}}), "Assign");
  kit.Line(ReadTo(&kit, reader.get(), 6));
  kit.Must(reader->Assign({{{topic, 1}, 0}}), "Assign");
  kit.Line(ReadTo(&kit, reader.get(), 2));
  kit.Must(reader->Close(false), "Close");
  return kit.Trace();
}

}  // namespace tidemark::sim
