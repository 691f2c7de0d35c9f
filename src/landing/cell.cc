#include "src/landing/cell.h"

#include <absl/strings/ascii.h>

#include "src/base/loose_text.h"

namespace tidemark {

void AppendCell(Kind kind, TimestampForm form, std::string_view text, TextBuffer* out) {
  switch (kind) {
    case Kind::kBool: {
      const std::string lower = absl::AsciiStrToLower(absl::string_view(text.data(), text.size()));
      if (lower == "true" || lower == "false") return out->Append(lower);
      break;
    }
    case Kind::kTimestamp:
      if (form == TimestampForm::kRfc3339) break;
      [[fallthrough]];
    case Kind::kInt32:
    case Kind::kInt64:
    case Kind::kDouble:
    case Kind::kDecimal:
      if (std::string number; NumberAsJson(text, &number)) return out->Append(number);
      break;
    default:
      break;
  }
  WriteJsonString(text, out);
}

std::string JsonKey(std::string_view name) {
  std::string key;
  TextBuffer buffer(&key);
  WriteJsonString(name, &buffer);
  buffer.Append(":");
  key.resize(buffer.size());
  return key;
}

}  // namespace tidemark
