#include "tests/unit/state/state_world.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>

namespace tidemark {
namespace {

absl::Status Difference(const std::string& what) { return absl::InternalError(what); }

std::string Shown(const std::string& bytes) {
  if (bytes.size() <= 16) return absl::StrCat("'", absl::CHexEscape(bytes), "'");
  return absl::StrCat("'", absl::CHexEscape(bytes.substr(0, 16)), "...' of ", bytes.size(), " bytes");
}

std::string Shown(const std::optional<std::string>& bytes) { return bytes.has_value() ? Shown(*bytes) : "nothing"; }

}  // namespace

absl::Status StateWorld::Open() {
  TM_ASSIGN_OR_RETURN(dir_, StateDir::Open(path_, options_, disk_.get()));
  TM_ASSIGN_OR_RETURN(state_, dir_->Take(Task()));
  TM_RETURN_IF_ERROR(log_.Restore(state_.get()));
  current_ = committed_;
  applied_ = commit_;
  deciding_.reset();
  announced_.clear();
  return CheckAll();
}

absl::Status StateWorld::CrashAndOpen() {
  disk_->Crash();
  Close();
  return Open();
}

absl::Status StateWorld::HandOver() {
  TM_RETURN_IF_ERROR(FinishCommit());
  state_.reset();
  TM_ASSIGN_OR_RETURN(state_, dir_->Take(Task()));
  current_ = committed_;
  announced_.clear();
  const packed::CommitRecord* record = state_->committed();
  if ((record == nullptr ? 0 : record->commit()) != commit_) return Difference("hand-over lost the commit record");
  if (state_->overlay_bytes() != 0) return Difference("hand-over kept uncommitted writes");
  return CheckAll();
}

absl::Status StateWorld::RestoreFromNothing() {
  TM_RETURN_IF_ERROR(FinishCommit());
  state_->DropUncommitted();
  announced_.clear();
  TM_RETURN_IF_ERROR(state_->Clear());
  if (state_->committed() != nullptr || state_->changelog_next() != 0)
    return Difference("Clear kept the commit record");
  TM_RETURN_IF_ERROR(log_.Restore(state_.get()));
  current_ = committed_;
  return CheckAll();
}

void StateWorld::Put(const std::string& step, const std::string& key, const std::string& value) {
  state_->Store(step)->Put(key, value);
  current_[step][key] = value;
}

void StateWorld::Delete(const std::string& step, const std::string& key) {
  state_->Store(step)->Delete(key);
  current_[step].erase(key);
}

void StateWorld::Announce() {
  if (announced_.empty()) announced_.push_back(state_->Announce(commit_ + 1));
}

absl::Status StateWorld::BeginCommit(bool committed) {
  TM_RETURN_IF_ERROR(FinishCommit());
  encoded_.Clear();
  encoded_.set_commit(commit_ + 1);
  encoded_.set_identity("0123456789abcdef");
  encoded_.add_inputs()->set_offset(static_cast<int64_t>(commit_) * 10);
  if (!standing_.empty()) {
    encoded_.mutable_standing()->set_application(standing_);
    encoded_.set_standing_hash(std::hash<std::string>()(standing_));
  }
  TM_ASSIGN_OR_RETURN(std::vector<std::string> values, state_->EncodeCommit(&encoded_));
  values.insert(values.begin(), announced_.begin(), announced_.end());
  announced_.clear();
  for (const std::string& value : values) {
    if (value.size() >= 512 << 10) return Difference(absl::StrCat("a changelog record of ", value.size(), " bytes"));
  }
  std::tie(first_, behind_) = log_.Append(values, committed);
  deciding_ = committed;
  if (!committed) return absl::OkStatus();
  ++commit_;
  committed_ = current_;
  return absl::OkStatus();
}

absl::Status StateWorld::FinishCommit() {
  if (!deciding_.has_value()) return absl::OkStatus();
  const bool committed = *deciding_;
  deciding_.reset();
  if (!committed) {
    state_->DropUncommitted();
    announced_.clear();
    current_ = committed_;
    return CheckAll();
  }
  TM_RETURN_IF_ERROR(state_->Apply(encoded_, first_, behind_));
  applied_ = commit_;
  if (state_->trim_before() > first_) return Difference("the newest commit record would be trimmed");
  return absl::OkStatus();
}

absl::Status StateWorld::Commit() {
  TM_RETURN_IF_ERROR(BeginCommit(true));
  TM_RETURN_IF_ERROR(FinishCommit());
  if (state_->overlay_bytes() != 0) return Difference("Apply kept uncommitted writes");
  return absl::OkStatus();
}

absl::Status StateWorld::Abort() {
  TM_RETURN_IF_ERROR(BeginCommit(false));
  return FinishCommit();
}

absl::Status StateWorld::CommitAndCrash() {
  TM_RETURN_IF_ERROR(BeginCommit(true));
  return CrashAndOpen();
}

absl::Status StateWorld::CheckGet(const std::string& step, const std::string& key) {
  TM_ASSIGN_OR_RETURN(const std::optional<std::string> seen, state_->Store(step)->Get(key));
  const auto& expected = current_[step];
  const auto it = expected.find(key);
  const std::optional<std::string> value = it == expected.end() ? std::nullopt : std::make_optional(it->second);
  std::optional<std::string> shown;
  TM_RETURN_IF_ERROR(state_->Store(step)->Read(key, [&](std::string_view there) { shown = there; }).status());
  if (seen == value && shown == value) return absl::OkStatus();
  return Difference(absl::StrCat(seen == value ? "Read(" : "Get(", step, ", ", Shown(key),
                                 "): ", Shown(seen == value ? shown : seen), ", expected ", Shown(value)));
}

absl::Status StateWorld::CheckScan(const std::string& step, const std::string& begin, const std::string& end) {
  const auto& expected = current_[step];
  auto it = expected.lower_bound(begin);
  const auto last = end.empty() ? expected.end() : std::max(begin, end) == begin ? it : expected.lower_bound(end);
  const std::unique_ptr<StateIterator> scan = state_->Store(step)->Scan(begin, end);
  for (; scan->Valid(); scan->Next(), ++it) {
    if (it == last)
      return Difference(
          absl::StrCat("Scan of ", step, " shows ", Shown(std::string(scan->key())), ", expected its end"));
    if (scan->key() != it->first || scan->value() != it->second) {
      return Difference(absl::StrCat("Scan of ", step, " shows ", Shown(std::string(scan->key())), " = ",
                                     Shown(std::string(scan->value())), ", expected ", Shown(it->first), " = ",
                                     Shown(it->second)));
    }
  }
  TM_RETURN_IF_ERROR(scan->status());
  if (it != last) return Difference(absl::StrCat("Scan of ", step, " lacks ", Shown(it->first)));
  return absl::OkStatus();
}

absl::Status StateWorld::CheckAll() {
  const packed::CommitRecord* record = state_->committed();
  const uint64_t seen = record == nullptr ? 0 : record->commit();
  if (seen != applied_)
    return Difference(absl::StrCat("the commit record is of commit ", seen, ", expected ", applied_));
  if (record != nullptr && record->inputs(0).offset() != (static_cast<int64_t>(applied_) - 1) * 10) {
    return Difference("the commit record has other offsets");
  }
  for (const auto& [step, unused] : current_) TM_RETURN_IF_ERROR(CheckScan(step, "", ""));
  return absl::OkStatus();
}

int64_t StateWorld::LiveBytes() const {
  size_t bytes = 0;
  for (const auto& [step, keys] : committed_) {
    for (const auto& [key, value] : keys) bytes += step.size() + 1 + key.size() + value.size();
  }
  return static_cast<int64_t>(bytes);
}

namespace {

// One random walk. Keys come from a small space with awkward members; values are mostly small, rarely of the largest
// size.
class Walk {
 public:
  explicit Walk(uint64_t seed) : random_(seed), world_(NewMemoryDisk(), "/state/a", Options()) {}

