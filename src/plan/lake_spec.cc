#include "src/plan/lake_spec.h"

#include <algorithm>
#include <vector>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

#include "src/base/suggest.h"

namespace tidemark {
namespace {

using From = SourceColumn::From;

// The column that has this part of the record, for the lake to have it under that name; "": none.
std::string ColumnFrom(const SourcePlan& source, From from) {
  for (const SourceColumn& column : source.columns) {
    if (column.from == from) return column.column.name;
  }
  return "";
}

// The key as bytes: a typed one may have been written in several ways.
std::string KeyColumn(const SourcePlan& source, const std::string& who, std::vector<std::string>* wrong) {
  bool needed = !source.partitioned_by.empty();
  for (const SourceColumn& column : source.columns) {
    if (column.from != From::kKey) continue;
    needed = true;
    const bool raw = column.column.type.kind == Kind::kBytes ||
                     (column.column.type.kind == Kind::kString && source.key_format.name == kTextFormat);
    if (raw && column.path.empty()) return column.column.name;
  }
  if (needed) {
    wrong->push_back(absl::StrCat(who, "it looks at record keys, so the lake must have them as they are: declare a ",
                                  "column `from: key` of type bytes, such as `key: { type: bytes, from: key, ",
                                  "nullable: true }`"));
  }
  return "";
}

void FindColumns(const SourcePlan& source, const std::string& who, std::vector<std::string>* wrong, LakeSpec* lake) {
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
    wrong->push_back(absl::StrCat(who, "a raw lake has the records' ", part.word, ", and no column of it comes `from: ",
                                  part.word, "`: declare one, such as `", part.word, ": { type: ", part.type,
                                  ", from: ", part.word, " }`, and let the lake's sink take the source's rows"));
  }
  for (const SourceColumn& column : source.columns) {
    if (column.from != From::kHeader) continue;
    wrong->push_back(absl::StrCat(who, "column ", column.column.name,
                                  " comes from a header, and a raw lake has no headers of records"));
  }
  lake->key = KeyColumn(source, who, wrong);
}

void AddLake(const Plan& plan, absl::string_view text, bool pass_holes, std::vector<std::string>* wrong,
             LakeSpecs* lakes) {
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
  const std::string who = absl::StrCat("--lakes: source ", source->name, ": ");
  if (source->intake()) {
    wrong->push_back(who + "only the records of a topic are kept in a raw lake, and it has none");
    return;
  }
  LakeSpec& spec = (*lakes)[source->topic];
  spec.path = lake.second;
  spec.pass_holes = pass_holes;
  FindColumns(*source, who, wrong, &spec);
}

}  // namespace

absl::StatusOr<LakeSpecs> LakesOf(const Plan& plan, std::string_view lakes, std::string_view holes) {
  const std::string stated(holes);
  std::vector<std::string> wrong;
  if (!stated.empty() && stated != "stop" && stated != "pass") {
    wrong.push_back(
        absl::StrCat("--holes: expected stop or pass, found '", stated, "'", DidYouMean(stated, {"stop", "pass"})));
  } else if (!stated.empty() && lakes.empty()) {
    wrong.push_back("--holes goes with --lakes");
  }
  LakeSpecs specs;
  const std::string all(lakes);
  for (const absl::string_view each : absl::StrSplit(all, ',', absl::SkipWhitespace())) {
    AddLake(plan, each, stated == "pass", &wrong, &specs);
  }
  if (!wrong.empty()) return absl::InvalidArgumentError(absl::StrJoin(wrong, "\n"));
  return specs;
}

}  // namespace tidemark
