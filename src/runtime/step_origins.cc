#include "src/runtime/step_origins.h"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <map>
#include <numeric>
#include <utility>
#include <variant>

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/synchronization/mutex.h>
#include <xxhash.h>

#include "operators/join/spec.h"
#include "operators/rows/spec.h"
#include "src/expr/expression.h"
#include "src/plan/operator_kind.h"
#include "src/plan/topic_patterns.h"

namespace tidemark {
namespace {

// What each of the columns asked for comes from, along one way.
using Way = std::vector<std::string>;

// In place of a column: event time.
constexpr size_t kEventTime = static_cast<size_t>(-1);

// What the source reads. Topics of a pattern come and go, and what is kept of them goes on: they are told by the
// source.
std::string ReadBy(const Plan& plan, const SourcePlan& source) {
  return PatternOf(plan, source.declared()) != nullptr ? absl::StrCat("topics of ", source.declared()) : source.topic;
}

// How its texts are read, where that isn't as ever.
std::string ReadAs(const SourceColumn& column) {
  if (column.timestamp_format.empty()) return "";
  return absl::StrCat(" written as ", column.timestamp_format,
                      column.time_zone.empty() ? "" : absl::StrCat(" in ", column.time_zone));
}

// `topic`: what it reads.
std::string OfSource(const SourcePlan& source, const std::string& topic, size_t column) {
  if (column == kEventTime && !source.event_time.expression.empty()) {
    const absl::StatusOr<Expression> expression = Expression::Compile(source.event_time.expression, source.schema());
    std::vector<std::string> parts;
    if (expression.ok()) {
      for (const size_t c : expression->columns()) {
        parts.push_back(absl::StrCat(source.columns[c].column.name, " from ", OfSource(source, topic, c)));
      }
    }
    return absl::StrCat("(", source.event_time.expression, ") of (", absl::StrJoin(parts, ", "), ")");
  }
  if (column == kEventTime) {
    return source.event_time.column ? OfSource(source, topic, *source.event_time.column)
                                    : absl::StrCat(topic, " record timestamp");
  }
  const SourceColumn& c = source.columns[column];
  switch (c.from) {
    case SourceColumn::From::kValue:
      if (c.place > 0) return absl::StrCat(topic, " value.#", c.place, ReadAs(c));
      return absl::StrCat(topic, c.path.empty() ? " value" : " value.", absl::StrJoin(c.path, "."), ReadAs(c));
    case SourceColumn::From::kKey:
      return absl::StrCat(topic, " key", ReadAs(c));
    case SourceColumn::From::kHeader:
      return absl::StrCat(topic, " header ", c.header, ReadAs(c));
    case SourceColumn::From::kTopic:
      return absl::StrCat(topic, " topic");
    case SourceColumn::From::kPartition:
      return absl::StrCat(topic, " partition");
    case SourceColumn::From::kOffset:
      return absl::StrCat(topic, " offset");
    case SourceColumn::From::kRaw:
      return absl::StrCat(topic, " value");
    case SourceColumn::From::kTimestamp:
      return absl::StrCat(topic, " record timestamp");
    case SourceColumn::From::kBeside:
      return absl::StrCat(topic, " ", absl::StrJoin(c.path, "."));
  }
  return topic;
}

class Tracer {
 public:
  // Up to the sources; or no further than to the steps that make changes, whose columns are called by their names.
  enum class Reach { kSources, kMakers };
  explicit Tracer(const Plan& plan, Reach reach = Reach::kSources) : plan_(plan), reach_(reach) {}

  const Node& At(NodePlace place) const {
    return plan_.stages[static_cast<size_t>(place.stage)].nodes[static_cast<size_t>(place.node)];
  }

  // The nodes whose rows a port of a node takes; of a node that reads an edge, those that write it.
  std::vector<NodePlace> Above(NodePlace place, size_t port) const {
    const Node& node = At(place);
    std::vector<NodePlace> above;
    if (port < node.inputs.size()) {
      for (const int input : node.in(port).nodes) above.push_back({place.stage, input});
    }
    if (node.kind != Node::Kind::kInternal) return above;
    const int from = plan_.edges[static_cast<size_t>(node.edge)].from_stage;
    const Stage& stage = plan_.stages[static_cast<size_t>(from)];
    for (size_t n = 0; n < stage.nodes.size(); ++n) {
      const Node& writer = stage.nodes[n];
      if (writer.kind == Node::Kind::kRepartition && writer.edge == node.edge) {
        above.push_back({from, static_cast<int>(n)});
      }
    }
    return above;
  }

