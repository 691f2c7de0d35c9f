#include "src/cli/logging.h"

#include <algorithm>
#include <cstdio>
#include <mutex>

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <arrow/util/utf8.h>
#include <glog/logging.h>

namespace tidemark {
namespace {

constexpr const char* kLevels[] = {"info", "warning", "error", "fatal"};

// Messages quote records, which may hold any bytes: of text that isn't UTF-8 each strange byte is replaced.
std::string JsonString(std::string_view text) {
  const bool utf8 = arrow::util::ValidateUTF8(text);
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppendFormat(&out, "\\u%04x", static_cast<int>(c));
    } else if (!utf8 && static_cast<unsigned char>(c) >= 0x80) {
      out += "\xEF\xBF\xBD";
    } else {
      out += c;
    }
  }
  return out + "\"";
}

class StderrSink final : public google::LogSink {
 public:
  explicit StderrSink(bool json) : json_(json) {}

  void send(google::LogSeverity severity, const char*, const char* file, int line, const google::LogMessageTime& time,
            const char* message, size_t size) override {
    const std::string text = MaskPasswords(std::string_view(message, size));
    const std::string at = absl::StrFormat("%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", time.year() + 1900, time.month() + 1,
                                           time.day(), time.hour(), time.min(), time.sec(), time.usec() / 1000);
    std::string out;
    if (json_) {
      out = absl::StrFormat("{\"time\":\"%s\",\"level\":\"%s\",\"at\":\"%s:%d\",\"message\":%s}\n", at,
                            kLevels[severity], file, line, JsonString(text));
    } else {
      out = absl::StrFormat("%s %-7s %s\n", at, kLevels[severity], text);
    }
    const std::lock_guard lock(mutex_);
    std::fwrite(out.data(), 1, out.size(), stderr);
  }

 private:
  const bool json_;
  std::mutex mutex_;
};

// Masks from `from` up to the first character of `ends`.
void MaskUntil(std::string* text, size_t from, std::string_view ends) {
  const size_t end = text->find_first_of(ends, from);
  text->replace(from, end == std::string::npos ? std::string::npos : end - from, "***");
}

// The same for what stands in single quotes, from the first one on, with \ before those within.
void MaskQuoted(std::string* text, size_t from) {
  size_t end = from + 1;
  while (end < text->size() && (*text)[end] != '\'') end += (*text)[end] == '\\' ? 2 : 1;
  text->replace(from, std::min(end + 1, text->size()) - from, "***");
}

}  // namespace

std::string MaskPasswords(std::string_view input) {
  std::string text(input);
  for (size_t at = 0; (at = text.find("://", at)) != std::string::npos; at += 3) {
    const size_t host_end = text.find_first_of("/ \t\n'\"", at + 3);
    const size_t sign = text.rfind('@', host_end);
    const size_t colon = text.find(':', at + 3);
    if (sign != std::string::npos && sign > at && colon < sign) text.replace(colon + 1, sign - colon - 1, "***");
  }
  for (size_t at = 0; (at = absl::AsciiStrToLower(text).find("password=", at)) != std::string::npos;) {
    at += 9;
    if (at < text.size() && text[at] == '\'') {
      MaskQuoted(&text, at);
    } else {
      MaskUntil(&text, at, " \t\n&;,");
    }
  }
  return text;
}

absl::Status StartLogging(std::string_view format) {
  if (format != "text" && format != "json") {
    return absl::InvalidArgumentError(
        absl::StrCat("--log_format: '", std::string(format), "' is neither text nor json"));
  }
  FLAGS_log_utc_time = true;
  FLAGS_stderrthreshold = google::NUM_SEVERITIES;
  google::InitGoogleLogging("tidemark");
  for (int severity = google::INFO; severity < google::NUM_SEVERITIES; ++severity)
    google::SetLogDestination(severity, "");
  google::AddLogSink(new StderrSink(format == "json"));  // lives as long as the process
  return absl::OkStatus();
}

void SayFatal(const absl::Status& status, std::string_view format) {
  if (format == "json" && !google::IsGoogleLoggingInitialized()) (void)StartLogging(format);
  if (google::IsGoogleLoggingInitialized()) {
    LOG(ERROR) << status.message();
    return;
  }
  const std::string text = absl::StrCat("tidemark: ", MaskPasswords(std::string(status.message())), "\n");
  std::fwrite(text.data(), 1, text.size(), stderr);
}

}  // namespace tidemark
