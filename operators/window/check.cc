// The check of aggregates over windows and over all time.
#include <algorithm>
#include <iterator>
#include <numeric>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_replace.h>

#include "operators/window/calendar_windows.h"
#include "operators/window/spec.h"
#include "src/base/suggest.h"
#include "src/plan/step_check.h"
#include "src/plan/units.h"

namespace tidemark {
namespace {

// More windows than this a row is a mistyped duration.
constexpr int64_t kMaxWindowsARow = 10'000;

CalendarUnit UnitOf(const std::string& name) {
  return name == "day"       ? CalendarUnit::kDay
         : name == "week"    ? CalendarUnit::kWeek
         : name == "month"   ? CalendarUnit::kMonth
         : name == "quarter" ? CalendarUnit::kQuarter
                             : CalendarUnit::kYear;
}

void ReadWindow(const topology::Window& yaml, WindowSpec* spec) {
  spec->size_us = yaml.has_tumbling() ? yaml.tumbling() : yaml.has_cumulative() ? yaml.every() : yaml.hopping();
  spec->gap_us = yaml.session();
  spec->every_us = yaml.has_tumbling() ? spec->size_us : yaml.every();
  spec->cumulative_us = yaml.cumulative();
  spec->offset_us = yaml.offset();
  if (yaml.has_calendar()) {
    spec->calendar_unit = yaml.calendar();
    spec->time_zone = yaml.has_time_zone() ? yaml.time_zone() : "UTC";
    const auto zone = internal::TimeZone::Find(spec->time_zone);  // was checked
    if (zone) spec->calendar = std::make_shared<CalendarWindows>(UnitOf(yaml.calendar()), *zone, spec->offset_us);
    spec->size_us = spec->every_us = CalendarWindows::LongestUs(UnitOf(yaml.calendar()));
  }
  spec->keep_us = yaml.keep();
  spec->grace_us = yaml.grace();
  if (yaml.has_late()) spec->late_topic = yaml.late().topic();
}

bool CheckSession(StepCheck& check) {
  const topology::Window& yaml = check.yaml().window();
  if (yaml.session() <= 0) return check.Error("window/session", "the gap between sessions must be longer than nothing");
  if (yaml.has_every()) return check.Error("window/every", "`every` goes with hopping; sessions start with their rows");
  if (yaml.has_offset()) return check.Error("window/offset", "sessions start with their rows, so there is no `offset`");
  if (yaml.has_keep()) {
    return check.Error("window/keep",
                       "`keep` isn't implemented for sessions: what is over leaves the state without a word");
  }
  if (check.yaml().emit() == "every_record") {
    return check.Error("emit",
                       "every_record isn't implemented for sessions, whose rows may make one of two: use on_update, "
                       "which emits what a commit has changed, or on_close");
  }
  return !check.Broken();
}

bool CheckCalendar(StepCheck& check) {
  const topology::Window& yaml = check.yaml().window();
  if (yaml.has_every()) return check.Error("window/every", "`every` goes with hopping and cumulative");
  const std::string zone = yaml.has_time_zone() ? yaml.time_zone() : "UTC";
  if (!internal::TimeZone::Find(zone)) {
    return check.Error(yaml.has_time_zone() ? "window/time_zone" : "window/calendar",
                       absl::StrCat("there is no time zone '", zone, "'; expected a name as Europe/Berlin or UTC"));
  }
  const int64_t shortest = CalendarWindows::ShortestUs(UnitOf(yaml.calendar()));
  if (yaml.offset() < 0 || yaml.offset() >= shortest) {
    return check.Error("window/offset", absl::StrCat("a ", yaml.calendar(), " has ", FormatDuration(shortest),
                                                     " at least: `offset` must be less than that"));
  }
  return !check.Broken();
}

// What is told of a day so far is told when it closes, of all of its groups.
bool CheckCumulative(StepCheck& check) {
  const topology::Window& yaml = check.yaml().window();
  if (yaml.cumulative() <= 0) return check.Error("window/cumulative", "a window must be longer than nothing");
  if (!yaml.has_every()) return check.Error("window", "a cumulative window needs `every`");
  if (yaml.every() <= 0 || yaml.cumulative() % yaml.every() != 0 || yaml.cumulative() == yaml.every()) {
    return check.Error("window/every", absl::StrCat("`every` must divide the length of the window, ",
                                                    FormatDuration(yaml.cumulative()), ", and be less"));
  }
  if (yaml.cumulative() / yaml.every() > kMaxWindowsARow) {
    return check.Error("window/every", absl::StrCat("a window would be told ", yaml.cumulative() / yaml.every(),
                                                    " times; at most ", kMaxWindowsARow));
  }
  if (yaml.offset() < 0 || yaml.offset() >= yaml.cumulative()) {
    return check.Error("window/offset", absl::StrCat("windows start every ", FormatDuration(yaml.cumulative()),
                                                     ": `offset` must be less than that"));
  }
  if (check.yaml().has_emit() && check.yaml().emit() != "on_close") {
    return check.Error("emit", absl::StrCat(check.yaml().emit(),
                                            " isn't implemented for cumulative windows, which are told every `every`; "
                                            "a tumbling window with emit: on_update is told as it changes"));
  }
  return !check.Broken();
}

bool CheckKeep(StepCheck& check) {
  const topology::Window& yaml = check.yaml().window();
  if (yaml.has_time_zone() && !yaml.has_calendar()) {
    check.Error("window/time_zone", "`time_zone` goes with calendar: day, week, month, quarter or year");
  }
  if (!yaml.has_keep() || yaml.has_session()) return !check.Broken();
  if (!check.yaml().has_emit() || check.yaml().emit() == "on_close") {
    return check.Error("window/keep",
                       "`keep` goes with emit: on_update or every_record: results at the close of a window stand");
  }
  if (yaml.keep() <= yaml.grace()) {
    return check.Error("window/keep", absl::StrCat("rows of a window are kept longer than it takes any, so `keep` must "
                                                   "be longer than `grace`, ",
                                                   FormatDuration(yaml.grace())));
  }
  return !check.Broken();
}

bool CheckWindow(StepCheck& check) {
  const topology::Window& yaml = check.yaml().window();
  if (yaml.has_late()) check.AddSide({"late", yaml.late().topic()}, "window/late/topic");
  if (yaml.has_tumbling() + yaml.has_hopping() + yaml.has_session() + yaml.has_cumulative() + yaml.has_calendar() != 1)
    return check.Error("window",
                       "a window is one of tumbling:, hopping: with every:, cumulative: with every:, calendar:, and "
                       "session:");
  if (!CheckKeep(check)) return false;
  if (yaml.has_session()) return CheckSession(check);
  if (yaml.has_calendar()) return CheckCalendar(check);
  if (yaml.has_cumulative()) return CheckCumulative(check);
  const char* field = yaml.has_tumbling() ? "window/tumbling" : "window/hopping";
  WindowSpec spec;
  ReadWindow(yaml, &spec);
  if (spec.size_us <= 0) return check.Error(field, "a window must be longer than nothing");
  if (yaml.has_tumbling() && yaml.has_every())
    return check.Error("window/every", "`every` goes with hopping; a tumbling window starts where the last ends");
  if (yaml.has_hopping() && !yaml.has_every()) return check.Error("window", "a hopping window needs `every`");
  if (spec.every_us <= 0 || spec.size_us % spec.every_us != 0) {
    return check.Error("window/every",
                       absl::StrCat("`every` must divide the length of the window, ", FormatDuration(spec.size_us)));
  }
  if (spec.size_us / spec.every_us > kMaxWindowsARow) {
    return check.Error("window/every", absl::StrCat("each row would lie in ", spec.size_us / spec.every_us,
                                                    " windows; at most ", kMaxWindowsARow));
  }
  if (spec.offset_us < 0 || spec.offset_us >= spec.every_us) {
    return check.Error("window/offset", absl::StrCat("windows start every ", FormatDuration(spec.every_us),
                                                     ": `offset` must be less than that"));
  }
  return !check.Broken();
}

// Those that count from now on stand behind all others, as they are kept, and are given rows that stand: what is taken
// back would be taken out of them without having been in them.
bool CheckFromNow(StepCheck& check) {
  const topology::Step& yaml = check.yaml();
  std::vector<std::string> names;
  for (const topology::Entry& item : yaml.aggregates()) names.push_back(item.name());
  const auto& from_now = yaml.aggregates_from_now();
  const auto said = [&](const std::string& name) { return std::count(from_now.begin(), from_now.end(), name) > 0; };
  for (int i = 0; i < from_now.size(); ++i) {
    const std::string field = absl::StrCat("aggregates_from_now/", i);
    const auto at = std::find(names.begin(), names.end(), from_now[i]);
    if (at == names.end()) {
      return check.Error(
          field, absl::StrCat("'", from_now[i], "' is none of the step's aggregates", DidYouMean(from_now[i], names)));
    }
    const auto behind = std::find_if_not(at, names.end(), said);
    if (behind != names.end()) {
      return check.Error(field, absl::StrCat("'", from_now[i], "' stands in front of '", *behind,
                                             "', which doesn't count from now on: put it behind, as groups are kept "
                                             "with their aggregates one after the other"));
    }
  }
  if (!from_now.empty() && std::all_of(names.begin(), names.end(), said)) {
    return check.Error("aggregates_from_now",
                       "all aggregates would count from now on: one at least was there before, or else the step is "
                       "new, and begins with all of them anyway");
  }
  if (!from_now.empty() && check.in().mode.update) {
    return check.Error(
        "aggregates_from_now",
        absl::StrCat("rows of the input are taken back (key ", ColumnNames(check.in().schema, check.in().mode.key),
                     "), also those that came before an aggregate was added, and it can't give back what it was never "
                     "given: compute it over all of history, by `tidemark replay`"));
  }
  return true;
}

bool AddAggregates(StepCheck& check, WindowSpec* spec) {
  LogicalStep& step = check.step();
  LogicalPort& input = check.in();
  bool needs_order = false;
  for (const topology::Entry& item : check.yaml().aggregates()) {
    const std::string field = "aggregates/" + item.name();
    const auto aggregate = check.Compile<Aggregate>(item.value(), field);
    if (!aggregate) continue;
    step.may_fail = step.may_fail || aggregate->fallible();
    if (aggregate->function == AggregateFunction::kLag) {
      check.Error(field, "lag looks at the rows before one, which groups don't know: it goes with `over`");
      continue;
    }
    if (aggregate->function == AggregateFunction::kApproxCountDistinct && input.mode.update) {
      check.Error(field,
                  absl::StrCat("rows of the input are taken back (key ", ColumnNames(input.schema, input.mode.key),
                               "), which approx_count_distinct can't do; use count(distinct ...)"));
      continue;
    }
    const bool by_order = aggregate->by_row_order();
    if (by_order && !input.ordered) {
      check.Error(field,
                  "first, last and string_agg follow the order of source rows, which results of windows and tops don't "
                  "have; instead of first and last use min or max, or min_by and max_by, and array_agg and string_agg "
                  "may have an ORDER BY of their own");
    }
    needs_order = needs_order || by_order;
    const auto& later = check.yaml().aggregates_from_now();
    const bool from_now = std::find(later.begin(), later.end(), item.name()) != later.end();
    // Results of before, which may still be on their way, haven't got it.
    check.AddOutput({item.name(), aggregate->type, aggregate->nullable || from_now}, std::nullopt, field);
    spec->aggregates.push_back({item.name(), item.value(), from_now});
  }
  if (needs_order) {
    input.needs = input.needs.With(Hidden::kSource).With(Hidden::kPartition).With(Hidden::kOffset);
  }
  return !check.Broken();
}

// "15 minutes", as SQL has it in an interval.
std::string IntervalText(int64_t us) {
  static constexpr std::pair<int64_t, const char*> kUnits[] = {{24 * 3600 * kSecond, "day"},  {3600 * kSecond, "hour"},
                                                               {60 * kSecond, "minute"},      {kSecond, "second"},
                                                               {kMillisecond, "millisecond"}, {1, "microsecond"}};
  const auto* const unit =
      std::find_if(std::begin(kUnits), std::end(kUnits), [&](const auto& each) { return us % each.first == 0; });
  return absl::StrCat("interval '", us / unit->first, " ", unit->second, us == unit->first ? "'" : "s'");
}

// An expression over the time in `column`: the start of the window that it lies in; of those of a hopping or cumulative
// window the newest.
std::string StartOfWindow(const topology::Window& yaml, const WindowSpec& spec, const std::string& column) {
  const std::string shift = spec.offset_us > 0 ? IntervalText(spec.offset_us) : "";
  const std::string time = shift.empty() ? column : absl::StrCat(column, " - ", shift);
  const std::string start =
      yaml.has_calendar()
          ? absl::StrCat("date_trunc('", yaml.calendar(), "', ", time, ", '", spec.time_zone, "')")
          : absl::StrCat("date_bin(", IntervalText(spec.every_us), ", ", time, ", timestamp '1970-01-01')");
  return shift.empty() ? start : absl::StrCat(start, " + ", shift);
}

// The column in SQL, and text in YAML: with quotes where it needs them.
std::string InSql(const Schema& schema, size_t column) {
  const std::string& name = schema[column].name;
  const absl::StatusOr<Expression> plain = Expression::Compile(name, schema);
  return plain.ok() && plain->AsColumn() == column ? name : QuoteIdentifier(name);
}
std::string InYaml(const std::string& text) {
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"\"", "\\\""}}), "\"");
}