  std::set<Way> OfInput(NodePlace place, size_t port, const ColumnList& columns) const {
    std::set<Way> ways;
    for (const NodePlace above : Above(place, port)) ways.merge(OfOutput(above, columns));
    return ways;
  }

  // Ways through several ports are told each by itself, where the columns of the others are only named: every way
  // through one goes with every way through the others, so to multiply them would tell nothing more.
  std::set<Way> OfOutput(NodePlace place, const ColumnList& columns) const;

  // Of the expressions on the ways told so far whose values depend on how wide an integer is.
  const std::set<std::string>& widths() const { return widths_; }

  // How a column of a node's output comes about: from the columns `reads` of its inputs, and what is said of it where
  // it is known what is said of those.
  struct Column {
    std::vector<PortColumn> reads;
    std::function<std::string(const std::vector<std::string>&)> say;
  };
  Column ColumnOf(const Node& node, size_t c) const;

 private:
  const Plan& plan_;
  const Reach reach_;
  mutable std::set<std::string> widths_;
};

// "id int32, n int64": the integers that an expression reads. What it makes of any other type, or whether it fails, is
// the same where that type becomes a wider one (widening.h).
std::string WidthsOf(const Expression& expression, const Schema& schema) {
  std::vector<std::string> widths;
  for (const size_t c : expression.columns()) {
    const Type& type = schema[c].type;
    if (type.kind != Kind::kInt32 && type.kind != Kind::kInt64) continue;
    widths.push_back(absl::StrCat(schema[c].name, " ", TypeName(type)));
  }
  return absl::StrJoin(widths, ", ");
}

// Nothing else that doesn't fail makes something else of a number that is held in another width.
bool TellsWidth(const std::string& expression) {
  return absl::StrContains(absl::AsciiStrToLower(expression), "to_hex");
}

std::string First(const std::vector<std::string>& from) { return from[0]; }

Tracer::Column Tracer::ColumnOf(const Node& node, size_t c) const {
  if (node.kind != Node::Kind::kOperator) return {{c}, First};
  const OperatorKind& kind = node.spec.kind();
  if (c == kEventTime) {
    if (kind.KeepsTime(node)) {
      Column time{{}, [](const auto& from) { return absl::StrJoin(from, " and "); }};
      for (size_t p = 0; p < node.inputs.size(); ++p) time.reads.emplace_back(c, p);
      return time;
    }
    return {{}, [&node](const auto&) { return absl::StrCat("step ", node.kept_as()); }};
  }
  if (const std::string* text = kind.ExpressionOf(node, c)) {
    const absl::StatusOr<Expression> expression = Expression::Compile(*text, node.in().schema);
    if (!expression.ok()) return {{}, [](const auto&) { return std::string(); }};  // was compiled before
    if (const auto column = expression->AsColumn()) return {{*column}, First};
    const std::string widths = TellsWidth(*text) ? WidthsOf(*expression, node.in().schema) : "";
    if (!widths.empty()) widths_.insert(absl::StrCat("(", *text, ") reads ", widths));
    Column of{{expression->columns().begin(), expression->columns().end()}, nullptr};
    of.say = [&node, text, columns = expression->columns()](const std::vector<std::string>& from) {
      std::vector<std::string> parts;
      for (size_t i = 0; i < from.size(); ++i) {
        parts.push_back(absl::StrCat(node.in().schema[columns[i]].name, " from ", from[i]));
      }
      return absl::StrCat("(", *text, ")", parts.empty() ? "" : absl::StrCat(" of (", absl::StrJoin(parts, ", "), ")"));
    };
    return of;
  }
  if (const auto origin = kind.Origin(node, c)) return {{*origin}, First};
  return {{}, [&node, &kind, c](const auto&) { return kind.Made(node, c); }};
}

std::set<Way> Tracer::OfOutput(NodePlace place, const ColumnList& columns) const {
  const Node& node = At(place);
  if (reach_ == Reach::kMakers && MakesChanges(node)) {
    Way way;
    for (const size_t c : columns) {
      way.push_back(absl::StrCat("step ", node.kept_as(), " ", c == kEventTime ? "time" : node.output[c].name));
    }
    return {way};
  }
  if (node.kind == Node::Kind::kSource) {
    Way way;
    const SourcePlan& source = plan_.sources[static_cast<size_t>(node.source)];
    for (const size_t c : columns) way.push_back(OfSource(source, ReadBy(plan_, source), c));
    return {way};
  }
  std::vector<Column> made;
  std::vector<std::set<size_t>> asked(std::max<size_t>(1, node.inputs.size()));  // by port
  for (const size_t c : columns) {
    made.push_back(ColumnOf(node, c));
    for (const PortColumn& read : made.back().reads) asked[read.port].insert(read.column);
  }
  std::set<Way> ways;
  // `said` of the columns of one port, along one way through it.
  const auto add = [&](size_t port, const std::map<size_t, std::string>& said) {
    Way way;
    for (const Column& column : made) {
      std::vector<std::string> from;
      for (const PortColumn& read : column.reads) {
        from.push_back(read.port == port ? said.at(read.column)
                                         : absl::StrCat("input ", read.port + 1, " of step ", node.kept_as()));
      }
      way.push_back(column.say(from));
    }
    ways.insert(std::move(way));
  };
  for (size_t p = 0; p < asked.size(); ++p) {
    if (asked[p].empty()) continue;
    for (const Way& above : OfInput(place, p, {asked[p].begin(), asked[p].end()})) {
      std::map<size_t, std::string> said;
      size_t next = 0;
      for (const size_t c : asked[p]) said[c] = above[next++];
      add(p, said);
    }
  }
  if (std::all_of(asked.begin(), asked.end(), [](const auto& of_port) { return of_port.empty(); })) add(0, {});
  return ways;
}

// A hash of a file's content, or why there is none. Read once as long as the file's size and time are the same.
std::string FileContent(const std::string& path) {
  static absl::Mutex mutex;
  static auto& known = *new std::map<std::string, std::pair<std::string, std::string>>;  // never destroyed
  struct stat about{};
  if (stat(path.c_str(), &about) != 0) return "that isn't there";
  const std::string state = absl::StrCat(about.st_size, " ", about.st_mtim.tv_sec, " ", about.st_mtim.tv_nsec);
  const absl::MutexLock lock(&mutex);
  auto& [seen, content] = known[path];
  if (seen == state) return content;
  std::ifstream file(path, std::ios::binary);
  XXH3_state_t hash;
  XXH3_128bits_reset(&hash);
  std::string buffer(size_t{1} << 20, '\0');
  while (file.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) || file.gcount() > 0) {
    XXH3_128bits_update(&hash, buffer.data(), static_cast<size_t>(file.gcount()));
  }
  if (file.bad()) return "that can't be read";
  const XXH128_hash_t digest = XXH3_128bits_digest(&hash);
  seen = state;
  content = absl::StrCat(absl::Hex(digest.high64, absl::kZeroPad16), absl::Hex(digest.low64, absl::kZeroPad16));
  return content;
}

// What decides which rows come through a node without state.
std::string LetsThrough(const Plan& plan, const Node& node) {
  if (node.kind != Node::Kind::kOperator) return "";
  const OperatorKind* const kind = &node.spec.kind();
  if (kind == &FilterSpec::Kind()) return absl::StrCat("filter (", node.spec.As<FilterSpec>().expression, ")");
  if (kind == &ProjectSpec::Kind()) {  // a row on which an expression fails doesn't come through
    std::vector<std::string> fallible;
    for (const ProjectSpec::Item& item : node.spec.As<ProjectSpec>().items) {
      const absl::StatusOr<Expression> expression = Expression::Compile(item.expression, node.in().schema);
      if (expression.ok() && expression->fallible()) fallible.push_back(absl::StrCat("(", item.expression, ")"));
    }
    return fallible.empty() ? "" : "project " + absl::StrJoin(fallible, ", ");
  }
  if (kind == &UnnestSpec::Kind()) {
    const auto& spec = node.spec.As<UnnestSpec>();
    return absl::StrCat("unnest (", spec.element, spec.outer ? ") outer" : ")");
  }
  if (kind != &JoinSpec::Kind()) return "";
  const auto& spec = node.spec.As<JoinSpec>();
  std::vector<std::string> on;
  for (const auto& [stream, table] : spec.on) on.push_back(absl::StrCat(node.in().schema[stream].name, ": ", table));
  std::string text = absl::StrCat(spec.left ? "left" : "inner", " join with table ", spec.table, " on (",
                                  absl::StrJoin(on, ", "), ")");
  for (const TablePlan& table : plan.tables) {
    if (table.name != spec.table || table.file.empty()) continue;
    absl::StrAppend(&text, " from a file of content ", FileContent(table.file));
  }
  return text;
}

// The columns of its input by which a node without state decides which rows come through it (LetsThrough).
ColumnList ColumnsThatDecide(const Node& node) {
  std::set<size_t> columns;
  const auto add = [&](const std::string& text, bool always) {
    const absl::StatusOr<Expression> expression = Expression::Compile(text, node.in().schema);
    if (!expression.ok() || !(always || expression->fallible())) return;
    columns.insert(expression->columns().begin(), expression->columns().end());
  };
  const OperatorKind* const kind = &node.spec.kind();
  if (kind == &FilterSpec::Kind()) add(node.spec.As<FilterSpec>().expression, true);
  if (kind == &ProjectSpec::Kind()) {
    for (const ProjectSpec::Item& item : node.spec.As<ProjectSpec>().items) add(item.expression, false);
  }
  if (kind == &UnnestSpec::Kind()) add(node.spec.As<UnnestSpec>().element, true);
  if (kind == &JoinSpec::Kind()) {
    for (const auto& [stream, table] : node.spec.As<JoinSpec>().on) columns.insert(stream);
  }
  return {columns.begin(), columns.end()};
}

// Where such a column is made by an expression below the step that makes the changes, that decides too: what `shard` is
// where a filter says `shard = 'eu'`. A line a way; one of the step's own columns is told by its name.
void WhatDecides(const Plan& plan, NodePlace at, const std::string& what, std::set<std::string>* ways) {
  const Tracer tracer(plan, Tracer::Reach::kMakers);
  const Node& node = tracer.At(at);
  const ColumnList columns = ColumnsThatDecide(node);
  for (const Way& way : tracer.OfInput(at, 0, columns)) {
    std::vector<std::string> made;
    for (size_t i = 0; i < columns.size(); ++i) {
      if (!way[i].starts_with("(")) continue;
      made.push_back(absl::StrCat(node.in().schema[columns[i]].name, " from ", way[i]));
    }
    if (!made.empty()) ways->insert(absl::StrCat("changes where ", what, " reads ", absl::StrJoin(made, "; ")));
  }
}

// Of the expressions that decide which rows come through a node without state: the widths of the integers they read, as
// `id * 1000` fails in one and not in the other. Beside LetsThrough, whose texts stand in commits as they are.
std::string WidthsThatDecide(const Node& node) {
  if (node.kind != Node::Kind::kOperator) return "";
  const OperatorKind* const kind = &node.spec.kind();
  std::vector<std::string> widths;
  const auto add = [&](const std::string& text, bool always) {
    const absl::StatusOr<Expression> expression = Expression::Compile(text, node.in().schema);
    if (!expression.ok() || !(always || expression->fallible())) return;
    const std::string of = WidthsOf(*expression, node.in().schema);
    if (!of.empty()) widths.push_back(absl::StrCat("(", text, ") reads ", of));
  };
  if (kind == &FilterSpec::Kind()) add(node.spec.As<FilterSpec>().expression, true);
  if (kind == &ProjectSpec::Kind()) {
    for (const ProjectSpec::Item& item : node.spec.As<ProjectSpec>().items) add(item.expression, false);
  }
  if (kind == &UnnestSpec::Kind()) add(node.spec.As<UnnestSpec>().element, true);
  return absl::StrJoin(widths, ", ");
}

// From the node of a way of changes up; `below`: what they come through below of it.
void WaysOfChanges(const Plan& plan, NodePlace at, const std::string& below, std::set<std::string>* ways) {
  const Node& node = Tracer(plan).At(at);
  if (MakesChanges(node)) {
    ways->insert(absl::StrCat(std::string(kChangesOf), node.kept_as(), below.empty() ? "" : " through ", below));
    return;
  }
  if (const std::string widths = WidthsThatDecide(node); !widths.empty()) {
    ways->insert(absl::StrCat("changes where ", widths));
  }
  const std::string here = LetsThrough(plan, node);
  if (!here.empty()) WhatDecides(plan, at, here, ways);
  const std::string through = absl::StrCat(here, here.empty() || below.empty() ? "" : ", ", below);
  for (size_t p = 0; p < std::max<size_t>(1, node.inputs.size()); ++p) {
    if (node.kind == Node::Kind::kOperator && !TakesChanges(plan, at, p)) continue;
    for (const NodePlace above : NodesAbove(plan, at, p)) WaysOfChanges(plan, above, through, ways);
  }
}

// Columns that are followed from a node up along one way on which changes come.
struct Trail {
  struct Mark {
    std::string name;
    std::optional<size_t> column;  // of the node that was come to; nothing: it is made below of it
    std::string constant = {};     // that it is made of there; empty: of something else
  };
  std::optional<std::vector<Mark>> marks;  // nothing: of none yet
  std::vector<NodePlace> passes;
  std::string maker, end;  // maker: as it is kept; none where rows come from a source as they are
  std::string through;     // what decides on the way which rows come
  size_t port = 0;         // of the node at which it begins

