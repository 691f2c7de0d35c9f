#include "src/runtime/http_gate.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/strings/string_view.h>
#include <absl/strings/strip.h>
#include <arrow/buffer.h>
#include <arrow/io/compressed.h>
#include <arrow/io/memory.h>
#include <arrow/util/compression.h>
#include <glog/logging.h>
#include <xxhash.h>

#include "proto/http.pb.h"
#include "src/base/intake_names.h"
#include "src/base/json_text.h"
#include "src/base/status.h"
#include "src/base/time.h"
#include "src/http/listener.h"
#include "src/http/tokens.h"
#include "src/landing/record_check.h"
#include "src/plan/units.h"

namespace tidemark {
namespace {

using packed::HttpRequest_Format;
using Body = packed::HttpRequest;

constexpr size_t kLongestKey = 255;
constexpr int64_t kMostWaitingBytes = int64_t{64} << 20;  // of a source, and no more than a 32nd of the memory
constexpr int64_t kMostBodyBytes = int64_t{256} << 20;    // of all, and no more than an eighth of the memory
constexpr int64_t kMostWaiting = 10'000;
// Brokers that have acknowledged nothing for so long are away: who comes now is told so, and nothing is written.
constexpr int64_t kAwayUs = 2 * kSecond;
constexpr size_t kMostErrorsTold = 10;
// A body is small, its rows need not be: a header that each row repeats, pages of Parquet in which nothing changes.
constexpr int64_t kMostRows = 100'000;
constexpr int64_t kMostRowBytes = int64_t{64} << 20;  // as JSON
constexpr int64_t kPieceBytes = int64_t{1} << 20;     // of rows that are decoded at once

// Who waits for rows to show does so for at most this, unless it says how long, which is at most the other.
constexpr int64_t kWaitUs = 30 * kSecond, kLongestWaitUs = 300 * kSecond;

HttpResponse Json(int status, std::string body) { return {status, "application/json", std::move(body) + "\n", {}}; }
HttpResponse Error(int status, absl::string_view why) {
  return Json(status, absl::StrCat("{\"error\":", JsonQuoted(std::string_view(why.data(), why.size())), "}"));
}
HttpResponse Later(int status, absl::string_view why) {
  HttpResponse response = Error(status, why);
  response.headers.emplace_back("Retry-After", status == 429 ? "1" : "2");
  return response;
}

// A place in a body, and what is wrong there. `column` 0: it isn't known.
struct Fault {
  int64_t line = 0, column = 0;
  std::string why;
};

std::string ToJson(const Fault& fault) {
  return absl::StrCat("{\"line\":", fault.line, fault.column > 0 ? absl::StrCat(",\"column\":", fault.column) : "",
                      ",\"error\":", JsonQuoted(fault.why), "}");
}

// Of a body: how many rows it has, and what is wrong with it.
struct Found {
  int64_t rows = 0, bad_rows = 0, bytes = 0;
  std::vector<Fault> faults;  // the first ones

