// One client that follows a view's changes: Server-Sent Events out of the view's history (src/views/changes.h), at the
// client's own pace. It holds a place in the history and nothing else, so a client that reads slowly costs no memory
// and holds nobody up; one that the history has gone on without is told `reset` and let go, and comes back where it is
// now.
//
// The server's thread, as HttpStream says.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "src/base/clock.h"
#include "src/http/message.h"
#include "src/runtime/view_reader.h"

namespace tidemark {

class ViewStream final : public HttpStream {
 public:
  // `after`: the place that the client has; nothing: from now on. It may be another worker's, which is ahead of this
  // one, or that of a log that isn't there any more: the client is told `reset` where the place says so, or where the
  // log's end, asked for since, is before it. `still_may`: asked every few seconds, false ends the stream.
  ViewStream(std::shared_ptr<ViewReader> reader, std::optional<ViewPlace> after, std::function<bool()> still_may,
             Clock* clock);
  ~ViewStream() override;

  void Begin(std::function<void()> wake) override;
  bool Next(size_t at_most, std::string* out) override;

 private:
  // The next event into text_; false: there is none for now.
  bool Find();
  // True: the position that the client has is behind the end of the log.
  bool IsOfAnotherLog(const ViewMoment& now);
  void Reset(const ViewMoment& moment, const char* why);

  const std::shared_ptr<ViewReader> reader_;
  const std::optional<ViewPlace> after_;
  const std::function<bool()> still_may_;
  Clock* const clock_;
  int64_t follower_ = 0;
  bool begun_ = false, over_ = false;
  bool fits_ = false;     // `after_` is a position of this log
  int64_t begun_us_ = 0;  // monotonic
  int64_t number_ = 0;    // of the last entry that was told
  std::shared_ptr<const std::string> text_;
  size_t told_ = 0;  // of it
  int64_t told_us_ = 0, asked_us_ = 0;
};

}  // namespace tidemark