  // "part is ('x')".
  std::string Constants() const {
    std::vector<std::string> constants;
    for (const Mark& mark : marks.value_or(std::vector<Mark>())) {
      if (!mark.constant.empty()) constants.push_back(absl::StrCat(mark.name, " is ", mark.constant));
    }
    return absl::StrJoin(constants, ", ");
  }
};

std::vector<Trail::Mark> MarksOf(const Schema& schema, const ColumnList& columns) {
  std::vector<Trail::Mark> marks;
  for (const size_t c : columns) marks.push_back({schema[c].name, c});
  return marks;
}

// From the output of a node to the input of one of its ports.
void Follow(const Tracer& tracer, const Node& node, size_t port, std::vector<Trail::Mark>* marks) {
  for (Trail::Mark& mark : *marks) {
    if (!mark.column) continue;
    const Tracer::Column made = tracer.ColumnOf(node, *mark.column);
    mark.column.reset();
    if (!made.reads.empty() && made.reads[0].port == port) mark.column = made.reads[0].column;
    const bool projects = node.kind == Node::Kind::kOperator && &node.spec.kind() == &ProjectSpec::Kind();
    if (made.reads.empty() && projects) mark.constant = made.say({});
  }
}

// All ways from a node up to who makes changes. Where nothing is marked, the key of the first rows that replace each
// other is: no two ways have it in common.
void Trails(const Plan& plan, NodePlace at, Trail trail, std::vector<Trail>* trails) {
  const Tracer tracer(plan);
  const Node& node = tracer.At(at);
  const bool first = trail.passes.empty();
  trail.passes.push_back(at);
  if (!first && MakesChanges(node)) {
    trail.maker = node.kept_as();
    trail.end = absl::StrCat("step ", node.kept_as());
    trails->push_back(std::move(trail));
    return;
  }
  if (node.kind == Node::Kind::kSource) {
    trail.end = absl::StrCat("topic ", ReadBy(plan, plan.sources[static_cast<size_t>(node.source)]));
    trails->push_back(std::move(trail));
    return;
  }
  const bool operates = node.kind == Node::Kind::kOperator;
  const bool keeps = operates && !node.spec.kind().Fingerprint(node).empty();
  if (!first && keeps) return;  // and gives other rows
  const bool merges = operates && node.spec.kind().phase(node) == OperatorPhase::kFinal;
  if (!first) {
    const std::string here = LetsThrough(plan, node);
    trail.through = absl::StrCat(here, here.empty() || trail.through.empty() ? "" : ", ", trail.through);
  }
  for (size_t p = 0; p < std::max<size_t>(1, node.inputs.size()); ++p) {
    if (operates && !merges && !TakesChanges(plan, at, p)) continue;
    Trail next = trail;
    if (first) next.port = p;
    if (next.marks && !first) Follow(tracer, node, p, &*next.marks);
    if (!next.marks && TakesChanges(plan, at, p)) next.marks = MarksOf(node.in(p).schema, node.in(p).mode.key);
    for (const NodePlace above : tracer.Above(at, p)) Trails(plan, above, next, trails);
  }
}

}  // namespace

