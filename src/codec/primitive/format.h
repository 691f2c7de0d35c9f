// Kafka's own primitives, as its serializers write them: numbers in big-endian, a UUID and a string as text. Each is a
// format of its own, one column as a whole.
//
// int16, float and uuid are read only: no type of a column keeps to them, so a row might not fit into what is written.
// A UUID is text, and is written as `string`.
#pragma once

#include <vector>

#include "src/codec/format.h"

namespace tidemark {

std::vector<const Format*> PrimitiveFormats();

}  // namespace tidemark
