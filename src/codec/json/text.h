// The scanner lives below, in src/base, as expressions read JSON too.
#pragma once

#include "src/base/json_text.h"
