#include "tests/sim/cases.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include "operators/operators.h"
#include "src/base/status.h"
#include "src/codec/formats.h"
#include "src/plan/planner.h"
#include "src/runtime/topics.h"
#include "src/sim/chaos.h"
#include "src/sim/deployment.h"
#include "src/sim/sim_clock.h"
#include "src/sim/sim_kafka.h"

namespace tidemark::sim {
namespace {

struct Case {
  struct Record {
    TopicPartition partition;
    int64_t time_ms = 0;
    std::optional<std::string> key, value;
  };

  std::string id;
  uint64_t seed = 1;
  int workers = 1;
  FaultKinds faults;
  std::string yaml;
  std::vector<std::pair<std::string, int32_t>> topics;
  std::vector<Record> first, records;
};

std::optional<std::string> ReadText(std::istream& in, int64_t bytes) {
  if (bytes < 0) return std::nullopt;
  std::string text(static_cast<size_t>(bytes), '\0');
  in.read(text.data(), bytes);
  in.ignore(1);
  return text;
}

// False at the end of the file.
absl::StatusOr<bool> ReadCase(std::istream& in, Case* result) {
  std::string line;
  while (std::getline(in, line)) {
    std::istringstream words(line);
    std::string what;
    words >> what;
    if (what == "case") {
      std::string faults;
      words >> result->id >> result->seed >> result->workers >> faults;
      if (faults != "-") result->faults = absl::StrSplit(faults, ',');
    } else if (what == "yaml") {
      int64_t bytes = 0;
      words >> bytes;
      result->yaml = *ReadText(in, bytes);
    } else if (what == "topic") {
      auto& [name, partitions] = result->topics.emplace_back();
      words >> name >> partitions;
    } else if (what == "first" || what == "record") {
      int64_t key = 0, value = 0;
      Case::Record& record = (what == "first" ? result->first : result->records).emplace_back();
      words >> record.partition.topic >> record.partition.partition >> record.time_ms >> key >> value;
      record.key = ReadText(in, key);
      record.value = ReadText(in, value);
    } else if (what == "end") {
      return true;
    } else {
      return absl::InvalidArgumentError(absl::StrCat("not a line of a case: ", line));
    }
    if (!words || !in) return absl::InvalidArgumentError(absl::StrCat("a line of a case is cut short: ", line));
  }
  return false;
}

class CaseRun {
 public:
  CaseRun(const Case& c, bool print)
      : case_(c), print_(print), random_(c.seed * 2654435761u + 1), cluster_(ClusterOptions(c), &clock_) {}

  void Run(std::ostream& out) {
    std::ostringstream outputs;
    const absl::Status verdict = RunAll(outputs);
    const std::string text = verdict.ToString();
    out << "result " << case_.id << " " << text.size() << "\n" << text << "\n";
    if (verdict.ok()) out << outputs.str();
    out << "end\n";
  }

 private:
  static SimCluster::Options ClusterOptions(const Case& c) {
    SimCluster::Options options;
    options.seed = c.seed;
    options.marker_delay_us = c.seed % 3 == 0 ? 5'000 : 0;
    return options;
  }

  absl::Status RunAll(std::ostream& out) {
    TM_ASSIGN_OR_RETURN(const Plan plan,
                        PlanFromYaml(case_.yaml, absl::StrCat(case_.id, ".yaml"), Operators(), OwnFormats().list(),
                                     [](std::string_view) { return std::nullopt; }));
    for (const auto& [topic, partitions] : case_.topics) cluster_.CreateTopic(topic, partitions);
    for (const Case::Record& record : case_.first) Append(record);
    Deployment deployment(&plan, {case_.seed, case_.workers, print_}, &random_, &clock_, &cluster_);
    Schedule schedule;
    schedule.turns = case_.faults.empty() ? 0 : 240;
    const size_t step = std::max<size_t>(1, 2 * case_.records.size() / 240);
    schedule.feed = [&] {
      for (size_t n = random_.Below(2 * step + 1); n > 0 && next_ < case_.records.size(); --n) {
        Append(case_.records[next_++]);
      }
    };
    for (const SourcePlan& source : plan.sources) {
      for (int32_t p = 0; p < cluster_.log().PartitionCount(source.topic); ++p) {
        schedule.trimmable.push_back({source.topic, p});
      }
    }
    TM_RETURN_IF_ERROR(RunChaos(&deployment, &cluster_, &clock_, &random_, plan.application.Group(),
                                FaultsOf(case_.faults), schedule));
    while (next_ < case_.records.size()) Append(case_.records[next_++]);
    TM_RETURN_IF_ERROR(deployment.RunToEnd());
    return Print(plan, &deployment, out);
  }

  void Append(const Case::Record& record) {
    cluster_.AppendInput(record.partition, record.key, record.value, record.time_ms);
  }

  static absl::Status Print(const Plan& plan, Deployment* deployment, std::ostream& out) {
    std::set<std::string> topics = SideTopics(plan);
    topics.insert(plan.dead_letter_topic);
    for (const SinkPlan& sink : plan.sinks) {
      if (const auto* kafka = std::get_if<KafkaSinkSpec>(&sink.spec)) {
        topics.insert(kafka->topic);
      } else if (std::holds_alternative<PostgresSinkSpec>(sink.spec)) {
        TM_ASSIGN_OR_RETURN(const std::vector<std::string> rows, deployment->RowsOf(sink));
        out << "sink " << sink.name << "\n";
        for (const std::string& row : rows) out << "row " << row.size() << "\n" << row << "\n";
      } else {
        TM_ASSIGN_OR_RETURN(const auto files, deployment->FilesOf(sink.kept_as()));
        for (const auto& [name, bytes] : files) {
          out << "file " << sink.name << " " << name << " " << bytes.size() << "\n" << bytes << "\n";
        }
      }
    }
    const auto bytes = [](const std::optional<std::string>& text) {
      return text.has_value() ? static_cast<int64_t>(text->size()) : -1;
    };
    for (const std::string& topic : topics) {
      out << "topic " << topic << "\n";
      for (const auto& [partition, record] : deployment->Records(topic)) {
        out << "record " << partition << " " << bytes(record.key) << " " << bytes(record.value) << "\n"
            << record.key.value_or("") << record.value.value_or("") << "\n";
      }
    }
    return absl::OkStatus();
  }

  const Case& case_;
  const bool print_;
  SimClock clock_;
  SimRandom random_;
  SimCluster cluster_;
  size_t next_ = 0;  // of the records
};

}  // namespace

absl::Status RunCases(std::istream& in, std::ostream& out, bool print) {
  while (true) {
    Case next;
    TM_ASSIGN_OR_RETURN(const bool more, ReadCase(in, &next));
    if (!more) return absl::OkStatus();
    CaseRun(next, print).Run(out);
    out.flush();
  }
}

}  // namespace tidemark::sim
