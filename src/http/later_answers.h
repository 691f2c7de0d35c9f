// Answers that aren't there when a request is whole: one that comes later, from any thread, and one that goes on for as
// long as somebody takes it. The connection waits for either without holding anything up. Parts of server.cc.
#pragma once

#include <microhttpd.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include "src/http/message.h"

namespace tidemark {

// From any thread. `wake`: what the server's thread waits for beside the library, which without a thread of its own
// can't tell it.
void Resume(MHD_Connection* connection, int wake);

// A request whose body is with whoever answers it. Shared by the connection and the reply.
struct Pending {
  int wake = -1;
  absl::Mutex mutex;
  MHD_Connection* connection ABSL_GUARDED_BY(mutex) = nullptr;  // null: it is gone, or has its answer
  bool suspended ABSL_GUARDED_BY(mutex) = false;
  std::optional<HttpResponse> response ABSL_GUARDED_BY(mutex);

  void Answer(HttpResponse answer);
};

// An answer that goes on. Shared by the connection, the library's response and whoever wakes it.
struct Streaming {
  int wake = -1;
  std::shared_ptr<HttpStream> stream;  // touched by the server's thread only
  absl::Mutex mutex;
  MHD_Connection* connection ABSL_GUARDED_BY(mutex) = nullptr;  // null: it is gone
  bool suspended ABSL_GUARDED_BY(mutex) = false;
  bool woken ABSL_GUARDED_BY(mutex) = false;  // since it last asked
  bool ends ABSL_GUARDED_BY(mutex) = false;   // the server stops

  void Wake(bool for_good = false);

  // For the library, which has a pointer to a shared one for itself.
  static ssize_t Read(void* self, uint64_t, char* to, size_t most);
  static void Free(void* self) { delete static_cast<std::shared_ptr<Streaming>*>(self); }
};

}  // namespace tidemark
