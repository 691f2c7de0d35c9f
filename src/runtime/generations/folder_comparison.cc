#include "src/runtime/generations/folder_comparison.h"

#include <string_view>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <arrow/array.h>

#include "src/base/status.h"
#include "src/landing/lake_rows.h"
#include "src/runtime/generations/compared_rows.h"
#include "src/runtime/generations/row_tally.h"

namespace tidemark {
namespace {

class FolderComparison final : public TargetComparison {
 public:
  explicit FolderComparison(FolderComparisonTarget target) : target_(std::move(target)) {}

  absl::Status Prepare() override { return absl::OkStatus(); }

  absl::StatusOr<TargetDifference> Compare(const CompareTime& time) override {
    if (time.at_cut) TM_RETURN_IF_ERROR(Annotate(target_.settle(), target_.sink));
    RowTally tally(RowTally::By::kRow, target_.most_entries);
    while (tally.Begin()) {
      TM_RETURN_IF_ERROR(Annotate(Take(RowTally::Side::kBefore, time, &tally), target_.sink));
      TM_RETURN_IF_ERROR(Annotate(Take(RowTally::Side::kAfter, time, &tally), target_.sink));
      tally.End();
    }
    return tally.difference();
  }

  std::string Describe() const override {
    return absl::StrCat(target_.sink, ": lake ", target_.before, " with ", target_.after,
                        target_.changes ? ", what is left of each row" : ", row by row");
  }
  bool by_key() const override { return false; }

 private:
  absl::Status Take(RowTally::Side side, const CompareTime& time, RowTally* tally) {
    const bool before = side == RowTally::Side::kBefore;
    std::vector<Column> read;
    std::vector<size_t> places;  // of those among all that are compared
    for (size_t c = 0; c < target_.columns.columns.size(); ++c) {
      const ComparedColumn& column = target_.columns.columns[c];
      if (!(before ? column.before : column.after)) continue;
      read.push_back({column.name, column.type, true});
      places.push_back(c);
    }
    if (target_.changes) read.push_back({kLakeOp, {Kind::kString}, true});
    const auto take = [&](const arrow::ArrayVector& arrays, int64_t rows) -> absl::Status {
      TM_RETURN_IF_ERROR(time.go_on());
      arrow::ArrayVector placed(target_.columns.columns.size());
      for (size_t i = 0; i < places.size(); ++i) placed[places[i]] = arrays[i];
      TM_RETURN_IF_ERROR(HashRows(target_.columns.columns, placed, rows, &hashes_));
      const arrow::Array* const op = target_.changes ? arrays.back().get() : nullptr;
      for (size_t row = 0; row < hashes_.size(); ++row) tally->Add(side, hashes_[row], Times(op, row));
      return absl::OkStatus();
    };
    return ReadLakeRows(before ? target_.before : target_.after, read, take);
  }

  static int64_t Times(const arrow::Array* op, size_t row) {
    if (op == nullptr) return 1;
    const std::string_view what = static_cast<const arrow::StringArray&>(*op).GetView(static_cast<int64_t>(row));
    return what == "insert" || what == "update_after" ? 1 : -1;
  }

  const FolderComparisonTarget target_;
  std::vector<XXH128_hash_t> hashes_;
};

}  // namespace

std::unique_ptr<TargetComparison> MakeFolderComparison(FolderComparisonTarget target) {
  return std::make_unique<FolderComparison>(std::move(target));
}

}  // namespace tidemark
