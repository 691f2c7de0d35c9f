// The part of a file's text that is being looked at: grows at its end as more is asked for, and shrinks at its
// beginning as it is used up. Counts lines. Used by one thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <absl/status/statusor.h>

#include "src/landing/content.h"

namespace tidemark {

class TextWindow {
 public:
  explicit TextWindow(std::unique_ptr<FileContent> content) : content_(std::move(content)) {}

  // What there is and wasn't used yet. Valid until the next call of More.
  std::string_view rest() const { return std::string_view(text_).substr(begin_); }
  int64_t line() const { return line_; }      // that `rest` begins in
  int64_t column() const { return column_; }  // of the byte that `rest` begins with, from 1
  bool ended() const { return ended_; }       // nothing comes behind `rest`
  std::string hash() const { return content_->hash(); }

  // Adds to `rest`, which moves; false: nothing comes any more.
  absl::StatusOr<bool> More() {
    if (ended_) return false;
    text_.erase(0, begin_);
    begin_ = 0;
    absl::StatusOr<bool> more = content_->Read(&text_);
    if (!more.ok()) return more;
    if (first_) {
      // A byte order mark isn't text. It is there as a whole: pieces are larger.
      first_ = false;
      if (text_.compare(0, 3, "\xef\xbb\xbf") == 0) begin_ = 3;
    }
    ended_ = !*more;
    return more;
  }
  void Use(size_t bytes) {
    const std::string_view used = rest().substr(0, bytes);
    const size_t last = used.rfind('\n');
    column_ = last == std::string_view::npos ? column_ + static_cast<int64_t>(used.size())
                                             : static_cast<int64_t>(used.size() - last);
    if (last != std::string_view::npos) line_ += std::count(used.begin(), used.end(), '\n');
    begin_ += bytes;
  }

 private:
  const std::unique_ptr<FileContent> content_;
  std::string text_;
  size_t begin_ = 0;
  int64_t line_ = 1, column_ = 1;
  bool first_ = true, ended_ = false;
};

}  // namespace tidemark
