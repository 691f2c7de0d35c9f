#include "src/runtime/worker_lineage.h"

#include <utility>

#include "src/base/status.h"

namespace tidemark {
namespace {

// For events of the run's end.
constexpr int64_t kPatienceUs = kSecond;

}  // namespace

absl::Status WorkerLineage::Open(const LineageSpec& spec, LineageText text, std::string worker,
                                 OpenLineageTopic open_topic) {
  TM_ASSIGN_OR_RETURN(sender_, NewLineageSender(spec, std::move(text), clock_, std::move(open_topic)));
  run_.emplace(std::move(worker), spec.every_us, [clock = clock_] { return NewRunId(clock->WallUs()); });
  return absl::OkStatus();
}

void WorkerLineage::Follow(const std::vector<HeardReport>& others, bool stops, live::WorkerReport* own) {
  std::vector<LineageRun::Other> runs;
  for (const HeardReport& other : others) {
    runs.push_back({other.report.worker(), other.report.run(), other.report.run_began_ms()});
  }
  sender_->Send(run_->Step(clock_->MonotonicUs(), clock_->WallUs(), runs));
  if (stops) return;
  own->set_run(run_->run());
  own->set_run_began_ms(run_->began_ms());
}

void WorkerLineage::Finish(const absl::Status& ended) {
  if (!opened()) return;
  sender_->Send(run_->Finish(clock_->WallUs(), ended));
  sender_->Close(kPatienceUs);
}

std::vector<LineageStatus> WorkerLineage::status() const {
  return opened() ? sender_->status() : std::vector<LineageStatus>();
}

}  // namespace tidemark
