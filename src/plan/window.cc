// Aggregates over windows and over all time.
#include <numeric>

#include "src/plan/operator_check.h"
#include "src/plan/units.h"

namespace tidemark {
namespace {

// More windows than this a row is a mistyped duration.
constexpr int64_t kMaxWindowsARow = 10'000;

}  // namespace

bool OperatorCheck::WindowAlone() {
  const bool windowed = Present("window");
  if (!windowed && yaml_.has_emit() && yaml_.emit() != "on_update")
    Error("emit", "without a window nothing ever closes: use emit: on_update");
  if (yaml_.aggregates().empty() && !diagnostics_.Lost(step_.path + "/aggregates"))
    Error(Present("aggregates") ? "aggregates" : "", "at least one aggregate is needed");
  if (!Present("group_by")) Error("", "'group_by' is missing; `group_by: []` is one group of everything");
  if (!windowed) return !Broken();
  const topology::Window& yaml = yaml_.window();
  if (yaml.has_late()) CheckTopicName(yaml.late().topic(), step_.path + "/window/late/topic", &diagnostics_);
  if (yaml.has_tumbling() == yaml.has_hopping())
    return Error("window", "a window is either tumbling: or hopping:, every:");
  const char* field = yaml.has_tumbling() ? "window/tumbling" : "window/hopping";
  WindowSpec spec;
  ReadWindow(&spec);
  if (spec.size_us <= 0) return Error(field, "a window must be longer than nothing");
  if (yaml.has_tumbling() && yaml.has_every())
    return Error("window/every", "`every` goes with hopping; a tumbling window starts where the last ends");
  if (yaml.has_hopping() && !yaml.has_every()) return Error("window", "a hopping window needs `every`");
  if (spec.every_us <= 0 || spec.size_us % spec.every_us != 0) {
    return Error("window/every",
                 absl::StrCat("`every` must divide the length of the window, ", FormatDuration(spec.size_us)));
  }
  if (spec.size_us / spec.every_us > kMaxWindowsARow) {
    return Error("window/every", absl::StrCat("each row would lie in ", spec.size_us / spec.every_us,
                                              " windows; at most ", kMaxWindowsARow));
  }
  return !Broken();
}

void OperatorCheck::ReadWindow(WindowSpec* spec) const {
  const topology::Window& yaml = yaml_.window();
  spec->size_us = yaml.has_tumbling() ? yaml.tumbling() : yaml.hopping();
  spec->every_us = yaml.has_tumbling() ? spec->size_us : yaml.every();
  spec->grace_us = yaml.grace();
  if (yaml.has_late()) spec->late_topic = yaml.late().topic();
}

bool OperatorCheck::AddAggregates(WindowSpec* spec) {
  bool needs_order = false;
  for (const topology::Entry& item : yaml_.aggregates()) {
    const std::string field = "aggregates/" + item.name();
    const auto aggregate = Compile<Aggregate>(item.value(), field);
    if (!aggregate) continue;
    step_.may_fail = step_.may_fail || (aggregate->argument && aggregate->argument->fallible());
    const bool by_order =
        aggregate->function == AggregateFunction::kFirst || aggregate->function == AggregateFunction::kLast;
    if (by_order && !step_.ordered) {
      Error(field,
            "first and last follow the order of source rows, which results of windows and tops don't have; use "
            "min or max");
    }
    needs_order = needs_order || by_order;
    AddOutput({item.name(), aggregate->type, aggregate->nullable}, std::nullopt, field);
    spec->aggregates.push_back({item.name(), item.value()});
  }
  if (needs_order) {
    step_.needs = step_.needs.With(Hidden::kSource).With(Hidden::kPartition).With(Hidden::kOffset);
  }
  return !Broken();
}

bool OperatorCheck::Window() {
  const bool windowed = Present("window");
  WindowSpec spec;
  if (windowed) ReadWindow(&spec);
  if (windowed && step_.time_form == TimestampForm::kSeconds && spec.every_us % kSecond != 0) {
    return Error(yaml_.window().has_tumbling() ? "window/tumbling" : "window/hopping",
                 "event time is timestamp_s, so windows must start at whole seconds");
  }
  spec.on_update = yaml_.has_emit() ? yaml_.emit() == "on_update" : !windowed;
  const auto group_by =
      FindColumns(yaml_.group_by(), step_.input, step_.path + "/group_by", "the input", &diagnostics_);
  if (!group_by) return false;
  spec.group_by = *group_by;
  spec.rows = step_.input;
  for (const size_t c : *group_by) AddOutput(step_.input[c], c, "group_by");
  step_.window_columns.reset();
  if (windowed) {
    const Type time{.kind = Kind::kTimestamp, .form = step_.time_form};
    step_.window_columns.emplace(step_.output.size(), step_.output.size() + 1);
    AddOutput({"window_start", time, false}, std::nullopt, "group_by");
    AddOutput({"window_end", time, false}, std::nullopt, "group_by");
    step_.needs = step_.needs.With(Hidden::kWatermark);
  }
  if (!AddAggregates(&spec) || !NeedsAppend(windowed ? "window" : "group_by")) return false;
  step_.mode = {.update = spec.on_update, .key = {}};
  step_.closes = spec.on_update && windowed ? step_.name : "";
  if (spec.on_update) {
    step_.mode.key.resize(group_by->size() + (windowed ? 2 : 0));
    std::iota(step_.mode.key.begin(), step_.mode.key.end(), size_t{0});
  }
  step_.together = *group_by;
  step_.ordered = false;
  step_.spec = std::move(spec);
  return true;
}

}  // namespace tidemark
