// What a text in a file says, as JSON by the type of its column: text where that is text, else a number or a bool where
// it is one ("007" and "+7" are 7), so that the decoder says what is wrong with any other. Plain functions; any thread.
#pragma once

#include <string>
#include <string_view>

#include "src/base/schema.h"
#include "src/codec/column_text.h"

namespace tidemark {

// An empty text is a value of these alone.
inline bool IsText(Kind kind) { return kind == Kind::kString || kind == Kind::kBytes; }

void AppendCell(Kind kind, TimestampForm form, std::string_view text, TextBuffer* out);

// "name":
std::string JsonKey(std::string_view name);

}  // namespace tidemark
