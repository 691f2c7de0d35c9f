#include "src/runtime/status_guard.h"

#include <optional>
#include <set>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <glog/logging.h>

#include "src/base/status.h"
#include "src/http/listener.h"

namespace tidemark {
namespace {

HttpResponse Refusal(int status, const std::string& why, const std::string& scopes) {
  HttpResponse response{status,
                        "text/plain; charset=utf-8",
                        absl::StrCat(why, ": this is told to tokens whose line has the scope ", scopes, "\n"),
                        {}};
  if (status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}

}  // namespace

TokenFiles TokenFilesOf(const Plan& plan, Clock* clock) {
  std::set<std::string> paths;
  for (const SourcePlan& source : plan.sources) {
    if (source.http && !source.http->tokens.empty()) paths.insert(source.http->tokens);
  }
  for (const SinkPlan& sink : plan.sinks) {
    if (sink.view && !sink.view->tokens.empty()) paths.insert(sink.view->tokens);
  }
  TokenFiles files;
  for (const std::string& path : paths) files.push_back(std::make_unique<Tokens>(path, clock));
  return files;
}

absl::StatusOr<std::string> CheckTokens(const TokenFiles& files, std::string_view authorization,
                                        const std::vector<std::string>& scopes) {
  absl::Status refused = absl::UnauthenticatedError("");
  for (const std::unique_ptr<Tokens>& file : files) {
    for (const std::string& scope : scopes) {
      auto name = file->Check(authorization, scope);
      if (name.ok()) return name;
      // Known in one file, and not in another.
      if (!absl::IsPermissionDenied(refused)) refused = name.status();
    }
  }
  return refused;
}

StatusGuard::StatusGuard(const Plan& plan, Clock* clock)
    : files_(std::make_shared<TokenFiles>(TokenFilesOf(plan, clock))) {
  for (const SinkPlan& sink : plan.sinks) {
    if (sink.view && !sink.view->tokens.empty()) views_.push_back("view:" + sink.name);
  }
}

absl::Status StatusGuard::Prepare(const std::string& http_address) {
  if (IsLoopback(http_address)) return absl::OkStatus();
  guards_ = !files_->empty();
  if (!guards_) {
    LOG(WARNING) << "the page and the metrics are told to whoever reaches " << http_address;
  }
  for (const std::unique_ptr<Tokens>& file : *files_) TM_RETURN_IF_ERROR(file->Load());
  return absl::OkStatus();
}

void StatusGuard::Put(HttpHandlers told, HttpHandlers* open, HttpEntrances* guarded, Who who) const {
  if (!guards_) return open->merge(told);
  std::vector<std::string> scopes = {kStatusScope};
  if (who == Who::kAnyView) scopes.insert(scopes.end(), views_.begin(), views_.end());
  for (auto& [path, tell] : told) {
    HttpEntrance& entrance = (*guarded)[path];
    entrance.method = "GET";
    entrance.large_answers = true;
    entrance.begin = [files = files_, scopes](const HttpRequest& head) -> std::optional<HttpResponse> {
      const auto name = CheckTokens(*files, head.Header("authorization"), scopes);
      if (name.ok()) return std::nullopt;
      const absl::Status& refused = name.status();
      return Refusal(absl::IsPermissionDenied(refused) ? 403 : 401, std::string(refused.message()),
                     absl::StrJoin(scopes, " or "));
    };
    entrance.take = [tell = std::move(tell)](const HttpRequest&, const HttpReply& reply) { reply(tell()); };
    entrance.refuse = [](const HttpRequest*, int status, const std::string& why) {
      return HttpResponse{status, "text/plain; charset=utf-8", why + "\n", {}};
    };
  }
}

}  // namespace tidemark