  void Add(Fault fault) {
    ++bad_rows;
    if (faults.size() < kMostErrorsTold) faults.push_back(std::move(fault));
  }
};

HttpResponse Refuse(const Found& found) {
  std::string list;
  for (const Fault& fault : found.faults) absl::StrAppend(&list, list.empty() ? "" : ",", ToJson(fault));
  const Fault& first = found.faults.front();
  const std::string where = first.column > 0 ? absl::StrCat("line ", first.line, ", column ", first.column)
                                             : absl::StrCat("line ", first.line);
  return Json(400,
              absl::StrCat("{\"error\":", JsonQuoted(absl::StrCat(where, ": ", first.why)), ",\"line\":", first.line,
                           first.column > 0 ? absl::StrCat(",\"column\":", first.column) : "",
                           ",\"bad_rows\":", found.bad_rows, ",\"rows\":", found.rows, ",\"errors\":[", list, "]}"));
}

// Moves the place on by what the text up to `end` holds.
void MoveOn(std::string_view text, size_t end, Fault* fault) {
  for (const char c : text.substr(0, end)) {
    ++fault->column;
    if (c == '\n') ++fault->line, fault->column = 1;
  }
}

// By Content-Type; nothing: another one.
std::optional<HttpRequest_Format> FormatOf(absl::string_view content_type) {
  const std::string type = absl::AsciiStrToLower(
      absl::StripAsciiWhitespace(content_type.substr(0, std::min(content_type.find(';'), content_type.size()))));
  static constexpr std::pair<const char*, HttpRequest_Format> kTypes[] = {
      {"application/json", Body::JSON},
      {"application/x-ndjson", Body::JSON_LINES},
      {"application/ndjson", Body::JSON_LINES},
      {"application/jsonl", Body::JSON_LINES},
      {"application/x-jsonlines", Body::JSON_LINES},
      {"text/csv", Body::CSV},
      {"application/vnd.apache.parquet", Body::PARQUET}};
  for (const auto& [name, format] : kTypes) {
    if (type == name) return format;
  }
  return std::nullopt;
}

FilesSpec::Format ToFilesFormat(HttpRequest_Format format) {
  return format == Body::CSV          ? FilesSpec::Format::kCsv
         : format == Body::PARQUET    ? FilesSpec::Format::kParquet
         : format == Body::JSON_LINES ? FilesSpec::Format::kJsonLines
                                      : FilesSpec::Format::kJson;
}

std::optional<arrow::Compression::type> CompressionOf(absl::string_view encoding) {
  const std::string name = absl::AsciiStrToLower(encoding);
  if (name.empty() || name == "identity") return arrow::Compression::UNCOMPRESSED;
  if (name == "gzip" || name == "x-gzip") return arrow::Compression::GZIP;
  if (name == "zstd") return arrow::Compression::ZSTD;
  return std::nullopt;
}

// InvalidArgument: it isn't what it should be. ResourceExhausted: it has more than `most` bytes.
absl::StatusOr<std::string> Unpack(std::string body, arrow::Compression::type compression, int64_t most) {
  const auto too_large = [&] {
    return absl::ResourceExhaustedError(absl::StrCat("a body may have ", most, " bytes here, uncompressed"));
  };
  if (compression == arrow::Compression::UNCOMPRESSED) {
    if (static_cast<int64_t>(body.size()) > most) return too_large();
    return body;
  }
  const std::string name = arrow::util::Codec::GetCodecAsString(compression);
  const auto wrong = [&](const std::string& why) {
    return absl::InvalidArgumentError(absl::StrCat("damaged or cut off ", name, ": ", why));
  };
  auto codec = arrow::util::Codec::Create(compression);
  if (!codec.ok()) return wrong(codec.status().message());
  const auto raw = std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(std::move(body)));
  auto stream = arrow::io::CompressedInputStream::Make(codec->get(), raw);
  if (!stream.ok()) return wrong(stream.status().message());
  std::string out;
  while (true) {
    const auto piece = (*stream)->Read(int64_t{64} << 10);
    if (!piece.ok()) return wrong(piece.status().message());
    if ((*piece)->size() == 0) break;
    out.append(reinterpret_cast<const char*>((*piece)->data()), static_cast<size_t>((*piece)->size()));
    if (static_cast<int64_t>(out.size()) > most) return too_large();
  }
  return out;
}

// What the parameters say: how long the client waits for its rows to show; 0: it doesn't. InvalidArgument: they have no
// meaning.
absl::StatusOr<int64_t> WaitOf(const HttpRequest& head) {
  bool waits = false;
  std::optional<int64_t> timeout;
  for (const auto& [name, value] : head.query) {
    if (name == "wait" && value == "committed") {
      waits = true;
    } else if (name == "timeout") {
      timeout = ParseDuration(value);
      if (!timeout || *timeout <= 0 || *timeout > kLongestWaitUs) {
        return absl::InvalidArgumentError(
            absl::StrCat("'timeout' is how long to wait, from 1ms to 300s, not '", value, "'"));
      }
    } else if (name == "wait") {
      return absl::InvalidArgumentError(absl::StrCat("'wait' is committed, or left out; not '", value, "'"));
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("'", name, "' has no meaning here: `wait=committed` has, and `timeout` with it"));
    }
  }
  if (timeout && !waits) return absl::InvalidArgumentError("'timeout' goes with wait=committed");
  return waits ? timeout.value_or(kWaitUs) : 0;
}

}  // namespace

