// Files that were encrypted with OpenPGP: librnp's, which is seen nowhere else. It pushes what it decrypts, and a
// content is pulled, so it has a thread of its own, a little ahead of its reader.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "src/landing/content.h"

namespace tidemark {

// By the first bytes of a file: a message with or without armor.
bool IsOpenPgp(std::string_view head);

// What was encrypted. The end is told only once all of it was authenticated, and signed, where that is asked for;
// what comes before may have been altered. Unavailable: the keys can't be read or unlocked, so another file couldn't
// be opened either.
absl::StatusOr<std::unique_ptr<FileContent>> NewOpenPgpContent(std::unique_ptr<FileContent> inner,
                                                               const FilesSpec::Decrypt& decrypt);

// The secret that stands in the first line of a file.
absl::StatusOr<std::string> ReadPassphrase(const std::string& path);

// Whether all that opens files can be read and unlocked, in a word; else Unavailable.
absl::StatusOr<std::string> InspectDecrypt(const FilesSpec::Decrypt& decrypt);

}  // namespace tidemark