std::vector<NodePlace> NodesAbove(const Plan& plan, NodePlace place, size_t port) {
  return Tracer(plan).Above(place, port);
}

// The final phase of an aggregation keeps what the partial one has made of its input.
std::vector<NodePlace> Takers(const Plan& plan, NodePlace place) {
  const Tracer tracer(plan);
  const Node& step = tracer.At(place);
  if (step.spec.kind().phase(step) != OperatorPhase::kFinal) return {place};
  std::vector<NodePlace> places;
  for (const NodePlace reader : tracer.Above(place, 0)) {
    for (const NodePlace writer : tracer.Above(reader, 0)) {
      for (const NodePlace partial : tracer.Above(writer, 0)) places.push_back(partial);
    }
  }
  return places;
}

bool TakesChanges(const Plan& plan, NodePlace place, size_t port) {
  const Stage& stage = plan.stages[static_cast<size_t>(place.stage)];
  const Node& node = stage.nodes[static_cast<size_t>(place.node)];
  return port < node.inputs.size() &&
         std::any_of(
             node.in(port).nodes.begin(), node.in(port).nodes.end(),
             [&](int input) { return stage.nodes[static_cast<size_t>(input)].mode.update; });
}

bool MakesChanges(const Node& node) {
  return node.kind == Node::Kind::kOperator && node.mode.update && !node.spec.kind().Fingerprint(node).empty();
}

