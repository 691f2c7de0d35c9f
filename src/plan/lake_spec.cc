#include "src/plan/lake_spec.h"

#include <algorithm>
#include <vector>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

#include "proto/topology.pb.h"
#include "src/base/suggest.h"

namespace tidemark {
namespace {

using From = SourceColumn::From;

constexpr char kNoTopic[] = "only the records of a topic are kept in a raw lake, and it has none";

// The column that has this part of the record, for the lake to have it under that name; "": none.
std::string ColumnFrom(const SourcePlan& source, From from) {
  for (const SourceColumn& column : source.columns) {
    if (column.from == from) return column.column.name;
  }
  return "";
}

// The key as bytes: a typed one may have been written in several ways.
std::string KeyColumn(const SourcePlan& source, std::vector<std::string>* wrong) {
  bool needed = !source.partitioned_by.empty();
  for (const SourceColumn& column : source.columns) {
    if (column.from != From::kKey) continue;
    needed = true;
    const bool raw = column.column.type.kind == Kind::kBytes ||
                     (column.column.type.kind == Kind::kString && source.key_format.name == kTextFormat);
    if (raw && column.path.empty()) return column.column.name;
  }
  if (needed) {
    wrong->push_back(absl::StrCat("it looks at record keys, so the lake must have them as they are: declare a ",
                                  "column `from: key` of type bytes, such as `key: { type: bytes, from: key, ",
                                  "nullable: true }`"));
  }
  return "";
}

// What of the source's columns makes a record again; to `wrong` what doesn't.
void FindColumns(const SourcePlan& source, std::vector<std::string>* wrong, LakeSpec* lake) {
  struct Part {
    From from;
    const char* word;
    const char* type;
    std::string* name;
  };
  const Part parts[] = {{From::kPartition, "partition", "int32", &lake->partition},
                        {From::kOffset, "offset", "int64", &lake->offset},
                        {From::kTimestamp, "timestamp", "timestamp", &lake->timestamp},
                        {From::kRaw, "value", "bytes", &lake->value}};
  for (const Part& part : parts) {
    *part.name = ColumnFrom(source, part.from);
    if (!part.name->empty()) continue;
    wrong->push_back(absl::StrCat("a raw lake has the records' ", part.word, ", and no column of it comes `from: ",
                                  part.word, "`: declare one, such as `", part.word, ": { type: ", part.type,
                                  ", from: ", part.word, " }`, and let the lake's sink take the source's rows"));
  }
  for (const SourceColumn& column : source.columns) {
    if (column.from != From::kHeader) continue;
    wrong->push_back(
        absl::StrCat("column ", column.column.name, " comes from a header, and a raw lake has no headers of records"));
  }
  lake->key = KeyColumn(source, wrong);
}

// Of the flag.
void AddLake(const Plan& plan, absl::string_view text, std::vector<std::string>* wrong, LakeSpecs* lakes) {
  const std::pair<std::string, std::string> lake = absl::StrSplit(text, absl::MaxSplits('=', 1));
  if (lake.first.empty() || lake.second.empty()) {
    wrong->push_back(absl::StrCat("--lakes: SOURCE=FOLDER is expected, such as prices=/lake/raw, found '", text, "'"));
    return;
  }
  const auto source = std::find_if(plan.sources.begin(), plan.sources.end(),
                                   [&](const SourcePlan& each) { return each.name == lake.first; });
  if (source == plan.sources.end()) {
    std::vector<std::string> names;
    for (const SourcePlan& each : plan.sources) names.push_back(each.name);
    wrong->push_back(absl::StrCat("--lakes: there is no source '", lake.first, "'", DidYouMean(lake.first, names)));
    return;
  }
  std::vector<std::string> why;
  if (source->intake()) {
    why.emplace_back(kNoTopic);
  } else {
    LakeSpec& spec = (*lakes)[source->topic];
    spec = {.path = lake.second};
    if (const std::string wrong_path = WrongLakePath(spec.path); !wrong_path.empty()) why.push_back(wrong_path);
    FindColumns(*source, &why, &spec);
  }
  for (const std::string& each : why) wrong->push_back(absl::StrCat("--lakes: source ", source->name, ": ", each));
}

// What a source's `replay` says.
class ReplayCheck {
 public:
  ReplayCheck(const topology::Topology& topology, const topology::Source& source, const Plan& plan,
              Diagnostics* diagnostics)
      : topology_(topology),
        source_(source),
        yaml_(source.replay()),
        plan_(plan),
        diagnostics_(*diagnostics),
        path_(absl::StrCat("sources/", source.name(), "/replay")) {}

  void AddTo(LakeSpecs* lakes) {
    if (yaml_.from() != kParquet && diagnostics_.Present(path_ + "/from") && !diagnostics_.Broken(path_ + "/from")) {
      WrongKind();
    }
    if (!source_.has_topic()) {
      if (!diagnostics_.Broken("sources/" + source_.name())) {
        Error("", source_.has_topics() ? "a raw lake has the records of one topic, and the source reads several"
                                       : kNoTopic);
      }
      return;
    }
    LakeSpec lake{.path = Place(), .pass_holes = yaml_.holes() == "pass"};
    const auto source = std::find_if(plan_.sources.begin(), plan_.sources.end(),
                                     [&](const SourcePlan& each) { return each.name == source_.name(); });
    if (source == plan_.sources.end()) return;  // it has other mistakes
    std::vector<std::string> why;
    FindColumns(*source, &why, &lake);
    for (const std::string& each : why) Error("", each);
    (*lakes)[source->topic] = std::move(lake);
  }

