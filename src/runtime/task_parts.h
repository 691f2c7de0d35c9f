// What a task keeps of each of its inputs and nodes. Private to the task's own files.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "src/runtime/edge_reader.h"
#include "src/runtime/task.h"

namespace tidemark {

struct Task::Input {
  int node = -1;
  TopicPartition partition;
  Offset position = -1;
  std::string topic_id;  // of the topic that the position belongs to; empty: not known
  bool at_end = false;
  // One of the two:
  const SourcePlan* source = nullptr;
  std::unique_ptr<SourceDecoder> decoder;
  std::optional<SourceInputTime> source_time;
  const Edge* edge = nullptr;
  std::optional<EdgeReader> reader;
  InternalInputTime internal_time;

  Mark mark() const { return source != nullptr ? source_time->mark() : internal_time.mark(); }
};

struct Task::NodeState {
  const Node* node = nullptr;
  std::vector<std::pair<int, int>> readers;  // (node, number of its input) of those that read this node
  std::unique_ptr<Operator> op;
  std::unique_ptr<Emitter> emitter;
  std::unique_ptr<Output> output;
  Input* input = nullptr;
  StepLedger ledger;
  EventTime reached = kMinTime;  // the input watermark the operator was given last
  Mark mark;                     // what it let through
};

}  // namespace tidemark
