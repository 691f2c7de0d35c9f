#include "src/postgres/pgoutput.h"

#include <cstring>
#include <utility>

#include <absl/strings/str_cat.h>

#include "src/base/big_endian.h"
#include "src/base/status.h"

namespace tidemark::pgoutput {
namespace {

constexpr uint64_t kEpochUs = uint64_t{946'684'800} * 1'000'000;  // 2000-01-01, where PostgreSQL's times begin

absl::Status Strange(std::string_view what) {
  return absl::DataLossError(
      absl::StrCat("the replication stream can't be read: ", absl::string_view(what.data(), what.size())));
}

// Takes fields off the front; once something was missing, everything is.
class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : rest_(bytes) {}

  bool ok() const { return ok_; }
  bool empty() const { return rest_.empty(); }
  void Fail() { ok_ = false; }

  std::string_view Take(size_t size) {
    if (!ok_ || rest_.size() < size) {
      ok_ = false;
      return {};
    }
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  uint64_t Number(size_t bytes) { return ReadBigEndian(Take(bytes)); }
  char Letter() {
    const std::string_view byte = Take(1);
    return byte.empty() ? '\0' : byte[0];
  }
  std::string Text() {
    const size_t end = rest_.find('\0');
    if (end == std::string_view::npos) ok_ = false;
    const std::string_view text = Take(ok_ ? end : 0);
    Take(1);
    return std::string(text);
  }
  std::string_view Rest() { return Take(rest_.size()); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

int64_t TimeUs(Bytes* bytes) { return static_cast<int64_t>(bytes->Number(8) + kEpochUs); }

Tuple ReadTuple(Bytes* bytes) {
  Tuple tuple;
  const uint64_t columns = bytes->Number(2);
  for (uint64_t c = 0; c < columns && bytes->ok(); ++c) {
    switch (bytes->Letter()) {
      case 'n':
        tuple.push_back({Cell::Kind::kNull, {}});
        break;
      case 'u':
        tuple.push_back({Cell::Kind::kUnchanged, {}});
        break;
      case 't':
        tuple.push_back({Cell::Kind::kText, bytes->Take(bytes->Number(4))});
        break;
      default:  // 'b' isn't asked for
        bytes->Fail();
    }
  }
  return tuple;
}

Relation ReadRelation(Bytes* bytes) {
  Relation relation;
  relation.id = static_cast<uint32_t>(bytes->Number(4));
  relation.schema = bytes->Text();
  if (relation.schema.empty()) relation.schema = "pg_catalog";
  relation.name = bytes->Text();
  relation.identity = bytes->Letter();
  const uint64_t columns = bytes->Number(2);
  for (uint64_t c = 0; c < columns && bytes->ok(); ++c) {
    Relation::Column& column = relation.columns.emplace_back();
    column.identity = (bytes->Number(1) & 1) != 0;
    column.name = bytes->Text();
    column.type = static_cast<uint32_t>(bytes->Number(4));
    bytes->Number(4);  // the type's modifier
  }
  return relation;
}

Change ReadChange(Change::Kind kind, Bytes* bytes) {
  Change change;
  change.kind = kind;
  change.relation = static_cast<uint32_t>(bytes->Number(4));
  char part = bytes->Letter();
  if (kind != Change::Kind::kInsert && (part == 'K' || part == 'O')) {
    change.old_kind = part;
    change.old_row = ReadTuple(bytes);
    if (kind == Change::Kind::kDelete) return change;
    part = bytes->Letter();
  }
  if (part != 'N' || kind == Change::Kind::kDelete) bytes->Fail();
  change.new_row = ReadTuple(bytes);
  return change;
}

Truncate ReadTruncate(Bytes* bytes) {
  Truncate truncate;
  const uint64_t relations = bytes->Number(4);
  bytes->Number(1);  // CASCADE, RESTART IDENTITY: what else is emptied is named
  for (uint64_t r = 0; r < relations && bytes->ok(); ++r) {
    truncate.relations.push_back(static_cast<uint32_t>(bytes->Number(4)));
  }
  return truncate;
}

Message ReadBody(char type, Bytes* bytes) {
  switch (type) {
    case 'B': {
      Begin begin;
      begin.commit_lsn = bytes->Number(8);
      begin.committed_us = TimeUs(bytes);
      begin.xid = static_cast<uint32_t>(bytes->Number(4));
      return begin;
    }
    case 'C': {
      Commit commit;
      bytes->Number(1);
      commit.commit_lsn = bytes->Number(8);
      commit.end_lsn = bytes->Number(8);
      TimeUs(bytes);
      return commit;
    }
    case 'R':
      return ReadRelation(bytes);
    case 'I':
      return ReadChange(Change::Kind::kInsert, bytes);
    case 'U':
      return ReadChange(Change::Kind::kUpdate, bytes);
    case 'D':
      return ReadChange(Change::Kind::kDelete, bytes);
    case 'T':
      return ReadTruncate(bytes);
    case 'O':  // origin
    case 'Y':  // type
    case 'M':  // pg_logical_emit_message
      bytes->Rest();
      return Other();
    default:
      bytes->Fail();
      return Other();
  }
}

char Unescaped(char escape) {
  switch (escape) {
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'v':
      return '\v';
    default:
      return escape;
  }
}

}  // namespace

absl::StatusOr<Frame> ReadFrame(std::string_view bytes) {
  Bytes fields(bytes);
  Frame frame;
  const char type = fields.Letter();
  if (type == 'w') {
    frame.lsn = fields.Number(8);
    fields.Number(8);  // the end of the server's log
    fields.Number(8);  // its clock
    frame.data = fields.Rest();
  } else if (type == 'k') {
    frame.kind = Frame::Kind::kKeepalive;
    frame.lsn = fields.Number(8);
    fields.Number(8);
    frame.wants_answer = fields.Number(1) != 0;
  } else {
    return Strange(absl::StrCat("a frame of ", bytes.size(), " bytes of an unknown kind"));
  }
  if (!fields.ok()) return Strange(absl::StrCat("a frame ends after ", bytes.size(), " bytes"));
  return frame;
}

std::string StatusUpdate(Lsn lsn, int64_t now_us) {
  std::string out = "r";
  for (int i = 0; i < 3; ++i) AppendBigEndian(lsn, 8, &out);  // written, flushed, applied
  AppendBigEndian(static_cast<uint64_t>(now_us) - kEpochUs, 8, &out);
  out.push_back('\0');  // no answer is wanted
  return out;
}

absl::StatusOr<Message> ReadMessage(std::string_view bytes) {
  Bytes fields(bytes);
  const char type = fields.Letter();
  Message message = ReadBody(type, &fields);
  if (!fields.ok() || !fields.empty()) {
    return Strange(absl::StrCat("a message of type ", static_cast<int>(static_cast<unsigned char>(type)), " and ",
                                bytes.size(), " bytes"));
  }
  return message;
}

absl::Status ReadCopyRow(std::string_view line, std::string* scratch, Tuple* row) {
  row->clear();
  scratch->clear();
  scratch->reserve(line.size());  // so that views into it stay
  if (!line.empty() && line.back() == '\n') line.remove_suffix(1);
  for (size_t at = 0; at <= line.size();) {
    const void* const tab = at < line.size() ? std::memchr(line.data() + at, '\t', line.size() - at) : nullptr;
    const size_t end = tab == nullptr ? line.size() : static_cast<size_t>(static_cast<const char*>(tab) - line.data());
    const std::string_view field = line.substr(at, end - at);
    at = end + 1;
    if (field == "\\N") {
      row->push_back({Cell::Kind::kNull, {}});
      continue;
    }
    if (field.find('\\') == std::string_view::npos) {
      row->push_back({Cell::Kind::kText, field});
      continue;
    }
    const size_t begin = scratch->size();
    for (size_t i = 0; i < field.size(); ++i) {
      if (field[i] != '\\') {
        scratch->push_back(field[i]);
      } else if (++i < field.size()) {
        scratch->push_back(Unescaped(field[i]));
      } else {
        return Strange("a row of the snapshot ends in the middle of an escape");
      }
    }
    row->push_back({Cell::Kind::kText, std::string_view(*scratch).substr(begin)});
  }
  return absl::OkStatus();
}

}  // namespace tidemark::pgoutput
