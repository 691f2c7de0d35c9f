// Scripts over the interfaces of src/kafka/client.h, each with the trace it must leave. They run on the simulator
// (conformance_sim_test.cc) and on a real broker (conformance_kafka_main.cc, started by tests/e2e/test_conformance.py):
// a trace that differs on either side means that the simulator isn't Kafka, or that the client isn't what the runtime
// was built against.
//
// A trace says what is certain, not how often a poll came back empty; a script waits for a condition, never for a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "src/kafka/client.h"

namespace tidemark::sim {

struct ConformanceWorld {
  // The client of the n-th process. Processes end by dropping what they hold.
  std::function<KafkaClient&(int process)> client;
  std::function<int64_t()> now_us;
  std::string prefix;  // of topics, groups and transactional ids; unique to this run of this script
};

struct ConformanceScript {
  const char* name;
  std::string (*run)(const ConformanceWorld& world);  // the trace, with the prefix left out
  const char* expected;
  bool slow;  // waits for time-outs of ten seconds and more
};

std::span<const ConformanceScript> ConformanceScripts();

// Runs one script; empty if its trace is the expected one, else both, to be printed.
std::string CheckConformance(const ConformanceScript& script, const ConformanceWorld& world);

}  // namespace tidemark::sim
