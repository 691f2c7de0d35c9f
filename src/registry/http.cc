#include "src/registry/http.h"

#include <httplib.h>

#include <algorithm>
#include <set>

#include <absl/base/thread_annotations.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>
#include <absl/synchronization/mutex.h>

namespace tidemark {
namespace {

// Short enough for a worker that is told to stop to be in time.
constexpr int kConnectSeconds = 2, kAnswerSeconds = 4;
constexpr char kContentType[] = "application/vnd.schemaregistry.v1+json";

struct Address {
  std::string server;  // scheme, host and port
  std::string path;    // without a slash at its end
};

Address Split(const std::string& url) {
  const size_t host = url.find("://") == std::string::npos ? 0 : url.find("://") + 3;
  const size_t path = std::min(url.find('/', host), url.size());
  return {url.substr(0, path), std::string(absl::StripSuffix(url.substr(path), "/"))};
}

class HttpLibRegistry final : public RegistryHttp {
 public:
  explicit HttpLibRegistry(const RegistrySpec& spec) : spec_(spec) {}

  RegistryAnswer Call(const std::string& path, const std::string& body) override {
    RegistryAnswer answer;
    for (const std::string& url : spec_.urls) {
      answer = Ask(Split(url), path, body);
      if (answer.status != 0 && answer.status < 500) return answer;
    }
    return answer;
  }

  void Interrupt() override {
    const absl::MutexLock lock(&mutex_);
    interrupted_ = true;
    for (httplib::Client* const client : calling_) client->stop();
  }

 private:
  // A connection for each call: they are few, and what stands behind the address may have been replaced.
  RegistryAnswer Ask(const Address& address, const std::string& path, const std::string& body) {
    httplib::Client client(address.server);
    if (!client.is_valid()) return {0, "", absl::StrCat("'", address.server, "' is no address")};
    client.set_connection_timeout(kConnectSeconds);
    client.set_read_timeout(kAnswerSeconds);
    client.set_write_timeout(kAnswerSeconds);
    client.set_follow_location(true);
    if (!spec_.user.empty()) client.set_basic_auth(spec_.user, spec_.password);
    if (!spec_.ca_file.empty()) client.set_ca_cert_path(spec_.ca_file);
    client.enable_server_certificate_verification(true);
    const httplib::Headers accept = {{"Accept", absl::StrCat(kContentType, ", application/json")}};
    const std::string whole = address.path + path;
    if (!Begin(&client)) return {0, "", "told to stop"};
    const httplib::Result result =
        body.empty() ? client.Get(whole, accept) : client.Post(whole, accept, body, kContentType);
    End(&client);
    if (!result) return {0, "", httplib::to_string(result.error())};
    return {result->status, result->body, ""};
  }

  bool Begin(httplib::Client* client) {
    const absl::MutexLock lock(&mutex_);
    if (!interrupted_) calling_.insert(client);
    return !interrupted_;
  }
  void End(httplib::Client* client) {
    const absl::MutexLock lock(&mutex_);
    calling_.erase(client);
  }

  const RegistrySpec spec_;
  absl::Mutex mutex_;
  bool interrupted_ ABSL_GUARDED_BY(mutex_) = false;
  std::set<httplib::Client*> calling_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

std::unique_ptr<RegistryHttp> NewRegistryHttp(const RegistrySpec& spec) {
  return std::make_unique<HttpLibRegistry>(spec);
}

}  // namespace tidemark