 private:
  static constexpr char kParquet[] = "parquet";

  void Error(const char* field, const std::string& message) { diagnostics_.Error(path_ + field, message); }

  void WrongKind() {
    Error("/from",
          yaml_.from() == "files"
              ? "other files than Parquet aren't read as a lake: lines of JSON or CSV don't have records as "
                "they were, byte for byte, with their partitions and offsets. Expected parquet, or read them "
                "by a source with `files`"
              : absl::StrCat("expected parquet, found '", yaml_.from(), "'", DidYouMean(yaml_.from(), {kParquet})));
  }

  std::string Place() {
    if (yaml_.has_path() && yaml_.has_sink()) Error("/sink", "a lake is named either by 'path' or by 'sink'");
    if (yaml_.has_sink()) return PlaceOfSink();
    if (!yaml_.has_path()) {
      if (!diagnostics_.Broken(path_)) Error("", "the lake's 'path' is missing, or the 'sink' that writes it");
    } else if (const std::string wrong = WrongLakePath(yaml_.path()); !wrong.empty()) {
      Error("/path", wrong);
    }
    return yaml_.path();
  }

  std::string PlaceOfSink() {
    std::vector<std::string> lakes;
    for (const topology::Sink& sink : topology_.sinks()) {
      if (sink.has_parquet() && sink.from() == source_.name()) lakes.push_back(sink.name());
      if (sink.name() != yaml_.sink()) continue;
      if (!sink.has_parquet()) {
        Error("/sink", absl::StrCat("sink ", sink.name(), " writes no Parquet files"));
      } else if (sink.from() != source_.name() && !sink.from().empty()) {
        Error("/sink", absl::StrCat("sink ", sink.name(), " takes rows from ", sink.from(), ", and a raw lake has all ",
                                    "of source ", source_.name(), " as they come: expected a sink `from: ",
                                    source_.name(), "`, or the lake's 'path'"));
      } else if (sink.parquet().mode() == "changes") {
        Error("/sink", absl::StrCat("sink ", sink.name(), " writes changes, and not a row for each record"));
      }
      CheckRules();
      return sink.parquet().path();
    }
    if (!diagnostics_.Lost("sinks")) {
      Error("/sink", absl::StrCat("unknown sink '", yaml_.sink(), "'", DidYouMean(yaml_.sink(), lakes)));
    }
    return "";
  }

  // They stand in front of all who read the source, the lake's sink among them.
  void CheckRules() {
    for (const topology::Expectation& rule : source_.expect()) {
      if (rule.else_() == "warn" || rule.else_() == "stop") continue;
      if (diagnostics_.Broken(absl::StrCat("sources/", source_.name(), "/expect/", rule.name()))) continue;
      Error("/sink", absl::StrCat("rule ", rule.name(), " of the source leaves rows out of the lake, and what isn't ",
                                  "there can't be computed anew: put it into a step with `expect`"));
    }
  }

  const topology::Topology& topology_;
  const topology::Source& source_;
  const topology::Replay& yaml_;
  const Plan& plan_;
  Diagnostics& diagnostics_;
  const std::string path_;
};

}  // namespace

std::string WrongLakePath(std::string_view path) {
  const std::string text(path);
  const size_t scheme = text.find("://");
  if (text.empty()) return "expected a folder or s3://bucket/prefix";
  if (scheme != std::string::npos && !absl::StartsWith(text, "s3://")) {
    return absl::StrCat(text.substr(0, scheme), ":// isn't implemented; a folder or s3://bucket/prefix");
  }
  return text == "s3://" || absl::StartsWith(text, "s3:///") ? "the bucket is missing: s3://bucket/prefix" : "";
}

LakeSpecs CheckReplays(const topology::Topology& topology, const Plan& plan, Diagnostics* diagnostics) {
  LakeSpecs lakes;
  for (const topology::Source& source : topology.sources()) {
    if (source.has_replay()) ReplayCheck(topology, source, plan, diagnostics).AddTo(&lakes);
  }
  return lakes;
}

absl::StatusOr<LakeSpecs> LakesOf(const Plan& plan, const LakeSpecs& said, std::string_view lakes,
                                  std::string_view holes) {
  const std::string stated(holes), all(lakes);
  std::vector<std::string> wrong;
  LakeSpecs specs = said;
  for (const absl::string_view each : absl::StrSplit(all, ',', absl::SkipWhitespace())) {
    AddLake(plan, each, &wrong, &specs);
  }
  if (!stated.empty() && stated != "stop" && stated != "pass") {
    wrong.push_back(
        absl::StrCat("--holes: expected stop or pass, found '", stated, "'", DidYouMean(stated, {"stop", "pass"})));
  } else if (!stated.empty() && said.empty() && all.empty()) {
    wrong.emplace_back("--holes goes with --lakes, or with sources that say `replay`");
  }
  if (!wrong.empty()) return absl::InvalidArgumentError(absl::StrJoin(wrong, "\n"));
  if (!stated.empty()) {
    for (auto& [topic, lake] : specs) lake.pass_holes = stated == "pass";
  }
  return specs;
}

}  // namespace tidemark
