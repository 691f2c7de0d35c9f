// Posts messages to an address, as the Standard Webhooks specification has it (standardwebhooks.com): the body is JSON,
// and the headers webhook-id (the same at each attempt, so that the receiver can tell what it has), webhook-timestamp
// (seconds of the attempt) and, with a secret, webhook-signature: "v1," and the base64 of HMAC-SHA256 over
// "ID.TIMESTAMP.BODY".
//
// Files of secrets are read at every attempt, so a secret is changed without a restart. Nothing of them, of the headers
// or of the address behind the host is ever in a status. Used by one thread, except Interrupt.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/plan/alarm_spec.h"

namespace tidemark {

class Webhook {
 public:
  virtual ~Webhook() = default;

  // One attempt, a few seconds at most. OK: the receiver has answered 2xx, and has it. InvalidArgument: it will never
  // take this message, as it says (400, 413, 422). Unavailable: all else; the receiver may have the message.
  virtual absl::Status Post(const std::string& id, const std::string& body, int64_t wall_us) = 0;
  // Makes a Post that waits, and every later one, return Unavailable soon. Any thread.
  virtual void Interrupt() = 0;
};

// InvalidArgument: a file of a secret that can't be read.
absl::StatusOr<std::unique_ptr<Webhook>> NewWebhook(const WebhookSpec& spec);
absl::Status CheckWebhookFiles(const WebhookSpec& spec);

// "v1,K5oZ...": of the specification above. `secret`: bytes, or "whsec_" and their base64.
std::string WebhookSignature(std::string_view secret, std::string_view id, int64_t timestamp_s, std::string_view body);

}  // namespace tidemark
