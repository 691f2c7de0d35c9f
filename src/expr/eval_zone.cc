// AT TIME ZONE, and units of time as a place has them.
#include <absl/container/flat_hash_map.h>
#include <absl/strings/str_cat.h>

#include "src/expr/calendar.h"
#include "src/expr/kernel.h"
#include "src/expr/kernels.h"
#include "src/expr/time_zone.h"

namespace tidemark::internal {
namespace {

using View = std::string_view;

struct PreparedZone final : Prepared {
  explicit PreparedZone(TimeZone z) : zone(z) {}
  TimeZone zone;
};

// The zone of each row: the prepared one, or one by the row's name, which is looked up once a batch.
class Zones {
 public:
  explicit Zones(const Prepared* prepared)
      : constant_(prepared != nullptr ? &static_cast<const PreparedZone*>(prepared)->zone : nullptr) {}

  const TimeZone* Of(Row& row, View name) {
    if (constant_ != nullptr) return constant_;
    auto [entry, added] = known_.try_emplace(std::string(name), std::nullopt);
    if (added) entry->second = TimeZone::Find(name);
    if (!entry->second) row.Fail(absl::StrCat("time zone \"", std::string(name), "\" not recognized"));
    return entry->second ? &*entry->second : nullptr;
  }

 private:
  const TimeZone* constant_;
  absl::flat_hash_map<std::string, std::optional<TimeZone>> known_;
};

int64_t InRange(Row& row, std::optional<int64_t> us) {
  if (!us) row.Fail("timestamp out of range");
  return us.value_or(0);
}

template <bool kToLocal>
absl::StatusOr<Values> AtZone(KernelCall& call) {
  Zones zones(call.prepared);
  return Map<int64_t, View, int64_t>(call, [&](Row& row, View name, int64_t us) -> int64_t {
    const TimeZone* zone = zones.Of(row, name);
    if (zone == nullptr) return 0;
    return InRange(row, kToLocal ? zone->ToLocal(us) : zone->FromLocal(us));
  });
}

// Days and longer begin when a clock there says so; shorter units keep the offset that they began with.
absl::StatusOr<Values> DateTruncZone(KernelCall& call) {
  Zones zones(call.prepared);
  const TruncUnit unit = *FindTruncUnit(Reader<View>(call.args[1])[0]);
  return Map<int64_t, View, View, int64_t>(call, [&](Row& row, View name, View, int64_t us) -> int64_t {
    const TimeZone* zone = zones.Of(row, name);
    if (zone == nullptr) return 0;
    const int64_t offset = zone->OffsetAt(us);
    int64_t local = 0, start = 0;
    if (__builtin_add_overflow(us, offset, &local)) return InRange(row, std::nullopt);
    auto cut = Truncate(unit, local);
    if (!cut) return InRange(row, std::nullopt);
    if (unit >= TruncUnit::kDay) return InRange(row, zone->FromLocal(*cut));
    if (__builtin_sub_overflow(*cut, offset, &start)) return InRange(row, std::nullopt);
    return start;
  });
}

}  // namespace

Kernel AtZoneKernel(bool to_local) { return to_local ? AtZone<true> : AtZone<false>; }
Kernel DateTruncZoneKernel() { return DateTruncZone; }

absl::StatusOr<PreparedPtr> PrepareZone(std::string_view name) {
  auto zone = TimeZone::Find(name);
  if (!zone) {
    return absl::InvalidArgumentError(absl::StrCat(
        "time zone \"", std::string(name), "\" not recognized: zones have the names of the tz database on this ",
        "machine (/usr/share/zoneinfo), as in 'Europe/Berlin'; abbreviations and offsets aren't supported"));
  }
  return std::make_shared<PreparedZone>(*zone);
}

}  // namespace tidemark::internal
