// Where a generation writes that is built beside the one that runs: into targets of its own, its shadows, beside those
// that people read. Of generation 2:
//
//   topic orders          orders.g2        late and unmatched rows likewise
//   table public.orders   public.orders__g2
//   folder /lake/orders   /lake/orders.g2  a sibling, so that the two can change places
//   dead letters          a topic of their own, town-dead-letter.g2: a record that both generations can't read would
//                         otherwise be counted, alarmed about and replayed twice. It stays, for people to look into
//   views                 nothing to do: a view's topic has the generation in its name
//
// A run over a part of the past (past_run.h) has its shadows by the same rule, under its name: orders.run_march,
// orders__run_march.
//
// Refused: a webhook, as what is computed again would be posted again; and a lake in S3, which couldn't be switched
// afterwards (of a run, which nobody switches to, it has one like a folder's). Silent: `notify`, as nobody wants to be
// woken by how old a backfill is. What a generation reads isn't touched here. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/kafka/client.h"
#include "src/plan/plan.h"
#include "src/runtime/generations/target_swap.h"

namespace tidemark {

// Whose shadows they are.
struct ShadowName {
  ShadowName(int32_t generation);
  static ShadowName OfRun(std::string_view run);

  std::string dotted;      // ".g2", behind topics and folders
  std::string underlined;  // "__g2", behind tables
  std::string who;         // "generation 2"
  bool switched = true;    // it is to change places with its target

 private:
  ShadowName() = default;
};

// The names above; what generation n's target is called once n+1's has its place is n's by the same rule.
std::string ShadowTopic(std::string_view topic, const ShadowName& name);
std::string ShadowTable(std::string_view table, const ShadowName& name);
std::string ShadowFolder(std::string_view folder, const ShadowName& name);

// The plan with its outputs into shadows. Topics are made where they are missing, whatever the topology says of its
// own: but MakeShadowTopics first. InvalidArgument: what can't have a shadow, all of it.
absl::StatusOr<Plan> ShadowPlan(const Plan& plan, const ShadowName& name);

// Makes the shadows of the plan's topics with as many partitions as the topics have, so that keys lie in the same ones
// and the two can be compared; those of topics by key keep every key. What is there is left alone. `plan` has its final
// names; a topic that isn't there yet is left to the workers.
absl::Status MakeShadowTopics(const Plan& plan, const ShadowName& name, Admin& admin);

// Before a new generation is registered: InvalidArgument: shadows, topics with records and folders, that are there
// already, all of them by name. Whose they are isn't known, and what stands in them would be taken for the generation's
// own. Tables aren't asked for.
absl::Status CheckShadowsNew(const Plan& plan, const ShadowName& name, Admin& admin);

// What has to follow a decision by which generation `to` takes the place of `from`: a unit for each target of `to`'s
// sinks that has rows of its own, in their order; plans with their final names. None for a topic without a key, whose
// rows are n's up to the cut and n+1's from there, and none for views.
struct GenerationSwap {
  const Plan* from = nullptr;
  const Plan* to = nullptr;
  int64_t decision = 0;
  StillMine still_mine = nullptr;
};
// The sink of `from` whose target `sink` of the next generation takes over: a view by its name, everything else by
// where it writes. Null: there was none, and nobody's place is taken.
const SinkPlan* FormerSink(const Plan& from, const SinkPlan& sink);

// The plans, `kafka` and `clock` outlive what is returned.
std::vector<std::unique_ptr<TargetSwap>> SwapsOf(const GenerationSwap& swap, KafkaClient* kafka, Clock* clock);

}  // namespace tidemark
