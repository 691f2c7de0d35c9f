// The topology under test, as its plan is run on the simulator: with a tap on every step whose rows are expected, and
// without what a test has no use for. What is changed of the plan that `tidemark run` would have:
//
//   - a tap is a Kafka sink beside the others, into a topic of its own, as JSON. It is added to the topology's own text
//     and planned with it, so that no other part of the plan knows of it but by the columns that it reads;
//   - sources from outside Kafka (files, posts) are read from a topic of the test's, where their rows stand as the
//     intake would have put them there; so are tables that are files, where the test gives them rows;
//   - a commit comes every few milliseconds, and a partition is idle only where the test lets time pass.
//
// Names are the user's: `Find` answers for sinks, steps and sources alike. Immutable once loaded; any thread.
#pragma once

#include <map>
#include <set>
#include <string>

#include <absl/status/statusor.h>

#include "src/plan/plan.h"
#include "src/trial/test_file.h"

namespace tidemark::trial {

// Never: no test lasts a year.
inline constexpr int64_t kNeverIdleUs = int64_t{365} * 86'400 * kSecond;

class Subject {
 public:
  // For one test of the file. InvalidArgument: the topology is wrong, in its own places; the test names what isn't
  // there; or a part of the topology can't be tested, by its name.
  static absl::StatusOr<Subject> Load(const TestFile& file, const Case& test);

  // As it runs while no time passes; and while a test's `advance` goes by.
  const Plan& plan() const { return plan_; }
  const Plan& plan_with_idleness() const { return idling_; }

  const SourcePlan* FindSource(std::string_view name) const;
  const TablePlan* FindTable(std::string_view name) const;
  // The sink that shows rows of that name: itself, or a tap.
  const SinkPlan& Shows(const std::string& expected) const;

 private:
  absl::Status Check(const TestFile& file, const Case& test) const;
  absl::Status AddTaps(const TestFile& file, const Case& test, const std::string& yaml);
  void BringInside(const Case& test);

  Plan plan_, idling_;
  std::map<std::string, std::string> shown_by_;  // what is expected -> sink
};

}  // namespace tidemark::trial