  absl::Status Run(int steps) {
    TM_RETURN_IF_ERROR(world_.Open());
    for (int i = 0; i < steps; ++i) {
      const absl::Status status = Step();
      if (!status.ok()) return Annotate(status, absl::StrCat("step ", i));
    }
    return world_.RestoreFromNothing();
  }

 private:
  uint64_t Below(uint64_t bound) { return random_() % bound; }

  StateOptions Options() {
    StateOptions options{.application = "town"};
    options.memory_bytes = 8 << 20;
    options.rewrite_ratio = Below(2) == 0 ? 2.0 : 1.2;
    options.rewrite_min_bytes = 4 << 10;
    options.rewrite_commit_bytes = 256 << Below(6);
    options.flush_bytes = 1 << (9 + Below(10));
    keys_ = 4 << Below(6);
    return options;
  }

  std::string Step_() { return Below(3) == 0 ? "a" : Below(2) == 0 ? "ab" : "b\xff"; }

  std::string Key() {
    const uint64_t number = Below(keys_);
    if (number == 0) return "";
    if (number == 1) return "\xff\xff";
    if (number == 2) return std::string("\0\0", 2);
    return absl::StrCat("key", number);
  }

  std::string Value() {
    const uint64_t kind = Below(200);
    const size_t size = kind == 0 ? kMaxValueBytes - Below(3) : kind < 20 ? Below(20'000) : Below(200);
    return std::string(size, static_cast<char>('a' + Below(26)));
  }

  absl::Status Step() {
    const uint64_t dice = Below(1000);
    if (dice < 430) return world_.Put(Step_(), Key(), Value()), absl::OkStatus();
    if (dice < 450) return world_.Announce(), absl::OkStatus();
    if (dice < 600) return world_.Delete(Step_(), Key()), absl::OkStatus();
    if (dice < 680) return world_.CheckGet(Step_(), Key());
    if (dice < 720) return world_.CheckScan(Step_(), Key(), Key());
    if (dice < 730) return world_.CheckAll();
    if (dice < 850) return world_.Commit();
    if (dice < 920) return world_.BeginCommit(true);
    if (dice < 940) return world_.Abort();
    if (dice < 950) return world_.BeginCommit(false);
    if (dice < 955) return world_.FinishCommit();
    if (dice < 975) return world_.Trim(), absl::OkStatus();
    if (dice < 981) return world_.CommitAndCrash();
    if (dice < 987) return world_.CrashAndOpen();
    if (dice < 992) return world_.HandOver();
    if (dice < 996) return world_.RestoreFromNothing();
    world_.Close();
    return world_.Open();
  }

  std::mt19937_64 random_;
  uint64_t keys_ = 0;
  StateWorld world_;
};

}  // namespace

absl::Status RunRandomly(uint64_t seed, int steps) { return Walk(seed).Run(steps); }

}  // namespace tidemark
