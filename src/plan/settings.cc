// Settings of the process and its topics; and the checks of names that sources, steps and sinks share.
#include <algorithm>

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include "src/base/suggest.h"
#include "src/plan/kafka_properties.h"
#include "src/plan/logical.h"

namespace tidemark {

bool CheckTopicName(const std::string& topic, const std::string& path, Diagnostics* diagnostics) {
  const bool legal = !topic.empty() && topic.size() <= 249 && topic != "." && topic != ".." &&
                     std::all_of(topic.begin(), topic.end(), [](unsigned char c) {
                       return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-';
                     });
  if (!legal) {
    diagnostics->Error(
        path, absl::StrCat("'", topic, "' can't be a topic: letters, digits, '.', '_' and '-', 1 to 249 of them"));
  }
  return legal;
}

bool CheckName(const std::string& name, const std::string& path, std::string_view what, Diagnostics* diagnostics) {
  const bool legal = IsName(name);
  if (!legal) {
    diagnostics->Error(path, absl::StrCat(std::string(what), " name '", name,
                                          "': letters, digits, '_' and '-', 1 to "
                                          "100 of them, not starting with __ (names are part of topic names)"));
  }
  return legal;
}

TopicCreation ReadTopicCreation(const topology::TopicCreation& yaml, const std::string& path,
                                Diagnostics* diagnostics) {
  TopicCreation out;
  if (yaml.has_partitions()) {
    out.partitions = yaml.partitions();
    if (yaml.partitions() < 0 || yaml.partitions() > 100'000) {
      diagnostics->Error(path + "/partitions",
                         "expected 1 or more partitions, or 0 for as many as the largest input has");
    }
  }
  if (yaml.has_replication_factor()) {
    out.replication_factor = yaml.replication_factor();
    if (out.replication_factor != -1 && (out.replication_factor < 1 || out.replication_factor > 32'767)) {
      diagnostics->Error(path + "/replication_factor", "expected 1 or more, or -1 for the broker's default");
    }
  }
  for (const topology::Entry& entry : yaml.config()) out.config[entry.name()] = entry.value();
  return out;
}

std::optional<std::vector<size_t>> FindColumns(const google::protobuf::RepeatedPtrField<std::string>& names,
                                               const Schema& schema, const std::string& path, std::string_view of,
                                               Diagnostics* diagnostics) {
  std::vector<size_t> out;
  bool good = !diagnostics->Broken(path);
  for (int i = 0; i < names.size(); ++i) {
    const std::string at = absl::StrCat(path, "/", i);
    const auto column = schema.Find(names[i]);
    if (!column) {
      diagnostics->Error(at, absl::StrCat("unknown column '", names[i], "' of ", std::string(of),
                                          DidYouMean(names[i], schema.Names())));
      good = false;
    } else if (std::find(out.begin(), out.end(), *column) != out.end()) {
      diagnostics->Error(at, absl::StrCat("column '", names[i], "' stands here twice"));
      good = false;
    } else {
      out.push_back(*column);
    }
  }
  if (!good) return std::nullopt;
  return out;
}

std::optional<std::vector<size_t>> FindKeyColumns(const google::protobuf::RepeatedPtrField<std::string>& names,
                                                  const Schema& schema, const std::string& path, std::string_view of,
                                                  Diagnostics* diagnostics) {
  auto found = FindColumns(names, schema, path, of, diagnostics);
  bool good = found.has_value();
  for (size_t i = 0; found && i < found->size(); ++i) {
    const Column& column = schema[(*found)[i]];
    if (column.type.kind != Kind::kJson) continue;
    diagnostics->Error(absl::StrCat(path, "/", i), absl::StrCat("column ", column.name, kJsonIsNoKey));
    good = false;
  }
  return good ? found : std::nullopt;
}

std::string OrOnClose(const std::string& closes) {
  return closes.empty() ? "" : absl::StrCat(", or emit: on_close in step ", closes);
}

std::string QuoteIdentifier(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) out.append(c == '"' ? 2 : 1, c);
  return out + "\"";
}

namespace {

void CheckRegistrySpec(const topology::SchemaRegistry& yaml, Diagnostics* diagnostics, RegistrySpec* out) {
  for (int i = 0; i < yaml.url_size(); ++i) {
    const std::string& url = yaml.url(i);
    const std::string at = absl::StrCat("schema_registry/url/", i);
    if (!absl::StartsWith(url, "http://") && !absl::StartsWith(url, "https://")) {
      diagnostics->Error(diagnostics->Present(at) ? at : "schema_registry",
                         absl::StrCat("expected http://HOST:PORT or https://HOST:PORT, found '", url, "'"));
    }
    out->urls.push_back(url);
  }
  out->user = yaml.user();
  out->password = yaml.password();
  out->ca_file = yaml.ca_file();
  if (yaml.has_password() && !yaml.has_user()) {
    diagnostics->Error("schema_registry/password", "a password goes with user");
  }
}

}  // namespace

void CheckSettings(const topology::Topology& yaml, Diagnostics* diagnostics, Plan* plan) {
  plan->application.name = yaml.name();
  if (!yaml.name().empty() || diagnostics->Present("name")) CheckName(yaml.name(), "name", "topology", diagnostics);
  plan->kafka.brokers = yaml.kafka().has_brokers() ? yaml.kafka().brokers() : "localhost:9092";
  if (plan->kafka.brokers.empty())
    diagnostics->Error("kafka/brokers", "expected host:port, or several joined by commas");
  for (const topology::Entry& property : yaml.kafka().properties()) {
    const std::string at = "kafka/properties/" + property.name();
    if (const std::string why = WhyOwnProperty(property.name()); !why.empty()) diagnostics->Error(at, why);
    plan->kafka.properties.emplace_back(property.name(), property.value());
  }
  std::sort(plan->kafka.properties.begin(), plan->kafka.properties.end());
  CheckRegistrySpec(yaml.schema_registry(), diagnostics, &plan->registry);
  if (yaml.has_commit_interval()) {
    plan->commit_interval_us = yaml.commit_interval();
    if (plan->commit_interval_us < kMillisecond || plan->commit_interval_us > 5 * kSecond) {
      diagnostics->Error("commit_interval", "expected 1ms to 5s: Kafka ends transactions after 10s");
    }
  }
  if (yaml.has_memory()) {
    plan->memory_bytes = yaml.memory();
    if (plan->memory_bytes < (int64_t{64} << 20)) diagnostics->Error("memory", "expected 64MiB or more");
  }
  plan->dead_letter_topic = yaml.dead_letter().has_topic() ? yaml.dead_letter().topic() : yaml.name() + "-dead-letter";
  if (yaml.dead_letter().has_topic()) CheckTopicName(plan->dead_letter_topic, "dead_letter/topic", diagnostics);
  plan->dead_letter_creation = ReadTopicCreation(yaml.dead_letter().create(), "dead_letter/create", diagnostics);
  const topology::InternalTopics& internal = yaml.internal_topics();
  plan->create_internal_topics = !internal.has_create() || internal.create();
  topology::TopicCreation creation;
  if (internal.has_partitions()) creation.set_partitions(internal.partitions());
  if (internal.has_replication_factor()) creation.set_replication_factor(internal.replication_factor());
  *creation.mutable_config() = internal.config();
  plan->internal_topics = ReadTopicCreation(creation, "internal_topics", diagnostics);
  for (const char* own : {"cleanup.policy", "retention.ms", "retention.bytes", "message.timestamp.type"}) {
    if (!plan->internal_topics.config.contains(own)) continue;
    diagnostics->Error(absl::StrCat("internal_topics/config/", own),
                       absl::StrCat("'", own, "' is set by Tidemark, which trims internal topics itself"));
  }
  const auto limit = plan->internal_topics.config.find("max.message.bytes");
  int64_t bytes = 0;
  if (limit != plan->internal_topics.config.end() && (!absl::SimpleAtoi(limit->second, &bytes) || bytes < (1 << 20))) {
    diagnostics->Error(
        "internal_topics/config/max.message.bytes",
        absl::StrCat("expected a number of bytes, 1048576 or more: internal records are of half of that, "
                     "and a row that is larger has one of its own"));
  }
}

}  // namespace tidemark
