// Which records from an outside can be rows of their source, before any of them goes in: decoded as the task that reads
// the source's topic will. Used by one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/codec/source_decoder.h"
#include "src/landing/file_records.h"

namespace tidemark {

class RecordCheck {
 public:
  // `plan` outlives it.
  static absl::StatusOr<std::unique_ptr<RecordCheck>> Make(const SourcePlan& plan, const Formats& formats);

  // Why each of the records can't be a row; "": it can. `place`: the headers that all of them will have, besides their
  // line. `timestamp_ms`: of the records; -1: nobody asks for it. Unavailable: it waits for what isn't here.
  absl::Status Check(const HeaderList& place, int64_t timestamp_ms, const std::vector<FileRecord>& records,
                     std::vector<std::string>* reasons);

 private:
  explicit RecordCheck(const SourcePlan& plan) : plan_(plan) {}

  const SourcePlan& plan_;
  std::unique_ptr<SourceDecoder> decoder_;
};

// Where in its text, in bytes from 0, the JSON record fails for this reason: where it isn't JSON, or where the value of
// the column that the reason speaks of begins; else its beginning.
size_t PlaceOfReason(const SourcePlan& plan, const std::string& json, const std::string& reason);

}  // namespace tidemark