// What does the same for rows that are replaced at any time, as lines to write: a group for each start of a window,
// which never closes. None for rows of windows: those that `keep` deletes would leave the groups, and where results of
// the close are wanted these do the same.
std::string AsGroups(StepCheck& check) {
  const topology::Step& yaml = check.yaml();
  const LogicalPort& input = check.in();
  if (input.window_columns || !input.closes.empty()) return "";
  WindowSpec spec;
  ReadWindow(yaml.window(), &spec);
  const std::string column = input.time_column ? InSql(input.schema, *input.time_column) : "TIME";
  const std::string name = input.schema.Find("window_start") ? "starts" : "window_start";
  const std::string timed = absl::StrCat(check.step().name, "_timed");
  const std::string from =
      yaml.from_size() == 1 ? yaml.from(0) : absl::StrCat("[", absl::StrJoin(yaml.from(), ", "), "]");
  std::vector<std::string> by(yaml.group_by().begin(), yaml.group_by().end());
  by.push_back(name);
  return absl::StrCat(
      ". What is right however late a row is replaced is a group for each window: `", timed, ": { from: ", from,
      ", project: { \"*\": true, ", name, ": ", InYaml(StartOfWindow(yaml.window(), spec, column)),
      " } }`, and here `from: ", timed, "`, `group_by: [", absl::StrJoin(by, ", "), "]` without `window`",
      yaml.emit() == "on_close" ? " and `emit: on_close`, as nothing of it is ever final" : "",
      ": its rows change when the table does",
      input.time_column ? ""
                        : "; TIME is a column with the row's time, in a source perhaps changed_at: { type: timestamp, "
                          "from: timestamp }, the time of its last change",
      yaml.window().has_hopping() ? absl::StrCat("; a window of ", FormatDuration(spec.size_us), " is ",
                                                 spec.size_us / spec.every_us, " such groups")
                                  : "");
}

