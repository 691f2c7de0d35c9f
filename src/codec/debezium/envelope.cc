#include "src/codec/debezium/envelope.h"

#include "src/codec/debezium/record_rules.h"

namespace tidemark::debezium {
namespace {

// By position among the names. `schema` and `payload` stand around the others, where Connect writes schemas.
enum Member : int { kBefore, kAfter, kSource, kOp, kTransaction, kTsMs, kTsUs, kTsNs, kSchema, kPayload };
const std::vector<std::string>& MemberNames() {
  static const auto& names = *new std::vector<std::string>{"before", "after", "source", "op",     "transaction",
                                                           "ts_ms",  "ts_us", "ts_ns",  "schema", "payload"};
  return names;
}

enum SourceMember : int {
  kLsn,
  kFile,
  kPos,
  kRow,
  kCommitMs,
  kCommitUs,
  kOvertaken,
  kResnapshot,
  kEndsTransaction,
  kSourceMembers
};
const std::vector<std::string>& SourceMemberNames() {
  static const auto& names = *new std::vector<std::string>{
      "lsn", "file", "pos", "row", "ts_ms", "ts_us", "overtaken", "resnapshot", "ends_transaction"};
  return names;
}

// Text of a JSON string that needs no unescaping: an operation's letter.
std::string_view Unquoted(std::string_view json) {
  return json.size() >= 2 && json.front() == '"' ? json.substr(1, json.size() - 2) : std::string_view();
}

}  // namespace

EnvelopeReader::EnvelopeReader()
    : names_(MemberNames()), payload_names_(MemberNames()), source_names_(SourceMemberNames()) {}

bool EnvelopeReader::TakeValue(int depth, std::string_view* out) {
  const bool null = text_.Peek() == 'n';
  const char* const begin = text_.position();
  if (!text_.SkipValue(depth)) return false;
  *out = null ? std::string_view() : std::string_view(begin, static_cast<size_t>(text_.position() - begin));
  return true;
}

bool EnvelopeReader::ReadMember(int number, int depth, Envelope* out) {
  switch (number) {
    case kBefore:
      return TakeValue(depth, &out->before);
    case kAfter:
      return TakeValue(depth, &out->after);
    case kSource:
      return TakeValue(depth, &out->source);
    case kTransaction:
      return TakeValue(depth, &out->transaction);
    case kOp:
      if (!TakeValue(depth, &out->op)) return false;
      out->op = Unquoted(out->op);
      return true;
    case kTsMs:
      return TakeValue(depth, &out->ts_ms);
    case kTsUs:
      return TakeValue(depth, &out->ts_us);
    case kTsNs:
      return TakeValue(depth, &out->ts_ns);
    case kSchema: {
      text_.Peek();
      const char* const begin = text_.position();
      if (!last_schema_.empty() && text_.TakeName(last_schema_)) [[likely]] {
        out->schema = {begin, last_schema_.size()};
        return true;
      }
      if (!TakeValue(depth, &out->schema)) return false;
      last_schema_ = out->schema;
      return true;
    }
    case kPayload: {
      if (text_.Peek() != '{') return text_.SkipValue(depth);
      const auto visit = [&](int member) {
        return member == kSchema || member == kPayload || member == FieldNames::kOther
                   ? text_.SkipValue(depth + 1)
                   : ReadMember(member, depth + 1, out);
      };
      return WalkObject(&text_, &payload_names_, visit, [](const std::string&) {});
    }
    default:
      return text_.SkipValue(depth);
  }
}

std::optional<std::string> EnvelopeReader::Read(std::string_view json, Envelope* out) {
  *out = Envelope();
  text_ = JsonText(json);
  const auto visit = [&](int member) { return ReadMember(member, 1, out); };
  if (!WalkObject(&text_, &names_, visit, [](const std::string&) {})) return text_.Reason();
  text_.Peek();
  if (text_.position() == json.data() + json.size()) return std::nullopt;
  text_.Fail("content after the object");
  return text_.Reason();
}

std::optional<std::string> EnvelopeReader::ReadSource(std::string_view source, Change* change) {
  change->position = {};
  change->committed_us = Change::kNoTime;
  if (source.empty()) return std::nullopt;
  int64_t numbers[kSourceMembers] = {};
  bool given[kSourceMembers] = {};
  change->overtaken = change->ends_transaction = false;
  change->resnapshot = 0;
  file_.clear();
  text_ = JsonText(source);
  const auto visit = [&](int member) {
    if (member == FieldNames::kOther) return text_.SkipValue(1);
    if (text_.Peek() == '{' || text_.Peek() == '[') return text_.SkipValue(1);
    ScalarText value;
    if (!text_.ReadPlain(&value, &scratch_)) return false;
    if (member == kFile && value.kind == ScalarText::Kind::kString) file_ = value.text;
    if (member == kOvertaken) change->overtaken = value.kind == ScalarText::Kind::kTrue;
    if (member == kEndsTransaction) change->ends_transaction = value.kind == ScalarText::Kind::kTrue;
    given[member] = value.kind == ScalarText::Kind::kNumber && ParseInt64(value.text, &numbers[member]) == Fit::kOk;
    return true;
  };
  if (!WalkObject(&text_, &source_names_, visit, [](const std::string&) {})) return "source: " + text_.Reason();
  const auto number = [&](SourceMember member) {
    return given[member] ? std::make_optional(numbers[member]) : std::nullopt;
  };
  const LogPlace place{number(kLsn), number(kPos), number(kRow), number(kCommitMs), number(kCommitUs), file_};
  change->committed_us = CommittedUs(place);
  if (given[kResnapshot] && numbers[kResnapshot] > 0) change->resnapshot = static_cast<uint64_t>(numbers[kResnapshot]);
  position_.clear();
  AppendPosition(place, &position_);
  change->position = position_;
  return std::nullopt;
}

}  // namespace tidemark::debezium
