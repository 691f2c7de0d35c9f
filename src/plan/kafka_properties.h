// The properties of librdkafka that a topology can't give: exactly-once processing rests on them, or Tidemark derives
// them from other settings. One list for the check of the file and for the client, which also serves `tidemark
// generate`.
#pragma once

#include <string>
#include <string_view>

namespace tidemark {

// Why the property can't be given, and what to do instead; "" where it can.
std::string WhyOwnProperty(std::string_view name);

}  // namespace tidemark
