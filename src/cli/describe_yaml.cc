// All files of a topology as one (src/plan/canonical_yaml.h). Variables stand as they were written, so that it can be
// run again and shows none of what they hold; a password that was written out instead is masked here as anywhere else.
#include <algorithm>
#include <string>

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include "src/cli/describe.h"
#include "src/cli/logging.h"

namespace tidemark {
namespace {

// "${NAME}": holds nothing by itself.
bool IsVariable(std::string_view text) {
  return text.size() > 3 && text.substr(0, 2) == "${" && text.find('}') == text.size() - 1 &&
         text.find(":-") == std::string_view::npos;
}

// Properties of the client, and fields of the registry, that are secrets.
bool IsSecret(const std::string& property) {
  return absl::StrContains(property, "password") || absl::StrContains(property, "secret") ||
         property == "ssl.key.pem" || property == "sasl.oauthbearer.config";
}

// What differs of `line` in `masked`, which has "***" instead.
std::string Hidden(const std::string& line, const std::string& masked) {
  const auto front = std::mismatch(line.begin(), line.end(), masked.begin(), masked.end()).first;
  const auto back = std::mismatch(line.rbegin(), line.rend(), masked.rbegin(), masked.rend()).first.base();
  return front < back ? std::string(front, back) : line;
}

// "      url: host=h password=secret": libpq's other form of an address, which may have blanks around the sign.
bool IsConnection(const std::string& line) {
  const size_t name = line.find_first_not_of(' ');
  return name != std::string::npos && absl::StartsWith(absl::string_view(line).substr(name), "url: ") &&
         absl::StrContains(absl::AsciiStrToLower(line), "password");
}

std::string MaskAddress(const std::string& written) {
  std::string line = written;
  if (IsConnection(line)) {
    for (size_t at; (at = line.find(" =")) != std::string::npos;) line.erase(at, 1);
    for (size_t at; (at = line.find("= ")) != std::string::npos;) line.erase(at + 1, 1);
  }
  // The quote that ends the value is no part of the password.
  const absl::string_view end = absl::EndsWith(line, "\"") ? "\"" : "";
  const std::string masked =
      absl::StrCat(MaskPasswords(std::string_view(line).substr(0, line.size() - end.size())), end);
  return masked == line || IsVariable(Hidden(line, masked)) ? written : masked;
}

// `line`: "    NAME: VALUE".
std::string MaskProperty(const std::string& line) {
  const size_t colon = line.find(": ");
  if (colon == std::string::npos || !IsSecret(line.substr(0, colon).substr(line.find_first_not_of(' ')))) return line;
  std::string_view value = std::string_view(line).substr(colon + 2);
  if (value.size() > 2 && value.front() == '"') value = value.substr(1, value.size() - 2);
  return IsVariable(value) ? line : line.substr(0, colon) + ": \"***\"";
}

// Whether lines are of a webhook: its address and its headers are secrets, whatever stands in them.
class WebhookLines {
 public:
  // `field`: the line may be a sink's field, or one of `notify`; a column elsewhere may have any name.
  std::string Mask(const std::string& line, bool field) {
    const size_t indent = line.find_first_not_of(' ');
    const size_t colon = line.find(':');
    if (indent == std::string::npos || colon == std::string::npos) return line;
    if (indent <= webhook_) webhook_ = headers_ = kOutside;
    if (indent <= headers_) headers_ = kOutside;
    const std::string name = line.substr(indent, colon - indent);
    const bool inside = webhook_ != kOutside;
    const bool secret = (inside && (name == "url" || headers_ != kOutside)) || (field && name == "webhook");
    if (field && name == "webhook") webhook_ = indent;
    if (inside && name == "headers") headers_ = indent;
    std::string_view value = std::string_view(line).substr(colon + 1);
    while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
    if (value.size() > 2 && value.front() == '"') value = value.substr(1, value.size() - 2);
    return !secret || value.empty() || IsVariable(value) ? line : line.substr(0, colon) + ": \"***\"";
  }

 private:
  // More than any line is indented by, so that none is inside.
  static constexpr size_t kOutside = std::string::npos - 1;
  size_t webhook_ = kOutside, headers_ = kOutside;
};

}  // namespace

std::string DescribeAsYaml(const TopologyText& text) {
  std::string out, section, field;
  bool hidden = false;
  WebhookLines webhook;
  for (const absl::string_view piece : absl::StrSplit(text.yaml, '\n')) {
    const std::string line(piece);
    const size_t indent = line.find_first_not_of(' ');
    if (indent == 0) section = line;
    if (indent == 2) field = line;
    std::string shown = absl::StrContains(line, "://") || IsConnection(line) ? MaskAddress(line) : line;
    const bool property = section == "kafka:" && field == "  properties:" && indent == 4;
    if (property || (section == "schema_registry:" && indent == 2)) shown = MaskProperty(shown);
    shown = webhook.Mask(shown, (section == "sinks:" && indent == 4) || (section == "notify:" && indent == 2));
    hidden = hidden || shown != line;
    absl::StrAppend(&out, out.empty() ? "" : "\n", shown);
  }
  if (hidden) out.insert(0, "# A password is masked here: put it into a variable, such as ${PASSWORD}, to run this.\n");
  return out;
}

}  // namespace tidemark