std::vector<ChangeWay> ChangeWays(const Plan& plan, NodePlace place) {
  std::vector<Trail> trails;
  Trails(plan, place, {}, &trails);
  std::erase_if(trails, [](const Trail& trail) { return trail.maker.empty(); });
  const bool ports = Tracer(plan).At(place).inputs.size() > 1;
  std::vector<ChangeWay> ways;
  for (const Trail& trail : trails) {
    ChangeWay& way = ways.emplace_back(ChangeWay{.maker = trail.maker, .passes = trail.passes});
    if (std::count_if(trails.begin(), trails.end(), [&](const Trail& t) { return t.maker == trail.maker; }) == 1)
      continue;
    // Without one they come to several inputs, which a step always has.
    way.constants = trail.Constants();
    if (way.constants.empty()) continue;
    way.line = absl::StrCat(ports ? absl::StrCat("input ", trail.port + 1, ": ") : "", "a way of changes of step ",
                            trail.maker, ": ", way.constants);
    if (!trail.through.empty()) way.through = absl::StrCat(std::string(kThrough), trail.through);
  }
  return ways;
}

std::set<std::string> ParallelWays(const Plan& plan, NodePlace place) {
  std::set<std::string> lines;
  for (const ChangeWay& way : ChangeWays(plan, place)) {
    if (!way.line.empty()) lines.insert(way.line + way.through);
  }
  return lines;
}

