#include "src/base/whole_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace tidemark {

absl::StatusOr<std::string> ReadWholeFile(const std::string& path) {
  const auto close = [](std::FILE* file) { std::fclose(file); };
  const std::unique_ptr<std::FILE, decltype(close)> file(std::fopen(path.c_str(), "rbe"), close);
  if (file == nullptr) return absl::InvalidArgumentError(std::strerror(errno));
  std::string text;
  char piece[64 << 10];
  for (size_t got = sizeof(piece); got == sizeof(piece);) {
    got = std::fread(piece, 1, sizeof(piece), file.get());
    text.append(piece, got);
  }
  // A folder can be opened, too.
  if (std::ferror(file.get()) != 0) return absl::InvalidArgumentError(std::strerror(errno));
  return text;
}

}  // namespace tidemark
