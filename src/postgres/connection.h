// A libpq connection with deadlines: every call ends in bounded time, also where the network swallows packets, and
// another thread can interrupt it by a flag. Used by one thread. No error message shows the password.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <libpq-fe.h>

namespace tidemark {

struct PgResultDeleter {
  void operator()(PGresult* result) const { PQclear(result); }
};
using PgResult = std::unique_ptr<PGresult, PgResultDeleter>;

// What an SQLSTATE means. OutOfRange: the content of some row was refused. InvalidArgument: what only the user can
// mend. Unavailable: everything else, as it may pass.
absl::StatusCode PgStatusCode(std::string_view sqlstate);

// What a connection is for, which its session's settings follow.
enum class PgUse {
  kWrite,      // a sink's short transactions
  kRead,       // catalogs and whole tables, whose values are wanted in one form whatever the server's settings are
  kReplicate,  // the same, of a walsender for logical replication, which takes its commands as well
};

class PgConnection {
 public:
  // `what` names the thing in messages: "sink s2". Once `interrupted` (may be null, outlives the connection) is true, a
  // call that waits, and every later one, returns Unavailable within a tenth of a second.
  PgConnection(std::string url, std::string application, std::string what, const std::atomic<bool>* interrupted,
               PgUse use = PgUse::kWrite);
  ~PgConnection();
  PgConnection(const PgConnection&) = delete;
  PgConnection& operator=(const PgConnection&) = delete;

  // A new connection, with the session's settings made. InvalidArgument: the URL, the password or the database is
  // wrong.
  absl::Status Connect();
  void Close();
  // Usable, and not within a transaction.
  bool idle() const;
  int server_version() const;
  // Of the server's process behind it; 0: there is no connection.
  int server_pid() const { return connection_ == nullptr ? 0 : PQbackendPID(connection_); }

  // One or several statements without parameters; the result of the last.
  absl::StatusOr<PgResult> Run(const std::string& sql);
  // One statement with text parameters $1, $2, ...
  absl::StatusOr<PgResult> Run(const std::string& sql, const std::vector<std::string>& parameters);
  absl::Status Prepare(const std::string& name, const std::string& sql, const std::vector<Oid>& types);
  // A prepared statement with binary parameters.
  absl::StatusOr<PgResult> RunPrepared(const std::string& name, std::span<const std::string> parameters);

  // A statement whose answer may take any time: Send begins it, Await waits for its answer, nothing: it hasn't come
  // yet.
  absl::Status Send(const std::string& sql);
  absl::StatusOr<std::optional<PgResult>> Await(int64_t max_wait_us);

  // COPY ... TO STDOUT, and START_REPLICATION, where the client speaks as well.
  absl::Status StartCopy(const std::string& sql);
  struct CopyRead {
    enum class What { kData, kNothing, kEnd };
    What what = What::kNothing;
    std::string_view data;  // until the next call
  };
  // kNothing: nothing came within the time. Behind kEnd the connection is as it was before StartCopy.
  absl::StatusOr<CopyRead> ReadCopy(int64_t max_wait_us);
  absl::Status WriteCopy(std::string_view data);

  // An SQL identifier, or a text, quoted.
  static std::string Quote(std::string_view identifier);
  static std::string QuoteText(std::string_view text);

 private:
  bool interrupted() const { return interrupted_ != nullptr && interrupted_->load(); }
  absl::Status Wait(short events, int64_t deadline_us);
  // False: the time is over.
  absl::StatusOr<bool> WaitToRead(int64_t until_us);
  absl::Status Flush(int sent, int64_t deadline_us);
  absl::StatusOr<PgResult> Finish(int sent);
  absl::StatusOr<PgResult> TakeAnswer(int64_t deadline_us);
  absl::Status Lost(std::string_view why);
  absl::Status ConnectError();
  absl::Status ResultError(const PGresult* result) const;
  std::string Masked(std::string text) const;

  const std::string url_, application_, what_;
  std::string password_;  // for masking
  PGconn* connection_ = nullptr;
  char* copied_ = nullptr;  // libpq's, what ReadCopy gave last
  const std::atomic<bool>* const interrupted_;
  const PgUse use_;
};

}  // namespace tidemark
