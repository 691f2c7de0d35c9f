#include "src/runtime/heard.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>
#include <xxhash.h>

namespace tidemark {
namespace {

// More partitions than a topic has; a header that says more is damaged.
constexpr int32_t kMaxWriters = 1 << 20;

}  // namespace

uint32_t WriterStage(std::string_view stage) { return static_cast<uint32_t>(XXH3_64bits(stage.data(), stage.size())); }

Heard::Heard(const packed::Heard& saved) : takes_any_first_(saved.takes_any_first()) {
  for (const packed::Heard::Stage& stage : saved.stages()) {
    last_[stage.writer_stage()].assign(stage.sequences().begin(), stage.sequences().end());
  }
}

Heard Heard::Unknown() {
  Heard heard;
  heard.takes_any_first_ = true;
  return heard;
}

absl::Status Heard::Check(const packed::RowsHeader& header) {
  const int32_t writer = header.upstream_partition();
  if (writer < 0 || writer >= kMaxWriters) {
    return absl::DataLossError(absl::StrCat("packed rows: upstream partition ", writer));
  }
  const auto at = static_cast<size_t>(writer);
  if (header.sequence() == 0) {
    takes_any_first_ = true;
    for (auto& [stage, last] : last_) {
      if (at < last.size()) last[at] = 0;
    }
    return absl::OkStatus();
  }
  std::vector<uint64_t>& last = last_[header.writer_stage()];
  if (at >= last.size()) last.resize(at + 1);
  if (last[at] == 0 && takes_any_first_) last[at] = header.sequence() - 1;
  const uint64_t expected = last[at] + 1;
  if (header.sequence() == expected) {
    last[at] = expected;
    return absl::OkStatus();
  }
  const std::string what = header.sequence() > expected
                               ? absl::StrCat(header.sequence() - expected, " records are missing between them")
                               : std::string("it has been read before");
  return absl::FailedPreconditionError(absl::StrCat(
      "the record before this one of upstream partition ", writer, " was number ", last[at], ", so ", expected,
      " is expected, but this is number ", header.sequence(), " (of its commit ", header.commit(), "): ", what,
      ". Nothing behind it has been used. Was the topic trimmed, made again or written to by somebody else, or the "
      "upstream stage's changelog deleted? To start over, give the topology a new name"));
}

void Heard::Save(packed::Heard* out) const {
  out->set_takes_any_first(takes_any_first_);
  for (const auto& [stage, last] : last_) {
    packed::Heard::Stage* saved = out->add_stages();
    saved->set_writer_stage(stage);
    saved->mutable_sequences()->Add(last.begin(), last.end());
  }
}

// "1!;1234567890:17,4,0,9": the version, "!" where any first number is taken, then each stage.
std::string Heard::ToText() const {
  std::string text = takes_any_first_ ? "1!" : "1";
  for (const auto& [stage, last] : last_) absl::StrAppend(&text, ";", stage, ":", absl::StrJoin(last, ","));
  return text;
}

absl::StatusOr<Heard> Heard::FromText(std::string_view text) {
  if (text.empty()) return Unknown();
  const auto bad = [&] {
    return absl::FailedPreconditionError(absl::StrCat(
        "'", std::string(text), "' doesn't say what has been read of a feed: written by a later version?"));
  };
  Heard heard;
  const std::vector<std::string> parts = absl::StrSplit(absl::string_view(text.data(), text.size()), ';');
  if (parts[0] != "1" && parts[0] != "1!") return bad();
  heard.takes_any_first_ = parts[0] == "1!";
  for (size_t i = 1; i < parts.size(); ++i) {
    const std::vector<std::string> stage = absl::StrSplit(parts[i], ':');
    uint32_t writer_stage = 0;
    if (stage.size() != 2 || !absl::SimpleAtoi(stage[0], &writer_stage)) return bad();
    std::vector<uint64_t>& last = heard.last_[writer_stage];
    for (const absl::string_view number : absl::StrSplit(stage[1], ',')) {
      if (!absl::SimpleAtoi(number, &last.emplace_back())) return bad();
    }
  }
  return heard;
}

}  // namespace tidemark