// What a window asks of rows that replace each other.
bool CheckUpdates(StepCheck& check) {
  const LogicalPort& input = check.in();
  if (!input.mode.update) return true;
  const std::string key = ColumnNames(input.schema, input.mode.key);
  if (check.yaml().window().has_session()) {
    check.Error("from", absl::StrCat("sessions over this step aren't implemented: its rows (key ", key,
                                     ") may be taken back, and a session that loses a row may have to be parted again. "
                                     "Use them over rows that stand",
                                     OrOnClose(input.closes)));
    return false;
  }
  if (check.yaml().window().has_late()) {
    check.Error("window/late",
                absl::StrCat("rows of the input replace each other (key ", key, "): no topic can hold them"));
  }
  if (check.yaml().window().has_cumulative()) {
    check.Error("from", absl::StrCat("cumulative windows over this step aren't implemented: its rows (key ", key,
                                     ") may be taken back. Use them over rows that stand", OrOnClose(input.closes)));
  }
  if (!input.timely && !check.yaml().window().has_cumulative()) {
    const std::string groups = AsGroups(check);
    check.Error("from", absl::StrCat("a window over this step isn't implemented: its rows (key ", key,
                                     ") may be replaced long after their time, when the windows they lie in are over",
                                     input.ordered ? "" : ". Put the window before it",
                                     input.ordered || groups.empty() ? "" : ", or aggregate without one", groups,
                                     OrOnClose(input.closes)));
  }
  return !check.Broken();
}

