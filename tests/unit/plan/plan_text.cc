#include "tests/unit/plan/plan_text.h"

#include <fnmatch.h>

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include "operators/operator.h"

namespace tidemark {

absl::StatusOr<Plan> PlanOf(const std::string& yaml, const std::map<std::string, std::string>& env,
                            TopologyText* read) {
  const auto lookup = [&](const std::string& name) -> std::optional<std::string> {
    const auto it = env.find(name);
    if (it == env.end()) return std::nullopt;
    return it->second;
  };
  return PlanFromYaml(yaml, "t.yaml", Operators(), OwnFormats().list(), lookup, FilesOnDisk(), read);
}

namespace {

class FilesOfTest final : public TopologyFiles {
 public:
  explicit FilesOfTest(const TestFiles& files) : files_(files) {}

  absl::StatusOr<std::string> Read(const std::string& path) const override {
    const auto file = files_.find(path);
    if (file == files_.end()) return absl::InvalidArgumentError("No such file or directory");
    return file->second;
  }
  std::vector<std::string> Match(const std::string& pattern) const override {
    std::vector<std::string> found;
    for (const auto& [path, text] : files_) {
      if (fnmatch(pattern.c_str(), path.c_str(), FNM_PATHNAME | FNM_PERIOD) == 0) found.insert(found.begin(), path);
    }
    return found;
  }

 private:
  const TestFiles& files_;
};

std::string MessageOf(const absl::StatusOr<Plan>& plan) {
  if (plan.ok()) return "";
  EXPECT_EQ(plan.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(plan.status().message());
}

}  // namespace

absl::StatusOr<Plan> PlanOfFiles(const TestFiles& files, TopologyText* read) {
  const auto no_variables = [](const std::string&) { return std::optional<std::string>(); };
  return PlanFromYaml(files.at("t.yaml"), "t.yaml", Operators(), OwnFormats().list(), no_variables, FilesOfTest(files),
                      read);
}

std::string ErrorsOfFiles(const TestFiles& files) { return MessageOf(PlanOfFiles(files)); }

std::string ErrorsOf(const std::string& yaml, const std::map<std::string, std::string>& env) {
  return MessageOf(PlanOf(yaml, env));
}

std::string Clicks(const std::string& steps, const std::string& sunk, const std::string& more_sinks) {
  std::string out = R"(name: web
sources:
  clicks:
    topic: clicks
    columns:
      guid: int64
      url: { type: string, nullable: true }
      price: double
      ms: timestamp_ms
    event_time: { column: ms, max_out_of_orderness: 2s }
tables:
  users:
    file: users.csv
    key: [guid]
    columns:
      guid: int64
      town: string
)";
  // A step and a sink that use table and source, so that neither is unread.
  out += R"(steps:
  towns: { from: clicks, join: { table: users, on: [guid] } }
)";
  out += steps;
  out += "sinks:\n  towns_out: { from: towns, topic: towns }\n";
  if (!sunk.empty()) absl::StrAppend(&out, "  sunk_out: { from: ", sunk, ", topic: sunk }\n");
  return out + more_sinks;
}

void RegisterTestOperators() {
  if (FindCustomOperator("sessions") != nullptr) return;
  CustomOperator sessions;
  sessions.name = "sessions";
  sessions.by = CustomOperator::By::kRequired;
  sessions.parameters = {{"gap", CustomParameter::Kind::kDuration, true}, {"least", CustomParameter::Kind::kInteger}};
  sessions.plan = [](const CustomInput& input) -> absl::StatusOr<CustomShape> {
    const size_t key = input.spec.by[0];
    if (input.columns[key].type.kind != Kind::kInt64) return absl::InvalidArgumentError("by one int64 column");
    CustomShape shape;
    shape.Keep(input.columns, key);
    shape.Add({"ended", {.kind = Kind::kTimestamp, .form = input.time_form}, false});
    shape.reads = shape.reads.With(Hidden::kWatermark);
    return shape;
  };
  sessions.make = [](const Node&, const CustomSpec&) -> absl::StatusOr<std::unique_ptr<Operator>> {
    return absl::UnimplementedError("plans only");
  };
  EXPECT_TRUE(RegisterOperator(std::move(sessions)).ok());
  CustomOperator latest;
  latest.name = "latest";
  latest.by = CustomOperator::By::kRequired;
  latest.plan = [](const CustomInput& input) -> absl::StatusOr<CustomShape> {
    CustomShape shape;
    shape.Keep(input.columns, input.spec.by[0]);
    shape.mode = {.update = true, .key = {0}};
    return shape;
  };
  latest.make = [](const Node&, const CustomSpec&) -> absl::StatusOr<std::unique_ptr<Operator>> {
    return absl::UnimplementedError("plans only");
  };
  EXPECT_TRUE(RegisterOperator(std::move(latest)).ok());
}

const Node& NodeOf(const Plan& plan, const std::string& step, Node::Kind kind) {
  static const auto& none = *new Node();
  const Node* found = nullptr;
  for (const Stage& stage : plan.stages) {
    for (const Node& node : stage.nodes) {
      if (node.step == step && node.kind == kind) found = &node;  // the last: a window's final phase
    }
  }
  EXPECT_NE(found, nullptr) << "no node " << step;
  return found == nullptr ? none : *found;
}

}  // namespace tidemark
