// `tidemark dead-letters list|show|last|replay`: what was put aside, by reason; the letters themselves, or the newest
// of them; and back to their sources with them. docs/dead-letters.md is the contract. Main thread only.
#pragma once

#include <ostream>
#include <string>

#include <absl/status/status.h>

#include "src/kafka/client.h"
#include "src/plan/plan.h"

namespace tidemark {

struct DeadLetterOptions {
  std::string where;   // an SQL condition over LetterSchema(); empty: all of them
  std::string set;     // replay: "value = EXPRESSION", "key = EXPRESSION"; empty: as they are
  int64_t limit = 20;  // of the lines of list, the letters of show and last; replay takes all
  bool dry_run = false;
  bool json = false;
};

// `command`: list, show, last or replay. InvalidArgument: another word, a condition that doesn't compile, no such
// topic.
absl::Status DeadLettersCommand(const std::string& command, const Plan& plan, KafkaClient& kafka,
                                const DeadLetterOptions& options, std::ostream& out);

}  // namespace tidemark
