// `tidemark switch --verify "diff <= 0.1%"`: what generation n+1, which is built, has made of the records up to the cut
// is compared with what n has made of the same records, target by target, before it takes n's place. Over the bound
// the switch is taken back.
//
// It is done while both stand at the cut behind a fence (switch.h, between steps 3 and 4): earlier one of the two would
// be ahead, later it would be of no use. Whether the fence of n still stands is looked at behind it. By then no sink
// has anything to write any more; what is decided of lakes is published first, and of topics nothing is read while a
// transaction is open in them.
//
//   tables                      rows by the sink's key; without a key as often as each stands there. By the database
//   topics by a key             the newest value of each key, as its format decodes it
//   topics that append          as often as each row stands there, where both hold all that was ever written
//   views                       the row of each key that readers are shown, where the logs of both end
//   lakes                       as often as each row stands there; of changes, what is left of it once all are added up
//
// Rows are compared by the columns that both have (compared_columns.h). Hashes of rows are what is kept, in bounded
// memory (row_tally.h). Used by one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/base/clock.h"
#include "src/codec/formats.h"
#include "src/kafka/client.h"
#include "src/plan/plan.h"

namespace tidemark {

// Of rows by a key: keys that one side alone has, and those whose rows differ. Else of rows, as often as they stand
// there, and nothing differs. `of`: all that stand on either side, each counted once.
struct TargetDifference {
  int64_t only_before = 0, only_after = 0, differing = 0, of = 0;

  int64_t rows() const { return only_before + only_after + differing; }
  void Add(const TargetDifference& other);
};

// "diff <= 0.1%", or "diff <= 0.1% in all columns".
struct VerifyBound {
  int64_t millionths = 0;    // of a percent
  bool all_columns = false;  // those that only one of the two has, too

  bool Holds(const TargetDifference& difference) const;
  std::string ToString() const;
};
absl::StatusOr<VerifyBound> ParseVerifyBound(std::string_view text);

// "3 rows only before, 0 only after, 1 differs, of 1204: 0.332226%".
std::string DifferenceText(const TargetDifference& difference, bool by_key);

struct CompareTime {
  // Both stand at the cut: what is open is waited for (Unavailable), what is decided is published. Else they are read
  // as they are.
  bool at_cut = true;
  std::function<absl::Status()> go_on = [] { return absl::OkStatus(); };  // asked now and then; its error is the answer
};

class TargetComparison {
 public:
  virtual ~TargetComparison() = default;

  // Before anything changes. InvalidArgument: the two can't be compared, and why. Unavailable: ask again.
  virtual absl::Status Prepare() = 0;
  // Codes as above. Changes nothing that a reader sees.
  virtual absl::StatusOr<TargetDifference> Compare(const CompareTime& time) = 0;
  // "sink table: public.orders with public.orders__g2, by route".
  virtual std::string Describe() const = 0;
  virtual bool by_key() const = 0;
};

struct ComparisonRequest {
  const Plan* before = nullptr;  // the active generation, and the one that is built, with their final names
  const Plan* after = nullptr;
  bool built_first = true;         // `after` has never been active: its shadows hold all that it has ever made
  std::vector<std::string> sinks;  // and views that are compared, by name; empty: all
  bool all_columns = false;
  const Formats* before_formats = &OwnFormats();  // outlive the comparisons
  const Formats* after_formats = &OwnFormats();
};

struct Comparisons {
  std::vector<std::unique_ptr<TargetComparison>> units;
  std::vector<std::string> notes;  // what isn't compared, and why that is no mistake
};

// InvalidArgument: what can't be compared, all of it, and how to leave it out. `kafka` and `clock` outlive it.
absl::StatusOr<Comparisons> ComparisonsOf(const ComparisonRequest& request, KafkaClient* kafka, Clock* clock);

}  // namespace tidemark
