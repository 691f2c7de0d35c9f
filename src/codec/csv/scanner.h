// Cuts a CSV text into lines of fields. Not Arrow's parser, which tables are read with: that takes blocks of many
// thousand lines and allocates for each, where a record is a few lines, and it wouldn't say in which line of a record
// something is wrong. Used by one thread.
//
// Lines end with LF or CRLF, the last one also with the text. A line without anything in it is passed over. Inside
// quotes everything is text, a quote written twice is one. A quote inside a field that didn't begin with one is text.
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

  enum class Next { kLine, kEnd, kBad };

  // `text` outlives the fields.
  void Start(std::string_view text);
  // kLine: fields() are those of the next line. kBad: reason() says why there is none.
  Next Read();

  const std::vector<CsvField>& fields() const { return fields_; }
  // Of the line that was read last, from 1.
  int line() const { return line_; }
  const std::string& reason() const { return reason_; }

 private:
  bool ReadField();
  bool ReadQuoted();
  void ReadPlain();
  bool AtLineEnd() const { return p_ == end_ || *p_ == '\n' || (*p_ == '\r' && (p_ + 1 == end_ || p_[1] == '\n')); }
  void SkipLineEnd();
  void SkipBlanks();

  const CsvDialect dialect_;
  const char* p_ = nullptr;
  const char* end_ = nullptr;
  int line_ = 0, next_line_ = 1;
  std::vector<CsvField> fields_;
  std::string unescaped_;  // quoted texts that had quotes in them; never grows within a text
  std::string reason_;
};

}  // namespace tidemark
