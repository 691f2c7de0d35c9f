// A view's topic as whoever reads it goes through it (src/views/records.h): rows, and between them the marks of their
// tasks, which say how far the view's time is. Used by one thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "proto/views.pb.h"
#include "src/base/record.h"
#include "src/base/time.h"
#include "src/runtime/input_time.h"

namespace tidemark {

// Some of a fetch's records, which it must outlive.
class FetchPart final : public Fetch {
 public:
  FetchPart(const Fetch& fetch, size_t begin, size_t end) : fetch_(fetch), begin_(begin), end_(end) {}
  const TopicPartition& source() const override { return fetch_.source(); }
  std::span<const RecordView> records() const override { return fetch_.records().subspan(begin_, end_ - begin_); }
  HeaderList Headers(size_t i) const override { return fetch_.Headers(begin_ + i); }

 private:
  const Fetch& fetch_;
  const size_t begin_, end_;
};

// Calls `rows` with each run of rows and `mark` with each mark, in their order; the first error ends it.
absl::Status WalkViewLog(const Fetch& fetch, absl::FunctionRef<absl::Status(const Fetch& rows)> rows,
                         absl::FunctionRef<absl::Status(int32_t writer, const RecordView& mark)> mark);

// DataLoss: it can't be read. InvalidArgument: a newer version has written it.
absl::StatusOr<packed::ViewMark> ReadViewMark(const TopicPartition& log, const RecordView& record);

// How far the event time of all tasks is, by the marks of a view's log in their order. It never goes back.
class ViewTime {
 public:
  void Tell(int32_t writer, const packed::ViewMark& mark, Offset offset);
  // Nothing before each of the tasks has said so.
  std::optional<EventTime> AsOf();
  // The oldest of the marks that count now; nothing: there is none.
  std::optional<Offset> OldestMark() const;

 private:
  struct Told {
    Mark mark;
    Offset offset = 0;
  };
  std::map<int32_t, Told> marks_;  // by task
  int32_t writers_ = 0;            // as the newest mark says
  std::optional<EventTime> as_of_;
};

}  // namespace tidemark
