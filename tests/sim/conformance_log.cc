// Scripts about logs and transactions.
#include "tests/sim/conformance_scripts.h"

namespace tidemark::sim {

std::string RecordsComeBackAsTheyWereWritten(const ConformanceWorld& world) {
  Kit kit(world);
  const TopicPartition tp{kit.Topic("t", 1), 0};
  auto producer = kit.NewProducer("p");
  const HeaderList headers = {{"a", "1"}, {"a", ""}, {"b", std::nullopt}};
  kit.Must(producer->Begin(), "Begin");
  kit.Must(producer->Produce(tp.topic, {{0, "k", "v", nullptr},
                                        {0, std::nullopt, "", nullptr},
                                        {0, "", std::nullopt, nullptr},
                                        {0, "h", "w", &headers},
                                        {0, std::string_view("\0x", 2), std::string_view("\0y", 2), nullptr}}),
           "Produce");
  kit.Must(producer->Flush(), "Flush");
  kit.Line("commit: ", OutcomeName(producer->Commit(nullptr)));
  kit.Until("the marker", [&] { return kit.admin().LogEnd(tp, Isolation::kReadCommitted).value_or(0) == 6; });
  ConsumerOptions options;
  options.client_id = "reader";
  auto reader = kit.client(0).NewConsumer(options);
  kit.Must((*reader)->Assign({{tp, 0}}), "Assign");
  const auto text = [](const Bytes& bytes) {
    if (!bytes) return std::string("null");
    std::string quoted = "'";
    for (const char c : *bytes) quoted += c == '\0' ? '0' : c;
    return quoted + "'";
  };
  kit.Until("the records", [&] {
    auto result = (*reader)->Poll(20'000, 100);
    if (!kit.Must(result.status(), "Poll")) return true;
    for (const auto& fetch : result->fetches) {
      for (size_t i = 0; i < fetch->records().size(); ++i) {
        const RecordView& r = fetch->records()[i];
        std::string line = absl::StrCat(r.offset, " ", text(r.key), " ", text(r.value));
        if (r.timestamp_ms <= 0) line += " without time";
        for (const auto& [name, value] : fetch->Headers(i)) {
          absl::StrAppend(&line, " ", name, ":", value.value_or("null"));
        }
        kit.Line(line);
      }
    }
    return !result->ends.empty();
  });
  kit.Must((*reader)->Close(false), "Close");
  return kit.Trace();
}

std::string ControlRecordsOccupyOffsets(const ConformanceWorld& world) {
  Kit kit(world);
  const std::string topic = kit.Topic("t", 2);
  auto producer = kit.NewProducer("p");
  kit.Write(producer.get(), {topic, 0}, {"a", "b"});
  kit.Write(producer.get(), {topic, 0}, {"c"});
  kit.Until("the markers", [&] { return kit.admin().LogEnd({topic, 0}, Isolation::kReadCommitted).value_or(0) == 5; });
  kit.Line(kit.ReadAll({topic, 0}, Isolation::kReadCommitted));
  kit.Line(kit.ReadAll({topic, 0}, Isolation::kReadUncommitted));
  kit.Line(kit.ReadAll({topic, 0}, Isolation::kReadCommitted, 2));
  kit.Line(kit.ReadAll({topic, 0}, Isolation::kReadCommitted, 5));
  kit.Line(kit.ReadAll({topic, 1}, Isolation::kReadCommitted));
  kit.Line(kit.Range({topic, 0}));
  return kit.Trace();
}

std::string AbortedRecordsAreSkippedByReadCommitted(const ConformanceWorld& world) {
  Kit kit(world);
  const TopicPartition tp{kit.Topic("t", 1), 0};
  auto producer = kit.NewProducer("p");
  kit.Must(producer->Begin(), "Begin");
  kit.Must(producer->Produce(tp.topic, {{0, "k", "lost", nullptr}}), "Produce");
  kit.Must(producer->Flush(), "Flush");
  kit.Line("abort", producer->Abort());
  kit.Write(producer.get(), tp, {"kept"});
  kit.Must(producer->Begin(), "Begin");
  kit.Line("commit of nothing: ", OutcomeName(producer->Commit(nullptr)));
  kit.Must(producer->Begin(), "Begin");
  kit.Line("abort of nothing", producer->Abort());
  kit.Until("the markers", [&] { return kit.admin().LogEnd(tp, Isolation::kReadCommitted).value_or(0) == 4; });
  kit.Line(kit.ReadAll(tp, Isolation::kReadCommitted));
  kit.Line(kit.ReadAll(tp, Isolation::kReadUncommitted));
  return kit.Trace();
}

std::string AnOpenTransactionHidesLaterCommits(const ConformanceWorld& world) {
  Kit kit(world);
  const TopicPartition tp{kit.Topic("t", 1), 0};
  auto slow = kit.NewProducer("slow");
  auto fast = kit.NewProducer("fast");
  kit.Write(fast.get(), tp, {"a"});
  kit.Until("the marker", [&] { return kit.admin().LogEnd(tp, Isolation::kReadCommitted).value_or(0) == 2; });
  kit.Must(slow->Begin(), "Begin");
  kit.Must(slow->Produce(tp.topic, {{0, "k", "b", nullptr}}), "Produce");
  kit.Must(slow->Flush(), "Flush");
  kit.Write(fast.get(), tp, {"c"});
  kit.Until("the marker", [&] { return kit.admin().LogEnd(tp, Isolation::kReadUncommitted).value_or(0) == 5; });
  kit.Line(kit.Range(tp));
  kit.Line(kit.ReadAll(tp, Isolation::kReadCommitted));
  kit.Line(kit.ReadAll(tp, Isolation::kReadUncommitted));
  kit.Line("commit: ", OutcomeName(slow->Commit(nullptr)));
  kit.Until("the marker", [&] { return kit.admin().LogEnd(tp, Isolation::kReadCommitted).value_or(0) == 6; });
  kit.Line(kit.Range(tp));
  kit.Line(kit.ReadAll(tp, Isolation::kReadCommitted));
  return kit.Trace();
}

std::string ANewOwnerAbortsAndFencesTheOld(const ConformanceWorld& world) {
  Kit kit(world);
  const TopicPartition tp{kit.Topic("t", 1), 0};
  auto old = kit.NewProducer("p", 0);
  kit.Must(old->Begin(), "Begin");
  kit.Must(old->Produce(tp.topic, {{0, "k", "old", nullptr}}), "Produce");
  kit.Must(old->Flush(), "Flush");
  auto fresh = kit.NewProducer("p", 1);
  kit.Line(kit.Range(tp));
  kit.Line("commit of the old: ", OutcomeName(old->Commit(nullptr)));
  kit.Line("abort of the old", old->Abort());
  kit.Write(fresh.get(), tp, {"new"});
  kit.Until("the marker", [&] { return kit.admin().LogEnd(tp, Isolation::kReadCommitted).value_or(0) == 4; });
  kit.Line(kit.ReadAll(tp, Isolation::kReadCommitted));
  auto idle = kit.NewProducer("q", 0);
  auto taker = kit.NewProducer("q", 1);
  kit.Must(idle->Begin(), "Begin");
  const absl::Status produced = idle->Produce(tp.topic, {{0, "k", "zombie", nullptr}});
  kit.Line("flush of a fenced producer", produced.ok() ? idle->Flush() : produced);
  kit.Line(kit.ReadAll(tp, Isolation::kReadCommitted));
  return kit.Trace();
}

std::string WrittenTellsTheOffsetsOfATransaction(const ConformanceWorld& world) {
  Kit kit(world);
  const std::string topic = kit.Topic("t", 3);
  auto producer = kit.NewProducer("p", 0, {topic});
  const auto written = [&](int32_t partition) {
    const auto w = producer->Written({topic, partition});
    return w ? absl::StrCat(w->first, "..", w->second) : std::string("none");
  };
  kit.Must(producer->Begin(), "Begin");
  kit.Must(producer->Produce(topic, {{0, "k", "a", nullptr}, {1, "k", "b", nullptr}, {0, "k", "c", nullptr}}),
           "Produce");
  kit.Must(producer->Flush(), "Flush");
  kit.Line(written(0), " ", written(1), " ", written(2));
  kit.Line("commit: ", OutcomeName(producer->Commit(nullptr)));
  kit.Must(producer->Begin(), "Begin");
  kit.Must(producer->Produce(topic, {{0, "k", "d", nullptr}}), "Produce");
  kit.Must(producer->Flush(), "Flush");
  kit.Must(producer->Produce(topic, {{0, "k", "e", nullptr}}), "Produce");
  kit.Must(producer->Flush(), "Flush");
  kit.Line(written(0), " ", written(1), " ", written(2));
  kit.Line("commit: ", OutcomeName(producer->Commit(nullptr)));
  producer = kit.NewProducer("q");  // which doesn't ask
  kit.Must(producer->Begin(), "Begin");
  kit.Must(producer->Produce(topic, {{0, "k", "f", nullptr}}), "Produce");
  kit.Must(producer->Flush(), "Flush");
  kit.Line(written(0));
  kit.Line("commit: ", OutcomeName(producer->Commit(nullptr)));
  return kit.Trace();
}

std::string WhatWouldFailAgainIsAnInvalidArgument(const ConformanceWorld& world) {
  Kit kit(world);
  const TopicPartition tp{kit.Topic("t", 1), 0};
  auto producer = kit.NewProducer("p");
  std::string large(3 << 20, '\0');
  uint32_t noise = 1;
  for (char& c : large) c = static_cast<char>((noise = noise * 1664525 + 1013904223) >> 24);  // doesn't compress
  kit.Must(producer->Begin(), "Begin");
  kit.Must(producer->Produce(tp.topic, {{0, "k", "before", nullptr}}), "Produce");
  absl::Status status = producer->Produce(tp.topic, {{0, "k", large, nullptr}});
  if (status.ok()) status = producer->Flush();
  kit.Line("a record too large", status);
  kit.Line("commit after it: ", OutcomeName(producer->Commit(nullptr)));
  kit.Line("abort", producer->Abort());
  kit.Must(producer->Begin(), "Begin");
  kit.Line("an unknown partition", producer->Produce(tp.topic, {{1, "k", "v", nullptr}}));
  kit.Line("abort", producer->Abort());
  kit.Must(producer->Begin(), "Begin");
  kit.Line("an unknown topic", producer->Produce(kit.Name("nowhere"), {{0, "k", "v", nullptr}}));
  kit.Line("abort", producer->Abort());
  // librdkafka may need one more abort before it finds its sequence again.
  bool committed = false;
  kit.Until("a commit", [&] {
    kit.Must(producer->Begin(), "Begin");
    kit.Must(producer->Produce(tp.topic, {{0, "k", "after", nullptr}}), "Produce");
    committed = producer->Flush().ok() && producer->Commit(nullptr) == CommitOutcome::kCommitted;
    if (!committed) kit.Must(producer->Abort(), "Abort");
    return committed;
  });
  std::string all;
  kit.Until("the last record", [&] {
    all = kit.ReadAll(tp, Isolation::kReadCommitted);
    return all.find("after") != std::string::npos;
  });
  kit.Line(all.find("before") == std::string::npos ? "only the last is there" : all);
  return kit.Trace();
}

std::string ATransactionThatTakesTooLongIsAborted(const ConformanceWorld& world) {
  Kit kit(world);
  const TopicPartition tp{kit.Topic("t", 1), 0};
  auto producer = kit.NewProducer("p");
  kit.Must(producer->Begin(), "Begin");
  kit.Must(producer->Produce(tp.topic, {{0, "k", "late", nullptr}}), "Produce");
  kit.Must(producer->Flush(), "Flush");
  // A poll of an idle reader is how time passes on both sides.
  ConsumerOptions options;
  options.client_id = "reader";
  auto reader = kit.client(0).NewConsumer(options);
  kit.Must((*reader)->Assign({{tp, 0}}), "Assign");
  kit.Until("the abort", [&] {
    kit.Must((*reader)->Poll(20'000, 100).status(), "Poll");
    return kit.admin().LogEnd(tp, Isolation::kReadCommitted).value_or(0) == 2;
  });
  kit.Line(kit.Range(tp));
  kit.Line("commit: ", OutcomeName(producer->Commit(nullptr)));
  kit.Line(kit.ReadAll(tp, Isolation::kReadCommitted));
  kit.Must((*reader)->Close(false), "Close");
  return kit.Trace();
}

std::string TrimmedRecordsAreOutOfRange(const ConformanceWorld& world) {
  Kit kit(world);
  const TopicPartition tp{kit.Topic("t", 1), 0};
  auto producer = kit.NewProducer("p");
  kit.Write(producer.get(), tp, {"a", "b", "c"});
  kit.Until("the marker", [&] { return kit.admin().LogEnd(tp, Isolation::kReadCommitted).value_or(0) == 4; });
  kit.Line("trim", kit.admin().DeleteRecords({{tp, 2}}));
  kit.Line("trim again", kit.admin().DeleteRecords({{tp, 1}}));
  kit.Line("trim behind the end", kit.admin().DeleteRecords({{tp, 9}}));
  kit.Line(kit.Range(tp));
  kit.Line(kit.ReadAll(tp, Isolation::kReadCommitted));
  kit.Line(kit.ReadAll(tp, Isolation::kReadCommitted, 1));
  kit.Line(kit.ReadAll(tp, Isolation::kReadCommitted, 7));
  kit.Line("first offset: ", kit.admin().OffsetForTime(tp, 0).value_or(-9));
  kit.Line("offset of tomorrow: ", kit.admin().OffsetForTime(tp, 4'000'000'000'000).value_or(-9));
  return kit.Trace();
}

std::string TopicsAreCreatedOnce(const ConformanceWorld& world) {
  Kit kit(world);
  const std::string a = kit.Name("a"), b = kit.Name("b");
  const auto describe = [&] {
    const auto infos = kit.admin().Describe({a, b});
    if (!kit.Must(infos.status(), "Describe")) return;
    for (const auto& [name, info] : *infos) kit.Line(name, " has ", info.partitions);
    kit.Line(infos->size(), " topics");
  };
  describe();
  kit.Line("create", kit.admin().CreateTopics({{a, 2, -1, {}}}));
  kit.Line("create again", kit.admin().CreateTopics({{a, 5, -1, {}}, {b, 1, 1, {{"retention.ms", "-1"}}}}));
  describe();
  kit.Line("range of an unknown partition", kit.admin().LogStart({a, 2}).status());
  return kit.Trace();
}

std::string ManyEndsComeByOneRequest(const ConformanceWorld& world) {
  Kit kit(world);
  const std::string a = kit.Topic("a", 2), b = kit.Topic("b", 1);
  auto producer = kit.NewProducer("p");
  kit.Write(producer.get(), {a, 0}, {"x", "y", "z"});
  kit.Until("the marker", [&] { return kit.admin().LogEnd({a, 0}, Isolation::kReadCommitted).value_or(0) == 4; });
  kit.Must(kit.admin().DeleteRecords({{{a, 0}, 2}}), "DeleteRecords");
  kit.Must(producer->Begin(), "Begin");
  kit.Must(producer->Produce(b, {{0, "k", "open", nullptr}}), "Produce");
  kit.Must(producer->Flush(), "Flush");
  const std::vector<TopicPartition> asked = {{b, 0}, {a, 0}, {a, 1}, {a, 7}, {kit.Name("none"), 0}};
  const auto show = [&](const char* what, const absl::StatusOr<std::map<TopicPartition, Offset>>& offsets) {
    std::string text;
    if (!kit.Must(offsets.status(), what)) return;
    for (const auto& [tp, offset] : *offsets) absl::StrAppend(&text, " ", ToString(tp), "=", offset);
    kit.Line(what, ":", text);
  };
  show("starts", kit.admin().LogStarts(asked));
  show("committed", kit.admin().LogEnds(asked, Isolation::kReadCommitted));
  show("all", kit.admin().LogEnds(asked, Isolation::kReadUncommitted));
  show("of nothing", kit.admin().LogEnds({}, Isolation::kReadUncommitted));
  kit.Line("of what isn't there", kit.admin().LogEnds({{kit.Name("none"), 0}}, Isolation::kReadUncommitted).status());
  kit.Must(producer->Abort(), "Abort");
  return kit.Trace();
}

std::string ATopicHasAnIdOfItsOwn(const ConformanceWorld& world) {
  Kit kit(world);
  const std::string a = kit.Topic("a", 1), b = kit.Topic("b", 1);
  const auto id = [&](const std::string& topic) {
    auto infos = kit.admin().Describe({a, b});
    return kit.Must(infos.status(), "Describe") ? (*infos)[topic].id : "";
  };
  kit.Line(id(a).empty() || id(b).empty() ? "no id" : "ids");
  kit.Line(id(a) == id(b) ? "one id" : "two ids");
  kit.Line(id(a) == id(a) ? "always the same" : "changing");
  return kit.Trace();
}

}  // namespace tidemark::sim
