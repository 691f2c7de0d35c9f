// What a task keeps of each of its nodes. Private to the task's own files.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "src/runtime/row_samples.h"
#include "src/runtime/task.h"
#include "src/runtime/task_input.h"

namespace tidemark {

struct Task::NodeState {
  const Node* node = nullptr;
  std::vector<std::pair<int, int>> readers;  // (node, number of its input) of those that read this node
  std::unique_ptr<Operator> op;
  std::unique_ptr<Emitter> emitter;
  std::unique_ptr<Output> output;
  TaskInput* input = nullptr;
  StepLedger ledger;
  EventTime reached = kMinTime;  // the input watermark the operator was given last
  Mark mark;                     // what it let through
  CommitSamples samples;         // of its rows, while somebody looks
};

}  // namespace tidemark
