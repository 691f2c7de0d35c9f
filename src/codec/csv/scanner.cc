#include "src/codec/csv/scanner.h"

#include <cstring>

namespace tidemark {

void CsvScanner::Start(std::string_view text, bool whole) {
  begin_ = p_ = text.data();
  end_ = p_ + text.size();
  whole_ = whole;
  line_ = 0;
  next_line_ = 1;
  unescaped_.clear();
  unescaped_.reserve(text.size());  // fields refer to it
}

CsvScanner::Next CsvScanner::Read() {
  fields_.clear();
  if (p_ == end_) return whole_ ? Next::kEnd : Next::kCut;
  line_ = next_line_;
  blank_ = AtLineEnd();
  while (true) {
    if (const Next next = ReadField(); next != Next::kLine) return next;
    if (AtLineEnd()) break;
    ++p_;  // the delimiter
  }
  if (MayGoOn()) return Next::kCut;
  SkipLineEnd();
  return Next::kLine;
}

// Leaves p_ at a delimiter or a line's end.
CsvScanner::Next CsvScanner::ReadField() {
  if (dialect_.trim) SkipBlanks();
  if (dialect_.quote && p_ != end_ && *p_ == *dialect_.quote) return ReadQuoted();
  return ReadPlain();
}

CsvScanner::Next CsvScanner::ReadPlain() {
  const char* const begin = p_;
  while (p_ != end_ && *p_ != dialect_.delimiter && !AtLineEnd()) ++p_;
  std::string_view text(begin, static_cast<size_t>(p_ - begin));
  if (dialect_.quote && text.find(*dialect_.quote) != std::string_view::npos) {
    return Bad("a quote in a field that isn't quoted");
  }
  if (dialect_.trim) {
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  }
  fields_.push_back({text, false});
  return Next::kLine;
}

CsvScanner::Next CsvScanner::ReadQuoted() {
  const char quote = *dialect_.quote;
  const char* begin = ++p_;
  const size_t unescaped_from = unescaped_.size();
  while (true) {
    const void* const found = p_ == end_ ? nullptr : std::memchr(p_, quote, static_cast<size_t>(end_ - p_));
    if (found == nullptr) return Next::kCut;
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
  if (p_ == end_ || *p_ == dialect_.delimiter || AtLineEnd()) return Next::kLine;
  return Bad("text behind the quote that closes a field");
}

CsvScanner::Next CsvScanner::Bad(const char* reason) {
  reason_ = reason;
  const void* const end = p_ == end_ ? nullptr : std::memchr(p_, '\n', static_cast<size_t>(end_ - p_));
  if (end == nullptr && !whole_) return Next::kCut;
  p_ = end == nullptr ? end_ : static_cast<const char*>(end) + 1;
  ++next_line_;
  return Next::kBad;
}

void CsvScanner::SkipLineEnd() {
  if (p_ != end_ && *p_ == '\r') ++p_;
  if (p_ != end_) ++p_;
  ++next_line_;
}

void CsvScanner::SkipBlanks() {
  while (p_ != end_ && (*p_ == ' ' || *p_ == '\t') && *p_ != dialect_.delimiter) ++p_;
}

}  // namespace tidemark
