// Files that schemas import and no registry has to hold: Confluent's own, and those of google/type that its converters
// write or that are common. Those of google/protobuf are in Google's library. Pure.
#pragma once

#include <string_view>

namespace tidemark {

// The text of the file of that name; null: it isn't one of these.
const char* KnownImport(std::string_view name);

}  // namespace tidemark
