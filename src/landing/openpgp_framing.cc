#include "src/landing/openpgp_framing.h"

#include <algorithm>

#include <absl/strings/match.h>

namespace tidemark {

void OpenPgpFraming::Add(std::string_view bytes) {
  if (armored_) {
    AddArmored(bytes);
  } else {
    AddPackets(bytes);
  }
}

// Line by line, of which only the beginning matters.
void OpenPgpFraming::AddArmored(std::string_view bytes) {
  constexpr size_t kEnough = 32;
  while (!bytes.empty()) {
    const size_t end = std::min(bytes.find('\n'), bytes.size());
    if (line_.size() < kEnough) line_.append(bytes.substr(0, std::min(end, kEnough)));
    if (ended_ && line_.find_first_not_of(" \t\r") != std::string::npos) text_behind_ = true;
    if (end == bytes.size()) return;
    bytes.remove_prefix(end + 1);
    if (absl::StartsWith(line_, "-----BEGIN PGP ")) ++begins_;
    if (absl::StartsWith(line_, "-----END PGP ")) ended_ = true;
    line_.clear();
  }
}

// RFC 4880, 4.2: the tag, and the length in one of two ways. False: more of it has to come.
bool OpenPgpFraming::ReadHeader() {
  const auto byte = [&](size_t i) { return uint64_t{static_cast<uint8_t>(header_[i])}; };
  const auto number = [&](size_t first, size_t size) {
    uint64_t value = 0;
    for (size_t i = 0; i < size; ++i) value = value << 8 | byte(first + i);
    return value;
  };
  if (header_.empty()) return false;
  // A further part of a packet has a length alone.
  const bool further = partial_;
  const size_t at = further ? 0 : 1;
  const bool old = !further && (byte(0) & 0x40) == 0;
  if (!further) {
    const uint64_t tag = old ? byte(0) >> 2 & 0xf : byte(0) & 0x3f;
    if (data_) packet_behind_ = true;
    data_ = tag == 9 || tag == 18 || tag == 20;
  }
  if (old) {
    const size_t size = size_t{1} << (byte(0) & 3);
    if (size == 8) {
      open_end_ = true;
    } else if (header_.size() < 1 + size) {
      data_ = false;  // it is read again
      return false;
    } else {
      left_ = number(1, size);
    }
    return true;
  }
  const size_t size = header_.size() <= at ? 1 : byte(at) < 192 ? 1 : byte(at) < 224 ? 2 : byte(at) == 255 ? 5 : 1;
  if (header_.size() < at + size) {
    if (!further) data_ = false;
    return false;
  }
  partial_ = byte(at) >= 224 && byte(at) < 255;
  left_ = partial_    ? uint64_t{1} << (byte(at) & 0x1f)
          : size == 1 ? byte(at)
          : size == 2 ? ((byte(at) - 192) << 8) + byte(at + 1) + 192
                      : number(at + 1, 4);
  return true;
}

void OpenPgpFraming::AddPackets(std::string_view bytes) {
  while (!bytes.empty() && !packet_behind_ && !open_end_) {
    if (left_ > 0) {
      const size_t size = static_cast<size_t>(std::min<uint64_t>(left_, bytes.size()));
      left_ -= size;
      bytes.remove_prefix(size);
      continue;
    }
    header_.push_back(bytes[0]);
    bytes.remove_prefix(1);
    if (ReadHeader()) header_.clear();
  }
}

}  // namespace tidemark
