// When a run to the end (end_watcher.h) is through with the files of a source: every file that was there when it began
// has a note that is committed, or lies there no more. Goes by the zone and the log of notes alone, so it doesn't
// matter which worker reads the files. Used by one thread.
#pragma once

#include <map>
#include <memory>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/kafka/client.h"
#include "src/landing/landing_zone.h"
#include "src/runtime/outside_end.h"
#include "src/runtime/runtime.h"

namespace tidemark {

class FilesEnd final : public OutsideEnd {
 public:
  // `source` has files and outlives this, as does `runtime`.
  FilesEnd(const Runtime& runtime, const SourcePlan& source);

  // Takes the files that are there.
  absl::Status Take() override;
  // How many of them aren't through yet. Asks the brokers.
  absl::StatusOr<size_t> Missing() override;
  std::string what() const override { return source_.name + ": files"; }

 private:
  const Runtime& runtime_;
  const SourcePlan& source_;
  const std::unique_ptr<LandingZone> zone_;
  std::map<std::string, LandedFile> missing_;
  std::unique_ptr<Consumer> notes_;
};

}  // namespace tidemark
