// Who may see how an application runs (docs/status.md): /v1/status and what else names its workers, its YAML and its
// errors. On an address of this machine's own, and where the topology names no tokens, that is whoever reaches it. Else
// partners reach the same address with tokens to post or ask by, and who isn't to see it by that: it is told to tokens
// whose scope is worker:status, in any of the topology's files. What dashboards ask is told to those of any view, too.
//
// Prepare and Put: the main thread. What Put has made is called by the server's.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "src/base/clock.h"
#include "src/http/server.h"
#include "src/http/tokens.h"
#include "src/plan/plan.h"

namespace tidemark {

inline constexpr char kStatusScope[] = "worker:status";  // no name of a source: `*` isn't for it

// All files of tokens that a topology names, once each. Not read yet.
using TokenFiles = std::vector<std::unique_ptr<Tokens>>;
TokenFiles TokenFilesOf(const Plan& plan, Clock* clock);
// The name of who has the token, if it is for one of `scopes` in one of the files; else as Tokens::Check.
absl::StatusOr<std::string> CheckTokens(const TokenFiles& files, std::string_view authorization,
                                        const std::vector<std::string>& scopes);

class StatusGuard {
 public:
  StatusGuard(const Plan& plan, Clock* clock);

  // Reads the files of tokens, where they are asked for. InvalidArgument: one can't be read.
  absl::Status Prepare(const std::string& http_address);
  // By which scopes one is told: kStatusScope, or also that of any view.
  enum class Who { kStatus, kAnyView };
  // Puts `told` where it is answered: open to all, or behind tokens.
  void Put(HttpHandlers told, HttpHandlers* open, HttpEntrances* guarded, Who who = Who::kStatus) const;

 private:
  const std::shared_ptr<TokenFiles> files_;  // shared with the entrances
  std::vector<std::string> views_;           // their scopes
  bool guards_ = false;
};

}  // namespace tidemark