// `window`, or `group_by` alone.
class Aggregation final : public OperatorSyntax {
 public:
  explicit Aggregation(bool windowed) : windowed_(windowed) {}

  std::string_view field() const override { return windowed_ ? "window" : "group_by"; }
  std::vector<std::string_view> beside() const override {
    return {"group_by", "aggregates", "aggregates_from_now", "emit"};
  }
  bool Has(const Diagnostics& diagnostics, const std::string& path) const override {
    const bool window = diagnostics.Present(path + "/window");
    return windowed_ ? window
                     : !window && !diagnostics.Present(path + "/over") &&
                           (diagnostics.Present(path + "/group_by") || diagnostics.Present(path + "/aggregates"));
  }
  bool CheckAlone(StepCheck& check) const override;
  bool Check(StepCheck& check) const override;

 private:
  const bool windowed_;
};

bool Aggregation::CheckAlone(StepCheck& check) const {
  if (check.Broken(field())) return false;
  const topology::Step& yaml = check.yaml();
  if (!windowed_ && yaml.has_emit() && yaml.emit() == "on_close")
    check.Error("emit", "without a window nothing ever closes: use emit: on_update or every_record");
  if (yaml.aggregates().empty() && !check.Lost("aggregates"))
    check.Error(check.Present("aggregates") ? "aggregates" : "", "at least one aggregate is needed");
  if (!check.Present("group_by")) check.Error("", "'group_by' is missing; `group_by: []` is one group of everything");
  return windowed_ ? CheckWindow(check) : !check.Broken();
}