std::set<std::string> ChangeOrigins(const Plan& plan, NodePlace place) {
  std::set<std::string> ways;
  for (const NodePlace at : Takers(plan, place)) {
    const Node& node = Tracer(plan).At(at);
    for (size_t p = 0; p < node.inputs.size(); ++p) {
      if (!TakesChanges(plan, at, p)) continue;
      for (const NodePlace above : NodesAbove(plan, at, p)) WaysOfChanges(plan, above, "", &ways);
    }
  }
  ways.merge(ParallelWays(plan, place));
  return ways;
}

std::set<std::string> StepOrigins(const Plan& plan, NodePlace place) {
  const Tracer tracer(plan);
  std::set<std::string> origins;
  for (const NodePlace at : Takers(plan, place)) {
    const Node& node = tracer.At(at);
    for (size_t p = 0; p < node.inputs.size(); ++p) {
      ColumnList columns = node.spec.kind().Keeps(node, p);
      columns.push_back(kEventTime);
      for (const Way& way : tracer.OfInput(at, p, columns)) {
        std::vector<std::string> parts;
        for (size_t i = 0; i < columns.size(); ++i) {
          const std::string name = columns[i] == kEventTime ? "time" : node.in(p).schema[columns[i]].name;
          parts.push_back(absl::StrCat(name, " from ", way[i]));
        }
        // Of several inputs each says its own.
        const std::string input = node.inputs.size() > 1 ? absl::StrCat("input ", p + 1, ": ") : "";
        origins.insert(absl::StrCat(input, absl::StrJoin(parts, "; ")));
      }
    }
  }
  origins.insert(tracer.widths().begin(), tracer.widths().end());
  return origins;
}

