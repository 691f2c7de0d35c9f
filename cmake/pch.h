// What most files include anyway, compiled once a build folder. Third-party headers only: a change to one of ours must
// not rebuild everything. A file still includes what it uses; -DTIDEMARK_PCH=OFF shows what it forgot.
//
// Measured with g++ 12.2 (user + system seconds a file): <arrow/api.h> 1.5, <arrow/compute/api.h> 1.2, both 2.0,
// the Abseil headers here 1.1, protobuf's message.h 0.8; all of this file 3.25 without precompilation, 0.85 with
// it. Making it takes 9.4 s and 235 MB of disk once for each set of flags, so it pays off from the fourth file on.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/container/flat_hash_map.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/synchronization/mutex.h>
#include <arrow/api.h>
#include <arrow/compute/api.h>
#include <google/protobuf/message.h>
