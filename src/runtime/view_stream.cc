#include "src/runtime/view_stream.h"

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>

#include "src/base/json_text.h"
#include "src/codec/column_text.h"

namespace tidemark {
namespace {

constexpr int64_t kAliveEveryUs = 10 * kSecond;  // a comment, so that proxies and clients know that somebody is there
constexpr int64_t kAskEveryUs = 5 * kSecond;
constexpr char kRetry[] = "retry: 1000\n";

std::string AsOf(const ViewMoment& moment) {
  return moment.as_of ? JsonQuoted(TimestampText(moment.as_of->us, TimestampForm::kRfc3339)) : "null";
}

constexpr char kMadeAnew[] = "the view's log was made anew, and hasn't that position";

std::shared_ptr<const std::string> Event(const char* name, const ViewMoment& moment, const std::string& log,
                                         const std::string& rest) {
  const ViewPlace place{moment.position, log};
  return std::make_shared<const std::string>(absl::StrCat(kRetry, "id: ", place.Id(), "\nevent: ", name,
                                                          "\ndata: {\"position\":", moment.position,
                                                          ",\"as_of\":", AsOf(moment), rest, "}\n\n"));
}

}  // namespace

ViewStream::ViewStream(std::shared_ptr<ViewReader> reader, std::optional<ViewPlace> after,
                       std::function<bool()> still_may, Clock* clock)
    : reader_(std::move(reader)), after_(std::move(after)), still_may_(std::move(still_may)), clock_(clock) {}

ViewStream::~ViewStream() {
  if (follower_ != 0) reader_->changes()->Unfollow(follower_);
}

void ViewStream::Begin(std::function<void()> wake) {
  begun_us_ = told_us_ = asked_us_ = clock_->MonotonicUs();
  follower_ = reader_->changes()->Follow(std::move(wake));
}

bool ViewStream::Next(size_t at_most, std::string* out) {
  const int64_t now = clock_->MonotonicUs();
  if (now - asked_us_ > kAskEveryUs) {
    asked_us_ = now;
    if (!still_may_()) return false;
  }
  if (text_ == nullptr && !over_ && !Find()) {
    if (now - told_us_ < kAliveEveryUs) return true;
    told_us_ = now;
    *out += ": alive\n\n";
    return true;
  }
  if (text_ == nullptr) return !over_;
  told_us_ = now;
  const size_t size = std::min(at_most, text_->size() - told_);
  out->append(*text_, told_, size);
  told_ += size;
  if (told_ == text_->size()) text_.reset();
  return true;
}

bool ViewStream::Find() {
  ViewChanges& changes = *reader_->changes();
  told_ = 0;
  if (!begun_) {
    begun_ = true;
    const auto now = changes.Now();
    if (!now) {
      over_ = true;
      return false;
    }
    if (after_ && !after_->log.empty() && !changes.log().empty() && after_->log != changes.log()) {
      Reset(now->first, kMadeAnew);
      return true;
    }
    const std::optional<int64_t> found = after_ ? changes.Find(after_->position) : now->second;
    if (!found) {
      Reset(now->first, "changes behind that position aren't all known here any more");
      return true;
    }
    number_ = *found;
    text_ = after_ ? std::make_shared<const std::string>(absl::StrCat(kRetry, "\n"))
                   : Event("position", now->first, changes.log(), "");
    return true;
  }
  while (true) {
    const ViewChanges::Next next = changes.After(number_);
    if (next.what != ViewChanges::Next::What::kGone && IsOfAnotherLog(next.moment)) {
      Reset(next.moment, kMadeAnew);
      return true;
    }
    if (next.what == ViewChanges::Next::What::kNothing) return false;
    if (next.what == ViewChanges::Next::What::kGone) {
      Reset(next.moment, "the client has fallen behind, or the view was read anew");
      return true;
    }
    number_ = next.number;
    // Of another worker, which is ahead of this one.
    if (after_ && next.moment.position < after_->position) continue;
    text_ = next.text;
    return true;
  }
}

// Another worker's readers may be ahead of this one's, but never of an end that is asked for after they have told it.
bool ViewStream::IsOfAnotherLog(const ViewMoment& now) {
  if (fits_ || !after_) return false;
  const std::optional<Offset> end = reader_->EndAskedSince(begun_us_);
  fits_ = now.position >= after_->position || (end && *end >= after_->position);
  return !fits_ && end.has_value();
}

// The client may come back with the id, once it has asked the view.
void ViewStream::Reset(const ViewMoment& moment, const char* why) {
  text_ = Event("reset", moment, reader_->changes()->log(), absl::StrCat(",\"why\":", JsonQuoted(why)));
  over_ = true;
}

}  // namespace tidemark
