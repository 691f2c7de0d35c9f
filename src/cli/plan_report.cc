#include "src/cli/plan_report.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_replace.h>
#include <absl/strings/strip.h>

#include "src/base/json_text.h"

namespace tidemark {
namespace {

using Outcome = TopologyChange::Outcome;

// "1,204,000"
std::string Grouped(int64_t number) {
  const std::string digits = absl::StrCat(number);
  std::string text;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text.push_back(',');
    text.push_back(digits[i]);
  }
  return text;
}

std::string_view Name(Verdict::Kind kind) {
  switch (kind) {
    case Verdict::Kind::kNew:
      return "new";
    case Verdict::Kind::kUnchanged:
      return "unchanged";
    case Verdict::Kind::kConverted:
      return "converts state";
    case Verdict::Kind::kDropped:
      return "dropped";
    case Verdict::Kind::kRefused:
      return "refused";
  }
  return "";
}

std::string_view Name(PartChange::Kind kind) {
  switch (kind) {
    case PartChange::Kind::kGoesOn:
      return "goes on";
    case PartChange::Kind::kNew:
      return "new";
    case PartChange::Kind::kGone:
      return "gone";
  }
  return "";
}

std::string_view Name(Outcome outcome) {
  switch (outcome) {
    case Outcome::kNothingLost:
      return "nothing lost";
    case Outcome::kNeedsDecision:
      return "needs a decision";
    case Outcome::kMistake:
      return "mistake";
    case Outcome::kNotKnown:
      return "not known";
  }
  return "";
}

std::string Open(const Verdict& step) {
  return step.open > 0 ? absl::StrCat(", ", Grouped(step.open), " rows in open windows") : "";
}

// ": most, least count from now on"
std::string FromNow(const Verdict& step) {
  if (step.from_now.empty()) return "";
  return absl::StrCat(": ", absl::StrJoin(step.from_now, ", "), step.from_now.size() == 1 ? " counts" : " count",
                      " from now on");
}

std::string WasCalled(const std::string& former_name) {
  return former_name.empty() ? "" : absl::StrCat(", called ", former_name, " before");
}

std::string About(const Verdict& step) {
  switch (step.kind) {
    case Verdict::Kind::kNew:
      return "new, and empty from now on";
    case Verdict::Kind::kUnchanged:
      return step.former_name.empty() ? absl::StrCat("unchanged, goes on with its state", Open(step))
                                      : absl::StrCat("takes over state of ", step.former_name, Open(step));
    case Verdict::Kind::kConverted:
      return absl::StrCat("converts state", step.former_name.empty() ? "" : " of ", step.former_name, FromNow(step),
                          ", which the former file can't go on with behind it", Open(step));
    case Verdict::Kind::kDropped:
      return absl::StrCat(
          step.allowed ? "dropped, as --allow_drop says: its state is given up" : "dropped: its state would be lost",
          Open(step));
    case Verdict::Kind::kRefused:
      return absl::StrCat("refused: it can't go on with what is there", Open(step));
  }
  return "";
}

class Text {
 public:
  void Line(std::string_view sign, const std::string& name, const std::string& about) {
    absl::StrAppendFormat(&out_, "  %s %-24s %s\n", std::string(sign), name, about);
  }
  void Below(const std::string& what) { absl::StrAppend(&out_, "      ", what, "\n"); }
  void Title(const std::string& title) { absl::StrAppend(&out_, title, "\n"); }

