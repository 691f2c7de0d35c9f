// Inputs that run ahead. A step of several inputs may have to keep all that one of them brings until the others' time
// has passed it, as a join of streams does: with a backlog of a year on one side and of a day on the other, a year of
// rows. Such a step says which input is ahead (Operator::Ahead), and the task reads it no further while the others come
// up. What isn't read stays in Kafka; what comes out depends on none of it, only how much is kept meanwhile.
//
// An input waits only where that can help, and never for good:
//   - Rows of it reach no other input of the step, as where a stream is joined with itself.
//   - It isn't the one that is furthest behind of the task's, so some input is always read.
//   - The one that is furthest behind has moved within the last ten seconds. An input that is silent, and not yet idle,
//     isn't coming up: then all are read on.
//
// An input that waits isn't idle: what stands behind its position is unread because of us. So it holds time back as any
// slow input does, and is silent, for `idle_after`, only from then on when it is read again. One of an internal topic
// is told by the stages above when it is idle; the word that was read before it waited doesn't count, for ten seconds
// after it either.
#include <algorithm>

#include "src/runtime/task_parts.h"

namespace tidemark {
namespace {

constexpr int64_t kStillMoving = 10 * kSecond;

}  // namespace

void Task::NoteSlowest(int64_t now_us) {
  MarkMinimum minimum;
  for (const auto& input : inputs_) minimum.Add(input->mark());
  const EventTime slowest = minimum.Get().watermark;
  if (slowest == slowest_ && slowest_moved_us_ >= 0) return;
  slowest_ = slowest;
  slowest_moved_us_ = now_us;
}

std::set<TaskInput*> Task::InputsAbove(size_t node, size_t port) const {
  std::set<TaskInput*> inputs;
  std::vector<int> open = nodes_[node]->node->in(port).nodes;
  std::set<int> seen(open.begin(), open.end());
  while (!open.empty()) {
    const NodeState& at = *nodes_[static_cast<size_t>(open.back())];
    open.pop_back();
    if (at.input != nullptr) inputs.insert(at.input);
    for (const int above : at.node->upstream()) {
      if (seen.insert(above).second) open.push_back(above);
    }
  }
  return inputs;
}

void Task::FindAhead() {
  for (const auto& input : inputs_) input->held = false;
  if (runtime_.clock->MonotonicUs() - slowest_moved_us_ > kStillMoving) return;
  for (size_t n = 0; n < nodes_.size(); ++n) {
    const NodeState& state = *nodes_[n];
    for (size_t p = 0; p < state.node->inputs.size(); ++p) {
      if (state.op == nullptr || state.node->inputs.size() < 2 || !state.op->Ahead(p)) continue;
      std::set<TaskInput*> ahead = InputsAbove(n, p);
      for (size_t other = 0; other < state.node->inputs.size(); ++other) {
        if (other == p) continue;
        for (TaskInput* const input : InputsAbove(n, other)) ahead.erase(input);
      }
      for (TaskInput* const input : ahead) input->held = input->held || input->mark().watermark > slowest_;
    }
  }
}

}  // namespace tidemark
