#include "src/webhook/webhook.h"

#include <httplib.h>
#include <openssl/hmac.h>

#include <atomic>
#include <fstream>
#include <iterator>
#include <utility>

#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>

#include "src/base/status.h"
#include "src/base/time.h"

namespace tidemark {
namespace {

// Short enough for a worker that is told to stop to be in time.
constexpr int kConnectSeconds = 2, kAnswerSeconds = 4;
constexpr absl::string_view kSecretPrefix = "whsec_";

// "": no file is named.
absl::StatusOr<std::string> ReadSecret(const std::string& path, const char* what) {
  if (path.empty()) return "";
  std::ifstream file(path, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(file), {});
  absl::StripAsciiWhitespace(&text);
  if (file && !text.empty()) return text;
  return absl::InvalidArgumentError(
      absl::StrCat("webhook: ", what, ": can't read a secret from '", path, "', or nothing stands there"));
}

bool IsRefused(int status) { return status == 400 || status == 413 || status == 422; }

class HttpWebhook final : public Webhook {
 public:
  explicit HttpWebhook(const WebhookSpec& spec) : spec_(spec), shown_(spec.Shown()), client_(shown_) {
    const size_t host = spec.url.find("://") + 3;
    path_ = spec.url.substr(std::min(spec.url.find_first_of("/?#", host), spec.url.size()));
    path_ = path_.substr(0, path_.find('#'));
    if (path_.empty() || path_[0] != '/') path_.insert(path_.begin(), '/');
    client_.set_connection_timeout(kConnectSeconds);
    client_.set_read_timeout(kAnswerSeconds);
    client_.set_write_timeout(kAnswerSeconds);
    client_.set_keep_alive(true);
    client_.set_follow_location(false);  // whoever answers so would be told the secrets' owner elsewhere
    client_.enable_server_certificate_verification(true);
  }

  absl::Status Post(const std::string& id, const std::string& body, int64_t wall_us) override {
    if (interrupted_) return absl::UnavailableError("told to stop");
    httplib::Headers headers;
    for (const auto& [name, value] : spec_.headers) headers.emplace(name, value);
    const absl::Status signed_ = Sign(id, body, wall_us / kSecond, &headers);
    if (!signed_.ok()) return absl::UnavailableError(signed_.message());
    const httplib::Result result = client_.Post(path_, headers, body, "application/json");
    if (!result) return absl::UnavailableError(absl::StrCat(shown_, ": ", httplib::to_string(result.error())));
    if (result->status >= 200 && result->status < 300) return absl::OkStatus();
    const std::string said = absl::StrCat(shown_, " answered ", result->status);
    return IsRefused(result->status) ? absl::InvalidArgumentError(said) : absl::UnavailableError(said);
  }

  void Interrupt() override {
    interrupted_ = true;
    client_.stop();
  }

 private:
  absl::Status Sign(const std::string& id, const std::string& body, int64_t now_s, httplib::Headers* headers) const {
    TM_ASSIGN_OR_RETURN(const std::string secret, ReadSecret(spec_.sign, "sign"));
    TM_ASSIGN_OR_RETURN(const std::string token, ReadSecret(spec_.token, "token"));
    headers->emplace("webhook-id", id);
    headers->emplace("webhook-timestamp", std::to_string(now_s));
    if (!secret.empty()) headers->emplace("webhook-signature", WebhookSignature(secret, id, now_s, body));
    if (!token.empty()) headers->emplace("Authorization", "Bearer " + token);
    return absl::OkStatus();
  }

  const WebhookSpec spec_;
  const std::string shown_;
  std::string path_;
  httplib::Client client_;
  std::atomic<bool> interrupted_{false};
};

}  // namespace

std::string WebhookSignature(std::string_view secret, std::string_view id, int64_t timestamp_s, std::string_view body) {
  std::string key(secret), decoded;
  if (secret.substr(0, kSecretPrefix.size()) == std::string_view(kSecretPrefix.data(), kSecretPrefix.size()) &&
      absl::Base64Unescape(key.substr(kSecretPrefix.size()), &decoded)) {
    key = std::move(decoded);
  }
  std::string text(id);
  text.append(".").append(std::to_string(timestamp_s)).append(".").append(body);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(text.data()),
       text.size(), digest, &size);
  return absl::StrCat("v1,", absl::Base64Escape(absl::string_view(reinterpret_cast<char*>(digest), size)));
}

absl::Status CheckWebhookFiles(const WebhookSpec& spec) {
  TM_RETURN_IF_ERROR(ReadSecret(spec.sign, "sign").status());
  return ReadSecret(spec.token, "token").status();
}

absl::StatusOr<std::unique_ptr<Webhook>> NewWebhook(const WebhookSpec& spec) {
  TM_RETURN_IF_ERROR(CheckWebhookFiles(spec));
  return std::make_unique<HttpWebhook>(spec);
}

}  // namespace tidemark