// One source's. Begin and Take are called by the server's thread, Decode by that of the bodies.
struct HttpGate::Door {
  Door(const SourcePlan& source, const std::string& requests_topic, int64_t memory_bytes, Clock* time)
      : plan(source),
        spec(*source.http),
        topic(requests_topic),
        most_waiting_bytes(std::min(kMostWaitingBytes, memory_bytes / 32)),
        clock(time) {
    if (!spec.tokens.empty()) tokens.emplace(spec.tokens, clock);
    flat = std::all_of(plan.columns.begin(), plan.columns.end(), [](const SourceColumn& c) {
      if (c.from == SourceColumn::From::kRaw) return false;
      return c.from != SourceColumn::From::kValue || (c.path.size() == 1 && c.column.type.kind != Kind::kJson);
    });
  }

  std::optional<HttpResponse> Begin(const HttpRequest& head) {
    std::string client;
    std::optional<HttpResponse> refusal = WhyNot(head, &client);
    if (refusal) Count(refusal->status);
    return refusal;
  }
  void Take(HttpRequest request, HttpReply reply, const RunTask& run);
  HttpResponse RefuseUnread(int status, const std::string& why) {
    Count(status);
    return Error(status, why);
  }
  // Nothing: it may come in, and is the client's.
  std::optional<HttpResponse> WhyNot(const HttpRequest& head, std::string* client);
  std::optional<HttpResponse> WhyNotNow();
  void Decode(HttpRequest request, const std::string& client, const HttpReply& reply);
  // What is wrong with the body, if anything is; else how many rows it has.
  std::optional<HttpResponse> CheckBody(const Body& body, int64_t* rows);
  std::optional<HttpResponse> CheckPiece(const Body& body, const std::vector<FileRecord>& records, Found* found);
  Fault FaultOf(const Body& body, absl::string_view message) const;
  // `wait_us`: how long the client waits for its rows to show.
  void Append(const Body& body, int64_t rows, int64_t wait_us, HttpReply reply);
  void Accepted(int32_t partition, Offset offset, int64_t rows, int64_t wait_us, HttpReply reply);
  void Count(int status, int64_t rows = 0) {
    const absl::MutexLock lock(&mutex);
    ++answers[status];
    accepted_rows += rows;
  }

  const SourcePlan& plan;
  const HttpSpec& spec;
  const std::string topic;
  const int64_t most_waiting_bytes;
  Clock* const clock;
  bool flat = false;  // CSV and Parquet can have its columns
  std::optional<Tokens> tokens;
  std::unique_ptr<RecordCheck> check;  // of the bodies' thread, like what follows
  uint64_t turn = 0;                   // of requests without a key

  absl::Mutex mutex;
  std::shared_ptr<Appender> appender ABSL_GUARDED_BY(mutex);  // null: not open, or closed
  AwaitVisible await ABSL_GUARDED_BY(mutex);
  std::map<int, int64_t> answers ABSL_GUARDED_BY(mutex);
  int64_t accepted_rows ABSL_GUARDED_BY(mutex) = 0;
  int64_t waiting ABSL_GUARDED_BY(mutex) = 0, waiting_bytes ABSL_GUARDED_BY(mutex) = 0;
  int64_t silent_since_us ABSL_GUARDED_BY(mutex) = 0;  // monotonic; since then some wait, and nothing was acknowledged
};

std::optional<HttpResponse> HttpGate::Door::WhyNot(const HttpRequest& head, std::string* client) {
  if (tokens) {
    absl::StatusOr<std::string> name = tokens->Check(head.Header("authorization"), plan.name);
    if (absl::IsPermissionDenied(name.status())) return Error(403, name.status().message());
    if (!name.ok()) {
      HttpResponse response = Error(401, name.status().message());
      response.headers.emplace_back("WWW-Authenticate", "Bearer");
      return response;
    }
    *client = *std::move(name);
  }
  if (const absl::StatusOr<int64_t> wait = WaitOf(head); !wait.ok()) return Error(400, wait.status().message());
  const std::string_view type = head.Header("content-type");
  const std::optional<HttpRequest_Format> format = FormatOf({type.data(), type.size()});
  if (!format) {
    return Error(415, absl::StrCat("Content-Type '", std::string(type),
                                   "' isn't taken; application/json, application/x-ndjson, text/csv and "
                                   "application/vnd.apache.parquet are"));
  }
  if (!flat && (*format == Body::CSV || *format == Body::PARQUET)) {
    return Error(415,
                 "columns of this source lie deeper than a flat row has them, are json, or the whole value: post JSON");
  }
  const std::string_view encoding = head.Header("content-encoding");
  if (!CompressionOf({encoding.data(), encoding.size()})) {
    return Error(415, absl::StrCat("Content-Encoding '", std::string(encoding), "' isn't taken; gzip and zstd are"));
  }
  int keys = 0;
  for (const auto& [name, value] : head.headers) {
    if (!absl::EqualsIgnoreCase(name, "idempotency-key")) continue;
    // An empty one is a client's mistake, whose retries would double.
    if (value.empty() || value.size() > kLongestKey || ++keys > 1) {
      return Error(400, absl::StrCat("one Idempotency-Key is expected, of 1 to ", kLongestKey, " bytes"));
    }
  }
  return WhyNotNow();
}

