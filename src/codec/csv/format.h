// CSV: a value is lines of fields, a row each; one line where it is written.
#pragma once

#include "src/codec/format.h"

namespace tidemark {

const Format& CsvFormat();

}  // namespace tidemark
