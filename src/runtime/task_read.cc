// What a task makes of records that it is given: rows of its sources, decoded, and rows of the stage before, unpacked,
// each counted in the ledger and handed to the nodes below. A record that has to wait (for a schema that isn't here
// yet, or the like) holds its partition alone: what comes behind it is kept, and tried again. A fetch that fills the
// commit is gone on with behind that.
#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/synchronization/mutex.h>
#include <glog/logging.h>

#include "src/base/intake_names.h"
#include "src/base/status.h"
#include "src/runtime/heard.h"
#include "src/runtime/task_parts.h"

namespace tidemark {
namespace {

// Records of a fetch up to one of them.
class FirstRecords final : public Fetch {
 public:
  FirstRecords(const Fetch& fetch, size_t end) : fetch_(fetch), end_(end) {}
  const TopicPartition& source() const override { return fetch_.source(); }
  std::span<const RecordView> records() const override { return fetch_.records().first(end_); }
  HeaderList Headers(size_t i) const override { return fetch_.Headers(i); }

 private:
  const Fetch& fetch_;
  const size_t end_;
};

// Once a process, whichever of its tasks meets the column.
void NoteUnnamed(const std::string& source, const std::string& column) {
  static auto& mutex = *new absl::Mutex();
  static auto& noted = *new std::set<std::pair<std::string, std::string>>();
  absl::MutexLock lock(&mutex);
  if (!noted.emplace(source, column).second) return;
  LOG(INFO) << "source " << source << ": the table has a column '" << column
            << "' that the topology doesn't name: it is ignored";
}

}  // namespace

absl::Status Task::Process(std::unique_ptr<Fetch> fetch) {
  if (fetch->records().empty()) return absl::OkStatus();
  for (const auto& input : inputs_) {
    if (input->partition != fetch->source()) continue;
    const Offset first = fetch->records().front().offset;
    if (first < input->position) {
      return absl::InternalError(absl::StrCat(ToString(input->partition), ": offset ", first,
                                              " was delivered twice, the position is ", input->position));
    }
    input->at_end = false;
    SourceInput* const source = input->source();
    if (source != nullptr && source->waits()) {
      source->kept.push_back(std::move(fetch));
      source->end_behind.reset();  // it isn't the end any more
      return absl::OkStatus();
    }
    if (HasRest()) return absl::InternalError(absl::StrCat(id_.ToString(), " isn't done with the fetch before"));
    rest_ = Rest{std::move(fetch), input.get(), 0};
    return ProcessRest();
  }
  return absl::InternalError(absl::StrCat(id_.ToString(), " doesn't read ", ToString(fetch->source())));
}

absl::Status Task::ProcessRest() {
  Rest rest = std::exchange(rest_, Rest());
  bool waits = false;
  SourceInput* const source = rest.input->source();
  TM_ASSIGN_OR_RETURN(rest.next, source != nullptr ? ProcessSource(*rest.input, *rest.fetch, rest.next, &waits)
                                                   : ProcessInternal(*rest.input, *rest.fetch, rest.next));
  if (rest.next == rest.fetch->records().size()) return absl::OkStatus();
  if (!waits) {
    rest_ = std::move(rest);
    return absl::OkStatus();
  }
  source->next = rest.next;
  source->waits_since_us = runtime_.clock->MonotonicUs();
  source->kept.push_back(std::move(rest.fetch));
  return absl::OkStatus();
}

absl::StatusOr<bool> Task::Retry() {
  for (const auto& input : inputs_) {
    SourceInput* const source = input->source();
    if (source == nullptr || !source->waits()) continue;
    const Fetch& fetch = *source->kept.front();
    const size_t before = source->next;
    bool waits = false;
    TM_ASSIGN_OR_RETURN(source->next, ProcessSource(*input, fetch, before, &waits));
    SayWait(*input, source->next > before);
    if (source->next < fetch.records().size()) {
      if (waits) continue;
      return true;  // behind the full commit
    }
    source->kept.pop_front();
    source->next = 0;
    if (source->waits()) return true;
    if (const auto end = std::exchange(source->end_behind, std::nullopt)) SetEnd(*input, *end);
  }
  return false;
}

// Of a wait that lasts, once, and of its end. Most are over before anybody could read of them.
void Task::SayWait(TaskInput& input, bool over) {
  SourceInput& source = *input.source();
  const int64_t now = runtime_.clock->MonotonicUs();
  const double seconds = static_cast<double>(now - source.waits_since_us) / kSecond;
  if (over) {
    if (source.wait_said) LOG(INFO) << ToString(input.partition) << " goes on after " << seconds << " s";
    source.wait_said = false;
    source.waits_since_us = now;
  } else if (!source.wait_said && now - source.waits_since_us > kSecond) {
    source.wait_said = true;
    LOG(WARNING) << "source " << source.plan->name << ": " << ToString(input.partition) << "@" << input.position
                 << " waits for " << source.waits_for << "; other partitions go on";
  }
}

void Task::AppendWaiting(std::set<TopicPartition>* inputs) {
  FindAhead();
  for (const auto& input : inputs_) {
    const SourceInput* const source = input->source();
    if (input->held || (source != nullptr && source->waits())) inputs->insert(input->partition);
  }
}

absl::StatusOr<size_t> Task::ProcessSource(TaskInput& input, const Fetch& fetch, size_t first, bool* waits) {
  const size_t size = fetch.records().size();
  while (first < size) {
    const size_t end = std::min(size, first + records_at_once_);
    TM_ASSIGN_OR_RETURN(first, ProcessPart(input, FirstRecords(fetch, end), first));
    if (first < end) {
      *waits = true;
      return first;
    }
    if (transaction_->Full()) {
      records_at_once_ = std::max<size_t>(records_at_once_ / 2, 1);
      return first;
    }
    records_at_once_ = std::min(records_at_once_ * 2, kLargestPart);
  }
  return first;
}

absl::StatusOr<size_t> Task::ProcessPart(TaskInput& input, const Fetch& fetch, size_t first) {
  SourceInput& source = *input.source();
  const TimeSpent::Doing doing(&spent_, static_cast<size_t>(input.node));
  source.time.Busy(runtime_.clock->MonotonicUs());
  TM_ASSIGN_OR_RETURN(
      DecodedRows decoded,
      source.decoder->Decode(fetch, first, runtime_.partitions.at(input.partition.topic), source.time.progress()));
  source.waits_for = std::move(decoded.waits_for);
  source.unnamed_columns += static_cast<int64_t>(decoded.unnamed.size());
  for (const std::string& column : decoded.unnamed) NoteUnnamed(source.plan->name, column);
  if (decoded.next == first) return first;
  if (source.heard) TM_RETURN_IF_ERROR(CheckNumbers(source, fetch, first, decoded.next));
  TM_RETURN_IF_ERROR(JoinTransaction());
  dirty_ = time_waits_ = true;
  const int64_t rows = decoded.rows->num_rows();
  const auto errors = static_cast<int64_t>(decoded.errors.size());
  StepLedger& ledger = nodes_[static_cast<size_t>(input.node)]->ledger;
  // Of a record of several rows each is counted; one that gives none counts as itself.
  ledger.in += rows + errors + decoded.empty_records;
  ledger.dead_lettered += errors;
  ledger.absorbed += decoded.empty_records;
  ledger.passed += rows;
  ledger.out += rows;
  for (const DecodeError& error : decoded.errors) {
    TM_RETURN_IF_ERROR(dead_letters_.Record(source.plan->name, fetch.source(), fetch.records()[error.record],
                                            fetch.Headers(error.record), error.reason));
  }
  TM_RETURN_IF_ERROR(Deliver(input.node, decoded.rows));
  const std::span<const RecordView> records = fetch.records();
  input.position = decoded.next < records.size() ? records[decoded.next].offset : records.back().offset + 1;
  return decoded.next;
}

// intake.h, rule 6.
absl::Status Task::CheckNumbers(SourceInput& source, const Fetch& fetch, size_t first, size_t last) {
  packed::RowsHeader header;
  header.set_writer_stage(WriterStage(source.plan->kept_as()));
  for (size_t i = first; i < last; ++i) {
    const std::string place = absl::StrCat(ToString(fetch.source()), "@", fetch.records()[i].offset);
    std::vector<std::string> number;
    for (const auto& [name, value] : fetch.Headers(i)) {
      if (name == kIntakeNumberHeader) number = absl::StrSplit(value.value_or(""), ':');
    }
    number.resize(std::max<size_t>(number.size(), 2));
    int32_t split = 0, form = 1;
    uint64_t sequence = 0;
    const bool whole = number.size() == 2 || (number.size() == 3 && absl::SimpleAtoi(number[2], &form));
    if (form > kIntakeForm) {
      return absl::FailedPreconditionError(absl::StrCat(
          place, ": a record of form ", form, ", written by a later version of Tidemark, which this one can't read"));
    }
    if (!whole || !absl::SimpleAtoi(number[0], &split) || !absl::SimpleAtoi(number[1], &sequence) || sequence == 0) {
      return absl::FailedPreconditionError(
          place + ": a record without a number: this topic is Tidemark's own, and nobody else may write to it");
    }
    header.set_upstream_partition(split);
    header.set_sequence(sequence);
    TM_RETURN_IF_ERROR(Annotate(source.heard->Check(header), place));
  }
  return absl::OkStatus();
}

absl::StatusOr<size_t> Task::ProcessInternal(TaskInput& input, const Fetch& fetch, size_t first) {
  TM_RETURN_IF_ERROR(JoinTransaction());
  dirty_ = time_waits_ = true;
  InternalInput& internal = *input.internal();
  const TimeSpent::Doing doing(&spent_, static_cast<size_t>(input.node));
  const std::span<const RecordView> records = fetch.records();
  do {
    const RecordView& record = records[first++];
    absl::StatusOr<UnpackedRows> read = internal.reader.Read(record);
    // DataLoss would be of this task's state, which another restore mends.
    if (absl::IsDataLoss(read.status())) return absl::FailedPreconditionError(read.status().message());
    TM_ASSIGN_OR_RETURN(const UnpackedRows unpacked, std::move(read));
    if (unpacked.rows != nullptr) {
      StepLedger& ledger = nodes_[static_cast<size_t>(input.node)]->ledger;
      ledger.in += unpacked.rows->num_rows();
      ledger.passed += unpacked.rows->num_rows();
      ledger.out += unpacked.rows->num_rows();
    }
    if (unpacked.header.has_schema()) NoteSchemas();
    TM_RETURN_IF_ERROR(Deliver(input.node, unpacked.rows));
    internal.time.Update(unpacked.header);
    input.position = record.offset + 1;
  } while (first < records.size() && !transaction_->Full());
  return first;
}

}  // namespace tidemark
