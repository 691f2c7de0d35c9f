#include "src/runtime/online_check.h"

#include <vector>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "operators/sinks/postgres/libpq.h"
#include "src/base/status.h"
#include "src/kafka/rdkafka_client.h"
#include "src/landing/landing_zone.h"
#include "src/landing/openpgp.h"
#include "src/postgres/table.h"
#include "src/registry/formats.h"
#include "src/runtime/start_check.h"
#include "src/runtime/topics.h"
#include "src/storage/object_store.h"
#include "src/webhook/webhook.h"

namespace tidemark {
namespace {

// Where files come from, as far as that isn't a folder, and where their copies go.
void InspectPlaces(const SourcePlan& source, std::string* found, std::vector<std::string>* wrong) {
  const FilesSpec& files = *source.files;
  const auto say = [&](const char* what, const absl::StatusOr<std::string>& seen) {
    const std::string name = absl::StrCat("source ", source.name, ": ", what, ": ");
    if (seen.ok()) {
      absl::StrAppend(found, name, *seen, "\n");
    } else {
      wrong->push_back(absl::StrCat(name, std::string(seen.status().message())));
    }
  };
  if (files.in_s3()) {
    const absl::StatusOr<std::vector<LandedFile>> there = NewLandingZone(files)->List();
    say("path",
        there.ok() ? absl::StatusOr<std::string>(absl::StrCat(there->size(), " files are there")) : there.status());
  }
  if (!files.raw.empty()) say("raw", InspectObjectStore(files.raw));
  if (!files.archive.empty()) say("archive", InspectObjectStore(files.archive));
}

}  // namespace

absl::StatusOr<std::string> CheckOnline(const Plan& plan) {
  std::string found;
  std::vector<std::string> wrong;
  absl::StatusOr<std::unique_ptr<KafkaClient>> kafka = NewRdKafkaClient(plan.kafka, [](int, std::string_view) {});
  if (!kafka.ok()) {
    wrong.emplace_back(kafka.status().message());
  } else {
    const absl::StatusOr<PartitionCounts> topics = ResolveTopics(plan, (*kafka)->admin(), /*create=*/false);
    if (topics.ok()) {
      absl::StrAppend(&found, "kafka: ", topics->size(), " topics fit\n");
    } else {
      wrong.emplace_back(topics.status().message());
    }
    if (const absl::Status start = CheckStart(plan, **kafka); start.ok()) {
      absl::StrAppend(&found, "state: what was written under this name before fits\n");
    } else {
      wrong.emplace_back(start.message());
    }
  }
  if (const auto schemas = TopologyFormats(plan.registry).CheckSchemas(plan); schemas.ok()) {
    absl::StrAppend(&found, *schemas);
  } else {
    wrong.emplace_back(schemas.status().message());
  }
  for (const SourcePlan& source : plan.sources) {
    if (!source.postgres && !source.files) continue;
    const std::string name = absl::StrCat("source ", source.name, source.files ? ": decrypt: " : ": ");
    const absl::StatusOr<std::string> seen =
        source.postgres ? InspectPgSource(source) : InspectDecrypt(source.files->decrypt);
    if (!seen.ok()) {
      wrong.push_back(absl::StrCat(name, seen.status().message()));
    } else if (!seen->empty()) {
      absl::StrAppend(&found, "source ", source.name, ": ", *seen, "\n");
    }
    if (source.files) InspectPlaces(source, &found, &wrong);
  }
  for (const SinkPlan& sink : plan.sinks) {
    absl::StatusOr<std::string> seen = "";
    if (const auto* postgres = std::get_if<PostgresSinkSpec>(&sink.spec)) {
      seen = InspectPostgres(*postgres, sink.name, sink.schema, sink.mode);
    } else if (const auto* parquet = std::get_if<ParquetSinkSpec>(&sink.spec)) {
      seen = InspectObjectStore(parquet->path);
      if (seen.ok()) seen = absl::StrCat("sink ", sink.name, ": ", *seen);
    } else if (const auto* webhook = std::get_if<WebhookSpec>(&sink.spec)) {
      const absl::Status files = CheckWebhookFiles(*webhook);
      if (files.ok()) continue;
      seen = files;
    } else {
      continue;
    }
    if (seen.ok()) {
      absl::StrAppend(&found, *seen, "\n");
    } else {
      const std::string message(seen.status().message());
      const std::string name = absl::StrCat("sink ", sink.name, ": ");
      wrong.push_back(absl::StartsWith(message, name) ? message : name + message);
    }
  }
  for (const WebhookSpec& webhook : plan.notify.webhook) {
    if (const absl::Status files = CheckWebhookFiles(webhook); !files.ok()) {
      wrong.push_back(absl::StrCat("notify: ", files.message()));
    }
  }
  if (!wrong.empty()) return absl::InvalidArgumentError(absl::StrJoin(wrong, "\n"));
  return found;
}

}  // namespace tidemark
