// JSON: a value is one object, its columns by name and path; with the option `array` (values that are read) an array of
// objects, a row each. Keys are objects of their columns.
#pragma once

#include "src/codec/format.h"

namespace tidemark {

const Format& JsonFormat();

}  // namespace tidemark
