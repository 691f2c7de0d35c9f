// The changes of a view that came last, for those who follow them: one history for all followers, so that a thousand of
// them cost no more memory than one, and none can hold up whoever writes. A follower is a position in it. Who falls so
// far behind that the history has gone on without it is told so, and asks the view anew.
//
// An entry is what became visible at once: commits as a whole. Its text, a Server-Sent Event, is made once, by the
// writer, and only where somebody follows:
//
//   id: 5120-Qj0abZk1
//   event: changes
//   data: {"position":5120,"as_of":"2026-01-01T10:05:00Z","rows":[{...}],"deleted":[{the key}]}
//
// Of a key there is the last change of the entry. Positions are the log's, so a follower may go on at another worker. A
// log that is made anew (`tidemark reset`) begins at 0 again, so the id says which one it is, too.
// Several entries may have one position, where a task's commit shows before an older one of another task: so a follower
// goes by the entries' numbers, and one that comes back with a position hears again what isn't certain to be behind it.
//
// One thread writes (Begin, Add, Tick, End), any thread follows.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include "src/views/store.h"

namespace tidemark {

// All that it keeps; a commit that is larger alone ends the history before it.
inline constexpr int64_t kMostHistoryBytes = int64_t{8} << 20;

// Where a follower stands.
struct ViewPlace {
  Offset position = 0;
  std::string log;  // which one's; "": not known

  std::string Id() const;  // "5120-Qj0abZk1", or "5120"
  // Of an Id, or of a position alone; nothing: it is neither.
  static std::optional<ViewPlace> Parse(std::string_view id);
  // The short name of a log, by the id of its topic; "" of "".
  static std::string LogOf(const std::string& topic_id);
};

class ViewChanges {
 public:
  explicit ViewChanges(const ViewShape& shape, int64_t most_bytes = kMostHistoryBytes)
      : shape_(shape), most_bytes_(most_bytes) {}

  // From here on there is a history: what is before it isn't told. `log`: whose positions these are, as ViewPlace has
  // it.
  void Begin(const ViewMoment& moment, const std::string& log = "");
  // What became visible at `moment`; perhaps nothing but time.
  void Add(const std::vector<ViewChange>& changes, const ViewMoment& moment);
  // Makes texts that somebody waits for, and lets followers say that they are alive. Called several times a second.
  void Tick(int64_t now_us);
  // There is no history any more: the view is read anew, or isn't told here.
  void End();

  struct Next {
    enum class What { kNothing, kEvent, kGone } what = What::kNothing;
    std::shared_ptr<const std::string> text;  // of kEvent
    int64_t number = 0;                       // of kEvent
    ViewMoment moment;                        // behind it; of kGone and kNothing: where the history stands
  };
  // The number of the entry behind which a position is for certain. Nothing: the history doesn't reach back so far.
  std::optional<int64_t> Find(Offset position) const;
  // What comes behind an entry. kGone: the history has gone on without the follower, or has ended.
  Next After(int64_t number);
  // Where the history stands, with the number of its last entry; nothing: there is none.
  std::optional<std::pair<ViewMoment, int64_t>> Now() const;
  std::string log() const;

  // Calls `wake` when there is more, from the writer's thread, until Unfollow. It must not wait.
  int64_t Follow(std::function<void()> wake);
  void Unfollow(int64_t follower);

  int64_t bytes() const;
  int64_t followers() const;

 private:
  struct Change {
    ViewRowPtr row;
    bool gone = false;
  };
  struct Entry {
    ViewMoment moment;                        // behind it
    std::vector<Change> changes;              // none once there is a text
    std::shared_ptr<const std::string> text;  // null: not made yet
    int64_t bytes = 0;
  };

  struct ByPosition {
    bool operator()(const Entry& a, Offset b) const { return a.moment.position < b; }
    bool operator()(Offset a, const Entry& b) const { return a < b.moment.position; }
  };

  absl::StatusOr<std::string> Render(const Entry& entry) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RenderAll() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Trim() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WakeAll();

  const ViewShape& shape_;
  const int64_t most_bytes_;
  mutable absl::Mutex mutex_;
  bool open_ ABSL_GUARDED_BY(mutex_) = false;
  std::string log_ ABSL_GUARDED_BY(mutex_);
  Offset begins_ ABSL_GUARDED_BY(mutex_) = 0;  // entries hold all changes behind it
  int64_t last_ ABSL_GUARDED_BY(mutex_) = 0;   // the newest entry's number
  ViewMoment now_ ABSL_GUARDED_BY(mutex_);
  std::deque<Entry> entries_ ABSL_GUARDED_BY(mutex_);
  int64_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool wanted_ ABSL_GUARDED_BY(mutex_) = false;  // somebody has come to an entry without a text
  std::map<int64_t, std::function<void()>> followers_ ABSL_GUARDED_BY(mutex_);
  int64_t last_follower_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t woken_us_ = 0;  // the writer's
};

}  // namespace tidemark
