#include "src/runtime/letter_replay.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include <xxhash.h>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include "src/base/status.h"
#include "src/runtime/log_range.h"
#include "src/runtime/topics.h"

namespace tidemark {
namespace {

constexpr const char* kReplayed = "tidemark.replayed";
// Notes deleted with one transaction.
constexpr size_t kMostDeleted = 1'000;

std::string Hash(std::string_view bytes) { return absl::StrFormat("%016x", XXH3_64bits(bytes.data(), bytes.size())); }

}  // namespace

// A topic that was deleted and made again counts from 0 again, so its id is a part of a letter's.
std::string LetterReplay::NoteKey(int32_t partition, Offset offset) const {
  return absl::StrCat(letters_id_, "/", partition, "/", offset);
}

absl::Status LetterReplay::Open(bool write) {
  notes_ = plan_.application.ReplayedTopic();
  std::vector<std::string> names = {notes_, plan_.dead_letter_topic};
  for (const SourcePlan& source : plan_.sources) names.push_back(source.topic);
  TM_ASSIGN_OR_RETURN(const auto topics, kafka_.admin().Describe(names));
  for (const auto& [name, info] : topics) partitions_[name] = info.partitions;
  const auto letters = topics.find(plan_.dead_letter_topic);
  if (letters == topics.end()) return absl::OkStatus();  // there are none
  letters_id_ = letters->second.id;
  for (int32_t partition = 0; partition < letters->second.partitions; ++partition) {
    TM_ASSIGN_OR_RETURN(starts_[partition], kafka_.admin().LogStart({letters->first, partition}));
  }
  if (!write) return topics.contains(notes_) ? ReadNotes() : absl::OkStatus();
  if (!topics.contains(notes_)) TM_RETURN_IF_ERROR(CreateNotes());
  ProducerOptions options;
  options.transactional_id = plan_.application.ReplayTransactionalId();
  options.client_id = options.transactional_id;
  TM_ASSIGN_OR_RETURN(producer_, kafka_.NewProducer(options));
  TM_RETURN_IF_ERROR(producer_->InitTransactions());
  return ReadNotes();
}

absl::Status LetterReplay::CreateNotes() {
  if (!plan_.create_internal_topics) {
    return absl::InvalidArgumentError(
        absl::StrCat("internal topic '", notes_,
                     "' does not exist and internal_topics.create is false: make it with 1 partition and "
                     "cleanup.policy=compact; it holds which letters were replayed"));
  }
  TopicToCreate topic;
  topic.topic = notes_;
  topic.replication_factor = plan_.internal_topics.replication_factor;
  topic.config = NotesTopicConfig(plan_);
  return kafka_.admin().CreateTopics({topic});
}

absl::Status LetterReplay::ReadNotes() {
  const TopicPartition log{notes_, 0};
  TM_ASSIGN_OR_RETURN(const Offset start, kafka_.admin().LogStart(log));
  TM_ASSIGN_OR_RETURN(const Offset end, kafka_.admin().LogEnd(log, Isolation::kReadUncommitted));
  std::map<std::string, bool> notes;  // of one key the last stands
  TM_RETURN_IF_ERROR(ReadLogRange(kafka_, clock_, "replayed", log, start, end, [&](const Fetch& fetch, size_t i) {
    const RecordView& record = fetch.records()[i];
    if (record.key) notes[std::string(*record.key)] = record.value.has_value();
    return absl::OkStatus();
  }));
  for (const auto& [key, stands] : notes) {
    if (!stands) continue;
    const size_t last = key.rfind('/');
    const size_t middle = last == std::string::npos || last == 0 ? std::string::npos : key.rfind('/', last - 1);
    int32_t partition = 0;
    Offset offset = 0;
    // The id may have slashes of its own.
    if (middle == std::string::npos || !absl::SimpleAtoi(key.substr(middle + 1, last - middle - 1), &partition) ||
        !absl::SimpleAtoi(key.substr(last + 1), &offset)) {
      return absl::FailedPreconditionError(
          absl::StrCat(ToString(log), ": '", key, "' is no note of a replayed letter"));
    }
    const auto first = starts_.find(partition);
    if (key.substr(0, middle) != letters_id_ || first == starts_.end() || offset < first->second) {
      outdated_.push_back(key);
    } else {
      done_.emplace(partition, offset);
    }
  }
  return absl::OkStatus();
}

namespace {

// The one that the letter names, by any name that it has had: a record's letter says its topic too, and a topic has one
// source.
bool IsOf(const Letter& letter, const SourcePlan& source) {
  return source.name == letter.step || source.kept_as() == letter.step ||
         (letter.of_record && letter.source_topic == source.topic);
}

}  // namespace

absl::StatusOr<const SourcePlan*> LetterReplay::SourceOf(const Letter& letter) const {
  const auto cannot = [](auto&&... text) { return absl::FailedPreconditionError(absl::StrCat(text...)); };
  const auto source = std::find_if(plan_.sources.begin(), plan_.sources.end(),
                                   [&](const SourcePlan& each) { return IsOf(letter, each); });
  const bool known = source != plan_.sources.end();
  // Nothing may be written to the topic of an intake but by that: its records are numbered.
  if (letter.file || (known && source->files)) {
    return cannot("files of source ", letter.step, ": correct the file and let it land again");
  }
  if (letter.lsn || (known && source->postgres)) {
    return cannot("changes of the table of source ", letter.step,
                  ": the log tells them once; change the row in the database");
  }
  if (letter.client || (known && source->http)) return cannot("posts to source ", letter.step, ": post them again");
  if (letter.log.topic != plan_.dead_letter_topic) {
    return cannot(
        "rows of batches that step ", letter.step,
        " has rejected: their batch is sent again as a whole, under another name while this one is remembered");
  }
  if (!known || source->intake() || !letter.of_record) {
    return cannot("rows of ", letter.step, ": their records have become rows, and what is in front has counted them");
  }
  if (letter.source_topic != source->topic || !letter.source_partition) {
    return cannot("records of topic ", letter.source_topic.value_or("?"), ": source ", source->name, " reads ",
                  source->topic, " now");
  }
  const auto there = partitions_.find(source->topic);
  if (there == partitions_.end()) return cannot("topic ", source->topic, " doesn't exist");
  if (*letter.source_partition >= there->second) return cannot("topic ", source->topic, " has fewer partitions now");
  return &*source;
}

absl::Status LetterReplay::Complete(Letter* letter) {
  if (!letter->cut_key && !letter->cut_value) return absl::OkStatus();
  const auto gone = [&] {
    return absl::FailedPreconditionError(
        absl::StrCat("large records of source ", letter->step,
                     ", of which the letter has the beginning only, and their topic nothing more"));
  };
  if (!letter->source_offset) return gone();
  const TopicPartition log{*letter->source_topic, *letter->source_partition};
  const Offset at = *letter->source_offset;
  TM_ASSIGN_OR_RETURN(const Offset start, kafka_.admin().LogStart(log));
  TM_ASSIGN_OR_RETURN(const Offset end, kafka_.admin().LogEnd(log, Isolation::kReadCommitted));
  if (at < start || at >= end) return gone();
  bool same = false;
  TM_RETURN_IF_ERROR(ReadLogRange(kafka_, clock_, "replay", log, at, at + 1, [&](const Fetch& fetch, size_t i) {
    const RecordView& record = fetch.records()[i];
    const bool key = !letter->cut_key || (record.key && Hash(*record.key) == *letter->cut_key);
    const bool value = !letter->cut_value || (record.value && Hash(*record.value) == *letter->cut_value);
    same = key && value;
    if (!same) return absl::OkStatus();
    if (letter->cut_key) letter->key = std::string(*record.key);
    if (letter->cut_value) letter->value = std::string(*record.value);
    return absl::OkStatus();
  }));
  return same ? absl::OkStatus() : gone();
}

absl::Status LetterReplay::Write(const std::vector<Letter>& letters) {
  TM_RETURN_IF_ERROR(producer_->Begin());
  std::vector<OutRecord> notes;
  std::vector<std::string> keys;
  keys.reserve(letters.size());
  for (const Letter& letter : letters) {
    HeaderList headers = letter.headers;
    // One that failed again, and comes a second time, says where it stood last.
    std::erase_if(headers, [](const auto& header) { return header.first == kReplayed; });
    headers.emplace_back(kReplayed, absl::StrCat(ToString(letter.log), "@", letter.offset));
    TM_RETURN_IF_ERROR(
        producer_->Produce(*letter.source_topic, {{*letter.source_partition, letter.key, letter.value, &headers}}));
    notes.push_back({0, keys.emplace_back(NoteKey(letter.log.partition, letter.offset)), "1", nullptr});
  }
  const size_t kept = outdated_.size() - std::min(outdated_.size(), kMostDeleted);
  for (size_t i = kept; i < outdated_.size(); ++i) notes.push_back({0, outdated_[i], std::nullopt, nullptr});
  TM_RETURN_IF_ERROR(producer_->Produce(notes_, notes));
  TM_RETURN_IF_ERROR(producer_->Flush());
  TM_RETURN_IF_ERROR(Commit());
  outdated_.resize(kept);
  for (const Letter& letter : letters) done_.emplace(letter.log.partition, letter.offset);
  return absl::OkStatus();
}

absl::Status LetterReplay::Commit() {
  std::string error;
  switch (producer_->Commit(&error)) {
    case CommitOutcome::kCommitted:
      return absl::OkStatus();
    case CommitOutcome::kAborted:
      return absl::AbortedError(absl::StrCat("the last transaction was aborted: ", error, ". Begin again"));
    case CommitOutcome::kUnknown:
      return absl::UnknownError(absl::StrCat("it isn't known whether the last transaction was committed: ", error,
                                             ". Begin again: what is in is left out"));
    case CommitOutcome::kFenced:
      return absl::CancelledError("another replay has begun");
  }
  return absl::InternalError("no such outcome");
}

}  // namespace tidemark
