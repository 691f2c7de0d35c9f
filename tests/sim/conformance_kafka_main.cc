// The conformance scripts on a real broker: KAFKA_BROKERS=localhost:9092 conformance_kafka [part of a script's name]
// Prints one line a script, and both traces where they differ; exits with 1 if any did.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>

#include <absl/strings/str_cat.h>

#include "src/base/clock.h"
#include "src/kafka/rdkafka_client.h"
#include "tests/sim/conformance.h"

namespace tidemark::sim {
namespace {

std::unique_ptr<KafkaClient> Connect(const std::string& brokers) {
  KafkaSettings settings;
  settings.brokers = brokers;
  const bool verbose = std::getenv("VERBOSE") != nullptr;
  auto client = NewRdKafkaClient(settings, [verbose](int level, std::string_view text) {
    if (verbose) std::fprintf(stderr, "%d %.*s\n", level, static_cast<int>(text.size()), text.data());
  });
  if (client.ok()) return *std::move(client);
  std::fprintf(stderr, "%s\n", client.status().ToString().c_str());
  std::exit(2);
}

int Main(const std::string& brokers, const std::string& filter) {
  int failures = 0;
  for (const ConformanceScript& script : ConformanceScripts()) {
    if (std::string(script.name).find(filter) == std::string::npos) continue;
    std::map<int, std::unique_ptr<KafkaClient>> clients;
    ConformanceWorld world;
    world.client = [&](int process) -> KafkaClient& {
      auto& client = clients[process];
      if (client == nullptr) client = Connect(brokers);
      return *client;
    };
    world.now_us = [] { return SystemClock()->MonotonicUs(); };
    world.prefix = absl::StrCat("conformance-", SystemClock()->WallUs(), "-");
    const int64_t start = SystemClock()->MonotonicUs();
    const std::string difference = CheckConformance(script, world);
    std::printf("%s %s (%.1f s)\n%s", difference.empty() ? "ok  " : "FAIL", script.name,
                static_cast<double>(SystemClock()->MonotonicUs() - start) / 1e6, difference.c_str());
    std::fflush(stdout);
    failures += difference.empty() ? 0 : 1;
  }
  return failures == 0 ? 0 : 1;
}

}  // namespace
}  // namespace tidemark::sim

int main(int argc, char** argv) {
  const char* brokers = std::getenv("KAFKA_BROKERS");
  return tidemark::sim::Main(brokers != nullptr ? brokers : "localhost:9092", argc > 1 ? argv[1] : "");
}
