// What OpenObjectStore chooses from, and what the backends share. Only lake*.cc include this.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <arrow/io/type_fwd.h>
#include <arrow/type_fwd.h>

#include "src/storage/object_store.h"

namespace tidemark {

// The folder in which every staged name begins; made when the lake is opened.
inline constexpr char kStagingFolder[] = "_staging";

absl::StatusOr<std::unique_ptr<ObjectStore>> OpenLocalStore(const std::string& folder);
absl::StatusOr<std::unique_ptr<ObjectStore>> OpenS3Store(const std::string& url);
absl::StatusOr<std::string> InspectLocalStore(const std::string& folder);
absl::StatusOr<std::string> InspectS3Store(const std::string& url);
void FinalizeS3Stores();

// A system call's errno as the code a lake's caller acts on.
absl::Status ErrnoStatus(int error, std::string_view what);
// An error of a stream: what the system said, where it said something.
absl::Status StreamStatus(const arrow::Status& status, std::string_view what);

// Whether two files hold the same bytes.
absl::StatusOr<bool> SameContent(arrow::io::RandomAccessFile& a, arrow::io::RandomAccessFile& b);

}  // namespace tidemark
