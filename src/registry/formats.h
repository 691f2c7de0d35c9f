// The formats of a topology, those among them whose schemas are in its registry with a client of that. Made once a
// process; what is made of them may be used while this lives.
#pragma once

#include <memory>
#include <string>

#include <absl/status/statusor.h>

#include "src/codec/formats.h"
#include "src/plan/plan.h"
#include "src/registry/client.h"

namespace tidemark {

class TopologyFormats {
 public:
  explicit TopologyFormats(const RegistrySpec& spec);

  const Formats& formats() const { return formats_; }
  RegistryClient* registry() const { return registry_.get(); }  // null: the topology has none

  // Registers what the Kafka sinks' formats register before their first record, each after the registry's own check of
  // what stands there already; or only makes that check. A line for each. FailedPrecondition: the registry refuses, in
  // its words. Unavailable: it is away.
  absl::StatusOr<std::string> RegisterSchemas(const Plan& plan) { return Schemas(plan, true); }
  absl::StatusOr<std::string> CheckSchemas(const Plan& plan) { return Schemas(plan, false); }

 private:
  absl::StatusOr<std::string> Schemas(const Plan& plan, bool register_them);

  std::unique_ptr<RegistryClient> registry_;
  std::unique_ptr<const Format> json_, avro_, debezium_, protobuf_;
  Formats formats_;
};

// For plans: `columns: from_schema` asks the topology's registry.
const Formats& PlanningFormats();

}  // namespace tidemark
