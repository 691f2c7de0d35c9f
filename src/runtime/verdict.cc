#include "src/runtime/verdict.h"

#include <algorithm>

#include <absl/strings/str_join.h>

namespace tidemark {

absl::Status Refusal(const std::vector<Verdict>& verdicts) {
  std::vector<std::string> messages;  // one may be about several steps
  for (const Verdict& verdict : verdicts) {
    if (verdict.goes_on() || std::count(messages.begin(), messages.end(), verdict.message) > 0) continue;
    messages.push_back(verdict.message);
  }
  return messages.empty() ? absl::OkStatus() : absl::FailedPreconditionError(absl::StrJoin(messages, "\n"));
}

}  // namespace tidemark
