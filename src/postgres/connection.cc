#include "src/postgres/connection.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <utility>

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>

#include "src/base/status.h"

namespace tidemark {
namespace {

constexpr int64_t kConnectUs = 10'000'000;
// Longer than the server's own statement_timeout, so that this one only strikes where the server has become
// unreachable.
constexpr int64_t kAnswerUs = 130'000'000;
constexpr int kPollMs = 100;  // how soon an interrupt is noticed

// idle_in_transaction_session_timeout: a frozen worker loses its transaction, and with it the lock on the fence row,
// which its successor waits for no longer than lock_timeout. The planner settings: our statements join a few thousand
// keys with the table's index; a plan made while the table was small must not become a scan of the whole table later.
constexpr char kSettings[] =
    "SET idle_in_transaction_session_timeout = '15s';"
    "SET lock_timeout = '20s';"
    "SET statement_timeout = '120s';"
    "SET TimeZone = 'UTC';"
    "SET client_min_messages = 'error';"
    "SET jit = off;"
    "SET plan_cache_mode = 'force_generic_plan';"
    "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;";

// Values as texts in one form. A table of which rows are hidden from us isn't read as if it had no others. A snapshot
// of a large table takes as long as it takes.
constexpr char kReadSettings[] =
    "SET DateStyle = 'ISO, YMD';"
    "SET TimeZone = 'UTC';"
    "SET IntervalStyle = 'postgres';"
    "SET bytea_output = 'hex';"
    "SET extra_float_digits = 1;"
    "SET row_security = off;"
    "SET client_min_messages = 'error';"
    "SET idle_in_transaction_session_timeout = 0;"
    "SET lock_timeout = '20s';"
    "SET statement_timeout = 0;"
    "SET jit = off;";

// A slot that is made waits for transactions as for locks, as long as they take.
constexpr char kReplicateSettings[] = "SET lock_timeout = 0;";

int64_t NowUs() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// The five characters after the severity in "FATAL:  28P01: password authentication failed ...", of the last such line.
std::string SqlStateOf(std::string_view message) {
  std::string found;
  for (size_t at = 0; (at = message.find(":  ", at)) != std::string_view::npos; at += 3) {
    const std::string_view code = message.substr(at + 3, 6);
    const bool is_code = code.size() == 6 && code[5] == ':' && std::all_of(code.begin(), code.begin() + 5, [](char c) {
                           return absl::ascii_isdigit(c) || absl::ascii_isupper(c);
                         });
    if (is_code) found = std::string(code.substr(0, 5));
  }
  return found;
}

// Without the server's source position, on one line.
std::string Tidy(std::string message) {
  for (size_t at; (at = message.find("LOCATION:")) != std::string::npos;) {
    const size_t end = message.find('\n', at);
    message.erase(at, end == std::string::npos ? std::string::npos : end - at + 1);
  }
  while (!message.empty() && absl::ascii_isspace(message.back())) message.pop_back();
  return absl::StrReplaceAll(message, {{"\n", " "}});
}

std::string Field(const PGresult* result, int field) {
  const char* text = PQresultErrorField(result, field);
  return text == nullptr ? "" : text;
}

}  // namespace

absl::StatusCode PgStatusCode(std::string_view sqlstate) {
  const std::string_view kind = sqlstate.substr(0, 2);
  // Data exceptions, constraints, what a trigger raises, check options, and limits such as the size of an index row.
  for (const char* data : {"21", "22", "23", "P0", "44", "54"}) {
    if (kind == data) return absl::StatusCode::kOutOfRange;
  }
  // Authorization, catalog and schema names, access rules, features.
  for (const char* user : {"28", "3D", "3F", "42", "0A"}) {
    if (kind == user) return absl::StatusCode::kInvalidArgument;
  }
  return absl::StatusCode::kUnavailable;
}

PgConnection::PgConnection(std::string url, std::string application, std::string what,
                           const std::atomic<bool>* interrupted, PgUse use)
    : url_(std::move(url)),
      application_(std::move(application)),
      what_(std::move(what)),
      interrupted_(interrupted),
      use_(use) {
  if (const char* password = std::getenv("PGPASSWORD")) password_ = password;
  PQconninfoOption* options = PQconninfoParse(url_.c_str(), nullptr);
  for (PQconninfoOption* option = options; option != nullptr && option->keyword != nullptr; ++option) {
    if (std::string_view(option->keyword) == "password" && option->val != nullptr) password_ = option->val;
  }
  PQconninfoFree(options);
}

PgConnection::~PgConnection() { Close(); }

void PgConnection::Close() {
  if (copied_ != nullptr) PQfreemem(std::exchange(copied_, nullptr));
  if (connection_ != nullptr) PQfinish(connection_);
  connection_ = nullptr;
}

bool PgConnection::idle() const {
  return connection_ != nullptr && PQstatus(connection_) == CONNECTION_OK &&
         PQtransactionStatus(connection_) == PQTRANS_IDLE;
}

int PgConnection::server_version() const { return connection_ == nullptr ? 0 : PQserverVersion(connection_); }

std::string PgConnection::Masked(std::string text) const {
  return password_.empty() ? text : absl::StrReplaceAll(text, {{password_, "***"}});
}

absl::Status PgConnection::Connect() {
  Close();
  if (interrupted()) return absl::UnavailableError(absl::StrCat(what_, ": interrupted"));
  PQconninfoOption* parsed = PQconninfoParse(url_.c_str(), nullptr);
  if (parsed == nullptr) {  // libpq's own message would quote the URL
    return absl::InvalidArgumentError(
        absl::StrCat(what_, ": the url can't be read; expected postgresql://user:password@host:port/database"));
  }
  PQconninfoFree(parsed);
  // What stands before dbname gives way to the URL's own settings.
  const bool replicate = use_ == PgUse::kReplicate;
  const char* keywords[] = {"application_name",
                            "keepalives_idle",
                            "keepalives_interval",
                            "keepalives_count",
                            "tcp_user_timeout",
                            "dbname",
                            "client_encoding",
                            replicate ? "replication" : nullptr,
                            nullptr};
  const char* values[] = {application_.c_str(), "10", "5", "3", "30000", url_.c_str(), "UTF8", "database", nullptr};
  connection_ = PQconnectStartParams(keywords, values, 1);
  if (connection_ == nullptr) return absl::ResourceExhaustedError(absl::StrCat(what_, ": out of memory"));
  PQsetErrorVerbosity(connection_, PQERRORS_VERBOSE);  // the only way to see the code of a failed start
  PQsetNoticeProcessor(connection_, [](void*, const char*) {}, nullptr);
  const int64_t deadline = NowUs() + kConnectUs;
  PostgresPollingStatusType state =
      PQstatus(connection_) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
  while (state != PGRES_POLLING_OK) {
    if (state == PGRES_POLLING_FAILED) return ConnectError();
    TM_RETURN_IF_ERROR(Wait(state == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline));
    state = PQconnectPoll(connection_);
  }
  PQsetErrorVerbosity(connection_, PQERRORS_DEFAULT);
  PQsetnonblocking(connection_, 1);
  TM_RETURN_IF_ERROR(Run(use_ == PgUse::kWrite ? kSettings : kReadSettings).status());
  if (replicate) TM_RETURN_IF_ERROR(Run(kReplicateSettings).status());
  // A server whose client has died gives the locks back within seconds, not when the statement ends.
  if (server_version() >= 140000) TM_RETURN_IF_ERROR(Run("SET client_connection_check_interval = '2s'").status());
  return absl::OkStatus();
}

absl::Status PgConnection::ConnectError() {
  const std::string raw = PQerrorMessage(connection_);
  const std::string state = SqlStateOf(raw);
  const bool needs_password = PQconnectionNeedsPassword(connection_);
  const std::string message = absl::StrCat(what_, ": can't connect to PostgreSQL: ", Masked(Tidy(raw)));
  Close();
  if (needs_password) return absl::InvalidArgumentError(absl::StrCat(message, "; give the password in the url"));
  const absl::StatusCode code = state.empty() ? absl::StatusCode::kUnavailable : PgStatusCode(state);
  if (code != absl::StatusCode::kInvalidArgument) return absl::UnavailableError(message);
  return absl::InvalidArgumentError(
      absl::StrCat(message, absl::StartsWith(state, "28")   ? "; check user and password in the url"
                            : absl::StartsWith(state, "3D") ? "; create the database, or check its name in the url"
                                                            : "; check the url and the user's permissions"));
}

absl::Status PgConnection::Lost(std::string_view why) {
  const std::string detail = connection_ == nullptr ? "" : Masked(Tidy(PQerrorMessage(connection_)));
  Close();
  return absl::UnavailableError(absl::StrCat(what_, ": ", std::string(why), detail.empty() ? "" : ": ", detail));
}

absl::Status PgConnection::Wait(short events, int64_t deadline_us) {
  pollfd descriptor{PQsocket(connection_), events, 0};
  while (true) {
    if (interrupted()) return Lost("interrupted");
    if (NowUs() > deadline_us) return Lost("PostgreSQL doesn't answer");
    const int ready = poll(&descriptor, 1, kPollMs);
    if (ready > 0) return absl::OkStatus();
    if (ready < 0 && errno != EINTR) return Lost("poll failed");
  }
}

absl::StatusOr<bool> PgConnection::WaitToRead(int64_t until_us) {
  pollfd descriptor{PQsocket(connection_), POLLIN, 0};
  while (true) {
    if (interrupted()) return Lost("interrupted");
    const int64_t left_ms = std::max<int64_t>(until_us - NowUs(), 0) / 1000;
    const int ready = poll(&descriptor, 1, static_cast<int>(std::min<int64_t>(left_ms, kPollMs)));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return Lost("poll failed");
    if (left_ms <= kPollMs && NowUs() >= until_us - 1000) return false;
  }
}

// Sends what is queued, while taking in what arrives (both sides would wait for ever otherwise).
absl::Status PgConnection::Flush(int sent, int64_t deadline_us) {
  if (sent != 1) return Lost("lost the connection to PostgreSQL");
  for (int flushed; (flushed = PQflush(connection_)) != 0;) {
    if (flushed < 0) return Lost("lost the connection to PostgreSQL");
    TM_RETURN_IF_ERROR(Wait(POLLIN | POLLOUT, deadline_us));
    if (PQconsumeInput(connection_) != 1) return Lost("lost the connection to PostgreSQL");
  }
  return absl::OkStatus();
}

absl::StatusOr<PgResult> PgConnection::Finish(int sent) {
  const int64_t deadline = NowUs() + kAnswerUs;
  TM_RETURN_IF_ERROR(Flush(sent, deadline));
  return TakeAnswer(deadline);
}

absl::StatusOr<PgResult> PgConnection::TakeAnswer(int64_t deadline_us) {
  PgResult last;
  while (true) {
    while (PQisBusy(connection_)) {
      TM_RETURN_IF_ERROR(Wait(POLLIN, deadline_us));
      if (PQconsumeInput(connection_) != 1) return Lost("lost the connection to PostgreSQL");
    }
    PgResult result(PQgetResult(connection_));
    if (result == nullptr) break;
    // Of several statements the first error ends the rest.
    if (last == nullptr || PQresultStatus(last.get()) != PGRES_FATAL_ERROR) last = std::move(result);
    const ExecStatusType status = PQresultStatus(last.get());
    if (status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) return last;  // it has begun, and goes on
    if (status == PGRES_COPY_IN) return Lost("PostgreSQL has ended the replication");
  }
  if (PQstatus(connection_) != CONNECTION_OK) return Lost("lost the connection to PostgreSQL");
  if (last == nullptr) return Lost("PostgreSQL gave no answer");
  const ExecStatusType status = PQresultStatus(last.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) return ResultError(last.get());
  return last;
}

absl::Status PgConnection::Send(const std::string& sql) {
  if (connection_ == nullptr) return Lost("no connection to PostgreSQL");
  return Flush(PQsendQuery(connection_, sql.c_str()), NowUs() + kAnswerUs);
}

absl::StatusOr<std::optional<PgResult>> PgConnection::Await(int64_t max_wait_us) {
  if (connection_ == nullptr) return Lost("no connection to PostgreSQL");
  const int64_t until = NowUs() + max_wait_us;
  while (PQisBusy(connection_)) {
    TM_ASSIGN_OR_RETURN(const bool ready, WaitToRead(until));
    if (!ready) return std::nullopt;
    if (PQconsumeInput(connection_) != 1) return Lost("lost the connection to PostgreSQL");
  }
  TM_ASSIGN_OR_RETURN(PgResult result, TakeAnswer(NowUs() + kAnswerUs));
  return result;
}

absl::Status PgConnection::StartCopy(const std::string& sql) {
  TM_ASSIGN_OR_RETURN(const PgResult result, Run(sql));
  const ExecStatusType status = PQresultStatus(result.get());
  if (status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) return absl::OkStatus();
  return Lost("PostgreSQL doesn't copy");
}

absl::StatusOr<PgConnection::CopyRead> PgConnection::ReadCopy(int64_t max_wait_us) {
  if (connection_ == nullptr) return Lost("no connection to PostgreSQL");
  if (copied_ != nullptr) PQfreemem(std::exchange(copied_, nullptr));
  const int64_t until = max_wait_us > 0 ? NowUs() + max_wait_us : 0;
  while (true) {
    const int size = PQgetCopyData(connection_, &copied_, 1);
    if (size > 0) return CopyRead{CopyRead::What::kData, {copied_, static_cast<size_t>(size)}};
    if (size == -2) return Lost("lost the connection to PostgreSQL");
    if (size == -1) {  // the end, or an error that ended it
      TM_ASSIGN_OR_RETURN(const PgResult result, TakeAnswer(NowUs() + kAnswerUs));
      return CopyRead{CopyRead::What::kEnd, {}};
    }
    TM_ASSIGN_OR_RETURN(const bool ready, WaitToRead(until));
    if (!ready) return CopyRead();
    if (PQconsumeInput(connection_) != 1) return Lost("lost the connection to PostgreSQL");
  }
}

absl::Status PgConnection::WriteCopy(std::string_view data) {
  if (connection_ == nullptr) return Lost("no connection to PostgreSQL");
  return Flush(PQputCopyData(connection_, data.data(), static_cast<int>(data.size())), NowUs() + kConnectUs);
}

absl::Status PgConnection::ResultError(const PGresult* result) const {
  const std::string state = Field(result, PG_DIAG_SQLSTATE);
  const std::string primary = Field(result, PG_DIAG_MESSAGE_PRIMARY), detail = Field(result, PG_DIAG_MESSAGE_DETAIL);
  const absl::StatusCode code = PgStatusCode(state);
  std::string message = absl::StrCat(primary.empty() ? Tidy(PQresultErrorMessage(result)) : primary,
                                     detail.empty() ? "" : ": ", detail, " (SQLSTATE ", state, ")");
  // The reason of a row stands alone in a dead letter.
  if (code != absl::StatusCode::kOutOfRange) message = absl::StrCat(what_, ": ", message);
  return absl::Status(code, Masked(std::move(message)));
}

absl::StatusOr<PgResult> PgConnection::Run(const std::string& sql) {
  if (connection_ == nullptr) return Lost("no connection to PostgreSQL");
  return Finish(PQsendQuery(connection_, sql.c_str()));
}

absl::StatusOr<PgResult> PgConnection::Run(const std::string& sql, const std::vector<std::string>& parameters) {
  if (connection_ == nullptr) return Lost("no connection to PostgreSQL");
  std::vector<const char*> values;
  for (const std::string& parameter : parameters) values.push_back(parameter.c_str());
  return Finish(PQsendQueryParams(connection_, sql.c_str(), static_cast<int>(values.size()), nullptr, values.data(),
                                  nullptr, nullptr, 0));
}

absl::Status PgConnection::Prepare(const std::string& name, const std::string& sql, const std::vector<Oid>& types) {
  if (connection_ == nullptr) return Lost("no connection to PostgreSQL");
  return Finish(PQsendPrepare(connection_, name.c_str(), sql.c_str(), static_cast<int>(types.size()), types.data()))
      .status();
}

absl::StatusOr<PgResult> PgConnection::RunPrepared(const std::string& name, std::span<const std::string> parameters) {
  if (connection_ == nullptr) return Lost("no connection to PostgreSQL");
  std::vector<const char*> values;
  std::vector<int> lengths, formats(parameters.size(), 1);
  for (const std::string& parameter : parameters) {
    values.push_back(parameter.data());
    lengths.push_back(static_cast<int>(parameter.size()));
  }
  return Finish(PQsendQueryPrepared(connection_, name.c_str(), static_cast<int>(values.size()), values.data(),
                                    lengths.data(), formats.data(), 0));
}

std::string PgConnection::Quote(std::string_view identifier) {
  return absl::StrCat(
      "\"", absl::StrReplaceAll(absl::string_view(identifier.data(), identifier.size()), {{"\"", "\"\""}}), "\"");
}

std::string PgConnection::QuoteText(std::string_view text) {
  return absl::StrCat("'", absl::StrReplaceAll(absl::string_view(text.data(), text.size()), {{"'", "''"}}), "'");
}

}  // namespace tidemark
