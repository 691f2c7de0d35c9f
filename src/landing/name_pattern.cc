#include "src/landing/name_pattern.h"

namespace tidemark {
namespace {

constexpr std::string_view kAnyFolders = "**/";

}  // namespace

NamePattern NamePattern::Parse(std::string_view path) {
  const size_t wild = path.find_first_of("*?");
  if (wild == std::string_view::npos) {
    while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
    return {std::string(path), "**"};
  }
  const size_t slash = path.rfind('/', wild);
  if (slash == std::string_view::npos) return {".", std::string(path)};
  return {std::string(slash == 0 ? "/" : path.substr(0, slash)), std::string(path.substr(slash + 1))};
}

bool MatchesNames(std::string_view names, std::string_view name) {
  if (names.empty()) return name.empty();
  if (names == "**") return !name.empty();
  if (names.substr(0, kAnyFolders.size()) == kAnyFolders) {
    const std::string_view rest = names.substr(kAnyFolders.size());
    for (size_t at = 0;;) {
      if (MatchesNames(rest, name.substr(at))) return true;
      const size_t slash = name.find('/', at);
      if (slash == std::string_view::npos) return false;
      at = slash + 1;
    }
  }
  if (names.front() == '*') {
    for (size_t taken = 0; taken <= name.size(); ++taken) {
      if (MatchesNames(names.substr(1), name.substr(taken))) return true;
      if (taken < name.size() && name[taken] == '/') return false;
    }
    return false;
  }
  if (name.empty() || (names.front() == '?' ? name.front() == '/' : name.front() != names.front())) return false;
  return MatchesNames(names.substr(1), name.substr(1));
}

std::string VersionedName(const std::string& name, const std::string& version) {
  const size_t slash = name.rfind('/');
  const size_t dot = name.find('.', slash == std::string::npos ? 1 : slash + 2);
  const std::string end = dot == std::string::npos ? "" : name.substr(dot);
  return name.substr(0, dot) + "~" + version + end;
}

}  // namespace tidemark