bool Aggregation::Check(StepCheck& check) const {
  const topology::Step& yaml = check.yaml();
  LogicalStep& step = check.step();
  LogicalPort& input = check.in();
  WindowSpec spec;
  if (windowed_) ReadWindow(yaml.window(), &spec);
  // Sessions start and end with their rows, of which results of windows end in milliseconds.
  if (spec.gap_us > 0 && step.time_form == TimestampForm::kSeconds && !input.ordered) {
    step.time_form = TimestampForm::kMillis;
  }
  const int64_t unit = step.time_form == TimestampForm::kSeconds  ? kSecond
                       : step.time_form == TimestampForm::kMillis ? kMillisecond
                                                                  : 1;
  if (spec.gap_us % unit != 0) {
    return check.Error("window/session", absl::StrCat("event time is in units of ", FormatDuration(unit),
                                                      ", so sessions must end a number of these behind their rows"));
  }
  if (windowed_ && input.time_form == TimestampForm::kSeconds && spec.every_us % kSecond != 0) {
    return check.Error(yaml.window().has_tumbling()     ? "window/tumbling"
                       : yaml.window().has_cumulative() ? "window/every"
                                                        : "window/hopping",
                       "event time is timestamp_s, so windows must start at whole seconds");
  }
  if (windowed_ && input.time_form == TimestampForm::kSeconds && spec.offset_us % kSecond != 0)
    return check.Error("window/offset", "event time is timestamp_s, so windows must start at whole seconds");
  spec.every_record = yaml.emit() == "every_record";
  spec.on_update = spec.every_record || (yaml.has_emit() ? yaml.emit() == "on_update" : !windowed_);
  const auto group_by = check.Find(yaml.group_by(), "group_by");
  if (!group_by) return false;
  spec.group_by = *group_by;
  spec.rows = input.schema;
  for (const size_t c : *group_by) check.AddOutput(input.schema[c], c, "group_by");
  step.window_columns.reset();
  if (windowed_) {
    const Type time{.kind = Kind::kTimestamp, .form = step.time_form};
    step.window_columns.emplace(step.output.size(), step.output.size() + 1);
    check.AddOutput({"window_start", time, false}, std::nullopt, "group_by");
    check.AddOutput({"window_end", time, false}, std::nullopt, "group_by");
    input.needs = input.needs.With(Hidden::kWatermark);
  }
  spec.input_updates = input.mode.update;
  if (!CheckFromNow(check) || !AddAggregates(check, &spec) || (windowed_ && !CheckUpdates(check))) return false;
  // Rows that are deleted after a while are so long after their time.
  step.timely = input.timely && (windowed_ || !spec.on_update) && spec.keep_us == 0;
  step.mode = {.update = spec.on_update, .key = {}};
  step.closes = spec.on_update && windowed_ ? step.name : "";
  if (spec.on_update) {
    // A session that goes on is the same row: it has its start, and its end moves.
    step.mode.key.resize(group_by->size() + (spec.gap_us > 0 ? 1 : windowed_ ? 2 : 0));
    std::iota(step.mode.key.begin(), step.mode.key.end(), size_t{0});
  }
  input.together = *group_by;
  step.ordered = false;
  step.spec = std::move(spec);
  return true;
}

}  // namespace

const OperatorSyntax& WindowSyntax() {
  static const Aggregation syntax(/*windowed=*/true);
  return syntax;
}
const OperatorSyntax& GroupBySyntax() {
  static const Aggregation syntax(/*windowed=*/false);
  return syntax;
}

}  // namespace tidemark
