#include "src/codec/csv/dialect.h"

namespace tidemark {
namespace {

// One character of ASCII that can stand between or around fields.
bool IsMark(const std::string& text) {
  return text.size() == 1 && static_cast<unsigned char>(text[0]) < 0x80 && text[0] != '\n' && text[0] != '\r';
}

}  // namespace

std::vector<std::string_view> CsvOptions() { return {"delimiter", "quote", "header", "trim", "null_text"}; }

std::optional<CsvMistake> ReadDialect(const FormatSpec& spec, CsvDialect* out) {
  const std::string delimiter = spec.Option("delimiter", ","), quote = spec.Option("quote", "\"");
  if (!IsMark(delimiter)) {
    return CsvMistake{"delimiter", R"(a delimiter is one character of ASCII, such as ";" or "\t")"};
  }
  if (!quote.empty() && !IsMark(quote)) {
    return CsvMistake{"quote", "a quote is one character of ASCII, or nothing: \"\" where fields are never quoted"};
  }
  if (quote == delimiter) return CsvMistake{"quote", "quote and delimiter are the same"};
  out->delimiter = delimiter[0];
  out->quote = quote.empty() ? std::nullopt : std::make_optional(quote[0]);
  out->header = spec.Is("header");
  out->trim = spec.Is("trim");
  out->null = spec.Option("null_text");
  const auto stands_alone = [&](char c) { return c != out->delimiter && c != out->quote && c != '\n' && c != '\r'; };
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  if (out->trim && !out->null.empty() && (blank(out->null.front()) || blank(out->null.back()))) {
    return CsvMistake{"null_text", "with trim, it begins and ends with something else than a blank"};
  }
  for (const char c : out->null) {
    if (!stands_alone(c)) return CsvMistake{"null_text", "it has no delimiters, quotes or line ends in it"};
  }
  return std::nullopt;
}

}  // namespace tidemark