std::set<std::string> MakersAbove(const Plan& plan, NodePlace place) {
  const Tracer tracer(plan);
  std::set<std::string> makers;
  std::vector<NodePlace> open = {place};
  while (!open.empty()) {
    const NodePlace at = open.back();
    open.pop_back();
    const Node& node = tracer.At(at);
    if (MakesChanges(node)) makers.insert(node.kept_as());
    const bool operates = node.kind == Node::Kind::kOperator;
    if (operates && !node.spec.kind().Fingerprint(node).empty()) continue;  // what keeps rows gives others
    for (size_t p = 0; p < std::max<size_t>(1, node.inputs.size()); ++p) {
      if (operates && !TakesChanges(plan, at, p)) continue;
      for (const NodePlace above : tracer.Above(at, p)) open.push_back(above);
    }
  }
  return makers;
}

bool IsLakeOfChanges(const Plan& plan, const Node& node) {
  if (node.kind != Node::Kind::kFeed) return false;
  const auto* lake = std::get_if<ParquetSinkSpec>(&plan.sinks[static_cast<size_t>(node.sink)].spec);
  return lake != nullptr && lake->changes;
}

namespace {

// What of a lake's folders decides which rows come into its files, and with which columns.
std::string FoldersOf(const ParquetSinkSpec& lake, const Schema& step) {
  const Schema schema = LakeSchema(step, lake.changes);
  std::vector<std::string> folders;
  for (const ParquetSinkSpec::PartitionColumn& folder : lake.partition_by) {
    const absl::StatusOr<Expression> expression = Expression::Compile(folder.expression, schema);
    if (!expression.ok()) continue;  // was compiled before
    const bool may_refuse = expression->fallible() || expression->type().kind == Kind::kString;
    const bool leaves_out = schema.Find(folder.name).has_value();
    if (may_refuse || leaves_out) folders.push_back(absl::StrCat(folder.name, " = ", folder.expression));
  }
  return absl::StrCat("folders (", absl::StrJoin(folders, ", "), ")");
}

}  // namespace

std::set<std::string> FeedOrigins(const Plan& plan, NodePlace feed) {
  const Tracer tracer(plan);
  const Node& node = tracer.At(feed);
  if (!IsLakeOfChanges(plan, node)) return {"rows that nothing is added up of"};
  std::set<std::string> origins;
  for (const NodePlace above : NodesAbove(plan, feed, 0)) WaysOfChanges(plan, above, "", &origins);
  origins.merge(ParallelWays(plan, feed));
  // Readers find columns by their names, wherever they stand.
  const Schema& schema = node.in().schema;
  ColumnList columns(schema.size());
  std::iota(columns.begin(), columns.end(), size_t{0});
  std::sort(columns.begin(), columns.end(), [&](size_t a, size_t b) { return schema[a].name < schema[b].name; });
  for (const Way& way : tracer.OfInput(feed, 0, columns)) {
    std::vector<std::string> parts;
    for (size_t i = 0; i < columns.size(); ++i) {
      const Column& column = schema[columns[i]];
      parts.push_back(absl::StrCat(column.name, " ", TypeName(column.type), " from ", way[i]));
    }
    origins.insert(absl::StrJoin(parts, "; "));
  }
  origins.insert(tracer.widths().begin(), tracer.widths().end());
  const auto& sink = plan.sinks[static_cast<size_t>(node.sink)];
  origins.insert(FoldersOf(std::get<ParquetSinkSpec>(sink.spec), schema));
  return origins;
}

