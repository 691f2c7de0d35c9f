// What `coerce: true` makes of a value that isn't of its column's kind: numbers, booleans and numeric timestamps that
// stand as text, numbers and booleans for a text column, whole numbers with an empty fraction. Asked only where a value
// was refused, so columns of values that fit cost nothing. Pure.
#pragma once

#include <optional>
#include <string>

#include "src/base/schema.h"
#include "src/base/value_text.h"

namespace tidemark {

// The value in the kind that the type takes; nothing where it can't be. `scratch` holds its text. Texts are read as
// PostgreSQL's casts read them: blanks around, a plus sign, leading zeros, yes and no.
std::optional<ScalarText> Coerce(const Type& type, const ScalarText& value, std::string* scratch);

}  // namespace tidemark
