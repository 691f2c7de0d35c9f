#include "state/changelog.h"

#include <cstring>
#include <utility>

#include <absl/status/status.h>
#include <google/protobuf/io/coded_stream.h>

#include "src/base/varint.h"

namespace tidemark {
namespace {

constexpr size_t kEntryFraming = 24;  // tags and lengths of an entry, at most
constexpr char kPositionVersion = 1;
constexpr size_t kPositionNumbers = 5;

// Fields of a message as Protocol Buffers' wire format has them.
constexpr uint32_t kVarintType = 0, kBytesType = 2;

void AppendTag(int field, uint32_t type, std::string* out) {
  AppendVarint(static_cast<uint32_t>(field) << 3 | type, out);
}
// Of a field of bytes whose number is below 16.
size_t FieldBytes(size_t bytes) { return 1 + google::protobuf::io::CodedOutputStream::VarintSize64(bytes) + bytes; }

}  // namespace

std::string AnnouncementOf(uint64_t commit) {
  packed::ChangelogPart part;
  part.set_commit(commit);
  return part.SerializeAsString();
}

void CommitEncoder::Add(std::string_view prefix, std::string_view key, std::optional<std::string_view> value) {
  using packed::ChangelogEntry;
  const size_t bytes = prefix.size() + key.size() + (value.has_value() ? value->size() : 0);
  if (!entries_.empty() && entries_.size() + bytes + kEntryFraming > kMaxPartBytes) EndPart();
  const size_t key_bytes = prefix.size() + key.size();
  AppendTag(packed::ChangelogPart::kEntriesFieldNumber, kBytesType, &entries_);
  AppendVarint(FieldBytes(key_bytes) + (value.has_value() ? FieldBytes(value->size()) : 2), &entries_);
  AppendTag(ChangelogEntry::kKeyFieldNumber, kBytesType, &entries_);
  AppendVarint(key_bytes, &entries_);
  entries_.append(prefix).append(key);
  if (value.has_value()) {
    AppendTag(ChangelogEntry::kValueFieldNumber, kBytesType, &entries_);
    AppendVarint(value->size(), &entries_);
    entries_.append(*value);
  } else {
    AppendTag(ChangelogEntry::kDeletedFieldNumber, kVarintType, &entries_);
    AppendVarint(1, &entries_);
  }
  entry_bytes_ += static_cast<int64_t>(bytes);
}

void CommitEncoder::EndPart() {
  part_.AppendToString(&entries_);
  values_.push_back(std::exchange(entries_, {}));
  part_.set_part(part_.part() + 1);
}

std::vector<std::string> CommitEncoder::Finish(const packed::CommitRecord& record) {
  if (!entries_.empty() && entries_.size() + record.ByteSizeLong() > kMaxPartBytes) EndPart();
  *part_.mutable_record() = record;
  EndPart();
  return std::move(values_);
}

std::optional<KeyRange> LogPosition::RangeOf(const packed::CommitRecord& following) const {
  const bool begins = following.rewrite_start() == kOwnFirst || following.needed_from() == kOwnFirst;
  if (!begins && !RewriteUnderWay()) return std::nullopt;
  KeyRange range;
  if (!begins) range.begin = record.rewrite_key();
  if (following.rewrite_start() != kNoRewrite) range.end = following.rewrite_key();
  return range;
}

void LogPosition::Advance(const packed::CommitRecord& following, Offset first, Offset behind, int64_t bytes,
                          int64_t live_in_range) {
  const std::optional<KeyRange> range = RangeOf(following);
  const bool begins = range.has_value() && !RewriteUnderWay();
  const bool ends = range.has_value() && !range->end.has_value();
  if (begins) rewrite_bytes = rewritten_bytes = 0;
  log_bytes += bytes;
  if (range.has_value()) {
    rewrite_bytes += bytes;
    rewritten_bytes += live_in_range;
  }
  if (ends) {
    log_bytes = std::exchange(rewrite_bytes, 0);
    live_bytes = std::exchange(rewritten_bytes, 0);
  }
  packed::Standing standing;
  record.mutable_standing()->Swap(&standing);
  const bool stands = following.standing_hash() != 0 && following.standing_hash() == record.standing_hash();
  record = following;
  if (stands && !following.has_standing()) record.mutable_standing()->Swap(&standing);
  if (record.standing_at() == kOwnFirst) record.set_standing_at(first);
  if (record.rewrite_start() == kOwnFirst) record.set_rewrite_start(first);
  if (record.needed_from() == kOwnFirst) record.set_needed_from(first);
  next = behind;
}

std::string LogPosition::Serialize() const {
  const int64_t numbers[kPositionNumbers] = {next, log_bytes, rewrite_bytes, live_bytes, rewritten_bytes};
  std::string bytes(1, kPositionVersion);
  bytes.append(reinterpret_cast<const char*>(numbers), sizeof(numbers));  // little-endian, like all we run on
  record.AppendToString(&bytes);
  return bytes;
}

absl::StatusOr<LogPosition> LogPosition::Parse(std::string_view bytes) {
  int64_t numbers[kPositionNumbers];
  LogPosition position;
  if (bytes.size() < 1 + sizeof(numbers) || bytes[0] != kPositionVersion ||
      !position.record.ParseFromArray(bytes.data() + 1 + sizeof(numbers),
                                      static_cast<int>(bytes.size() - 1 - sizeof(numbers)))) {
    return absl::DataLossError("the commit record on disk can't be read");
  }
  std::memcpy(numbers, bytes.data() + 1, sizeof(numbers));
  position.next = numbers[0];
  position.log_bytes = numbers[1];
  position.rewrite_bytes = numbers[2];
  position.live_bytes = numbers[3];
  position.rewritten_bytes = numbers[4];
  return position;
}

}  // namespace tidemark
