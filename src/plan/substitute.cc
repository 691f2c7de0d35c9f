#include "src/plan/substitute.h"

#include <cstdlib>

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>

#include "src/base/status.h"

namespace tidemark {
namespace {

bool IsName(std::string_view name) {
  if (name.empty() || absl::ascii_isdigit(static_cast<unsigned char>(name[0]))) return false;
  for (const char c : name) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '_') return false;
  }
  return true;
}

// Where the variable ends whose inside begins here: its default may hold others.
size_t ClosingBrace(std::string_view text) {
  int open = 1;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '}' && --open == 0) return i;
    if (text.substr(i, 3) == "$${") {
      i += 2;
    } else if (text.substr(i, 2) == "${") {
      ++open;
    }
  }
  return std::string_view::npos;
}

// What stands for "NAME" or "NAME:-default". A default that isn't taken isn't looked at.
absl::StatusOr<std::string> Expand(std::string_view inside, const EnvLookup& env) {
  const size_t separator = inside.find(":-");
  const std::string name(inside.substr(0, separator));
  if (!IsName(name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", name, "' isn't the name of an environment variable; write $${ for a literal ${"));
  }
  const std::optional<std::string> value = env(name);
  if (separator != std::string_view::npos) {
    if (value && !value->empty()) return *value;
    return Substitute(inside.substr(separator + 2), env);
  }
  if (value) return *value;
  return absl::InvalidArgumentError(
      absl::StrCat("environment variable ", name, " is not set; set it, or write ${", name, ":-default}"));
}

}  // namespace

EnvLookup ProcessEnvironment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return std::string(value);
  };
}

absl::StatusOr<std::string> Substitute(std::string_view text, const EnvLookup& env) {
  std::string out;
  while (true) {
    const size_t at = text.find("${");
    if (at == std::string_view::npos) break;
    if (at > 0 && text[at - 1] == '$') {  // the first $ escapes
      out.append(text.substr(0, at - 1)).append("${");
      text.remove_prefix(at + 2);
      continue;
    }
    out.append(text.substr(0, at));
    text.remove_prefix(at + 2);
    const size_t end = ClosingBrace(text);
    if (end == std::string_view::npos) {
      return absl::InvalidArgumentError("'${' without '}'; write $${ for a literal ${");
    }
    TM_ASSIGN_OR_RETURN(const std::string value, Expand(text.substr(0, end), env));
    out.append(value);
    text.remove_prefix(end + 1);
  }
  out.append(text);
  return out;
}

}  // namespace tidemark
