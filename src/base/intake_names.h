// The names of an intake (src/runtime/intake.h) outside its process, beside those of application.h and by its rules: a
// source shares its name with no step and no sink, the kinds of topics are others than theirs, and a split's number
// stands where a sink has its worker. Plain values; any thread.
#pragma once

#include <cstdint>
#include <string>

#include "src/base/application.h"

namespace tidemark {

struct IntakeNames {
  ApplicationId application;
  std::string source;

  std::string Topic() const { return application.TopicPrefix() + source + ".intake"; }
  std::string PositionsTopic() const { return application.TopicPrefix() + source + ".positions"; }
  // Of whoever runs the split.
  std::string TransactionalId(int32_t split) const {
    return application.SinkTransactionalId(source, std::to_string(split));
  }
};

}  // namespace tidemark
