// Rows of a step into Parquet files, exactly once: one object a sink and feed partition, touched by its sink thread.
//
// Rows gather into one file a Hive folder until a cut. Cut() closes the files under staged names that no *.parquet glob
// sees and makes them durable; the manifest it returns is written by the sink thread in ONE Kafka transaction with the
// feed's offset: that is the decision. Publish() then moves the files to their final names, which follow from sink,
// task identity, partition and offsets alone. Whoever opens the partition next calls Recover() with the newest
// committed manifest: it repeats the moves and deletes every other stage. So a plain glob never shows a row twice, nor
// one that isn't committed; a row appears once the move is done.
//
//   rows -> Add* -> Cut -> StagedCut -> [transaction: offset + manifest] -> Publish -> Add* ...
//             \       \                     \-> aborted: drop the cut, open a new object, Recover, read the feed again
//              \-------\-> failed: the same. Nothing of an object that has failed is ever used: Cut takes it away
//                          from its caller, and gives it back only with a cut that succeeded
//
// A file holds the visible columns, except a column by which the files are partitioned as it is: its value stands in
// the folder's name, where readers of Hive folders take it from. zstd, row groups of about 16 MiB in memory.
//
// Of an update step each change is a row (spec.changes), with what it does, its time and its place beside the step's
// columns: LakeSchema. A place is the first offset of the Add, and a number within it: no two rows of the lake have the
// same, and it grows. It is no name of the change: one that is read again, of which nothing was published before, may
// come with others and get another place.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "operators/sinks/failure.h"
#include "proto/packed.pb.h"
#include "src/base/batch.h"
#include "src/base/schema.h"
#include "src/plan/plan.h"
#include "src/storage/object_store.h"

namespace tidemark {

struct ParquetSinkOptions {
  ParquetSinkSpec spec;
  std::string sink;      // its name
  Schema schema;         // of the step
  StepMode mode;         // update steps only with spec.changes
  std::string identity;  // of the task: 16 bytes, the first 4 go into names as 8 hex digits
  int32_t partition = 0;
  uint64_t attempt = 0;  // random: no other object ever stages under the same names
};

class StagedCut;

class ParquetSink {
 public:
  // Abandons what isn't cut: closes and deletes it. The rows are still in the feed, and what can't be deleted, Recover
  // will.
  virtual ~ParquetSink() = default;

  // InvalidArgument: an update step without spec.changes, or an expression of partition_by that doesn't compile. `lake`
  // outlives the sink and may be shared.
  static absl::StatusOr<std::unique_ptr<ParquetSink>> Open(ParquetSinkOptions options, ObjectStore* lake);

  // OK: this owner of the partition has no successor yet. Any other status is an answer to the caller.
  using StillOwned = std::function<absl::Status()>;

  // To be called first: publishes `committed`, the newest manifest of this sink and partition (null: none), and deletes
  // every other stage of theirs. Files of it that are neither staged nor at their final names were published before,
  // and taken away since by somebody else.
  // Where there is something to delete, `owned` is asked after it was listed: an owner that was frozen for a while and
  // has a successor since would find the successor's stages too, which may be decided by now.
  virtual absl::Status Recover(const packed::Manifest* committed, const StillOwned& owned = nullptr) = 0;

  // Takes the rows of the feed's offsets [first_offset, next_offset); null for records without rows. Offsets may have
  // gaps but not overlap. A row whose folder can't be computed goes to `failures` and nowhere else. After an error the
  // object gives it again whatever is asked of it: drop it.
  virtual absl::Status Add(const Batch& rows, int64_t first_offset, int64_t next_offset, int64_t now_us,
                           std::vector<SinkRowFailure>* failures) = 0;

  // A file has reached max_bytes, the oldest row max_age, or the cut its bound of open files. `now_us` is wall time.
  virtual bool ShouldCut(int64_t now_us) const = 0;
  // Wall time at which max_age will be reached; kMaxTime's value where there are no rows.
  virtual int64_t CutDueUs() const = 0;

  // Closes and syncs all files. The manifest covers every offset since the last cut, and has no files where there were
  // no rows. On an error the object is gone.
  static absl::StatusOr<StagedCut> Cut(std::unique_ptr<ParquetSink> sink);

  // Moves the files of a committed manifest; idempotent. Unavailable: call again. FailedPrecondition: a final name is
  // taken by other content, or a file is gone that hasn't been moved yet.
  virtual absl::Status Publish(const packed::Manifest& manifest) = 0;

  // Writes the largest buffer to its file, for an owner of several sinks whose buffers are too large together. Errors
  // as Add's.
  virtual absl::Status Spill() = 0;

  virtual int64_t rows() const = 0;            // since the last cut
  virtual int64_t buffered_bytes() const = 0;  // in memory
  virtual size_t open_files() const = 0;

 protected:
  virtual absl::StatusOr<packed::Manifest> Stage() = 0;
};

// What a successful cut leaves: durable files under staged names, the manifest that names them, and the object, ready
// for the rows that come next.
class StagedCut {
 public:
  packed::Manifest manifest;
  std::unique_ptr<ParquetSink> sink;

 private:
  friend class ParquetSink;
  StagedCut(packed::Manifest named, std::unique_ptr<ParquetSink> cut)
      : manifest(std::move(named)), sink(std::move(cut)) {}
};

}  // namespace tidemark
