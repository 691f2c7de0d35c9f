// What a topology says about alarms (docs/alarms.md), as the plan holds it: how old what stands in a sink or view may
// be, and who is told. Plain data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace tidemark {

// Of a sink or view. Ages are of wall time and watched only: no row depends on them.
struct FreshnessSpec {
  int64_t warn_us = 0;  // shorter than max_us
  int64_t max_us = 0;
  // False: a record's age counts from when it could be read in its source's topic. True: from its event time where that
  // is longer ago.
  bool from_event = false;

  friend bool operator==(const FreshnessSpec&, const FreshnessSpec&) = default;
};

// Where something is posted. Secrets stand in files that are named here, or in the headers: never shown.
struct WebhookSpec {
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string sign;        // the file of the secret that bodies are signed with; empty: they aren't
  std::string token;       // the file of a bearer token; empty: none
  std::vector<size_t> id;  // of a sink: the columns that tell its rows apart; empty: all

  // "https://example.org": what may be shown of the address, as paths are secrets at many services.
  std::string Shown() const;
};

// Who is told of the application's alarms.
struct NotifySpec {
  std::vector<WebhookSpec> webhook;  // none or one
  std::string topic;                 // empty: none

  bool empty() const { return webhook.empty() && topic.empty(); }
};

}  // namespace tidemark