namespace {

// Keys are written by a schema that follows from the columns. Where a registry has it, its number is a part of them, so
// that whatever changes in the columns makes other keys.
bool HasSchemaOfItsOwn(const FormatSpec& key_format) {
  return key_format.name == "avro" || key_format.name == "protobuf" || key_format.Option("schema_id", "none") != "none";
}

}  // namespace

std::set<std::string> KeyOrigins(const Plan& plan, const Node& node) {
  if (node.kind != Node::Kind::kKafkaSink) return {};
  const SinkPlan& sink = plan.sinks[static_cast<size_t>(node.sink)];
  const auto* kafka = std::get_if<KafkaSinkSpec>(&sink.spec);
  if (kafka == nullptr || !kafka->upsert || sink.view || kafka->key.empty()) return {};
  std::set<std::string> origins = {absl::StrCat("rows by their key as ", kafka->key_format.ToString())};
  if (!HasSchemaOfItsOwn(kafka->key_format)) return origins;
  std::vector<std::string> fields;
  for (const size_t c : kafka->key) {
    const Column& column = sink.schema[c];
    fields.push_back(absl::StrCat(column.name, " ", TypeName(column.type), column.nullable ? " null" : ""));
  }
  origins.insert(absl::StrCat("keys of (", absl::StrJoin(fields, ", "), ")"));
  return origins;
}

std::set<KeyWay> KeyWays(const Plan& plan, NodePlace sink) {
  const Node& node = Tracer(plan).At(sink);
  if (node.kind != Node::Kind::kKafkaSink && node.kind != Node::Kind::kFeed) return {};
  if (!node.in().mode.update) return {};
  const SinkPlan& of = plan.sinks[static_cast<size_t>(node.sink)];
  const auto* const kafka = std::get_if<KafkaSinkSpec>(&of.spec);
  const auto* const postgres = std::get_if<PostgresSinkSpec>(&of.spec);
  if (kafka == nullptr && postgres == nullptr) return {};
  Trail trail;
  trail.marks = MarksOf(node.in().schema, kafka != nullptr ? kafka->key : postgres->key);
  std::vector<Trail> trails;
  Trails(plan, sink, std::move(trail), &trails);
  std::set<KeyWay> ways;
  for (const Trail& each : trails) {
    if (std::string constants = each.Constants(); !constants.empty()) {
      ways.insert({each.end, std::move(constants), each.through});
    }
  }
  return ways;
}

std::set<std::vector<std::string>> SinkOrigins(const Plan& plan, NodePlace sink) {
  const Tracer tracer(plan);
  ColumnList columns(tracer.At(sink).in().schema.size());
  std::iota(columns.begin(), columns.end(), size_t{0});
  return tracer.OfInput(sink, 0, columns);
}

std::string Meeting(const Plan& plan, NodePlace place) {
  const Tracer tracer(plan);
  std::set<std::string> ways;
  std::vector<NodePlace> open = {place};
  std::set<int> seen;
  while (!open.empty()) {
    const NodePlace at = open.back();
    open.pop_back();
    const Node& node = tracer.At(at);
    if (node.kind == Node::Kind::kSource) {
      const SourcePlan& source = plan.sources[static_cast<size_t>(node.source)];
      ways.insert(absl::StrCat(std::string(kAsTheyLie), ReadBy(plan, source)));
    } else if (node.kind == Node::Kind::kInternal) {
      const Edge& edge = plan.edges[static_cast<size_t>(node.edge)];
      std::vector<std::string> names;
      for (const size_t c : edge.key) names.push_back(edge.schema[c].name);
      ways.insert(absl::StrCat(std::string(kMovedBy), absl::StrJoin(names, ", "), "]"));
    }
    for (const int input : node.upstream()) {
      if (seen.insert(input).second) open.push_back({at.stage, input});
    }
  }
  return absl::StrJoin(ways, std::string(kBetweenWays));
}

}  // namespace tidemark
