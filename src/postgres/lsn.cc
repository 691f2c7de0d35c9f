#include "src/postgres/lsn.h"

#include <charconv>

#include <absl/strings/str_format.h>

namespace tidemark {
namespace {

bool ParseHalf(std::string_view text, uint32_t* half) {
  const char* const end = text.data() + text.size();
  const auto [read, error] = std::from_chars(text.data(), end, *half, 16);
  return !text.empty() && error == std::errc() && read == end;
}

}  // namespace

std::string LsnText(Lsn lsn) { return absl::StrFormat("%X/%X", lsn >> 32, lsn & 0xFFFFFFFF); }

std::optional<Lsn> ParseLsn(std::string_view text) {
  const size_t slash = text.find('/');
  uint32_t high = 0, low = 0;
  if (slash == std::string_view::npos || !ParseHalf(text.substr(0, slash), &high) ||
      !ParseHalf(text.substr(slash + 1), &low)) {
    return std::nullopt;
  }
  return static_cast<Lsn>(high) << 32 | low;
}

}  // namespace tidemark
