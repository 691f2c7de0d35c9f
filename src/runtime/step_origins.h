// Where a step's values come from: from which fields of which topics, through which expressions. Part of the identity
// of state (step_identity.h): two columns of one name and type may mean different things. Functions over a plan, and
// over the files of its tables.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "src/plan/plan.h"

namespace tidemark {

// A node of a plan.
struct NodePlace {
  int stage = 0;
  int node = 0;
};

// What the step with state at this place keeps its state by and of: the columns of its keys, those it aggregates or
// orders by, and event time. One line a way from a source to the step, however many unions lie between:
// "route from prices value.route; at from prices value.at". Filters aren't part of it: they decide which rows come, not
// what they mean.
std::set<std::string> StepOrigins(const Plan& plan, NodePlace place);

// How changes come to a step with state that takes rows which are taken back: from which update step, and through what
// that decides which of them come. A row is taken back on the way on which it came, as it came, or not at all, so what
// lies on it mustn't change: filters, and the content of files that tables are read from. One line a way: "changes of
// step counts through filter (n > 1)"; the integers that decide: "changes where (n * 1000 > 5) reads n int32"; the
// expressions by which columns are made that decide: "changes where filter (shard = 'a') reads shard from ('a')"; and
// ParallelWays. None: all its rows stand.
std::set<std::string> ChangeOrigins(const Plan& plan, NodePlace place);

// A way on which changes come to a step with state, a lake's feed or a repartition.
struct ChangeWay {
  std::string maker;  // the step that makes them, by the name under which it is kept
  // "part is ('a')": of a maker whose changes come on several ways, what tells this one's apart.
  std::string constants = {};
  std::string line = {};               // of such a way; empty: it is the maker's only one
  std::string through = {};            // behind it
  std::vector<NodePlace> passes = {};  // from the place on; the maker is the last
};
std::vector<ChangeWay> ChangeWays(const Plan& plan, NodePlace place);
// Where changes of one step come on several ways, as where it was parted by filters and is united: a line a way, "a way
// of changes of step counts: part is ('a') through filter (n > 1)".
std::set<std::string> ParallelWays(const Plan& plan, NodePlace place);

// What a line of whose changes begins with, in front of the name under which the step that makes them is kept. Behind
// it stands nothing, or " through ..".
inline constexpr std::string_view kChangesOf = "changes of step ", kThrough = " through ";
// The steps that make the changes which come to a node, in whichever stages they are, by the names under which they are
// kept. None: its rows stand.
std::set<std::string> MakersAbove(const Plan& plan, NodePlace place);

// A sink that adds up the changes of an update step, as a step with state does: what it has written isn't changed any
// more, so rows must be taken back out of it as they were given to it. A table whose rows replace each other by their
// key needs none of that.
bool IsLakeOfChanges(const Plan& plan, const Node& node);
// What the rows of a feed are to the sink behind it. For a lake of changes: the way on which they come (ChangeOrigins),
// what each column is made from and of which type, and by which folders rows are refused or lose a column. For all
// others: one line that says that they are none.
std::set<std::string> FeedOrigins(const Plan& plan, NodePlace feed);

// Of a Kafka sink whose rows replace each other: how their keys are written, by which rows of before are found. None:
// of any other.
std::set<std::string> KeyOrigins(const Plan& plan, const Node& node);

// Of a topic, a table or a view whose rows replace each other: a way on which rows come whose key has constants, which
// the topology gives them. A row of before is found by its key alone.
struct KeyWay {
  std::string from;       // "step counts", "topic prices"
  std::string constants;  // "shard is ('eu')"
  std::string through;    // what decides which of its rows come: "filter (region = 'eu')"

  auto operator<=>(const KeyWay&) const = default;
};
std::set<KeyWay> KeyWays(const Plan& plan, NodePlace sink);

// The nodes whose rows a port of a node takes; of a node that reads an internal topic, those that write it.
std::vector<NodePlace> NodesAbove(const Plan& plan, NodePlace place, size_t port);
// Where a step with state takes its input: the place itself, or that of the partial phase of an aggregation.
std::vector<NodePlace> Takers(const Plan& plan, NodePlace place);
// Whether rows of a port are taken back.
bool TakesChanges(const Plan& plan, NodePlace place, size_t port);
// An update step with state: one that makes changes of its own.
bool MakesChanges(const Node& node);

// Where each column of the rows that a sink's node takes comes from: one list a way, as long as its input's schema.
std::set<std::vector<std::string>> SinkOrigins(const Plan& plan, NodePlace sink);

// Which rows meet in one task of the step: "moved by [route]", "as they lie in prices"; several, where it has several
// inputs, with kBetweenWays between them.
inline constexpr std::string_view kMovedBy = "moved by [", kAsTheyLie = "as they lie in ", kBetweenWays = ", ";
std::string Meeting(const Plan& plan, NodePlace place);

}  // namespace tidemark
