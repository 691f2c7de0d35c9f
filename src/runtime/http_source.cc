#include "src/runtime/http_source.h"

#include <algorithm>
#include <span>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <glog/logging.h>
#include <xxhash.h>

#include "src/base/action.h"
#include "src/base/sha256.h"
#include "src/base/status.h"
#include "src/kafka/appender.h"
#include "src/landing/file_records.h"

namespace tidemark {
namespace {

constexpr int64_t kHourMs = 3'600'000;
constexpr int64_t kHoursKept = 24;
constexpr int64_t kTrimEveryUs = 5 * kSecond;
// So many notes, or notes of so many keys, are made one.
constexpr size_t kNotesToMerge = 64;
constexpr size_t kKeysToMerge = 8'000;
constexpr size_t kPollRecords = 1'000;
constexpr int64_t kLargestBody = int64_t{16} << 20;
// Writers are processes. Where they are more within a day, those are forgotten that have been silent for longest.
constexpr int kMostWriters = 1'000;
// What a row takes in memory beside its value: headers, most of all.
constexpr int64_t kRowBytes = 400;

absl::uint128 FromBytes(std::string_view bytes) {
  absl::uint128 hash = 0;
  for (const char c : bytes) hash = (hash << 8) | static_cast<uint8_t>(c);
  return hash;
}

// Of a kind that no client can find another's hash by. The length tells client and key apart, which hold any bytes.
absl::uint128 HashOfKey(const packed::HttpRequest& request) {
  const std::string hash = Sha256(absl::StrCat(request.client().size(), ":", request.client(), request.key()));
  return FromBytes(std::string_view(hash).substr(0, 16));
}

uint64_t HashOfBody(const packed::HttpRequest& request) {
  return XXH3_64bits_withSeed(request.body().data(), request.body().size(), request.format());
}

std::string ToBytes(absl::uint128 hash) {
  std::string bytes;
  for (int shift = 120; shift >= 0; shift -= 8) bytes += static_cast<char>(static_cast<uint8_t>(hash >> shift));
  return bytes;
}

// Of what stands behind so many records and letters: bodies are small, what they become need not be.
int64_t BytesBehind(size_t records, size_t letters, const IntakeRows& rows) {
  int64_t bytes = 0;
  for (const IntakeRecord& record : std::span(rows.records).subspan(records)) {
    bytes += kRowBytes + static_cast<int64_t>(record.value.size());
  }
  for (const IntakeLetter& letter : std::span(rows.letters).subspan(letters)) {
    bytes += kRowBytes + static_cast<int64_t>(letter.value.size());
  }
  return bytes;
}

absl::StatusOr<FilesSpec::Format> FormatOf(const packed::HttpRequest& request) {
  switch (request.format()) {
    case packed::HttpRequest::CSV:
      return FilesSpec::Format::kCsv;
    case packed::HttpRequest::PARQUET:
      return FilesSpec::Format::kParquet;
    case packed::HttpRequest::JSON:
      return FilesSpec::Format::kJson;
    case packed::HttpRequest::JSON_LINES:
      return FilesSpec::Format::kJsonLines;
    default:
      return absl::FailedPreconditionError(
          absl::StrCat("a request of format ", request.format(), ", which only a newer version knows: run that"));
  }
}

}  // namespace

HttpSource::HttpSource(const Runtime& runtime, const SourcePlan& plan, int32_t split, std::string folder)
    : runtime_(runtime),
      plan_(plan),
      names_{runtime.plan->application, plan.name},
      log_{names_.RequestsTopic(), split},
      keys_(std::move(folder)) {}

HttpSource::~HttpSource() = default;

std::string HttpSource::Of(const std::string& /*position*/) const { return "requests of " + log_.topic; }

absl::Status HttpSource::Open(const std::string& position, IntakeNotes notes) {
  if (!position_.ParseFromString(position)) return absl::FailedPreconditionError("a strange position in requests");
  // Keys are offsets with leading zeros: the oldest first.
  while (!notes.empty()) {
    const auto node = notes.extract(notes.begin());  // what was taken needs no memory twice
    const std::string &name = node.key(), &value = node.mapped();
    packed::RequestsSeen seen;
    if (!seen.ParseFromString(value) || seen.keys().size() != 16 * static_cast<size_t>(seen.bodies_size())) {
      return absl::FailedPreconditionError("a strange note of requests");
    }
    Hour& hour = HourOf(seen.newest_ms());
    hour.notes.push_back(name);
    for (int i = 0; i < seen.bodies_size(); ++i) {
      keys_.Add(hour.number, FromBytes(std::string_view(seen.keys()).substr(16 * static_cast<size_t>(i), 16)),
                seen.bodies(i));
    }
  }
  TM_RETURN_IF_ERROR(CheckLog());
  trimmed_ = position_.next();
  ConsumerOptions options;
  options.client_id = absl::StrCat(names_.Group(), "-requests");
  options.queue_bytes = runtime_.options.prefetch_bytes;
  TM_ASSIGN_OR_RETURN(consumer_, runtime_.kafka->NewConsumer(options));
  return consumer_->Assign({{log_, position_.next()}});
}

// What was accepted and isn't read yet is there.
absl::Status HttpSource::CheckLog() {
  TM_ASSIGN_OR_RETURN(const auto topics, runtime_.kafka->admin().Describe({log_.topic}));
  const auto topic = topics.find(log_.topic);
  if (topic == topics.end()) return absl::UnavailableError(absl::StrCat("topic ", log_.topic, " isn't there"));
  TM_ASSIGN_OR_RETURN(const Offset start, runtime_.kafka->admin().LogStart(log_));
  TM_ASSIGN_OR_RETURN(const Offset end, runtime_.kafka->admin().LogEnd(log_, Isolation::kReadUncommitted));
  const std::string& id = topic->second.id;
  const bool other = !position_.topic_id().empty() && !id.empty() && position_.topic_id() != id;
  position_.set_topic_id(id);
  if (!other && start <= position_.next() && position_.next() <= end) return absl::OkStatus();
  const std::string lost =
      absl::StrCat(ToString(log_), other ? " was deleted and made again" : "", " holds offsets ", start, " to ", end,
                   ", and is read up to ", position_.next(), ": requests that were accepted are lost");
  if (!plan_.skip_lost) {
    return absl::FailedPreconditionError(absl::StrCat(lost, ". State on_data_loss: skip to go on with what there is"));
  }
  LOG(ERROR) << "source " << plan_.name << ": " << lost << "; goes on, as on_data_loss says";
  position_.set_next(other ? start : std::clamp(position_.next(), start, end));
  return absl::OkStatus();
}

absl::StatusOr<std::optional<IntakeRows>> HttpSource::Poll(int64_t max_wait_us, int64_t max_bytes) {
  {
    const absl::MutexLock lock(&mutex_);
    if (interrupted_) return absl::UnavailableError("the worker stops");
  }
  if (fetches_.empty()) {
    TM_ASSIGN_OR_RETURN(PollResult polled, consumer_->Poll(max_wait_us, kPollRecords));
    for (std::unique_ptr<Fetch>& fetch : polled.fetches) fetches_.push_back(std::move(fetch));
    LetGoOfUsed();
    if (fetches_.empty()) return std::nullopt;
  }
  IntakeRows rows;
  packed::RequestsSeen seen;
  const Offset first = position_.next();
  int64_t newest_ms = 0;
  // What isn't taken of the fetched records stays there for the next call.
  for (int64_t bytes = 0; !fetches_.empty() && bytes < max_bytes;) {
    const RecordView& record = fetches_.front()->records()[used_];
    const HeaderList headers = fetches_.front()->Headers(used_++);
    bytes += static_cast<int64_t>(record.value.value_or("").size());
    newest_ms = std::max(newest_ms, record.timestamp_ms);
    const size_t records_before = rows.records.size(), letters_before = rows.letters.size();
    TM_RETURN_IF_ERROR(Take(record, headers, &seen, &rows));
    bytes += BytesBehind(records_before, letters_before, rows);
    LetGoOfUsed();
  }
  if (seen.bodies_size() > 0) {
    Remember(absl::StrFormat("%020d", first), seen, &rows);
  }
  Forget(newest_ms, &rows);
  rows.next = position_.SerializeAsString();
  return rows;
}

void HttpSource::LetGoOfUsed() {
  while (!fetches_.empty() && used_ == fetches_.front()->records().size()) {
    fetches_.pop_front();
    used_ = 0;
  }
}

absl::Status HttpSource::Take(const RecordView& record, const HeaderList& headers, packed::RequestsSeen* seen,
                              IntakeRows* rows) {
  if (record.offset != position_.next()) {
    return absl::DataLossError(
        absl::StrCat(ToString(log_), ": request ", record.offset, " comes where ", position_.next(), " was expected"));
  }
  position_.set_next(record.offset + 1);
  TM_ASSIGN_OR_RETURN(const bool sent_twice, SentTwice(record, headers));
  if (sent_twice) {
    ++rows->counts[0]["requests_sent_twice"];
    return absl::OkStatus();
  }
  packed::HttpRequest request;
  const std::string_view value = record.value.value_or("");
  if (!request.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
    return absl::FailedPreconditionError(
        absl::StrCat(ToString(log_), " holds at ", record.offset, " what isn't a request: who else writes to it?"));
  }
  Known known = Known::kNew;
  if (!request.key().empty()) {
    TM_ASSIGN_OR_RETURN(known, Note(request, record.timestamp_ms, seen));
  }
  switch (known) {
    case Known::kNew:
      ++rows->counts[0]["requests"];
      return Cut(request, record.offset, rows);
    case Known::kAgain:
      ++rows->counts[0]["requests_again"];
      return absl::OkStatus();
    case Known::kOtherBody:
      ++rows->counts[0]["requests_with_a_used_key"];
      rows->letters.push_back({request.body(),
                               absl::StrCat("the Idempotency-Key '", request.key(), "' came before with another body"),
                               {{kIntakeClientHeader, request.client()},
                                {kIntakeRequestHeader, absl::StrCat(log_.partition, ":", record.offset)}}});
      return absl::OkStatus();
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> HttpSource::SentTwice(const RecordView& record, const HeaderList& headers) {
  std::optional<AppendedBy> by;
  for (const auto& [name, value] : headers) {
    if (name == kAppendedHeader) by = ParseAppendedBy(value.value_or(""));
  }
  if (!by) {
    return absl::FailedPreconditionError(
        absl::StrCat(ToString(log_), " holds at ", record.offset, " what no worker wrote: who else writes to it?"));
  }
  auto& writers = *position_.mutable_writers();
  auto writer = std::find_if(writers.begin(), writers.end(), [&](const auto& w) { return w.name() == by->writer; });
  if (writer == writers.end()) {
    writers.Add()->set_name(by->writer);
    writer = writers.end() - 1;
  } else if (by->number <= writer->number()) {
    return true;
  }
  writer->set_number(by->number);
  writer->set_newest_ms(record.timestamp_ms);
  return false;
}

absl::StatusOr<HttpSource::Known> HttpSource::Note(const packed::HttpRequest& request, int64_t time_ms,
                                                   packed::RequestsSeen* seen) {
  const absl::uint128 key = HashOfKey(request);
  const uint64_t body = HashOfBody(request);
  TM_ASSIGN_OR_RETURN(const std::optional<uint64_t> found, keys_.Find(key, time_ms / kHourMs - kHoursKept));
  if (found) {
    return *found == body ? Known::kAgain : Known::kOtherBody;
  }
  keys_.Add(HourOf(time_ms).number, key, body);
  seen->set_newest_ms(std::max(seen->newest_ms(), time_ms));
  seen->mutable_keys()->append(ToBytes(key));
  seen->add_bodies(body);
  return Known::kNew;
}

// Its rows, and a dead letter of what can't be one any more, as where the columns have changed since it was accepted.
absl::Status HttpSource::Cut(const packed::HttpRequest& request, Offset offset, IntakeRows* rows) const {
  const HeaderList place = {{kIntakeClientHeader, request.client()},
                            {kIntakeRequestHeader, absl::StrCat(log_.partition, ":", offset)}};
  const char delimiter = request.delimiter().empty() ? ',' : request.delimiter()[0];
  std::vector<FileRecord> records;
  TM_ASSIGN_OR_RETURN(const FilesSpec::Format format, FormatOf(request));
  absl::StatusOr<std::unique_ptr<FileRecords>> body = FileRecords::OfBody(plan_, format, delimiter, request.body());
  absl::StatusOr<bool> more = body.ok() ? absl::StatusOr<bool>(true) : body.status();
  while (more.ok() && *more) more = (*body)->Read(kLargestBody, &records);
  if (absl::IsInvalidArgument(more.status()) || absl::IsResourceExhausted(more.status())) {
    rows->letters.push_back({request.body(), std::string(more.status().message()), place});
    return absl::OkStatus();
  }
  // The record is taken already: it is the log that is read again, not this call.
  if (ActionFor(more.status()) == Action::kRetry) return absl::AbortedError(std::string(more.status().message()));
  TM_RETURN_IF_ERROR(more.status());
  for (FileRecord& record : records) {
    HeaderList headers = place;
    headers.emplace_back(kIntakeLineHeader, absl::StrCat(record.line));
    if (record.reason.empty()) {
      rows->records.push_back({log_.partition, std::nullopt, std::move(record.value), std::move(headers)});
    } else {
      rows->letters.push_back({std::move(record.value), record.reason, std::move(headers)});
    }
  }
  return absl::OkStatus();
}

// A note for each poll would be millions a day: several are replaced by one.
void HttpSource::Remember(const std::string& name, const packed::RequestsSeen& seen, IntakeRows* rows) {
  Hour& hour = HourOf(seen.newest_ms());
  if (hour.number != merged_hour_) {
    merged_hour_ = hour.number;
    merged_names_.clear();
    merged_.Clear();
  }
  merged_.set_newest_ms(std::max(merged_.newest_ms(), seen.newest_ms()));  // the log's clock may step back
  merged_.mutable_keys()->append(seen.keys());
  merged_.mutable_bodies()->MergeFrom(seen.bodies());
  merged_names_.push_back(name);
  hour.notes.push_back(name);
  if (merged_names_.size() < kNotesToMerge && merged_.bodies_size() < static_cast<int>(kKeysToMerge)) {
    rows->notes.push_back({name, seen.SerializeAsString()});
    return;
  }
  rows->notes.push_back({name, merged_.SerializeAsString()});
  merged_names_.pop_back();
  hour.notes.resize(hour.notes.size() - merged_names_.size() - 1);
  hour.notes.push_back(name);
  for (std::string& former : merged_names_) rows->notes.push_back({std::move(former), std::nullopt});
  merged_names_.clear();
  merged_.Clear();
}

HttpSource::Hour& HttpSource::HourOf(int64_t time_ms) {
  const int64_t number = time_ms / kHourMs;
  // The log's clock may step back where its leader changes: what is late belongs to the newest hour.
  if (hours_.empty() || hours_.back().number < number) hours_.push_back({number, {}});
  return hours_.back();
}

void HttpSource::Forget(int64_t now_ms, IntakeRows* rows) {
  while (!hours_.empty() && hours_.front().number + kHoursKept < now_ms / kHourMs) {
    for (std::string& name : hours_.front().notes) rows->notes.push_back({std::move(name), std::nullopt});
    hours_.pop_front();
  }
  keys_.ForgetBefore(now_ms / kHourMs - kHoursKept);
  ForgetWriters(now_ms);
}

// A client library gives up after seconds; a process that was frozen meanwhile may do so later.
void HttpSource::ForgetWriters(int64_t now_ms) {
  auto& writers = *position_.mutable_writers();
  const auto silent = [&](const packed::RequestWriter& w) { return w.newest_ms() + kHoursKept * kHourMs < now_ms; };
  writers.erase(std::remove_if(writers.begin(), writers.end(), silent), writers.end());
  while (writers.size() > kMostWriters) {
    writers.erase(std::min_element(writers.begin(), writers.end(),
                                   [](const auto& a, const auto& b) { return a.newest_ms() < b.newest_ms(); }));
  }
}

// Only housekeeping: what isn't trimmed now is trimmed at a later commit.
absl::Status HttpSource::Committed(const std::string& position) {
  packed::RequestPosition at;
  if (!at.ParseFromString(position)) return absl::OkStatus();
  const int64_t now = runtime_.clock->MonotonicUs();
  if (at.next() <= trimmed_ || now < next_trim_us_) return absl::OkStatus();
  next_trim_us_ = now + kTrimEveryUs;
  const absl::Status trimmed = runtime_.kafka->admin().DeleteRecords({{log_, at.next()}});
  if (trimmed.ok()) trimmed_ = at.next();
  LOG_IF(WARNING, !trimmed.ok()) << "source " << plan_.name << ": trimming " << ToString(log_) << ": " << trimmed;
  return absl::OkStatus();
}

void HttpSource::Interrupt() {
  const absl::MutexLock lock(&mutex_);
  interrupted_ = true;
}

SplitIntake::SourceMaker HttpSourceMaker(const Runtime& runtime, const SourcePlan& plan, std::string folder) {
  return [&runtime, &plan, folder = std::move(folder)](int32_t split) {
    return std::make_unique<HttpSource>(runtime, plan, split, folder);
  };
}

}  // namespace tidemark
