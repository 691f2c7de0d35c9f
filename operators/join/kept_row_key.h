// The key of a row on disk in the runs of its bucket: the key by which it meets others, and its number in the bucket.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "operators/join/join_keys.h"
#include "src/base/big_endian.h"

namespace tidemark {

inline constexpr size_t kDiskKeyBytes = 16;  // that rows which may meet the same have in common

inline std::string DiskKey(const JoinKey& key) {
  std::string bytes;
  AppendBigEndian(key.high, 8, &bytes);
  AppendBigEndian(key.low, 8, &bytes);
  return bytes;
}
inline std::string DiskKey(const JoinKey& key, uint32_t number) {
  std::string bytes = DiskKey(key);
  AppendBigEndian(number, 4, &bytes);
  return bytes;
}
inline uint32_t NumberOf(std::string_view disk_key) {
  return static_cast<uint32_t>(ReadBigEndian(disk_key.substr(kDiskKeyBytes)));
}

}  // namespace tidemark
