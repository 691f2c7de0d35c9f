// A raw lake as a log: Parquet files that hold a topic's records, a row each, with partition, offset and timestamp
// beside key and value (LakeSpec names the columns). Files may lie in any folders below the lake's, on a disk or in S3,
// in any order, and a row group may hold several partitions: records are read in the order of their offsets all the
// same.
//
// What there is is found once, by Open, from the files' footers where they tell it and from the columns of numbers
// where they don't. Files that come later aren't seen, so that a reader's log doesn't change under it.
//
// A row that stands in the lake twice, as behind a `tidemark reset`, is one record; two rows of one place that differ
// are an error. Which offsets are missing only who reads can judge: LakeReader tells every offset that it has.
//
// Memory: of each partition that is read, the row groups that overlap at one offset; of what a Parquet sink writes,
// those of one cut. Codes: FailedPrecondition: what stands in the lake is wrong, and where. Unavailable: it can't be
// read now.
//
// A LakeLog is immutable: any thread. A LakeReader is used by one.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/base/record.h"
#include "src/landing/lake_folder.h"
#include "src/plan/lake_spec.h"

namespace tidemark {

// Some consecutive records, which live as long as this does.
struct LakeRecords {
  std::vector<RecordView> records;
  std::vector<std::shared_ptr<const void>> kept;
};

class LakeReader {
 public:
  virtual ~LakeReader() = default;

  // The offset of the next record; nothing where there is none.
  virtual absl::StatusOr<std::optional<Offset>> Peek() = 0;
  // The next ones, up to `most` of them, ascending, all before `end`. None where there are none.
  virtual absl::StatusOr<LakeRecords> Next(size_t most, Offset end) = 0;
};

class LakeLog {
 public:
  static absl::StatusOr<std::shared_ptr<const LakeLog>> Open(const LakeSpec& spec);

  // The first offset and the one behind the last; nothing where the lake has none of the partition.
  std::optional<std::pair<Offset, Offset>> RangeOf(int32_t partition) const;
  // The first offset whose record isn't older; nothing where all are.
  absl::StatusOr<std::optional<Offset>> FirstNotOlder(int32_t partition, int64_t timestamp_ms) const;
  // Behind the last of its records in front of this offset; nothing where there is none.
  absl::StatusOr<std::optional<Offset>> EndBefore(int32_t partition, Offset offset) const;
  // Its records from this offset on. The log outlives it.
  std::unique_ptr<LakeReader> Read(int32_t partition, Offset from) const;

 private:
  friend class LakeIndexer;
  friend class LakeReaderImpl;
  // Of one partition in a row group.
  struct Group {
    size_t file = 0;
    int row_group = 0;
    Offset first = 0, last = 0;
    int64_t newest_ms = 0;
  };

  explicit LakeLog(LakeSpec spec) : spec_(std::move(spec)) {}

  const LakeSpec spec_;
  std::shared_ptr<const LakeFolder> folder_;
  std::vector<std::string> files_;
  std::map<int32_t, std::vector<Group>> groups_;  // by partition, in the order of their first offsets
};

}  // namespace tidemark
