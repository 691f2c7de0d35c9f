// The text of values, as PostgreSQL reads and writes it. Reading reports the row error in PostgreSQL's words.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "src/base/schema.h"

namespace tidemark::internal {

// False, and the message in *error, where the text isn't a value of the type.
bool ReadBool(std::string_view text, bool* value, std::string* error);
bool ReadInt32(std::string_view text, int32_t* value, std::string* error);
bool ReadInt64(std::string_view text, int64_t* value, std::string* error);
bool ReadDouble(std::string_view text, double* value, std::string* error);
bool ReadDecimal(std::string_view text, const Type& type, __int128* value, std::string* error);
bool ReadDate(std::string_view text, int32_t* value, std::string* error);
bool ReadTimestamp(std::string_view text, int64_t* value, std::string* error);
bool ReadBytes(std::string_view text, std::string* value, std::string* error);

void AppendDouble(double value, std::string* out);
void AppendBytes(std::string_view value, std::string* out);

}  // namespace tidemark::internal
