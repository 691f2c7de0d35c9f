// `tidemark init`: a topology to start from.
#pragma once

#include <string>

namespace tidemark {

// A commented topology.yaml that is valid as it stands.
std::string StarterTopology();

}  // namespace tidemark
