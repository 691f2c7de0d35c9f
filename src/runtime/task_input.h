// One input of a task: a partition of a source's topic or of an internal one, the position in it, and how far time has
// come there. Touched by the task's stream thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "src/base/record.h"
#include "src/codec/source_decoder.h"
#include "src/plan/plan.h"
#include "src/runtime/edge_reader.h"
#include "src/runtime/heard.h"
#include "src/runtime/input_time.h"

namespace tidemark {

// A record may have to wait for something that isn't here yet (src/codec/value_reader.h). Its fetch is kept then, as is
// all that comes behind it, and the position stays in front of it: what is kept is no state, whoever opens the task
// next reads it again. A partition that waits is neither idle nor at its end, so its watermark holds the others' rows
// as if it were slow.
struct SourceInput {
  explicit SourceInput(const SourcePlan* source) : plan(source), time(source->event_time) {
    if (source->intake()) heard.emplace();
  }

  bool waits() const { return !kept.empty(); }

  const SourcePlan* plan;
  std::unique_ptr<SourceDecoder> decoder;  // since the task was opened
  SourceInputTime time;
  std::optional<Heard> heard;  // of a topic that an intake fills: its records are numbered (intake.h, rule 6)

  std::deque<std::unique_ptr<Fetch>> kept;
  size_t next = 0;  // the record of the first of them that waits
  std::string waits_for;
  int64_t waits_since_us = 0;        // monotonic
  bool wait_said = false;            // in the log
  std::optional<Offset> end_behind;  // the end that was reached behind what is kept
  int64_t unnamed_columns = 0;       // since the task was opened
};

struct InternalInput {
  // `had`: ColumnsHad of the edge.
  InternalInput(const Edge* from, const TopicPartition& partition, std::vector<std::string> had = {})
      : edge(from), reader(partition, BatchSchema(from->schema, from->hidden), std::move(had)) {}

  const Edge* edge;
  EdgeReader reader;
  InternalInputTime time;
};

struct TaskInput {
  TaskInput(int at, TopicPartition from, std::variant<SourceInput, InternalInput> what)
      : node(at), partition(std::move(from)), of(std::move(what)) {}

  SourceInput* source() { return std::get_if<SourceInput>(&of); }
  const SourceInput* source() const { return std::get_if<SourceInput>(&of); }
  InternalInput* internal() { return std::get_if<InternalInput>(&of); }
  Mark mark() const {
    Mark mark = std::visit([](const auto& input) { return input.time.mark(); }, of);
    mark.idle = mark.idle && !held && held_us < 0;
    return mark;
  }

  const int node;  // of the stage, which takes its rows
  const TopicPartition partition;
  Offset position = -1;
  std::string topic_id;  // of the topic that the position belongs to; empty: not known
  bool at_end = false;
  bool withheld = false;  // more is there than was handed out (generations/withheld.h): the end that was told isn't one
  int64_t stands_for = 0;  // likewise: the switch until which nothing more comes that isn't fixed; 0: none
  bool held = false;       // far ahead of others: it is read no further for now (task_ahead.cc)
  int64_t held_us = -1;    // internal: when it was last, monotonic; -1: long ago
  std::variant<SourceInput, InternalInput> of;
};

}  // namespace tidemark
