// The conformance scripts on the simulator, with several seeds: chance may change how it gets there, never the trace.
#include <gtest/gtest.h>

#include <map>

#include <absl/strings/str_cat.h>

#include "src/sim/sim_kafka.h"
#include "tests/sim/conformance.h"

namespace tidemark::sim {
namespace {

class Conformance : public testing::TestWithParam<size_t> {};

TEST_P(Conformance, TheSimulatorLeavesTheTraceOfKafka) {
  const ConformanceScript& script = ConformanceScripts()[GetParam()];
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SimClock clock;
    SimCluster::Options options;
    options.seed = seed;
    options.marker_delay_us = seed % 2 == 0 ? 50'000 : 0;
    SimCluster cluster(options, &clock);
    std::map<int, std::unique_ptr<KafkaClient>> clients;
    ConformanceWorld world;
    world.client = [&](int process) -> KafkaClient& {
      auto& client = clients[process];
      if (client == nullptr) client = cluster.NewClient(process);
      return *client;
    };
    // Scripts that wait by asking the admin client see time pass as well.
    world.now_us = [&] {
      clock.Advance(1'000);
      return clock.MonotonicUs();
    };
    world.prefix = "run-";
    ASSERT_EQ(CheckConformance(script, world), "") << "seed " << seed;
  }
}

INSTANTIATE_TEST_SUITE_P(Scripts, Conformance, testing::Range(size_t{0}, ConformanceScripts().size()),
                         [](const auto& info) { return std::string(ConformanceScripts()[info.param].name); });

}  // namespace
}  // namespace tidemark::sim
