#include "src/runtime/offset_metadata.h"

#include <vector>

#include <absl/strings/escaping.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/strings/strip.h>

#include "src/base/kept_format.h"

namespace tidemark {

std::string OffsetMetadata::ToString() const {
  const std::string state = busy ? "1" : stands_for > 0 ? absl::StrCat("s", stands_for) : "0";
  return absl::StrCat("tidemark:", commit, ":", absl::BytesToHexString(identity), ":", state, ":", max_time.us, ":",
                      floor.us);
}

std::optional<OffsetMetadata> OffsetMetadata::Parse(std::string_view text) {
  std::vector<absl::string_view> fields = absl::StrSplit(absl::string_view(text.data(), text.size()), ':');
  OffsetMetadata parsed;
  if (fields.size() != 6 || fields[0] != "tidemark" || !absl::SimpleAtoi(fields[1], &parsed.commit) ||
      !absl::SimpleAtoi(fields[4], &parsed.max_time.us) || !absl::SimpleAtoi(fields[5], &parsed.floor.us)) {
    return std::nullopt;
  }
  parsed.identity = absl::HexStringToBytes(fields[2]);
  parsed.busy = fields[3] == "1";
  if (absl::ConsumePrefix(&fields[3], "s") && !absl::SimpleAtoi(fields[3], &parsed.stands_for)) return std::nullopt;
  return parsed;
}

absl::Status CheckMetadataFormat(std::string_view text, const TopicPartition& input) {
  if (!text.starts_with(kTextOfFormat)) return absl::OkStatus();
  text.remove_prefix(sizeof(kTextOfFormat) - 1);
  text = text.substr(0, text.find(':'));
  uint32_t format = 0;
  if (!absl::SimpleAtoi(absl::string_view(text.data(), text.size()), &format)) return absl::OkStatus();
  return CheckKeptFormat(format, "what is committed beside " + ToString(input));
}

}  // namespace tidemark