  std::string out_;
};

std::string Columns(const PartChange& part) {
  std::vector<std::string> changes;
  for (const std::string& column : part.added) changes.push_back("+ " + column);
  for (const std::string& column : part.removed) changes.push_back("- " + column);
  return changes.empty() ? "" : absl::StrCat("columns ", absl::StrJoin(changes, ", "));
}

void Sources(const TopologyChange& change, Text* text) {
  if (!change.sources.empty()) text->Title("sources");
  for (const PartChange& source : change.sources) {
    switch (source.kind) {
      case PartChange::Kind::kGoesOn:
        text->Line(source.former_name.empty() ? " " : "~", source.name,
                   absl::StrCat("goes on", WasCalled(source.former_name), ": ", source.about));
        break;
      case PartChange::Kind::kNew:
        text->Line("+", source.name, absl::StrCat("new: ", source.about, source.begins));
        break;
      case PartChange::Kind::kGone:
        text->Line("-", source.name, "isn't read any more; put back within a week, it goes on where it was left");
        break;
    }
  }
}

void Steps(const TopologyChange& change, Text* text) {
  if (!change.steps.empty() || !change.stateless.empty()) text->Title("steps");
  for (const Verdict& step : change.steps) {
    const char* sign = step.kind == Verdict::Kind::kNew         ? "+"
                       : step.kind == Verdict::Kind::kUnchanged ? (step.former_name.empty() ? " " : "~")
                       : step.kind == Verdict::Kind::kConverted ? "~"
                       : step.kind == Verdict::Kind::kDropped   ? "-"
                                                                : "!";
    const std::string name = step.subject;
    text->Line(sign, std::string(absl::StripPrefix(name, "step ")), About(step));
  }
  for (const PartChange& step : change.stateless) {
    const bool is_new = step.kind == PartChange::Kind::kNew;
    text->Line(is_new                     ? "+"
               : step.former_name.empty() ? " "
                                          : "~",
               step.name,
               is_new
                   ? "new; keeps no state"
                   : absl::StrCat("keeps no state", WasCalled(step.former_name), ": what it says holds from now on"));
  }
}

void Sinks(const TopologyChange& change, Text* text) {
  if (!change.sinks.empty()) text->Title("sinks");
  for (const PartChange& sink : change.sinks) {
    const std::string columns = Columns(sink);
    switch (sink.kind) {
      case PartChange::Kind::kGoesOn:
        text->Line(columns.empty() && sink.former_name.empty() ? " " : "~", sink.name,
                   absl::StrCat("goes on into ", sink.about, WasCalled(sink.former_name)));
        break;
      case PartChange::Kind::kNew:
        text->Line("+", sink.name, absl::StrCat("new: gets rows from now on into ", sink.about));
        break;
      case PartChange::Kind::kGone:
        text->Line("-", sink.name, "gets no rows any more; what it was given stays, rows that wait for it too");
        break;
    }
    for (const std::string& what : {columns, sink.found}) {
      if (!what.empty()) text->Below(what);
    }
    if (!sink.unknown.empty()) text->Below("couldn't be looked at: " + sink.unknown);
  }
}

bool GivesUp(const TopologyChange& change) {
  return std::any_of(change.steps.begin(), change.steps.end(), [](const Verdict& step) { return step.allowed; });
}

std::string Conclusion(const TopologyChange& change) {
  switch (change.outcome()) {
    case Outcome::kNothingLost:
      return GivesUp(change)
                 ? "Nothing is lost but what --allow_drop gives up: `run` goes on with this and that flag.\n"
                 : "Nothing is lost: `run` goes on with this.\n";
    case Outcome::kNotKnown:
      return "What could be looked at fits; ask again when the rest can be.\n";
    case Outcome::kMistake:
    case Outcome::kNeedsDecision:
      break;
  }
  std::vector<std::string> wrong = change.wrong;
  for (const PartChange& sink : change.sinks) {
    if (!sink.wrong.empty()) wrong.push_back(sink.wrong);
  }
  std::string text;
  if (!wrong.empty()) absl::StrAppend(&text, "Must be mended first:\n  ", absl::StrJoin(wrong, "\n  "), "\n");
  const std::string decide(Refusal(change.steps).message());
  if (!decide.empty()) {
    absl::StrAppend(&text, "Needs a decision; `run` refuses it, and changes nothing:\n  ",
                    absl::StrReplaceAll(decide, {{"\n", "\n  "}}), "\n");
  }
  return text;
}

std::string TextReport(const Plan& plan, const TopologyChange& change) {
  Text text;
  text.Title(absl::StrCat("plan for ", plan.application.name, ", against ", change.against,
                          change.first ? ": nothing has run under this name" : ""));
  Sources(change, &text);
  Steps(change, &text);
  Sinks(change, &text);
  if (!change.topics.empty()) text.Title("topics that a run would make");
  for (const TopicToCreate& topic : change.topics) {
    text.Line("+", topic.topic, absl::StrCat(topic.partitions, topic.partitions == 1 ? " partition" : " partitions"));
  }
  for (const std::string& idle : change.idle) text.Title(idle);
  return text.out_ + Conclusion(change);
}

std::string Member(std::string_view name, std::string_view value) {
  return absl::StrCat(JsonQuoted(name), ": ", JsonQuoted(value));
}

template <typename List, typename ToText>
std::string Array(const List& list, ToText to_text) {
  return absl::StrCat(
      "[", absl::StrJoin(list, ", ", [&](std::string* out, const auto& each) { absl::StrAppend(out, to_text(each)); }),
      "]");
}

std::string Part(const PartChange& part) {
  std::vector<std::string> members = {Member("name", part.name), Member("change", Name(part.kind))};
  for (const auto& [name, value] :
       {std::pair("about", part.about), std::pair("found", part.found), std::pair("wrong", part.wrong),
        std::pair("unknown", part.unknown), std::pair("former_name", part.former_name)}) {
    if (!value.empty()) members.push_back(Member(name, value));
  }
  for (const auto& [name, columns] : {std::pair("added", part.added), std::pair("removed", part.removed)}) {
    if (!columns.empty()) {
      members.push_back(
          absl::StrCat(JsonQuoted(name), ": ", Array(columns, [](const auto& c) { return JsonQuoted(c); })));
    }
  }
  return absl::StrCat("{", absl::StrJoin(members, ", "), "}");
}

std::string JsonReport(const Plan& plan, const TopologyChange& change) {
  const auto step = [](const Verdict& verdict) {
    const bool takes_over = verdict.kind == Verdict::Kind::kUnchanged && !verdict.former_name.empty();
    return absl::StrCat("{", Member("step", verdict.subject), ", ",
                        Member("verdict", takes_over ? "takes over state" : Name(verdict.kind)),
                        ", \"open\": ", verdict.open, ", \"tasks\": ", verdict.tasks,
                        verdict.kind == Verdict::Kind::kDropped
                            ? absl::StrCat(", \"allowed\": ", verdict.allowed ? "true" : "false")
                            : "",
                        verdict.former_name.empty() ? "" : ", " + Member("former_name", verdict.former_name),
                        verdict.from_now.empty()
                            ? ""
                            : absl::StrCat(", \"from_now\": ",
                                           Array(verdict.from_now, [](const auto& name) { return JsonQuoted(name); })),
                        verdict.message.empty() ? "" : ", " + Member("message", verdict.message), "}");
  };
  const auto topic = [](const TopicToCreate& each) {
    return absl::StrCat("{", Member("topic", each.topic), ", \"partitions\": ", each.partitions, "}");
  };
  return absl::StrCat("{", Member("application", plan.application.Key()), ", ", Member("against", change.against),
                      ", \"first\": ", change.first ? "true" : "false", ", ", Member("outcome", Name(change.outcome())),
                      ",\n \"steps\": ", Array(change.steps, step),
                      ",\n \"stateless\": ", Array(change.stateless, Part),
                      ",\n \"sources\": ", Array(change.sources, Part), ",\n \"sinks\": ", Array(change.sinks, Part),
                      ",\n \"topics\": ", Array(change.topics, topic),
                      ",\n \"idle\": ", Array(change.idle, [](const auto& i) { return JsonQuoted(i); }),
                      ",\n \"wrong\": ", Array(change.wrong, [](const auto& w) { return JsonQuoted(w); }), "}\n");
}

}  // namespace

absl::StatusOr<std::string> PlanReport(const Plan& plan, const TopologyChange& change, const std::string& format) {
  if (format == "text") return TextReport(plan, change);
  if (format == "json") return JsonReport(plan, change);
  return absl::InvalidArgumentError(absl::StrCat("--format: plan prints text or json, not '", format, "'"));
}

int PlanExitCode(const TopologyChange& change) {
  switch (change.outcome()) {
    case Outcome::kNothingLost:
      return 0;
    case Outcome::kNotKnown:
      return 1;
    case Outcome::kMistake:
      return 2;
    case Outcome::kNeedsDecision:
      return 3;
  }
  return 1;
}

}  // namespace tidemark
