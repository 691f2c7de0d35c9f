// A script about what changes places in Kafka (src/runtime/generations/target_swap.h): the product's own code, not the
// client's, on both sides.
#include <map>

#include "src/base/clock.h"
#include "src/runtime/generations/target_swap.h"
#include "tests/sim/conformance_scripts.h"

namespace tidemark::sim {
namespace {

class WorldClock final : public Clock {
 public:
  explicit WorldClock(const ConformanceWorld& world) : world_(world) {}
  int64_t WallUs() override { return world_.now_us(); }
  int64_t MonotonicUs() override { return world_.now_us(); }

 private:
  const ConformanceWorld& world_;
};

}  // namespace

std::string TheDifferenceOfTwoGenerationsIsWrittenOnce(const ConformanceWorld& world) {
  Kit kit(world);
  WorldClock clock(world);
  TopicDifferenceTarget target;
  target.live = kit.Topic("orders", 2);
  target.shadow = kit.Topic("orders.g2", 2);
  target.transactional_id = kit.Name("switch");
  const HeaderList by = {{"by", "g2"}};
  auto n = kit.NewProducer("n"), next = kit.NewProducer("next");
  kit.Must(n->Begin(), "Begin");
  kit.Must(n->Produce(target.live, {{0, "same", "1", nullptr},
                                    {0, "gone", "2", nullptr},
                                    {0, "other", "3", nullptr},
                                    {1, "deleted", "4", nullptr},
                                    {1, "deleted", std::nullopt, nullptr}}),
           "Produce");
  kit.Must(n->Flush(), "Flush");
  kit.Line("n: ", OutcomeName(n->Commit(nullptr)));
  kit.Must(next->Begin(), "Begin");
  kit.Must(next->Produce(target.shadow, {{0, "same", "1", nullptr}, {0, "other", "33", &by}, {1, "new", "5", nullptr}}),
           "Produce");
  kit.Must(next->Flush(), "Flush");
  kit.Line("n+1: ", OutcomeName(next->Commit(nullptr)));
  const auto settled = [&](const std::string& topic) {
    for (const int32_t p : {0, 1}) {
      kit.Until("the markers", [&] {
        return kit.admin().LogEnd({topic, p}, Isolation::kReadCommitted).value_or(0) ==
               kit.admin().LogEnd({topic, p}, Isolation::kReadUncommitted).value_or(-1);
      });
    }
  };
  settled(target.shadow);
  settled(target.live);
  const auto swap = MakeTopicDifference(target, &kit.client(1), &clock);
  kit.Line("prepare", swap->Prepare());
  // What n has begun is waited for, whatever becomes of it.
  kit.Must(n->Begin(), "Begin");
  kit.Must(n->Produce(target.live, {{0, "late", "6", nullptr}}), "Produce");
  kit.Must(n->Flush(), "Flush");
  kit.Line("too early: ", absl::IsUnavailable(swap->Swap()));
  kit.Line("the late one: ", OutcomeName(n->Commit(nullptr)));
  for (const char* what : {"swap", "again"}) {
    absl::Status status;
    kit.Until(what, [&] {
      status = swap->Swap();
      return !absl::IsUnavailable(status);
    });
    kit.Line(what, status);
    settled(target.live);
    for (const int32_t p : {0, 1}) kit.Line(p, ": ", kit.ReadAll({target.live, p}, Isolation::kReadCommitted));
  }
  return kit.Trace();
}

}  // namespace tidemark::sim
