#include <utility>

#include <absl/strings/str_cat.h>

#include "operators/sinks/postgres/swap.h"
#include "src/runtime/generations/target_swap.h"

namespace tidemark {
namespace {

class PostgresSwap final : public TargetSwap {
 public:
  explicit PostgresSwap(PostgresSwapSpec spec) : spec_(std::move(spec)), swap_(spec_) {}

  absl::Status Prepare() override { return swap_.Rehearse(); }
  absl::Status Swap() override { return swap_.Run(); }
  std::string Describe() const override {
    const std::string schema = spec_.sink_spec.schema + ".";
    return absl::StrCat("sink ", spec_.sink, ": table ", schema, spec_.shadow, " takes the place of ", schema,
                        spec_.sink_spec.table,
                        ", with its rights, views and indexes; what stands there now is kept as ", schema, spec_.kept);
  }

 private:
  const PostgresSwapSpec spec_;
  PostgresTableSwap swap_;
};

}  // namespace

std::unique_ptr<TargetSwap> MakePostgresSwap(PostgresSwapTarget target, SwapParties parties) {
  PostgresSwapSpec spec;
  spec.sink_spec = std::move(target.spec);
  spec.shadow = std::move(target.shadow);
  spec.kept = std::move(target.kept);
  spec.written = std::move(target.written);
  spec.from_sink = parties.from_sink.empty() ? parties.sink : std::move(parties.from_sink);
  spec.sink = std::move(parties.sink);
  spec.from = parties.from.Key();
  spec.to = parties.to.Key();
  spec.decision = parties.decision;
  return std::make_unique<PostgresSwap>(std::move(spec));
}

}  // namespace tidemark
