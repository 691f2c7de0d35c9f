// Log lines on standard error: time, level, thread's message, as text or as one JSON object a line. Whatever looks like
// a password (in a URL, or after password=) is masked here, last, for every line. Called by main, before threads start.
#pragma once

#include <string>
#include <string_view>

#include <absl/status/status.h>

namespace tidemark {

// `format`: text or json; InvalidArgument for another.
absl::Status StartLogging(std::string_view format);

// The error that ends the process: a log line once logging has begun, or where `format` asks for JSON; else as text for
// whoever types commands, which may have several lines.
void SayFatal(const absl::Status& status, std::string_view format);

// The text with passwords replaced by "***": postgresql://user:secret@host, password=secret, sasl.password=secret.
std::string MaskPasswords(std::string_view text);

}  // namespace tidemark
