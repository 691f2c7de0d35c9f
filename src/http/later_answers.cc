#include "src/http/later_answers.h"

#include <sys/eventfd.h>

#include <cstring>
#include <string>
#include <utility>

namespace tidemark {

void Resume(MHD_Connection* connection, int wake) {
  MHD_resume_connection(connection);
  eventfd_write(wake, 1);
}

void Pending::Answer(HttpResponse answer) {
  const absl::MutexLock lock(&mutex);
  if (connection == nullptr || response) return;
  response = std::move(answer);
  if (suspended) Resume(connection, wake);
  suspended = false;
}

void Streaming::Wake(bool for_good) {
  const absl::MutexLock lock(&mutex);
  ends = ends || for_good;
  woken = true;
  if (suspended && connection != nullptr) Resume(connection, wake);
  suspended = false;
}

ssize_t Streaming::Read(void* self, uint64_t, char* to, size_t most) {
  Streaming& streaming = **static_cast<std::shared_ptr<Streaming>*>(self);
  while (true) {
    {
      const absl::MutexLock lock(&streaming.mutex);
      if (streaming.ends) return MHD_CONTENT_READER_END_OF_STREAM;
      streaming.woken = false;
    }
    std::string out;
    const bool goes_on = streaming.stream->Next(most, &out);
    if (!out.empty()) {
      std::memcpy(to, out.data(), out.size());
      return static_cast<ssize_t>(out.size());
    }
    if (!goes_on) return MHD_CONTENT_READER_END_OF_STREAM;
    const absl::MutexLock lock(&streaming.mutex);
    if (streaming.woken || streaming.ends) continue;
    MHD_suspend_connection(streaming.connection);
    streaming.suspended = true;
    return 0;
  }
}

}  // namespace tidemark
