#include "src/status/told.h"

#include <algorithm>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <google/protobuf/util/json_util.h>

#include "src/status/words.h"

namespace tidemark {
namespace {

// "a, b and 3 more" would hide what is searched for: all are told.
void AppendNodes(const live::Application& application, std::string* out) {
  size_t width = 4;
  for (const live::Node& node : application.nodes()) width = std::max(width, node.name().size() + 7);
  absl::StrAppendFormat(out, "\n%-*s %12s %12s %6s %12s  %s\n", static_cast<int>(width), "", "rows/s in", "rows/s out",
                        "busy", "lag", "time");
  for (const live::Node& node : application.nodes()) {
    const bool sink = node.kind() == "sink" || node.kind() == "view";
    absl::StrAppendFormat(out, "%-*s %12s %12s %6s %12s  %s%s\n", static_cast<int>(width),
                          absl::StrCat(node.kind(), " ", node.name()), Rate(node.in_per_s()),
                          sink && node.time().empty() ? "" : Rate(node.out_per_s()), Percent(node.busy()),
                          node.reads() ? Count(node.lag()) : "",
                          node.watermark_ms() > 0 ? UtcTime(node.watermark_ms()) : "", node.idle() ? " (idle)" : "");
  }
}

void AppendWorkers(const live::Application& application, std::string* out) {
  if (application.workers().empty()) return;
  absl::StrAppend(out, "\n");
  for (const live::WorkerLine& worker : application.workers()) {
    absl::StrAppendFormat(out, "worker %s: %s, %s, %s, busy %s, %s commits/s of %.0f ms%s\n", worker.worker(),
                          worker.state(), Many(worker.threads(), "thread"), Many(worker.tasks(), "task"),
                          Percent(worker.busy()), Rate(worker.commits_per_s()), worker.commit_ms(),
                          worker.address().empty() ? "" : ", page at " + worker.address());
  }
}

std::string AsJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string json;
  // Fails for text that isn't UTF-8 only, as an error message of a foreign library may be.
  if (!google::protobuf::util::MessageToJsonString(message, &json, options).ok()) {
    return "{\"error\":\"the status has text that isn't UTF-8\"}\n";
  }
  return json + "\n";
}

}  // namespace

std::string StatusAsJson(const live::Application& application) { return AsJson(application); }
std::string HistoryAsJson(const live::History& history) { return AsJson(history); }

std::string StatusAsText(const live::Application& application) {
  std::string out = absl::StrCat(application.verdict().sentence(), "\n");
  for (const live::Alarm& alarm : application.alarms())
    absl::StrAppend(&out, "ALARM (", alarm.kind(), ") ", alarm.name(), ": ", alarm.text(), "\n");
  if (!application.note().empty()) absl::StrAppend(&out, application.note(), "\n");
  AppendNodes(application, &out);
  AppendWorkers(application, &out);
  absl::StrAppend(&out, "\nWhat keeps rows from showing:", application.findings().empty() ? " nothing\n" : "\n");
  for (const live::Finding& finding : application.findings()) {
    absl::StrAppend(&out, "  ", finding.node().empty() ? "" : finding.node() + ": ", finding.text(), "\n");
  }
  return out;
}

}  // namespace tidemark
