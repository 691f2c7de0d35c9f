#include "src/base/record.h"

#include <absl/strings/str_cat.h>

namespace tidemark {

std::string ToString(const TopicPartition& tp) { return absl::StrCat(tp.topic, "-", tp.partition); }

}  // namespace tidemark
