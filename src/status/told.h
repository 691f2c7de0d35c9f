// An application's status as it is told: JSON for programs and the page, text for a terminal.
#pragma once

#include <string>

#include "proto/live.pb.h"

namespace tidemark {

// Names as in proto/live.proto; fields without content are there.
std::string StatusAsJson(const live::Application& application);
std::string HistoryAsJson(const live::History& history);
std::string StatusAsText(const live::Application& application);

}  // namespace tidemark
