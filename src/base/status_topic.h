// The topic in which an application's workers tell each other how they are (src/runtime/status_board.h). It is the
// application's as a whole, which is why no step can have its name (application.h).
#pragma once

#include <string>

#include "src/base/application.h"

namespace tidemark {

inline std::string StatusTopic(const ApplicationId& application) { return application.TopicPrefix() + "__status"; }

}  // namespace tidemark
