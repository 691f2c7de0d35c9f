// The run that catalogues are told of, of one worker (`lineage`): which events there are and who tells them is decided
// by LineageRun among the workers that the status board hears of, and LineageSender delivers them.
//
// Open and Finish are called by the main thread, Follow by the board's; Finish once the board has ended. status: any.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/status.h>

#include "src/base/clock.h"
#include "src/plan/lineage_spec.h"
#include "src/runtime/lineage_run.h"
#include "src/runtime/lineage_sender.h"
#include "src/runtime/status_reader.h"

namespace tidemark {

class WorkerLineage {
 public:
  explicit WorkerLineage(Clock* clock) : clock_(clock) {}

  // `spec` isn't empty. `open_topic`: where events go into one.
  absl::Status Open(const LineageSpec& spec, LineageText text, std::string worker, OpenLineageTopic open_topic);
  // Nothing is told before.
  bool opened() const { return sender_ != nullptr; }

  // Tells what is to be told now that these others are there, and says in `own` which run this worker is part of. With
  // `stops`, of none, so that others that stop too know that they are the last.
  void Follow(const std::vector<HeardReport>& others, bool stops, live::WorkerReport* own);
  // The last word: how this worker has ended.
  void Finish(const absl::Status& ended);

  std::vector<LineageStatus> status() const;

 private:
  Clock* const clock_;
  std::unique_ptr<LineageSender> sender_;  // null: not opened
  std::optional<LineageRun> run_;
};

}  // namespace tidemark
