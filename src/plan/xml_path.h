// Where a column's value stands below an element of XML: the plan checks it, and who reads such files goes by it. Plain
// values; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidemark {

// "address/city", "address/@type", "@id", "text()": elements downwards, of which the last one's text is meant, or an
// attribute of it. Names are local ones: what an XML prefix stands for doesn't matter.
struct XmlPath {
  std::vector<std::string> elements;
  std::string attribute;  // empty: the text

  static std::optional<XmlPath> Parse(std::string_view path);
  // "/surveys/survey", from the root; nothing: it is none.
  static std::optional<std::vector<std::string>> ParseRow(std::string_view path);
};

}  // namespace tidemark
