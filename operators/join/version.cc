#include "operators/join/version.h"

#include <limits>

#include "src/base/big_endian.h"
#include "src/base/signed_varint.h"
#include "src/base/varint.h"

namespace tidemark {

bool TakeVersion(std::string_view* page, Version* version) {
  uint64_t source = 0, partition = 0, size = 0;
  if (page->size() < 8) return false;
  version->time = ReadOrdered(page->substr(0, 8));
  page->remove_prefix(8);
  if (!TakeVarint(page, &source) || !TakeVarint(page, &partition) || !TakeSigned(page, &version->offset) ||
      !TakeVarint(page, &size) || size >> 1 > page->size()) {
    return false;
  }
  version->source = static_cast<int32_t>(source);
  version->partition = static_cast<int32_t>(partition);
  version->none = size & 1;
  version->row = page->substr(0, size >> 1);
  page->remove_prefix(size >> 1);
  return true;
}

void AppendVersion(const Version& version, std::string* page) {
  AppendOrdered(version.time, page);
  AppendVarint(static_cast<uint32_t>(version.source), page);
  AppendVarint(static_cast<uint32_t>(version.partition), page);
  AppendSigned(version.offset, page);
  AppendVarint(version.row.size() * 2 + (version.none ? 1 : 0), page);
  page->append(version.row);
}

bool WithVersion(std::string_view page, const Version& version, std::string* out) {
  out->clear();
  std::string_view rest = page;
  while (!rest.empty()) {
    std::string_view behind = rest;
    Version other;
    if (!TakeVersion(&behind, &other)) return false;
    if (other.time < version.time) break;
    if (other.time == version.time) {
      out->assign(page.substr(0, page.size() - rest.size()));
      AppendVersion(other < version ? version : other, out);
      out->append(behind);
      return true;
    }
    rest = behind;
  }
  out->assign(page.substr(0, page.size() - rest.size()));
  AppendVersion(version, out);
  out->append(rest);
  return true;
}

bool VersionAt(std::string_view page, int64_t time, Version* version, bool* found) {
  *found = false;
  while (!page.empty()) {
    if (!TakeVersion(&page, version)) return false;
    if (version->time > time) continue;
    *found = true;
    break;
  }
  return true;
}

bool WithoutReplaced(std::string_view page, int64_t time, std::string_view* out) {
  std::string_view rest = page;
  while (!rest.empty()) {
    const std::string_view from = rest;
    Version version;
    if (!TakeVersion(&rest, &version)) return false;
    if (version.time > time) continue;
    *out = page.substr(0, page.size() - (version.none ? from : rest).size());
    return true;
  }
  *out = page;
  return true;
}

size_t MiddleOf(std::string_view page, int64_t* oldest_of_newer) {
  std::string_view rest = page;
  Version version;
  while (TakeVersion(&rest, &version)) {
    if (rest.empty()) return 0;
    if (page.size() - rest.size() < page.size() / 2) {
      // The last but one is as far as it goes.
      std::string_view next = rest;
      Version last;
      if (!TakeVersion(&next, &last)) return 0;
      if (!next.empty()) continue;
    }
    *oldest_of_newer = version.time;
    return page.size() - rest.size();
  }
  return 0;
}

bool NextReplaced(std::string_view page, int64_t* time) {
  *time = std::numeric_limits<int64_t>::max();
  Version version;
  for (int64_t newer = *time; !page.empty(); newer = version.time) {
    if (!TakeVersion(&page, &version)) return false;
    if (page.empty()) *time = version.none ? version.time : newer;
  }
  return true;
}

}  // namespace tidemark
