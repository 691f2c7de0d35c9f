#include "state/task_state.h"

#include <algorithm>
#include <utility>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include "src/base/failpoint.h"
#include "src/base/kept_format.h"
#include "src/base/mutation.h"
#include "src/base/status.h"
#include "state/task_state_impl.h"

namespace tidemark {
namespace {

// The task's own keys: before all steps' keys.
const rocksdb::Slice kPositionKey("\0", 1);
const rocksdb::Slice kRestoreKey("\0r", 2);  // where a restore that hasn't ended began: "offset commit"
const rocksdb::Slice kFirstStateKey("\1", 1);

// What a commit's batch of writes takes beyond its changelog: the position.
constexpr int64_t kBatchRoom = 1024;
// A restore writes this much at once.
constexpr size_t kReplayBatchBytes = size_t{4} << 20;

}  // namespace

std::string TaskId::ToString() const { return absl::StrCat(application, ".", stage, "-", partition); }

absl::StatusOr<std::unique_ptr<TaskState>> RocksTaskState::Load(const TaskId& task, const StateOptions& options,
                                                                std::unique_ptr<TaskDb> db, GiveBack give_back) {
  std::unique_ptr<RocksTaskState> state(new RocksTaskState(task, options, std::move(db), std::move(give_back)));
  TM_RETURN_IF_ERROR(state->LoadPosition());
  return state;
}

RocksTaskState::RocksTaskState(TaskId task, const StateOptions& options, std::unique_ptr<TaskDb> db, GiveBack give_back)
    : task_(std::move(task)), options_(options), db_(std::move(db)), give_back_(std::move(give_back)) {}

RocksTaskState::~RocksTaskState() { give_back_(std::move(db_)); }

absl::Status RocksTaskState::LoadPosition() {
  position_ = LogPosition();
  TM_ASSIGN_OR_RETURN(const std::optional<std::string> bytes, db_->Get(ToView(kPositionKey)));
  if (!bytes.has_value()) return absl::OkStatus();
  absl::StatusOr<LogPosition> position = LogPosition::Parse(*bytes);
  if (!position.ok()) return Annotate(position.status(), task_.ToString());
  position_ = *std::move(position);
  TM_ASSIGN_OR_RETURN(const std::optional<std::string> began, db_->Get(ToView(kRestoreKey)));
  if (!began.has_value()) return absl::OkStatus();
  const std::vector<std::string> numbers = absl::StrSplit(*began, ' ');
  if (numbers.size() != 2 || !absl::SimpleAtoi(numbers[0], &restore_.start) ||
      !absl::SimpleAtoi(numbers[1], &restore_.start_commit)) {
    return absl::FailedPreconditionError(absl::StrCat(task_.ToString(), ": the state on disk can't be read"));
  }
  return absl::OkStatus();
}

StateStore* RocksTaskState::Store(std::string_view step) {
  auto store = std::make_unique<StepStore>(step, db_.get());
  return stores_.try_emplace(store->prefix(), std::move(store)).first->second.get();
}

const packed::CommitRecord* RocksTaskState::committed() const {
  return position_.record.commit() == 0 ? nullptr : &position_.record;
}

Offset RocksTaskState::trim_before() const { return std::max<Offset>(0, position_.record.needed_from()); }

int64_t RocksTaskState::overlay_bytes() const {
  int64_t bytes = 0;
  for (const auto& [prefix, store] : stores_) bytes += store->overlay_bytes();
  return bytes;
}

void RocksTaskState::DropUncommitted() {
  encoded_ = Encoded();
  announcement_.clear();
  for (const auto& [prefix, store] : stores_) {
    if (MutationActive(Mutation::kOverlayKeptAfterAbort)) {
      store->Unseal();
    } else {
      store->DropUncommitted();
    }
  }
}

// ---- Restore

absl::Status RocksTaskState::Clear() {
  restore_ = Restore();
  position_ = LogPosition();
  std::unique_ptr<rocksdb::Iterator> any = db_->NewIterator(nullptr, false);
  any->SeekToFirst();
  if (!any->Valid() && any->status().ok()) return absl::OkStatus();
  any.reset();
  return db_->Clear();
}

absl::Status RocksTaskState::Contradiction(Offset offset, std::string_view what) const {
  return absl::FailedPreconditionError(absl::StrCat("the changelog of ", task_.ToString(),
                                                    " contradicts itself at offset ", offset, ": ", std::string(what)));
}

absl::Status RocksTaskState::CheckFollows(Offset offset, const packed::ChangelogPart& part) const {
  if (part.part() != restore_.parts.size() || (part.part() > 0 && part.commit() != restore_.parts.front().commit())) {
    return Contradiction(offset, absl::StrCat("part ", part.part(), " of commit ", part.commit(), " follows ",
                                              restore_.parts.size(), " parts"));
  }
  if (committed() != nullptr && part.commit() != position_.record.commit() + 1) {
    return Contradiction(offset, absl::StrCat("commit ", part.commit(), " follows commit ", position_.record.commit()));
  }
  if (committed() != nullptr && part.has_record() && part.record().identity() != position_.record.identity()) {
    return Contradiction(offset, "the commit record is of another identity");
  }
  return absl::OkStatus();
}

absl::Status RocksTaskState::Replay(Offset offset, std::string_view value) {
  if (offset < position_.next) return absl::OkStatus();  // applied already
  packed::ChangelogPart part;
  if (!part.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
    return Contradiction(offset, "the record can't be read");
  }
  TM_RETURN_IF_ERROR(CheckKeptFormat(part.record().needs_format(), task_.ToString()));
  TM_RETURN_IF_ERROR(CheckFollows(offset, part));
  if (restore_.parts.empty()) restore_.first = offset;
  if (committed() == nullptr && restore_.start < 0) {
    restore_.start = offset;
    restore_.start_commit = part.commit();
  }
  restore_.bytes += static_cast<int64_t>(value.size());
  restore_.parts.push_back(std::move(part));
  if (!restore_.parts.back().has_record()) return absl::OkStatus();
  ReplayCommit(offset + 1);
  if (restore_.batch.GetDataSize() < kReplayBatchBytes) return absl::OkStatus();
  return WriteReplayed();
}

// Moves a complete commit into the batch.
void RocksTaskState::ReplayCommit(Offset next) {
  const packed::CommitRecord& record = restore_.parts.back().record();
  const std::optional<KeyRange> range = position_.RangeOf(record);
  int64_t live_in_range = 0;
  for (const packed::ChangelogPart& part : restore_.parts) {
    for (const packed::ChangelogEntry& entry : part.entries()) {
      if (entry.deleted()) {
        restore_.batch.Delete(entry.key()).PermitUncheckedError();
        continue;
      }
      restore_.batch.Put(entry.key(), entry.value()).PermitUncheckedError();
      if (range.has_value() && range->Contains(entry.key())) {
        live_in_range += static_cast<int64_t>(entry.key().size() + entry.value().size());
      }
    }
  }
  position_.Advance(record, restore_.first, next, restore_.bytes, live_in_range);
  restore_.parts.clear();
  restore_.bytes = 0;
}

absl::Status RocksTaskState::WriteReplayed() {
  restore_.batch.Put(kPositionKey, position_.Serialize()).PermitUncheckedError();
  if (restore_.start >= 0) {
    restore_.batch.Put(kRestoreKey, absl::StrCat(restore_.start, " ", restore_.start_commit)).PermitUncheckedError();
  } else {
    restore_.batch.Delete(kRestoreKey).PermitUncheckedError();
  }
  const absl::Status status = db_->Write(&restore_.batch);
  restore_.batch.Clear();
  return status;
}

// What was needed before the first record read is gone, unless it was the task's first ever. Only the newest commit
// tells what is needed.
absl::Status RocksTaskState::CheckWhole() const {
  const Restore& r = restore_;
  if (r.start < 0 || r.start_commit <= 1 || position_.record.needed_from() >= r.start) return absl::OkStatus();
  return Contradiction(r.start, absl::StrCat("records from offset ", position_.record.needed_from(),
                                             " on are needed, and it starts later"));
}

absl::Status RocksTaskState::FinishReplay(Offset next) {
  const Restore& r = restore_;
  if (!r.parts.empty()) return Contradiction(r.first, absl::StrCat("commit ", r.parts.front().commit(), " ends early"));
  TM_RETURN_IF_ERROR(CheckWhole());
  const bool moved = next > position_.next;
  position_.next = std::max(position_.next, next);
  const bool restored = std::exchange(restore_.start, -1) >= 0;
  if (committed() == nullptr || (!moved && !restored && restore_.batch.Count() == 0)) return absl::OkStatus();
  return WriteReplayed();
}

// ---- Commit

std::string RocksTaskState::Announce(uint64_t commit) { return announcement_ = AnnouncementOf(commit); }

absl::StatusOr<std::vector<std::string>> RocksTaskState::EncodeCommit(packed::CommitRecord* record) {
  for (const auto& [prefix, store] : stores_) {
    if (!store->sealed().empty()) return absl::InternalError("a commit is encoded before the last one is applied");
  }
  // The owner may have known the newest commit and left out the end of a restore.
  TM_RETURN_IF_ERROR(CheckWhole());
  CommitEncoder encoder(record->commit(), !announcement_.empty());
  for (const auto& [prefix, store] : stores_) {
    TM_RETURN_IF_ERROR(store->put_status());
    record->set_needs_format(std::max(record->needs_format(), store->needs_format()));
    for (const auto& [key, value] : store->overlay()) {
      encoder.Add(prefix, key, value.has_value() ? std::optional<std::string_view>(*value) : std::nullopt);
    }
  }
  TM_ASSIGN_OR_RETURN(const int64_t live_in_range, EncodeRange(record, &encoder));
  std::vector<std::string> values = Finish(record, &encoder);
  const std::string announcement = std::exchange(announcement_, "");
  encoded_ = Encoded{.bytes = static_cast<int64_t>(announcement.size()), .live_in_range = live_in_range};
  for (const std::string& value : values) encoded_.bytes += static_cast<int64_t>(value.size());
  for (const auto& [prefix, store] : stores_) store->Seal();
  return values;
}

// What hardly ever changes is left out where the log has it already, in a record that a restore reads.
std::vector<std::string> RocksTaskState::Finish(packed::CommitRecord* record, CommitEncoder* encoder) const {
  const packed::CommitRecord& before = position_.record;
  const bool known = committed() != nullptr && before.has_standing() && record->standing_hash() != 0 &&
                     before.standing_hash() == record->standing_hash() && record->needed_from() >= 0 &&
                     before.standing_at() >= record->needed_from();
  record->set_standing_at(known ? before.standing_at() : kOwnFirst);
  if (!known) return encoder->Finish(*record);
  packed::Standing standing;
  record->mutable_standing()->Swap(&standing);
  record->clear_standing();
  std::vector<std::string> values = encoder->Finish(*record);
  record->mutable_standing()->Swap(&standing);
  return values;
}

bool RocksTaskState::InOverlay(std::string_view full_key) const {
  const auto behind = stores_.upper_bound(std::string(full_key));
  if (behind == stores_.begin()) return false;
  const auto& [prefix, store] = *std::prev(behind);
  return full_key.starts_with(prefix) && store->overlay().contains(full_key.substr(prefix.size()));
}

// Completes the record, and adds the live keys of its range which have no delta in this commit. Returns the bytes of
// keys and values that are live in the range after the commit.
absl::StatusOr<int64_t> RocksTaskState::EncodeRange(packed::CommitRecord* record, CommitEncoder* encoder) {
  const packed::CommitRecord& before = position_.record;
  record->set_needed_from(before.needed_from());
  record->set_rewrite_start(kNoRewrite);
  record->clear_rewrite_key();
  const bool under_way = position_.RewriteUnderWay();
  if (!under_way && !position_.RewriteDue(options_.rewrite_ratio, options_.rewrite_min_bytes)) return 0;

  // Twice the deltas: so the rewrite ends before they have added half the live state to the log.
  const int64_t bound = std::max(options_.rewrite_commit_bytes, 2 * encoder->entry_bytes());
  int64_t visited = 0;
  int64_t live = 0;
  const std::unique_ptr<rocksdb::Iterator> it = db_->NewIterator(nullptr, false);
  it->Seek(under_way ? rocksdb::Slice(before.rewrite_key()) : kFirstStateKey);
  for (; it->Valid() && visited < bound; it->Next()) {
    const auto bytes = static_cast<int64_t>(it->key().size() + it->value().size());
    visited += bytes;
    if (InOverlay(ToView(it->key()))) continue;
    encoder->Add("", ToView(it->key()), ToView(it->value()));
    live += bytes;
  }
  TM_RETURN_IF_ERROR(FromRocks(it->status(), absl::StrCat("rewriting the changelog of ", task_.ToString())));

  const Offset start = under_way ? before.rewrite_start() : kOwnFirst;
  if (it->Valid()) {
    record->set_rewrite_start(start);
    record->set_rewrite_key(it->key().data(), it->key().size());
  } else {
    record->set_needed_from(start);
  }
  const KeyRange range = *position_.RangeOf(*record);
  for (const auto& [prefix, store] : stores_) {
    for (const auto& [key, value] : store->overlay()) {
      if (!value.has_value() || !range.Contains(absl::StrCat(prefix, key))) continue;
      live += static_cast<int64_t>(prefix.size() + key.size() + value->size());
    }
  }
  return live;
}

absl::Status RocksTaskState::Apply(const packed::CommitRecord& record, Offset first, Offset next) {
  TM_RETURN_IF_ERROR(Failpoint("state.apply.before"));
  LogPosition position = position_;
  position.Advance(record, first, next, encoded_.bytes, encoded_.live_in_range);
  rocksdb::WriteBatch batch(static_cast<size_t>(encoded_.bytes + kBatchRoom));  // about as much as the changelog got
  batch.Put(kPositionKey, position.Serialize()).PermitUncheckedError();
  if (MutationActive(Mutation::kOffsetsOutsideWriteBatch)) {
    TM_RETURN_IF_ERROR(db_->Write(&batch));
    TM_RETURN_IF_ERROR(db_->Flush());
    batch.Clear();
  }
  std::string full_key;
  for (const auto& [prefix, store] : stores_) {
    for (const auto& [key, value] : store->sealed()) {
      full_key.assign(prefix).append(key);
      (value.has_value() ? batch.Put(full_key, *value) : batch.Delete(full_key)).PermitUncheckedError();
    }
  }
  TM_RETURN_IF_ERROR(db_->Write(&batch));
  TM_RETURN_IF_ERROR(Failpoint("state.apply.after"));
  position_ = std::move(position);
  encoded_ = Encoded();
  for (const auto& [prefix, store] : stores_) store->DropSealed();
  return absl::OkStatus();
}

}  // namespace tidemark
