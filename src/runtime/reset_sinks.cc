#include "src/runtime/reset_sinks.h"

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <thread>
#include <utility>
#include <variant>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "operators/sinks/parquet/sink.h"
#include "src/base/kept_format.h"
#include "src/base/status.h"
#include "src/runtime/former.h"
#include "src/storage/object_store.h"

namespace tidemark {
namespace {

std::string KeyOf(const SinkPlan& sink, const std::vector<size_t>& key) {
  return absl::StrJoin(key, ", ", [&](std::string* out, size_t c) { absl::StrAppend(out, sink.schema[c].name); });
}

std::string Rows(const std::string& where, const std::string& key, bool complete) {
  if (key.empty()) {
    return absl::StrCat(where, " appends: what is computed again stands there twice, unless it is emptied first");
  }
  return absl::StrCat(where, " is by (", key, "): what is computed again replaces its rows",
                      complete ? "" : ", also where it is counted from a part of the input",
                      "; rows of keys that don't come again stay");
}

// Whether files of the sink have gone there. A folder is looked at from outside: opening would make it.
absl::StatusOr<bool> IsTheLake(const Plan& plan, const SinkPlan& sink) {
  const std::string& path = std::get<ParquetSinkSpec>(sink.spec).path;
  const std::string mark = absl::StrCat("_", plan.application.SinkGroup(sink.kept_as()), ".mark");
  if (!absl::StartsWith(path, "s3://")) {
    std::error_code error;
    const bool there = std::filesystem::exists(std::filesystem::path(path) / mark, error);
    if (error) return absl::UnavailableError(absl::StrCat("sink ", sink.name, ": ", path, ": ", error.message()));
    return there;
  }
  TM_ASSIGN_OR_RETURN(const std::unique_ptr<ObjectStore> lake, OpenObjectStore(path));
  return lake->Exists(mark);
}

// Once no transaction is open in it: one of a worker that was frozen in the middle of its decision may still be
// committed, until it is timed out.
absl::StatusOr<std::pair<Offset, Offset>> DecidedRange(Admin& admin, const TopicPartition& partition) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (true) {
    TM_ASSIGN_OR_RETURN(const Offset end, admin.LogEnd(partition, Isolation::kReadUncommitted));
    TM_ASSIGN_OR_RETURN(const auto range, CommittedRange(admin, partition));
    if (range.second >= end) return range;
    if (std::chrono::steady_clock::now() > until) {
      return absl::UnavailableError(absl::StrCat("a transaction in ", ToString(partition), " doesn't end"));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

// The newest of each partition; trimmed are those that another has replaced.
absl::StatusOr<std::map<int32_t, packed::Manifest>> ReadManifests(const std::string& topic, KafkaClient& kafka) {
  std::map<int32_t, packed::Manifest> newest;
  TM_ASSIGN_OR_RETURN(const auto found, kafka.admin().Describe({topic}));
  const auto info = found.find(topic);
  if (info == found.end()) return newest;
  LogRanges whole;
  for (int32_t p = 0; p < info->second.partitions; ++p) {
    TM_ASSIGN_OR_RETURN((whole[{topic, p}]), DecidedRange(kafka.admin(), {topic, p}));
  }
  absl::Status damaged;
  TM_RETURN_IF_ERROR(ReadRanges(kafka, whole, [&](const TopicPartition& partition, const RecordView& record) {
    const std::string_view value = record.value.value_or("");
    packed::Manifest& manifest = newest[partition.partition];
    damaged = manifest.ParseFromArray(value.data(), static_cast<int>(value.size()))
                  ? CheckKeptFormat(manifest.needs_format(), ToString(partition))
                  : absl::DataLossError(absl::StrCat(ToString(partition), "@", record.offset, ": not a manifest"));
    return damaged.ok();
  }));
  TM_RETURN_IF_ERROR(damaged);
  return newest;
}

}  // namespace

absl::StatusOr<std::string> SinkAfterReset(const Plan& plan, const SinkPlan& sink, bool complete) {
  const std::string name = absl::StrCat("sink ", sink.name, ": ");
  if (sink.view) return absl::StrCat("view ", sink.name, ": begins empty, and holds what is computed again");
  if (const auto* kafka = std::get_if<KafkaSinkSpec>(&sink.spec)) {
    return absl::StrCat(name, Rows("topic " + kafka->topic, kafka->upsert ? KeyOf(sink, kafka->key) : "", complete));
  }
  if (const auto* postgres = std::get_if<PostgresSinkSpec>(&sink.spec)) {
    return absl::StrCat(name, Rows(absl::StrCat("table ", postgres->schema, ".", postgres->table),
                                   postgres->upsert ? KeyOf(sink, postgres->key) : "", complete));
  }
  if (const auto* webhook = std::get_if<WebhookSpec>(&sink.spec)) {
    return absl::StrCat(name, "rows that are computed again are posted again to ", webhook->Shown(),
                        ", under their former ids");
  }
  const auto& lake = std::get<ParquetSinkSpec>(sink.spec);
  if (!lake.changes) return absl::StrCat(name, Rows("lake " + lake.path, "", complete));
  TM_ASSIGN_OR_RETURN(const bool written, IsTheLake(plan, sink));
  if (!written) return absl::StrCat(name, "lake ", lake.path, " is new and begins with the first change");
  return absl::InvalidArgumentError(
      absl::StrCat(name, "the changes in ", lake.path,
                   " would begin again beside those that are there, and whoever adds them up "
                   "would count both: give the sink a new folder, or remove this one with all that is in it"));
}

absl::Status SettleLake(const Plan& plan, const SinkPlan& sink, bool complete, KafkaClient& kafka) {
  TM_ASSIGN_OR_RETURN(const auto manifests, ReadManifests(plan.application.ManifestTopic(sink.kept_as()), kafka));
  if (manifests.empty()) return absl::OkStatus();
  TM_ASSIGN_OR_RETURN(const bool there, IsTheLake(plan, sink));
  const auto& spec = std::get<ParquetSinkSpec>(sink.spec);
  if (!there && complete) return absl::OkStatus();  // all that was decided is computed again
  if (!there) {
    return absl::FailedPreconditionError(
        absl::StrCat("sink ", sink.name, ": ", spec.path,
                     " isn't the lake that its files went to, or isn't mounted. "
                     "Files that are decided and not moved yet would be lost, as not everything is computed again: "
                     "reset with the former folder, and then name another"));
  }
  TM_ASSIGN_OR_RETURN(const std::unique_ptr<ObjectStore> lake, OpenObjectStore(spec.path));
  std::random_device random;
  for (const auto& [partition, manifest] : manifests) {
    ParquetSinkOptions options;
    options.spec = spec;
    options.sink = sink.kept_as();
    options.schema = sink.schema;
    options.mode = sink.mode;
    options.identity = manifest.identity();
    options.partition = partition;
    options.attempt = uint64_t{random()} << 32 | random();
    TM_ASSIGN_OR_RETURN(const std::unique_ptr<ParquetSink> last, ParquetSink::Open(std::move(options), lake.get()));
    TM_RETURN_IF_ERROR(Annotate(last->Recover(&manifest), absl::StrCat("sink ", sink.name)));
  }
  return absl::OkStatus();
}

}  // namespace tidemark
