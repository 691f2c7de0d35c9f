// Bytes: the value, or the key, is one column of type bytes, as it is.
#pragma once

#include "src/codec/format.h"

namespace tidemark {

const Format& BytesFormat();

}  // namespace tidemark
