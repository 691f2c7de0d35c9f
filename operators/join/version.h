// One version of a table's row, and how versions of a key stand in state (table_versions.h): a page, the newest first.
//
// In a page: the time (8 bytes, ordered), varint source, varint partition, the offset (signed varint), varint size * 2
// + 1 where the key has no row from then on, the row (RowCodec::Rows).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>

namespace tidemark {

struct Version {
  int64_t time = 0;  // from which on it counts
  int32_t source = 0, partition = 0;
  int64_t offset = 0;
  bool none = false;  // the key has no row from then on
  std::string_view row;

  // Of two versions of one time the greater counts. Rows of no place are told apart by what they hold.
  friend bool operator<(const Version& a, const Version& b) {
    return std::tie(a.time, a.source, a.partition, a.offset, a.none, a.row) <
           std::tie(b.time, b.source, b.partition, b.offset, b.none, b.row);
  }
};

// Takes the first version off a page. False: there is none that can be read.
bool TakeVersion(std::string_view* page, Version* version);
void AppendVersion(const Version& version, std::string* page);

// The page with the version; a page holds one of each time. False: it can't be read.
bool WithVersion(std::string_view page, const Version& version, std::string* out);
// The newest version that counts at `time`. False: the page can't be read. `found`: there is one.
bool VersionAt(std::string_view page, int64_t time, Version* version, bool* found);
// The page without the versions that others have replaced at `time` already. False: it can't be read.
bool WithoutReplaced(std::string_view page, int64_t time, std::string_view* out);
// Where to part a page of several versions in two of about equal size: what is newer stands in front, with this time
// as its oldest. 0: it has one version.
size_t MiddleOf(std::string_view page, int64_t* oldest_of_newer);
// The earliest time at which a version of the page is replaced by another, or as nothing goes for nothing; the largest
// number: never. False: it can't be read.
bool NextReplaced(std::string_view page, int64_t* time);

}  // namespace tidemark
