// Texts that aren't UTF-8, as UTF-8. Used by one thread.
#pragma once

#include <memory>
#include <string>

#include <absl/status/statusor.h>

#include "src/landing/content.h"

namespace tidemark {

// By the mark at its beginning, else as stated: by a name of iconv's, or empty, which is UTF-8 and costs nothing.
// InvalidArgument, while it is read: bytes that are no text of the encoding.
absl::StatusOr<std::unique_ptr<FileContent>> InUtf8(UnpackedFile file, const std::string& encoding);

}  // namespace tidemark
