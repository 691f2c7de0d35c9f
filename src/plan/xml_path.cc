#include "src/plan/xml_path.h"

#include <algorithm>

#include <absl/strings/str_split.h>

namespace tidemark {
namespace {

bool IsName(std::string_view name) {
  return !name.empty() && name.find_first_of("/@*?:()[]{}<>&'\"= \t\r\n") == std::string_view::npos;
}

}  // namespace

std::optional<XmlPath> XmlPath::Parse(std::string_view path) {
  XmlPath out;
  if (path == "text()") return out;
  out.elements = absl::StrSplit(absl::string_view(path.data(), path.size()), '/');
  std::string& last = out.elements.back();
  if (last == "text()" && out.elements.size() > 1) {
    out.elements.pop_back();
  } else if (!last.empty() && last[0] == '@') {
    out.attribute = last.substr(1);
    if (!IsName(out.attribute)) return std::nullopt;
    out.elements.pop_back();
  }
  if (!std::all_of(out.elements.begin(), out.elements.end(), IsName)) return std::nullopt;
  return out;
}

std::optional<std::vector<std::string>> XmlPath::ParseRow(std::string_view path) {
  if (path.empty() || path[0] != '/') return std::nullopt;
  const std::vector<std::string> names = absl::StrSplit(absl::string_view(path.data() + 1, path.size() - 1), '/');
  if (!std::all_of(names.begin(), names.end(), IsName)) return std::nullopt;
  return names;
}

}  // namespace tidemark
