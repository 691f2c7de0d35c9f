// A libpq connection with deadlines: every call ends in bounded time, also where the network swallows packets, and
// another thread can interrupt it by a flag. Used by one thread. No error message shows the password.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
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

// What an SQLSTATE means for a sink (the codes of session.h; InvalidArgument for what only the user can
// mend).
absl::StatusCode PgStatusCode(std::string_view sqlstate);

class PgConnection {
 public:
  // `what` names the thing in messages: "sink s2". Once `interrupted` (may be null, outlives the connection) is true, a
  // call that waits, and every later one, returns Unavailable within a tenth of a second.
  PgConnection(std::string url, std::string application, std::string what, const std::atomic<bool>* interrupted);
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

  // One or several statements without parameters; the result of the last.
  absl::StatusOr<PgResult> Run(const std::string& sql);
  // One statement with text parameters $1, $2, ...
  absl::StatusOr<PgResult> Run(const std::string& sql, const std::vector<std::string>& parameters);
  absl::Status Prepare(const std::string& name, const std::string& sql, const std::vector<Oid>& types);
  // A prepared statement with binary parameters.
  absl::StatusOr<PgResult> RunPrepared(const std::string& name, std::span<const std::string> parameters);

  // An SQL identifier, quoted.
  static std::string Quote(std::string_view identifier);

 private:
  bool interrupted() const { return interrupted_ != nullptr && interrupted_->load(); }
  absl::Status Wait(short events, int64_t deadline_us);
  absl::StatusOr<PgResult> Finish(int sent);
  absl::Status Lost(std::string_view why);
  absl::Status ConnectError();
  absl::Status ResultError(const PGresult* result) const;
  std::string Masked(std::string text) const;

  const std::string url_, application_, what_;
  std::string password_;  // for masking
  PGconn* connection_ = nullptr;
  const std::atomic<bool>* const interrupted_;
};

}  // namespace tidemark
