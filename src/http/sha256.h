// SHA-256. Any thread.
#pragma once

#include <string>
#include <string_view>

namespace tidemark {

// 32 bytes.
std::string Sha256(std::string_view text);

}  // namespace tidemark
