#include "src/http/tokens.h"

#include <openssl/crypto.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/strings/strip.h>
#include <absl/time/time.h>
#include <glog/logging.h>

#include "src/base/sha256.h"
#include "src/base/status.h"
#include "src/base/time.h"

namespace tidemark {
namespace {

constexpr size_t kHashBytes = 32;

}  // namespace

absl::StatusOr<std::vector<Tokens::Entry>> Tokens::Parse(const std::string& text, const std::string& path) {
  std::vector<Entry> entries;
  int number = 0;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    const std::vector<std::string> words = absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
    if (words.empty() || words[0][0] == '#') continue;
    const auto wrong = [&](const std::string& what) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ":", number, ": ", what,
                       "; a line has the SHA-256 of a token in hex, a name, what it is for "
                       "(sources, view:NAME, worker:status, worker:admin, rows:NAME, * for all sources, view:* for all "
                       "views, rows:* for all nodes), and "
                       "until when, if that ends"));
    };
    if (words.size() < 3 || words.size() > 4) return wrong(absl::StrCat("found ", words.size(), " words"));
    const bool hex = words[0].size() == 2 * kHashBytes && std::all_of(words[0].begin(), words[0].end(), [](char c) {
                       return absl::ascii_isxdigit(static_cast<unsigned char>(c));
                     });
    if (!hex) return wrong("the first word isn't a SHA-256 in hex");
    Entry entry;
    entry.hash = absl::HexStringToBytes(words[0]);
    entry.name = words[1];
    entry.scopes = absl::StrSplit(words[2], ',', absl::SkipEmpty());
    if (entry.scopes.empty()) return wrong("it is for nothing");
    if (words.size() == 4) {
      absl::Time until;
      std::string why;
      if (!absl::ParseTime(absl::RFC3339_full, words[3], &until, &why)) {
        return wrong(absl::StrCat("'", words[3], "' is no time such as 2027-01-01T00:00:00Z"));
      }
      entry.until_us = std::max<int64_t>(absl::ToUnixMicros(until), 1);
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

std::string Tokens::Version() const {
  struct stat found = {};
  if (stat(path_.c_str(), &found) != 0) return "";
  return absl::StrCat(found.st_ino, " ", found.st_size, " ", found.st_mtim.tv_sec, " ", found.st_mtim.tv_nsec);
}

absl::Status Tokens::Load() {
  const absl::MutexLock lock(&mutex_);
  return LoadLocked();
}

absl::Status Tokens::LoadLocked() {
  looked_us_ = clock_->MonotonicUs();
  const std::string version = Version();  // before it is read: what changes meanwhile is seen at the next look
  errno = 0;
  std::ifstream file(path_, std::ios::binary);
  const int error = errno;
  const std::string text(std::istreambuf_iterator<char>(file), {});
  if (!file.is_open() || file.bad()) {
    return absl::InvalidArgumentError(
        absl::StrCat("can't read the file of tokens '", path_, "': ", std::strerror(error != 0 ? error : EIO)));
  }
  TM_ASSIGN_OR_RETURN(entries_, Parse(text, path_));
  version_ = version;
  return absl::OkStatus();
}

absl::StatusOr<std::string> Tokens::Check(std::string_view authorization, const std::string& scope) {
  absl::string_view token(authorization.data(), authorization.size());
  const absl::MutexLock lock(&mutex_);
  if (clock_->MonotonicUs() - looked_us_ > kSecond) {
    looked_us_ = clock_->MonotonicUs();
    if (Version() != version_) {
      const absl::Status loaded = LoadLocked();
      if (loaded.ok()) LOG(INFO) << "read the file of tokens " << path_ << " again: " << entries_.size() << " tokens";
      if (!loaded.ok()) {
        LOG_EVERY_N(ERROR, 60) << loaded.message() << "; what it said before still holds";
      }
    }
  }
  if (!absl::StartsWithIgnoreCase(token, "Bearer ")) return absl::UnauthenticatedError("a bearer token is expected");
  token.remove_prefix(7);
  const std::string hash = Sha256({absl::StripAsciiWhitespace(token).data(), absl::StripAsciiWhitespace(token).size()});
  const Entry* found = nullptr;
  for (const Entry& entry : entries_) {
    if (CRYPTO_memcmp(entry.hash.data(), hash.data(), kHashBytes) == 0) found = &entry;
  }
  if (found == nullptr) return absl::UnauthenticatedError("the token isn't known");
  if (found->until_us != 0 && clock_->WallUs() >= found->until_us) {
    return absl::UnauthenticatedError("the token's time is over");
  }
  // Nothing is for all kinds: a name of a source has no colon.
  const std::string all = absl::StrCat(scope.substr(0, scope.find(':') + 1), "*");
  const bool allowed = std::any_of(found->scopes.begin(), found->scopes.end(),
                                   [&](const std::string& s) { return s == all || s == scope; });
  if (!allowed) return absl::PermissionDeniedError(absl::StrCat("the token isn't for ", scope));
  return found->name;
}

}  // namespace tidemark