std::optional<HttpResponse> HttpGate::Door::WhyNotNow() {
  const absl::MutexLock lock(&mutex);
  if (appender == nullptr) {
    HttpResponse response = Later(503, "the worker starts or stops");
    response.headers.emplace_back("Connection", "close");  // another worker may be behind the address
    return response;
  }
  if (waiting > 0 && clock->MonotonicUs() - silent_since_us > kAwayUs) {
    return Later(503, "the brokers don't answer; nothing of this was written");
  }
  if (waiting >= kMostWaiting || waiting_bytes >= most_waiting_bytes) {
    return Later(429, "too much is waiting to be written");
  }
  return std::nullopt;
}

void HttpGate::Door::Take(HttpRequest request, HttpReply reply, const RunTask& run) {
  // Again: the body may have taken its time.
  std::string client;
  if (std::optional<HttpResponse> refusal = WhyNot(request, &client)) {
    Count(refusal->status);
    return reply(*std::move(refusal));
  }
  const auto whole = std::make_shared<HttpRequest>(std::move(request));
  run([this, whole, client = std::move(client), reply = std::move(reply)] {
    Decode(std::move(*whole), client, reply);
  });
}

void HttpGate::Door::Decode(HttpRequest request, const std::string& client, const HttpReply& reply) {
  const auto answer = [&](HttpResponse response) {
    Count(response.status);
    reply(std::move(response));
  };
  // And again: others may have been before it.
  if (std::optional<HttpResponse> refusal = WhyNotNow()) return answer(*std::move(refusal));
  const std::string_view type = request.Header("content-type"), encoding = request.Header("content-encoding");
  absl::StatusOr<std::string> text =
      Unpack(std::move(request.body), *CompressionOf({encoding.data(), encoding.size()}), spec.max_body_bytes);
  if (absl::IsResourceExhausted(text.status())) return answer(Error(413, text.status().message()));
  if (!text.ok()) return answer(Error(400, text.status().message()));
  Body body;
  body.set_format(*FormatOf({type.data(), type.size()}));
  body.set_body(*std::move(text));
  body.set_client(client);
  body.set_key(std::string(request.Header("idempotency-key")));
  if (body.format() == Body::CSV) body.set_delimiter(std::string(1, spec.delimiter));
  int64_t rows = 0;
  if (std::optional<HttpResponse> refusal = CheckBody(body, &rows)) return answer(*std::move(refusal));
  Append(body, rows, *WaitOf(request), reply);
}

std::optional<HttpResponse> HttpGate::Door::CheckBody(const Body& body, int64_t* rows) {
  Found found;
  std::vector<FileRecord> records;
  absl::StatusOr<std::unique_ptr<FileRecords>> opened =
      FileRecords::OfBody(plan, ToFilesFormat(body.format()), spec.delimiter, body.body());
  absl::StatusOr<bool> more = opened.ok() ? absl::StatusOr<bool>(true) : opened.status();
  while (more.ok() && *more) {
    records.clear();
    more = (*opened)->Read(kPieceBytes, &records);
    if (std::optional<HttpResponse> refusal = CheckPiece(body, records, &found)) return refusal;
  }
  if (absl::IsResourceExhausted(more.status())) return Error(413, more.status().message());
  if (!more.ok()) found.Add(FaultOf(body, more.status().message()));
  if (found.bad_rows > 0) return Refuse(found);
  if (found.rows == 0) return Error(400, "the body has no rows");
  *rows = found.rows;
  return std::nullopt;
}

