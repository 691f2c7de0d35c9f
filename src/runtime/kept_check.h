// Whether this version knows all that stands under an application's name (src/base/kept_format.h), asked at every start
// and by every command that goes by what was written before, in front of anything else: of each log the newest records
// say it. Readers ask again of what they read, as a newer worker may write meanwhile.
#pragma once

#include <absl/status/status.h>

#include "src/kafka/client.h"
#include "src/plan/plan.h"
#include "src/runtime/former.h"

namespace tidemark {

// `former`: with its newest commit records. InvalidArgument: where something newer stands, and what to do. Unavailable:
// Kafka doesn't answer.
absl::Status CheckKept(const Plan& plan, const Former& former, KafkaClient& kafka);

}  // namespace tidemark
