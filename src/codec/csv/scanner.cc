#include "src/codec/csv/scanner.h"

#include <cstring>

namespace tidemark {

void CsvScanner::Start(std::string_view text) {
  // A byte order mark, which spreadsheets write, isn't text.
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  p_ = text.data();
  end_ = p_ + text.size();
  line_ = 0;
  next_line_ = 1;
  unescaped_.clear();
  unescaped_.reserve(text.size());  // fields refer to it
}

CsvScanner::Next CsvScanner::Read() {
  fields_.clear();
  while (p_ != end_ && AtLineEnd()) SkipLineEnd();
  if (p_ == end_) return Next::kEnd;
  line_ = next_line_;
  while (true) {
    if (!ReadField()) return Next::kBad;
    if (AtLineEnd()) break;
    ++p_;  // the delimiter
  }
  if (p_ != end_) SkipLineEnd();
  return Next::kLine;
}

// Leaves p_ at a delimiter or a line's end.
bool CsvScanner::ReadField() {
  if (dialect_.trim) SkipBlanks();
  if (dialect_.quote && p_ != end_ && *p_ == *dialect_.quote) return ReadQuoted();
  ReadPlain();
  return true;
}

void CsvScanner::ReadPlain() {
  const char* const begin = p_;
  while (p_ != end_ && *p_ != dialect_.delimiter && !AtLineEnd()) ++p_;
  std::string_view text(begin, static_cast<size_t>(p_ - begin));
  if (dialect_.trim) {
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  }
  fields_.push_back({text, false});
}

bool CsvScanner::ReadQuoted() {
  const char quote = *dialect_.quote;
  const char* begin = ++p_;
  const size_t unescaped_from = unescaped_.size();
  while (true) {
    const void* const found = p_ == end_ ? nullptr : std::memchr(p_, quote, static_cast<size_t>(end_ - p_));
    if (found == nullptr) {
      reason_ = "a quoted field isn't closed";
      return false;
    }
    for (const char* c = p_; c != found; ++c) next_line_ += *c == '\n' ? 1 : 0;
    p_ = static_cast<const char*>(found) + 1;
    if (p_ == end_ || *p_ != quote) break;
    unescaped_.append(begin, p_);  // with one of the two
    begin = ++p_;
  }
  std::string_view text(begin, static_cast<size_t>(p_ - 1 - begin));
  if (unescaped_.size() > unescaped_from) {
    unescaped_.append(text);
    text = std::string_view(unescaped_).substr(unescaped_from);
  }
  fields_.push_back({text, true});
  if (dialect_.trim) SkipBlanks();
  if (p_ == end_ || *p_ == dialect_.delimiter || AtLineEnd()) return true;
  reason_ = "text behind the quote that closes a field";
  return false;
}

void CsvScanner::SkipLineEnd() {
  if (*p_ == '\r') ++p_;
  if (p_ != end_) ++p_;
  ++next_line_;
}

void CsvScanner::SkipBlanks() {
  while (p_ != end_ && (*p_ == ' ' || *p_ == '\t') && *p_ != dialect_.delimiter) ++p_;
}

}  // namespace tidemark
