// Posts bodies of some rows to a worker (docs/http.md), each with a key of its own, over connections that are kept:
//
//     bench_posts 127.0.0.1:9464 /v1/ingest/surveys --connections 16 --rate 2000 --seconds 10 --rows 10
//
// or asks questions (docs/views.md), one of so many in turn, by the number that stands in place of {}:
//
//     bench_posts 127.0.0.1:9464 '/v1/views/totals?place={}&limit=10' --questions 1000 --rate 5000
//
// One JSON object at the end: posts answered with 202, others by status, the rate, and how long an answer took. A
// thread for each connection; a post is timed from when it was due, so that a server that falls behind shows.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  std::string host, path;
  int port = 0, connections = 16, rate = 2000, seconds = 10, rows = 10, questions = 0;
};

struct Results {
  std::mutex mutex;
  std::map<int, int64_t> answers;
  std::vector<double> milliseconds;
};

int Connect(const Options& options) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(options.port));
  inet_pton(AF_INET, options.host.c_str(), &address.sin_addr);
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  const int yes = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  if (connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return socket;
  close(socket);
  return -1;
}

std::string Question(const Options& options, int64_t number) {
  std::string path = options.path;
  if (const size_t at = path.find("{}"); at != std::string::npos) {
    path.replace(at, 2, std::to_string(number % options.questions));
  }
  return "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n";
}

std::string Request(const Options& options, int64_t number) {
  if (options.questions > 0) return Question(options, number);
  std::string body;
  for (int row = 0; row < options.rows; ++row) {
    body += "{\"id\":" + std::to_string(number * options.rows + row) +
            ",\"who\":\"somebody\",\"score\":" + std::to_string(row) +
            ".5,\"at\":" + std::to_string(1'700'000'000'000 + number) + "}\n";
  }
  return "POST " + options.path +
         " HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nIdempotency-Key: " + std::to_string(getpid()) +
         "-" + std::to_string(number) + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

// The status of the answer, read to its end; 0: the connection broke.
int Ask(int socket, const std::string& request) {
  if (send(socket, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) return 0;
  std::string answer;
  char bytes[4096];
  while (true) {
    const ssize_t got = recv(socket, bytes, sizeof bytes, 0);
    if (got <= 0) return 0;
    answer.append(bytes, static_cast<size_t>(got));
    const size_t head = answer.find("\r\n\r\n");
    if (head == std::string::npos) continue;
    const size_t length = answer.find("Content-Length: ");
    if (length == std::string::npos || length > head) return 0;
    if (answer.size() >= head + 4 + std::strtoul(answer.c_str() + length + 16, nullptr, 10)) break;
  }
  return std::atoi(answer.c_str() + std::strlen("HTTP/1.1 "));
}

void Post(const Options& options, int first, Clock::time_point begin, Results* results) {
  std::map<int, int64_t> answers;
  std::vector<double> milliseconds;
  int socket = Connect(options);
  const int64_t last = int64_t{options.rate} * options.seconds;
  for (int64_t number = first; number < last; number += options.connections) {
    const auto due = begin + std::chrono::nanoseconds(number * 1'000'000'000 / options.rate);
    std::this_thread::sleep_until(due);
    const int status = socket < 0 ? 0 : Ask(socket, Request(options, number));
    ++answers[status];
    milliseconds.push_back(std::chrono::duration<double, std::milli>(Clock::now() - due).count());
    if (status != 0) continue;
    if (socket >= 0) close(socket);
    socket = Connect(options);
  }
  if (socket >= 0) close(socket);
  const std::lock_guard lock(results->mutex);
  for (const auto& [status, count] : answers) results->answers[status] += count;
  results->milliseconds.insert(results->milliseconds.end(), milliseconds.begin(), milliseconds.end());
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (argc < 3 || std::strchr(argv[1], ':') == nullptr) {
    std::fprintf(
        stderr,
        "usage: bench_posts HOST:PORT PATH [--connections N] [--rate N] [--seconds N] [--rows N | --questions N]\n");
    return 2;
  }
  options.host.assign(argv[1], std::strchr(argv[1], ':'));
  options.port = std::atoi(std::strchr(argv[1], ':') + 1);
  options.path = argv[2];
  for (int i = 3; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    int* const value = name == "--connections" ? &options.connections
                       : name == "--rate"      ? &options.rate
                       : name == "--seconds"   ? &options.seconds
                       : name == "--rows"      ? &options.rows
                       : name == "--questions" ? &options.questions
                                               : nullptr;
    if (value == nullptr || (*value = std::atoi(argv[i + 1])) <= 0) {
      std::fprintf(stderr, "bench_posts: %s\n", argv[i]);
      return 2;
    }
  }
  Results results;
  const auto begin = Clock::now();
  std::vector<std::thread> threads;
  for (int i = 0; i < options.connections; ++i) threads.emplace_back(Post, options, i, begin, &results);
  for (std::thread& thread : threads) thread.join();
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  std::sort(results.milliseconds.begin(), results.milliseconds.end());
  const auto at = [&](double share) {
    return results.milliseconds[static_cast<size_t>(share * static_cast<double>(results.milliseconds.size() - 1))];
  };
  std::printf("{\"seconds\": %.2f, \"posts_per_second\": %.0f, \"p50_ms\": %.2f, \"p99_ms\": %.2f, \"max_ms\": %.2f",
              seconds, static_cast<double>(results.milliseconds.size()) / seconds, at(0.5), at(0.99), at(1));
  for (const auto& [status, count] : results.answers) {
    std::printf(", \"status_%d\": %lld", status, static_cast<long long>(count));
  }
  std::printf("}\n");
  return 0;
}
