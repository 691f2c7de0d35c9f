// A changelog partition in memory, with what a real one has: markers that occupy offsets, aborted records that nobody
// reads, a start that moves up.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/status.h>

#include "src/base/status.h"
#include "state/task_state.h"

namespace tidemark {

class FakeLog {
 public:
  // The records of one transaction and its marker. Returns the offsets of the first record and behind the last.
  std::pair<Offset, Offset> Append(const std::vector<std::string>& values, bool committed) {
    const Offset first = end();
    for (const std::string& value : values) records_.push_back({value, committed});
    const Offset behind = end();
    records_.push_back({"", false});
    return {first, behind};
  }

  void Trim(Offset before) {
    for (; start_ < before && !records_.empty(); ++start_) records_.pop_front();
  }

  // Every record that a reader of committed ones sees.
  template <typename Seen>
  void ForEach(Seen seen) const {
    for (Offset offset = start_; offset < end(); ++offset) {
      const Record& record = records_[static_cast<size_t>(offset - start_)];
      if (record.visible) seen(offset, record.value);
    }
  }

  Offset start() const { return start_; }
  Offset end() const { return start_ + static_cast<Offset>(records_.size()); }
  int64_t bytes() const {
    int64_t bytes = 0;
    for (const Record& record : records_) bytes += static_cast<int64_t>(record.value.size());
    return bytes;
  }

  // Brings the state up to the log's end, as the runtime does when it opens a task.
  absl::Status Restore(TaskState* state) const {
    if (state->changelog_next() < start_ || state->changelog_next() > end()) {
      TM_RETURN_IF_ERROR(state->Clear());
    }
    for (Offset offset = std::max(start_, state->changelog_next()); offset < end(); ++offset) {
      const Record& record = records_[static_cast<size_t>(offset - start_)];
      if (record.visible) TM_RETURN_IF_ERROR(state->Replay(offset, record.value));
    }
    return state->FinishReplay(end());
  }

 private:
  struct Record {
    std::string value;
    bool visible;
  };

  Offset start_ = 0;
  std::deque<Record> records_;
};

}  // namespace tidemark
