// Alarms: `freshness` of sinks and views, `notify`, and the addresses that rows and alarms are posted to.
#include <algorithm>
#include <set>

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include "src/base/time.h"
#include "src/plan/logical.h"

namespace tidemark {
namespace {

constexpr int64_t kShortestUs = 5 * kSecond;

// Headers that are Tidemark's own, or HTTP's.
constexpr const char* kOwnHeaders[] = {"content-type",      "content-length",    "host",
                                       "webhook-id",        "webhook-timestamp", "webhook-signature",
                                       "transfer-encoding", "connection"};

bool IsHeaderName(const std::string& name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) ||
           absl::StrContains("!#$%&'*+-.^_`|~", absl::string_view(reinterpret_cast<char*>(&c), 1));
  });
}

void CheckHeaders(const topology::Webhook& yaml, const std::string& path, Diagnostics* diagnostics, WebhookSpec* spec) {
  for (const topology::Entry& header : yaml.headers()) {
    const std::string at = absl::StrCat(path, "/headers/", header.name());
    const std::string lower = absl::AsciiStrToLower(header.name());
    if (!IsHeaderName(header.name())) {
      diagnostics->Error(at, absl::StrCat("'", header.name(), "' can't be the name of a header"));
    } else if (header.value().find_first_of("\r\n") != std::string::npos) {
      diagnostics->Error(at, "a header has one line");
    } else if (std::any_of(std::begin(kOwnHeaders), std::end(kOwnHeaders),
                           [&](const char* own) { return lower == own; })) {
      diagnostics->Error(at, absl::StrCat("'", header.name(), "' is set by Tidemark itself"));
    } else if (lower == "authorization" && yaml.has_token()) {
      diagnostics->Error(at, "`token` gives the header Authorization already: one of the two");
    } else {
      spec->headers.emplace_back(header.name(), header.value());
    }
  }
}

}  // namespace

std::string WebhookSpec::Shown() const {
  const size_t scheme = url.find("://");
  if (scheme == std::string::npos) return "***";
  const size_t end = std::min(url.find_first_of("/?#", scheme + 3), url.size());
  const size_t user = url.rfind('@', end);
  const size_t host = user == std::string::npos || user < scheme ? scheme + 3 : user + 1;
  return absl::StrCat(url.substr(0, scheme + 3), url.substr(host, end - host));
}

WebhookSpec ReadWebhook(const topology::Webhook& yaml, const std::string& path, Diagnostics* diagnostics) {
  WebhookSpec spec;
  spec.url = yaml.url();
  spec.sign = yaml.sign();
  spec.token = yaml.token();
  const bool http = absl::StartsWith(spec.url, "http://") || absl::StartsWith(spec.url, "https://");
  const std::string shown = spec.Shown();
  if (!yaml.url().empty() &&
      (!http || absl::EndsWith(shown, "/") || spec.url.find_first_of(" \t\r\n") != std::string::npos)) {
    diagnostics->Error(path + "/url", "expected http://HOST:PORT/PATH or https://HOST/PATH");
  } else if (absl::StrContains(spec.url.substr(0, spec.url.find('/', spec.url.find("://") + 3)), "@")) {
    diagnostics->Error(path + "/url", "a user in the address isn't sent: state a header Authorization, or `token`");
  }
  for (const auto& [field, stated, value] :
       {std::tuple("/sign", yaml.has_sign(), &spec.sign), std::tuple("/token", yaml.has_token(), &spec.token)}) {
    if (stated && value->empty()) diagnostics->Error(path + field, "a file is expected, which holds the secret");
  }
  CheckHeaders(yaml, path, diagnostics, &spec);
  return spec;
}

std::optional<FreshnessSpec> ReadFreshness(const topology::Freshness& yaml, const std::string& path,
                                           Diagnostics* diagnostics) {
  FreshnessSpec spec;
  spec.max_us = yaml.max();
  spec.warn_us = yaml.has_warn() ? yaml.warn() : spec.max_us / 3 * 2;
  spec.from_event = yaml.from() == "event";
  if (diagnostics->Broken(path) || !yaml.has_max()) return std::nullopt;
  if (spec.max_us < kShortestUs) {
    diagnostics->Error(path + "/max", "expected 5s or more: to see that a row shows takes a second or two a stage");
  } else if (spec.warn_us <= 0 || spec.warn_us >= spec.max_us) {
    diagnostics->Error(path + "/warn", "expected less than `max`, and more than nothing");
  } else {
    return spec;
  }
  return std::nullopt;
}

void CheckNotify(const topology::Topology& topology, Diagnostics* diagnostics, Plan* plan) {
  const bool watched = std::any_of(plan->sinks.begin(), plan->sinks.end(),
                                   [](const SinkPlan& sink) { return sink.freshness.has_value(); });
  if (!topology.has_notify()) return;
  const topology::Notify& yaml = topology.notify();
  if (yaml.has_webhook()) {
    plan->notify.webhook.push_back(ReadWebhook(yaml.webhook(), "notify/webhook", diagnostics));
    if (diagnostics->Present("notify/webhook/id")) {
      diagnostics->Error("notify/webhook/id", "an alarm's id is its own; `id` is for webhooks of sinks");
    }
  }
  if (yaml.has_topic()) {
    plan->notify.topic = yaml.topic();
    CheckTopicName(plan->notify.topic, "notify/topic", diagnostics);
    for (const SourcePlan& source : plan->sources) {
      if (source.topic == yaml.topic()) {
        diagnostics->Error("notify/topic", absl::StrCat("source ", source.name, " reads topic ", source.topic,
                                                        ": the topology would read its own output"));
      }
    }
  }
  if (plan->notify.empty()) diagnostics->Error("notify", "`webhook` or `topic` is expected, or both");
  const bool all_known = !diagnostics->Broken("sinks") && !diagnostics->Broken("views") &&
                         !diagnostics->Broken("steps") && !diagnostics->Broken("sources");
  if (!watched && all_known) {
    diagnostics->Error("notify", "no sink and no view states `freshness`, so there is no alarm to be told");
  }
}

}  // namespace tidemark
