// Text: the value, or the key, is one column in its plain form, JSON's without quotes and escapes, in UTF-8.
#pragma once

#include "src/codec/format.h"

namespace tidemark {

const Format& TextFormat();

}  // namespace tidemark