std::optional<HttpResponse> HttpGate::Door::CheckPiece(const Body& body, const std::vector<FileRecord>& records,
                                                       Found* found) {
  found->rows += static_cast<int64_t>(records.size());
  for (const FileRecord& record : records) found->bytes += static_cast<int64_t>(record.value.size());
  if (found->rows > kMostRows || found->bytes > kMostRowBytes) {
    return Error(413, absl::StrCat("a body may have ", kMostRows, " rows, of ", kMostRowBytes >> 20,
                                   " MiB together as JSON: split it"));
  }
  const HeaderList place = {{kIntakeClientHeader, body.client()}, {kIntakeRequestHeader, "0:0"}};
  std::vector<std::string> reasons;
  const absl::Status checked = check->Check(place, clock->WallUs() / 1'000, records, &reasons);
  if (!checked.ok()) return Later(503, checked.message());
  for (size_t i = 0; i < records.size(); ++i) {
    if (reasons[i].empty()) continue;
    Fault fault{records[i].line, 0, reasons[i]};
    if (body.format() == Body::JSON || body.format() == Body::JSON_LINES) {
      fault.column = records[i].column;
      MoveOn(records[i].value, PlaceOfReason(plan, records[i].value, reasons[i]), &fault);
    }
    found->Add(std::move(fault));
  }
  return std::nullopt;
}

// Of what is wrong around the rows: "line 7: ...".
Fault HttpGate::Door::FaultOf(const Body& body, absl::string_view message) const {
  Fault fault{1, 0, ""};
  if (absl::ConsumePrefix(&message, "line ")) {
    const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(message, absl::MaxSplits(": ", 1));
    if (absl::SimpleAtoi(parts.first, &fault.line)) message = parts.second;
  }
  fault.why = std::string(message);
  if (body.format() != Body::JSON) return fault;
  JsonText text(body.body());
  const bool whole = text.SkipValue(0);
  const char* const at = whole ? text.position() : text.failed_at();
  if (whole && text.AtEnd()) return fault;
  Fault place{1, 1, fault.why};
  MoveOn(body.body(), static_cast<size_t>(at - body.body().data()), &place);
  return place;
}

void HttpGate::Door::Append(const Body& body, int64_t rows, int64_t wait_us, HttpReply reply) {
  const std::string value = body.SerializeAsString();
  const auto bytes = static_cast<int64_t>(value.size());
  const uint64_t place = body.key().empty() ? turn++ : XXH3_64bits(body.key().data(), body.key().size());
  const auto partition = static_cast<int32_t>(place % static_cast<uint64_t>(spec.partitions));
  std::shared_ptr<Appender> to;
  {
    const absl::MutexLock lock(&mutex);
    to = appender;
    if (to != nullptr) {
      if (waiting++ == 0) silent_since_us = clock->MonotonicUs();
      waiting_bytes += bytes;
    }
  }
  if (to == nullptr) {
    Count(503);
    return reply(Later(503, "the worker stops"));
  }
  to->Append(
      topic, partition, value, [this, partition, bytes, rows, wait_us, reply = std::move(reply)](const Appended& what) {
        {
          const absl::MutexLock lock(&mutex);
          --waiting;
          waiting_bytes -= bytes;
          silent_since_us =
              what.outcome == Appended::Outcome::kIn || waiting == 0 ? clock->MonotonicUs() : silent_since_us;
        }
        if (what.outcome == Appended::Outcome::kIn) return Accepted(partition, what.offset, rows, wait_us, reply);
        HttpResponse response;
        if (what.outcome == Appended::Outcome::kUnknown) {
          response = Error(504, "nobody knows yet whether this is in: ask again with the same Idempotency-Key");
        } else if (absl::IsInvalidArgument(what.status)) {
          response = Error(413, absl::StrCat("the log of requests doesn't take this body: ", what.status.message()));
        } else {
          response = Later(503, absl::StrCat("nothing of this was written: ", what.status.message()));
        }
        Count(response.status);
        reply(std::move(response));
      });
}

void HttpGate::Door::Accepted(int32_t partition, Offset offset, int64_t rows, int64_t wait_us, HttpReply reply) {
  const std::string place = absl::StrCat("{\"topic\":", JsonQuoted(topic), ",\"partition\":", partition,
                                         ",\"offset\":", offset, ",\"rows\":", rows);
  const auto answer = [this, place, rows, reply = std::move(reply)](int status, const char* shows) {
    Count(status, rows);
    reply(Json(status, absl::StrCat(place, shows, "}")));
  };
  if (wait_us == 0) return answer(202, "");
  AwaitVisible to;
  {
    const absl::MutexLock lock(&mutex);
    to = await;
  }
  if (to == nullptr) return answer(202, ",\"visible\":false");
  to(plan.name, partition, offset, clock->MonotonicUs() + wait_us,
     [answer](bool visible) { answer(visible ? 200 : 202, visible ? ",\"visible\":true" : ",\"visible\":false"); });
}

HttpGate::HttpGate(const Plan& plan, const Formats& formats, Clock* clock, RunTask run)
    : memory_bytes_(plan.memory_bytes), run_(std::move(run)) {
  for (const SourcePlan& source : plan.sources) {
    if (!source.http) continue;
    auto door = std::make_shared<Door>(source, IntakeNames{plan.application, source.name}.RequestsTopic(),
                                       plan.memory_bytes, clock);
    absl::StatusOr<std::unique_ptr<RecordCheck>> check = RecordCheck::Make(source, formats);
    if (check.ok()) door->check = *std::move(check);
    if (prepared_.ok()) prepared_ = check.status();
    doors_.push_back(std::move(door));
  }
  if (run_ != nullptr || doors_.empty()) return;
  thread_ = std::make_unique<TaskThread>();
  run_ = [this](std::function<void()> task) { thread_->Run(std::move(task)); };
}

HttpGate::~HttpGate() {
  Close(0);
  thread_.reset();  // who was left has been told that the worker stops
}

int64_t HttpGate::most_body_bytes() const {
  int64_t largest = 0;
  for (const auto& door : doors_) largest = std::max(largest, door->spec.max_body_bytes);
  return std::max(std::min(kMostBodyBytes, memory_bytes_ / 8), 2 * largest);
}

absl::Status HttpGate::Prepare(const std::string& http_address) {
  TM_RETURN_IF_ERROR(prepared_);
  for (const auto& door : doors_) {
    if (door->tokens) {
      TM_RETURN_IF_ERROR(Annotate(door->tokens->Load(), absl::StrCat("source ", door->plan.name)));
    } else if (!IsLoopback(http_address)) {
      return absl::InvalidArgumentError(
          absl::StrCat("source ", door->plan.name, " is posted to without tokens, so anybody who reaches ",
                       http_address, " could: state `tokens` in its `http`, or listen on 127.0.0.1"));
    } else {
      LOG(WARNING) << "source " << door->plan.name << ": without tokens anybody on this machine may post to "
                   << door->spec.path << ", and whoever a proxy on it lets through";
    }
  }
  return absl::OkStatus();
}

HttpEntrances HttpGate::Entrances() {
  HttpEntrances entrances;
  for (const std::shared_ptr<Door>& door : doors_) {
    // Compressed bodies that are larger than what comes out of them are nothing anybody needs.
    entrances[door->spec.path] = {
        door->spec.max_body_bytes, [door](const HttpRequest& head) { return door->Begin(head); },
        [this, door](HttpRequest request, HttpReply reply) { door->Take(std::move(request), std::move(reply), run_); },
        [door](const HttpRequest*, int status, const std::string& why) { return door->RefuseUnread(status, why); }};
  }
  return entrances;
}

void HttpGate::Open(std::unique_ptr<Appender> appender, AwaitVisible await) {
  const std::shared_ptr<Appender> shared = std::move(appender);
  for (const auto& door : doors_) {
    const absl::MutexLock lock(&door->mutex);
    door->appender = shared;
    door->await = await;
  }
  const absl::MutexLock lock(&mutex_);
  appender_ = shared;
}

void HttpGate::Close(int64_t max_wait_us) {
  std::shared_ptr<Appender> appender;
  {
    const absl::MutexLock lock(&mutex_);
    appender = std::move(appender_);
  }
  for (const auto& door : doors_) {
    const absl::MutexLock lock(&door->mutex);
    door->appender = nullptr;
  }
  // Who has it in hand still, for the moment of an Append, is refused by a client that is closed.
  if (appender != nullptr) appender->Close(max_wait_us);
}

std::vector<HttpGateStatus> HttpGate::status() const {
  std::vector<HttpGateStatus> all;
  for (const auto& door : doors_) {
    const absl::MutexLock lock(&door->mutex);
    all.push_back({door->plan.name, door->answers, door->accepted_rows, door->waiting_bytes});
  }
  return all;
}

}  // namespace tidemark
