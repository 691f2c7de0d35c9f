// JSON in files: an object a line, or one array of objects.
#include <utility>

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include "src/base/status.h"
#include "src/landing/file_records.h"
#include "src/landing/text_window.h"

namespace tidemark {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

absl::Status TooLarge(int64_t line) {
  return absl::InvalidArgumentError(
      absl::StrCat("line ", line, ": a record that begins here is larger than ", kMaxFileRecord, " bytes"));
}

class JsonLineRecords final : public FileRecords {
 public:
  explicit JsonLineRecords(std::unique_ptr<FileContent> content) : text_(std::move(content)) {}

  absl::StatusOr<bool> Read(int64_t bytes, std::vector<FileRecord>* out) override {
    for (int64_t taken = 0; taken < bytes;) {
      const std::string_view rest = text_.rest();
      size_t end = rest.find('\n', seen_);
      if (end == std::string_view::npos) {
        seen_ = rest.size();
        if (rest.size() > kMaxFileRecord) return TooLarge(text_.line());
        if (!text_.ended()) {
          TM_RETURN_IF_ERROR(text_.More().status());
          continue;
        }
        if (rest.empty()) return false;
        end = rest.size();
      }
      seen_ = 0;
      if (rest.substr(0, end).find_first_not_of(kSpace) != std::string_view::npos) {
        std::string_view line = rest.substr(0, end);
        if (line.back() == '\r') line.remove_suffix(1);
        out->push_back({text_.line(), std::string(line), ""});
      }
      taken += static_cast<int64_t>(end) + 1;
      text_.Use(std::min(end + 1, rest.size()));
    }
    return true;
  }
  std::string hash() const override { return text_.hash(); }

 private:
  TextWindow text_;
  size_t seen_ = 0;  // of the rest has no line's end
};

class JsonArrayRecords final : public FileRecords {
 public:
  JsonArrayRecords(std::unique_ptr<FileContent> content, bool or_object)
      : text_(std::move(content)), or_object_(or_object) {}

  absl::Status Begin() {
    TM_ASSIGN_OR_RETURN(const char c, Next());
    if (c == '[') {
      text_.Use(1);
      return absl::OkStatus();
    }
    if (c == '{' && or_object_) {
      alone_ = true;
      return absl::OkStatus();
    }
    return Wrong(c == '{' ? "an array of objects is expected, found an object: one object a line is format jsonl"
                          : "an array of objects is expected");
  }

  absl::StatusOr<bool> Read(int64_t bytes, std::vector<FileRecord>* out) override {
    if (ended_) return false;
    if (alone_) return ReadAlone(out);
    for (int64_t taken = 0; taken < bytes;) {
      TM_ASSIGN_OR_RETURN(char c, Next());
      if (c == ']' && (first_ || !comma_)) {
        text_.Use(1);
        TM_ASSIGN_OR_RETURN(c, Next());
        if (c != '\0') return Wrong("something stands behind the array");
        ended_ = true;
        return false;
      }
      if (!first_ && !comma_) {
        if (c != ',') return Wrong(c == '\0' ? "the array has no end" : "',' or ']' is expected");
        text_.Use(1);
        comma_ = true;
        continue;
      }
      if (c == '\0') return Wrong("the array has no end");
      const int64_t line = text_.line(), column = text_.column();
      TM_ASSIGN_OR_RETURN(const size_t end, EndOfValue());
      taken += static_cast<int64_t>(end);
      out->push_back({line, std::string(text_.rest().substr(0, end)), "", column});
      text_.Use(end);
      first_ = comma_ = false;
    }
    return true;
  }
  std::string hash() const override { return text_.hash(); }

 private:
  absl::Status Wrong(std::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat("line ", text_.line(), ": ", std::string(what)));
  }

  // The next character that isn't space; 0 at the end.
  absl::StatusOr<char> Next() {
    while (true) {
      const std::string_view rest = text_.rest();
      const size_t at = rest.find_first_not_of(kSpace);
      if (at != std::string_view::npos) {
        text_.Use(at);
        return rest[at];
      }
      text_.Use(rest.size());
      TM_ASSIGN_OR_RETURN(const bool more, text_.More());
      if (!more && text_.rest().empty()) return '\0';
    }
  }

  // How long the element is that begins here. What lies within it is looked at by whoever reads its columns; here it is
  // enough to know strings and how deep they are.
  absl::StatusOr<size_t> EndOfValue() {
    int depth = 0;
    bool in_string = false, escaped = false;
    for (size_t at = 0;; ++at) {
      if (at == text_.rest().size()) {
        if (at > kMaxFileRecord) return TooLarge(text_.line());
        TM_ASSIGN_OR_RETURN(const bool more, text_.More());
        if (!more && at == text_.rest().size()) return Wrong("an element that begins here has no end");
      }
      const char c = text_.rest()[at];
      if (in_string) {
        in_string = escaped || c != '"';
        escaped = !escaped && c == '\\';
        continue;
      }
      if (depth == 0 && at > 0 && (c == ',' || c == ']' || kSpace.find(c) != std::string_view::npos)) return at;
      if (c == '"') in_string = true;
      if (c == '{' || c == '[') ++depth;
      if ((c == '}' || c == ']') && --depth == 0) return at + 1;
      if (depth < 0 || (depth == 0 && at == 0 && c == ',')) return Wrong("a value is expected");
    }
  }

  absl::StatusOr<bool> ReadAlone(std::vector<FileRecord>* out) {
    const int64_t line = text_.line(), column = text_.column();
    TM_ASSIGN_OR_RETURN(const size_t end, EndOfValue());
    out->push_back({line, std::string(text_.rest().substr(0, end)), "", column});
    text_.Use(end);
    TM_ASSIGN_OR_RETURN(const char c, Next());
    if (c != '\0') return Wrong("something stands behind the object: one object a line is JSON Lines");
    ended_ = true;
    return false;
  }

  TextWindow text_;
  const bool or_object_;
  bool first_ = true, comma_ = false, alone_ = false, ended_ = false;
};

}  // namespace

std::unique_ptr<FileRecords> NewJsonLineRecords(std::unique_ptr<FileContent> content) {
  return std::make_unique<JsonLineRecords>(std::move(content));
}

absl::StatusOr<std::unique_ptr<FileRecords>> NewJsonArrayRecords(std::unique_ptr<FileContent> content, bool or_object) {
  auto records = std::make_unique<JsonArrayRecords>(std::move(content), or_object);
  TM_RETURN_IF_ERROR(records->Begin());
  return std::unique_ptr<FileRecords>(std::move(records));
}

}  // namespace tidemark
