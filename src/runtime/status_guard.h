// Who may see how an application runs (docs/status.md): /v1/status and what else names its workers, its YAML and its
// errors. On an address of this machine's own, and where the topology names no tokens, that is whoever reaches it. Else
// partners reach the same address with tokens to post or ask by, and who isn't to see it by that: it is told to tokens
// whose scope is worker:status, in any of the topology's files.
//
// Prepare and Put: the main thread. What Put has made is called by the server's.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <absl/status/status.h>

#include "src/base/clock.h"
#include "src/http/server.h"
#include "src/http/tokens.h"
#include "src/plan/plan.h"

namespace tidemark {

inline constexpr char kStatusScope[] = "worker:status";  // no name of a source: `*` isn't for it

class StatusGuard {
 public:
  StatusGuard(const Plan& plan, Clock* clock);

  // Reads the files of tokens, where they are asked for. InvalidArgument: one can't be read.
  absl::Status Prepare(const std::string& http_address);
  // Puts `told` where it is answered: open to all, or behind tokens.
  void Put(HttpHandlers told, HttpHandlers* open, HttpEntrances* guarded) const;

 private:
  using Files = std::vector<std::unique_ptr<Tokens>>;

  const std::shared_ptr<Files> files_;  // shared with the entrances
  bool guards_ = false;
};

}  // namespace tidemark
