// Cuts a CSV text into lines of fields, for records of topics (reader.h) and for files (src/landing/csv_records.cc).
// Not Arrow's parser, which tables are read with: that takes blocks of many thousand lines and allocates for each,
// where a record is a few lines, and it wouldn't say in which line something is wrong. Used by one thread.
//
// Lines end with LF or CRLF, the last one also with the text. Inside quotes everything is text, a quote written twice
// is one. A quote in a field that didn't begin with one is an error, as in RFC 4180: whoever wrote it didn't quote what
// had to be quoted, so that nobody knows where the field ends.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "src/codec/csv/dialect.h"

namespace tidemark {

struct CsvField {
  std::string_view text;  // without its quotes
  bool quoted = false;
};

class CsvScanner {
 public:
  explicit CsvScanner(const CsvDialect& dialect) : dialect_(dialect) {}

  // kCut: the text ends before the line does. Of a text that is `whole` a quoted field isn't closed then; of another
  // one more of it has to be there, and the line is read anew from its beginning.
  enum class Next { kLine, kEnd, kBad, kCut };

  // `text` outlives the fields. It ends where it begins to be unknown, or with the last line.
  void Start(std::string_view text, bool whole = true);
  // kLine: fields() are those of the next line. kBad: reason() says what is wrong with it; what follows is behind the
  // next line's end, as quotes can't be trusted any more.
  Next Read();

  const std::vector<CsvField>& fields() const { return fields_; }
  // Nothing stands in the line, not even a blank.
  bool blank() const { return blank_; }
  // Of the line that was read last, from 1.
  int line() const { return line_; }
  const char* reason() const { return reason_; }
  // Bytes of the text that have been read, the ends of their lines among them.
  size_t used() const { return static_cast<size_t>(p_ - begin_); }

 private:
  Next ReadField();
  Next ReadQuoted();
  Next ReadPlain();
  Next Bad(const char* reason);
  bool AtLineEnd() const { return p_ == end_ || *p_ == '\n' || (*p_ == '\r' && (p_ + 1 == end_ || p_[1] == '\n')); }
  // At a line's end: more text could still be part of the line.
  bool MayGoOn() const { return !whole_ && (p_ == end_ || (*p_ == '\r' && p_ + 1 == end_)); }
  void SkipLineEnd();
  void SkipBlanks();

  const CsvDialect dialect_;
  const char* begin_ = nullptr;
  const char* p_ = nullptr;
  const char* end_ = nullptr;
  bool whole_ = true, blank_ = false;
  int line_ = 0, next_line_ = 1;
  std::vector<CsvField> fields_;
  std::string unescaped_;  // quoted texts that had quotes in them; never grows within a text
  const char* reason_ = "";
};

}  // namespace tidemark
